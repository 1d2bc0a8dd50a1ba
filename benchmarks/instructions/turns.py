"""Takes turns, for somebody who counts: ``python -m benchmarks.instructions.turns CASE=TURNS …``.

Each of them in a fork of its own: what all need is loaded once, which takes longer than anything else where instructions are counted, and
then every one begins from the same state of memory. Says of each on standard output which process it was.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.instructions.case import Case, chosen


class Run(NamedTuple):
    case: str
    turns: int

    def __str__(self) -> str:
        return f"{self.case}={self.turns}"

    @classmethod
    def of(cls, text: str) -> Run:
        case, _, turns = text.partition("=")
        return cls(case, int(turns))


def _nothing() -> None:
    pass


def take(case: Case, turns: int, before: Callable[[], object] = _nothing) -> None:
    """``before`` is called when everything is set up."""
    with ExitStack() as stack:
        if case.looped:
            import asyncio  # noqa: PLC0415 - dear to load where instructions are counted

            import uvloop  # noqa: PLC0415

            runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
            runner.run(_looped(case, turns, before, stack))
            return
        turn = case.make(stack)
        before()
        for _ in range(turns):
            turn()


async def _looped(case: Case, turns: int, before: Callable[[], object], stack: ExitStack) -> None:
    turn = case.make(stack)
    before()
    for _ in range(turns):
        await turn()


def main() -> None:
    runs = [Run.of(text) for text in sys.argv[1:]]
    cases = {case.name: case for case in chosen([run.case for run in runs])}
    for run in runs:
        process = os.fork()
        if not process:
            os._exit(_alone(cases[run.case], run.turns))
        if os.waitpid(process, 0)[1]:
            raise SystemExit(f"{run.case} failed")
        print(run, process, flush=True)


def _alone(case: Case, turns: int) -> int:
    """In a process that is there for nothing else. As in the sidecar the collector leaves alone what was set up."""
    try:
        take(case, turns, gc.freeze)
    except BaseException as error:  # noqa: BLE001 - the end of this process
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    main()
