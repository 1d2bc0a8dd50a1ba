"""The workers of one sidecar, as each of them knows the others: where everybody can be asked, and the same question to all at once.

Who asks has shown at the port that it may; what showed it goes along, and each worker judges it again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from sidecar.core.vocabulary import ErrorKind
from sidecar.edge.chat.pool import Pool
from sidecar.edge.settings import Address

LOOKS = (0.0, 2.0)  # seconds after it is introduced at which a late worker looks how the others stand
PATIENCE = 2.0  # seconds for an answer: whoever needs longer hangs, and the others' answers are worth more

_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_KIND = re.compile(rb"\r\ncontent-type:[ \t]*([!-~][ -~]*)", re.IGNORECASE)


class Told(NamedTuple):
    """What one worker answered."""

    status: int
    kind: str
    content: bytes


class Answers(NamedTuple):
    """``told`` by worker in the order of numbers; ``silent`` are those who are there and did not answer."""

    told: dict[int, Told]
    silent: tuple[int, ...]


class Colleagues:
    """``number`` is ours; ``workers`` says how many there are to be, ``desks`` where those can be asked who serve, ourselves included."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.workers = 1
        self.desks: dict[int, Address] = {}
        self._pool: Pool | None = None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    async def ask(self, method: str, target: str, fields: Mapping[str, str], body: bytes = b"") -> Answers:
        """Ask all of them. ``fields`` come from a request; one that no field can hold is left out."""
        asked = {number: self.desks[number] for number in sorted(self.desks)}
        message = _message(method, target, fields, body)
        answers = await asyncio.gather(*(self._ask(place, method, message) for place in asked.values()))
        told = {number: answer for number, answer in zip(asked, answers, strict=True) if answer is not None}
        return Answers(told, tuple(number for number in asked if number not in told))

    async def catch_up(self, fields: Mapping[str, str], follow: Callable[[Mapping[str, Any]], None]) -> None:
        """Let ``follow`` take over how another one stands; twice, for an order may have been under way while we were introduced."""
        for rests in LOOKS:
            await asyncio.sleep(rests)
            told = (await self.ask("GET", "/state", fields)).told
            state = next(
                (each.content for number, each in told.items() if number != self.number and each.status == 200), None
            )
            if state is not None:
                follow(orjson.loads(state))

    async def _ask(self, place: Address, method: str, message: bytes) -> Told | None:
        self._pool = self._pool or Pool()
        heard = await self._pool.ask(place, method.encode(), message, PATIENCE, PATIENCE)
        if isinstance(heard, ErrorKind):
            return None
        kind = _KIND.search(heard.head)
        return Told(heard.status, kind[1].decode() if kind else "", heard.content)


def _message(method: str, target: str, fields: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1".encode("utf-8", "surrogateescape")]
    for name, value in fields.items():
        sent = value.encode("utf-8", "surrogateescape")
        if _VALUE.fullmatch(sent):
            lines.append(name.encode() + b": " + sent)
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])
