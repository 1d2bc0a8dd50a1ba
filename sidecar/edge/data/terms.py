"""What the door serves requests by, made from one snapshot: the policy in the terms of the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from math import inf
from typing import NamedTuple, cast

from sidecar.core.fact import Emit
from sidecar.edge.chat import reply
from sidecar.edge.chat.observation import Guard
from sidecar.edge.chat.request import correlation_id, new_id
from sidecar.edge.data.observing import Observing
from sidecar.edge.data.service import Chats, Relay, Terms
from sidecar.edge.data.witness import Memory, Watch
from sidecar.edge.snapshot import Snapshot
from sidecar.policy.model import Policy
from sidecar.wire import head
from sidecar.wire.answer import Fields
from sidecar.wire.heads import Heads
from sidecar.wire.request import Request
from sidecar.wire.target import Routes


class Lasting(NamedTuple):
    """What stays the same from snapshot to snapshot. ``pseudonym`` is this instance's name in Via; ``memory`` is for observing chats."""

    relay: Relay
    chats: Chats
    emit: Emit
    now: Callable[[], float]
    pseudonym: bytes
    authority: bytes
    memory: Memory


def terms(snapshot: Snapshot, lasting: Lasting) -> Terms:
    policy = snapshot.policy
    timeouts, limits = policy.relay.timeouts, policy.relay.limits
    return Terms(
        heads=Heads(judged_by(policy, lasting.pseudonym, lasting.authority)),
        relay=_way(snapshot, lasting),
        chats=lasting.chats,
        judge=snapshot.tokens.judge,
        own_answer=own_answer(policy),
        emit=lasting.emit,
        now=lasting.now,
        trusted=_trusted(policy.relay.trusted_proxies),
        max_body=policy.guards.max_body,
        head_timeout=timeouts.head,
        idle_timeout=timeouts.idle,
        body_timeout=timeouts.head,
        response_head_timeout=timeouts.response_head,
        stream_timeout=inf if timeouts.stream is None else timeouts.stream,
        stall_timeout=timeouts.stall,
        connections=limits.connections,
        most_chats=policy.overload.chats,
        relays=policy.overload.relays,
        longest_wait=policy.overload.wait,
    )


def judged_by(policy: Policy, pseudonym: bytes, authority: bytes) -> head.Rules:
    """What heads are judged by: routes, tokens, limits. ``pseudonym`` and ``authority`` as in ``Lasting``."""
    limits = policy.relay.limits
    return head.rules(
        Routes(
            policy.intercept.paths if policy.mode == "enforce" else (),
            policy.relay.deny,
            told_apart=policy.intercept.commands == "intercept",
        ),
        pseudonym=pseudonym,
        authority=authority,
        token=policy.auth.header.encode(),
        longest=limits.head,
        fields=limits.fields,
        sources=policy.auth.sources,
    )


def _way(snapshot: Snapshot, lasting: Lasting) -> Relay:
    """The relay, with somebody who looks on where the policy says so."""
    policy, memory = snapshot.policy, lasting.memory
    if policy.mode != "shadow":
        return lasting.relay
    memory.windows.max_keys = policy.guards.max_sessions
    guard = Guard(policy, snapshot.tokens.judge, memory.windows)
    return Observing(lasting.relay, Watch(guard, memory, lasting.emit, lasting.now))


def own_answer(policy: Policy) -> Callable[[str, Request], tuple[int, Fields, bytes]]:
    """How is worded what is said to a chat before it is handed over."""

    def word(kind: str, asked: Request) -> tuple[int, Fields, bytes]:
        sent = correlation_id(_text(asked.field(b"x-correlation-id")), None)
        caller = reply.Caller(sent or new_id(), _text(asked.field(b"origin")))
        said = reply.rejection(cast("reply.Rejection", kind), caller, policy)
        return said.status, reply.common_fields(caller, policy.cors) | said.fields, said.body

    return word


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _trusted(networks: Iterable[str]) -> Callable[[str], bool]:
    """Whether a peer's X-Forwarded-* may be believed."""
    known = [ip_network(network) for network in networks]

    def trusted(peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False  # a Unix socket has no address
        return any(address in network for network in known)

    return trusted
