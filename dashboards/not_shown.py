"""Metrics that are on no board, and why."""

from __future__ import annotations

from collections.abc import Mapping

NOT_SHOWN: Mapping[str, str] = {
    "process_virtual_memory_bytes": "says what was mapped, not what is used; resident memory is shown",
    "python_gc_objects_uncollectable_total": "always 0 since Python 3.4 collects objects with finalisers",
}
