"""What comes to an application, as scripts: what goes through untouched, what is answered here, and what of it is read."""

from __future__ import annotations

import asyncio

import pytest
from canary import TOKEN
from prometheus_client.parser import text_string_to_metric_families
from scripts import BODY, CHAT, Application, Client, around, ask, body, http, lived, until

from sidecar.core.value import replace
from sidecar.policy.load import parse

FAST = "deadline: {client: 1s, margin: 100ms}\n"


async def metric(sidecar, name, **labels):
    got = await ask(sidecar.metrics, http("/metrics", "GET"))
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(got.content.decode())
        for sample in family.samples
        if sample.name == f"vx11_sidecar_{name}" and labels.items() <= sample.labels.items()
    )
    return value


# -- through


@pytest.mark.parametrize(
    "scope",
    [
        http("/health", "GET"),
        http(CHAT, "GET"),
        http("/operator/api/chats", token=None),
        http("/operator/api/chat/window", token=None),
        http("*", "OPTIONS"),
        http("", "GET"),
        {**http(CHAT), "type": "websocket"},
        {**http(CHAT), "type": "somebody.elses"},
    ],
    ids=["path", "method", "longer", "deeper", "asterisk", "empty", "websocket", "unknown"],
)
async def test_what_is_not_ours_goes_through_with_the_servers_own_objects(app, scope):
    client = Client(body())
    receive, send = client.receive, client.send
    given = dict(scope)
    await around(app)(scope, receive, send)
    ((seen, heard, said),) = app.given
    assert seen is scope
    assert heard is receive
    assert said is send
    assert scope == given


async def test_nothing_of_ours_runs_before_somebody_chats(app):
    before = asyncio.all_tasks()
    sidecar = around(app)
    await ask(sidecar, http("/health", "GET"))
    assert asyncio.all_tasks() == before
    assert sidecar.readiness().blocked_by == "starting"
    assert sidecar.state() == {"status": "starting"}


async def test_a_lookalike_costs_a_token_and_then_goes_through_untouched(app):
    async with lived(around(app)) as sidecar:
        scope = http(CHAT + "/", raw_path=CHAT.encode() + b"/")
        client = Client(body())
        receive, send = client.receive, client.send
        await sidecar(scope, receive, send)
        ((seen, heard, said),) = app.given
        assert (seen is scope, heard is receive, said is send) == (True, True, True)
        for token, status in ((None, 401), ("wrong", 403)):
            got = await ask(sidecar, http(CHAT + "/", token=token))
            assert (got.status, got.asked) == (status, 0)
        assert len(app.given) == 1
        assert await metric(sidecar, "relay_errors_total", error="unauthorised") == 2


async def test_what_the_policy_denies_and_what_is_no_path_are_answered_here(app):
    async with lived(around(app, "relay: {deny: [/debug/*]}\n")) as sidecar:
        got = await ask(sidecar, http("/debug/x", "GET"))
        assert (got.status, got.said) == (403, {"detail": "denied_by_policy"})
        got = await ask(sidecar, http("/debug/x", "HEAD"))
        assert (got.status, got.content, got.fields["content-length"]) == (403, b"", "29")
        got = await ask(sidecar, http(CHAT + "\n", raw_path=CHAT.encode() + b"%0a"))
        assert (got.status, got.said) == (400, {"detail": "target"})
        got = await ask(sidecar, http(CHAT + "#x"))
        assert (got.status, got.said) == (400, {"detail": "fragment"})
    assert not app.given


@pytest.mark.parametrize("path", ["/debug/x", "/Debug/x", "/x/../debug/x", "/operator/api/v1/../../../debug/x"])
async def test_what_the_policy_denies_is_denied_to_a_websocket_too(app, path):
    async with lived(around(app, "relay: {deny: [/debug/*]}\n")) as sidecar:
        client = Client()
        await sidecar({**http(path, token=None), "type": "websocket"}, client.receive, client.send)
        assert client.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]  # before it is accepted: a 403
        assert await metric(sidecar, "relay_errors_total", error="denied") == 1
    assert not app.given


async def test_a_websocket_of_which_the_path_cannot_be_read_is_turned_away(app):
    async with lived(around(app)) as sidecar:
        client = Client()
        await sidecar({**http(CHAT), "type": "websocket", "path": None}, client.receive, client.send)
        assert [message["type"] for message in client.sent] == ["websocket.close"]
    assert not app.given


async def test_mode_off_lets_everything_through_and_denies_all_the_same(app):
    async with lived(around(app, "mode: off\nrelay: {deny: [/debug/*]}\n")) as sidecar:
        assert (await ask(sidecar, http(token=None))).content == BODY
        assert (await ask(sidecar, http("/debug/x", "GET"))).status == 403


def test_mode_shadow_is_refused_in_words(app):
    with pytest.raises(ValueError, match=r"here.yaml:1:7: mode: shadow needs a sidecar in front of the gateway"):
        around(app, "mode: shadow\n")


# -- by which path


@pytest.mark.parametrize(
    ("more", "ours"),
    [
        ({"path": "/gw" + CHAT, "root_path": "/gw"}, True),  # as uvicorn and a mount say it
        ({"path": "/gw" + CHAT, "root_path": "/gw", "raw_path": b"/gw/operator/api/ch%61t"}, True),
        ({"path": "/gw" + CHAT, "root_path": "/gw", "raw_path": b"/g%77" + CHAT.encode()}, True),
        ({"path": CHAT, "root_path": "/gw"}, True),  # a server that strips it itself
        ({"path": "/gwx" + CHAT, "root_path": "/gw"}, False),
        ({"path": "/gw", "root_path": "/gw"}, False),
        ({"path": "/gw" + CHAT}, False),
        ({"path": CHAT, "raw_path": None}, True),
        ({"path": CHAT, "raw_path": b"/elsewhere"}, True),  # rewritten on the way: the application routes by path
        ({"path": "/elsewhere", "raw_path": CHAT.encode()}, False),
        ({"path": CHAT, "raw_path": CHAT.encode() + b"?a=b", "query_string": b"a=b"}, True),
        ({"path": "http://gateway" + CHAT, "raw_path": b"http://gateway" + CHAT.encode()}, True),
    ],
    ids=[
        "root", "root-encoded", "root-itself-encoded", "root-stripped", "root-alike", "root-alone", "prefix", "no-raw", "rewritten-to", "rewritten-from", "raw-query",
        "absolute",
    ],
)  # fmt: skip
async def test_it_goes_by_the_path_that_the_application_routes_by(app, more, ours):
    scope = http(**{"path": CHAT, **more})
    if "raw_path" not in more:
        scope["raw_path"] = scope["path"].encode()
    async with lived(around(app, FAST)) as sidecar:
        got = await ask(sidecar, scope)
    assert bool(app.given) is not ours
    assert got.status == 200
    assert (b"provider" in got.content) is ours


async def test_the_prefix_that_fastapi_adds_by_itself_counts():
    app = Application(root_path="/gw")
    async with lived(around(app, FAST)) as sidecar:
        for path in ("/gw" + CHAT, CHAT):
            assert (await ask(sidecar, http(path, token=None))).status == 401
    async with lived(around(app, FAST, root_path="")) as sidecar:
        assert (await ask(sidecar, http("/gw" + CHAT, token=None))).content == BODY


async def test_a_path_is_remembered_as_not_ours_with_everything_it_depends_on_and_for_one_policy(app, monkeypatch):
    monkeypatch.setattr("sidecar.edge.asgi.head.MOST_REMEMBERED", 3)
    sidecar = around(app, FAST)
    for _ in range(2):
        for number in range(5):
            await ask(sidecar, http(f"/{number}", "GET"))
        await ask(sidecar, http("/gw" + CHAT, "GET"))
        assert (await ask(sidecar, http("/gw" + CHAT, root_path="/gw", token=None))).status == 401
        assert (await ask(sidecar, http("/later/x", token=None))).status == 200
    assert len(sidecar._front.terms.others._known) <= 3
    sidecar._front.terms = sidecar._terms(
        replace(sidecar._basis.snapshot, policy=parse("relay: {deny: [/later/*]}", "").policy)
    )
    assert (await ask(sidecar, http("/later/x", token=None))).status == 403
    await sidecar.aclose()


# -- chat


async def test_a_chat_is_answered_and_the_application_hears_nothing_of_it(app):
    async with lived(around(app, FAST)) as sidecar:
        got = await ask(sidecar, http(headers=[(b"x-correlation-id", b"mine"), (b"origin", b"http://localhost:8020")]))
        assert got.status == 200
        assert (got.said["provider"], got.said["degraded"], got.said["correlation_id"]) == ("local", True, "mine")
        assert got.fields["content-type"] == "application/json"
        assert got.fields["content-length"] == str(len(got.content))
        assert got.fields["x-correlation-id"] == "mine"
        assert got.fields["proxy-status"].startswith("vx11-sidecar; error=")
        assert "server" not in got.fields
        assert await metric(sidecar, "chat_requests_total", outcome="local") == 1
        assert sidecar.state()["answering"]["provider"] == "local"
        assert sidecar.state()["gateway"] == "the application itself"
        assert sidecar.readiness() == (None, ())
    assert not app.given
    assert sidecar.readiness().blocked_by == "starting"


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("", 401), ("wrong", 403)])
async def test_nobody_gets_a_byte_read_without_a_token(app, token, status):
    async with lived(around(app)) as sidecar:
        got = await ask(sidecar, http(token=token))
        assert (got.status, got.asked) == (status, 0)
        assert got.said["status_code"] == status
        assert await metric(sidecar, "chat_requests_total", outcome="rejected", code=str(status)) == 1
    assert not app.given


async def test_a_token_that_came_twice_is_none(app):
    async with lived(around(app)) as sidecar:
        got = await ask(sidecar, http(headers=[(b"x-vx11-token", TOKEN.encode())]))
        assert (got.status, got.said) == (400, {"detail": "repeated_token"})


async def test_where_a_token_may_be_is_the_policys_word(app):
    async with lived(around(app, FAST + "auth: {sources: [bearer, query]}\n")) as sidecar:
        got = await ask(sidecar, http(token=None))
        assert (got.status, got.fields["www-authenticate"]) == (401, "Bearer")
        bearer = [(b"authorization", b"Bearer " + TOKEN.encode())]
        assert (await ask(sidecar, http(token=None, headers=bearer))).status == 200
        assert (await ask(sidecar, http(token=None, query_string=b"token=" + TOKEN.encode()))).status == 200


async def test_a_body_is_read_in_pieces(app):
    async with lived(around(app, FAST)) as sidecar:
        pieces = [body(BODY[at : at + 1], more=True) for at in range(len(BODY))]
        got = await ask(sidecar, http(), *pieces, body(b""))
        assert (got.status, got.said["provider"]) == (200, "local")


async def test_a_body_that_is_too_large_is_not_read_to_its_end(app):
    async with lived(around(app, "guards: {max_body: 1KiB}\n")) as sidecar:
        got = await ask(sidecar, http(), *[body(b"x" * 600, more=True)] * 5)
        assert (got.status, got.asked) == (413, 2)
        got = await ask(sidecar, http(headers=[(b"content-length", b"1025")]))
        assert (got.status, got.asked) == (413, 0)
        assert got.said["error"] == "Body too large (max 1024 bytes)"


async def test_a_body_that_does_not_come_is_waited_for_so_long_and_no_longer(app):
    async with lived(around(app, "relay: {timeouts: {head: 50ms}}\n")) as sidecar:
        got = await ask(sidecar, http(), body(b"{", more=True))
        assert got.status == 408
        assert sidecar.state()["under_way"]["chat"] == 0


async def test_what_is_no_json_is_worded_as_ever(app):
    async with lived(around(app)) as sidecar:
        got = await ask(sidecar, http(), body(b"{"))
        assert (got.status, got.said["detail"][0]["type"]) == (422, "json_invalid")


async def test_the_addresses_that_the_server_gives_are_told_apart_and_one_has_no_more_than_its_rate(app):
    async with lived(around(app, FAST + "guards: {anonymous_rate_limit: 1 per 60s}\n")) as sidecar:
        statuses = [(await ask(sidecar, http(client=(peer, 1)))).status for peer in ("a", "::ffff:b", "b", "a")]
        assert statuses == [200, 200, 429, 429]
        assert (await ask(sidecar, http(client=None))).status == 200  # a Unix socket


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_head_with_two_lengths_is_refused_as_the_door_refuses_it(app, chunked):
    second = (b"transfer-encoding", b"chunked") if chunked else (b"content-length", b"17")
    async with lived(around(app)) as sidecar:
        got = await ask(sidecar, http(headers=[(b"content-length", b"17"), second]))
        assert (got.status, got.said["detail"]) == (400, "framing" if chunked else "repeated_content_length")


async def test_a_field_that_would_be_two_lines_is_refused(app):
    async with lived(around(app)) as sidecar:
        got = await ask(sidecar, http(token=None, headers=[(b"x-a", b"b\r\nx-vx11-token: " + TOKEN.encode())]))
        assert (got.status, got.said) == (400, {"detail": "field"})


# -- leaving and ending


def hanging(app, **more):
    """A sidecar whose switch hangs."""
    return around(app, "deadline: {client: 60s}\ntargets: [{name: switch, timeouts: {attempt: 50s}}]\n", **more)


@pytest.fixture
async def silent():
    """A switch that takes a request and says nothing; how many of its connections stand."""
    standing = set()

    async def serve(reader, writer):
        standing.add(writer)
        try:
            while await reader.read(65_536):
                pass
        finally:
            standing.discard(writer)
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", standing


async def test_a_client_that_leaves_ends_its_chat_and_is_told_as_such(app, silent):
    address, standing = silent
    async with lived(hanging(app, switch=address)) as sidecar:
        client = Client(body())
        asking = asyncio.create_task(sidecar(http(), client.receive, client.send))
        await until(lambda: standing)
        assert sidecar.state()["under_way"]["chat"] == 1
        client.leave()
        await asyncio.wait_for(asking, 2)
        await until(lambda: not standing)
        assert client.sent == []
        assert await metric(sidecar, "chat_requests_total", outcome="client_gone") == 1
        assert sidecar.state()["under_way"]["chat"] == 0


async def test_a_client_that_leaves_within_its_body_gets_no_answer(app):
    async with lived(around(app)) as sidecar:
        got = await ask(sidecar, http(), body(b"{", more=True), {"type": "http.disconnect"})
        assert got.sent == []
        assert await metric(sidecar, "messages_refused_total", why="incomplete") == 1


async def test_a_server_that_cancels_a_request_ends_its_chat(app, silent):
    address, standing = silent
    async with lived(hanging(app, switch=address)) as sidecar:
        client = Client(body())
        asking = asyncio.create_task(sidecar(http(), client.receive, client.send))
        await until(lambda: standing)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: not standing)
        assert sidecar.state()["under_way"]["chat"] == 0


@pytest.mark.parametrize("after", [body(b""), RuntimeError("nothing more to say")], ids=["a message", "an error"])
async def test_what_a_server_says_after_the_body_ends_no_chat_unless_the_client_left(app, after):
    told = [body(), after]

    async def receive():
        message = told.pop(0)
        if isinstance(message, Exception):
            raise message
        return message

    client = Client()
    async with lived(around(app, FAST)) as sidecar:
        await sidecar(http(), receive, client.send)
    assert (client.status, client.said["provider"]) == (200, "local")


async def test_a_chat_that_our_end_cuts_is_told_to_come_again(app, silent):
    address, standing = silent
    sidecar = hanging(app, switch=address)
    client = Client(body())
    asking = asyncio.create_task(sidecar(http(), client.receive, client.send))
    await until(lambda: standing)
    await sidecar.aclose()
    await asking
    assert (client.status, client.fields["retry-after"]) == (503, "1")


async def test_more_chats_than_the_policy_has_room_for_are_turned_away(app, silent):
    address, standing = silent
    policy = "deadline: {client: 60s}\ntargets: [{name: switch, timeouts: {attempt: 50s}}]\noverload: {chats: 1}\n"
    async with lived(around(app, policy, switch=address)) as sidecar:
        client = Client(body())
        asking = asyncio.create_task(sidecar(http(), client.receive, client.send))
        await until(lambda: standing)
        got = await ask(sidecar)
        assert (got.status, got.fields["retry-after"], got.asked) == (503, "1", 0)
        client.leave()
        await asking


async def test_a_client_that_left_when_its_answer_came_is_no_error(app):
    async def gone(_):
        raise OSError("broken pipe")

    async with lived(around(app, FAST)) as sidecar:
        await sidecar(http(), Client(body()).receive, gone)
        assert await metric(sidecar, "chat_requests_total", outcome="local") == 1


async def test_a_fault_of_ours_is_a_500_in_the_shape_of_the_chat_and_the_application_is_not_reached(app, monkeypatch):
    async with lived(around(app)) as sidecar:

        def broken(*_):
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr("sidecar.edge.asgi.head.head", broken)
        got = await ask(sidecar)
        assert got.status == 500
        assert set(got.said) == {"detail", "correlation_id"}
        assert "a secret" not in str(got.sent)
        monkeypatch.setattr("sidecar.edge.asgi.head.asked_target", broken)
        assert (await ask(sidecar, http("/health", "GET"))).status == 500
    assert not app.given


async def test_a_fault_of_the_application_is_the_servers_to_see():
    async def broken(*_):
        raise ZeroDivisionError("the application's own")

    sidecar = around(broken)
    for path in ("/health", CHAT + "/"):
        with pytest.raises(ZeroDivisionError, match="the application's own"):
            await ask(sidecar, http(path))
    await sidecar.aclose()
