"""Heads that differ from a judged one only in values that nobody here reads.

A client that names each of its requests (X-Request-Id, traceparent) never sends the same head twice, but all its heads have one *shape*:
that is the head less the values of its new lines, those that no judged head had. Where a value is left out and of which field is part of
the shape, so two heads of a shape have the same lines in the same order, up to the values left out; and these are of fields that are
neither looked at nor dropped. Whatever is true of one of the heads is true of the other, once the values are put in their places.

Lines and shapes are learnt from heads that went on, as ``heads`` remembers them, and are bounded as those are.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec.structs import replace

from sidecar.wire import request
from sidecar.wire.fields import TCHAR, VALUE
from sidecar.wire.generations import Generations
from sidecar.wire.head import Refused, Rules
from sidecar.wire.inventory import usage
from sidecar.wire.request import Request

MOST_LINES = 1_024  # that are known, of all heads
MOST_LEFT_OUT = 4  # values of a head; with more it is a head like no other, and all its lines are learnt

LINE = re.compile(rb"([" + TCHAR + rb"]++):" + VALUE + rb"*+")
COUNTED_BY = re.compile(rb"user-agent:", re.IGNORECASE)


class Shape(NamedTuple):
    """A judgement of which only ``raw`` and ``before`` are another head's: the latter is ``before % new_lines``."""

    judged: Request
    before: bytes


class Shapes:
    """Judges requests by one set of rules, and remembers their shapes."""

    __slots__ = ("_known", "_rules", "_shapes")

    def __init__(self, rules: Rules, most: int) -> None:
        self._rules = rules
        self._known: set[bytes] = set()
        self._shapes = Generations[Shape](most)

    def request(self, raw: bytes) -> Request | Refused:
        """As ``request.read`` judges it. ``raw`` is not longer than the rules allow."""
        known = self._known
        lines = raw.split(b"\r\n")
        new = [line for line in lines if line not in known]
        outline = _outline(lines, new)
        shape = self._shapes.get(outline) if outline else None
        if shape is not None:
            return replace(shape.judged, raw=raw, before=shape.before % tuple(new))
        judged = request.read(raw, self._rules)
        if isinstance(judged, Request):
            self._learn(judged, new, outline)
        return judged

    def _learn(self, judged: Request, new: list[bytes], outline: bytes) -> None:
        shape = _shape(judged, new, self._rules) if outline else None
        if shape is not None:
            self._shapes.put(outline, shape)
            return
        if len(self._known) + len(new) > MOST_LINES:
            self._known.clear()
        self._known.update(new)


def _outline(lines: list[bytes], new: list[bytes]) -> bytes:
    """What the heads of a shape have in common; empty: it has none. No line of a head begins with a colon, as these marks do."""
    if not 0 < len(new) <= MOST_LEFT_OUT:
        return b""
    for line in new:
        field = LINE.fullmatch(line)
        if field is None:
            return b""
        lines[lines.index(line)] = b":" + field[1]
    return b"\r\n".join(lines)


def _shape(judged: Request, new: list[bytes], rules: Rules) -> Shape | None:
    """None where a new line is one that is looked at, or does not go on because Connection names it."""
    before = judged.before
    pieces: list[bytes] = []
    at = 0
    for line in new:
        start = before.find(b"\r\n" + line + b"\r\n", at) + 2
        if start < 2 or rules.special.match(b"\r\n" + line) or COUNTED_BY.match(line):
            return None
        pieces.append(before[at:start].replace(b"%", b"%%"))
        at = start + len(line)
    pieces.append(before[at:].replace(b"%", b"%%"))
    kept = replace(judged)
    usage(kept)
    return Shape(kept, b"%b".join(pieces))
