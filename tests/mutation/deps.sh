#!/bin/sh
# mutmut from the package index, by locks with hashes, beside all that the tests need, into an environment of its own (PYTHON, DIRECTORY).
set -eu
python=$1 where=$2 lock=$(dirname "$0")/requirements.lock
if [ -e "$where/.ready" ] && [ ! "$lock" -nt "$where/.ready" ]; then exit 0; fi
test -x "$where/bin/python" || "$python" -m venv "$where"
pip() { "$where/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps "$@"; }
pip --require-hashes -r tests/requirements.lock
pip --require-hashes -r "$lock"
pip --no-build-isolation -e .
touch "$where/.ready"
