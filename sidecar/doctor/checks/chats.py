"""One validated chat with each service that chats: asked as the sidecar asks, and judged as it judges.

The text is a greeting, and no command of any shell: the unmodified switch hands chats to one. madre keeps rows of every chat.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from sidecar.core.classify import Classifier
from sidecar.core.value import replace
from sidecar.core.vocabulary import Attempt, Binding, ErrorKind, Outcome, Verdict
from sidecar.doctor.asking import UNREACHED, Heard, Trouble
from sidecar.doctor.examination import Examination, Service
from sidecar.doctor.result import Result, fail, ok, skipped, took, warn
from sidecar.doctor.troubles import LOG, denied, no_answer, server_error
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.upstream import Asked, Upstream
from sidecar.policy.figures import figures

MESSAGE = "hola"
PATIENCE = {"switch": 8.0, "madre": 10.0}  # seconds: madre needs 7 for a switch that hangs
CONNECT = 2.0
OTHER_VERSION = (
    "the contract has changed: another version of {name} than the sidecar knows, or another service at that address"
)
REPORT = (
    "compare the version of {name} with the one that worked, and correct the address ({stated}) or targets[].path; until then chats go to "
    "the next target"
)

_TROUBLES = {
    ErrorKind.DNS: Trouble.DNS,
    ErrorKind.CONNECT: Trouble.REFUSED,
    ErrorKind.CONNECT_TIMEOUT: Trouble.CONNECT,
    ErrorKind.NO_SOCKET: Trouble.NO_SOCKET,
    ErrorKind.TIMEOUT: Trouble.TIMEOUT,
    ErrorKind.RESET: Trouble.RESET,
    ErrorKind.TRUNCATED: Trouble.RESET,
    ErrorKind.PROTOCOL: Trouble.PROTOCOL,
    ErrorKind.TOO_LARGE: Trouble.TOO_LARGE,
}


def chat(name: str) -> Callable[[Examination], Awaitable[Result]]:
    """The check of one chat, straight with switch or madre."""

    async def check(exam: Examination) -> Result:
        service = exam.service(name)
        if service is None:
            return skipped("the policy's ladder does not ask it")
        heard = await exam.health(name)
        if heard.trouble in UNREACHED:
            return skipped(f"cannot be reached (see {name}.health)")
        async with exam.turn:
            began = perf_counter()
            asked = await _ask(exam, name)
            seconds = perf_counter() - began
        return judged(exam, service, asked, seconds)

    return check


async def _ask(exam: Examination, name: str) -> Asked:
    target = exam.target(name)
    step = Attempt(name, 1, PATIENCE[name], CONNECT, Binding.ATTEMPT)
    question = Question(MESSAGE, exam.correlation_id, exam.correlation_id, {})
    destination = exam.settings.snapshot.destinations[name]
    upstream = Upstream()
    try:
        return await upstream.ask(step, target, Classifier(target), destination, question)
    finally:
        upstream.close()


def judged(exam: Examination, service: Service, asked: Asked, seconds: float) -> Result:
    """What the sidecar would make of the answer, in words."""
    outcome = asked.outcome
    verdict = Classifier(exam.target(service.name))(outcome)
    if outcome.error is not None:
        return _failed(service, outcome.error, seconds)
    status = outcome.status or 0
    if verdict is Verdict.SUCCESS:
        return _answered(exam, service, asked, seconds)
    if verdict is Verdict.DEGRADED:
        return warn(
            f"{service.name} answers, with status {exam.quote(outcome.body.get('status'))}",
            "it waits for somebody to confirm what it plans; users see that as a degraded answer",
            "confirm or reject its plans where they were asked for",
        )
    if status in (401, 403):
        return denied(service, status)
    if status >= 500:
        return server_error(service, status)
    if status >= 300:
        return _refused(service, status)
    return _misfit(exam, service, outcome)


def _answered(exam: Examination, service: Service, asked: Asked, seconds: float) -> Result:
    model = exam.quote(asked.answer.model) if asked.answer else "unknown"
    seen = f"{service.name} answers a chat in {took(seconds)}, by {model}"
    share = next(of.share.most for of in figures(exam.policy).targets if of.name == service.name)
    if seconds <= share:
        return ok(seen)
    return warn(
        f"{seen}; the policy leaves it {took(share)}",
        "it is slow: a chat of a user would have been given to the next target, or answered locally",
        f"{LOG}; if it is always so slow, see deadline and reserve in the policy",
    )


def _refused(service: Service, status: int) -> Result:
    words = {"name": service.name, "stated": service.stated}
    what = {404: "the path", 405: "the path", 415: "the content type", 422: "the body of the chat"}.get(
        status, "the request"
    )
    return fail(
        f"{service.name} at {service.place} answers {status}: it does not accept {what}",
        OTHER_VERSION.format(**words),
        REPORT.format(**words),
    )


def _misfit(exam: Examination, service: Service, outcome: Outcome) -> Result:
    """HTTP 200, and no answer all the same."""
    word = outcome.body.get("status")
    if Classifier(exam.target(service.name))(replace(outcome, text=True)) is not Verdict.SUCCESS:
        return fail(
            f"{service.name} answers 200 with status {exam.quote(word)}: an error under HTTP 200",
            "it failed and says so in the body alone; whoever looks at the HTTP status takes it for an answer",
            f"{LOG}; for the switch, see its models and its CLI providers",
        )
    words = {"name": service.name, "stated": service.stated}
    return fail(
        f"{service.name} answers 200, and the reply does not fit the schema: there is no text to show in it",
        f"an empty reply, or {OTHER_VERSION.format(**words)}",
        f"{LOG}; {REPORT.format(**words)}",
    )


def _failed(service: Service, error: ErrorKind, seconds: float) -> Result:
    if error is ErrorKind.NOT_JSON:
        words = {"name": service.name, "stated": service.stated}
        return fail(
            f"{service.name} answers 200, and the reply does not fit the schema: it is no JSON object",
            f"a page of a proxy in between, or {OTHER_VERSION.format(**words)}",
            REPORT.format(**words),
        )
    return no_answer(service, Heard(_TROUBLES[error], seconds=seconds))
