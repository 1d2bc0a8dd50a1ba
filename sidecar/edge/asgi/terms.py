"""What requests to an application are judged by, made from one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sidecar.edge.asgi.head import Others
from sidecar.edge.chat import reply
from sidecar.edge.data.terms import judged_by, own_answer
from sidecar.edge.settings import UnusableSettingsError
from sidecar.edge.snapshot import Snapshot
from sidecar.wire.answer import Fields
from sidecar.wire.heads import Heads
from sidecar.wire.request import Request
from sidecar.wire.target import Routes


class Terms(NamedTuple):
    """One snapshot, read once per request and replaced as a whole by a reload. The words are those of the data port's terms."""

    routes: Routes
    others: Others
    heads: Heads
    judge: Callable[[Sequence[bytes]], str | None]
    own_answer: Callable[[str, Request], tuple[int, Fields, bytes]]
    max_body: int
    body_timeout: float
    most_chats: int


def terms(snapshot: Snapshot, root: str) -> Terms:
    """``root`` as in ``head.asked_target``. Raises UnusableSettingsError for what a policy asks and cannot be done from within."""
    policy = snapshot.policy
    if policy.mode == "shadow":
        raise UnusableSettingsError(
            f"{snapshot.origin('mode') or snapshot.source}: mode: shadow needs a sidecar in front of the gateway, which sees what "
            "it answers (sidecar serve): inside an application state enforce, or off to let everything through"
        )
    rules = judged_by(policy, reply.NAME.encode(), b"")
    return Terms(
        routes=rules.routes,
        others=Others(rules.routes, root),
        heads=Heads(rules),
        judge=snapshot.tokens.judge,
        own_answer=own_answer(policy),
        max_body=policy.guards.max_body,
        body_timeout=policy.relay.timeouts.head,
        most_chats=policy.overload.chats,
    )
