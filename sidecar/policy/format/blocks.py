"""A policy file in pieces that can be moved: sections of entries, and each entry with the comments that travel with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidecar.policy.problem import Place


@dataclass(slots=True)
class Scalar:
    """One value: ``text`` as the file writes it, ``value`` what it says, ``style`` None (plain) or what opens it."""

    text: str
    value: str
    style: str | None = None
    lines: tuple[str, ...] = ()
    """Of a block scalar (``|`` or ``>``): its content without its indentation; ``text`` is what opens it."""


@dataclass(slots=True)
class Flow:
    """A list or mapping in brackets. ``loose``: it has comments or values of several lines in it, and stays as written."""

    mapping: bool
    entries: list[Entry] = field(default_factory=list)
    raw: str | None = None
    column: int = 0
    loose: bool = False


@dataclass(slots=True)
class Block:
    """A mapping or list with a line for each entry. ``foot``: comments below its last entry."""

    mapping: bool
    entries: list[Entry] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)


Value = Scalar | Flow | Block
NOWHERE = Place("", 1, 1)


@dataclass(slots=True)
class Entry:
    """One key with its value, or one item of a list (``key`` None), and the comments that travel with it.

    ``above`` holds comments, and "" for blank lines; ``gap`` is where the comment beside begins, counted from the entry.
    """

    key: str | None
    value: Value
    written: str = ""
    above: list[str] = field(default_factory=list)
    beside: str = ""
    gap: int = 0
    place: Place = NOWHERE
    column: int = 0


@dataclass(slots=True)
class Document:
    """A file: ``root`` is the entry without a key that holds the whole; None in a file that states nothing.

    ``head`` is what is said of the file at its top, ``foot`` what stands below everything.
    """

    head: list[str]
    root: Entry | None
    foot: list[str]
