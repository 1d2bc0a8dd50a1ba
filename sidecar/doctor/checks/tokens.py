"""Tokens: there, the same everywhere as far as can be seen, and accepted by each service. None is ever shown, or told where it differs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hmac import compare_digest

from sidecar.doctor.asking import Heard
from sidecar.doctor.examination import Examination, Service, is_sidecar, reached
from sidecar.doctor.result import Result, fail, ok, skipped, warn
from sidecar.doctor.troubles import denied, no_answer, server_error
from sidecar.edge.chat.power import PATH as POWER
from sidecar.edge.environment import ACCEPTED_TOKEN, LINK_TOKEN, MORE_TOKENS, UnusableEnvironmentError, secret_from

LINK = LINK_TOKEN[0]
NAMES = (*dict.fromkeys((*LINK_TOKEN, *ACCEPTED_TOKEN)), "VX11_TOKEN")
MOST_CLIENTS = 5  # tokens of clients that the gateway is shown
PUBLISHED = frozenset(
    {"vx11-token-production", "vx11-local-token", "vx11-test-token", "vx11-operator-test-token", "test-token-vx11"}
)
"""VX11's own defaults: whoever has read its files knows them."""

_GUARDED = {"gateway": "/vx11/circuit-breaker/status", "madre": POWER}  # a token is demanded, nothing is changed


async def present(exam: Examination) -> Result:
    setup = exam.setup
    said = setup.said
    if setup.secret_problem is not None:
        return fail(
            setup.secret_problem,
            "a token is stated and cannot be read: serve does not start",
            "make it readable, one line of ASCII",
        )
    if setup.settings is not None and setup.settings.auth_off:
        return warn(
            "authentication is off: everybody may chat",
            "VX11_AUTH_MODE or the policy says so",
            "set a token, and auth.mode: token",
        )
    if not said.accepted:
        return fail(
            "no token is configured",
            "nobody could be told from anybody else, so serve does not start",
            f"set {LINK} (or {LINK}_FILE) to the token of VX11, or {MORE_TOKENS}",
        )
    if not said.link_token:
        return warn(
            f"{len(said.accepted)} accepted from clients, none for the targets",
            "the switch answers 401 to whoever brings no token, and every chat goes to madre",
            f"set {LINK} (or {LINK}_FILE) to the token of VX11",
        )
    if (said.accepted | {said.link_token}) & PUBLISHED:
        return warn(
            "a token is one of VX11's published defaults",
            "whoever has read VX11's files knows it: it keeps nobody out",
            "make one up (openssl rand -hex 32), and give it to every service",
        )
    admin = ", and one for the admin port" if said.admin_token else ""
    return ok(f"{len(said.accepted)} accepted from clients, one for the targets{admin}")


async def equal(exam: Examination) -> Result:
    """Of the variables that VX11's services read, all that are set here say the same."""
    stated: dict[str, str] = {}
    for name in NAMES:
        try:
            stated[name] = secret_from(f"env {name}", exam.setup.environ)
        except UnusableEnvironmentError:
            continue
    if not stated:
        return skipped("none of VX11's variables for tokens is set here")
    first, token = next(iter(stated.items()))
    others = [name for name, value in stated.items() if not compare_digest(value.encode(), token.encode())]
    if others:
        return warn(
            f"{', '.join(others)}: another token than {first}",
            "VX11's services read these variables in different orders: madre shows the switch API_TOKEN, the operator backend reads "
            "VX11_OPERATOR_TOKEN; where they differ one service answers 401 to another",
            "give all of them the same value, in every service",
        )
    return ok(
        f"{', '.join(stated)}: {'the same' if len(stated) > 1 else 'set'}; of other machines' variables only their answers tell"
    )


def accepted(name: str) -> Callable[[Examination], Awaitable[Result]]:
    """The check that a service accepts the token we send it."""

    async def check(exam: Examination) -> Result:
        service = exam.service(name)
        if service is None:
            return skipped("the policy's ladder does not ask it")
        if not service.token:
            return skipped("no token to send it (see token.present)")
        heard = await _shown(exam, service, service.token)
        if heard.trouble is not None:
            return skipped(f"{name} gives no answer (see {name}.health): whether it accepts our token cannot be seen")
        if heard.status in (401, 403):
            return denied(service, heard.status)
        if heard.status >= 500:
            return server_error(service, heard.status)
        if name == "gateway":
            return await _clients(exam, service, heard)
        return ok(f"{name} at {service.place} accepts our token")

    return check


async def _clients(exam: Examination, service: Service, heard: Heard) -> Result:
    """What is relayed carries the client's own token, and the gateway judges that itself."""
    if heard.status == 404:
        return warn(
            f"gateway at {service.place} does not know {_GUARDED['gateway']}",
            "another version: whether it accepts our token cannot be seen without changing something",
            "compare its VX11_TENTACULO_LINK_TOKEN with ours by hand",
        )
    others = sorted(exam.setup.said.accepted - {service.token})[:MOST_CLIENTS]
    refused = [token for token in others if (await _shown(exam, service, token)).status in (401, 403)]
    if refused:
        return warn(
            f"gateway at {service.place} accepts our token, and refuses {len(refused)} of {len(others)} more that we accept from clients",
            "those clients can chat, and everything else they ask is relayed with their own token and refused",
            f"give them the gateway's token, or take theirs out of {MORE_TOKENS}",
        )
    more = f", and {len(others)} more that we accept from clients" if others else ""
    return ok(f"gateway at {service.place} accepts our token{more}")


async def _shown(exam: Examination, service: Service, token: str) -> Heard:
    path = _GUARDED.get(service.name)
    if path is None:  # of the switch: a GET where only POST is known is 405 behind the token, and 401 before it
        path = exam.settings.snapshot.destinations[service.name].path
    return await exam.client.ask(service.url + path, {"X-VX11-Token": token})


async def sidecar(exam: Examination) -> Result:
    """Whether the running sidecar accepts ours: a chat without a body is 422 behind the token, 401 or 403 before it."""
    settings, token = exam.settings, next(iter(sorted(exam.setup.said.accepted)), None)
    path = exam.chat_path()
    if token is None or path is None:
        none = "no token to show it (see token.present)"
        return skipped(none if token is None else f"mode {exam.policy.mode}: it answers no chat itself")
    door = await exam.data_door()
    if not is_sidecar(door):
        return skipped(f"no sidecar runs at {settings.listen}")
    heard = await exam.client.ask(*exam.shown(f"http://{reached(settings.listen)}{path}", token), method="POST")
    service = Service("the sidecar", f"http://{settings.listen}", token, "--listen")
    if heard.trouble is not None:
        return no_answer(service, heard)
    if heard.status == 422:
        return ok(f"the sidecar at {settings.listen} accepts our token")
    if heard.status in (401, 403):
        return fail(
            f"the sidecar at {settings.listen} answers {heard.status} to our token",
            "it was started with other tokens than those of this environment, or a token file was changed and not read again",
            "give the doctor the sidecar's environment; or reload the sidecar (SIGHUP), or restart it if variables have changed",
        )
    return warn(
        f"the sidecar at {settings.listen} answers {heard.status} to a chat without a body",
        "it is too busy (503), or runs by another policy than this one",
        "see running.policy, and ask again",
    )
