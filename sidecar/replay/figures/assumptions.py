"""What a comparison takes for granted, in sentences: what the record cannot know and how it was made up, target by target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import exp

from sidecar.policy.model import Policy
from sidecar.replay.record import Record
from sidecar.replay.worlds.past import History, Past
from sidecar.replay.worlds.scenario import Scenario

THROUGHOUT = (
    "Each candidate is in force from the first chat to the last, begins with closed breakers and an empty memory, and hears of the "
    "recorded power states, health probes and overrides, and of no others; recorded reloads are not repeated."
)
PATIENCE = (
    "A client that had all the time its policy gives waits as long as the candidate's; one that asked for less waits as long as it did. A "
    "client that left does so after the same time, one that stayed stays."
)


def assumptions(records: Sequence[Record], past: Sequence[Past], scenario: Scenario, draws: int) -> Iterator[str]:
    """Most important first."""
    for number, each in enumerate(past, 1):
        run = f"Run {number}: " if len(past) > 1 else ""
        for target, history in each.histories.items():
            yield run + _of_target(target, history, stated=target in scenario.servers)
    if _changed([policy for record in records for policy in record.policies]):
        yield "The policy changed within the record: what was recorded is a mixture, and columns differ from it for that reason as well."
    broken = sum(record.broken for record in records)
    if broken:
        yield f"Recorded attempts that were broken on purpose (chaos) say nothing about their targets and are left out: {broken}."
    if scenario.name:
        yield f"Beside what was recorded happens what {scenario.name} says; it holds for every attempt that begins while it lasts."
    yield THROUGHOUT
    yield PATIENCE
    if draws > 1:
        yield f"What had to be made up was drawn {draws} times; shares and quantiles are means over the draws, counts are of the first."


def _changed(policies: Sequence[Policy]) -> bool:
    """Whether another one was adopted at any time; a further file, or run, states the one that is in force again."""
    return any(after is not before and after != before for before, after in pairwise(policies))


def _of_target(target: str, history: History, *, stated: bool) -> str:
    count = len(history.periods.listed)
    periods = "one period" if count == 1 else f"{count} periods in which it behaved alike"
    said = f"{target} has {periods}; attempts that nobody made are drawn from those of their period."
    return " ".join([said, *_tails(history), _capacity(history, stated=stated)])


def _tails(history: History) -> Iterator[str]:
    """About the largest period that has a tail."""
    longest = max(history.periods.listed, key=lambda period: period.last - period.first)
    survival = history.survival(max(longest.since, -1e300))
    if not survival.cut:
        return
    tail = survival.tail
    share = survival.cut / (survival.cut + survival.answers)
    if tail is None:
        yield f"In the longest, {share:.1%} of the attempts were cut off and no tail could be fitted: what is silent stays so."
        return
    never = f", and {tail.never:.1%} never get an answer" if tail.never else ""
    yield (
        f"In the longest, {share:.1%} of the attempts were cut off; beyond the last answer times are lognormal with a median of "
        f"{exp(tail.mu):.3g} s and a sigma of {tail.sigma:.2g}{never}."
    )


def _capacity(history: History, *, stated: bool) -> str:
    served = history.served
    if stated:
        at_once = "as many as ask" if served.servers is None else str(served.servers)
        return f"It works on {at_once} at once, as the scenario says."
    if history.crowding.rise:
        rise, nats = history.crowding.factor(1) - 1, history.crowding.nats
        return f"It takes {rise:.1%} longer for each other attempt under way, which explains the record better by {nats:.0f} nats."
    if served.servers is None:
        return f"It answers as fast however many ask ({served.met} attempts met others, nothing speaks for a queue)."
    return (
        f"It works on {served.servers} at once and lets the others wait: that explains the {served.met} attempts that met others better by "
        f"{served.nats:.0f} nats than answers that do not depend on each other."
    )
