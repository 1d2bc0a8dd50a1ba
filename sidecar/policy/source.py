"""YAML text as a tree in which every value knows where it stands.

Only the plain part of YAML is taken: mappings, lists, text, numbers, true and false. Anchors and aliases (a few bytes can
expand to gigabytes), tags, directives and further documents are refused by name. Plain scalars are read here and not by a
YAML schema, since schemas disagree about ``010``, ``1:30``, ``no`` and ``1_000``: what is no plain number stays text, and
the field it stands in says what it wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from sidecar.policy.problem import Place, Problem, dotted, shown

LARGEST = 1 << 20
_DEEPEST = 16
_MOST = 10_000

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,25})?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_EMPTY = ("", "~", "null", "Null", "NULL")

_HINTS = (
    ("'\\t'", "a tab stands where YAML takes spaces only: indent with spaces"),
    ("mapping values are not allowed", "a second ': ' in one value: put the text in quotes, or indent like its neighbours"),
    ("could not find expected ':'", "a key without its ':': write key: value"),
    ("expected <block end>", "the indentation does not match the lines above: indent like its neighbours"),
    ("expected the node content", "a value is missing, or a bracket is not closed: write it"),
    ("end of stream", "the file ends within a quote or bracket: close it"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing: close it or write the comma"),
    ("cannot start any token", "a value begins with a character that means something to YAML: put the text in quotes"),
)  # fmt: skip

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Node:
    """A value, where it stands, and how the file writes it (cut short)."""

    value: Any  # dict[str, Node], list[Node], str, int, float, bool or None
    place: Place
    text: str
    key: Place | None = None


class _StopError(Exception):
    """Nothing further can be read from this file."""


def read(text: str, name: str) -> tuple[Node | None, list[Problem]]:
    """The tree of ``text`` and what is wrong with it as YAML; no tree where reading had to stop."""
    text = text.removeprefix("\ufeff")
    if not text:  # the built-in policy: it takes no reader of YAML to know what is in it
        return Node({}, Place(name, 1, 1), ""), []
    reader = _Reader(text, name)
    try:
        return reader.document(), reader.problems
    except _StopError:
        return None, reader.problems


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.problems: list[Problem] = []
        self.at = Place(name, 1, 1)
        self.events = self._events()

    def _events(self) -> Iterator[Any]:
        from ruamel.yaml import YAML  # noqa: PLC0415 - 2 MB that a process without a policy file never needs
        from ruamel.yaml.error import MarkedYAMLError  # noqa: PLC0415
        from ruamel.yaml.reader import ReaderError  # noqa: PLC0415

        try:
            events = enumerate(YAML(typ="safe", pure=True).parse(self.text))
            for count, event in events:  # pragma: no branch - nobody asks past the end
                self.at = self._place(event.start_mark)
                if count > _MOST:
                    self._stop(self.at, f"more than {_MOST} keys and values: no policy has so many, delete the rest")
                yield event
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._stop(self._place(mark) if mark else self.at, _syntax(str(error.problem)))
        except ReaderError as error:
            before = self.text[: error.position]
            place = Place(self.name, before.count("\n") + 1, error.position - before.rfind("\n"))
            self._stop(place, "a character that must not stand in YAML: delete it")
        except (ValueError, OverflowError, LookupError, AttributeError, AssertionError, NotImplementedError):
            # The YAML library trips over some broken text (an escape beyond Unicode) in ways of its own.
            self._stop(self.at, "not YAML from here on: put the text in quotes, or delete it")

    def document(self) -> Node:
        """Read the only document; a file that states nothing is an empty mapping."""
        next(self.events)
        start = next(self.events)
        if not hasattr(start, "version"):
            return Node({}, self.at, "")
        if start.version or start.tags:
            self._problem(self.at, (), "directives have no meaning here: delete the lines that begin with %")
        root = self._node(next(self.events), ())
        if root.value is None and not root.text:
            root = Node({}, root.place, "")
        next(self.events)
        if hasattr(next(self.events), "version"):
            self._problem(self.at, (), "a second document begins here: one file holds one policy, delete the ---")
        return root

    def _place(self, mark: Any) -> Place:
        return Place(self.name, mark.line + 1, mark.column + 1)

    def _problem(self, place: Place, path: Path, message: str) -> None:
        self.problems.append(Problem(*place, dotted(path), message))

    def _stop(self, place: Place, message: str, path: Path = ()) -> NoReturn:
        self._problem(place, path, message)
        raise _StopError

    def _node(self, event: Any, path: Path, key: Place | None = None) -> Node:
        if len(path) > _DEEPEST:
            self._stop(self.at, f"nested deeper than {_DEEPEST} levels: nothing in a policy is")
        node = Node(None, self.at, "", key)
        self._refuse_marks(event, path)
        kind = type(event).__name__
        if kind == "MappingStartEvent":
            node.value, node.text = self._mapping(path), "a mapping"
        elif kind == "SequenceStartEvent":
            node.value, node.text = self._sequence(path), "a list"
        elif kind == "ScalarEvent":
            self._scalar(event, node, path)
        return node

    def _refuse_marks(self, event: Any, path: Path) -> None:
        if type(event).__name__ == "AliasEvent":
            self._problem(self.at, path, "aliases (*name) are refused, they can hide a bomb: write the value out")
        elif event.anchor is not None:
            self._problem(self.at, path, "anchors (&name) are refused, they can hide a bomb: write the value without")
        if getattr(event, "ctag", None) is not None:
            self._problem(self.at, path, "tags (!name) are refused: write the value without")

    def _refuse_halves(self, text: str, path: Path) -> None:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._problem(self.at, path, "half a character (a lone surrogate): write the whole one")

    def _mapping(self, path: Path) -> dict[str, Node]:
        found: dict[str, Node] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            place = self.at
            key = self._key(event, path)
            node = self._node(next(self.events), (*path, key), place)
            if key in found:
                line = (found[key].key or place).line
                self._problem(place, (*path, key), f"stands twice, first in line {line}: keep one")
            found.setdefault(key, node)
        return found

    def _key(self, event: Any, path: Path) -> str:
        if type(event).__name__ != "ScalarEvent":
            self._stop(self.at, "a key must be plain text: write key: value", path)
        self._refuse_marks(event, path)
        self._refuse_halves(event.value, path)
        return str(event.value)

    def _sequence(self, path: Path) -> list[Node]:
        found: list[Node] = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            found.append(self._node(event, (*path, len(found))))
        return found

    def _scalar(self, event: Any, node: Node, path: Path) -> None:
        text: str = event.value
        plain = event.style is None
        self._refuse_halves(text, path)
        node.value = _plain(text) if plain else text
        node.text = shown(text) if plain else f'"{shown(text)}"'
        if node.value is None and path:
            node.place = node.key or node.place  # the place of nothing is wherever the next thing begins
            self._problem(node.place, path, "has no value: write one, or leave the key out for the default")


def _plain(text: str) -> str | int | float | bool | None:
    if text in _EMPTY:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def _syntax(problem: str) -> str:
    return next((hint for sign, hint in _HINTS if sign in problem), f"not YAML: {shown(problem)}")
