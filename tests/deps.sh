#!/bin/sh
# Servers and peers that some tests use and pip cannot bring, from Debian's packages. Whoever has no root or no apt goes without:
# those tests say that they were skipped, and why. Nothing is started: tests start what they need, on free ports of loopback.
set -eu
packages="prometheus prometheus-alertmanager redis-server nginx-light haproxy wrk valgrind chromium chromium-driver systemd"
missing=""
for package in $packages; do
  [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "deps: cannot install$missing (no root, or no apt); tests that need them will be skipped"
  exit 0
fi
# Services of these packages must not start by themselves.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null || echo "deps: could not install$missing; tests that need them will be skipped"
