"""Metrics that are on no board, and why."""

from __future__ import annotations

from collections.abc import Mapping

NOT_SHOWN: Mapping[str, str] = {
    "vx11_sidecar_shadow_running": "0 where a candidate was asked for is a fault of ours, and the list of candidates is empty then",
    "process_virtual_memory_bytes": "says what was mapped, not what is used; resident memory is shown",
    "python_gc_objects_uncollectable_total": "always 0 since Python 3.4 collects objects with finalisers",
}
