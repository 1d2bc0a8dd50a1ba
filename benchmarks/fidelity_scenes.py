"""What ``benchmarks.fidelity`` plays: how switch and madre behave, how many chats come, and two policies that differ.

The first six are fixed: everybody who claims to predict should be asked for the same. The others are chosen because a prediction from a
journal must be bad at them: what the record never met cannot be in it.

In every scene the policies differ in deadline, attempt timeout, breaker and limiter, as somebody would write them who has seen A in
production and thinks that B is better, sometimes wrongly. The scenes are made so that a figure says something: a share that is decided call
by call needs many calls, one that is decided by turns of the world needs many turns, and no quantile lies where two kinds of answers meet.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

Turns = Callable[[Random, float], list[tuple[float, tuple[str, ...]]]]


class Scene(NamedTuple):
    """``rate`` chats a second, ``calls`` of them, in a lab with ``usual`` faults. ``turns`` gives what changes when: seconds and orders.

    ``why`` says what is hard about it; only scenes beyond the fixed six have that.
    """

    key: str
    name: str
    rate: float
    calls: int
    usual: tuple[str, ...]
    turns: Turns
    a: str
    b: str
    why: str = ""

    @property
    def fixed(self) -> bool:
        return not self.why


def steady(_: Random, __: float) -> list[tuple[float, tuple[str, ...]]]:
    """Nothing changes."""
    return []


def spells(fault: str, mended: tuple[str, ...], bad: float, good: tuple[float, float]) -> Turns:
    """``fault`` for ``bad`` seconds, again and again, with a drawn time between ``good`` seconds in between, when ``mended`` holds."""

    def turns(random: Random, seconds: float) -> list[tuple[float, tuple[str, ...]]]:
        made: list[tuple[float, tuple[str, ...]]] = []
        at = random.uniform(0.5, 1.0) * good[1]
        while at < seconds:
            made += [(at, (fault,)), (at + bad, ("switch=ok", *mended))]
            at += bad + random.uniform(*good)
        return made

    return turns


USUAL = "switch=lognormal:0.2:0.4"
MADRE = ("madre=detached", "madre=lognormal:0.25:0.3")

SCENES = (
    Scene(
        "a",
        "switch slow: lognormal, median 1 s",
        rate=35,
        calls=3_500,
        usual=("switch=lognormal:1:0.5", *MADRE),
        turns=steady,
        a="""
deadline: {client: 5s}
breaker: {min_calls: 20, consecutive: 8, failure_rate: 60%, open: {base: 2s, max: 4s}}
targets:
  - {name: switch, timeouts: {attempt: 1600ms}, limiter: {max_concurrent: 45, queue: 8}}
  - {name: madre, limiter: {max_concurrent: 1, queue: 1, queue_timeout: 100ms}}
""",
        b="""
deadline: {client: 6s}
breaker: {min_calls: 20, consecutive: 5, failure_rate: 50%, open: {base: 5s, max: 10s}}
targets:
  - {name: switch, timeouts: {attempt: 2600ms}, limiter: {max_concurrent: 64, queue: 16}}
  - {name: madre, limiter: {max_concurrent: 4, queue: 4}}
""",
    ),
    Scene(
        "b",
        "switch flapping: 10 s on, 10 s off",
        rate=9,
        calls=2_160,
        usual=(USUAL, *MADRE),
        turns=spells("switch=refuse", (USUAL,), 10.0, (10.0, 10.0)),
        a="""
dormant: {mode: ignore}
deadline: {client: 5s}
timeouts: {attempt: 2s}
breaker: {consecutive: 3, open: {base: 1s, max: 1s, multiplier: 1, jitter: 0.2}, half_open: {close_after: 1}}
targets:
  - {name: switch, limiter: {max_concurrent: 8, queue: 8}}
  - {name: madre, limiter: {max_concurrent: 6, queue: 6, queue_timeout: 100ms}}
""",
        b="""
dormant: {mode: ignore}
deadline: {client: 4s}
timeouts: {attempt: 1s}
breaker: {consecutive: 5, open: {base: 4s, max: 4s, multiplier: 1, jitter: 0}, half_open: {close_after: 2}}
targets:
  - {name: switch, limiter: {max_concurrent: 12, queue: 8}}
  - {name: madre, limiter: {max_concurrent: 8, queue: 8}}
""",
    ),
    Scene(
        "c",
        "switch hung, 10 s at a time",
        rate=9,
        calls=2_000,
        usual=(USUAL, *MADRE),
        turns=spells("switch=hang", (USUAL,), 10.0, (8.0, 20.0)),
        a="""
dormant: {mode: ignore}
deadline: {client: 5s}
timeouts: {attempt: 2s}
breaker: {consecutive: 3, open: {base: 1s, max: 1s, multiplier: 1, jitter: 0.2}, half_open: {close_after: 1}}
targets:
  - {name: switch, limiter: {max_concurrent: 8, queue: 8}}
  - {name: madre, limiter: {max_concurrent: 6, queue: 6, queue_timeout: 100ms}}
""",
        b="""
dormant: {mode: ignore}
deadline: {client: 4s}
timeouts: {attempt: 1s}
breaker: {consecutive: 4, open: {base: 5s, max: 5s, multiplier: 1, jitter: 0.05}, half_open: {close_after: 2}}
targets:
  - {name: switch, limiter: {max_concurrent: 5, queue: 4}}
  - {name: madre, limiter: {max_concurrent: 8, queue: 8}}
""",
    ),
    Scene(
        "d",
        "switch refusing, 20 s at a time",
        rate=9,
        calls=2_000,
        usual=(USUAL, *MADRE),
        turns=spells("switch=refuse", (USUAL,), 20.0, (10.0, 20.0)),
        a="""
dormant: {mode: ignore}
deadline: {client: 5s}
timeouts: {attempt: 2s}
breaker: {consecutive: 3, open: {base: 500ms, max: 500ms, multiplier: 1}, half_open: {close_after: 1}}
targets:
  - {name: switch, limiter: {max_concurrent: 2, queue: 0}}
  - {name: madre, limiter: {max_concurrent: 6, queue: 6, queue_timeout: 100ms}}
""",
        b="""
dormant: {mode: ignore}
deadline: {client: 3s}
timeouts: {attempt: 1s}
breaker: {consecutive: 6, failure_rate: 60%, open: {base: 1s, max: 1s, multiplier: 1}, half_open: {close_after: 2}}
targets:
  - {name: switch, timeouts: {attempt: 500ms}, limiter: {max_concurrent: 6, queue: 4}}
  - {name: madre, limiter: {max_concurrent: 8, queue: 8}}
""",
    ),
    Scene(
        "e",
        "madre at 3 s, and the switch fails 7 of 100",
        rate=80,
        calls=8_000,
        usual=("switch=lognormal:0.15:0.4", "switch=failing:0.07", "madre=detached", "madre=slow:3"),
        turns=steady,
        a="""
deadline: {client: 5s}
breaker: {min_calls: 20, slow_call: {duration: 4s}, consecutive: 5}
targets:
  - {name: switch, timeouts: {attempt: 2s}, limiter: {max_concurrent: 40, queue: 8}}
  - {name: madre, timeouts: {attempt: 3500ms}, limiter: {max_concurrent: 4, queue: 1}}
""",
        b="""
deadline: {client: 4500ms}
breaker: {min_calls: 20, slow_call: {duration: 3500ms}, consecutive: 10, failure_rate: 60%}
targets:
  - {name: switch, timeouts: {attempt: 1s}, limiter: {max_concurrent: 64, queue: 8}}
  - {name: madre, timeouts: {attempt: 3300ms}, limiter: {max_concurrent: 32, queue: 8}}
""",
    ),
    Scene(
        "f",
        "both at half capacity",
        rate=15,
        calls=2_000,
        usual=("switch=slow:0.04", "switch=capacity:0.5", "madre=detached", "madre=capacity:0.5"),
        turns=steady,
        a="""
deadline: {client: 5s}
timeouts: {attempt: 2s}
breaker: {consecutive: 3}
targets:
  - {name: switch, limiter: {max_concurrent: 2, queue: 0}}
  - {name: madre, limiter: {max_concurrent: 2, queue: 0}}
""",
        b="""
deadline: {client: 4s}
timeouts: {attempt: 1500ms}
breaker: {consecutive: 5, open: {base: 2s, max: 4s}}
targets:
  - {name: switch, limiter: {max_concurrent: 4, queue: 8, queue_timeout: 500ms}}
  - {name: madre, limiter: {max_concurrent: 2, queue: 4}}
""",
    ),
    Scene(
        "g",
        "madre was never asked",
        why="B turns to a target of which the record of A holds nothing",
        rate=30,
        calls=2_000,
        usual=("switch=lognormal:0.5:0.5", *MADRE),
        turns=steady,
        a="""
deadline: {client: 8s}
timeouts: {attempt: 6s}
breaker: {slow_call: {duration: 5s}}
targets:
  - {name: switch, limiter: {max_concurrent: 64, queue: 16}}
  - {name: madre, limiter: {max_concurrent: 4, queue: 4}}
""",
        b="""
deadline: {client: 4s}
timeouts: {attempt: 1s}
breaker: {consecutive: 6, failure_rate: 60%}
targets:
  - {name: switch, limiter: {max_concurrent: 32, queue: 16}}
  - {name: madre, limiter: {max_concurrent: 8, queue: 8}}
""",
    ),
    Scene(
        "h",
        "flapping, and A looks every 25 s",
        why="A's breaker stays open so long that the record holds nothing of most turns",
        rate=12,
        calls=2_000,
        usual=(USUAL, *MADRE),
        turns=spells("switch=refuse", (USUAL,), 10.0, (10.0, 10.0)),
        a="""
dormant: {mode: ignore}
deadline: {client: 5s}
timeouts: {attempt: 2s}
breaker: {consecutive: 3, open: {base: 25s, max: 25s, multiplier: 1}}
targets:
  - {name: switch, limiter: {max_concurrent: 8, queue: 8}}
  - {name: madre, limiter: {max_concurrent: 8, queue: 8}}
""",
        b="""
dormant: {mode: ignore}
deadline: {client: 4s}
timeouts: {attempt: 1s}
breaker: {consecutive: 5, open: {base: 1s, max: 1s, multiplier: 1}, half_open: {close_after: 1}}
targets:
  - {name: switch, limiter: {max_concurrent: 12, queue: 8}}
  - {name: madre, limiter: {max_concurrent: 6, queue: 8}}
""",
    ),
    Scene(
        "i",
        "the switch collapses, madre queues",
        why="A asked madre one at a time, so that nothing says that she answers one after the other; B floods both",
        rate=15,
        calls=2_000,
        usual=("switch=slow:0.04", "switch=capacity:0.5", "madre=detached", "madre=capacity:0.5"),
        turns=steady,
        a="""
deadline: {client: 5s}
timeouts: {attempt: 2s}
breaker: {consecutive: 3}
targets:
  - {name: switch, limiter: {max_concurrent: 2, queue: 0}}
  - {name: madre, limiter: {max_concurrent: 1, queue: 0}}
""",
        b="""
deadline: {client: 4s}
timeouts: {attempt: 1500ms}
breaker: {consecutive: 10, failure_rate: 80%, open: {base: 2s, max: 4s}}
targets:
  - {name: switch, limiter: {max_concurrent: 48, queue: 16, queue_timeout: 1s}}
  - {name: madre, limiter: {max_concurrent: 4, queue: 4}}
""",
    ),
    Scene(
        "j",
        "madre who waits for the hung switch",
        why="A asked madre only when the switch was hung, and then she waits for it; B asks her when it is well",
        rate=12,
        calls=2_000,
        usual=(USUAL,),
        turns=spells("switch=hang", (USUAL,), 10.0, (8.0, 20.0)),
        a="""
dormant: {mode: ignore}
deadline: {client: 5s}
timeouts: {attempt: 2s}
breaker: {consecutive: 3, open: {base: 1s, max: 1s, multiplier: 1}, half_open: {close_after: 1}}
targets:
  - {name: switch, limiter: {max_concurrent: 8, queue: 8}}
  - {name: madre, limiter: {max_concurrent: 4, queue: 2}}
""",
        b="""
dormant: {mode: ignore}
deadline: {client: 4s}
timeouts: {attempt: 1500ms}
breaker: {consecutive: 4, open: {base: 2s, max: 2s, multiplier: 1}, half_open: {close_after: 1}}
targets:
  - {name: switch, timeouts: {attempt: 300ms}, limiter: {max_concurrent: 4, queue: 0}}
  - {name: madre, limiter: {max_concurrent: 6, queue: 4}}
""",
    ),
)
