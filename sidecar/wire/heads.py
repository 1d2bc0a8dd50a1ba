"""Heads that were judged before, remembered byte for byte.

Clients repeat themselves: the same program asks for the same thing with the same fields, and within a second the gateway answers with
the same head. A judgement depends on nothing but the bytes and the rules, so a remembered one is no approximation: it is the judgement.
The key is the whole head as it came; one byte more or less is another head. Another policy has other rules, and so an empty memory.
Heads that differ only in a query, a length or the values of a few ordinary fields, as where each has a name of its own, are known by their
``shapes``.

Remembered is what goes on. What is refused is judged anew each time: nobody gets to fill the memory with noise that costs nothing to make.
The memory is bounded in heads and in bytes, and forgets a generation at a time: what was used within the last ``most`` different heads is
there, what was not for twice as many is gone, and no order is kept of single uses.

A head may hold a token, and stays in memory until it is forgotten, as the tokens themselves do. To find it by guessing is as hard as
to guess all of it: bytes are compared only after their keyed hashes are equal.
"""

from __future__ import annotations

from sidecar.wire import request, response
from sidecar.wire.generations import Generations
from sidecar.wire.head import Refused, Rules
from sidecar.wire.request import Request
from sidecar.wire.response import Response
from sidecar.wire.shapes import RequestShapes, ResponseShapes

MOST = 256  # heads of a generation, of each kind
LONGEST = 2_048  # bytes of a head that is remembered


class Heads:
    """Judges heads by one set of rules, and remembers those that go on."""

    __slots__ = ("_longest", "_request_shapes", "_requests", "_response_shapes", "_responses", "rules")

    def __init__(self, rules: Rules, most: int = MOST) -> None:
        self.rules = rules
        self._longest = min(rules.longest, LONGEST)
        self._request_shapes = RequestShapes(rules, most)
        self._response_shapes = ResponseShapes(rules, most)
        self._requests = Generations[Request](most)
        self._responses = Generations[Response](most)

    def request(self, raw: bytes) -> Request | Refused:
        """As ``request.read`` judges it."""
        known = self._requests.young.get(raw) or self._requests.get(raw)
        if known is not None:
            return known
        if len(raw) > self._longest:
            return request.read(raw, self.rules)
        judged = self._request_shapes.judge(raw)
        if isinstance(judged, Request):
            self._requests.put(raw, judged)
        return judged

    def response(self, raw: bytes, method: bytes) -> Response | Refused:
        """As ``response.read`` judges it. What answers a HEAD reads otherwise than the same bytes after a GET, and is judged each time."""
        if method == b"HEAD":
            return response.read(raw, method, self.rules)
        known = self._responses.young.get(raw) or self._responses.get(raw)
        if known is not None:
            return known
        if len(raw) > LONGEST:
            return response.read(raw, method, self.rules)
        judged = self._response_shapes.judge(raw)
        if isinstance(judged, Response):
            self._responses.put(raw, judged)
        return judged
