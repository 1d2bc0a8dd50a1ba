"""What can go wrong on demand, per service, and the small grammar in which it is asked for.

``switch=hang``, ``switch=slow:1.5``, ``switch=lognormal:1:0.5``, ``switch=ok``. A service shows one *behaviour* at a time (a hung
switch cannot also send garbage), so a new one replaces the old; *modifiers* (slow, execute, ...) come on top of anything. What a modifier
needs stands after its name, each number after a colon. The settings are changed while requests are being served: who waits for a fault
to end, waits for ``moved``. What is drawn for a request (lognormal, straggling, failing) comes from ``luck`` and its seed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from sidecar.lab.luck import Luck

SERVICES = ("gateway", "switch", "madre")

LONGEST_SLOW = 3600.0  # seconds
MOST_COLD = 10_000.0  # chats
WIDEST = 3.0  # of a sigma: beyond, a mean is made of draws that nobody waits for


class Amount(NamedTuple):
    """A number that a fault needs: above ``least``, or from there on where that makes sense, and at most ``most``."""

    name: str
    said: str
    most: float
    example: str
    from_zero: bool = False

    def takes(self, number: float) -> bool:
        return 0 < number <= self.most or (self.from_zero and number == 0)


_SHARE = "above 0 and at most 1"
AMOUNTS: Mapping[str, tuple[Amount, ...]] = MappingProxyType(
    {
        "slow": (Amount("SECONDS", f"seconds above 0 and at most {LONGEST_SLOW:.0f}", LONGEST_SLOW, "1.5"),),
        "lognormal": (
            Amount("MEDIAN", f"a median in seconds above 0 and at most {LONGEST_SLOW:.0f}", LONGEST_SLOW, "1"),
            Amount("SIGMA", f"a sigma of its logarithm from 0 to {WIDEST:.0f}", WIDEST, "0.5", from_zero=True),
        ),
        "straggling": (
            Amount("SHARE", f"a share of the chats {_SHARE}", 1.0, "0.05"),
            Amount("SECONDS", f"seconds above 0 and at most {LONGEST_SLOW:.0f}", LONGEST_SLOW, "2"),
        ),
        "cold": (
            Amount("SECONDS", f"seconds above 0 and at most {LONGEST_SLOW:.0f}", LONGEST_SLOW, "0.5"),
            Amount("CHATS", f"a number of chats above 0 and at most {MOST_COLD:.0f}", MOST_COLD, "20"),
        ),
        "failing": (Amount("SHARE", f"a share of the chats {_SHARE}", 1.0, "0.2"),),
        "capacity": (Amount("SHARE", f"a share of its usual speed {_SHARE}", 1.0, "0.5"),),
    }
)
"""What stands after the names of these faults; after all others nothing does."""

_EVERY_SERVICE = {
    "hang": "accepts and never answers, /health included, until the fault ends; then the waiting requests are dropped",
    "refuse": "the listener is closed: connection refused",
    "500": "answers 500 Internal Server Error as text/plain",
}
BEHAVIOURS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "gateway": _EVERY_SERVICE,
        "switch": _EVERY_SERVICE
        | {
            "503": "answers chat with 503",
            "error": "answers chat with HTTP 200 and status error, without a reply",
            "partial": "answers chat with HTTP 200 and status partial",
            "empty": "answers chat with an empty reply and status ok",
            "html": "answers chat with HTTP 200 and a web page",
            "reset": "resets the connection instead of answering",
            "garbage": "answers with bytes that are not HTTP",
            "huge": "answers chat with 32 MiB of valid JSON",
        },
        "madre": _EVERY_SERVICE
        | {
            "waiting": "every plan waits for a confirmation",
            "error": "every plan ends with status ERROR, HTTP 200",
        },
    }
)
MODIFIERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "gateway": {"slow": "every answer takes SECONDS longer"},
        "switch": {
            "slow": "every chat blocks the switch for SECONDS, /health included",
            "lognormal": "every chat takes a drawn time longer, lognormal, beside the others: a model behind an API",
            "straggling": "that share of the chats, drawn, takes SECONDS longer, beside the others",
            "cold": "a chat blocks the switch for SECONDS longer, and each of the next CHATS for a little less: it warms up",
            "failing": "that share of the chats, drawn, is answered with 503",
            "capacity": "does what it does one at a time at that share of its speed: 0.5 takes twice as long",
            "unauthorised": "expects another token: everybody gets 401",
            "execute": "the executing lane is on: commands are answered as a shell would, but never run",
        },
        "madre": {
            "slow": "every chat takes SECONDS longer",
            "lognormal": "every chat takes a drawn time longer, lognormal",
            "straggling": "that share of the chats, drawn, takes SECONDS longer",
            "failing": "that share of the chats, drawn, is answered with 500",
            "capacity": "does her own work, one at a time, at that share of her speed: 0.5 takes twice as long",
            "detached": "does not ask the switch: answers with its own text in about 60 ms",
        },
    }
)
OK = "ok"


@dataclass(frozen=True, slots=True)
class Order:
    """One line of the grammar. ``fault`` is ``ok`` to clear all; ``amounts`` are the numbers that ``AMOUNTS`` says it needs."""

    service: str
    fault: str
    amounts: tuple[float, ...] = ()


def known(service: str) -> tuple[str, ...]:
    """The faults of a service as they are written."""
    return tuple(written(name) for name in (*BEHAVIOURS[service], *MODIFIERS[service]))


def written(name: str) -> str:
    """A fault with what it needs: ``slow:SECONDS``."""
    return ":".join((name, *(amount.name for amount in AMOUNTS.get(name, ()))))


def catalogue() -> dict[str, dict[str, str]]:
    """What exists, as it is written, and what it does, for people."""
    known_faults = {service: {**BEHAVIOURS[service], **MODIFIERS[service]} for service in SERVICES}
    return {service: {written(name): does for name, does in faults.items()} for service, faults in known_faults.items()}


def order(service: str, fault: str) -> Order:
    """``("switch", "slow:1.5")`` → an order; ValueError says what exists."""
    if service not in SERVICES:
        raise ValueError(f"no service {service!r}; there are: {', '.join(SERVICES)}")
    name, separator, rest = fault.strip().replace("=", ":", 1).partition(":")
    if name not in BEHAVIOURS[service] and name not in MODIFIERS[service] and name != OK:
        raise ValueError(f"{service} has no fault {name!r}; it has: {', '.join(known(service))}, or ok to clear")
    return Order(service, name, _amounts(name, rest if separator else None))


def parse(text: str) -> Order:
    """``switch=hang``, ``switch=slow:1.5`` or ``switch=ok`` → an order."""
    service, separator, fault = text.strip().partition("=")
    if not separator:
        raise ValueError(f"a fault is written SERVICE=FAULT, for example switch=hang, not {text!r}")
    return order(service.strip(), fault)


def _amounts(name: str, rest: str | None) -> tuple[float, ...]:
    """The numbers of ``rest``; None: nothing stood there."""
    wanted = AMOUNTS.get(name, ())
    if not wanted and rest is not None:
        raise ValueError(f"nothing stands after {name}; numbers do after {', '.join(map(written, AMOUNTS))}")
    numbers = tuple(_number(part) for part in rest.split(":")) if rest is not None else ()
    if len(numbers) != len(wanted) or not all(amount.takes(n) for amount, n in zip(wanted, numbers, strict=True)):
        example = ":".join((name, *(amount.example for amount in wanted)))
        needs = " and ".join(amount.said for amount in wanted)
        raise ValueError(f"{name} needs {needs}, for example {example}, not {rest or ''!r}")
    return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


class Faults:
    """The faults of one service that are on now, and what they draw."""

    def __init__(self, service: str, seed: int = 0) -> None:
        self.service = service
        self.behaviour: str | None = None
        self._luck = Luck(seed, service)
        self._modifiers: dict[str, tuple[float, ...]] = {}
        self._moved = asyncio.Event()
        self._warmed = 0  # chats since it was ordered to be cold

    def take(self, wanted: Order) -> None:
        if wanted.fault == OK:
            self.behaviour = None
            self._modifiers.clear()
        elif wanted.fault in BEHAVIOURS[self.service]:
            self.behaviour = wanted.fault
        else:
            self._modifiers[wanted.fault] = wanted.amounts
            self._warmed = 0 if wanted.fault == "cold" else self._warmed
        self._moved.set()
        self._moved = asyncio.Event()

    async def moved(self) -> None:
        """Returns at the next change."""
        await self._moved.wait()

    def __contains__(self, modifier: object) -> bool:
        return modifier in self._modifiers

    @property
    def slow(self) -> float:
        """Seconds that ``slow`` adds."""
        return self._modifiers.get("slow", (0.0,))[0]

    @property
    def capacity(self) -> float:
        """The share of its speed at which the service works, above 0 and at most 1."""
        return self._modifiers.get("capacity", (1.0,))[0]

    def draw_seconds(self) -> float:
        """How much longer this chat takes: drawn anew each time it is asked for."""
        usual, rare = self._modifiers.get("lognormal"), self._modifiers.get("straggling")
        seconds = self._luck.takes(*usual) if usual else 0.0
        return seconds + (rare[1] if rare and self._luck.straggles(rare[0]) else 0.0)

    def warm_up(self) -> float:
        """Seconds that ``cold`` adds to this chat: less each time it is asked for, and nothing in the end."""
        seconds, chats = self._modifiers.get("cold", (0.0, 1.0))
        self._warmed += 1
        return seconds * max(1 - (self._warmed - 1) / chats, 0.0)

    def draw_failure(self) -> bool:
        """Whether this chat fails: drawn anew each time it is asked for."""
        amounts = self._modifiers.get("failing")
        return self._luck.fails(*amounts) if amounts else False

    def names(self) -> list[str]:
        """As they would be written in an order."""
        behaviour = [self.behaviour] if self.behaviour else []
        return behaviour + [
            ":".join((name, *(f"{number:g}" for number in numbers))) for name, numbers in self._modifiers.items()
        ]
