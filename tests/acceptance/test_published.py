"""VX11's seven published checks of chat, said in our own words.

With VX11_OPERATOR_URL set they run against whatever stands there (VX11_TENTACULO_URL, VX11_TOKEN and the rest are read as VX11's own
tests read them). Without it they run in front of the lab, in the four states a switch and its fallback can be in.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import FREE
from tests.acceptance.running import Answer, LabProcess, Process, chat

STATES = {
    "all up": (),
    "switch down": ("switch=refuse",),
    "switch hung": ("switch=hang",),
    "switch and madre down": ("switch=refuse", "madre=refuse"),
}
GIVEN = "as given"
FIELDS = {
    "response": str,
    "model_used": str,
    "latency_ms": (int, float),
    "correlation_id": str,
    "session_id": str,
    "provider": str,
    "status": str,
    "degraded": bool,
}
PROVIDERS = {"switch", "madre", "deepseek-r1", "general-7b", "local"}
PATIENCE = 5.0


class Deployment:
    """What the checks are made against: only what the environment says."""

    def __init__(self) -> None:
        self.slowest = 0.0
        self.by: set[str] = set()
        self.passed = self.ran = 0

    def chat(self, through: str, *, token: bool = True, **members: object) -> Answer:
        """One chat at ``VX11_<through>_URL``."""
        url = os.environ.get(f"VX11_{through}_URL") or os.environ["VX11_OPERATOR_URL"]
        known = os.environ.get("VX11_TOKEN") or os.environ.get("VX11_TENTACULO_LINK_TOKEN", "")
        answer = chat(url.rstrip("/"), known if token else None, **members)
        self.slowest = max(self.slowest, answer.seconds)
        if answer.status == 200:
            self.by.add(str(answer.json.get("provider")))
        return answer


@pytest.fixture(scope="module", params=[GIVEN] if os.environ.get("VX11_OPERATOR_URL") else list(STATES))
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, figures: list[str]
) -> Iterator[Deployment]:
    state, stands = request.param, Deployment()
    began = time.perf_counter()
    if state == GIVEN:
        yield stands
    else:
        faults = [part for fault in STATES[state] for part in ("--fault", fault)]
        errors = tmp_path_factory.mktemp("lab") / "stderr"
        with (
            Process("lab", *FREE, "--control", "0", *faults, errors=errors) as process,
            pytest.MonkeyPatch.context() as patch,
        ):
            lab = LabProcess(process)
            patch.setenv("VX11_OPERATOR_URL", lab.url)
            patch.setenv("VX11_TENTACULO_URL", lab.url)
            patch.setenv("VX11_MADRE_URL", lab.urls["madre"])
            patch.setenv("VX11_SWITCH_URL", lab.urls["switch"])
            patch.setenv("VX11_TOKEN", lab.token)
            yield stands
    figures.append(
        f"published checks, {state}: {stands.passed} of {stands.ran}, answered by {', '.join(sorted(stands.by))}, "
        f"slowest chat {stands.slowest:.3f} s, all in {time.perf_counter() - began:.1f} s"
    )


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest, deployment: Deployment) -> Iterator[None]:
    failed = request.session.testsfailed
    yield
    deployment.ran += 1
    deployment.passed += request.session.testsfailed == failed


def test_1_a_chat_without_a_token_is_turned_away(deployment: Deployment) -> None:
    answer = deployment.chat("TENTACULO", token=False)
    assert answer.status == 401
    assert answer.json["detail"] == "auth_required"


def test_2_a_chat_with_a_token_is_answered(deployment: Deployment) -> None:
    answer = deployment.chat("TENTACULO", message="hello", correlation_id="published-2")
    assert answer.status == 200
    assert answer.json["response"]
    assert answer.seconds < PATIENCE


def test_3_a_chat_is_answered_whatever_the_switch_does(deployment: Deployment) -> None:
    """By the switch where it can, and degraded where it cannot; the answer says which."""
    answer = deployment.chat("OPERATOR", message="are you there", context={"source": "published"})
    assert answer.status == 200
    body = answer.json
    assert body["response"]
    assert body["correlation_id"]
    assert body["degraded"] is (body["provider"] != "switch")
    assert ("reason" in body) is body["degraded"]
    assert answer.seconds < PATIENCE


def test_4_the_correlation_id_that_was_sent_comes_back(deployment: Deployment) -> None:
    sent = f"published-{uuid.uuid4()}"
    answer = deployment.chat("OPERATOR", correlation_id=sent)
    assert answer.status == 200
    assert answer.json["correlation_id"] == sent
    assert answer.headers["X-Correlation-Id"] == sent


def test_5_an_answer_has_the_eight_fields(deployment: Deployment) -> None:
    answer = deployment.chat("OPERATOR", session_id="published-5")
    assert answer.status == 200
    body = answer.json
    assert {name: body.get(name) for name in FIELDS if not isinstance(body.get(name), FIELDS[name])} == {}
    assert body["provider"] in PROVIDERS
    assert body["status"] == ("degraded" if body["degraded"] else "ok")
    assert body["session_id"] == "published-5"


def test_6_the_full_flow_works_through_both_addresses(deployment: Deployment) -> None:
    """One conversation, at the operator's address and then at the gateway's."""
    session, correlation = f"published-{uuid.uuid4()}", f"published-{uuid.uuid4()}"
    metadata = {"task_type": "general", "marker": "published"}
    for through in ("OPERATOR", "TENTACULO"):
        answer = deployment.chat(through, session_id=session, correlation_id=correlation, metadata=metadata)
        assert answer.status == 200
        body = answer.json
        assert body["response"]
        assert (body["session_id"], body["correlation_id"]) == (session, correlation)
        assert answer.seconds < PATIENCE


def test_7_five_chats_in_a_row_take_less_than_five_seconds_each(deployment: Deployment) -> None:
    for number in range(5):
        answer = deployment.chat("OPERATOR", message=f"number {number}", correlation_id=f"published-7-{number}")
        assert answer.status == 200
        assert answer.seconds < PATIENCE
        assert answer.json["latency_ms"] < PATIENCE * 1000
