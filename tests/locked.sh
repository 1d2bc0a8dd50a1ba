#!/bin/sh
# What a lock with hashes names, from the package index, into an environment of its own (PYTHON, DIRECTORY, LOCK): neither production nor the
# other tests pay for it, and what judges dependencies does not stand beside them. Whoever cannot reach the index goes without: WITHOUT says
# what that means, and the tests say that they were skipped.
set -eu
python=$1 where=$2 lock=$3 without=$4
if [ -e "$where/.ready" ] && [ ! "$lock" -nt "$where/.ready" ]; then exit 0; fi
if { test -x "$where/bin/python" || "$python" -m venv "$where"; } &&
  "$where/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r "$lock"; then
  touch "$where/.ready"
else
  echo "deps: could not install what $lock names: $without"
fi
