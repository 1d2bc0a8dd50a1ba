"""A response head, judged strictly and edited for the client (RFC 9110 7.6, RFC 9112 4).

The status, the reason, the fields, their case, order and number stay as the gateway wrote them. What belongs to its
connection goes, Via comes, and where the body ends is decided here, once (RFC 9112 6.3).
"""

from __future__ import annotations

import re

from msgspec import Struct

from sidecar.wire.body import BY_CHUNKS, BY_LENGTH, NOTHING, UNTIL_CLOSE
from sidecar.wire.fields import LENGTH, SECTION, VALUE, droppable, extended_via, options, special, without
from sidecar.wire.head import Refused, Rules

LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})( " + VALUE + rb"*+)?(?=\r\n)")
READ = (
    b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"te", b"keep-alive", b"proxy-connection", b"http2-settings",
    b"via", b"content-type",
)  # fmt: skip
WEIGHED = special(READ)  # the lines whose values matter; of Date only that it is there
SPECIAL = special((*READ, b"date"))
STAYING = (b"date", b"content-type")
SWITCHING, FINAL, NO_CONTENT, NOT_MODIFIED, UPGRADE_REQUIRED = 101, 200, 204, 304, 426


class Response(Struct, frozen=True, gc=False):
    """``head`` is the outgoing head without its end: framing by chunks, Connection and Date are added by who knows the client.

    ``reusable`` says that the gateway keeps its connection; ``stream`` that the body is an event stream.
    """

    status: int
    head: bytes
    framing: int
    length: int
    dated: bool
    reusable: bool
    stream: bool

    def like(self, head: bytes, length: int) -> Response:
        """What is said of another head that differs from this one in nothing else."""
        return Response(self.status, head, self.framing, length, self.dated, self.reusable, self.stream)


def begins(data: bytes) -> bool:
    """Whether a head may begin like this."""
    return data[:7] == b"HTTP/1."[: len(data)]


def read(raw: bytes, method: bytes, rules: Rules) -> Response | Refused:
    """Judge one head: ``raw`` ends with the empty line; ``method`` is the request's."""
    line = LINE.match(raw)
    if line is None or SECTION.fullmatch(raw, line.end()) is None:
        return Refused(502, "response_head")
    minor, status = int(line[1]), int(line[2])
    found, lines = _sift(raw, line.end(), keep_length=status != NO_CONTENT and status >= FINAL)
    framing = _framing(status, method, minor, found)
    if isinstance(framing, Refused):
        return framing
    listed = options(found[b"connection"]) if b"connection" in found else set[bytes]()
    upgrade = b""
    if status in (SWITCHING, UPGRADE_REQUIRED) and b"upgrade" in found:
        upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: " + b", ".join(found[b"upgrade"])
    via = extended_via(found.get(b"via", ()), minor, rules.pseudonym)
    start = b"HTTP/1.1 " + line[2] + (line[3] or b" ")
    return Response(
        status=status,
        head=start + without(lines, droppable(listed) if listed else ()) + upgrade + via,
        framing=framing[0],
        length=framing[1],
        dated=b"date" in found,
        reusable=b"close" not in listed and (minor == 1 or b"keep-alive" in listed) and framing[0] != UNTIL_CLOSE,
        stream=b"content-type" in found and found[b"content-type"][0][:17].lower() == b"text/event-stream",
    )


def _sift(raw: bytes, start: int, *, keep_length: bool) -> tuple[dict[bytes, list[bytes]], bytes]:
    """The special fields by name, and the lines that stay."""
    found: dict[bytes, list[bytes]] = {}
    pieces: list[bytes] = []
    at = start
    for match in SPECIAL.finditer(raw, start):
        name = match[1].lower()
        found.setdefault(name, []).append(match[2].strip(b" \t"))
        if name in STAYING or (keep_length and name == b"content-length"):
            continue
        pieces.append(raw[at : match.start()])
        at = match.end()
    pieces.append(raw[at:-4])
    return found, b"".join(pieces)


def _framing(status: int, method: bytes, minor: int, found: dict[bytes, list[bytes]]) -> tuple[int, int] | Refused:
    codings = found.get(b"transfer-encoding")
    lengths = found.get(b"content-length")
    if status < FINAL or status == NO_CONTENT:
        return NOTHING, 0
    if status == NOT_MODIFIED:  # has no content, but may tell the length of what it stands for, and that goes on
        one = lengths is None or (len(lengths) == 1 and LENGTH.fullmatch(lengths[0]) is not None)
        return (NOTHING, 0) if one else Refused(502, "content_length")
    if codings is not None:
        if lengths is not None or minor == 0:
            return Refused(502, "framing")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            return Refused(502, "transfer_coding")
        return (NOTHING, 0) if method == b"HEAD" else (BY_CHUNKS, -1)
    if lengths is not None:
        if len(lengths) > 1 or LENGTH.fullmatch(lengths[0]) is None:
            return Refused(502, "content_length")
        length = int(lengths[0])
        return (NOTHING, 0) if method == b"HEAD" or not length else (BY_LENGTH, length)
    return (NOTHING, 0) if method == b"HEAD" else (UNTIL_CLOSE, -1)
