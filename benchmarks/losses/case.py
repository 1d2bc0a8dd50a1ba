"""What a case is: what is done to a sidecar, what came of it as figures, what is claimed of them, and the row that tells them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.losses.stage import Stage

Figures = Mapping[str, float]
"""What a case came to, by name; the end of the name is the unit."""


class Claim(NamedTuple):
    """What must hold of the figures, in words and as code."""

    words: str
    holds: Callable[[Figures], bool]


class Told(NamedTuple):
    """The middle of a row: what was lost, what the sidecar said of it, and how long it took to recover."""

    lost: str
    said: str
    recovered: str


class Case(NamedTuple):
    """``done`` says what is done, with the figures that it takes; ``brief`` whether the tests play it, in its short form."""

    name: str
    done: Callable[[Figures], str]
    play: Callable[[Stage], Awaitable[Figures]]
    tell: Callable[[Figures], Told]
    claims: tuple[Claim, ...]
    brief: bool = True

    def broken(self, found: Figures) -> list[str]:
        return [claim.words for claim in self.claims if not claim.holds(found)]

    def row(self, found: Figures) -> tuple[str, ...]:
        broken = self.broken(found)
        verdict = "BROKEN: " + "; ".join(broken) if broken else "holds"
        return (self.name, self.done(found), *self.tell(found), verdict)


HEAD = ("case", "what was done", "lost", "said", "recovered after", "verdict")


def times(count: float) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(round(count), f"{count:.0f} times")


def none(name: str, words: str) -> Claim:
    return Claim(words, lambda it: it[name] == 0)


def exactly(name: str, count: float, words: str) -> Claim:
    return Claim(words, lambda it: it[name] == count)


def within(name: str, most: float, words: str) -> Claim:
    return Claim(words, lambda it: it[name] <= most)


def markdown(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The table as the documents have it; cells in one line each."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|---" * len(HEAD) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
