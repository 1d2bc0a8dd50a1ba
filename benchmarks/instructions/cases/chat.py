"""A chat's JSON, both ways: read, built, read again; and a chat as a whole."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import orjson

from benchmarks.instructions.case import Case, Turn
from benchmarks.instructions.cases import whole
from benchmarks.instructions.facts import CORRELATION_ID
from benchmarks.instructions.messages import QUESTION, SAID
from sidecar.core.classify import Classifier, digest
from sidecar.edge.chat import contract
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.reply import Answered, Caller, chat_answer
from sidecar.edge.chat.request import Chat, read_chat
from sidecar.policy.model import Policy

JSON = "application/json"


def read(_: ExitStack) -> Turn:
    return partial(read_chat, QUESTION, JSON)


def answer(_: ExitStack) -> Turn:
    caller = Caller(CORRELATION_ID, "http://localhost:8020")
    text = "[local-7b] Ahora están activos madre, switch y hormiguero; spawner está en reposo."
    answered = Answered("switch", text, "general-7b", degraded=False, reason=None, message_id=CORRELATION_ID)
    return partial(chat_answer, caller, "ui-6f1c2b9e-7c1d-4a53-9d0e-2f4b8a6c5d71", answered, 0.3131)


def payload(_: ExitStack) -> Turn:
    chat = read_chat(QUESTION, JSON)
    assert isinstance(chat, Chat)
    target = Policy().ladder[0]
    question = Question(chat.message, chat.session_id or "", CORRELATION_ID, {})
    return lambda: orjson.dumps(contract.payload(target, question))


def switch(_: ExitStack) -> Turn:
    target = Policy().ladder[0]
    paths = Classifier(target).paths

    def turn() -> tuple[contract.Answer | None, dict[str, str]]:
        body = orjson.loads(SAID)
        return contract.answer(target, body), digest(body, paths)

    return turn


CASES = (
    Case("chat.read", "a chat request is read", read),
    Case("chat.answer", "the answer to a chat is built", answer),
    Case("chat.payload", "what the switch is asked is built", payload),
    Case("chat.switch", "the switch's answer is read", switch),
    Case("chat.whole", "a chat is answered by the switch, its facts thrown away", whole.told_nobody, looped=True),
    Case(
        "chat.whole-told",
        "a chat is answered by the switch, its facts told to everybody",
        whole.told_everybody,
        looped=True,
    ),
)
