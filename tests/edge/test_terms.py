"""The policy in the terms of the wire: what the door is told, what it says itself, and which peers it believes."""

from __future__ import annotations

from math import inf
from typing import get_args

import orjson
import pytest

from sidecar.core.value import asdict
from sidecar.edge.chat.reply import Rejection
from sidecar.edge.data.observing import Observing
from sidecar.edge.data.terms import Lasting, terms
from sidecar.edge.data.witness import Memory
from sidecar.edge.snapshot import Snapshot
from sidecar.edge.token import Tokens
from sidecar.policy.model import Policy
from sidecar.wire import request

RIGHT = Tokens(["right"])
STATUSES = {"auth_required": 401, "forbidden": 403, "too_large": 413, "body_timeout": 408, "overloaded": 503}


def made(**policy):
    lasting = Lasting(None, None, print, float, b"vx11-sidecar-1", b"gateway:1", Memory())
    return terms(Snapshot(Policy.model_validate(policy), "r", "s", RIGHT, {}), lasting)


def asked(of, *fields, line="POST /operator/api/chat HTTP/1.1"):
    raw = "\r\n".join([line, "Host: x", *fields, "", ""]).encode("latin-1")
    read = request.read(raw, of.rules)
    assert isinstance(read, request.Request), read
    return read


def test_the_door_gets_what_the_policy_says():
    said = {
        "relay": {
            "timeouts": {"head": "1s", "idle": "2s", "response_head": "3s", "stream": "4s"},
            "limits": {"head": "2KiB", "fields": 7, "connections": 9},
        },
        "guards": {"max_body": "1KiB"},
        "deadline": {"header": "x-wait"},
        "auth": {"header": "x-other"},
    }
    it = made(**said)
    assert (it.head_timeout, it.body_timeout, it.idle_timeout, it.response_head_timeout, it.stream_timeout) == (
        1,
        1,
        2,
        3,
        4,
    )
    assert (it.max_body, it.connections, it.rules.longest, it.rules.fields, it.rules.token) == (
        1024,
        9,
        2048,
        7,
        b"x-other",
    )
    assert it.judge == RIGHT.judge


def test_what_is_too_much_comes_from_the_policy():
    it = made(overload={"chats": 7, "relays": 5, "wait": "2s"}, relay={"timeouts": {"stall": "40s"}})
    assert (it.most_chats, it.relays, it.longest_wait, it.stall_timeout, it.look_every) == (7, 5, 2.0, 40.0, 10.0)
    assert it.first_look == min(it.look_every, it.response_head_timeout)
    assert made(relay={"timeouts": {"stall": "40s", "stream": "8s"}}).look_every == 2.0
    assert made(relay={"timeouts": {"stall": "40s", "response_head": "8s"}}).first_look == 8.0


def test_a_stream_may_be_silent_for_ever_unless_told_otherwise():
    assert made().stream_timeout == inf


@pytest.mark.parametrize(("mode", "intercepted"), [("enforce", True), ("shadow", False), ("off", False)])
def test_chat_is_ours_only_where_the_policy_is_enforced(mode, intercepted):
    it = made(mode=mode)
    routes = {asked(it, line=f"POST {path} HTTP/1.1").route for path in ("/operator/api/chat", "/operator/api/ch%61t")}
    other = asked(it, line="POST /other HTTP/1.1").route
    assert (other not in routes) is intercepted


def test_only_under_mode_shadow_does_anybody_look_on_and_nothing_else_of_mode_off_changes():
    lasting = Lasting(object(), None, print, float, b"vx11-sidecar-1", b"gateway:1", Memory())

    def of(mode):
        policy = Policy.model_validate({"mode": mode, "guards": {"max_sessions": 7}})
        return terms(Snapshot(policy, "r", "s", RIGHT, {}), lasting)

    assert of("enforce").relay is of("off").relay is lasting.relay
    assert lasting.memory.windows.max_keys == 1
    seen = of("shadow")
    assert isinstance(seen.relay, Observing)
    assert seen.relay._watch.guard.judge == RIGHT.judge
    assert seen.relay._watch.memory is of("shadow").relay._watch.memory is lasting.memory
    assert lasting.memory.windows.max_keys == 7
    own = {"relay", "heads", "own_answer", "trusted"}  # made anew each time
    off = asdict(of("off"))
    assert {name: value for name, value in asdict(seen).items() if name not in own and value != off[name]} == {}


def test_every_word_of_the_door_is_worded_with_its_status():
    assert set(get_args(Rejection)) == set(STATUSES)
    it = made()
    for word, status in STATUSES.items():
        code, fields, body = it.own_answer(word, asked(it, "X-Correlation-Id: corr-1"))
        assert code == status
        assert dict(fields)["X-Correlation-Id"] == orjson.loads(body)["correlation_id"] == "corr-1"


@pytest.mark.parametrize("sent", ["a b", "x" * 129, "caf\xe9", "<script>"])
def test_an_id_that_may_not_enter_a_header_is_replaced(sent):
    it = made()
    _, fields, _ = it.own_answer("forbidden", asked(it, f"X-Correlation-Id: {sent}"))
    assert dict(fields)["X-Correlation-Id"] != sent
    assert len(dict(fields)["X-Correlation-Id"]) == 36


def test_a_page_of_an_allowed_origin_may_read_the_refusal():
    it = made()
    fields = dict(it.own_answer("auth_required", asked(it, "Origin: http://localhost:5173"))[1])
    assert fields["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert fields["WWW-Authenticate"] == "VX11-Token"
    assert "Access-Control-Allow-Origin" not in dict(
        it.own_answer("auth_required", asked(it, "Origin: http://evil.test"))[1]
    )


@pytest.mark.parametrize("mode", ["enforce", "shadow", "off"])
def test_a_token_is_looked_for_where_the_policy_says(mode):
    bringing = ("Authorization: Bearer b", "X-Other: h")
    line = "POST /operator/api/chat?token=q HTTP/1.1"
    assert asked(made(mode=mode), *bringing, line=line).tokens == ()
    for sources, token in ((["bearer"], b"b"), (["query", "header"], b"q"), (["header", "query"], b"h")):
        it = made(mode=mode, auth={"header": "x-other", "sources": sources})
        assert asked(it, *bringing, line=line).tokens == (token,)


@pytest.mark.parametrize(
    ("peer", "believed"),
    [("10.1.2.3", True), ("11.0.0.1", False), ("2001:db8::7", True), ("2001:db9::7", False), ("127.0.0.1", False), ("", False), ("unix", False), ("10.1.2.3:80", False), ("fe80::1%eth0", True)],
)  # fmt: skip
def test_only_peers_of_a_trusted_network_are_believed(peer, believed):
    it = made(relay={"trusted_proxies": ["10.0.0.0/8", "2001:db8::/32", "fe80::/10"]})
    assert it.trusted(peer) is believed
    assert not made().trusted(peer)
