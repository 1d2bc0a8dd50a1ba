"""The journal: one line per input of the engine, in one order, so that what was decided can be decided again.

A journal begins with a ``start`` line (schema, version, seed, run), and each policy in force stands in it with its effective
values. A further file of the same run begins with ``continued``, which repeats both and counts the files, so that it can be
read when the first has been deleted, missed when it is gone, and told from a file of another run. Times are monotonic
seconds, written so that reading them gives the same float. There is no message text, no token and no session id in it: an
outcome is its kind, its status and the few scalars that rules look at. Lines go through an ``Outbox``; what it drops is
counted, and a journal with a gap says so with a ``dropped`` line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import orjson
from msgspec.json import Encoder

from sidecar import __version__
from sidecar.core.draw import draw
from sidecar.core.fact import Fact
from sidecar.core.line import KINDS, SCHEMA, line_of, run_id
from sidecar.core.written import Line
from sidecar.edge.outlets.outbox import Outbox
from sidecar.edge.outlets.sink import Sink
from sidecar.policy.model import Journal as JournalPolicy

SUFFIX = ".jsonl"

_SAMPLE = 0x5A  # what a draw is for: no other has this key
_encoder = Encoder()
_ADOPT = b'{"in":"adopt",'  # no text can hold it: within one the quotes are escaped
_NAME = re.compile(rf"journal-([0-9]{{6,}}){re.escape(SUFFIX)}")


class Journal(Sink):
    """Takes facts, keeps the inputs."""

    def __init__(self, directory: Path, settings: JournalPolicy, *, seed: int) -> None:
        """Raises OSError if ``directory`` cannot be made or written."""
        self._run: dict[str, Any] = {"schema": SCHEMA, "version": __version__, "seed": seed, "run": run_id(seed)}
        self._seed = seed
        self._sample = settings.sample
        if settings.sample < 1:
            self._run["sample"] = settings.sample
        # The last adopt that was written: what is queued behind it is not in force in the files yet.
        self._adopted = b"{}"
        self._files = _Files(directory, settings.max_file, settings.keep, self._continued)
        self._outbox = Outbox[Line | dict[str, Any]]("journal", self._write, self._worded)
        self._noted_drops = 0
        self.takes = dict.fromkeys(KINDS, (self._note,))
        self._put({"in": "start", **self._run})

    @property
    def dropped(self) -> int:
        return self._outbox.dropped

    @property
    def trouble(self) -> str | None:
        """Why the last lines were lost, as ``Outbox`` has it; None as soon as lines are written again."""
        return self._outbox.trouble

    def _note(self, fact: Fact) -> None:
        if self._sample < 1 and not self._chosen(getattr(fact, "call", None)):
            return
        line = line_of(fact)
        if line is None:
            return
        if self._outbox.dropped > self._noted_drops:
            self._noted_drops = self._outbox.dropped
            self._put({"in": "dropped", "lines": self._noted_drops})
        self._outbox.put(line)

    def close(self) -> None:
        if self._outbox.close():
            self._files.close()

    def _chosen(self, call: int | None) -> bool:
        """Whether a call is in the sample: all of its lines are, or none. What belongs to no call always is."""
        return call is None or draw(self._seed, call, _SAMPLE) < self._sample

    def _write(self, lines: bytes) -> None:
        """In the thread of the outbox, as ``_continued`` is."""
        self._files.write(lines)
        begins = lines.rfind(_ADOPT)
        if begins >= 0:
            self._adopted = lines[begins : lines.index(b"\n", begins)]

    def _continued(self, number: int) -> bytes:
        """The first line of the ``number``-th file."""
        return orjson.dumps({**orjson.loads(self._adopted), "in": "continued", **self._run, "file": number}) + b"\n"

    def _put(self, line: dict[str, Any]) -> None:
        self._outbox.put(line)

    def _worded(self, lines: list[Line | dict[str, Any]]) -> bytes:
        """In the thread of the outbox. One that cannot be put into words takes no other along."""
        try:
            return _encoder.encode_lines(lines)
        except (TypeError, ValueError):
            return b"".join([self._alone(line) for line in lines])

    def _alone(self, line: Line | dict[str, Any]) -> bytes:
        try:
            return _encoder.encode(line) + b"\n"
        except (TypeError, ValueError):
            self._outbox.dropped += 1
            return b""


class _Files:
    """Numbered files in one directory; a new one for each start and beyond each ``max_file`` bytes, the oldest deleted."""

    def __init__(self, directory: Path, max_file: int, keep: int, heading: Callable[[int], bytes]) -> None:
        """``heading`` gives the first line of every file but the first, by its number in the run."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._max_file = max_file
        self._keep = keep
        self._heading = heading
        self._count = 1  # files of this run so far
        self._file = self._next()

    def write(self, lines: bytes) -> None:
        """All of ``lines`` or none of them: what a full disk took is taken back, so that no line is ever torn."""
        if self._file.tell() > self._max_file:
            full, self._file = self._file, self._next()
            full.close()
            self._count += 1
        if self._count > 1 and self._file.tell() == 0:
            lines = self._heading(self._count) + lines
        before = self._file.tell()
        view = memoryview(lines)
        try:
            while view:
                written = self._file.write(view)  # not within the slice: mypyc does what stands there twice
                view = view[written:]
        except OSError:
            self._file.seek(before)
            self._file.truncate()
            raise

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _next(self) -> FileIO:
        """The file after all that are there: another process may write in the same directory."""
        known = sorted((number, path) for path in self._directory.iterdir() if (number := _number(path)))
        last = known[-1][0] if known else 0
        file = FileIO(str(self._directory / f"journal-{last + 1:06d}{SUFFIX}"), "x", opener=_for_us_alone)
        for _, path in known[: -self._keep]:
            path.unlink(missing_ok=True)
        return file


def _for_us_alone(path: str, flags: int) -> int:
    """Who chatted when, and with what id, is nobody else's business."""
    return os.open(path, flags, 0o600)


def _number(path: Path) -> int:
    """0 for a file that is not ours."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else 0
