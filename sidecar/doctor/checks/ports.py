"""The ports: free for us, or held by us; the gateway no way back to ourselves; the admin port with a token where others reach it."""

from __future__ import annotations

import errno
import os
import socket

from sidecar.doctor.asking import Heard, Trouble
from sidecar.doctor.examination import Examination, is_sidecar, pseudonyms, reached
from sidecar.doctor.result import Result, fail, ok, skipped, warn
from sidecar.edge.environment import ADMIN_TOKEN
from sidecar.edge.settings import Address, UnusableSettingsError, refuse_loop


async def data(exam: Examination) -> Result:
    address = exam.settings.listen
    if address.port == 0:
        return skipped("port 0: the system chooses one at start")
    return _held(
        exam,
        "--listen",
        address,
        await exam.data_door(),
        "move the gateway to another port and say where it is (--gateway)",
    )


async def admin(exam: Examination) -> Result:
    address = exam.settings.admin
    if address.port == 0:
        return skipped("port 0: the system chooses one at start")
    heard = await exam.client.ask(f"http://{reached(address)}/livez", patience=2.0)
    return _held(exam, "--admin", address, heard, "end what listens there")


def _held(exam: Examination, flag: str, address: Address, heard: Heard, make_room: str) -> Result:
    if is_sidecar(heard):
        return ok(f"{address} is held by a sidecar that runs")
    if heard.trouble not in (Trouble.REFUSED, Trouble.CONNECT):
        server = exam.quote(heard.fields.get("Server") or "something that does not say its name")
        return fail(
            f"{address} is held by {server}",
            "another program listens there, often the gateway that has not been moved yet: serve could not take the port",
            f"{make_room}, or choose another ({flag})",
        )
    problem = _bind(address)
    if problem is None:
        return ok(f"{address} is free")
    why = {
        errno.EACCES: "ports below 1024 need the right to take them (CAP_NET_BIND_SERVICE)",
        errno.EADDRNOTAVAIL: "no interface of this machine has that address",
        errno.EADDRINUSE: "another program has taken it, and does not answer",
    }.get(problem, os.strerror(problem))
    return fail(f"{address} cannot be taken: {os.strerror(problem)}", why, f"choose another port or address ({flag})")


def _bind(address: Address) -> int | None:
    """Take the port for a moment, without listening; the error number if that fails."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return None


async def loop(exam: Examination) -> Result:
    """By address, and by the names that sidecars leave in what they relay."""
    settings = exam.settings
    remedy = "name the address that the gateway has now, behind us (--gateway, VX11_SIDECAR_GATEWAY_URL)"
    cause = "what the sidecar relays would come back to it, and again"
    try:
        refuse_loop(settings.listen, settings.gateway)
    except UnusableSettingsError:
        return fail(f"gateway {settings.gateway} leads back to our own listener {settings.listen}", cause, remedy)
    heard = await exam.health("gateway")
    if heard.status == 508:
        return fail(f"gateway {settings.gateway} leads back to a sidecar that relays to itself", cause, remedy)
    if between := pseudonyms(heard):
        if settings.listen.port and between & await _ourselves(exam):
            return fail(f"gateway {settings.gateway} leads back to the sidecar at {settings.listen}", cause, remedy)
        return warn(
            f"between us and the gateway at {settings.gateway} stands another sidecar",
            "chats and limits are handled twice, and its answers are taken for the gateway's",
            f"unless that is meant, {remedy}",
        )
    if heard.trouble is not None:
        return ok(f"gateway {settings.gateway} is not our own address (it does not answer)")
    return ok(f"gateway {settings.gateway} answers by itself, not through a sidecar")


async def _ourselves(exam: Examination) -> set[str]:
    return pseudonyms(await exam.client.ask(f"http://{reached(exam.settings.listen)}/health"))


async def exposed(exam: Examination) -> Result:
    """The admin port and its token."""
    settings, token = exam.settings, exam.setup.said.admin_token
    outside = settings.exposed
    where = f"admin port {settings.admin}, {'reachable from other machines' if outside else 'on loopback only'}"
    if token:
        return ok(f"{where}; {ADMIN_TOKEN} is set")
    remedy = f"set {ADMIN_TOKEN} or {ADMIN_TOKEN}_FILE"
    if outside:
        return fail(
            f"{where}, and no admin token is set",
            "without a token /state, /policy and /calls refuse everybody, nothing can be changed, and /metrics answers whoever comes",
            f"{remedy}; or listen on loopback only (--admin 127.0.0.1:{settings.admin.port})",
        )
    return warn(
        f"{where}; no admin token is set",
        "nothing can be changed by the admin port: no override, no reload, no log level",
        f"{remedy}, unless that is meant",
    )
