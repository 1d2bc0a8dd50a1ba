"""Where a body ends (RFC 9112 6, 7): by a length, by chunks, with the connection, or never, once it is a tunnel.

Each reader takes bytes by ``feed`` and returns those that go on. No byte of framing passes before it is judged: chunk
sizes are written anew, extensions are dropped, and the last chunk leaves together with the trailers that may go on.
``done`` says that the body is complete and ``rest`` holds what came after it; ``refused`` says that it never will be.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Protocol

from sidecar.wire.fields import NOT_IN_TRAILERS, TCHAR, VALUE
from sidecar.wire.head import Refused

NOTHING, BY_LENGTH, BY_CHUNKS, UNTIL_CLOSE = range(4)  # the framings

LONGEST_LINE = 4_096  # a chunk's size with its extensions
MOST_OVERHEAD = 16_384  # framing beyond what chunks of a reasonable size would need
LONGEST_TRAILERS = 16_384
MOST_TRAILERS = 100
LARGEST_CHUNK = 1 << 60

QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
EXTENSION = rb"[ \t]*+;[ \t]*+[" + TCHAR + rb"]++(?:[ \t]*+=[ \t]*+(?:[" + TCHAR + rb"]++|" + QUOTED + rb"))?"
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + EXTENSION + rb")*\r\n")
TRAILER_LINE = re.compile(rb"([" + TCHAR + rb"]++):" + VALUE + rb"*+\r\n")


class Body(Protocol):
    """What the readers have in common."""

    done: bool
    rest: bytes
    refused: Refused | None

    def feed(self, data: bytes) -> bytes: ...


class Length:
    """So many bytes."""

    __slots__ = ("_left", "done", "refused", "rest")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""
        self.refused: Refused | None = None

    def feed(self, data: bytes) -> bytes:
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return data
        self.done = True
        if left == 0:
            self._left = 0
            return data
        end, self._left = self._left, 0
        self.rest = data[end:]
        return data[:end]


class UntilClose:
    """Whatever comes: the reader of the socket knows the end."""

    __slots__ = ("done", "refused", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.refused: Refused | None = None

    def feed(self, data: bytes) -> bytes:
        return data


SIZE, DATA, DATA_END, TRAILERS = range(4)


class Chunked:
    """Chunks, read strictly. With ``bare`` only the data comes out: for a receiver that knows no chunks."""

    __slots__ = (
        "_drop",
        "_held",
        "_left",
        "_overhead",
        "_state",
        "_trailer_count",
        "_trailer_size",
        "_trailers",
        "bare",
        "done",
        "refused",
        "rest",
    )

    def __init__(self, *, bare: bool = False, drop: Collection[bytes] = ()) -> None:
        """``drop`` names further fields that may not come as trailers."""
        self.bare = bare
        self._drop = drop
        self._state = SIZE
        self._left = 0
        self._held = b""
        self._overhead = 0
        self._trailers: list[bytes] = []
        self._trailer_count = 0
        self._trailer_size = 0
        self.done = False
        self.rest = b""
        self.refused: Refused | None = None

    def feed(self, data: bytes) -> bytes:
        if self._state == DATA and len(data) < self._left:
            self._left -= len(data)
            return data
        if self._held:
            data, self._held = self._held + data, b""
        out: list[bytes] = []
        at = 0
        while not self.done and self.refused is None:
            if self._state == DATA:
                piece = data[at : at + self._left]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._state = DATA_END
            end = self._line(data, at, out)
            if end == at:
                self._held = data[at:]
                break
            at = end
        if self.done:
            self.rest = data[at:]
        return b"".join(out)

    def _line(self, data: bytes, at: int, out: list[bytes]) -> int:
        """Judge the line at ``at`` if it is whole. Returns where it ends, or ``at`` when more has to come."""
        end = data.find(b"\n", at, at + LONGEST_LINE + 1) + 1
        if not end:
            if self._state == DATA_END and data[at : at + 2] not in (b"", b"\r"):
                self.refused = Refused(400, "chunk_end")
            elif len(data) - at > LONGEST_LINE:
                self.refused = Refused(400, "chunk_line") if self._state == SIZE else Refused(431, "trailers")
            return at
        if self._state == SIZE:
            self._size(data, at, end, out)
        elif self._state == DATA_END:
            self._data_end(data, at, end, out)
        else:
            self._trailer(data, at, end, out)
        return end

    def _data_end(self, data: bytes, at: int, end: int, out: list[bytes]) -> None:
        if end - at != 2 or data[at] != 0x0D:
            self.refused = Refused(400, "chunk_end")
            return
        if not self.bare:
            out.append(b"\r\n")
        self._state = SIZE

    def _size(self, data: bytes, at: int, end: int, out: list[bytes]) -> None:
        match = SIZE_LINE.fullmatch(data, at, end)
        size = int(match[1], 16) if match else LARGEST_CHUNK
        if size >= LARGEST_CHUNK:
            self.refused = Refused(400, "chunk_line")
            return
        self._overhead = max(self._overhead + end - at + 2 - 16 - 2 * size, 0)
        if self._overhead > MOST_OVERHEAD:
            self.refused = Refused(400, "chunk_overhead")
            return
        self._left = size
        self._state = DATA if size else TRAILERS
        if size and not self.bare:
            out.append(b"%x\r\n" % size)

    def _trailer(self, data: bytes, at: int, end: int, out: list[bytes]) -> None:
        if end - at == 2 and data[at] == 0x0D:
            if not self.bare:
                out.append(b"0\r\n" + b"".join(self._trailers) + b"\r\n")
            self.done = True
            return
        match = TRAILER_LINE.fullmatch(data, at, end)
        if match is None:
            self.refused = Refused(400, "trailer")
            return
        self._trailer_count += 1
        self._trailer_size += end - at
        if self._trailer_count > MOST_TRAILERS or self._trailer_size > LONGEST_TRAILERS:
            self.refused = Refused(431, "trailers")
            return
        name = match[1].lower()
        if name not in NOT_IN_TRAILERS and name not in self._drop and not name.startswith(b"x-forwarded-"):
            self._trailers.append(match[0])


def reader(framing: int, length: int, *, bare: bool = False, drop: Collection[bytes] = ()) -> Body:
    """Reads a body that is framed so; ``length`` counts where it is known. ``bare`` and ``drop`` are for chunks."""
    if framing == BY_CHUNKS:
        return Chunked(bare=bare, drop=drop)
    return UntilClose() if framing == UNTIL_CLOSE else Length(length)
