"""What a raw request target is to the gateway: which path it will route by, and whether that path is ours to judge.

uvicorn percent-decodes the whole path once, slashes included, and Starlette matches the result; so do we, on bytes,
before any other normalisation. What would match only after one more step (case, dots, slashes, parameters, a second
decoding) is an *alias*: some other stack behind the same name might take it for chat, so it costs a valid token, and
then goes through untouched. The target that goes on is the one that came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address
from typing import Literal, NamedTuple
from urllib.parse import unquote_to_bytes

Route = Literal["chat", "command", "alias", "commands", "deny", "reject", "other"]

COMMANDS = (b"/operator/api/chat/commands",)
# The gateway may rewrite the first prefix to the second before it routes.
REWRITTEN = (b"/operator/api/v1/", b"/operator/api/")

# Already in normal form: no step of the normalisation would change it.
PLAIN = re.compile(rb"(?:/[a-z0-9_~-]++(?:\.[a-z0-9_~-]++)*)+")
ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)([^?]*)(\?.*)?", re.DOTALL)
REG_NAME = re.compile(rb"((?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]++)\])(?::[0-9]{1,5})?")
CONTROLS = bytes((*range(0x20), 0x7F))
LONGEST_HOST = 255
MOST_DECODINGS = 4


class Target(NamedTuple):
    """A target in origin form (or ``*``), and the authority that an absolute form stated."""

    raw: bytes
    path: bytes
    authority: bytes | None


class Routes:
    """Which decoded paths are chat, and which are never relayed. Compiled once from the policy.

    ``commands`` lead to chat inside the gateway. With ``told_apart`` a request to one of them is a ``command``: its body says whether
    it is a chat.
    """

    __slots__ = ("_chat", "_commands", "_denied", "_denied_under", "_lookalikes", "_told_apart")

    def __init__(
        self,
        chat: Iterable[str],
        deny: Iterable[str] = (),
        commands: Iterable[bytes] = COMMANDS,
        *,
        told_apart: bool = False,
    ) -> None:
        self._chat = frozenset(path.encode() for path in chat)
        self._commands = frozenset(commands) if self._chat else frozenset[bytes]()
        self._told_apart = told_apart
        self._lookalikes = frozenset(normal(path) for path in self._chat)
        patterns = [pattern.encode().lower() for pattern in deny]
        self._denied = frozenset(pattern for pattern in patterns if not pattern.endswith(b"*"))
        self._denied_under = tuple(pattern[:-1] for pattern in patterns if pattern.endswith(b"*"))

    def route(self, path: bytes) -> Route:
        """The class of the path of a target (everything before its query), for a POST."""
        if PLAIN.fullmatch(path):
            return self._of(path, path)
        once = decoded(path)
        return self._of(once, normal(once))

    def _of(self, once: bytes, reduced: bytes) -> Route:
        folded = fold(reduced)
        if self._is_denied(once, reduced, folded):
            return "deny"
        if once in self._chat:
            return "chat"
        if once in self._commands:
            return "command" if self._told_apart else "commands"
        if reduced not in self._lookalikes and folded not in self._lookalikes and folded not in self._commands:
            return "other"
        if once.translate(None, CONTROLS) != once:
            return "reject"
        if folded not in self._commands:
            return "alias"
        return "command" if self._told_apart and fold(once) in self._commands else "commands"

    def _is_denied(self, once: bytes, reduced: bytes, folded: bytes) -> bool:
        for path in (once.lower(), reduced, folded):
            if path in self._denied or path.startswith(self._denied_under):
                return True
        # An odd spelling of the very directory that a pattern is about.
        return once.lower() != reduced and reduced + b"/" in self._denied_under


def decoded(path: bytes) -> bytes:
    """The path as the gateway routes by it: percent-decoded once."""
    return unquote_to_bytes(path) if b"%" in path else path


def fold(path: bytes) -> bytes:
    """The path as the gateway's own rewriting may leave it."""
    before, after = REWRITTEN
    return after + path[len(before) :] if path.startswith(before) else path


def normal(path: bytes) -> bytes:
    """The path after every step that some stack might take: equal results look alike."""
    for _ in range(MOST_DECODINGS):
        if b"%" not in path:
            break
        path = unquote_to_bytes(path)
    path = path.translate(None, CONTROLS).replace(b"\\", b"/").lower()
    for end in (b"?", b"#"):
        path = path.partition(end)[0]
    kept: list[bytes] = []
    for part in path.split(b"/"):
        segment = part.partition(b";")[0].strip(b" ")
        if segment == b"..":
            del kept[-1:]
        elif segment.rstrip(b"."):
            kept.append(segment.rstrip(b". "))
    return b"/" + b"/".join(kept)


def is_host(value: bytes) -> bool:
    """Whether the value is ``uri-host [":" port]`` and nothing else."""
    match = REG_NAME.fullmatch(value) if len(value) <= LONGEST_HOST else None
    if match is None:
        return False
    if match[2] is None:
        return True
    try:
        IPv6Address(match[2].decode("ascii"))
    except AddressValueError:
        return False
    return True


def read(method: bytes, raw: bytes) -> Target | str:
    """The target that the gateway will see, or the closed word for why there is none."""
    if b"#" in raw:
        return "fragment"
    if raw.startswith(b"/"):
        return Target(raw, raw.partition(b"?")[0], None)
    if raw == b"*":
        return Target(raw, raw, None) if method == b"OPTIONS" else "target"
    match = ABSOLUTE.fullmatch(raw)
    if match is None:
        return "target"
    authority, path, query = match[1], match[2], match[3] or b""
    if not is_host(authority):
        return "authority"
    if not path and not query and method == b"OPTIONS":
        return Target(b"*", b"*", authority)
    path = path or b"/"
    return Target(path + query, path, authority)
