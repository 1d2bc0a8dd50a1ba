"""What is printed: pure, from results to text or JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sidecar.doctor.checklist import Point, points
from sidecar.doctor.result import State, Told

WELL, UNWELL = 0, 1
STATES: tuple[State, ...] = ("ok", "warn", "fail", "skipped")
_COLOURS = {"ok": "32", "warn": "33", "fail": "31", "skipped": "2"}
_WORD, _NAME = 7, 17  # columns of the state and of the check


class Look(NamedTuple):
    """``width`` in columns; ``plain``: ASCII alone."""

    width: int = 100
    colour: bool = False
    plain: bool = False


def verdict(told: Sequence[Told]) -> int:
    """The exit code."""
    return UNWELL if any(each.result.state == "fail" for each in told) else WELL


def as_json(told: Sequence[Told], seconds: float) -> str:
    count = _count(told)
    summary: dict[str, object] = {state: count[state] for state in STATES}
    whole: dict[str, object] = {
        "checks": [_plain(each) for each in told],
        "checklist": [point._asdict() for point in points(told)],
        "summary": {**summary, "seconds": round(seconds, 3)},
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def as_text(told: Sequence[Told], seconds: float, look: Look) -> str:
    lines = [line for each in told for line in _check(each, look)]
    found = points(told)
    if found:
        lines += ["", "VX11's deployment checklist"]
        for point in found:
            lines += _line(point.state, "", _point(point), look)
            lines += _more("unseen", point.unseen, look) if point.unseen else []
    lines += ["", _summary(told, seconds)]
    text = "\n".join(lines) + "\n"
    return text.encode("ascii", "replace").decode() if look.plain else text


def _plain(told: Told) -> dict[str, object]:
    return {"check": told.check, **told.result._asdict(), "seconds": round(told.seconds, 3)}


def _point(point: Point) -> str:
    silent = f"; skipped: {', '.join(point.skipped)}" if point.skipped and point.state != "skipped" else ""
    return f"{point.text} ({', '.join(point.checks)}{silent})"


def _check(told: Told, look: Look) -> Iterator[str]:
    yield from _line(told.result.state, told.check, told.result.seen, look)
    if told.result.cause:
        yield from _more("cause", told.result.cause, look)
        yield from _more("remedy", told.result.remedy, look)


def _line(state: State, name: str, said: str, look: Look) -> list[str]:
    """The state stands as a word, so that nothing hangs on a colour."""
    head = f"{state:<{_WORD}} " + (f"{name:<{_NAME}} " if name else "")
    first, *rest = _wrapped(said, look, head, " " * (_WORD + 1 + (_NAME + 1 if name else 0)))
    painted = f"\x1b[{_COLOURS[state]}m{state}\x1b[0m" + first[len(state) :] if look.colour else first
    return [painted, *rest]


def _more(word: str, said: str, look: Look) -> list[str]:
    indent = " " * (_WORD + 1)
    return _wrapped(said, look, f"{indent}{word:<7} ", indent + " " * 8)


def _wrapped(said: str, look: Look, first: str, indent: str) -> list[str]:
    plain = "".join(character if character.isprintable() else "\ufffd" for character in said)
    return textwrap.wrap(
        plain,
        look.width,
        initial_indent=first,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _count(told: Sequence[Told]) -> Counter[str]:
    return Counter(each.result.state for each in told)


def _summary(told: Sequence[Told], seconds: float) -> str:
    count = _count(told)
    parts = ", ".join(f"{count[state]} {state}" for state in STATES if count[state])
    return f"{len(told)} check{'s' * (len(told) != 1)} in {seconds:.1f} s: {parts}"
