"""All checks by their ids, in the order in which they are told. What comes before a dot is a group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sidecar.doctor.checks import (
    chats,
    machine,
    maintenance,
    monitoring,
    policies,
    ports,
    replies,
    running,
    services,
    tokens,
)
from sidecar.doctor.examination import Examination
from sidecar.doctor.result import Result


class Check(NamedTuple):
    """``needs_settings``: skipped where flags, environment and policy make none. ``last``: begins when the others are over."""

    run: Callable[[Examination], Awaitable[Result]]
    needs_settings: bool = True
    last: bool = False


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "settings": Check(policies.settings, needs_settings=False),
        "policy": Check(policies.policy, needs_settings=False),
        "policy.updates": Check(policies.updates, needs_settings=False),
        "deadline": Check(policies.deadline, needs_settings=False),
        "token.present": Check(tokens.present, needs_settings=False),
        "token.equal": Check(tokens.equal, needs_settings=False),
        "token.gateway": Check(tokens.accepted("gateway")),
        "token.madre": Check(tokens.accepted("madre")),
        "token.switch": Check(tokens.accepted("switch")),
        "token.sidecar": Check(tokens.sidecar),
        "token.admin": Check(ports.exposed),
        "port.data": Check(ports.data),
        "port.admin": Check(ports.admin),
        "gateway.loop": Check(ports.loop),
        "gateway.health": Check(services.health("gateway")),
        "madre.health": Check(services.health("madre")),
        "switch.health": Check(services.health("switch")),
        "operator.health": Check(services.health("operator")),
        "madre.power": Check(services.power),
        "chat.switch": Check(chats.chat("switch")),
        "chat.madre": Check(chats.chat("madre")),
        "chat.operator": Check(replies.operator),
        "chat.sidecar": Check(replies.sidecar),
        "chat.found": Check(replies.found),
        "running.ready": Check(running.ready),
        "running.policy": Check(running.stated(running.revision)),
        "running.addresses": Check(running.stated(running.addresses)),
        "running.overrides": Check(running.stated(running.overrides)),
        "running.chaos": Check(running.stated(running.chaos)),
        "running.degraded": Check(running.stated(running.degraded)),
        "prometheus": Check(monitoring.prometheus),
        "clock": Check(machine.clock),
        "descriptors": Check(machine.descriptors),
        "memory": Check(machine.memory, needs_settings=False),
        "journal": Check(machine.journal),
        "post_task": Check(maintenance.post_task, last=True),
    }
)


def chosen(only: tuple[str, ...]) -> dict[str, Check]:
    """The checks and groups that ``only`` names, all where it names none. Raises ValueError for what is no check."""
    for name in only:
        if not any(_named(check, name) for check in CHECKS):
            raise ValueError(f"--only {name}: no such check; there are {', '.join(CHECKS)}")
    return {check: how for check, how in CHECKS.items() if not only or any(_named(check, name) for name in only)}


def _named(check: str, name: str) -> bool:
    return check == name or check.startswith(f"{name}.")
