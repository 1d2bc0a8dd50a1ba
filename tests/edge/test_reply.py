"""What a client gets to read: fields of answers and errors, CORS, Retry-After, and nothing of an upstream's words."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.vocabulary import Reason
from sidecar.edge.chat import reply
from sidecar.edge.chat.reply import Answered, Caller
from sidecar.policy.model import Policy

ASKING = Caller("corr-1")
POLICY = Policy()
EIGHT = {"response", "model_used", "latency_ms", "correlation_id", "session_id", "provider", "status", "degraded"}
TODAY = {"message_id", "model", "fallback_source"}


def body(said):
    return orjson.loads(said.body)


def answered(*, reason=None, provider="switch"):
    return reply.chat_answer(
        ASKING, "s1", Answered(provider, "hola", "general-7b", reason is not None, reason, "m1"), 0.0123456
    )


def test_an_answer_has_the_fields_of_the_reference_and_of_todays_clients():
    said = answered()
    assert said.status == 200
    assert said.fields == {}
    assert body(said) == {
        "response": "hola",
        "model_used": "general-7b",
        "latency_ms": 12.346,
        "correlation_id": "corr-1",
        "session_id": "s1",
        "provider": "switch",
        "status": "ok",
        "degraded": False,
        "message_id": "m1",
        "model": "general-7b",
        "fallback_source": "switch",
    }


@pytest.mark.parametrize("reason", Reason)
def test_a_degraded_answer_says_why_in_body_and_header(reason):
    said = answered(reason=reason, provider="madre")
    assert body(said).keys() == EIGHT | TODAY | {"reason"}
    assert (body(said)["status"], body(said)["degraded"], body(said)["reason"]) == ("degraded", True, reason.value)
    assert said.fields["Proxy-Status"].startswith("vx11-sidecar; error=")
    assert said.fields["Proxy-Status"].endswith(f'; details="{reason.value}"')


@pytest.mark.parametrize("reason", [None, *Reason])
def test_the_shape_of_the_reference_is_its_eight_fields_with_the_same_words(reason):
    who = Answered("madre", "hola", "general-7b", reason is not None, reason, "m1")
    whole = reply.chat_answer(ASKING, "s1", who, 0.0123456, "sidecar;dur=1")
    eight = reply.chat_answer(ASKING, "s1", who, 0.0123456, "sidecar;dur=1", eight=True)
    assert body(eight) == {name: value for name, value in body(whole).items() if name in EIGHT}
    assert body(eight).keys() == EIGHT
    assert (eight.status, eight.fields) == (whole.status, whole.fields)


def test_the_shape_of_the_stub_is_ok_and_data():
    said = reply.stub_answer(
        ASKING, "s1", Answered("switch", "hola", "general-7b", False, None, "m1"), 1_764_370_923.4567, "sidecar;dur=1"
    )
    assert said.status == 200
    assert said.fields == {"Server-Timing": "sidecar;dur=1"}
    data = {"correlation_id": "corr-1", "session_id": "s1", "response": "hola", "model": "general-7b"}
    assert body(said) == {"ok": True, "data": {**data, "timestamp": "2025-11-28T23:02:03.456Z"}}


@pytest.mark.parametrize("reason", Reason)
def test_a_degraded_answer_in_the_shape_of_the_stub_says_so_beside_its_data(reason):
    said = reply.stub_answer(ASKING, "s1", Answered("local", "t", "local", True, reason, "m"), 0.0)
    assert body(said).keys() == {"ok", "data", "degraded", "reason"}
    assert (body(said)["ok"], body(said)["degraded"], body(said)["reason"]) == (True, True, reason.value)
    assert body(said)["data"]["timestamp"] == "1970-01-01T00:00:00.000Z"
    assert said.fields == {"Proxy-Status": reply.proxy_status(reason)}


def test_latency_is_a_float_of_milliseconds():
    said = reply.chat_answer(ASKING, "s", Answered("local", "t", "local", True, Reason.OPEN, "m"), 0.0)
    assert isinstance(body(said)["latency_ms"], float)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_arrives_as_it_is(text):
    said = reply.chat_answer(ASKING, text, Answered("switch", text, "m", False, None, "i"), 1)
    assert (body(said)["response"], body(said)["session_id"]) == (text, text)


@pytest.mark.parametrize(
    ("word", "status", "detail", "fields"),
    [
        ("auth_required", 401, "auth_required", {"WWW-Authenticate": "VX11-Token"}),
        ("forbidden", 403, "forbidden", {}),
        ("too_large", 413, "Body too large (max 65536 bytes)", {}),
        ("body_timeout", 408, "body_timeout", {}),
    ],
)
def test_a_rejection_is_worded_for_every_client_of_vx11(word, status, detail, fields):
    said = reply.rejection(word, ASKING, POLICY)
    assert (said.status, said.fields) == (status, fields)
    assert body(said) == {"detail": detail, "error": detail, "status_code": status, "correlation_id": "corr-1"}


@pytest.mark.parametrize(
    ("sources", "challenges"),
    [
        (["header"], "VX11-Token"),
        (["bearer"], "Bearer"),
        (["query"], "VX11-Token"),
        (["query", "bearer"], "Bearer"),
        (["bearer", "header"], "VX11-Token, Bearer"),
        (["header", "bearer", "query"], "VX11-Token, Bearer"),
    ],
)
def test_who_brought_no_token_is_told_how_one_may_be_brought(sources, challenges):
    demanding = Policy.model_validate({"auth": {"sources": sources}})
    assert reply.rejection("auth_required", ASKING, demanding).fields == {"WWW-Authenticate": challenges}
    assert reply.rejection("forbidden", ASKING, demanding).fields == {}


def test_a_message_that_is_too_long_is_told_its_length():
    said = reply.message_too_long(ASKING, 4000, 4001, "s1")
    words = "Message too long (max 4000 characters)"
    assert said.status == 413
    assert body(said) == {
        "detail": words,
        "error": words,
        "message_length": 4001,
        "session_id": "s1",
        "correlation_id": "corr-1",
    }


def test_an_invalid_body_gets_fastapis_detail_and_its_id():
    said = reply.invalid(ASKING, 422, [{"type": "missing"}])
    assert (said.status, body(said)) == (422, {"detail": [{"type": "missing"}], "correlation_id": "corr-1"})


@pytest.mark.parametrize(
    ("left", "seconds"), [(0.0, 1), (0.001, 1), (1.0, 1), (1.000001, 2), (59.2, 60), (60.0, 60), (-3.0, 1)]
)
def test_who_is_limited_is_told_whole_seconds_rounded_up(left, seconds):
    said = reply.rate_limited(ASKING, "10 per 60s", left, "s1")
    words = "Rate limit exceeded (10 per 60s)"
    assert (said.status, said.fields) == (429, {"Retry-After": str(seconds)})
    assert body(said) == {
        "detail": words,
        "error": words,
        "retry_after": seconds,
        "session_id": "s1",
        "correlation_id": "corr-1",
    }


@given(st.floats(0, 1e6))
def test_a_client_that_waits_as_told_has_waited_long_enough(left):
    assert int(reply.rate_limited(ASKING, "r", left, "s").fields["Retry-After"]) >= max(left, 1)
    assert int(reply.rate_limited(ASKING, "r", left, "s").fields["Retry-After"]) <= math.ceil(left) or left < 1


@pytest.mark.parametrize("reason", Reason)
def test_nobody_to_answer_is_a_503_with_a_reason_and_no_more(reason):
    said = reply.unavailable(ASKING, reason)
    assert said.status == 503
    assert body(said) == {
        "detail": "Chat service unavailable",
        "reason": reason.value,
        "degraded": True,
        "correlation_id": "corr-1",
    }
    assert said.fields == {"Retry-After": "5", "Proxy-Status": reply.proxy_status(reason)}


def test_our_own_fault_says_nothing_of_itself():
    said = reply.internal(ASKING)
    assert (said.status, body(said)) == (500, {"detail": "Internal Server Error", "correlation_id": "corr-1"})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:5173", True),
        ("http://127.0.0.1:8020", True),
        ("http://localhost:5175", False),
        ("https://localhost:5173", False),
        ("http://LOCALHOST:5173", False),
        ("http://localhost:5173.evil.test", False),
        ("null", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_page_of_an_allowed_origin_may_read_an_answer(origin, allowed):
    fields = reply.common_fields(Caller("corr-1", origin), POLICY.cors)
    always = {
        "Content-Type": "application/json",
        "Server": "vx11-sidecar",
        "X-Correlation-Id": "corr-1",
        "Vary": "Origin",
    }
    browser = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "X-Correlation-Id, Server-Timing, Proxy-Status, Retry-After, Idempotent-Replayed",
    }
    assert fields == (always | browser if allowed else always)
