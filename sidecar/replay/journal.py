"""Reading journals: every line that can be read, and a count and a message for each that cannot.

A journal may be cut off in the middle of a line, hold lines of another version, or be something else altogether. None of that ends a
replay with a traceback; what is skipped is said, with file and line. Runs that were written into one directory at the same time are told
apart by the first lines of their files.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from sidecar.core.line import EVENTS, HEADINGS, SCHEMA, run_id

KNOWN = EVENTS | HEADINGS | {"adopt", "call", "dormancy", "health", "override", "judged", "ended", "fault", "dropped"}
MOST_MESSAGES = 20  # of what was skipped; the count goes on
LONGEST_LINE = 16 << 20  # bytes; the longest real one states a policy

_NAME = re.compile(r"journal-([0-9]{6,})\.jsonl")
_WORKER = re.compile(r"worker-([0-9]{1,4})")


class UnusableJournalError(ValueError):
    """There is nothing to replay in it; the text names the file and says why."""


class Line(NamedTuple):
    """A line of a journal and where it stands."""

    file: str
    number: int
    fields: Mapping[str, Any]


class _Stretch(NamedTuple):
    """Lines of one file that belong together: those from byte ``begins``, which is line ``number``, up to byte ``ends``."""

    path: Path
    begins: int
    number: int
    ends: int


class Journal:
    """The lines of one run of a sidecar, and what was skipped on the way.

    From its ``start`` on; or, where a file before is missing, from the ``continued`` of the first that is there. A day of chats has
    millions of lines: none is held, ``lines`` reads them again each time it is asked for. What is skipped is known once
    all of them were read, and counted once however often they are.
    """

    def __init__(self, heading: Mapping[str, Any]) -> None:
        self.heading = heading
        self.files = 1  # of this run, up to the one read last
        self.skipped = 0
        self.messages: list[str] = []
        self.stretches: list[_Stretch] = []
        self._unreadable = 0  # lines that a reading has come across so far

    @property
    def seed(self) -> int:
        return int(self.heading["seed"])

    @property
    def complete(self) -> bool:
        """Whether everything is there that decisions followed from: it begins where the sidecar began, and is no sample."""
        return bool(self.heading["in"] == "start" and self.heading.get("sample", 1) == 1)

    @property
    def size(self) -> int:
        """Bytes of all its lines."""
        return sum(stretch.ends - stretch.begins for stretch in self.stretches)

    @property
    def lines(self) -> Iterator[Line]:
        """All of them, in order. Raises OSError for a file that has gone since."""
        unreadable = 0
        for stretch in self.stretches:
            file = str(stretch.path)
            for number, _, raw in _lines(stretch):
                why, fields = _parse(raw)
                if fields is not None:
                    yield Line(file, number, fields)
                    continue
                unreadable += 1
                if unreadable > self._unreadable:
                    self._unreadable = unreadable
                    self.skip(file, number, why)

    def skip(self, file: str, number: int, why: str) -> None:
        self.skipped += 1
        if len(self.messages) < MOST_MESSAGES:
            self.messages.append(f"{file}:{number}: {why}")


def read_journals(paths: list[Path]) -> list[Journal]:
    """The runs recorded in files, or in all journal files of directories, in order.

    A run goes on over as many files as it took. Raises UnusableJournalError if no file holds a run, OSError for a file
    that cannot be read.
    """
    reading = _Reading()
    for path in _files(paths):
        reading.take(path)
    return reading.runs_of(paths)


class _Reading:
    """The runs found so far. ``_homeless`` counts what belongs to none that could be replayed.

    Only headings are looked into, and what stands where no run is: the rest is read when it is replayed.
    """

    def __init__(self) -> None:
        self._runs: list[Journal] = []
        self._known: dict[str, Journal] = {}  # by the name of the run; the last part of it that was found
        self._homeless = Journal({})
        self._current: Journal | None = None  # None: the start of what follows was not seen, or is not for us
        self._said = False  # that lines are homeless, since that start was lost

    def take(self, path: Path) -> None:
        end = path.stat().st_size
        since = (0, 1)  # byte and line where the stretch under way began
        for number, begins, raw in _lines(_Stretch(path, 0, 1, end)):
            if number > 1 and self._current is not None and b'"start"' not in raw and b'"continued"' not in raw:
                continue
            before = self._current
            turned = self._look(path, number, raw)
            if turned:
                _close(before, _Stretch(path, *since, begins))
                since = (begins + len(raw), number + 1) if turned == "goes on" else (begins, number)
        _close(self._current, _Stretch(path, *since, end))

    def _look(self, path: Path, number: int, raw: bytes) -> str:
        """Take a line that may be a heading. What it says of stretches: "" nothing, one "begins" with it, one "goes on" behind it."""
        why, fields = _parse(raw)
        if fields is None:
            if number > 1 and not why.startswith(tuple(_FOREIGN.values())):
                if self._current is None:
                    self._homeless.skip(str(path), number, why)
                return ""
            # It may have been, or is, the beginning of another run: what follows must not get into the run before.
            self._current, self._said = None, False
            self._homeless.skip(str(path), number, why)
            return "begins"
        if fields["in"] in HEADINGS:
            return "goes on" if self._goes_on(fields) else "begins"
        if self._current is None:
            self._lost(path, number)
        return ""

    def _lost(self, path: Path, number: int) -> None:
        if self._said:
            self._homeless.skipped += 1
            return
        self._said = True
        self._homeless.skip(str(path), number, "belongs to a run whose start is not here, as do the lines after it")

    def _goes_on(self, heading: Mapping[str, Any]) -> bool:
        """Turn to the run that ``heading`` belongs to. True if it is known up to here: then it says nothing new."""
        name = heading["run"] if isinstance(heading.get("run"), str) else run_id(heading["seed"])
        number = heading.get("file", 0)
        run = self._known.get(name) if heading["in"] == "continued" else None
        if run is not None and number == run.files + 1:
            run.files = number
            self._current = run
            return True
        self._current = self._known[name] = Journal(heading)
        self._current.files = number or 1
        self._runs.append(self._current)
        return False

    def runs_of(self, paths: list[Path]) -> list[Journal]:
        lost = self._homeless
        if not self._runs:
            named = ", ".join(map(str, paths))
            why = "no start line: the file a run begins in is missing, or this is no journal"
            if all(path.is_dir() for path in paths) and not any(True for _ in _files(paths)):
                why = "no journal-*.jsonl in it"
            raise UnusableJournalError("; ".join([f"{named}: nothing to replay: {why}", *lost.messages[:3]]))
        first = self._runs[0]
        first.skipped += lost.skipped
        first.messages = (lost.messages + first.messages)[:MOST_MESSAGES]
        return self._runs


def _close(run: Journal | None, stretch: _Stretch) -> None:
    if run is not None and stretch.begins < stretch.ends:
        run.stretches.append(stretch)


def _files(paths: list[Path]) -> Iterator[Path]:
    """Each file once, those of a directory in the order of their numbers."""
    seen = set()
    for path in paths:
        for file in within(path) if path.is_dir() else [path]:
            found = file.stat()
            if not stat.S_ISREG(found.st_mode):
                raise UnusableJournalError(f"{file}: not a regular file: a journal is read more than once")
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                yield file


def within(directory: Path) -> list[Path]:
    """The journal files of a sidecar that was told to write there; those of several workers are in directories of their own."""
    workers = [path for path in _numbered(directory, _WORKER) if path.is_dir()]
    return [path for each in (directory, *workers) for path in _numbered(each, _NAME)]


def _numbered(directory: Path, name: re.Pattern[str]) -> list[Path]:
    """What is called ``name`` there, in the order of its numbers."""
    found = [(int(match[1]), path) for path in directory.iterdir() if (match := name.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def _lines(stretch: _Stretch) -> Iterator[tuple[int, int, bytes]]:
    """Lines with their numbers and where they begin; of one that is too long no more than shows it."""
    at, number = stretch.begins, stretch.number
    with stretch.path.open("rb") as file:
        file.seek(at)
        while at < stretch.ends and (raw := file.readline(LONGEST_LINE + 1)):
            begins, rest = at, raw
            at += len(raw)
            while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
                rest = file.readline(LONGEST_LINE + 1)
                at += len(rest)
            yield number, begins, raw
            number += 1


_FOREIGN = {
    "start": "a start ",
    "continued": "a continuation ",
}  # what is said of one that is not for us begins with it


def _parse(raw: bytes) -> tuple[str, Mapping[str, Any] | None]:
    if len(raw) > LONGEST_LINE:
        return f"longer than {LONGEST_LINE} bytes", None
    if not raw.endswith(b"\n"):
        return "cut off in the middle of the line", None
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return "not JSON", None
    kind = fields.get("in") if isinstance(fields, dict) else None
    if not isinstance(kind, str):
        return "not a line of a journal", None
    if kind not in KNOWN:
        return f"not a line of a journal that this version knows: {kind[:20]!r}", None
    if kind in HEADINGS:  # by type and not isinstance: true is no 1 here
        schema, seed = fields.get("schema"), fields.get("seed")
        if type(schema) is not int or schema != SCHEMA:
            return f"{_FOREIGN[kind]}of schema {schema!r}, and this version reads {SCHEMA}", None
        if type(seed) is not int:
            return f"{_FOREIGN[kind]}without a seed", None
        if kind == "continued" and type(fields.get("file")) is not int:
            return f"{_FOREIGN[kind]}that does not say of which file", None
    return "", fields
