"""Probing the health of targets in the background, so that no chat ever waits for it: one task for each target, however slow another is.

A probe takes no slot, no permit and no retry, and is no attempt: limiter, breaker and budget are there for chats. Who is probed, where
and how often is read from the policy in force before every turn. Turns are spread by a draw of this process, so that sidecars that were
started together do not probe together.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from sidecar.core.draw import draw
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.policy.model import HealthPolicy
from sidecar.policy.targets import BUILTIN

PROBED = tuple(name for name, built_in in BUILTIN.items() if "path" in built_in)
"""The targets that can stand on a ladder and are asked over the network."""
_TURNS = int.from_bytes(b"health", "big")  # tells these draws from those of chats


async def probe(kitchen: Kitchen, target: str) -> NoReturn:
    """Probe ``target`` for ever, whenever the policy in force says so."""
    turn = 0
    # The first one comes at any time of a turn.
    rests = _policy(kitchen, target).interval * _draw(kitchen, target, turn)
    while True:
        await asyncio.sleep(rests)
        turn += 1
        policy = _policy(kitchen, target)
        spread = policy.jitter * (2 * _draw(kitchen, target, turn) - 1)
        began = kitchen.now()
        if policy.mode != "off" and kitchen.in_force.current.policy.mode == "enforce":  # else no target is ever asked
            await _once(kitchen, target, policy, began)
        rests = max(policy.interval * (1 + spread) - (kitchen.now() - began), 0.0)


async def _once(kitchen: Kitchen, target: str, policy: HealthPolicy, began: float) -> None:
    destination = kitchen.in_force.current.destinations.get(target)
    if destination is None:
        return
    in_flight, before = kitchen.engine.traffic(target)
    outcome = await kitchen.upstream.probe(destination.origin + policy.path, policy.timeout)
    still, after = kitchen.engine.traffic(target)
    ended = kitchen.now()
    busy = in_flight > 0 or still > 0 or after > before
    kitchen.engine.hear_health(ended, target, outcome, busy=busy, seconds=ended - began)


def _policy(kitchen: Kitchen, target: str) -> HealthPolicy:
    """What is said of it; of a target that is not on the ladder nothing but what is built in."""
    ladder = kitchen.in_force.current.policy.ladder
    return next((each.health for each in ladder if each.name == target), HealthPolicy())


def _draw(kitchen: Kitchen, target: str, turn: int) -> float:
    return draw(kitchen.engine.scene.seed, _TURNS, PROBED.index(target), turn)
