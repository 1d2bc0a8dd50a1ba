"""The answerer of chats as the door meets it: every shape, every header, and exactly one fact for each request."""

from __future__ import annotations

import asyncio
import json
import re
from hashlib import blake2b

import pytest
from kitchen import LINK_TOKEN, TOKEN, Place, Targets, failed, policy, said, until
from multidict import CIMultiDict

from sidecar.core.fact import CallBegan, CallEnded, ChatRejected, ChatServed, EventHeard
from sidecar.core.value import replace
from sidecar.core.vocabulary import Abandoned, ErrorKind
from sidecar.edge.chat.answering import Answering, local_text
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.request import new_id
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.snapshot import Destination, Snapshot
from sidecar.wire import head, request
from sidecar.wire.target import Routes

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ORIGIN = "http://localhost:3000"
GONE = failed(ErrorKind.CONNECT)
SECRET = "what the user wrote"


RULES = head.rules(Routes(("/operator/api/chat",)), pseudonym=b"p", authority=b"a")


def incoming(place, content, fields, *, peer="127.0.0.1", came=None):
    """A chat as the door hands it over."""
    lines = ["POST /operator/api/chat HTTP/1.1", "Host: h", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in fields]
    read = request.read("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"), RULES)
    assert isinstance(read, request.Request)
    return Incoming(read, content, peer, place.kitchen.now() if came is None else came)


@pytest.fixture
def open_chat():
    """Answers for a place; what is asked is a good chat with a good token unless told otherwise."""

    async def opened(place):
        answering = Answering(place.kitchen)

        async def post(body=None, *, token=TOKEN, data=None, headers=(), content_type="application/json", **moment):
            content = data if data is not None else json.dumps({"message": "hi", **(body or {})}).encode()
            fields = [("X-VX11-Token", token), ("Content-Type", content_type), *headers]
            fields = [(name, value) for name, value in fields if value is not None]
            got = asyncio.get_running_loop().create_future()
            task = answering.begin(incoming(place, content, fields, **moment), got.set_result)
            try:
                said = await got
            finally:
                task.cancel()
            return said.status, json.loads(said.body), CIMultiDict(said.fields)

        return post

    return opened


def only_fact(place):
    """The one fact about the request, whatever became of it; and the metrics can take it."""
    facts = place.heard(ChatServed, ChatRejected)
    assert len(facts) == 1
    telemetry = Telemetry(lambda: 0.0)
    for fact in place.facts:
        telemetry(fact)
    return facts[0]


async def test_an_answer_of_the_switch_carries_what_every_client_reads(open_chat):
    place = Place()
    status, body, headers = await (await open_chat(place))({"session_id": "s-1"})
    assert status == 200
    assert 0 <= body.pop("latency_ms") < 5000
    assert UUID4.fullmatch(body.pop("message_id"))
    assert UUID4.fullmatch(body["correlation_id"])
    assert headers["X-Correlation-Id"] == body.pop("correlation_id")
    assert body == {
        "response": "hola", "model_used": "general-7b", "model": "general-7b", "session_id": "s-1", "provider": "switch",
        "fallback_source": "switch", "status": "ok", "degraded": False,
    }  # fmt: skip
    assert headers["Content-Type"] == "application/json"
    assert headers["Server"] == "vx11-sidecar"
    assert "Proxy-Status" not in headers
    assert re.fullmatch(r"sidecar;dur=\d+\.\d{3}, switch;dur=\d+\.\d{3}", headers["Server-Timing"])
    fact = only_fact(place)
    assert (fact.outcome, fact.status, fact.call) == ("primary", 200, 1)
    assert 0 <= fact.overhead <= fact.seconds


EIGHT = {"response", "model_used", "latency_ms", "correlation_id", "session_id", "provider", "status", "degraded"}
ENVELOPE = {"correlation_id", "session_id", "response", "model", "timestamp"}


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ({"switch": [said()]}, "primary"),
        ({"switch": [failed()], "madre": [said()]}, "fallback"),
        ({"switch": [GONE]}, "local"),
    ],
)
async def test_the_policy_chooses_the_fields_of_an_answer(open_chat, script, outcome):
    place = Place(policy(reply={"shape": "reference"}), Targets(**script))
    status, body, headers = await (await open_chat(place))()
    assert (status, body.keys(), body["degraded"]) == (200, EIGHT, outcome != "primary")
    assert ("Proxy-Status" in headers) == body["degraded"]
    assert only_fact(place).outcome == outcome

    place = Place(policy(reply={"shape": "stub"}), Targets(**script))
    place.kitchen = replace(place.kitchen, clock=lambda: 86_400.0)
    status, body, headers = await (await open_chat(place))({"session_id": "s-1"})
    assert (status, body["ok"], body["data"].keys()) == (200, True, ENVELOPE)
    assert (body["data"]["session_id"], body["data"]["timestamp"]) == ("s-1", "1970-01-02T00:00:00.000Z")
    assert body["data"]["correlation_id"] == headers["X-Correlation-Id"]
    assert (body.get("degraded", False), "reason" in body) == (outcome != "primary", outcome != "primary")
    assert only_fact(place).outcome == outcome


@pytest.mark.parametrize("shape", ["superset", "reference", "stub"])
async def test_errors_are_worded_alike_in_every_shape(open_chat, shape):
    place = Place(policy(reply={"shape": shape}, fallback={"local": "error"}), Targets(switch=[GONE]))
    post = await open_chat(place)
    status, body, _ = await post()
    assert (status, body["detail"], body["reason"]) == (503, "Chat service unavailable", "failure")
    status, body, _ = await post(token="wrong")
    assert (status, body["detail"], body["error"], body["status_code"]) == (403, "forbidden", "forbidden", 403)


async def test_an_answer_of_madre_says_why_it_was_not_the_switch(open_chat):
    place = Place(targets=Targets(switch=[failed()], madre=[said("from madre", "local")]))
    status, body, headers = await (await open_chat(place))()
    assert (status, body["provider"], body["status"], body["degraded"], body["reason"]) == (
        200,
        "madre",
        "degraded",
        True,
        "failure",
    )
    assert headers["Proxy-Status"] == 'vx11-sidecar; error=destination_unavailable; details="failure"'
    assert re.fullmatch(r"sidecar;dur=[\d.]+, switch;dur=[\d.]+, madre;dur=[\d.]+", headers["Server-Timing"])
    assert only_fact(place).outcome == "fallback"


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (None, "en"),
        ("es-MX,en;q=0.5", "es"),
        ("de, ES;q=0.8", "es"),
        ("fr", "en"),
        ("en-GB", "en"),
        ("*", "en"),
        (",;,", "en"),
    ],
)
async def test_our_own_answer_is_in_the_first_language_that_both_know(open_chat, asked, language):
    place = Place(targets=Targets())
    status, body, _ = await (await open_chat(place))(headers=[("Accept-Language", asked)])
    assert (status, body["provider"], body["model"], body["degraded"]) == (200, "local", "local", True)
    assert body["response"] == place.policy.fallback.local_text[language]
    assert only_fact(place).outcome == "local"


def test_a_policy_with_one_language_speaks_that_to_everybody():
    assert local_text({"qu": "mana"}, "en, es") == "mana"


async def test_a_policy_that_prefers_an_error_gets_a_503_without_a_word_about_why_inside(open_chat):
    place = Place(policy(fallback={"local": "error"}), Targets())
    status, body, headers = await (await open_chat(place))()
    cid = headers["X-Correlation-Id"]
    assert (status, body) == (
        503,
        {"detail": "Chat service unavailable", "reason": "failure", "degraded": True, "correlation_id": cid},
    )
    assert headers["Retry-After"] == "5"
    assert headers["Proxy-Status"].endswith('details="failure"')
    assert headers["Server-Timing"].startswith("sidecar;dur=")
    assert (only_fact(place).outcome, only_fact(place).status) == ("failed", 503)


@pytest.mark.parametrize(
    ("token", "status", "word"), [(None, 401, "auth_required"), ("", 401, "auth_required"), ("wrong", 403, "forbidden")]
)
async def test_without_the_token_nothing_is_read_and_nobody_is_asked(open_chat, token, status, word):
    place = Place()
    got, body, headers = await (await open_chat(place))(data=b"{no json", token=token)
    assert got == status
    assert body == {"detail": word, "error": word, "status_code": status, "correlation_id": headers["X-Correlation-Id"]}
    assert headers.get("WWW-Authenticate") == ("VX11-Token" if status == 401 else None)
    assert not place.targets.asked
    assert not place.heard(CallBegan)
    fact = only_fact(place)
    assert (fact.status, fact.reason) == (status, word)


async def test_a_message_of_too_many_code_points_is_a_413_and_code_points_are_what_is_counted(open_chat):
    place = Place()
    post = await open_chat(place)
    assert (await post({"message": "\U0001f600" * 4000}))[0] == 200
    place.facts.clear()
    status, body, headers = await post({"message": "x" * 4001, "session_id": "s-1"})
    words = "Message too long (max 4000 characters)"
    assert status == 413
    assert body == {
        "detail": words, "error": words, "message_length": 4001, "session_id": "s-1", "correlation_id": headers["X-Correlation-Id"],
    }  # fmt: skip
    assert only_fact(place).reason == "message_too_long"


async def test_a_body_of_too_many_bytes_is_a_413(open_chat):
    place = Place(policy(guards={"max_body": "1KiB"}))
    status, body, _ = await (await open_chat(place))(data=b"x" * 1025)
    assert (status, body["error"], body["status_code"]) == (413, "Body too large (max 1024 bytes)", 413)
    assert only_fact(place).reason == "too_large"


@pytest.mark.parametrize(
    ("data", "status", "kind", "where"),
    [
        (b"", 422, "missing", ["body"]),
        (b"{", 422, "json_invalid", ["body", 1]),
        (b"[]", 422, "model_attributes_type", ["body"]),
        (b"{}", 422, "missing", ["body", "message"]),
        (b'{"message":7}', 422, "string_type", ["body", "message"]),
        (b'{"message":"x","metadata":[1]}', 422, "dict_type", ["body", "metadata"]),
        (b'{"message":"\\ud800"}', 422, None, None),
        (b'{"message":"x","n":NaN}', 422, "json_invalid", ["body", 0]),
        (b'{"message":"\xff"}', 400, None, None),
        (b'{"message":' + b"[" * 100_000, 413, None, None),
        (b'{"message":' + b"[" * 5_000 + b"]" * 5_000 + b"}", 422, None, None),
    ],
)
async def test_a_body_that_is_no_chat_is_worded_as_fastapi_does(open_chat, data, status, kind, where):
    place = Place()
    got, body, headers = await (await open_chat(place))(data=data)
    assert got == status
    assert body["correlation_id"] == headers["X-Correlation-Id"]
    if kind:
        assert (body["detail"][0]["type"], body["detail"][0]["loc"]) == (kind, where)
    assert not place.targets.asked
    assert only_fact(place).status == status


@pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "application/vnd.vx11+json"])
async def test_what_calls_itself_json_or_nothing_is_read_as_json(open_chat, content_type):
    place = Place()
    post = await open_chat(place)
    assert (await post(content_type=content_type))[0] == 200


NEST = 300


async def test_metadata_too_deep_to_be_passed_on_is_a_422_and_nobodys_failure(open_chat):
    place = Place(policy(guards={"metadata_allow": ["deep"]}))
    data = b'{"message":"x","metadata":{"deep":' + b"[" * NEST + b"]" * NEST + b"}}"
    status, *_ = await (await open_chat(place))(data=data)
    assert status == 422
    assert only_fact(place).reason == "invalid"
    assert not place.targets.asked


async def test_metadata_passes_only_where_the_policy_names_it(open_chat):
    place = Place(policy(guards={"metadata_allow": ["trace", "absent"]}))
    metadata = {"trace": {"a": 1}, "provider_hint": "generic_shell", "task_type": 5}
    post = await open_chat(place)
    await post({"metadata": metadata})
    await post({"metadata": None})
    assert [dict(question.metadata) for *_, question in place.targets.asked] == [{"trace": {"a": 1}}, {}]


async def test_targets_get_their_own_token_and_a_question_made_anew(open_chat):
    place = Place(targets=Targets(switch=[failed()], madre=[said()]))
    await (await open_chat(place))(
        {"session_id": "s-1", "message": SECRET, "extra": 1}, headers=[("X-Correlation-Id", "c-1")]
    )
    for step, target, _, destination, question in place.targets.asked:
        assert step.target == target.name
        assert destination == Destination(f"http://{target.name}.test:80", target.path, LINK_TOKEN, False)
        assert question == Question(SECRET, "s-1", "c-1", {}, {}, "")
    assert [step.target for step, *_ in place.targets.asked] == ["switch", "madre"]


# -- the correlation id and the session ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "body", "wanted"),
    [
        ("from-header", None, "from-header"),
        (None, "from-body", "from-body"),
        ("from-header", "from-body", "from-header"),
        ("not valid", None, None),
        ("", "from-body", "from-body"),
        ("not valid", "from-body", "from-body"),
        (None, "c\r\nx: y", None),
        (None, 7, None),
        ("x" * 129, {"a": 1}, None),
        ("x" * 128, None, "x" * 128),
    ],
)
async def test_a_valid_correlation_id_is_kept_header_first_and_else_made(open_chat, header, body, wanted):
    place = Place()
    sent = {} if body is None else {"correlation_id": body}
    _, got, headers = await (await open_chat(place))(
        sent, headers=[] if header is None else [("X-Correlation-Id", header)]
    )
    cid = got["correlation_id"]
    assert headers["X-Correlation-Id"] == cid
    assert cid == wanted if wanted else UUID4.fullmatch(cid)
    assert place.targets.asked[0][-1].correlation_id == cid
    assert only_fact(place).correlation_id == cid == place.heard(CallBegan)[0].correlation_id


@pytest.mark.parametrize("sent", ["", None])
async def test_a_chat_without_a_session_gets_a_new_one(open_chat, sent):
    place = Place()
    post = await open_chat(place)
    ids = {(await post({"session_id": sent}))[1]["session_id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(UUID4.fullmatch(each) for each in ids)
    assert {question.session_id for *_, question in place.targets.asked} == ids


def test_new_ids_are_uuids_of_version_4_and_differ():
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(map(UUID4.fullmatch, ids))


# -- cors, patience ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [TOKEN, None], ids=["an answer", "a rejection"])
async def test_a_page_of_an_allowed_origin_may_read(open_chat, token):
    post = await open_chat(Place())
    *_, headers = await post(token=token, headers=[("Origin", ORIGIN)])
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Access-Control-Expose-Headers"] == (
        "X-Correlation-Id, Server-Timing, Proxy-Status, Retry-After, Idempotent-Replayed"
    )
    assert headers["Vary"] == "Origin"
    *_, headers = await post(token=token, headers=[("Origin", "http://evil.test")])
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("header", "patience"),
    [
        (None, 4.75),
        ("2000", 1.75),
        ("100", 0.05),
        ("60000", 4.75),
        ("0", 4.75),
        ("-5", 4.75),
        ("1e3", 4.75),
        ("\u0661", 4.75),
        ("9" * 5000, 4.75),
    ],
)
async def test_a_client_may_shorten_its_patience_and_never_lengthen_it(open_chat, header, patience):
    place = Place()
    await (await open_chat(place))(headers=[("X-Request-Timeout-Ms", header)])
    assert place.heard(CallBegan)[0].patience == pytest.approx(patience, abs=0.02)


# -- the rate guard ------------------------------------------------------------------------------------------------------


async def test_the_eleventh_chat_of_a_session_in_a_minute_is_a_429_and_others_are_not(open_chat):
    place = Place()
    post = await open_chat(place)
    for _ in range(10):
        assert (await post({"session_id": "s"}))[0] == 200
    place.facts.clear()
    status, body, headers = await post({"session_id": "s"})
    assert status == 429
    assert body["error"] == body["detail"] == "Rate limit exceeded (10 per 60s)"
    assert body["session_id"] == "s"
    assert headers["Retry-After"] == str(body["retry_after"])
    assert 58 <= body["retry_after"] <= 60
    assert only_fact(place).reason == "rate_limited"
    assert (await post({"session_id": "t"}))[0] == 200


async def test_the_guard_is_exact_when_all_come_at_once(open_chat):
    place = Place(policy(limiter={"max_concurrent": 100}))
    post = await open_chat(place)
    statuses = [status for status, *_ in await asyncio.gather(*(post({"session_id": "s"}) for _ in range(60)))]
    assert sorted(statuses) == [200] * 10 + [429] * 50
    assert len(place.heard(ChatServed)) == 10
    assert len(place.heard(ChatRejected)) == 50


async def test_peers_do_not_share_a_guard_whatever_they_say_of_themselves(open_chat):
    post = await open_chat(Place(policy(guards={"anonymous_rate_limit": "1 per 60s"})))
    statuses = [
        (await post(peer=peer, headers=[("X-Forwarded-For", f"10.0.0.{turn}")]))[0]
        for turn, peer in enumerate(("10.0.0.1", "10.0.0.2", "10.0.0.1"))
    ]
    assert statuses == [200, 200, 429]


async def test_a_peer_without_sessions_has_a_guard_of_its_own(open_chat):
    place = Place(policy(guards={"anonymous_rate_limit": "2 per 60s"}))
    post = await open_chat(place)
    assert [(await post())[0] for _ in range(3)] == [200, 200, 429]
    assert (await post({"session_id": "peer 127.0.0.1"}))[0] == 200, "a session is not mistaken for a peer"


async def test_a_message_that_is_too_long_and_a_body_that_is_wrong_do_not_count(open_chat):
    post = await open_chat(Place(policy(guards={"rate_limit": "1 per 60s"})))
    await post({"session_id": "s", "message": "x" * 4001})
    await post({"session_id": "s", "message": 7})
    assert (await post({"session_id": "s"}))[0] == 200


# -- what goes wrong inside ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"correlation_id": "from-body"}])
async def test_a_crash_while_answering_is_a_500_in_vx11s_shape_without_a_word_about_it(open_chat, body):
    place = Place(targets=Targets(switch=[ValueError(SECRET)]))
    status, got, headers = await (await open_chat(place))({**body, "message": SECRET}, headers=[("Origin", ORIGIN)])
    assert status == 500
    assert got == {"detail": "Internal Server Error", "correlation_id": headers["X-Correlation-Id"]}
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    fact = only_fact(place)
    assert (fact.outcome, fact.status, fact.correlation_id) == ("failed", 500, got["correlation_id"])
    assert place.slate.lines == [("error", "chat_crashed", {"error": "ValueError"})]
    assert place.engine.view(0.0)["switch"]["limiter"]["in_flight"][0] == 0


async def test_a_crash_before_any_plan_is_a_500_and_a_fact_too(open_chat):
    place = Place()

    class Broken:
        def judge(self, values):
            raise RuntimeError(SECRET)

    place.in_force.current = Snapshot(place.policy, "r", "s", Broken(), {})
    status, got, _ = await (await open_chat(place))()
    assert (status, got["detail"]) == (500, "Internal Server Error")
    fact = only_fact(place)
    assert (fact.status, fact.reason) == (500, "failed")
    assert SECRET not in str(place.slate.lines)


async def test_a_crash_while_wording_the_answer_is_a_500_and_a_fact_too(open_chat):
    place = Place(targets=Targets(switch=[said("\ud800")]))  # a text that no JSON can hold
    status, got, _ = await (await open_chat(place))()
    assert (status, got["detail"]) == (500, "Internal Server Error")
    fact = only_fact(place)
    assert (fact.outcome, fact.status) == ("failed", 500)


async def test_a_client_that_leaves_cancels_the_attempt_and_is_nobodys_failure(open_chat):
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(step):
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    place = Place(targets=Targets(switch=[hang]))
    task = asyncio.create_task((await open_chat(place))())
    await asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(cancelled.wait(), 3)
    await until(lambda: place.heard(ChatServed))
    fact = only_fact(place)
    assert (fact.outcome, fact.status) == ("client_gone", 499)
    assert fact.overhead < fact.seconds / 2 + 0.005, "waiting for the target is not our overhead"
    assert [event.event for event in place.heard(EventHeard) if isinstance(event.event, Abandoned)]
    assert place.heard(CallEnded)[0].finish.abandoned
    assert place.engine.view(0.0)["switch"]["breaker"]["failures"] == 0


@pytest.mark.parametrize(
    ("stick", "sent", "kept"), [("60s", "mine", True), ("60s", None, False), ("0s", "mine", False)]
)
async def test_a_session_is_a_digest_of_this_run_and_only_where_sessions_stay(open_chat, stick, sent, kept):
    place = Place(policy(affinity={"stick": stick}))
    chat = await open_chat(place)
    await chat({"session_id": sent})
    (began,) = place.heard(CallBegan)
    assert bool(re.fullmatch("[0-9a-f]{16}", began.session)) == kept
    assert "mine" not in began.session
    other = Place(policy(affinity={"stick": stick}), seed=8)
    await (await open_chat(other))({"session_id": sent})
    assert (other.heard(CallBegan)[0].session == began.session) == (not kept)


async def test_who_reads_the_journal_cannot_try_a_session_on_its_digest(open_chat):
    """The seed stands in the journal's first line: what is made with it alone can be made by anybody who reads that."""
    place = Place(policy(affinity={"stick": "60s"}))
    await (await open_chat(place))({"session_id": "session_1764400000000"})
    (began,) = place.heard(CallBegan)
    seed = place.engine.scene.seed.to_bytes(8, "big")
    guesses = (blake2b(b"session_1764400000000", digest_size=8, key=key).hexdigest() for key in (b"", seed))
    assert began.session not in guesses


async def test_a_session_stays_where_it_fell_back(open_chat):
    place = Place(policy(affinity={"stick": "60s"}), Targets(switch=[GONE, GONE, said()], madre=[said("from madre")]))
    chat = await open_chat(place)
    answers = [await chat({"session_id": name}) for name in ("a", "a", "b")]
    assert [(body["provider"], body.get("reason")) for _, body, _ in answers] == [
        ("madre", "failure"), ("madre", "affinity"), ("switch", None),
    ]  # fmt: skip


async def test_a_reload_between_two_chats_is_met_whole(open_chat):
    place = Place(targets=Targets())
    post = await open_chat(place)
    await post()
    changed = policy(fallback={"local": "error"})
    place.engine.adopt(1.0, changed, revision="r2", source="test")
    place.in_force.current = replace(place.snapshot, policy=changed)
    assert (await post())[0] == 503


@pytest.mark.parametrize(("since", "left"), [(0.0, 4.75), (2.0, 2.75), (9.0, 0.0)])
async def test_what_a_slow_body_took_is_no_longer_there_for_the_targets(open_chat, since, left):
    place = Place()
    status, body, _ = await (await open_chat(place))(came=place.kitchen.now() - since)
    assert (status, body["provider"]) == (200, "switch" if left else "local")
    (began,) = place.heard(CallBegan)
    assert began.patience == pytest.approx(left, abs=0.05)


async def test_an_end_cancels_what_is_under_way_and_waits_for_it():
    asked = asyncio.Event()

    async def hang(step):
        asked.set()
        await asyncio.sleep(60)

    place = Place(targets=Targets(switch=[hang]))
    answering = Answering(place.kitchen)
    body = json.dumps({"message": "hi"}).encode()
    task = answering.begin(incoming(place, body, [("X-VX11-Token", TOKEN)]), print)
    await asked.wait()
    await answering.close()
    assert task.done()
    assert only_fact(place).outcome == "client_gone"
    await answering.close()
