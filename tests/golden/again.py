"""The calls of a golden journal once more, under a policy of one's choice: the engine's facts, in the order in which they came.

As a trial of a replay does it, but for what the record does not say: here a target is taken to answer as recorded however many ask, so that
a changed figure moves the calls that it is about and no estimate besides.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path

from sidecar.core.engine import Engine
from sidecar.core.fact import AttemptEnded, CallEnded, DormancyHeard, Fact, Overridden, PolicyAdopted
from sidecar.policy.load import Loaded
from sidecar.replay.exact import ExactReplay, Fidelity
from sidecar.replay.journal import read_journals
from sidecar.replay.record import Record
from sidecar.replay.simulate import Simulation
from sidecar.replay.worlds.past import AsRecorded, Past

UNLIMITED = {"switch": None, "madre": None}


def recorded(journal: Path) -> tuple[Record, Fidelity]:
    """What a golden journal holds, and how exactly it is decided again."""
    facts, seed, fidelity = decided_again(journal)
    record = Record(seed)
    for fact in facts:
        record(fact)
    record.settle()
    return record, fidelity


def decided_again(journal: Path) -> tuple[list[Fact], int, Fidelity]:
    """The facts of the recorded inputs in their recorded order, with the seed of the run."""
    [run] = read_journals([journal])
    facts: list[Fact] = []
    fidelity = ExactReplay(run, facts.append).run()
    assert not run.skipped, run.messages
    return facts, run.seed, fidelity


def adopted(journal: Path) -> Loaded:
    """The policy that was in force when the journal was recorded."""
    [found] = [fact for fact in decided_again(journal)[0] if isinstance(fact, PolicyAdopted)]
    return Loaded(found.policy, found.revision, found.source, {})


def facts_under(record: Record, loaded: Loaded) -> list[Fact]:
    """Under ``loaded`` from the first chat to the last, with the recorded power states and overrides."""
    facts: list[Fact] = []
    zero, policy = record.span[0], loaded.policy
    engine = Engine(zero, policy, revision=loaded.revision, source=loaded.source, seed=record.seed, emit=facts.append)
    simulation = Simulation(engine, AsRecorded(Past(record, UNLIMITED), record.seed))
    for fact in record.outside:
        simulation.at(fact.at, partial(_hear, engine, fact))
    simulation.run(record.arrivals(policy))
    return facts


def results(facts: list[Fact]) -> dict[int, list[tuple[object, ...]]]:
    """By call what its attempts came to, and who answered it why: all that does not depend on the millisecond."""
    found: dict[int, list[tuple[object, ...]]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, AttemptEnded):
            found[fact.call].append((fact.target, fact.verdict))
        elif isinstance(fact, CallEnded):
            found[fact.call].append((fact.finish.provider, fact.finish.reason, fact.first_reason, fact.attempts))
    return found


def _hear(engine: Engine, fact: DormancyHeard | Overridden, now: float) -> None:
    if isinstance(fact, DormancyHeard):
        engine.hear_dormancy(now, fact.active)
    elif fact.target in engine.targets:
        engine.override(now, fact.target, fact.override)
