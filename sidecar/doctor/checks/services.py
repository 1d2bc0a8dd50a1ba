"""The services behind us: does the name resolve, does it connect, is it healthy, is it the one we think it is, how long does that take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sidecar.doctor.asking import UNREACHED, Heard
from sidecar.doctor.examination import Examination, Service
from sidecar.doctor.result import Result, fail, ok, skipped, took, warn
from sidecar.doctor.setup import OPERATOR
from sidecar.doctor.troubles import LOG, SLOW, no_answer, server_error
from sidecar.edge.chat.power import PATH as POWER
from sidecar.edge.chat.power import active_services

_MODULES = {"gateway": "tentaculo_link", "madre": "madre", "switch": "switch", "operator": "operator"}


def health(name: str) -> Callable[[Examination], Awaitable[Result]]:
    """The check of ``GET /health`` of one service."""

    async def check(exam: Examination) -> Result:
        service = exam.service(name)
        if service is None:
            return skipped(_unknown(name))
        heard = await exam.health(name)
        if heard.trouble is not None:
            asleep = name == "switch" and heard.trouble in UNREACHED and await dormant(exam)
            return _asleep(service, heard) if asleep else no_answer(service, heard)
        return _healthy(exam, service, heard)

    return check


def _unknown(name: str) -> str:
    if name == "operator":
        return f"its address is not known (--operator, {OPERATOR}); nothing of ours asks it"
    return "the policy's ladder does not ask it"


def _asleep(service: Service, heard: Heard) -> Result:
    found = no_answer(service, heard)
    return warn(
        found.seen,
        "madre's power state says that it is off on purpose: chats are answered by the next target, and that is no fault",
        "open a power window at madre if it should answer, or use policies/solo_madre.yaml",
    )


def _healthy(exam: Examination, service: Service, heard: Heard) -> Result:
    said = heard.object
    if heard.status >= 500:
        return server_error(service, heard.status)
    module = said.get("module")
    if heard.status != 200 or not isinstance(module, str) or not module.startswith(_MODULES[service.name]):
        answers = f"as {exam.quote(module)}" if module else f"{heard.status} to /health, as no service of VX11 does"
        return fail(
            f"{service.name} at {service.place} answers {answers}",
            "another service, or another program, has that address",
            f"correct the address ({service.stated})",
        )
    seen = f"{service.name} at {service.place} is healthy ({times(heard)}){_dependence(exam, said)}"
    if heard.seconds > SLOW:
        return warn(
            seen,
            "it is busy, or it waits for somebody: the switch answers nothing else while it chats, and madre's health asks the switch for "
            "up to 2 s",
            f"ask again when it is quiet; if it stays slow {LOG}",
        )
    return ok(seen)


def _dependence(exam: Examination, said: object) -> str:
    """How she finds the switch: madre alone says."""
    deps = said.get("deps") if isinstance(said, dict) else None
    switch = deps.get("switch") if isinstance(deps, dict) else None
    return f"; it says the switch is {exam.quote(switch)}" if switch else ""


def times(heard: Heard) -> str:
    """How the time went: name, connection, answer."""
    named = [] if heard.resolved is None else [f"name {took(heard.resolved)}"]
    connected = [] if heard.connected is None else [f"connected {took(heard.connected)}"]
    return ", ".join([*named, *connected, f"answer {took(heard.seconds)}"])


async def power_state(exam: Examination) -> Heard | None:
    """What madre says of the power windows; None where there is no madre to ask."""
    service = exam.service("madre")
    if service is None:
        return None

    async def ask() -> Heard:
        headers = {"X-VX11-Token": service.token} if service.token else {}
        return await exam.client.ask(service.url + POWER, headers)

    return await exam.once("power", ask)


async def dormant(exam: Examination) -> bool:
    """Whether madre says that the switch is off on purpose."""
    heard = await power_state(exam)
    active = active_services(heard.json) if heard is not None and heard.status == 200 else None
    return active is not None and "switch" not in active


async def power(exam: Examination) -> Result:
    """Whether madre's power state can be read."""
    mode = exam.policy.dormant.mode
    if mode == "ignore":
        return skipped("the policy does not look at it (dormant.mode: ignore)")
    service, heard = exam.service("madre"), await power_state(exam)
    if service is None or heard is None:
        return skipped(_unknown("madre"))
    if heard.trouble in UNREACHED:
        return skipped("cannot be reached (see madre.health)")
    if heard.trouble is not None:
        return no_answer(service, heard)
    active = active_services(heard.json)
    unread = f"dormant.mode is {mode}: without the state a switch that is off on purpose looks like one that is broken"
    if heard.status in (401, 403):
        return fail(
            f"madre answers {heard.status} to {POWER}", unread, "give madre and us the same token (see token.madre)"
        )
    if heard.status != 200 or active is None:
        return warn(
            f"madre answers {heard.status} to {POWER}, and not with a power state",
            f"another version of madre, or another service; {unread}",
            f"correct the address ({service.stated}), or write dormant.mode: ignore",
        )
    said = exam.quote(heard.object.get("policy"))
    return ok(f"madre's power policy is {said}; the switch is {'on' if 'switch' in active else 'off on purpose'} by it")
