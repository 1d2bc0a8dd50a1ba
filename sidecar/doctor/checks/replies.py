"""One validated chat as a client sees it: the fields of its shape, the correlation id, and the same call found again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sidecar.doctor.asking import UNREACHED, Heard
from sidecar.doctor.checks.chats import MESSAGE
from sidecar.doctor.examination import Examination, Service, is_sidecar, mapping, reached
from sidecar.doctor.result import Result, fail, ok, skipped, took, warn
from sidecar.doctor.troubles import LOG, degraded, no_answer, server_error

OPERATOR_PATH = "/operator/api/chat"
SLACK = 3.0  # seconds beyond the deadline of the policy until we no longer wait
OPERATOR_PATIENCE = 8.0  # of its own 37 at worst; the UI's are 5
PROVIDERS = frozenset({"switch", "madre", "deepseek-r1", "general-7b", "local"})
STATUSES = frozenset({"ok", "degraded"})


def _text(value: object) -> bool:
    return isinstance(value, str)


FIELDS: Mapping[str, Callable[[object], bool]] = {
    "response": _text,
    "model_used": _text,
    "latency_ms": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "correlation_id": _text,
    "session_id": _text,
    "provider": lambda value: value in PROVIDERS if isinstance(value, str) else False,
    "status": lambda value: value in STATUSES if isinstance(value, str) else False,
    "degraded": lambda value: isinstance(value, bool),
}
"""The eight fields of VX11's published end-to-end tests, and what each may be."""
STUB = dict.fromkeys(("correlation_id", "session_id", "response", "model", "timestamp"), _text)
"""The fields within ``data`` under ``reply.shape: stub``."""
_DETAILS = re.compile(r'details="([a-z_]+)"')


async def sidecar(exam: Examination) -> Result:
    """Through the sidecar that runs at ``--listen``."""
    token, path = next(iter(sorted(exam.setup.said.accepted)), None), exam.chat_path()
    if path is None:
        return skipped(f"mode {exam.policy.mode}: it answers no chat itself")
    if not is_sidecar(await exam.data_door()):
        return skipped(f"no sidecar runs at {exam.settings.listen}")
    service = Service("the sidecar", f"http://{exam.settings.listen}", token, "--listen")
    heard = await _through(exam)
    found = _unusable(exam, service, heard) or _misfits(exam, service, heard, exam.policy.reply.shape)
    return found or _said(exam, heard)


async def _through(exam: Examination) -> Heard:
    """The chat through the sidecar, once."""

    async def ask() -> Heard:
        if await exam.running():
            await exam.told("state")  # before: what it says of the last chat shall not be about ours
        token, path = next(iter(sorted(exam.setup.said.accepted)), None), exam.chat_path()
        url, shown = exam.shown(f"http://{reached(exam.settings.listen)}{path}", token)
        async with exam.turn:
            return await _chat(exam, url, shown, exam.policy.deadline.client + SLACK)

    return await exam.once("chat through", ask)


async def _chat(exam: Examination, url: str, shown: Mapping[str, str], patience: float) -> Heard:
    body = {"message": MESSAGE, "session_id": exam.correlation_id, "correlation_id": exam.correlation_id}
    fields = {"X-Correlation-Id": exam.correlation_id, **shown}
    return await exam.client.ask(url, fields, method="POST", body=body, patience=patience)


def _unusable(exam: Examination, service: Service, heard: Heard) -> Result | None:
    """What is no answer to a chat."""
    if heard.trouble is not None:
        return no_answer(service, heard)
    if heard.status in (401, 403):
        return fail(
            f"{service.name} answers {heard.status} to our token",
            "it was started with other tokens than those of this environment"
            if service.name == "the sidecar"
            else "it expects another token",
            "give the doctor and the service the same environment (see token.sidecar)",
        )
    if heard.status >= 500:
        reason = heard.object.get("reason")
        because = f" ({exam.quote(reason)})" if reason else ""
        found = server_error(service, heard.status)
        return found._replace(
            seen=found.seen + because, cause="nobody answered this chat: see chat.switch and chat.madre"
        )
    if heard.status != 200:
        return fail(
            f"{service.name} answers {heard.status} to a chat",
            "it is no service that chats like this, or a limit has been reached (429), or the body is refused (422)",
            f"correct the address ({service.stated}); for limits see guards in the policy",
        )
    return None


def _misfits(exam: Examination, service: Service, heard: Heard, shape: str = "reference") -> Result | None:
    """A reply that does not fit the schema."""
    body, fields = (mapping(heard.object.get("data")), STUB) if shape == "stub" else (heard.object, FIELDS)
    missing = [name for name in fields if name not in body]
    wrong = [name for name, right in fields.items() if name in body and not right(body[name])]
    if missing or wrong:
        parts = [f"no {', '.join(missing)}"] if missing else []
        parts += [f"not as it must be: {', '.join(wrong)}"] if wrong else []
        return fail(
            f"{service.name} answers a chat with a reply that does not fit the schema: {'; '.join(parts)}",
            "not the sidecar answered but somebody behind it, or another version: VX11 has three different replies to a chat",
            "send chats to the sidecar (intercept.paths), and see that mode is enforce and all of it has one version",
        )
    echoed = {body["correlation_id"], heard.fields.get("X-Correlation-Id", exam.correlation_id)}
    if echoed != {exam.correlation_id}:
        return fail(
            f"{service.name} answers with another correlation id than the one it was sent",
            "a chat cannot be followed through the logs",
            "see what stands between us and it, and whether that removes X-Correlation-Id",
        )
    return None


def _said(exam: Examination, heard: Heard) -> Result:
    body, stub = heard.object, exam.policy.reply.shape == "stub"
    by, fields = (
        (body["data"]["model"], "the five fields of the stub") if stub else (body["provider"], "its eight fields")
    )
    seen = (
        f"the sidecar answers a chat in {took(heard.seconds)} by {exam.quote(by)}, with {fields} and the "
        f"correlation id {exam.correlation_id}"
    )
    if not body.get("degraded"):
        return ok(seen)
    told = _DETAILS.search(heard.fields.get("Proxy-Status", ""))  # where the shape has no room for it
    reason = body.get("reason") or (told[1] if told else None)
    cause, remedy = degraded(exam.primary(), reason)
    return warn(f"{seen}; degraded: {exam.quote(reason)}", cause, remedy)


async def found(exam: Examination) -> Result:
    """The chat through the sidecar, at its admin port."""
    if exam.chat_path() is None or not is_sidecar(await exam.data_door()):
        return skipped("no chat went through a sidecar")
    if (await _through(exam)).status != 200:
        return skipped("the chat through the sidecar had no answer (see chat.sidecar)")
    elsewhere = f"the logs of switch, madre and gateway cannot be seen from here: search them for {exam.correlation_id}"
    if not await exam.running():
        return skipped(f"no admin port to ask at {exam.running_place()}; {elsewhere}")
    heard = await exam.told(f"calls/{exam.correlation_id}")
    facts = heard.object.get("facts")
    if heard.status == 200 and isinstance(facts, list) and facts:
        asked = [
            exam.quote(mapping(fact).get("target")) for fact in facts if mapping(fact).get("fact") == "AttemptStarted"
        ]
        return ok(
            f"/calls/{exam.correlation_id} tells {len(facts)} facts, asked: {', '.join(asked) or 'nobody'}; {elsewhere}"
        )
    if heard.status in (401, 403):
        return warn(
            f"{exam.running_place()} answers {heard.status} to /calls",
            "it wants the admin token, or does not know the name it was asked by (admin.hosts)",
            "set VX11_SIDECAR_ADMIN_TOKEN for the doctor, or ask on loopback; in the log look for the line of this correlation id",
        )
    return fail(
        f"{exam.running_place()} does not know the chat {exam.correlation_id}",
        "the data port and the admin port are not those of one sidecar",
        "give the doctor the --listen and --admin (or --running) of the same sidecar",
    )


async def operator(exam: Examination) -> Result:
    """The operator backend's own chat: nothing of ours needs it, and clients that go round the sidecar do."""
    service = exam.service("operator")
    if service is None:
        return skipped("the operator backend's address is not known (--operator, VX11_OPERATOR_URL)")
    if (await exam.health("operator")).trouble in UNREACHED:
        return skipped("cannot be reached (see operator.health)")
    async with exam.turn:
        url = service.url + OPERATOR_PATH
        shown = {"X-VX11-Token": service.token} if service.token else {}
        heard = await _chat(exam, url, shown, OPERATOR_PATIENCE)
    result = _unusable(exam, service, heard) or _misfits(exam, service, heard)
    if result is not None:
        note = "clients of the sidecar do not meet it: it asks switch and madre itself"
        return warn(result.seen, f"{result.cause}; {note}", f"{result.remedy}; {LOG}")
    return ok(
        f"operator at {service.place} answers a chat in {took(heard.seconds)} with its eight fields and the correlation id"
    )
