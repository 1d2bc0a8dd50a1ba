"""A journal under policies: exactly as it was, and as it would have been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sidecar.core.engine import Engine
from sidecar.core.fact import DormancyHeard, Emit, Fact, Overridden
from sidecar.policy.load import Loaded
from sidecar.replay.exact import MOST_DIFFERING, ExactReplay, Fidelity
from sidecar.replay.journal import Journal, read_journals
from sidecar.replay.recorded import AsRecorded, Assumed, Record
from sidecar.replay.simulate import Simulation
from sidecar.replay.summary import Summary
from sidecar.replay.told import tell


class Candidate(NamedTuple):
    """One policy's figures, and what had to be assumed for them."""

    source: str
    revision: str
    figures: dict[str, object]
    assumed: Assumed


class Replayed(NamedTuple):
    """What a journal holds, how exactly it came out again, and what each candidate would have made of it."""

    runs: int
    incomplete: int
    """How many of the runs begin in the middle, or are samples."""
    skipped: int
    messages: tuple[str, ...]
    fidelity: Fidelity
    recorded: dict[str, object]
    candidates: tuple[Candidate, ...]


def replay(paths: list[Path], policies: list[Loaded]) -> Replayed:
    """Raises UnusableJournalError or OSError where there is nothing to replay."""
    journals = read_journals(paths)
    recorded = Summary()
    records = []
    fidelities = []
    for journal in journals:
        record = Record()
        emit = _both(recorded, record)
        if journal.complete:
            fidelities.append(ExactReplay(journal, emit).run())
        else:  # what is replayed of it need not be what was; what was is in its lines
            fidelities.append(ExactReplay(journal, _nobody).run())
            tell(journal, emit)
        recorded.run_ended()
        records.append(record)
    return Replayed(
        runs=len(journals),
        incomplete=sum(not journal.complete for journal in journals),
        skipped=sum(journal.skipped for journal in journals),
        messages=tuple(message for journal in journals for message in journal.messages),
        fidelity=_added(fidelities),
        recorded=recorded.figures(),
        candidates=tuple(_candidate(loaded, journals, records) for loaded in policies),
    )


def _candidate(loaded: Loaded, journals: list[Journal], records: list[Record]) -> Candidate:
    """Each run begins with closed breakers, as the sidecar that recorded it did, and hears of the same power states and overrides."""
    summary = Summary()
    assumed = Assumed(0, 0, 0)
    for journal, record in zip(journals, records, strict=True):
        world = AsRecorded(record, journal.seed)
        arrivals = sorted(record.arrivals.values(), key=lambda arrival: arrival.at)
        start = arrivals[0].at if arrivals else 0.0
        engine = Engine(
            start, loaded.policy, revision=loaded.revision, source=loaded.source, seed=journal.seed, emit=summary
        )
        simulation = Simulation(engine, world)
        for fact in record.outside:
            simulation.at(fact.at, _again(engine, fact))
        simulation.run(arrivals)
        summary.run_ended()
        assumed = Assumed(*(before + more for before, more in zip(assumed, world.assumed, strict=True)))
    return Candidate(loaded.source, loaded.revision, summary.figures(), assumed)


def _again(engine: Engine, fact: DormancyHeard | Overridden) -> Callable[[float], None]:
    def tell(now: float) -> None:
        if isinstance(fact, DormancyHeard):
            engine.hear_dormancy(now, fact.active)
        elif fact.target in engine.targets:  # a candidate's ladder may be another one
            engine.override(now, fact.target, fact.override)

    return tell


def _both(first: Emit, second: Emit) -> Emit:
    def emit(fact: Fact) -> None:
        first(fact)
        second(fact)

    return emit


def _nobody(_: Fact) -> None:
    pass


def _added(parts: list[Fidelity]) -> Fidelity:
    return Fidelity(
        calls=sum(part.calls for part in parts),
        same=sum(part.same for part in parts),
        unfinished=sum(part.unfinished for part in parts),
        examples=tuple(text for part in parts for text in part.examples)[:MOST_DIFFERING],
        incomparable=sum(part.incomparable for part in parts),
    )
