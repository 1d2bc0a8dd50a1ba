"""``sidecar serve``, and in its process a look every few seconds: at what nobody outside can count.

    python -m benchmarks.endurance.watched EVERY FILE serve --listen ...

A line of JSON each time: tasks of the loop without our own, timers that are still to ring, objects that the collector knows.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from sidecar.cli import main
from sidecar.edge import process


def counts() -> dict[str, int]:
    """What there is now, but for the look's own task."""
    objects = gc.get_objects()
    timers = sum(1 for one in objects if type(one).__name__ == "TimerHandle" and not one.cancelled())
    return {"tasks": len(asyncio.all_tasks()) - 1, "timers": timers, "objects": len(objects)}


async def look(every: float, file: Path) -> None:
    with file.open("a", encoding="utf-8", buffering=1) as out:
        while True:
            gc.collect()  # what only waits for it is no leak
            print(json.dumps(counts()), file=out)
            await asyncio.sleep(every)


def watch(every: float, file: Path) -> None:
    """Let whatever loop is run have the look beside it."""
    run_loop = process.run_loop

    async def beside(work: Coroutine[Any, Any, None]) -> None:
        looking = asyncio.get_running_loop().create_task(look(every, file))
        try:
            await work
        finally:
            looking.cancel()

    def watched(main: Coroutine[Any, Any, None]) -> None:
        run_loop(beside(main))

    process.run_loop = watched


if __name__ == "__main__":
    watch(float(sys.argv[1]), Path(sys.argv[2]))
    raise SystemExit(main(sys.argv[3:]))
