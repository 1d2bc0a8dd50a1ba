"""Heads that were judged before, remembered byte for byte.

Clients repeat themselves: the same program asks for the same thing with the same fields, and within a second the gateway answers with
the same head. A judgement depends on nothing but the bytes and the rules, so a remembered one is no approximation: it is the judgement.
The key is the whole head as it came; one byte more or less is another head. Another policy has other rules, and so an empty memory.

Remembered is what goes on. What is refused is judged anew each time: nobody gets to fill the memory with noise that costs nothing to make.
The memory is bounded in heads and in bytes, and forgets a generation at a time: what was used within the last ``most`` different heads is
there, what was not for twice as many is gone, and no order is kept of single uses.

A head may hold a token, and stays in memory until it is forgotten, as the tokens themselves do. To find it by guessing is as hard as
to guess all of it: bytes are compared only after their keyed hashes are equal.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from sidecar.wire import request, response
from sidecar.wire.head import Refused, Rules
from sidecar.wire.request import Request
from sidecar.wire.response import Response

Known = TypeVar("Known")

MOST = 256  # heads of a generation, of each kind
LONGEST = 2_048  # bytes of a head that is remembered


class Generations(Generic[Known]):
    """A bounded memory: two dicts, of which the older is dropped when the younger is full."""

    __slots__ = ("_most", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}

    def __len__(self) -> int:
        """Entries; one that is in both generations counts twice."""
        return len(self._young) + len(self._old)

    def get(self, key: bytes) -> Known | None:
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key)
            if known is not None:
                self.put(key, known)
        return known

    def put(self, key: bytes, known: Known) -> None:
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = known


class Heads:
    """Judges heads by one set of rules, and remembers those that go on."""

    __slots__ = ("_requests", "_responses", "rules")

    def __init__(self, rules: Rules, most: int = MOST) -> None:
        self.rules = rules
        self._requests = Generations[Request](most)
        self._responses = Generations[Response](most)

    def request(self, raw: bytes) -> Request | Refused:
        """As ``request.read`` judges it."""
        known = self._requests.get(raw)
        if known is not None:
            return known
        judged = request.read(raw, self.rules)
        if isinstance(judged, Request) and len(raw) <= LONGEST:
            self._requests.put(raw, judged)
        return judged

    def response(self, raw: bytes, method: bytes) -> Response | Refused:
        """As ``response.read`` judges it. What answers a HEAD reads otherwise than the same bytes after a GET, and is judged each time."""
        if method == b"HEAD":
            return response.read(raw, method, self.rules)
        known = self._responses.get(raw)
        if known is not None:
            return known
        judged = response.read(raw, method, self.rules)
        if isinstance(judged, Response) and len(raw) <= LONGEST:
            self._responses.put(raw, judged)
        return judged
