"""What we would have said to a chat that the gateway answers (``mode: shadow``), and what the gateway did with it.

The same guards in the same order as where we answer ourselves, on a copy of the request: token, size, JSON, length of the message, rate.
No target is asked, so what the ladder would have made of a chat that passes stays undecided. Only closed words leave this room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from sidecar.core.fact import Gave, Would
from sidecar.core.rate import SlidingWindows
from sidecar.edge.chat.request import Invalid, is_message, patience, read_chat
from sidecar.policy.model import Policy
from sidecar.wire.request import Request
from sidecar.wire.target import Route

SUCCESS, CLIENT_ERROR, SERVER_ERROR = 2, 4, 5  # first digits of a status
FALLBACKS = frozenset({"local_llm_degraded", "fallback_local"})
"""Who "answers" where VX11 says that nobody did: fallback_source and model of the gateway, provider of the operator backend."""


class Guard(NamedTuple):
    """Who may chat, by one snapshot. ``windows`` are not the engine's: to enforce must begin with nobody counted.

    ``judge`` takes the tokens of a request: None when one is valid, else ``missing`` or ``wrong``.
    """

    policy: Policy
    judge: Callable[[Sequence[bytes]], str | None]
    windows: SlidingWindows

    def of_head(self, asked: Request, route: Route) -> Would | None:
        """What is decided before the body is read; None: that depends on the body."""
        if route == "reject":
            return "target"
        wrong = self.judge(asked.tokens)
        if wrong is not None:
            return "auth_required" if wrong == "missing" else "forbidden"
        if route != "chat":
            return "pass"
        return "too_large" if asked.length > self.policy.guards.max_body else None

    def is_chat(self, body: bytes, asked: Request) -> bool:
        """Whether a command would be answered as a chat."""
        return is_message(body, _text(asked.field(b"content-type")))

    def of_body(self, now: float, body: bytes, asked: Request, peer: str) -> Would:
        """What is decided by the whole body. A chat that passes is counted in ``windows``."""
        guards = self.policy.guards
        chat = read_chat(body, _text(asked.field(b"content-type")))
        if isinstance(chat, Invalid):
            return "invalid"
        if len(chat.message) > guards.max_message_chars:
            return "message_too_long"
        who, rate = f"session {chat.session_id}", guards.rate_limit
        if not chat.session_id:
            who, rate = f"peer {peer}", guards.anonymous_rate_limit
        key = blake2b(who.encode(), digest_size=16).digest()
        return "pass" if self.windows.admit(now, key, rate) is None else "rate_limited"

    def patience(self, asked: Request) -> float:
        """Seconds by which an answer of ours would have left, whatever the targets do.

        The margin is not in it: a client that gives up when its time is over is seen to leave a little earlier than that, because its
        clock began before the head came here.
        """
        deadline = self.policy.deadline
        return patience(_text(asked.field(deadline.header.encode())), deadline.client, deadline.margin)


def gave(status: int, content: bytes | None) -> Gave:
    """What an answer of the gateway says; ``content`` is None where it could not be read along."""
    kind = status // 100
    if kind in (CLIENT_ERROR, SERVER_ERROR):
        return "rejected" if kind == CLIENT_ERROR else "error"
    said = _object(content) if kind == SUCCESS and content is not None else {}
    if said.get("degraded") is True or not FALLBACKS.isdisjoint(_sources(said)):
        return "degraded"
    answered = said.get("degraded") is False or isinstance(said.get("response"), str)
    return "answered" if answered else "unreadable"


def _sources(said: dict[str, Any]) -> tuple[str, ...]:
    named = (said.get(name) for name in ("fallback_source", "model", "provider"))
    return tuple(name for name in named if isinstance(name, str))


def _object(content: bytes) -> dict[str, Any]:
    """The JSON object; an empty one for anything else."""
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
