"""What is in force right now, as one value that is swapped whole: a request reads it once and never sees half a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from sidecar.core.value import Value
from sidecar.edge.token import Tokens
from sidecar.policy.model import Policy


class Destination(Value):
    """Where a target is (``http://host:port`` and the path for chats), and the token it gets, never the client's.

    ``dedup``: it honours an Idempotency-Key, so it gets one.
    """

    origin: str
    path: str
    token: str | None
    dedup: bool = False


class Snapshot(Value, gc=True):
    """``destinations`` by target name; ``origin`` tells where the value at a dotted path was stated, None: it is built in."""

    policy: Policy
    revision: str
    source: str
    tokens: Tokens
    destinations: Mapping[str, Destination]
    origin: Callable[[str], str | None] = lambda _path: None


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
