"""Heads that differ from a judged one only in what the judgement does not hang on.

A client that names each of its requests (X-Request-Id, traceparent) never sends the same head twice, nor does a gateway that names its
answers or the second of each, but all these heads have one *shape*: that is the head less what its new lines say, those that no judged
head had. What may be left out (``LEFT_OUT``) is the value of a field, a length other than nought, and a query. Which of them, where and
of which field is part of the shape, so two heads of a shape have the same lines in the same order, up to what is left out; and that is
neither looked at nor dropped. Whatever is true of one of the heads is true of the other, once the lines are put in their places.

A query is not left out where it may hold a token (``auth.sources``): whose request it is would then pass from one head to the next.

Lines and shapes are learnt from heads that went on, as ``heads`` remembers them, and are bounded as those are.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeVar

from sidecar.wire import request, response
from sidecar.wire.body import BY_LENGTH
from sidecar.wire.fields import TCHAR, VALUE
from sidecar.wire.generations import Generations
from sidecar.wire.head import Refused, Rules
from sidecar.wire.inventory import usage
from sidecar.wire.request import Request
from sidecar.wire.response import Response

MOST_LINES = 1_024  # that are known, of all heads
MOST_LEFT_OUT = 4  # lines of a head; with more it is a head like no other, and all its lines are learnt

CONTENT_LENGTH = b"content-length:"
QUERY = rb"([" + TCHAR + rb"]++ /[\x21\x22\x24-\x3e\x40-\x7e\x80-\xff]*+\?)[\x21\x22\x24-\x7e\x80-\xff]*+ HTTP/1\.1"
LENGTH = rb"((?i:content-length)):[\t ]*+[1-9][0-9]{0,17}+[\t ]*+"
FIELD = rb"((?!(?i:content-length):)[" + TCHAR + rb"]++):" + VALUE + rb"*+"
LEFT_OUT = re.compile(b"|".join((FIELD, LENGTH, QUERY)))
COUNTED_BY = re.compile(rb"user-agent:", re.IGNORECASE)

Judged = TypeVar("Judged", bound=Request | Response)


class Shape(NamedTuple, Generic[Judged]):
    """A judgement of which only this is another head's: ``text % new_lines``, and what these lines say.

    ``length_at`` is the place of the one that states the length, -1 if none does; ``aimed`` says whether the first has a query.
    """

    judged: Judged
    text: bytes
    length_at: int
    aimed: bool

    def length(self, new: list[bytes]) -> int:
        return self.judged.length if self.length_at < 0 else int(new[self.length_at][len(CONTENT_LENGTH) :])


class Shapes(ABC, Generic[Judged]):
    """Judges heads by one set of rules, and remembers their shapes."""

    __slots__ = ("_known", "_rules", "_shapes")

    def __init__(self, rules: Rules, most: int) -> None:
        self._rules = rules
        self._known: set[bytes] = set()
        self._shapes = Generations[Shape[Judged]](most)

    @abstractmethod
    def _read(self, raw: bytes) -> Judged | Refused:
        """Judge a head of which nothing is remembered."""

    @abstractmethod
    def _filled(self, shape: Shape[Judged], raw: bytes, new: list[bytes]) -> Judged:
        """The judgement of another head of this shape."""

    @abstractmethod
    def _shape(self, judged: Judged, new: list[bytes]) -> Shape[Judged] | None:
        """None where a new line is one that the judgement hangs on, or that does not go on."""

    def judge(self, raw: bytes) -> Judged | Refused:
        """As the judge of these heads judges it. ``raw`` is not longer than the rules allow."""
        known = self._known
        lines = raw.split(b"\r\n")
        new = [line for line in lines if line not in known]
        outline = _outline(lines, new)
        shape = self._shapes.get(outline) if outline else None
        if shape is not None:
            return self._filled(shape, raw, new)
        judged = self._read(raw)
        if not isinstance(judged, Refused):
            self._learn(judged, new, outline)
        return judged

    def _learn(self, judged: Judged, new: list[bytes], outline: bytes) -> None:
        shape = self._shape(judged, new) if outline else None
        if shape is not None:
            self._shapes.put(outline, shape)
            return
        if len(self._known) + len(new) > MOST_LINES:
            self._known.clear()
        self._known.update(new)


class RequestShapes(Shapes[Request]):
    """As ``request.read`` judges them."""

    __slots__ = ()

    def _read(self, raw: bytes) -> Request | Refused:
        return request.read(raw, self._rules)

    def _filled(self, shape: Shape[Request], raw: bytes, new: list[bytes]) -> Request:
        judged = shape.judged
        before = shape.text % tuple(new)
        if shape.length_at < 0 and not shape.aimed:  # as nearly always
            return judged.like(raw, judged.target, judged.length, before)
        start = len(judged.method) + 1
        target = before[start : before.index(b" ", start)]
        return judged.like(raw, target, shape.length(new), before)

    def _shape(self, judged: Request, new: list[bytes]) -> Shape[Request] | None:
        if any(COUNTED_BY.match(line) for line in new):
            return None
        shape = _with_places(
            judged.like(judged.raw, judged.target, judged.length, judged.before),
            judged.before,
            new,
            self._rules.special,
        )
        if shape is None or (shape.aimed and "query" in self._rules.sources):
            return None
        usage(shape.judged)
        return shape


class ResponseShapes(Shapes[Response]):
    """As ``response.read`` judges them, for whatever is asked but HEAD."""

    __slots__ = ()

    def _read(self, raw: bytes) -> Response | Refused:
        return response.read(raw, b"GET", self._rules)

    def _filled(self, shape: Shape[Response], raw: bytes, new: list[bytes]) -> Response:
        del raw
        return shape.judged.like(shape.text % tuple(new), shape.length(new))

    def _shape(self, judged: Response, new: list[bytes]) -> Shape[Response] | None:
        return _with_places(judged, judged.head, new, response.WEIGHED)


def _outline(lines: list[bytes], new: list[bytes]) -> bytes:
    """What the heads of a shape have in common; empty: it has none. No line of a head begins with a colon, as these marks do."""
    if not 0 < len(new) <= MOST_LEFT_OUT:
        return b""
    for line in new:
        left_out = LEFT_OUT.fullmatch(line)
        if left_out is None:
            return b""
        lines[lines.index(line)] = b":" + left_out[left_out.lastindex or 0]
    return b"\r\n".join(lines)


def _with_places(judged: Judged, text: bytes, new: list[bytes], weighed: re.Pattern[bytes]) -> Shape[Judged] | None:
    """``text`` goes on, and has the new lines in it. What is ``weighed`` says something to the judge, and so has no place in a shape."""
    text = b"\r\n" + text
    pieces: list[bytes] = []
    at, length_at = 0, -1
    for place, line in enumerate(new):
        start = text.find(b"\r\n" + line + b"\r\n", at) + 2
        if start < 2:
            return None
        if line[: len(CONTENT_LENGTH)].lower() == CONTENT_LENGTH and judged.framing == BY_LENGTH:
            length_at = place
        elif weighed.match(b"\r\n" + line):
            return None
        pieces.append(text[at:start].replace(b"%", b"%%"))
        at = start + len(line)
    pieces.append(text[at:].replace(b"%", b"%%"))
    return Shape(judged, b"%b".join(pieces)[2:], length_at, aimed=pieces[0] == b"\r\n")
