#!/bin/sh
# pip-audit from the package index, by a lock with hashes, into an environment of its own (PYTHON, DIRECTORY): what it brings along is
# not to stand beside what it judges. Whoever cannot reach the index goes without, and `make audit` says that nothing was audited.
set -eu
python=$1 where=$2 lock=$(dirname "$0")/requirements.lock
if [ -e "$where/.ready" ] && [ ! "$lock" -nt "$where/.ready" ]; then exit 0; fi
if { test -x "$where/bin/python" || "$python" -m venv "$where"; } &&
  "$where/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r "$lock"; then
  touch "$where/.ready"
else
  echo "deps: could not install pip-audit; dependencies will not be audited, and its tests will be skipped"
fi
