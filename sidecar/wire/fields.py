"""The grammar of header fields (RFC 9110 5, RFC 9112 5), strict, and what belongs to one connection only (RFC 9110 7.6.1).

A section of fields is judged whole by one expression before anything is looked up in it. Whoever reads a field after
that may trust that every line is ``token ":" value CRLF``, without control characters, folding or bare line ends.
Lines are written here as they are cut: each begins with its CRLF, so that pieces join without separators.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
VALUE = rb"[\t\x20-\x7e\x80-\xff]"

SECTION = re.compile(rb"(?:\r\n[" + TCHAR + rb"]++:" + VALUE + rb"*+)*\r\n\r\n")
LINE = re.compile(rb"\r\n([^:\r]+):([^\r]*)")
LENGTH = re.compile(rb"[0-9]{1,18}")

# Of one hop, whatever Connection says. Transfer-Encoding and Connection are rewritten by those who read heads.
HOP_BY_HOP = (b"keep-alive", b"proxy-connection", b"te", b"http2-settings")

# A Connection option may name any field, and an intermediary drops what it names: these are not a client's to drop,
# since framing, routing, authentication or the trail of hops hang on them.
END_TO_END = frozenset({
    b"host", b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"authorization", b"cookie", b"set-cookie",
    b"origin", b"expect", b"max-forwards", b"via", b"forwarded", b"date", b"location", b"cache-control", b"x-correlation-id",
})  # fmt: skip

# Fields that must not act when they come after the body (RFC 9110 6.5.1): framing, routing, authentication, modifiers,
# and what tells how the content is to be read.
NOT_IN_TRAILERS = END_TO_END | {
    b"connection", b"trailer", b"te", b"upgrade", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate",
    b"www-authenticate", b"content-range", b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since",
    b"if-range", b"pragma", b"age", b"expires", b"retry-after", b"vary", b"warning", b"http2-settings", b"x-real-ip",
}  # fmt: skip


def special(names: Iterable[bytes]) -> re.Pattern[bytes]:
    """An expression that finds only the lines with these names (which may be patterns): the rest stays where it is."""
    return re.compile(rb"\r\n(" + b"|".join(names) + rb"):([^\r]*)", re.IGNORECASE)


def options(values: Iterable[bytes]) -> set[bytes]:
    """The members of a comma-separated list such as Connection, in lower case."""
    found = {part.strip(b" \t").lower() for value in values for part in value.split(b",")}
    found.discard(b"")
    return found


def droppable(named: Collection[bytes], protected: Collection[bytes] = ()) -> frozenset[bytes]:
    """Of the field names that Connection lists, those that may be dropped."""
    return frozenset(
        name
        for name in named
        if name not in END_TO_END and name not in protected and not name.startswith(b"x-forwarded-")
    )


def without(lines: bytes, names: Collection[bytes]) -> bytes:
    """``lines`` (each with a leading CRLF) less those with one of ``names``."""
    if not names:
        return lines
    return b"".join(match[0] for match in LINE.finditer(lines) if match[1].lower() not in names)


def extended_via(vias: Iterable[bytes], minor: int, pseudonym: bytes) -> bytes:
    """The Via line that goes on: what came, and this hop with the version that it received (RFC 9110 7.6.3)."""
    hops = [via for via in vias if via]
    hops.append(b"1.%d %s" % (minor, pseudonym))
    return b"\r\nVia: " + b", ".join(hops)


def passed(vias: Iterable[bytes], pseudonym: bytes) -> bool:
    """Whether the message has been here before."""
    for via in vias:
        for hop in via.split(b","):
            words = hop.split(None, 2)
            if len(words) > 1 and words[1].lower() == pseudonym:
                return True
    return False
