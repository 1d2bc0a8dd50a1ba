"""Fuzzers of what arrives raw: ``python -m tests.fuzz SECONDS`` runs all of them, the tests here run each for a moment."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
for room in (TESTS / "edge", TESTS):  # what the rooms share is found by its bare name, as under pytest
    if str(room) not in sys.path:
        sys.path.append(str(room))
