"""``python -m benchmarks.losses.skewed CLOCK ARGUMENTS…`` is ``python -m sidecar ARGUMENTS…`` with a wall clock that others can set.

CLOCK is a file of three floats that the one who sets the clock writes: seconds to add, further seconds for each second, and since when by
the monotonic clock. Nothing of the machine's clock is touched, and the monotonic clock stays as it is, as it does when a wall clock is set.
Where the sidecar and its libraries read the time of day in Python they read it here; C code that asks the system itself does not.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

STATE = struct.Struct("ddd")
_wall, _monotonic = time.time_ns, time.monotonic


class Clock:
    """The clock as it is set; ``set`` is for whoever started the process."""

    def __init__(self, path: Path) -> None:
        """Makes the file if there is none."""
        if not path.exists():
            path.write_bytes(STATE.pack(0.0, 0.0, 0.0))
        with path.open("r+b") as file:
            self._state = mmap.mmap(file.fileno(), STATE.size)

    def set(self, ahead: float, faster: float = 0.0) -> None:
        """So many seconds ahead from now on, and further so many with every second."""
        self._state[:] = STATE.pack(ahead, faster, _monotonic())

    def time_ns(self) -> int:
        ahead, faster, since = STATE.unpack(self._state[:])
        return _wall() + int((ahead + faster * (_monotonic() - since)) * 1e9)

    def time(self) -> float:
        return self.time_ns() / 1e9


def main(path: str, *arguments: str) -> None:
    clock = Clock(Path(path))
    time.time, time.time_ns = clock.time, clock.time_ns  # before anything of the sidecar is imported
    from sidecar.cli import main as sidecar  # noqa: PLC0415

    sys.argv[:] = ["sidecar", *arguments]
    sys.exit(sidecar())


if __name__ == "__main__":
    main(*sys.argv[1:])
