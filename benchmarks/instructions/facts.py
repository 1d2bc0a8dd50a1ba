"""Calls driven by hand, and the facts that come of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from sidecar.core.engine import Engine
from sidecar.core.fact import ChatServed, Emit, Fact
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Answered, Attempt, ErrorKind, Finish, Outcome, Woke
from sidecar.policy.model import Policy

WELL = Outcome(status=200, body={"status": "ok"}, text=True)
SILENT = Outcome(error=ErrorKind.TIMEOUT)
DOWN = Outcome(error=ErrorKind.CONNECT)
PATIENCE = 4.75  # seconds
CORRELATION_ID = "3f8e2a51-94c7-4d06-8b1f-6a7e0c5d2b93"

nobody: Emit = deque[Fact](maxlen=0).append
"""Where facts go that nobody wants."""


def engine(emit: Emit = nobody, policy: Mapping[str, object] | None = None) -> Engine:
    made = Policy.model_validate(policy or {})
    return Engine(0.0, made, revision="sha256:5d1c", source="built-in", seed=1, emit=emit)


def ask(asked: Engine, number: int, at: float, outcomes: Mapping[str, Outcome], took: float) -> Finish:
    """One call at ``at``, to its end: each target comes to its outcome after ``took`` seconds, and so does a wait."""
    plan = asked.begin(at, Call(number, PATIENCE, CORRELATION_ID))
    step = plan.start()
    while type(step) is not Finish:
        at += took
        step = plan.send(Answered(at, outcomes[step.target]) if type(step) is Attempt else Woke(at))
    return step


def of_one_chat() -> list[Fact]:
    """All of a chat that the switch answered, in order."""
    facts: list[Fact] = []
    asked = engine(facts.append)
    facts.clear()  # that a policy was adopted is no chat's
    ask(asked, 1, 100.0, {"switch": WELL}, 0.312)
    used = ("/operator/api/chat", "browser")
    return [*facts, ChatServed(100.313, 1, CORRELATION_ID, "primary", 200, 0.3131, 0.0011, *used)]
