"""What judging a message head needs and yields: the rules in force, and refusal as a value.

``request`` and ``response`` are pure functions of the bytes of one head and of ``Rules``. Everything that depends on
who the peer is, or what time it is, is added by those who hold the sockets: so one judgement serves every client.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sidecar.wire.credential import HEADER, Source
from sidecar.wire.fields import TCHAR, special
from sidecar.wire.target import Routes

LONGEST_METHOD = 32
BARE_LF = re.compile(rb"(?<!\r)\n")
START = re.compile(rb"[" + TCHAR + rb"]")
EMPTY_LINES = re.compile(rb"(?:\r\n)+")

REQUEST_FIELDS = (
    b"host", b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"te", b"keep-alive", b"proxy-connection",
    b"http2-settings", b"via", b"max-forwards", b"authorization", b"forwarded", b"x-forwarded-[^:\\r]*", b"x-real-ip",
)  # fmt: skip


class Refused(NamedTuple):
    """The message goes nowhere. ``why`` is a closed word: it becomes a metric label."""

    status: int
    why: str


class Rules(NamedTuple):
    """What a head is judged by. Built once per policy by ``rules``.

    ``pseudonym`` names this instance in Via; ``authority`` is the Host of a request that came without one;
    ``token`` is the name of the field that carries the client's token, in lower case; ``sources`` is where one is looked for.
    """

    routes: Routes
    special: re.Pattern[bytes]
    pseudonym: bytes
    authority: bytes
    token: bytes
    longest: int
    fields: int
    sources: tuple[Source, ...] = HEADER


def rules(
    routes: Routes,
    *,
    pseudonym: bytes,
    authority: bytes,
    token: bytes = b"x-vx11-token",
    longest: int = 65_536,
    fields: int = 100,
    sources: tuple[Source, ...] = HEADER,
) -> Rules:
    """``longest`` is the size of a head in bytes; ``fields`` their number, Host not counted, since it always comes."""
    pattern = special((*REQUEST_FIELDS, re.escape(token)))
    return Rules(routes, pattern, pseudonym.lower(), authority, token, longest, fields, sources)


def too_long(data: bytes) -> Refused:
    """Which limit a head beyond the size limit broke: the target's or the fields'."""
    line = data.find(b"\r\n")
    if line < 0 or line > len(data) // 2:
        return Refused(414, "target_too_long") if b" " in data[: LONGEST_METHOD + 1] else Refused(400, "request_line")
    return Refused(431, "head_too_long")


def without_empty_lines(data: bytes) -> bytes:
    """What some clients send before a request is passed over (RFC 9112 2.2)."""
    blank = EMPTY_LINES.match(data)
    return data if blank is None else data[blank.end() :]


def partial(data: bytes, judged_by: Rules, scanned: int = 0) -> Refused | None:
    """Whether the beginning of a request head can no longer become one. ``scanned`` bytes of it were shown before."""
    if len(data) > judged_by.longest:
        return too_long(data)
    if data and not START.match(data) and data != b"\r":
        return Refused(400, "request_line")
    if BARE_LF.search(data, max(scanned - 1, 0)):
        return Refused(400, "line_end")
    return None
