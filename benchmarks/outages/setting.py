"""What is played, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple

from benchmarks.outages.upstream import Capacity, Sent, Trouble
from benchmarks.parts import ROOT
from sidecar.core.draw import draw
from sidecar.lab.load import poisson
from sidecar.policy.load import Loaded, load, parse

SHIPPED = ROOT / "policies" / "default.yaml"
MADRE = Capacity(1, 0.057)  # as the lab's: nine rows of work, one chat after the other, and she does not ask the switch
MINUTE = 60.0
WELL = 0.99  # share of the chats that the switch answers when all is well
BUSY_WELL, SLACK = 0.9, 0.25  # the same, and seconds, in a brief live run, which shares its machine with other tests
NO_BREAKER = "breaker: {consecutive: 0, failure_rate: 100%, min_calls: 10000, window: {size: 10000}}"
NO_LIMITER = "limiter: {max_concurrent: 1000, queue: 0}"
_WHOSE = 0x53  # what a draw is for

Way = Literal["virtual", "live"]


def of_switch(*stated: str) -> str:
    """A policy's text that states this of the switch alone."""
    return f"targets: [{{name: switch, {', '.join(stated)}}}, {{name: madre}}, {{name: local}}]\n" if stated else ""


@cache
def policy(text: str = "") -> Loaded:
    """The shipped policy as its file says, or what ``text`` says differently. Raises PolicyError."""
    return parse(f"extends: {SHIPPED.name}\n{text}", "outages.yaml", SHIPPED.parent) if text else load(SHIPPED)


class Form(NamedTuple):
    """``minute``: seconds that stand for the minute of an outage; every open time of a breaker is scaled alike.

    ``brief``: a few seconds before and after, for a test.
    """

    minute: float = MINUTE
    brief: bool = False

    @property
    def scale(self) -> float:
        return MINUTE / self.minute

    def breaker(self, *rest: str, opens: str = "", scale: float | None = None) -> str:
        """The breaker's section with the open times of the shipped policy, scaled. ``opens`` is stated beside them, ``rest`` beside that.

        Nothing for nothing: then the policy is the shipped one.
        """
        scale = self.scale if scale is None else scale
        times = policy().policy.ladder[0].breaker.open
        scaled = [f"base: {times.base / scale * 1000:.0f}ms", f"max: {times.max / scale * 1000:.0f}ms"] * (scale != 1)
        within = ", ".join([*scaled, *filter(None, [opens])])
        stated = ", ".join([*([f"open: {{{within}}}"] if within else []), *rest])
        return f"breaker: {{{stated}}}\n" if stated else ""


class Setting(NamedTuple):
    """``rate`` chats a second for ``lasts`` seconds, a Poisson process, by ``replicas`` together.

    ``states`` is what the policy says differently from the shipped one, nothing for that one itself.

    ``well``: share of the chats that the switch answers when all is well. ``slack``: seconds by which an answer may be late, because the
    machine is.
    """

    name: str
    states: str
    rate: float
    lasts: float
    switch: Capacity
    trouble: Trouble
    replicas: int = 1
    madre: Capacity = MADRE
    well: float = WELL
    slack: float = 0.0

    @property
    def policy(self) -> Loaded:
        return policy(self.states)

    @property
    def patience(self) -> float:
        """Seconds after which the client has left: an answer after that is late."""
        return self.policy.policy.deadline.client + self.slack

    def coming(self, seed: int) -> list[Coming]:
        """Who comes when, and to whom: the same for every policy."""
        times = poisson(seed, self.rate, round(self.rate * self.lasts * 1.5) + 50)
        return [
            Coming(at, number, int(draw(seed, number, _WHOSE) * self.replicas))
            for number, at in enumerate(times, 1)
            if at < self.lasts
        ]


class Coming(NamedTuple):
    at: float
    number: int
    replica: int


class Chat(NamedTuple):
    """``provider`` is empty if it failed, and ``reason`` then says how. ``late``: so much later than it should the load sent it."""

    at: float
    number: int
    replica: int
    seconds: float
    provider: str
    reason: str = ""
    late: float = 0.0


class Asked(NamedTuple):
    """An attempt at the switch, as its sidecar tells: a ``probe`` if the breaker was half-open.

    ``sent``: the switch may have seen it; ``answered``: it said something, good or bad.
    """

    at: float
    replica: int
    chat: int
    probe: bool = False
    sent: bool = True
    answered: bool = False


class Move(NamedTuple):
    """The breaker of the switch moved."""

    at: float
    replica: int
    before: str
    after: str


class Run(NamedTuple):
    """``got`` is what the switch says that it was sent, ``asked`` what the sidecars say. ``left``: what is still held in the end."""

    setting: Setting
    way: Way
    seed: int
    chats: Sequence[Chat]
    asked: Sequence[Asked]
    moves: Sequence[Move]
    got: Sequence[Sent]
    left: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.setting.name


Runs = Mapping[str, Run]
"""Of one seed and way, by the name of the setting."""


class Claim(NamedTuple):
    """What must hold, in words, and where it does not. ``timed``: the machine has a hand in it, and a brief live run is too short."""

    words: str
    missed: Callable[[Runs], Iterable[str]]
    timed: bool = False


class Drill(NamedTuple):
    """``settings`` makes them for a form; ``table`` shows all runs of a setting, by way, one table in all.

    ``together``: live they are played at once; else one after the other, since a machine has enough to do with each.
    """

    name: str
    title: str
    settings: Callable[[Form, Way], Sequence[Setting]]
    table: Callable[[Sequence[Sequence[Run]]], tuple[Sequence[str], Sequence[Sequence[object]]]]
    claims: Sequence[Claim]
    together: bool = True


def each(judge: Callable[[Run], str | None], of: Callable[[Run], bool] = lambda _: True) -> Callable[[Runs], list[str]]:
    """A claim on every run by itself; ``judge`` says what is wrong with it."""

    def missed(runs: Runs) -> list[str]:
        judged = ((run, judge(run)) for run in runs.values() if of(run))
        return [f"{run.name}, {run.way}, seed {run.seed}: {wrong}" for run, wrong in judged if wrong]

    return missed
