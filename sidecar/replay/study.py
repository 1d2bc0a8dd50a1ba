"""A journal under policies: exactly as it was (``study``), and as it would have been (``trial``), beside each other (``compare``).

A study is made once; each trial of it stands alone and can be pickled, so that candidates spread over cores. A world with luck in it is
drawn several times (``repeats``) where the journal is short: what had to be made up then shows in the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.core.draw import draw
from sidecar.core.engine import Engine
from sidecar.core.fact import DormancyHeard, Emit, Fact, HealthHeard
from sidecar.policy.load import Loaded
from sidecar.replay.column import Column, Comparison, Difference, Interval
from sidecar.replay.exact import MOST_DIFFERING, ExactReplay, Fidelity
from sidecar.replay.figures.assumptions import assumptions
from sidecar.replay.figures.intervals import CONFIDENCE, Resampled, blocks_of
from sidecar.replay.figures.summary import Summary
from sidecar.replay.journal import Journal, read_journals
from sidecar.replay.record import Outside, Record
from sidecar.replay.simulate import Arrival, Simulation, World
from sidecar.replay.told import tell
from sidecar.replay.worlds.disturbed import Disturbed, flooded
from sidecar.replay.worlds.injected import Injected, said
from sidecar.replay.worlds.past import AsRecorded, Assumed, Past
from sidecar.replay.worlds.scenario import NOTHING, Scenario

RECORDED = "recorded"
ENOUGH = 100_000  # calls in all repeats together
MOST_REPEATS = 20
GAP = 1.0  # seconds between two runs on the clock of figures over time
REPORTED = 1_000  # calls between two reports of progress

Progress = Callable[[int], None]


class Study(NamedTuple):
    """What journals hold, and how exactly it came out again.

    ``incomplete``: how many of the runs begin in the middle, or are samples.
    """

    runs: int
    incomplete: int
    skipped: int
    messages: tuple[str, ...]
    fidelity: Fidelity
    recorded: Summary
    records: tuple[Record, ...]

    @property
    def calls(self) -> int:
        return sum(len(record.chats) for record in self.records)

    @property
    def repeats(self) -> int:
        """How often a world is worth drawing anew."""
        return min(max(ENOUGH // max(self.calls, 1), 1), MOST_REPEATS)


class Trial(NamedTuple):
    """One policy in one draw of the world."""

    source: str
    revision: str
    summary: Summary
    assumed: Assumed
    assumes: tuple[str, ...] = ()
    """What it takes for granted besides what every trial does."""


def _nothing(_: int) -> None:
    pass


def study(paths: list[Path], progress: Progress = _nothing) -> Study:
    """``progress`` hears of bytes read. Raises UnusableJournalError or OSError where there is nothing to replay."""
    journals = read_journals(paths)
    recorded = Summary()
    records, fidelities = [], []
    offset = 0.0
    for journal in journals:
        record = Record(journal.seed)
        recorded.run_begins(None, offset)
        fidelities.append(_decided_again(journal, _both(recorded, record)))
        recorded.run_ended()
        record.settle()
        records.append(record)
        offset += _length(record)
        progress(journal.size)
    return Study(
        runs=len(journals),
        incomplete=sum(not journal.complete for journal in journals),
        skipped=sum(journal.skipped for journal in journals),
        messages=tuple(message for journal in journals for message in journal.messages),
        fidelity=_added(fidelities),
        recorded=recorded,
        records=tuple(records),
    )


def pasts(found: Study, scenario: Scenario = NOTHING) -> tuple[Past, ...]:
    """What worlds are made from, one of each run. Made once, before the trials."""
    return tuple(Past(record, scenario.servers) for record in found.records)


def trial(
    past: Sequence[Past], loaded: Loaded, scenario: Scenario = NOTHING, repeat: int = 0, progress: Progress = _nothing
) -> Trial:
    """Each run begins with closed breakers, as the sidecar that recorded it did, and hears of the same power states and overrides."""
    summary = Summary()
    assumed = Assumed()
    offset, rules, faults = 0.0, loaded.policy.chaos, 0
    for each in past:
        seed = _seed(each.record.seed, repeat)
        zero = each.record.span[0]
        world = AsRecorded(each, seed)
        arrivals = each.record.arrivals(loaded.policy)
        if scenario.floods:
            arrivals = flooded(arrivals, scenario.floods, zero, seed)
        engine = Engine(zero, loaded.policy, revision=loaded.revision, source=loaded.source, seed=seed, emit=summary)
        around: World = Disturbed(world, scenario.disturbances, zero, seed) if scenario.disturbances else world
        broken = Injected(around, rules, seed) if rules else None
        simulation = Simulation(engine, broken or around)
        for fact in each.record.outside:
            simulation.at(fact.at, _again(engine, fact))
        summary.run_begins(zero, offset)
        simulation.run(_counted(arrivals, progress))
        summary.run_ended()
        offset += _length(each.record)
        assumed = assumed.plus(world.assumed)
        faults += broken.faults if broken else 0
    assumes = (said(loaded.source, rules, faults),) if rules else ()
    return Trial(loaded.source, loaded.revision, summary, assumed, assumes)


def compare(
    found: Study, past: Sequence[Past], tried: Sequence[Sequence[Trial]], scenario: Scenario = NOTHING
) -> Comparison:
    """What was recorded and what candidates would have made of it. ``tried``: for each candidate all of its draws, at least one."""
    columns: list[Column] = []
    resampled: list[Resampled] = []
    for trials in ((Trial(RECORDED, "", found.recorded, Assumed()),), *tried):
        doubt = Resampled([blocks_of(one.summary.shares) for one in trials])
        columns.append(_column(trials, doubt, recorded=not columns))
        resampled.append(doubt)
    differences = list(_differences(columns, resampled, 0))
    if len(columns) > 2:  # candidates share their luck and their assumptions: between them the difference is sharper
        differences += _differences(columns, resampled, 1)
    assumed = [text for trials in tried for text in trials[0].assumes]
    assumed += assumptions(found.records, past, scenario, max(map(len, tried), default=1))
    return Comparison(tuple(columns), tuple(differences), tuple(assumed), CONFIDENCE)


def _column(trials: Sequence[Trial], doubt: Resampled, *, recorded: bool) -> Column:
    first, figures = trials[0], _pooled(trials)
    return Column(
        name=first.source,
        revision=first.revision,
        figures=figures,
        intervals=_around(figures, doubt.intervals()),
        latencies=first.summary.latencies(),
        slices=first.summary.slices(),
        held={target: tuple(held) for target, held in sorted(first.summary.held.items())},
        assumed={} if recorded else first.assumed._asdict(),
    )


def _around(figures: Mapping[str, Any], intervals: Mapping[str, Interval]) -> dict[str, Interval]:
    """Intervals are read from histograms, figures are exact: where one lies a step beside its interval, the interval takes it in."""
    found = {}
    for name, (low, high) in intervals.items():
        figure = figures[name] if name in figures else figures["latency_seconds"][name]
        found[name] = Interval(min(low, figure), max(high, figure))
    return found


def _pooled(trials: Sequence[Trial]) -> dict[str, Any]:
    """Figures of the first draw, but for shares and quantiles: their mean over all draws."""
    each = [one.summary.figures() for one in trials]
    figures = dict(each[0])
    for name in ("degraded_share", "availability", "attempts_per_call"):
        figures[name] = _mean([one[name] for one in each], 4)
    figures["latency_seconds"] = {
        name: _mean([one["latency_seconds"][name] for one in each], 6) for name in each[0]["latency_seconds"]
    }
    return figures


def _mean(values: Sequence[float | None], digits: int) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), digits) if known else None


def _differences(columns: Sequence[Column], resampled: Sequence[Resampled], base: int) -> Iterator[Difference]:
    for place in range(base + 1, len(columns)):
        for figure, (difference, interval) in resampled[place].minus(resampled[base]).items():
            yield Difference(columns[base].name, columns[place].name, figure, difference, interval)


def _decided_again(journal: Journal, emit: Emit) -> Fidelity:
    if journal.complete:
        return ExactReplay(journal, emit).run()
    # What is replayed of it need not be what was; what was is in its lines.
    fidelity = ExactReplay(journal, _nobody).run()
    tell(journal, emit)
    return fidelity


def _length(record: Record) -> float:
    first, last = record.span
    return last - first + GAP


def _seed(seed: int, repeat: int) -> int:
    """The first draw has the luck of the run itself: under its own policy it is that run."""
    return seed if not repeat else int(draw(seed, repeat) * 2**53)


def _counted(arrivals: Iterable[Arrival], progress: Progress) -> Iterator[Arrival]:
    count = 0
    for arrival in arrivals:
        yield arrival
        count += 1
        if count == REPORTED:
            progress(count)
            count = 0
    progress(count)


def _again(engine: Engine, fact: Outside) -> Callable[[float], None]:
    def tell_again(now: float) -> None:
        if isinstance(fact, DormancyHeard):
            engine.hear_dormancy(now, fact.active)
        elif isinstance(fact, HealthHeard):
            engine.hear_health(now, fact.target, fact.outcome, busy=fact.busy, seconds=fact.seconds)
        elif fact.target in engine.targets:  # a candidate's ladder may be another one
            engine.override(now, fact.target, fact.override)

    return tell_again


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


def replay(
    paths: list[Path], policies: Sequence[Loaded], scenario: Scenario = NOTHING, *, repeats: int | None = None
) -> tuple[Study, Comparison]:
    """All of it in this process: for programs. Raises as ``study`` does."""
    found = study(paths)
    past = pasts(found, scenario)
    draws = found.repeats if repeats is None else repeats
    tried = [[trial(past, loaded, scenario, repeat) for repeat in range(draws)] for loaded in policies]
    return found, compare(found, past, tried, scenario)
