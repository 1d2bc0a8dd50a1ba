"""What can go wrong on demand, per service, and the small grammar in which it is asked for.

``switch=hang``, ``switch=slow:1.5``, ``switch=ok``. A service shows one *behaviour* at a time (a hung switch cannot
also send garbage), so a new one replaces the old; *modifiers* (slow, execute, ...) come on top of anything. The
settings are changed while requests are being served: who waits for a fault to end, waits for ``moved``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SERVICES = ("gateway", "switch", "madre")

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
            "unauthorised": "expects another token: everybody gets 401",
            "execute": "the executing lane is on: commands are answered as a shell would, but never run",
        },
        "madre": {
            "slow": "every chat takes SECONDS longer",
            "detached": "does not ask the switch: answers with its own text in about 60 ms",
        },
    }
)
OK = "ok"
LONGEST_SLOW = 3600.0


@dataclass(frozen=True, slots=True)
class Order:
    """One line of the grammar. ``fault`` is ``ok`` to clear all; ``seconds`` is set for ``slow`` only."""

    service: str
    fault: str
    seconds: float = 0.0


def known(service: str) -> tuple[str, ...]:
    """The faults of a service as they are written."""
    names = (*BEHAVIOURS[service], *MODIFIERS[service])
    return tuple("slow:SECONDS" if name == "slow" else name for name in names)


def catalogue() -> dict[str, dict[str, str]]:
    """What exists and what it does, for people."""
    return {service: {**BEHAVIOURS[service], **MODIFIERS[service]} for service in SERVICES}


def order(service: str, fault: str) -> Order:
    """``("switch", "slow:1.5")`` → an order; ValueError says what exists."""
    if service not in SERVICES:
        raise ValueError(f"no service {service!r}; there are: {', '.join(SERVICES)}")
    name, separator, amount = fault.strip().replace("=", ":", 1).partition(":")
    if name not in BEHAVIOURS[service] and name not in MODIFIERS[service] and name != OK:
        raise ValueError(f"{service} has no fault {name!r}; it has: {', '.join(known(service))}, or ok to clear")
    if name != "slow":
        if separator:
            raise ValueError(f"{name} takes no seconds, only slow:SECONDS does")
        return Order(service, name)
    return Order(service, name, _seconds(amount))


def parse(text: str) -> Order:
    """``switch=hang``, ``switch=slow:1.5`` or ``switch=ok`` → an order."""
    service, separator, fault = text.strip().partition("=")
    if not separator:
        raise ValueError(f"a fault is written SERVICE=FAULT, for example switch=hang, not {text!r}")
    return order(service.strip(), fault)


def _seconds(amount: str) -> float:
    try:
        seconds = float(amount)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_SLOW:
        raise ValueError(
            f"slow needs seconds above 0 and at most {LONGEST_SLOW:.0f}, for example slow:1.5, not {amount!r}"
        )
    return seconds


class Faults:
    """The faults of one service that are on now."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.behaviour: str | None = None
        self._modifiers: dict[str, float] = {}
        self._moved = asyncio.Event()

    def take(self, wanted: Order) -> None:
        if wanted.fault == OK:
            self.behaviour = None
            self._modifiers.clear()
        elif wanted.fault in BEHAVIOURS[self.service]:
            self.behaviour = wanted.fault
        else:
            self._modifiers[wanted.fault] = wanted.seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def moved(self) -> None:
        """Returns at the next change."""
        await self._moved.wait()

    def __contains__(self, modifier: object) -> bool:
        return modifier in self._modifiers

    @property
    def slow(self) -> float:
        return self._modifiers.get("slow", 0.0)

    def names(self) -> list[str]:
        """As they would be written in an order."""
        behaviour = [self.behaviour] if self.behaviour else []
        return behaviour + [f"{name}:{value:g}" if name == "slow" else name for name, value in self._modifiers.items()]
