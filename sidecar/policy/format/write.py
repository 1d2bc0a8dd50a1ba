"""A policy in pieces becomes text again, in the style of ``policies/default.yaml``.

Two spaces a level, one after a colon, a dash below its key and two further in; at most one blank line at a time. Text needs no
quotes where every reader of YAML takes it for the same text, and has double ones where it does. What was in brackets stays in
brackets, on one line if it fits and has no comments. A comment beside a value stays in its column where it can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from sidecar.policy.format.blocks import Block, Document, Entry, Flow, Scalar, Value

WIDTH = 120
_PLAIN = re.compile(
    r"[0-9]{1,9}(?:\.[0-9]{1,4})?(?:ms|s|m|h|B|KiB|MiB|GiB|%)"  # a quantity
    r"|[1-9][0-9]* per [0-9.]+(?:ms|s|m|h)"
    r"|(?!(?i:y|n|yes|no|on|off|true|false|null)$)[A-Za-z/](?:[A-Za-z0-9_./*-]|:(?=[A-Za-z0-9/]))*"  # a word, a path, an origin
)


def write(document: Document) -> str:
    """The text of ``document``, which is arranged."""
    writer = _Writer()
    writer.comments(document.head, 0)
    root = document.root
    if root is not None and isinstance(root.value, Block):
        writer.block(root.value, 0)
    elif root is not None:
        writer.comments(root.above, 0)
        writer.entry(root, "", 0)
    writer.comments(document.foot, 0)
    return "\n".join([*writer.lines, ""]) if writer.lines else ""


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.joins = True  # a blank line here would be lost at the top of a section, or become part of the value above

    def comments(self, above: Iterable[str], indent: int) -> None:
        for comment in above:
            if comment:
                self.put(" " * indent + comment)
            elif not self.joins and self.lines[-1]:
                self.lines.append("")

    def put(self, line: str) -> None:
        self.lines.append(line)
        self.joins = False

    def block(self, block: Block, indent: int) -> None:
        self.joins = True
        for entry in block.entries:
            self.comments(entry.above, indent)
            self.entry(entry, "-" if entry.key is None else f"{_key(entry)}:", indent)
        self.comments(block.foot, indent)

    def entry(self, entry: Entry, lead: str, indent: int) -> None:
        value = entry.value
        if not isinstance(value, Block):
            self.inline(entry, value, lead, indent)
        elif entry.key is not None:
            self.put(_beside(" " * indent + lead, entry, indent))
            self.block(value, indent + 2)
        else:
            self.comments(_lifted(value), indent)
            at = len(self.lines)
            self.block(value, indent + 2)
            self.lines[at] = " " * indent + "- " + self.lines[at][indent + 2 :]

    def inline(self, entry: Entry, value: Scalar | Flow, lead: str, indent: int) -> None:
        """A value in one piece, with what leads to it."""
        literal = isinstance(value, Scalar) and value.style in ("|", ">")
        texts = _lines(value, len(lead), indent, entry.column)
        lines = [" " * indent + f"{lead} {texts[0]}".lstrip(), *texts[1:]]
        beside = 0 if literal else -1
        lines[beside] = _beside(lines[beside], entry, indent)
        for line in lines:
            self.put(line)
        self.joins = literal and "+" in texts[0]


def _beside(line: str, entry: Entry, indent: int) -> str:
    return f"{line:<{max(indent + entry.gap, len(line) + 2)}}{entry.beside}" if entry.beside else line


def _lifted(block: Block) -> list[str]:
    """Take the comments above the first entry of an item: in the line of its dash there is no room for them."""
    first = block.entries[0]
    above, first.above = [comment for comment in first.above if comment], []
    return above + (_lifted(first.value) if first.key is None and isinstance(first.value, Block) else [])


def _lines(value: Scalar | Flow, lead: int, indent: int, column: int) -> list[str]:
    if isinstance(value, Flow):
        return _flow_lines(value, lead, indent, column)
    return _scalar_lines(value, indent)


def _flow_lines(flow: Flow, lead: int, indent: int, column: int) -> list[str]:
    raw = None if flow.raw is None else flow.raw.split("\n")
    text = None if flow.loose else _inside(flow)
    if text is not None and (raw is None or len(raw) == 1 or indent + lead + 1 + len(text) <= WIDTH):
        return [text]
    assert raw is not None  # noqa: S101 - only what has no comments in it is ever written anew
    return [raw[0], *(_moved(line, indent - column) for line in raw[1:])]


def _moved(line: str, by: int) -> str:
    bare = line.lstrip(" ")
    return " " * max(len(line) - len(bare) + by, 0) + bare if bare.strip() else ""


def _inside(value: Value) -> str:
    """A value within brackets, in one line."""
    if isinstance(value, Scalar):
        return _text(value)
    assert isinstance(value, Flow)  # noqa: S101 - brackets hold no blocks
    if value.mapping:
        return "{" + ", ".join(f"{_key(entry)}: {_inside(entry.value)}" for entry in value.entries) + "}"
    return "[" + ", ".join(_inside(entry.value) for entry in value.entries) + "]"


def _scalar_lines(scalar: Scalar, indent: int) -> list[str]:
    pad = " " * (indent + 2)
    if scalar.style in ("|", ">"):
        opening = re.sub("[1-9]", "2", scalar.text)
        return [opening, *(pad + line if line else "" for line in scalar.lines)]
    first, *rest = scalar.text.split("\n")
    if rest:
        return [first, *(pad + bare if (bare := line.lstrip(" \t")) else "" for line in rest)]
    return [_text(scalar)]


def _text(scalar: Scalar) -> str:
    """A scalar of one line in its canonical quotes."""
    if scalar.style is None or _PLAIN.fullmatch(scalar.value):
        return scalar.text if scalar.style is None else scalar.value
    bare = scalar.style == "'" and scalar.value.isprintable() and not set(scalar.value) & {'"', "\\"}
    return f'"{scalar.value}"' if bare else scalar.text


def _key(entry: Entry) -> str:
    key, style = str(entry.key), entry.written[:1]
    if style in ("|", ">") or "\n" in entry.written:
        return key if _PLAIN.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return _text(Scalar(entry.written, key, style if style in ("'", '"') else None))
