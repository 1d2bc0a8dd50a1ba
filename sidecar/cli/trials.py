"""Trials of a replay on all cores, with a progress bar for whoever watches a terminal.

Workers are forked, so that what was read from the journal is shared and not sent. Where forking is not to be had, or for one trial,
everything runs in this process.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.cli.progress import Bar
from sidecar.policy.load import Loaded
from sidecar.replay.column import Comparison
from sidecar.replay.job import Job, Runs
from sidecar.replay.journal import read_journals
from sidecar.replay.study import Study, Trial, compare, pasts, study
from sidecar.replay.worlds.scenario import Scenario

LOOK = 0.2  # seconds between two looks at how far the workers are


class Wanted(NamedTuple):
    """``draws``: how often each world is drawn, None: as the length of the journal asks for. ``cores``: None for all."""

    journals: list[Path]
    policies: Sequence[Loaded]
    scenario: Scenario
    draws: int | None = None
    cores: int | None = None


class _Shared(NamedTuple):
    """What workers inherit."""

    jobs: Sequence[Job]
    done: Any  # a counter that all processes see


_SHARED: list[_Shared] = []


def tried(wanted: Wanted) -> tuple[Study, Comparison]:
    """Study the journals, try the policies. Raises as ``studied`` and ``spread`` do."""
    found = studied(wanted.journals)
    past = pasts(found, wanted.scenario) if wanted.policies else ()
    draws = wanted.draws or found.repeats
    jobs = [Job(past, policy, wanted.scenario, repeat) for policy in wanted.policies for repeat in range(draws)]
    results = spread("replaying", jobs, cores=wanted.cores)
    grouped = [results[place * draws : (place + 1) * draws] for place in range(len(wanted.policies))]
    return found, compare(found, past, grouped, wanted.scenario)


def studied(journals: list[Path]) -> Study:
    """What the journals hold. Raises UnusableJournalError or OSError."""
    with Bar("reading", sum(journal.size for journal in read_journals(journals))) as bar:
        return study(journals, bar.add)


def on_cores(cores: int | None) -> Runs:
    """``spread`` for who only says what is to be done."""
    return partial(spread, cores=cores)


def spread(what: str, jobs: Sequence[Job], *, cores: int | None = None) -> list[Trial]:
    """All trials, in this order; ``what`` stands before the bar. Raises ValueError where a worker was ended from outside."""
    used = min(cores or _cores(), len(jobs))
    with Bar(what, sum(job.calls for job in jobs)) as bar:
        if used <= 1 or "fork" not in multiprocessing.get_all_start_methods():
            return [job.run(bar.add) for job in jobs]
        return _forked(jobs, used, bar)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forked(jobs: Sequence[Job], cores: int, bar: Bar) -> list[Trial]:
    context = multiprocessing.get_context("fork")
    done = context.Value("q", 0)
    _SHARED.append(_Shared(jobs, done))
    gc.collect()
    gc.freeze()  # a collection in a worker would touch, and so copy, all that it shares
    try:
        with ProcessPoolExecutor(cores, context, _obey_interrupts) as pool:
            running = [pool.submit(_in_worker, number) for number in range(len(jobs))]
            _watch(running, done, bar)
            return [one.result() for one in running]
    except BrokenProcessPool:
        raise ValueError(
            "a worker was ended from outside, perhaps for want of memory: try --cores 1, or fewer files at once"
        ) from None
    finally:
        gc.unfreeze()
        _SHARED.clear()


def _obey_interrupts() -> None:
    """Ctrl-C ends a worker at once and without a word: what is to be said is said by whoever started it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _watch(running: Sequence[Future[Trial]], done: Any, bar: Bar) -> None:
    while True:
        left = wait(running, timeout=LOOK).not_done
        bar.set(done.value)
        if not left:
            return


def _in_worker(number: int) -> Trial:
    shared = _SHARED[0]

    def add(calls: int) -> None:
        with shared.done.get_lock():
            shared.done.value += calls

    return shared.jobs[number].run(add)
