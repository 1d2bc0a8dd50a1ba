"""A request head, judged strictly and edited for the gateway (RFC 9110 7.6, RFC 9112 3).

Refused is whatever two readers might read differently. What is not refused goes on as it came, line by line and byte
by byte, less what belongs to this hop, plus what an intermediary owes: Via, and who was at the other end. The address
of the client is the one thing that differs between clients, so the outgoing head is kept in two pieces around it.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from sidecar.wire import target
from sidecar.wire.body import BY_CHUNKS, BY_LENGTH, NOTHING
from sidecar.wire.credential import HEADER, offered
from sidecar.wire.fields import LENGTH, SECTION, TCHAR, droppable, extended_via, options, passed, without
from sidecar.wire.head import LONGEST_METHOD, Refused, Rules, too_long
from sidecar.wire.target import Route

LINE = re.compile(rb"([" + TCHAR + rb"]++) ([\x21-\x7e\x80-\xff]++) HTTP/1\.([01])(?=\r\n)")
OTHER_VERSION = re.compile(rb"[" + TCHAR + rb"]++ [\x21-\x7e\x80-\xff]++(?: [A-Za-z]++/[0-9.]++)?\r\n")
PROTOCOL = re.compile(rb"[" + TCHAR + rb"]++(?:/[" + TCHAR + rb"]++)?")
LONGEST_TARGET = 32_768

# Protocols that a client may not switch to through us: the gateway would read bytes that were never judged.
NOT_UPGRADED_TO = (b"h2", b"http/", b"tls")
FORWARDING = (b"x-forwarded-", b"forwarded", b"x-real-ip")
ONLY_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization", b"max-forwards"})


class Usage(Struct, frozen=True, gc=False):
    """A route and a kind of client, in the words of ``inventory``."""

    template: str
    client: str


class Request(Struct, gc=False):
    """``before`` + the client's address + ``after`` is the head that goes on.

    From a trusted peer it is ``before`` + ``forwarded_for`` + address + ``after_trusted``. ``path`` is the decoded path
    of a chat; ``tokens`` holds the token, if there is one where the rules look for it. ``used`` is what it counts as, once
    somebody has asked ``inventory``, and ``said`` what chat reads of it, once chat has; nothing else ever changes.
    """

    raw: bytes
    method: bytes
    target: bytes
    minor: int
    route: Route
    path: bytes
    host: bytes
    framing: int
    length: int
    close: bool
    expects: bool
    upgrade: bytes
    tokens: tuple[bytes, ...]
    before: bytes
    after: bytes
    forwarded_for: bytes
    after_trusted: bytes
    used: Usage | None = None
    said: Any = None

    def outgoing(self, peer: bytes, *, trusted: bool) -> bytes:
        if trusted:
            return self.before + self.forwarded_for + peer + self.after_trusted
        return self.before + peer + self.after

    def like(self, raw: bytes, target: bytes, length: int, before: bytes) -> Request:
        """What is said of another head that differs from this one in nothing else."""
        return Request(
            raw, self.method, target, self.minor, self.route, self.path, self.host, self.framing, length, self.close, self.expects,
            self.upgrade, self.tokens, before, self.after, self.forwarded_for, self.after_trusted, self.used, self.said,
        )  # fmt: skip

    def field(self, name: bytes) -> bytes | None:
        """The first value of a field, for the few who want one. ``name`` is a plain token."""
        match = re.search(rb"\r\n" + re.escape(name) + rb":[\t ]*([^\r]*)", self.raw, re.IGNORECASE)
        return match[1].rstrip(b" \t") if match else None


def read(raw: bytes, rules: Rules) -> Request | Refused:
    """Judge one head: ``raw`` ends with the empty line."""
    if len(raw) > rules.longest:
        return too_long(raw)
    line = LINE.match(raw)
    if line is None:
        return _bad_line(raw)
    start = line.end()
    if SECTION.fullmatch(raw, start) is None:
        return Refused(400, "field")
    if raw.count(b"\r\n", start) - 2 > rules.fields + 1:
        return Refused(431, "fields")
    method = line[1]
    if method == b"CONNECT":
        return Refused(405, "connect")
    if len(method) > LONGEST_METHOD:
        return Refused(501, "method")
    asked = line[2]
    if len(asked) > LONGEST_TARGET:
        return Refused(414, "target_too_long")
    aim = target.read(method, asked)
    if isinstance(aim, str):
        return Refused(400, aim)
    return _Reading(raw, rules, line, aim).judge()


_ONLY_ALIKE: dict[Route, Route] = {"chat": "alias", "command": "commands"}


def route_of(method: bytes, path: bytes, routes: target.Routes) -> Route:
    """The class of a target (everything before its query) for this method: only POST can chat, but what is denied is denied to all.

    A method that differs from POST in case alone is not chat, but it looks like it.
    """
    route = routes.route(path)
    if route in ("other", "deny") or method == b"POST":
        return route
    if method.upper() != b"POST":
        return "other"
    return _ONLY_ALIKE.get(route, route)


def _bad_line(raw: bytes) -> Refused:
    return Refused(505, "version") if OTHER_VERSION.match(raw) else Refused(400, "request_line")


class _Reading:
    """One head under judgement: what its special lines say, gathered before anything is decided."""

    __slots__ = ("_aim", "_forwarding", "_found", "_method", "_minor", "_raw", "_repeated", "_rules", "_unchanged")

    def __init__(self, raw: bytes, rules: Rules, line: re.Match[bytes], aim: target.Target) -> None:
        self._raw = raw
        self._rules = rules
        self._method = line[1]
        self._minor = int(line[3])
        self._aim = aim
        self._unchanged = line[0] if self._minor and aim.raw == line[2] else b""
        self._repeated = ""
        self._found: dict[bytes, list[bytes]] = {}
        self._forwarding: list[tuple[bytes, bytes]] = []

    def judge(self) -> Request | Refused:
        lines = self._sift(self._raw.index(b"\r\n"))
        found = self._found
        if self._repeated:
            return Refused(400, self._repeated)
        host = self._host()
        if isinstance(host, Refused):
            return host
        framing = self._framing()
        if isinstance(framing, Refused):
            return framing
        if b"via" in found and passed(found[b"via"], self._rules.pseudonym):
            return Refused(508, "loop")
        hops = self._max_forwards()
        if isinstance(hops, Refused):
            return hops
        listed = options(found[b"connection"]) if b"connection" in found else set[bytes]()
        upgrade = self._upgrade(listed)
        if upgrade and framing[1] != 0:
            return Refused(400, "upgrade_with_body")
        if listed:
            lines = without(lines, droppable(listed, (self._rules.token,)))
        return self._edited(lines + hops, host, framing, upgrade, listed)

    def _sift(self, start: int) -> bytes:
        """Gather the special lines; return the others, with those special ones that simply stay."""
        raw, rules, found = self._raw, self._rules, self._found
        pieces: list[bytes] = []
        at = start
        for match in rules.special.finditer(raw, start):
            name = match[1].lower()
            value = match[2].strip(b" \t")
            if name not in found:
                found[name] = [value]
            else:
                self._again(name, value)
            if name in (b"authorization", rules.token) or (name == b"host" and self._aim.authority is None):
                continue
            if name == b"content-length" and value.isdigit() and (value[0] != 0x30 or value == b"0"):
                continue
            if name == b"expect" and self._minor:
                continue
            pieces.append(raw[at : match.start()])
            at = match.end()
            if name.startswith(FORWARDING):
                self._forwarding.append((name, match[0]))
        pieces.append(raw[at:-4])
        return b"".join(pieces)

    def _again(self, name: bytes, value: bytes) -> None:
        """A field that came before. Where two readers might take different ones of them, neither is to be had."""
        self._found[name].append(value)
        if name == self._rules.token:
            self._repeated = "repeated_token"
        elif name in ONLY_ONCE:
            self._repeated = "repeated_" + name.decode().replace("-", "_")

    def _host(self) -> bytes | Refused:
        hosts = self._found.get(b"host")
        if hosts is None:
            return Refused(400, "no_host") if self._minor else self._aim.authority or b""
        if not target.is_host(hosts[0]):
            return Refused(400, "host")
        return hosts[0] if self._aim.authority is None else self._aim.authority

    def _framing(self) -> tuple[int, int] | Refused:
        """The framing and the length; -1 when the length is not known beforehand."""
        codings = self._found.get(b"transfer-encoding")
        lengths = self._found.get(b"content-length")
        if codings is not None:
            if lengths is not None or not self._minor:
                return Refused(400, "framing")
            return (BY_CHUNKS, -1) if codings[0].lower() == b"chunked" else Refused(501, "transfer_coding")
        if lengths is None:
            return NOTHING, 0
        if LENGTH.fullmatch(lengths[0]) is None:
            return Refused(400, "content_length")
        length = int(lengths[0])
        return (BY_LENGTH if length else NOTHING), length

    def _upgrade(self, listed: set[bytes]) -> bytes:
        """The protocols to offer to the gateway; an upgrade to another HTTP is none."""
        offered = self._found.get(b"upgrade")
        if offered is None or not self._minor or b"upgrade" not in listed:
            return b""
        protocols = (part.strip(b" \t") for value in offered for part in value.split(b","))
        return b", ".join(
            one for one in protocols if PROTOCOL.fullmatch(one) and not one.lower().startswith(NOT_UPGRADED_TO)
        )

    def _tokens(self) -> tuple[bytes, ...]:
        found, rules = self._found, self._rules
        header = found.get(rules.token, ())
        if rules.sources == HEADER:
            return tuple(header)
        return offered(rules.sources, header, found.get(b"authorization", ()), self._aim.raw)

    def _max_forwards(self) -> bytes | Refused:
        """The line that goes on. At zero the answer is ours; TRACE is not reflected by anybody here."""
        given = self._found.get(b"max-forwards")
        if given is None:
            return b""
        if self._method not in (b"OPTIONS", b"TRACE") or LENGTH.fullmatch(given[0]) is None:
            return b"\r\nMax-Forwards: " + given[0]
        left = int(given[0])
        if left == 0:
            return Refused(204, "max_forwards") if self._method == b"OPTIONS" else Refused(405, "max_forwards")
        return b"\r\nMax-Forwards: %d" % (left - 1)

    def _edited(
        self, lines: bytes, host: bytes, framing: tuple[int, int], upgrade: bytes, listed: set[bytes]
    ) -> Request:
        found, minor = self._found, self._minor
        after = b"\r\nX-Forwarded-Proto: http" + (b"\r\nX-Forwarded-Host: " + host if host else b"") + b"\r\n\r\n"
        path = self._aim.path
        route = route_of(self._method, path, self._rules.routes)
        return Request(
            raw=self._raw,
            method=self._method,
            target=self._aim.raw,
            minor=minor,
            route=route,
            path=target.decoded(path) if route == "chat" else b"",
            host=host,
            framing=framing[0],
            length=framing[1],
            close=b"close" in listed or (not minor and b"keep-alive" not in listed),
            expects=b"expect" in found and bool(minor) and b"100-continue" in options(found[b"expect"]),
            upgrade=upgrade,
            tokens=self._tokens(),
            before=self._before(lines, host, framing, upgrade),
            after=after,
            forwarded_for=b"".join(value + b", " for value in found[b"x-forwarded-for"] if value)
            if b"x-forwarded-for" in found
            else b"",
            after_trusted=self._trusted(host) if self._forwarding else after,
        )

    def _before(self, lines: bytes, host: bytes, framing: tuple[int, int], upgrade: bytes) -> bytes:
        """The outgoing head up to the address of the client."""
        aim, found = self._aim, self._found
        head = [self._unchanged or b"%s %s HTTP/1.1" % (self._method, aim.raw)]
        if aim.authority is not None or not host:
            head.append(b"\r\nHost: " + (host or self._rules.authority))
        head.append(lines)
        kind, length = framing
        if b"content-length" in found and found[b"content-length"][0] != b"%d" % length:
            head.append(b"\r\nContent-Length: %d" % length)
        if kind == BY_CHUNKS:
            head.append(b"\r\nTransfer-Encoding: chunked")
        if upgrade:
            head.append(b"\r\nConnection: Upgrade\r\nUpgrade: " + upgrade)
        head += (extended_via(found.get(b"via", ()), self._minor, self._rules.pseudonym), b"\r\nX-Forwarded-For: ")
        return b"".join(head)

    def _trusted(self, host: bytes) -> bytes:
        """What follows the address when the peer may say where the request came from: its own word first."""
        names = {name for name, _ in self._forwarding}
        kept = [line for name, line in self._forwarding if name != b"x-forwarded-for"]
        if b"x-forwarded-proto" not in names:
            kept.append(b"\r\nX-Forwarded-Proto: http")
        if b"x-forwarded-host" not in names and host:
            kept.append(b"\r\nX-Forwarded-Host: " + host)
        return b"".join(kept) + b"\r\n\r\n"
