"""What is in force right now, as one value that is swapped whole: a request reads it once and never sees half a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from sidecar.core.value import Value, settle
from sidecar.edge.token import Tokens
from sidecar.policy.model import Cors, Policy


class Destination(Value):
    """Where a target is (``http://host:port`` and the path for chats), and the token it gets, never the client's.

    ``dedup``: it honours an Idempotency-Key, so it gets one.
    """

    origin: str
    path: str
    token: str | None
    dedup: bool = False


class AtHand(Value, gc=True):
    """What every chat asks of its policy, beside it: an attribute of a model is dear. Durations are in seconds."""

    patience_header: str
    client: float
    margin: float
    max_body: int
    max_message_chars: int
    shape: Literal["superset", "reference", "stub"]
    cors: Cors

    @classmethod
    def of(cls, policy: Policy) -> AtHand:
        deadline, guards = policy.deadline, policy.guards
        waits = deadline.header, deadline.client, deadline.margin
        return cls(*waits, guards.max_body, guards.max_message_chars, policy.reply.shape, policy.cors)


_BUILT_IN = AtHand.of(Policy())


class Snapshot(Value, gc=True):
    """``destinations`` by target name; ``origin`` tells where the value at a dotted path was stated, None: it is built in."""

    policy: Policy
    revision: str
    source: str
    tokens: Tokens
    destinations: Mapping[str, Destination]
    origin: Callable[[str], str | None] = lambda _path: None
    at_hand: AtHand = _BUILT_IN
    """Worked out from the policy."""

    def __post_init__(self) -> None:
        settle(self, "at_hand", AtHand.of(self.policy))


class Candidate(NamedTuple):
    """A policy that runs beside the one in force; ``path`` is where it was asked for, ``files`` what it was read from."""

    policy: Policy
    revision: str
    source: str
    path: Path
    files: tuple[Path, ...]


class InForce:
    """Holds the snapshot. Whoever needs it keeps this, reads ``current`` once per request, and keeps nothing of it longer."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.current = snapshot


class Beside:
    """Holds the candidate, as ``InForce`` holds the snapshot."""

    def __init__(self, candidate: Candidate) -> None:
        self.current = candidate
