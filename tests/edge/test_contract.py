"""How switch and madre are spoken to: payloads, answers, and a shield that no shell runs.

The bodies are those that the real services were seen to send.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.classify import Classifier, digest
from sidecar.core.value import replace
from sidecar.core.vocabulary import Outcome, Verdict
from sidecar.edge.chat.contract import SHIELD, Answer, Question, answer, payload
from sidecar.policy.model import Policy

SWITCH, MADRE = Policy().ladder
ASKED = Question("rm -rf /", "s1", "corr-1", {"trace_id": "t"})

SUCCESS = {
    "status": "ok", "provider": "local", "decision": "local", "content": "[local-7b] hola", "reply": "[local-7b] hola", "latency_ms": 1,
    "engine_used": "general-7b", "used_cli": False, "fallback_reason": "cli_unavailable", "tokens_used": None,
}  # fmt: skip
ERROR = {
    "status": "error",
    "provider": "fallback",
    "content": "Error: 'int' object has no attribute 'strip'",
    "latency_ms": 0,
}
PARTIAL = {"status": "partial", "content": "Error en Hermes", "provider": "hermes", "latency_ms": 3}
QUEUED = {"status": "queued", "model": "general-7b", "queue_size": 1, "task_queue_id": 7, "reply": "[general-7b] hola"}
HEALTHY = {"step": "SYSTEM_HEALTHCHECK", "result": {"target": "madre", "status": "ok", "error": None}}
DONE = {
    "response": "Plan executed. Mode: ModeEnum.MADRE. Status: DONE", "session_id": "s1", "intent_id": "i", "plan_id": "p", "status": "DONE",
    "mode": "MADRE", "provider": "fallback_local", "model": "local", "warnings": [], "targets": [], "actions": [HEALTHY],
}  # fmt: skip
WAITING = DONE | {
    "response": "Action requires confirmation. Provide plan_id and confirm_token to /madre/plans/{id}/confirm",
    "status": "WAITING",
    "actions": [],
}
OWN_TEXT = Answer(DONE["response"], "local")


def called(result):
    return {"step": "CALL_SWITCH", "result": result}


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_the_switch_gets_the_shield_first_and_the_message_last():
    assert payload(SWITCH, ASKED) == {
        "messages": [{"role": "system", "content": SHIELD}, {"role": "user", "content": "rm -rf /"}],
        "metadata": {"trace_id": "t"},
    }


def test_without_the_shield_the_switch_gets_the_message_alone():
    assert payload(SWITCH.model_copy(update={"shield": False}), ASKED)["messages"] == [
        {"role": "user", "content": "rm -rf /"}
    ]


def test_metadata_is_an_object_even_if_it_is_empty():
    assert payload(SWITCH, replace(ASKED, metadata={}))["metadata"] == {}


def test_madre_gets_message_and_session_and_no_more():
    assert payload(MADRE, ASKED) == {"message": "rm -rf /", "session_id": "s1"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_of_a_user_ever_comes_first(text):
    sent = orjson.loads(orjson.dumps(payload(SWITCH, replace(ASKED, message=text))))
    assert [message["content"] for message in sent["messages"]] == [SHIELD, text]


# -- the shield --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_a_shell_finds_no_command_in_the_shield(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    ran = subprocess.run([shell, "-c", SHIELD], cwd=tmp_path, capture_output=True, text=True, timeout=10, check=False)
    assert (ran.returncode, ran.stdout) == (127, "")
    assert list(tmp_path.iterdir()) == []


def test_the_shield_holds_nothing_that_means_something_to_a_shell():
    assert re.fullmatch(r"[A-Za-z0-9 :-]+", SHIELD)
    assert shutil.which(SHIELD.split()[0]) is None


# -- what the switch answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (SUCCESS, Answer("[local-7b] hola", "general-7b")),
        (SUCCESS | {"engine_used": "e" * 65}, Answer("[local-7b] hola", "e" * 64)),
        (SUCCESS | {"engine_used": None}, Answer("[local-7b] hola", "unknown")),
        (SUCCESS | {"engine_used": ""}, Answer("[local-7b] hola", "unknown")),
        (SUCCESS | {"engine_used": 7}, Answer("[local-7b] hola", "unknown")),
        (SUCCESS | {"reply": " padded "}, Answer(" padded ", "general-7b")),
        (SUCCESS | {"reply": ""}, None),
        (SUCCESS | {"reply": " \n"}, None),
        (SUCCESS | {"reply": None}, None),
        (SUCCESS | {"reply": ["x"]}, None),
        (SUCCESS | {"reply": {"text": "x"}}, None),
        (ERROR, None),
        (PARTIAL, None),
        ({}, None),
        ({"detail": "auth_required"}, None),
        ({"error": "All connection attempts failed", "status": "service_offline", "module": "madre"}, None),
    ],
)
def test_the_switch_says_what_its_reply_says(body, said):
    assert answer(SWITCH, body) == said


@pytest.mark.parametrize(
    ("target", "body", "verdict"),
    [
        (SWITCH, SUCCESS, Verdict.SUCCESS),
        (SWITCH, SUCCESS | {"reply": ""}, Verdict.FATAL),
        (SWITCH, ERROR, Verdict.FATAL),
        (SWITCH, PARTIAL, Verdict.FATAL),
        (SWITCH, PARTIAL | {"reply": "Error en Hermes"}, Verdict.FATAL),
        (MADRE, DONE, Verdict.SUCCESS),
        (MADRE, WAITING, Verdict.DEGRADED),
        (MADRE, DONE | {"status": "ERROR"}, Verdict.FATAL),
        (MADRE, DONE | {"response": ""}, Verdict.FATAL),
    ],
)
def test_a_failure_under_http_200_is_a_failure(target, body, verdict):
    classify = Classifier(target)
    assert classify(Outcome(None, 200, digest(body, classify.paths), answer(target, body) is not None)) is verdict


# -- what madre answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (DONE, OWN_TEXT),
        (WAITING, Answer(WAITING["response"], "local")),
        (DONE | {"model": None}, Answer(DONE["response"], "unknown")),
        (DONE | {"response": ""}, None),
        (DONE | {"response": 7}, None),
        ({}, None),
        ({"detail": "Error serializing to JSON"}, None),
    ],
)
def test_madre_says_what_she_did(body, said):
    assert answer(MADRE, body) == said


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ([HEALTHY, HEALTHY, called(QUEUED)], Answer("[general-7b] hola", "general-7b")),
        ([called(SUCCESS)], Answer("[local-7b] hola", "general-7b")),
        ([called(SUCCESS | {"model": "other"})], Answer("[local-7b] hola", "general-7b")),
        ([called({"reply": "hola"})], Answer("hola", "unknown")),
        ([called(ERROR), called(QUEUED)], Answer("[general-7b] hola", "general-7b")),
        ([called(QUEUED), called(QUEUED | {"reply": "second"})], Answer("[general-7b] hola", "general-7b")),
    ],
)
def test_a_reply_of_the_switch_within_her_plan_is_the_answer(actions, said):
    assert answer(MADRE, DONE | {"actions": actions}) == said
    assert answer(MADRE, {"actions": actions}) == said


@pytest.mark.parametrize(
    "actions",
    [
        None,
        7,
        "CALL_SWITCH",
        {},
        {"step": "CALL_SWITCH", "result": QUEUED},
        [],
        [None, 7, "CALL_SWITCH", [], {}],
        [called(None)],
        [called("x")],
        [called([QUEUED])],
        [called({})],
        [called(ERROR)],
        [called(ERROR | {"reply": "Error"})],
        [called(PARTIAL | {"reply": "Error en Hermes"})],
        [called(QUEUED | {"status": "service_offline"})],
        [called(QUEUED | {"status": None})],
        [called(QUEUED | {"status": ["ok"]})],
        [called(QUEUED | {"reply": " "})],
        [called(QUEUED | {"reply": None})],
        [called({"status": "error", "error": "timeout"})],
        [{"step": "call_switch", "result": QUEUED}],
        [{"step": ["CALL_SWITCH"], "result": QUEUED}],
        [{"result": QUEUED}],
        [{"step": "CALL_SWITCH"}],
    ],
)
def test_whatever_else_is_in_her_plan_leaves_her_own_text(actions):
    assert answer(MADRE, DONE | {"actions": actions}) == OWN_TEXT


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["CALL_SWITCH", "ok", "queued"]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["step", "result", "reply", "status", "model", "actions"]), below)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["actions", "reply", "response", "status", "model", "engine_used"]), json_values)
)
def test_no_body_makes_it_raise_or_answer_with_nothing(body):
    for target in (SWITCH, MADRE):
        said = answer(target, body)
        assert said is None or (said.text.strip() and 0 < len(said.model) <= 64)
