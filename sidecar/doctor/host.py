"""What the machine says of itself: mounts, limits, control groups, clocks. Tests put another machine in its place."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


def _descriptors() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


class Host(NamedTuple):
    """``descriptors`` is the hard limit, to which ``serve`` raises its own; ``writable`` whether we may make files in a directory."""

    mounts: Path = Path("/proc/self/mountinfo")
    membership: Path = Path("/proc/self/cgroup")
    cgroups: Path = Path("/sys/fs/cgroup")
    descriptors: Callable[[], int] = _descriptors
    writable: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK | os.X_OK)
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class Mount(NamedTuple):
    """``root`` is what of the file system is mounted, ``point`` where."""

    root: str
    point: str


def mounts(host: Host) -> list[Mount]:
    """Later ones lie over earlier ones; none where the system does not tell."""
    return [Mount(_plain(fields[3]), _plain(fields[4])) for fields in _lines(host.mounts, " ") if len(fields) > 4]


def memory_limit(host: Host) -> int | None:
    """Bytes that the control group and those above it allow, whichever is least; None for no limit that is known."""
    limits = [limit for file in _limit_files(host) if (limit := _number(file)) is not None]
    return min(limits, default=None)


def _limit_files(host: Host) -> Iterator[Path]:
    """Version 2 has one hierarchy, version 1 one of its own for memory. In a container the path may be that of the host."""
    for fields in _lines(host.membership, ":"):
        if len(fields) < 3:
            continue
        _, controllers, path = fields[0], fields[1], ":".join(fields[2:])
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (host.cgroups / "memory", "memory.limit_in_bytes") if controllers else (host.cgroups, "memory.max")
        group = root / path.lstrip("/")
        for place in dict.fromkeys((group, *group.parents, root)):
            if place.is_relative_to(root):
                yield place / name


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except (OSError, ValueError):
        return None
    limit = int(text) if text.isdigit() else 0
    return limit if 0 < limit < 1 << 60 else None  # version 1 says "no limit" with a number that large


def _lines(file: Path, separator: str) -> Iterator[list[str]]:
    try:
        text = file.read_bytes().decode(errors="surrogateescape")
    except OSError:
        return
    for line in text.splitlines():
        yield line.split(separator)


def _plain(field: str) -> str:
    """Spaces and the like stand there as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
