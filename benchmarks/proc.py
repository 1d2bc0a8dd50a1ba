"""What Linux says of a process: resident memory and open descriptors, now and at most while something goes on."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

PAGE = os.sysconf("SC_PAGE_SIZE")


def rss(pid: int) -> float:
    """Resident memory in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / (1 << 20)


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def seconds(pid: int) -> float:
    """Processor time it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tcp_memory() -> float:
    """What all sockets of the machine have in their buffers, in MiB: it is in nobody's RSS, but in the container's bill."""
    line = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(line.split()[-1]) * PAGE / (1 << 20)


def raise_descriptor_limit() -> int:
    """Soft limit to hard limit; what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Watch:
    """Looks at a process every ``every`` seconds from a thread, for as long as the block runs."""

    def __init__(self, pid: int, every: float = 0.05) -> None:
        self._pid = pid
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.before = self.most = self.after = rss(pid)
        self.most_descriptors = 0
        self.most_tcp = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.after = rss(self._pid)

    @property
    def growth(self) -> float:
        return self.most - self.before

    def _look(self) -> None:
        while not self._stop.wait(self._every):
            self.most = max(self.most, rss(self._pid))
            self.most_descriptors = max(self.most_descriptors, descriptors(self._pid))
            self.most_tcp = max(self.most_tcp, tcp_memory())
