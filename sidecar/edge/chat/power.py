"""Listening to madre's power state in the background, so that no chat ever waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.snapshot import Destination

PATH = "/madre/power/state"
PATIENCE = 2.0  # seconds; madre answers at once, or hangs with the switch


async def listen(kitchen: Kitchen) -> None:
    """Poll for ever, as often as the policy in force says. The engine is told of changes only: the journal stays small."""
    heard: frozenset[str] | None = None
    while True:
        snapshot = kitchen.in_force.current
        madre = snapshot.destinations.get("madre")
        if snapshot.policy.dormant.mode != "ignore" and madre is not None:
            active = await _ask(kitchen, madre)
            if active != heard:
                heard = active
                kitchen.engine.hear_dormancy(kitchen.now(), active)
        await asyncio.sleep(snapshot.policy.dormant.poll)


async def _ask(kitchen: Kitchen, madre: Destination) -> frozenset[str] | None:
    """The active services, or None where madre does not say."""
    headers = {"X-VX11-Token": madre.token} if madre.token else {}
    state = await kitchen.upstream.get(madre.origin + PATH, headers, PATIENCE)
    return active_services(state)


def active_services(state: Any) -> frozenset[str] | None:
    """What ``GET /madre/power/state`` says is running; None for anything that is not its shape."""
    active = state.get("active_services") if isinstance(state, dict) else None
    if not isinstance(active, list) or not all(isinstance(name, str) for name in active):
        return None
    return frozenset(active)
