"""A second hearing: ``python -m tests.again STATUS`` after a run of pytest that ended with STATUS.

Some ten thousand tests, thousands of them on real sockets and clocks, share two cores with each other. What fails there because a process was
held up for a second says nothing about the sidecar, and a suite that fails for it one time in three teaches people to press the button
again. So what failed is run once more, with nothing beside it and with the same seed: what is wrong with the code fails again, and both
hearings stand in the output. There is none for more than ``MOST`` failures, nor for a run that ended in any other way
(interrupted, not collected, a secret written): its status stands.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
CACHE = Path(".pytest_cache") / "v"


def remembered(name: str) -> object:
    """What pytest's cache holds there; None where it holds nothing."""
    try:
        return json.loads((CACHE / name).read_text("utf-8"))
    except FileNotFoundError:
        return None


def hearing(status: int) -> int:
    """What the failed tests come to, where there is anything to hear; otherwise what the run came to."""
    failed, seed = remembered("cache/lastfailed"), remembered("randomly_seed")
    if status != 1 or not isinstance(failed, dict) or not isinstance(seed, int) or not 0 < len(failed) <= MOST:
        return status
    print(f"\nA second hearing, alone: {len(failed)} failed", flush=True)
    command = [sys.executable, "-m", "pytest", "-m", "not slow", f"--randomly-seed={seed}", "-rA", *failed]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(hearing(int(sys.argv[1])))
