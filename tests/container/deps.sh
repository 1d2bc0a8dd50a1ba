#!/bin/sh
# What builds and runs the image without Docker's engine, from Debian's packages. Nothing is started.
set -eu
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends podman buildah runc mmdebstrap netavark aardvark-dns iptables >/dev/null
