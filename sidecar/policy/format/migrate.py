"""Files of an older schema version become files of the present one, by moving and rewording pieces of their text.

``MIGRATIONS`` holds for each version what leads to the next, in order. Paths are dotted; a path that begins with ``targets[]``
means every entry of the ladder. Comments travel with their keys, also out of a section that a move leaves empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sidecar.policy.format.blocks import Block, Document, Entry, Flow, Scalar, Value
from sidecar.policy.format.faithful import checked, stated, written
from sidecar.policy.format.layout import layout
from sidecar.policy.problem import Place, PolicyError, Problem

PRESENT = 1
EACH = "targets[]."


class Move(NamedTuple):
    """The key at ``before`` stands at ``after`` from now on. Both begin with ``targets[]``, or none does."""

    before: str
    after: str

    def apply(self, root: Value) -> None:
        old, new = (path.removeprefix(EACH).split(".") for path in (self.before, self.after))
        for around, section in _sections(root, each=self.before.startswith(EACH)):
            way = _way(section, old)
            if way:
                _editable([*around, section, *(entry.value for entry in way)], way[-1].place, self.before)
                there = _way(section, new)
                if there:
                    raise _stopped(
                        way[-1].place, self.before, f"is {self.after} now, which is stated as well: keep one"
                    )
                _take(section, way)
                way[-1].key = way[-1].written = new[-1]
                _put(section, new[:-1], way[-1])


class Reword(NamedTuple):
    """The text of the value at ``path`` is what ``words`` makes of it."""

    path: str
    words: Callable[[str], str]

    def apply(self, root: Value) -> None:
        path = self.path.removeprefix(EACH).split(".")
        for around, section in _sections(root, each=self.path.startswith(EACH)):
            way = _way(section, path)
            if way:
                value = way[-1].value
                _editable([*around, section, *(entry.value for entry in way)], way[-1].place, self.path)
                if not isinstance(value, Scalar) or value.lines or "\n" in value.text:
                    raise _stopped(
                        way[-1].place, self.path, "cannot be upgraded as it is written: write it in one line"
                    )
                way[-1].value = Scalar(self.words(value.text), "")


Step = Move | Reword
MIGRATIONS: Mapping[int, tuple[Step, ...]] = MappingProxyType({})
"""What makes a file of this version one of the next. Version 1 is the first, and the only one so far."""


class Schema(NamedTuple):
    """The present version, and the ways that lead to it."""

    present: int = PRESENT
    migrations: Mapping[int, tuple[Step, ...]] = MIGRATIONS


SCHEMA = Schema()


def upgraded(text: str, name: str, schema: Schema = SCHEMA) -> str:
    """``text`` in canonical form and in the present version, which it then states. Raises PolicyError and UnfaithfulError."""
    version = version_of(text, name, schema)
    document = layout(text, name)
    root = _root(document)
    for number in range(version, schema.present):
        for step in schema.migrations[number]:
            step.apply(root.value)
    _state(root, schema.present)
    migrated = written(document)
    return checked(written(layout(migrated, name)), text, stated(migrated, name))


def version_of(text: str, name: str, schema: Schema = SCHEMA) -> int:
    """The version that ``text`` states; a file that states none is of the first. Raises PolicyError, for a newer one too."""
    root = stated(text, name)
    node = root.value.get("version")
    if node is None:
        return 1
    if type(node.value) is not int or node.value < 1:
        raise _stopped(node.place, "version", f"must be a whole number from 1 to {schema.present}; found {node.text}")
    if node.value > schema.present:
        newer = f"{node.value} is newer than {schema.present}, the newest this version of the sidecar knows: take a newer sidecar"
        raise _stopped(node.place, "version", newer)
    return int(node.value)


def _root(document: Document) -> Entry:
    """The mapping that is the file; made where the file states nothing."""
    if document.root is None:
        document.head, document.foot = [*document.foot, ""], []
        document.root = Entry(None, Block(mapping=True))
    return document.root


def _state(root: Entry, version: int) -> None:
    way = _way(root.value, ["version"])
    if way and isinstance(way[-1].value, Scalar) and way[-1].value.text == str(version):
        return
    _editable([root.value], root.place, "version")
    if way:
        way[-1].value = Scalar(str(version), "")
    else:
        _entries(root.value).append(Entry("version", Scalar(str(version), ""), "version"))


def _sections(root: Value, *, each: bool) -> Iterator[tuple[list[Value], Value]]:
    """The file itself, or the entries of its ladder; and what stands around it."""
    if not each:
        yield [], root
        return
    targets = _way(root, ["targets"])
    for item in _entries(targets[-1].value) if targets else ():
        yield [root, targets[-1].value], item.value


def _entries(value: Value) -> list[Entry]:
    return value.entries if isinstance(value, Block | Flow) else []


def _way(section: Value, path: list[str]) -> list[Entry]:
    """The entries that lead to ``path``, the last one being it; none if it is not stated."""
    way: list[Entry] = []
    for key in path:
        found = next((entry for entry in _entries(section) if entry.key == key), None)
        if found is None:
            return []
        way.append(found)
        section = found.value
    return way


def _editable(passed: list[Value], place: Place, path: str) -> None:
    """Have what is in brackets written anew. Raises PolicyError if comments in them forbid it."""
    for value in passed:
        if isinstance(value, Flow):
            if value.loose:
                words = "cannot be upgraded in brackets that have comments in them: write one line for each key"
                raise _stopped(place, path, words)
            value.raw = None


def _take(section: Value, way: list[Entry]) -> None:
    """Remove the last entry of ``way``, and the sections that this leaves empty; what was said of them is said of it."""
    entry, depth = way[-1], len(way) - 1
    holders = [_entries(section), *(_entries(one.value) for one in way[:-1])]
    holders[depth].remove(entry)
    while depth and not holders[depth]:
        depth -= 1
        empty = way[depth]
        foot = empty.value.foot if isinstance(empty.value, Block) else []
        entry.above = [*empty.above, *([empty.beside] if empty.beside else []), *entry.above, *foot]
        holders[depth].remove(empty)


def _put(section: Value, path: list[str], entry: Entry) -> None:
    """Put ``entry`` into the section at ``path``, which is made where it is not there."""
    for key in path:
        found = next((one for one in _entries(section) if one.key == key), None)
        if found is None:
            made: Value = Flow(mapping=True) if isinstance(section, Flow) else Block(mapping=True)
            found = Entry(key, made, key)
            _entries(section).append(found)
        section = found.value
    _editable([section], entry.place, ".".join(path))
    _entries(section).append(entry)


def _stopped(place: Place, path: str, words: str) -> PolicyError:
    return PolicyError([Problem(*place, path, words)])
