"""What is in force right now, as one value that is swapped whole: a request reads it once and never sees half a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.edge.token import Tokens
from sidecar.edge.upstream import Destination
from sidecar.policy.model import Policy


class Snapshot(NamedTuple):
    """``destinations`` by target name."""

    policy: Policy
    revision: str
    source: str
    tokens: Tokens
    destinations: Mapping[str, Destination]


class InForce:
    """Holds the snapshot. Whoever needs it keeps this, reads ``current`` once per request, and keeps nothing of it longer."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.current = snapshot
