"""A minute in which the switch is slow and fails in part, and what breaker and limiter make of it."""

from __future__ import annotations

from benchmarks.outages import figures
from benchmarks.outages.claims import ALWAYS, amplified, back_in_time
from benchmarks.outages.drills.outage import table
from benchmarks.outages.setting import (
    NO_BREAKER,
    NO_LIMITER,
    Claim,
    Drill,
    Form,
    Run,
    Runs,
    Setting,
    Way,
    each,
    of_switch,
)
from benchmarks.outages.upstream import Capacity, Trouble

RATE = 10.0
SWITCH = Capacity(8, 0.04)
SPARED = 0.25  # of what clients wait where nothing guards them
SLOWER = 6.0  # seconds: longer than any attempt may take
KINDS = {
    "30 % slow": (0.0, 0.3, SLOWER),
    "20 % fail": (0.2, 0.0, 0.0),
    "30 % slow, 20 % fail": (0.2, 0.3, SLOWER),
    "all 3.5 s slower": (0.0, 1.0, 3.5),
}
HARDEST = "30 % slow, 20 % fail"
UNGUARDED = "the same, unguarded"
FAILING, PATIENT = "20 % fail", "20 % fail, consecutive: 0"


def settings(form: Form, way: Way) -> list[Setting]:
    brief = form.brief and way == "live"
    before, after = (2.0, 8.0) if brief else (10.0, 30.0 / form.scale + 15.0)
    shipped = form.breaker()

    def one(name: str, kind: str, states: str = shipped) -> Setting:
        trouble = Trouble("brownout", before, before + form.minute, *KINDS[kind])
        return Setting(name, states, RATE, before + form.minute + after, SWITCH, trouble)

    names = (HARDEST,) if brief else tuple(KINDS)
    return [
        *(one(name, name) for name in names),
        one(UNGUARDED, HARDEST, of_switch(NO_BREAKER, NO_LIMITER)),
        *([] if brief else [one(PATIENT, FAILING, form.breaker("consecutive: 0"))]),
    ]


def _guarded(run: Run) -> bool:
    return run.name != UNGUARDED


def _waited(run: Run) -> float:
    """Seconds, of all clients together."""
    return sum(chat.seconds for chat in figures.within(run, figures.phases(run)[1]))


def _spared(runs: Runs) -> list[str]:
    guarded, unguarded = (runs[name] for name in (HARDEST, UNGUARDED))
    if _waited(guarded) <= SPARED * _waited(unguarded):
        return []
    waited = f"clients waited {_waited(guarded):.0f} s in all, {_waited(unguarded):.0f} s unguarded"
    return [f"{guarded.way}, seed {guarded.seed}: {waited}"]


DRILL = Drill(
    "brownout",
    f"a minute of brownout at {RATE:g} chats a second",
    settings,
    table,
    (
        *ALWAYS,
        Claim("attempts at the switch are at most chats · (1 + ratio) + burst", each(amplified)),
        Claim(
            f"of {HARDEST}, clients wait for at most a quarter of the time that they wait unguarded",
            _spared,
            timed=True,
        ),
        Claim(
            "the switch answers 99 % again within the longest open time and 5 s",
            each(back_in_time, _guarded),
        ),
    ),
)
