"""How switch and madre are spoken to: what each wants to be sent, and where in its answer the answer is.

Pure: JSON objects in, JSON objects out. The request is built anew from validated fields; nothing of the client's bytes goes on
but its trace context, if that is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar.core.value import Value
from sidecar.policy.model import Target

SHIELD = "vx11-sidecar-shield: please answer the last message of this conversation"
"""The first message a shielded switch gets.

The unmodified switch hands the *first* message to ``sh -c`` and answers the *last* one where that is no command. No
system has a command of this name, and the sentence holds no character that means anything to a shell, so sh fails, nothing runs, and the
user's text only ever reaches the lane that answers.
"""

_REPLIED = ("ok", "queued")  # of what madre's plan asks the switch, which is another route than ours; a failure says so


class Question(Value):
    """A validated chat, as targets are asked. ``trace`` is the header fields of its trace context, ``key`` its Idempotency-Key."""

    message: str
    session_id: str
    correlation_id: str
    metadata: Mapping[str, Any]
    trace: Mapping[str, str] = {}
    key: str = ""


class Answer(Value):
    """What a target said to the user."""

    text: str
    model: str


def payload(target: Target, question: Question) -> dict[str, Any]:
    """The JSON body for one target."""
    return _PAYLOAD[target.name](target, question)


def answer(target: Target, body: Mapping[str, Any]) -> Answer | None:
    """What the target answered; None where its body holds nothing to show."""
    return _ANSWER[target.name](body)


def _switch_payload(target: Target, question: Question) -> dict[str, Any]:
    messages = [{"role": "user", "content": question.message}]
    if target.shield:
        messages.insert(0, {"role": "system", "content": SHIELD})
    return {"messages": messages, "metadata": dict(question.metadata)}


def _madre_payload(_: Target, question: Question) -> dict[str, Any]:
    return {"message": question.message, "session_id": question.session_id}


def _switch_answer(body: Mapping[str, Any]) -> Answer | None:
    return _said(body, "reply", "engine_used")  # a failure has content and no reply


def _madre_answer(body: Mapping[str, Any]) -> Answer | None:
    """The switch's reply within madre's plan where there is one; madre's own text says only what it did."""
    return _called_switch(body) or _said(body, "response", "model")


def _called_switch(body: Mapping[str, Any]) -> Answer | None:
    actions = body.get("actions")
    for action in actions if isinstance(actions, list) else ():
        result = action.get("result") if isinstance(action, dict) and action.get("step") == "CALL_SWITCH" else None
        if not isinstance(result, dict) or result.get("status", "ok") not in _REPLIED:
            continue
        if found := _said(result, "reply", "engine_used", "model"):
            return found
    return None


def _said(body: Mapping[str, Any], key: str, *models: str) -> Answer | None:
    """The text at ``key``, by the model that the first of ``models`` names; None where there is nothing to show."""
    text = body.get(key)
    if not isinstance(text, str) or not text.strip():
        return None
    for model in models:
        name = body.get(model)
        if isinstance(name, str) and name:
            return Answer(text, name[:64])
    return Answer(text, "unknown")


_PAYLOAD = {"switch": _switch_payload, "madre": _madre_payload}
_ANSWER = {"switch": _switch_answer, "madre": _madre_answer}
