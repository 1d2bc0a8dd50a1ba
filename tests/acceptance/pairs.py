"""Pairs of a request and the answer to it, odd and legal, made from a seed: what a relay has to let through."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

CASE = b"X-Case"  # names the exchange, so that upstream finds the answer to a request whatever became of the rest

METHODS = (
    ("GET",) * 6
    + ("POST",) * 5
    + ("HEAD", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "get", "x_~!")
)
STATUSES = (200,) * 8 + (
    201,
    202,
    203,
    204,
    204,
    206,
    299,
    301,
    302,
    304,
    304,
    307,
    400,
    401,
    404,
    410,
    418,
    429,
    451,
    500,
    503,
    599,
)
REASONS = (b"OK", b"Fine", b"", b"Very  Fine indeed!", b"caf\xe9", b"\t")
SIZES = (0,) * 4 + (
    1,
    2,
    15,
    16,
    17,
    100,
    255,
    256,
    1_000,
    4_095,
    4_096,
    4_097,
    16_384,
    65_536,
    70_000,
    131_072,
    300_000,
)
TCHARS = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
VALUES = bytes(range(0x20, 0x7F)) + b"\t\t" + bytes(range(0x80, 0x100))
SEGMENTS = (
    b"a", b"A", b"%41", b"%2f", b"%2F%2f", b"..", b".", b"", b"a;p=1", b"a,b", b"~u", b"$&'()*+", b"@:", b"%00", b"%E4%F6", b"%zz", b"a=b", b"!",
    b"%252e", b"caf%c3%a9", b"operator", b"api", b"b" * 300,
)  # fmt: skip
QUERIES = (
    b"",
    b"?",
    b"?a=1&a=2",
    b"?&&=&",
    b"?q=%20+%2B",
    b"?u=http://x/y?z",
    b"?/../",
    b"?a[]=1",
    b"?" + b"k=v&" * 200,
    b"??",
    b"?%zz",
)
ASKED = (
    b"Accept: */*", b"accept: text/html;q=0.9, */*;q=0.1", b"ACCEPT-ENCODING: gzip, br", b"User-Agent: odd/1.0 (\xe9; x)", b"User-Agent:",
    b'Cookie: a=1; b="2"', b"cookie: c=3", b"Referer: http://x/?q#f", b'If-None-Match: "x", W/"y"', b"Range: bytes=0-1,5-", b"Origin: null",
    b"Authorization: Basic dTpw", b"Cache-Control: no-cache", b"Pragma: no-cache", b"Content-Type: application/json", b"Content-Encoding: gzip",
    b"X-Correlation-Id: abc", b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"Priority: u=1, i", b"DNT: 1",
    b"X-Request-Timeout-Ms: 5", b"Sec-Fetch-Mode: cors", b"Trailer: X-Sum", b"Content-MD5: x", b"From:\t a@b \t",
)  # fmt: skip
HOPS = (
    (b"Connection: keep-alive",), (b"Connection: X-Hop", b"X-Hop: 1"), (b"connection: x-hop , , keep-alive", b"x-HOP: 1", b"X-Hop: 2"),
    (b"Keep-Alive: timeout=5",), (b"Proxy-Connection: keep-alive",), (b"TE: trailers", b"Connection: te"), (b"Connection: host, content-length",),
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"), (b"Upgrade: ignored/1",),
    (b"TE: trailers, deflate;q=0.5", b"HTTP2-Settings: AAM"),
)  # fmt: skip
TRAIL = (
    (b"Via: 1.0 a, 1.1 b (c)",), (b"via: 1.1 x", b"VIA: 1.0 y"), (b"X-Forwarded-For: 10.0.0.1",), (b"Forwarded: for=10.0.0.1;proto=https",),
    (b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil.test", b"X-Real-IP: 10.0.0.1"), (b"X-Forwarded-Port: 443",), (b"Max-Forwards: 9",),
)  # fmt: skip
TOLD = (
    b"Server: up/1.0 (x)", b"Date: Tue, 15 Nov 1994 08:12:31 GMT", b"date: Tue, 15 Nov 1994 08:12:31 GMT", b'ETag: W/"x"', b'etag: ""',
    b"Set-Cookie: a=1; Path=/; HttpOnly", b"Set-Cookie: a=2", b"set-cookie: b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", b"Vary: *", b"Vary: Origin",
    b"Content-Type: text/html; charset=latin-1", b"content-type: application/octet-stream", b"Content-Encoding: gzip", b"Content-Language: es",
    b"Location: /a/../b?c#d", b"Location: http://127.0.0.1:1/\xe9", b'WWW-Authenticate: Basic realm="a, b"', b"WWW-Authenticate: Bearer",
    b"Retry-After: 0", b"Cache-Control: no-store", b"Access-Control-Allow-Origin: *", b"Strict-Transport-Security: max-age=1", b"Link: </a>; rel=x",
    b"Alt-Svc: clear", b"Accept-Ranges: none", b"Content-Range: bytes 0-1/*", b"X-Accel-Buffering: no", b"Trailer: X-Sum", b'Warning: 199 - "x"',
)  # fmt: skip
TOLD_HOPS = (
    (b"Connection: keep-alive", b"Keep-Alive: timeout=5, max=9"), (b"Connection: x-hop", b"X-Hop: 1"), (b"Proxy-Connection: close",),
    (b"Upgrade: h2c", b"Connection: upgrade"), (b"Connection: set-cookie",), (b"TE: trailers", b"HTTP2-Settings: AAM"), (b"keep-alive: timeout=1", b"Upgrade: x/1"),
)  # fmt: skip
TOLD_TRAIL = ((b"Via: 1.1 origin",), (b"via: 1.0 a", b"Via: 1.1 b"))
INTERIM = (
    b"HTTP/1.1 102 Processing\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\nlink: </t>\r\n\r\n",
)
TRAILERS = (
    b"X-Sum: 1",
    b"x-sum:  2 ",
    b"X-Empty:",
    b"Server-Timing: a;dur=1",
    b"Host: evil.test",
    b"Authorization: x",
    b"Content-Encoding: br",
)


class Exchange(NamedTuple):
    """One request and its answer, as bytes.

    ``waits``: the body is sent when 100 came. ``closes``: upstream does, after it. ``last``: the client asks no more.
    """

    case: str
    method: bytes
    request: bytes
    content: bytes
    waits: bool
    interim: tuple[bytes, ...]
    answer: bytes
    answer_content: bytes
    closes: bool
    last: bool


def sessions(seed: int, number: int) -> list[list[Exchange]]:
    """At least ``number`` pairs, in connections of one to five."""
    random = Random(seed)
    made: list[list[Exchange]] = []
    count = 0
    while count < number:
        connection: list[Exchange] = []
        for turn in range(random.choice((1, 1, 2, 3, 5))):
            connection.append(_exchange(random, f"{seed}.{len(made)}.{turn}"))
            if connection[-1].last:
                break
        made.append(connection)
        count += len(connection)
    return made


def _exchange(random: Random, case: str) -> Exchange:
    method, old = random.choice(METHODS).encode(), random.random() < 0.1
    kept = random.random() < 0.5
    content, framing = _content(random, chunks=not old, empty=method in (b"GET", b"HEAD") and random.random() < 0.8)
    waits = bool(content) and not old and random.random() < 0.15
    refused = waits and random.random() < 0.3
    lines = _lines(random, ASKED, once=(b"authorization",))
    lines += framing + [b"Expect: 100-continue"] * (waits or (old and random.random() < 0.2))
    if random.random() < 0.3:
        lines += random.choice(HOPS)
    if random.random() < 0.3:
        lines += random.choice(TRAIL)
    if old and kept:
        lines.append(b"Connection: keep-alive")
    closing = (old and not kept) or random.random() < 0.05
    if closing and not old:
        lines.append(b"Connection: close")
    random.shuffle(lines)
    host = random.choice((b"Host: up.test", b"host:up.test:8000", b"HOST: [::1]:1", b"Host: \t127.0.0.1 "))
    if not old or random.random() < 0.5:
        lines.insert(random.randrange(len(lines) + 1), host)
    head = b"%s %s HTTP/1.%d" % (method, _target(random, method), not old)
    request = b"\r\n".join([head, *lines, CASE + b": " + case.encode(), b"", b""])
    answer = _answer(random, method, old=old, refused=refused)
    last = closing or answer[3] or (old and b"hunked" in answer[1])
    return Exchange(case, method, request, content, waits, *answer, last)


def _answer(random: Random, method: bytes, *, old: bool, refused: bool) -> tuple[tuple[bytes, ...], bytes, bytes, bool]:
    """Interim answers, head, content, and whether the connection ends with it."""
    status = 417 if refused else random.choice(STATUSES)
    behind = random.random() < 0.1
    until_close = not behind and random.random() < 0.12
    bare = status in (204, 304)
    content, framing = _content(random, chunks=not behind, empty=bare)
    if until_close and not bare:
        framing = []
        content = random.randbytes(random.choice(SIZES))
    if status == 204:
        framing = []
    if status == 304:
        framing = random.choice(([], [b"Content-Length: 1234"]))
    lines = _lines(random, TOLD, once=(b"date", b"location", b"content-type")) + framing
    if random.random() < 0.2:
        lines += random.choice(TOLD_HOPS)
    if random.random() < 0.2:
        lines += random.choice(TOLD_TRAIL)
    unframed = not framing and not bare
    kept = not behind or b"Connection: keep-alive" in lines
    closes = refused or unframed or not kept or random.random() < 0.05
    # Upstream never closes without a word: whoever reuses the connection just then would lose a request, and rightly.
    silent = not kept or (unframed and method != b"HEAD")
    if closes and not (silent and random.random() < 0.5):
        lines.append(b"Connection: close")
    random.shuffle(lines)
    reason = random.choice(REASONS)
    start = b"HTTP/1.%d %d" % (not behind, status) + (b" " + reason if random.random() < 0.95 else b"")
    interim = tuple(random.choices(INTERIM, k=random.choice((1, 1, 2)))) if random.random() < 0.1 else ()
    head = b"\r\n".join([start, *lines, b"", b""])
    return interim, head, b"" if method == b"HEAD" or bare else content, closes


def _target(random: Random, method: bytes) -> bytes:
    if method == b"OPTIONS" and random.random() < 0.3:
        return b"*"
    path = b"/" + b"/".join(random.choices(SEGMENTS, k=random.randrange(5)))
    prefix = (
        random.choice((b"http://up.test", b"HTTP://other.test:81", b"https://[::1]")) if random.random() < 0.08 else b""
    )
    return prefix + path + random.choice(QUERIES)


def _lines(random: Random, known: tuple[bytes, ...], once: tuple[bytes, ...]) -> list[bytes]:
    """Known fields, odd ones, and repeats of both that may differ in case."""
    lines = random.sample(known, random.randrange(10))
    for _ in range(random.choice((0, 1, 3, 8, 30))):
        name = b"X-" + bytes(random.choices(TCHARS, k=random.choice((1, 4, 12))))
        value = bytes(random.choices(VALUES, k=random.choice((0, 0, 1, 8, 40))))
        lines.append(name + b":" + random.choice((b"", b" ", b" \t ")) + value)
    if random.random() < 0.1:
        lines.append(b"X-Long: " + b"v" * random.choice((1_000, 8_000, 15_000)))
    for line in random.sample(lines, len(lines) // 4):
        name, _, value = line.partition(b":")
        lines.append(random.choice((name, name.upper(), name.swapcase())) + b":" + random.choice((value, b" again")))
    random.shuffle(lines)
    seen: set[bytes] = set()
    kept = []
    for line in lines:
        name = line.partition(b":")[0].lower()
        if name not in once or name not in seen:
            kept.append(line)
        seen.add(name)
    return kept


def _content(random: Random, *, chunks: bool, empty: bool) -> tuple[bytes, list[bytes]]:
    """Content as it is sent, and the field that frames it."""
    if empty:
        return b"", random.choice(([], [b"Content-Length: 0"]))
    body = random.randbytes(random.choice(SIZES))
    if not chunks or random.random() < 0.6:
        name = random.choice((b"Content-Length", b"content-length", b"CONTENT-LENGTH"))
        return body, [name + random.choice((b": ", b":", b":\t ", b": 00")) + b"%d" % len(body)]
    parts = []
    at = 0
    while at < len(body):
        size = random.choice((1, 7, 16, 1_000, 5_000, 65_536, len(body)))
        piece = body[at : at + size]
        at += size
        spelled = random.choice((b"%x", b"%X", b"00%x")) % len(piece)
        parts.append(
            spelled + random.choice((b"",) * 6 + (b";a", b";a=b", b' ; a="b \\" c"')) + b"\r\n" + piece + b"\r\n"
        )
    trailers = random.sample(TRAILERS, random.choice((0, 0, 1, 3)))
    end = b"\r\n".join([random.choice((b"0", b"000", b"0;x=y")), *trailers, b"", b""])
    return b"".join(parts) + end, [random.choice((b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked"))]
