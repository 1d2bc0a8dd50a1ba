"""Which core does what: the proxy has one of its own, so that what it costs is its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import NamedTuple


class Cores(NamedTuple):
    """Numbers of cores; none of them where there is but one, or no ``taskset``: then nothing is pinned."""

    proxy: int | None
    load: int | None
    upstream: int | None

    def __str__(self) -> str:
        if self.proxy is None:
            return "Nothing is pinned: one core, or no taskset."
        return f"Proxy on core {self.proxy}, load on {self.load}, upstream on {self.upstream}."


def shared_out(available: Iterable[int]) -> Cores:
    """The upstream shares the load's core where there are only two."""
    cores = sorted(available)
    if len(cores) < 2:
        return Cores(None, None, None)
    return Cores(cores[0], cores[1], cores[2] if len(cores) > 2 else cores[1])


def found() -> Cores:
    """Cores of this machine; moves this process to the load's, of which it is a part."""
    cores = shared_out(os.sched_getaffinity(0) if shutil.which("taskset") else ())
    if cores.load is not None:
        os.sched_setaffinity(0, {cores.load})
    return cores
