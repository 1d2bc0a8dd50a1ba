"""A policy file as it is laid out: every key with its value as written and the comments and blank lines that belong to it.

The values are ``source``'s business; here only their text counts, which nothing reads as a number or a truth. What stands
between two values (a gap) can hold nothing but white space, comments and signs of YAML, so every comment is found there:

* beside a key or value, it belongs to that;
* above a key, it belongs to that key, with the blank lines between;
* below the last key of a section and indented like it or deeper, it is the foot of that section;
* between a key and its value in the next line, it goes above the key; between a dash and what follows, above the dash.

A list or mapping in brackets is one value, with whatever comments are in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.policy.format.blocks import Block, Document, Entry, Flow, Scalar, Value
from sidecar.policy.problem import Place, PolicyError, Problem

COMMENT = re.compile("#[^\n]*")
_DOUBTFUL = re.compile("[\x85\u2028\u2029\ufeff]")
_MODELINE = re.compile(r"#\s*(?:yaml-language-server|vim?)\s*:")


def layout(text: str, name: str) -> Document:
    """Take ``text`` apart, which ``source.read`` has found to be good. Raises PolicyError for characters nobody agrees about."""
    text = one_break(text)
    doubtful = _DOUBTFUL.search(text)
    if doubtful:
        before = text[: doubtful.start()]
        place = Place(name, before.count("\n") + 1, len(before) - before.rfind("\n"))
        words = f"U+{ord(doubtful[0]):04X} ends a line for some readers and not for others: delete it, or write it as \\u in double quotes"
        raise PolicyError([Problem(*place, "", words)])
    return _Layout(text, name).document()


def one_break(text: str) -> str:
    """``text`` with one kind of line end, and without a byte order mark."""
    return re.sub("\r\n?", "\n", text.removeprefix("\ufeff"))


def comments(text: str) -> list[str]:
    """The texts of all comments, found without looking at what they belong to."""
    text = one_break(text)
    found, at = [], 0
    for event in _events(text):
        if type(event).__name__ == "ScalarEvent":
            start = event.start_mark.index
            found += COMMENT.findall(text[at:start])
            if event.style in ("|", ">"):
                found += COMMENT.findall(text[start : _line_end(text, start)])
            at = event.end_mark.index
    return [comment.rstrip() for comment in (*found, *COMMENT.findall(text[at:]))]


def _events(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML  # noqa: PLC0415 - only who formats needs it

    return iter(YAML(typ="safe", pure=True).parse(text))


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


class _Layout:
    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.events = _events(text)
        self.at = 0  # everything before is taken
        self.last: Entry | None = None  # to which a comment beside it would belong
        self.closed: list[tuple[int, Block]] = []  # blocks that ended since then, innermost first, with their columns

    def document(self) -> Document:
        next(self.events)
        root = None
        if hasattr(next(self.events), "version") and not _is_empty(event := next(self.events)):
            mark = event.start_mark
            root = Entry(None, Scalar("", ""), place=Place(self.name, mark.line + 1, mark.column + 1))
            if not _is_block(event):
                root.above = self._above(event.start_mark.index, 0)
                self.last = root
            root.value = self._value(event, -1)
        foot = self._above(len(self.text), -1)
        while foot and not foot[-1]:
            foot.pop()
        head = _head(root.value.entries[0]) if root is not None and isinstance(root.value, Block) else []
        return Document(head, root, foot)

    def _value(self, event: Any, outside: int) -> Value:
        """The value that ``event`` begins, within a block at column ``outside``."""
        kind = type(event).__name__
        if not _is_block(event):
            return self._flow(event) if kind.endswith("StartEvent") else self._scalar(event, outside)
        block = Block(kind == "MappingStartEvent")
        column = event.start_mark.column
        while not type(event := next(self.events)).__name__.endswith("EndEvent"):
            block.entries.append(self._pair(event, column) if block.mapping else self._item(event, column))
        self.closed.append((max(column, outside + 1), block))  # a list may be indented like the key it belongs to
        return block

    def _pair(self, event: Any, column: int) -> Entry:
        above = self._above(event.start_mark.index, column)
        entry = self._entry(event, column, above)
        entry.key, entry.written = event.value, self.text[event.start_mark.index : event.end_mark.index]
        self.at = event.end_mark.index
        self._fill(entry, next(self.events))
        return entry

    def _item(self, event: Any, column: int) -> Entry:
        start = event.start_mark.index
        gap = COMMENT.sub(lambda found: " " * len(found[0]), self.text[self.at : start])
        dash = self.at + gap.index("-")
        above = self._above(dash, column)
        entry = self._entry(event, column, above)
        self.at = dash + 1
        self._fill(entry, event)
        return entry

    def _entry(self, event: Any, column: int, above: list[str]) -> Entry:
        mark = event.start_mark
        place = Place(self.name, mark.line + 1, mark.column + 1)
        self.last = Entry(None, Scalar("", ""), above=above, place=place, column=column)
        return self.last

    def _fill(self, entry: Entry, event: Any) -> None:
        """Read the value of ``entry``; what stands between them, if it is no block, goes above."""
        if not _is_block(event):
            between = [comment for comment in self._above(event.start_mark.index, -1) if comment]
            self._lift(entry)
            entry.above += between
        entry.value = self._value(event, entry.column)
        if isinstance(entry.value, Block) and entry.key is None:
            self._lift(entry)

    def _lift(self, entry: Entry) -> None:
        """The comment beside goes above: what it stood beside is no line any more."""
        if entry.beside:
            entry.above.append(entry.beside)
            entry.beside = ""

    # -- values in one piece ------------------------------------------------------------------------------------------

    def _scalar(self, event: Any, outside: int) -> Scalar:
        start, end = event.start_mark.index, event.end_mark.index
        self.at = end
        if event.style in ("|", ">"):
            return self._literal(event, outside)
        return Scalar(self.text[start:end], event.value, event.style)

    def _literal(self, event: Any, outside: int) -> Scalar:
        """A block scalar: its lines, and where it ends; blank lines at its end belong to it only where it keeps them."""
        start, end = event.start_mark.index, event.end_mark.index
        begins = _line_end(self.text, start) + 1
        opening, mark, beside = self.text[start : begins - 1].partition("#")
        if mark and self.last is not None:
            self.last.beside, self.last.gap = (
                mark + beside.rstrip(),
                event.start_mark.column + len(opening) - self.last.column,
            )
        opening = opening.rstrip()
        ends = end if end == len(self.text) else self.text.rfind("\n", start, end) + 1
        lines = self.text[begins:ends].split("\n")
        digit = re.search("[1-9]", opening)
        first = next((line for line in lines if line.strip(" ")), max(lines))
        indent = max(outside, 0) + int(digit[0]) if digit else len(first) - len(first.lstrip(" "))
        content = [line[indent:] for line in lines]
        if content[-1]:  # the file ends without a line end, and so does this text
            opening = opening.rstrip("+-") + "-"
        else:
            content.pop()
        while content and "+" not in opening and not content[-1]:
            content.pop()
        self.at = min(begins + sum(len(line) + 1 for line in lines[: len(content)]), len(self.text))
        return Scalar(opening, event.value, event.style, tuple(content))

    def _flow(self, event: Any) -> Flow:
        start = event.start_mark
        flow = Flow(type(event).__name__ == "MappingStartEvent", column=start.column)
        self.at = event.end_mark.index
        while not type(event := next(self.events)).__name__.endswith("EndEvent"):
            entry = Entry(
                None, Scalar("", ""), place=Place(self.name, event.start_mark.line + 1, event.start_mark.column + 1)
            )
            if flow.mapping:
                entry.key, entry.written = event.value, self._piece(event, flow)
                event = next(self.events)
            entry.value = self._inside(event, flow)
            flow.entries.append(entry)
        self._skip(event.start_mark.index, flow)
        self.at = event.end_mark.index
        flow.raw = self.text[start.index : self.at]
        return flow

    def _inside(self, event: Any, flow: Flow) -> Value:
        if type(event).__name__ == "ScalarEvent":
            return Scalar(self._piece(event, flow), event.value, event.style)
        self._skip(event.start_mark.index, flow)
        inner = self._flow(event)
        flow.loose |= inner.loose
        return inner

    def _piece(self, event: Any, flow: Flow) -> str:
        self._skip(event.start_mark.index, flow)
        self.at = event.end_mark.index
        text = self.text[event.start_mark.index : self.at]
        flow.loose |= "\n" in text
        return text

    def _skip(self, start: int, flow: Flow) -> None:
        flow.loose |= "#" in self.text[self.at : start]

    # -- gaps -----------------------------------------------------------------------------------------------------------

    def _above(self, start: int, column: int) -> list[str]:
        """Take the gap before ``start``; what of it belongs to the entry that begins there, at ``column``."""
        own: list[str] = []
        blanks: list[str] = []
        feet = [(edge, block.foot) for edge, block in self.closed if edge > column]
        for at, comment in self._lines(start):
            if comment:
                # Whoever stood further out closes what is further in: comments keep their order.
                feet = [] if own else [(edge, foot) for edge, foot in feet if edge <= at]
                (feet[0][1] if feet else own).extend((*blanks, comment))
                blanks = []
            else:
                blanks.append("")
        self.closed.clear()
        return own + blanks

    def _lines(self, start: int) -> Iterator[tuple[int, str]]:
        """Column and comment ("" for a blank line) of each line before ``start``; a comment in the line of the last entry is its own."""
        gap = self.text[self.at : start]
        begins = self.at - self.text.rfind("\n", 0, self.at) - 1
        lines = gap.split("\n")
        if begins:
            rest, mark, comment = lines[0].partition("#")
            if mark and self.last is not None:
                self.last.beside, self.last.gap = mark + comment.rstrip(), begins + len(rest) - self.last.column
            lines[0] = "-"
        self.at = start
        for number, line in enumerate(lines):
            rest, mark, comment = line.partition("#")
            if mark:
                yield len(rest), mark + comment.rstrip()
            elif not rest.strip() and number < len(lines) - 1:
                yield 0, ""


def _is_block(event: Any) -> bool:
    return getattr(event, "flow_style", None) is False and type(event).__name__.endswith("StartEvent")


def _is_empty(event: Any) -> bool:
    return type(event).__name__ == "ScalarEvent" and not event.value and event.style is None


def _head(first: Entry) -> list[str]:
    """Take from the first entry what is said of the whole file: all up to a blank line, and what is said to editors."""
    above = first.above
    cut = max((number for number, line in enumerate(above, 1) if not line), default=0)
    head, first.above = above[:cut], above[cut:]
    while first.above and _MODELINE.match(first.above[0]):
        head.append(first.above.pop(0))
    return head
