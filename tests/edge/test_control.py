"""What an operator can change over HTTP, on a whole sidecar: who may, what is refused in which words, and where it shows."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
from kitchen import TOKEN, Peer, answering, http
from office import ADMIN, BASE

from sidecar.edge.admin import overrides as overrides_module
from sidecar.edge.admin.desk import LARGEST_ORDER

HELD = {"target": "switch", "kind": "forced_open", "author": "ana", "reason": "switch is being restarted", "ttl": "10m"}
ORDERS = ("/overrides", "/overrides/release", "/log-level", "/reload")
GOOD = http(json.dumps({"status": "ok", "reply": "hola", "engine_used": "general-7b"}).encode())


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["127.0.0.1:0", "0.0.0.0:0"])
async def test_without_an_admin_token_nobody_changes_anything_and_is_told_which_one_to_set(office, at):
    async with office(admin=None, at=at) as here:
        for path, token in itertools.product(ORDERS, (None, "", "anything")):
            status, body = await here.post(path, HELD, token=token)
            assert status == 403
            assert "VX11_SIDECAR_ADMIN_TOKEN" in body["detail"]


@pytest.mark.parametrize("at", ["127.0.0.1:0", "0.0.0.0:0"])
async def test_only_the_admin_token_changes_anything_on_loopback_too(office, at):
    offered = {None: 401, "": 401, " ": 401, "wrong": 403, ADMIN[:-1]: 403, TOKEN: 403, ADMIN: 200}
    async with office(at=at) as here:
        for token, status in offered.items():
            assert (await here.post("/overrides", HELD, token=token))[0] == status
            shown = (await here.ask("GET", "/state"))[1]
            assert len(shown["overrides"]) == (status == 200)


async def test_a_page_in_a_browser_reaches_nothing_by_another_name(office):
    async with office() as here:
        for path, host in itertools.product(ORDERS, ("evil.test", "localhost.evil.test", "")):
            status, body = await here.post(path, HELD, host=host)
            assert (status, body) == (403, {"detail": "this Host is not one of admin.hosts"})
        assert (await here.state())["overrides"] == []


async def test_orders_are_posts(office):
    async with office() as here:
        for path, method in itertools.product(ORDERS, ("GET", "PUT", "DELETE", "PATCH")):
            assert await here.ask(method, path, HELD) == (405, {"detail": "Method Not Allowed"})


async def test_a_token_in_the_query_is_none(office):
    async with office() as here:
        assert (await here.post(f"/reload?token={ADMIN}&X-VX11-Admin-Token={ADMIN}", token=None))[0] == 401


# -- what is refused --------------------------------------------------------------------------------------------------


NO_OBJECTS = (
    b"{", b"[]", b"null", b'"x"', b"1", b"\xff", b'{"level": NaN}', b'{"level": "\\ud800"}', b"{} {}", b"[" * 50_000, b"level=debug",
)  # fmt: skip


async def test_what_is_no_json_object_is_no_order(office):
    async with office() as here:
        for path, body in itertools.product(ORDERS, NO_OBJECTS):
            assert await here.post(path, body) == (400, {"detail": "the body must be a JSON object"}), (path, body)


WRONG = (
    ("/overrides", {}, "target: Field required; kind: Field required; author: Field required"),
    ("/overrides", None, "target: Field required"),
    ("/overrides", HELD | {"target": 1}, "target: Input should be a valid string"),
    ("/overrides", HELD | {"target": None}, "target: Input should be a valid string"),
    ("/overrides", HELD | {"target": "gateway"}, "target: there is no 'gateway', there are switch, madre"),
    ("/overrides", HELD | {"target": "local"}, "target: there is no 'local'"),
    ("/overrides", HELD | {"target": "Switch"}, "target: there is no 'Switch'"),
    ("/overrides", HELD | {"kind": "open"}, "kind: 'open' is none of forced_open, forced_closed, off"),
    ("/overrides", HELD | {"kind": ["off"]}, "kind: Input should be a valid string"),
    ("/overrides", HELD | {"ttl": 600}, "ttl: must be a duration: a number with a unit"),
    ("/overrides", HELD | {"ttl": "600"}, "ttl: must be a duration: a number with a unit"),
    ("/overrides", HELD | {"ttl": "0s"}, "ttl: must be longer than nothing"),
    ("/overrides", HELD | {"ttl": "25h"}, "ttl: must be a duration of at most 24h"),
    ("/overrides", HELD | {"ttl": "-1s"}, "ttl: must be a duration"),
    ("/overrides", HELD | {"ttl": "inf"}, "ttl: must be a duration"),
    ("/overrides", HELD | {"ttl": True}, "ttl: must be a duration"),
    ("/overrides", HELD | {"author": ""}, "author: who comes on call next"),
    ("/overrides", HELD | {"reason": "a\nb"}, "reason: who comes on call next"),
    ("/overrides", HELD | {"reason": "a\u202eb"}, "reason: who comes on call next"),
    ("/overrides", HELD | {"reason": "a" * 201}, "reason: who comes on call next"),
    ("/overrides", HELD | {"force": True}, "force: Extra inputs are not permitted"),
    ("/overrides/release", {}, "target: Field required"),
    ("/overrides/release", {"target": "switch", "why": "x"}, "why: Extra inputs are not permitted"),
    ("/log-level", {}, "level: Field required"),
    ("/log-level", {"level": "loud"}, "level: String should match pattern '^(debug|info|warning|error)$'"),
    ("/log-level", {"level": "debug\n"}, "level: String should match pattern"),
    ("/log-level", {"level": "DEBUG"}, "level: String should match pattern"),
    ("/log-level", {"level": 10}, "level: Input should be a valid string"),
    ("/reload", {"file": "/etc/passwd"}, "file: Extra inputs are not permitted"),
)


async def test_what_cannot_be_ordered_is_said_in_words_and_changes_nothing(office):
    async with office() as here:
        for path, body, words in WRONG:
            status, said = await here.post(path, body)
            assert status == 400
            assert said["detail"].startswith(words)
            assert "\n" not in said["detail"]
        assert (await here.state())["overrides"] == []
        assert await here.metric("policy_reloads_total", result="unchanged") == 0


async def test_a_long_wrong_order_has_a_short_answer(office):
    async with office() as here:
        for body in (
            {"k" * 50_000: 1},
            {f"key-{number}": 1 for number in range(3000)},
            HELD | {"kind": "k" * 50_000},
            HELD | {"target": "t" * 50_000},
        ):
            status, said = await here.post("/overrides", body)
            assert status == 400
            assert len(said["detail"]) < 4_000
        status, said = await here.post("/overrides/release", {"target": "t" * 50_000})
        assert status == 409
        assert len(said["detail"]) < 4_000


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_huge_order_is_too_large_before_it_is_read(office, chunked):
    async with office() as here:

        async def pieces():
            for _ in range(40):
                yield b" " * LARGEST_ORDER

        url = f"http://{here.sidecar.serving.admin}/log-level"
        headers = {"Host": "localhost", "X-VX11-Admin-Token": ADMIN}
        data = pieces() if chunked else b" " * (LARGEST_ORDER + 1)
        async with here.client.post(url, data=data, headers=headers) as got:
            assert (got.status, await got.json()) == (413, {"detail": "an order is at most 65536 bytes of JSON"})
        assert (await here.post("/log-level", {"level": "info"}))[0] == 200


@pytest.mark.parametrize("token", ["", f"X-VX11-Admin-Token: {ADMIN}\r\n"])
async def test_a_body_that_never_comes_does_not_hold_up_the_end(office, token):
    async with office() as here:
        reader, writer = await asyncio.open_connection(*here.sidecar.serving.admin)
        writer.write(f"POST /reload HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: 1000\r\n\r\n{{".encode())
        if not token:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
        await here.state()  # by now the order is being waited for
        leaving = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - leaving < 4
    writer.close()


async def test_somebody_without_the_token_does_not_get_their_body_read(office):
    async with office() as here:
        reader, writer = await asyncio.open_connection(*here.sidecar.serving.admin)
        writer.write(b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
        assert head.startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_releasing_nothing_is_no_success(office):
    async with office() as here:
        for target in ("switch", "gateway", ""):
            status, said = await here.post("/overrides/release", {"target": target})
            assert (status, said["overrides"]) == (409, [])
            assert said["detail"] == f"there is no override of {target!r} to release"


# -- what comes of it -------------------------------------------------------------------------------------------------


STATES = ("closed", "open", "half_open", "forced_open", "forced_closed")
KINDS = ("forced_open", "forced_closed", "off")


async def test_every_state_and_kind_is_counted_from_the_start(office):
    async with office() as here:
        for target, state in itertools.product(("switch", "madre"), STATES):
            assert await here.metric("breaker_state", target=target, state=state) == (state == "closed")
        for kind in KINDS:
            assert await here.metric("override_active", kind=kind) == 0
        for target, to in itertools.product(("switch", "madre"), ("forced_open", "forced_closed")):
            assert await here.metric("breaker_transitions_total", target=target, to=to, reason="override") == 0


@pytest.mark.parametrize("kind", ["forced_open", "forced_closed"])
async def test_a_breaker_that_is_held_shows_everywhere_until_it_is_released(office, kind):
    async with office() as here:
        status, said = await here.post("/overrides", HELD | {"kind": kind})
        assert status == 200
        (held,) = said["overrides"]
        assert 590 < held.pop("seconds_left") <= 600
        assert held == {"target": "switch", "kind": kind, "author": "ana", "reason": HELD["reason"]}
        state = await here.state()
        assert state["overrides"][0]["author"] == "ana"
        assert state["targets"]["switch"]["breaker"]["state"] == kind
        assert await here.metric("override_active", kind=kind) == 1
        for each in STATES:
            assert await here.metric("breaker_state", target="switch", state=each) == (each == kind)
        (line,) = await here.logged("override_set")
        assert {name: line[name] for name in HELD} == HELD | {"kind": kind, "ttl": 600.0}
        assert (await here.post("/overrides/release", {"target": "switch"})) == (200, {"overrides": []})
        assert await here.metric("override_active", kind=kind) == 0
        after = "half_open" if kind == "forced_open" else "closed"
        assert (await here.state())["targets"]["switch"]["breaker"]["state"] == after
        assert await here.metric("breaker_state", target="switch", state=after) == 1
        (line,) = await here.logged("override_ended")
        assert (line["target"], line["why"]) == ("switch", "released")


@pytest.mark.parametrize("kind", ["forced_open", "off"])
async def test_a_target_that_is_held_is_not_asked_and_asked_again_when_released(office, kind):
    async with Peer(answering(GOOD)) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        assert (await here.chat())["provider"] == "switch"
        await here.post("/overrides", HELD | {"kind": kind})
        assert (await here.chat())["provider"] == "local"
        assert len(switch.requests) == 1
        await here.post("/overrides/release", {"target": "switch"})
        assert (await here.chat())["provider"] == "switch"


async def test_a_new_override_takes_the_place_of_the_old(office):
    async with office() as here:
        for kind in ("forced_open", "forced_closed", "off", "forced_open", "off"):
            _, said = await here.post("/overrides", HELD | {"kind": kind})
            assert [held["kind"] for held in said["overrides"]] == [kind]
            assert [await here.metric("override_active", kind=each) for each in KINDS] == [
                each == kind for each in KINDS
            ]
        assert (await here.state())["targets"]["switch"]["off"] is True
        await here.post("/overrides", HELD | {"target": "madre", "kind": "off"})
        assert await here.metric("override_active", kind="off") == 2


async def test_an_override_outlives_a_reload_even_of_a_policy_without_its_target(office):
    async with office() as here:
        await here.post("/overrides", HELD)
        for text in ("targets: [{name: madre}]\n", BASE, "breaker: {consecutive: 9}\n"):
            here.path.write_text(text)
            assert (await here.post("/reload"))[0] == 200
            assert [held["target"] for held in (await here.state())["overrides"]] == ["switch"]
        assert (await here.state())["targets"]["switch"]["breaker"]["state"] == "forced_open"
        here.path.write_text("targets: [{name: madre}]\n")
        await here.post("/reload")
        assert (await here.post("/overrides/release", {"target": "switch"}))[0] == 200
        here.path.write_text(BASE)
        await here.post("/reload")
        assert (await here.state())["targets"]["switch"]["breaker"]["state"] == "half_open"


async def test_an_override_ends_with_its_time(office, monkeypatch):
    monkeypatch.setattr(overrides_module, "EXPIRY_LOOK", 0.01)
    async with office() as here:
        await here.post("/overrides", HELD | {"ttl": "50ms"})
        assert await here.metric("override_active", kind="forced_open") == 1
        (line,) = await here.logged("override_ended")
        assert line["why"] == "expired"
        assert (await here.state())["overrides"] == []
        assert await here.metric("override_active", kind="forced_open") == 0
        assert (await here.state())["targets"]["switch"]["breaker"]["state"] == "half_open"


async def test_no_override_survives_a_restart(office):
    async with office() as here:
        await here.post("/overrides", HELD)
    async with office() as here:
        state = await here.state()
        assert (state["overrides"], state["targets"]["switch"]["breaker"]["state"]) == ([], "closed")
        assert await here.metric("override_active", kind="forced_open") == 0


async def test_the_log_level_really_changes(office):
    async with office() as here:
        log = here.sidecar._logging.log
        log.debug("unheard", number=1)
        assert await here.post("/log-level", {"level": "debug"}) == (200, {"level": "debug"})
        log.debug("heard", number=2)
        assert len(await here.logged("heard")) == 1
        assert (await here.logged("log_level_set"))[0]["threshold"] == "debug"
        await here.post("/log-level", {"level": "error"})
        log.warning("unheard", number=3)
        log.error("heard_too", number=4)
        assert len(await here.logged("heard_too")) == 1
        assert "unheard" not in [line["event"] for line in here.log()]


async def test_a_reload_that_was_ordered_says_what_came_of_it(office):
    async with office() as here:
        revision = (await here.state())["policy"]["revision"]
        assert await here.post("/reload", {}) == (200, {"revision": revision, "problems": []})
        here.path.write_text("deadline: {client: 7s}\n")
        status, said = await here.post("/reload")
        assert (status, said["problems"]) == (200, [])
        assert said["revision"] != revision
        assert (await here.state())["policy"]["revision"] == said["revision"]
        assert [await here.metric("policy_reloads_total", result=each) for each in ("unchanged", "changed")] == [1, 1]
        lines = await here.logged("reloaded")
        assert [(line["trigger"], line["result"]) for line in lines] == [("admin", "unchanged"), ("admin", "changed")]


async def test_a_bad_file_is_refused_by_line_and_column_and_shouted_about_until_it_is_mended(office):
    async with office() as here:
        revision = (await here.state())["policy"]["revision"]
        here.path.write_text("deadline:\n  client: 7\n  pacience: 3s\n")
        status, said = await here.post("/reload")
        assert (status, said["revision"]) == (409, revision)
        assert "stays in force" in said["detail"]
        assert [problem.partition(": ")[0] for problem in said["problems"]] == [f"{here.path}:2:11", f"{here.path}:3:3"]
        notes = (await here.ask("GET", "/readyz?verbose", token=None))[1]["notes"]
        assert [problem in note for problem, note in zip(said["problems"], notes, strict=True)] == [True, True]
        assert (await here.ask("GET", "/readyz", token=None)) == (200, {"status": "ok"})
        assert (await here.state())["policy_problems"] == said["problems"]
        assert await here.metric("policy_last_reload_successful") == 0
        assert await here.metric("policy_reloads_total", result="failed") == 1
        (line,) = await here.logged("policy_rejected")
        assert (line["level"], line["problems"], line["in_force"]) == ("error", said["problems"], revision)
        assert (await here.chat())["provider"] == "local"
        here.path.write_text(BASE)
        assert (await here.post("/reload"))[0] == 200
        assert (await here.ask("GET", "/readyz?verbose", token=None))[1]["notes"] == []
        assert (await here.state())["policy_problems"] == []
        assert await here.metric("policy_last_reload_successful") == 1
        assert len(await here.logged("reloaded")) == 1


# -- what is told -----------------------------------------------------------------------------------------------------


async def test_every_effective_value_is_told_with_the_place_that_states_it(office, tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text("deadline:\n  client: 6s\nbreaker:\n  min_calls: 7\n  consecutive: 4\n")
    (tmp_path / "policy.yaml").write_text(
        "extends: base.yaml\n"
        "breaker: {consecutive: 5}\n"
        "targets:\n"
        "  - name: madre\n"
        "    breaker:\n"
        "      failure_rate: 60%\n"
        "  - name: switch\n"
        "fallback:\n"
        "  local_text: {es: hola}\n"
    )
    async with office() as here:
        status, told = await here.ask("GET", "/policy", token=None)
        values = told["values"]
        mine = here.path
        for path, value, origin in (
            ("deadline.client", "6s", f"{base}:2:11"),
            ("deadline.margin", "250ms", None),
            ("targets[0].name", "madre", f"{mine}:4:11"),
            ("targets[0].breaker.failure_rate", "60%", f"{mine}:6:21"),
            ("targets[1].breaker.failure_rate", "50%", None),
            ("targets[0].breaker.consecutive", 5, f"{mine}:2:24"),
            ("targets[1].breaker.min_calls", 7, f"{base}:4:14"),
            ("breaker.consecutive", 5, f"{mine}:2:24"),
            ("targets[0].limiter.max_concurrent", 2, None),
            ("targets[1].limiter.max_concurrent", 4, None),
            ("fallback.local_text.es", "hola", f"{mine}:9:20"),
            ("relay.deny", ["/debug/*"], None),
            ("relay.timeouts.stream", "none", None),
        ):
            assert (values[path]["value"], values[path]["origin"]) == (value, origin), path
        assert status == 200
        assert told["revision"] == (await here.state())["policy"]["revision"]
        assert len(values) > 100
        assert {tuple(each) for each in values.values()} == {("value", "origin", "changed")}


async def test_the_policy_that_is_told_is_the_one_in_force_after_a_reload(office):
    async with office() as here:
        here.path.write_text("\n\ndeadline: {client: 9s}\n")
        await here.post("/reload")
        assert (await here.ask("GET", "/policy"))[1]["values"]["deadline.client"] == {
            "value": "9s",
            "origin": f"{here.path}:3:20",
            "changed": True,
        }


@pytest.mark.parametrize("path", ["/policy", "/calls/x", "/state"])
async def test_what_is_told_is_guarded_like_the_state(office, path):
    async with office(at="0.0.0.0:0") as here:
        assert (await here.ask("GET", path, host="evil.test"))[0] == 403
        assert (await here.ask("GET", path, token=None))[0] == 401
        assert (await here.ask("GET", path, token="wrong"))[0] == 403
        assert (await here.ask("GET", path))[0] in (200, 404)


async def test_a_call_is_told_fact_by_fact_in_order(office):
    partial = http(b'{"status": "partial", "reply": "x", "error": "a secret of the switch"}')
    async with Peer(answering(partial)) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        await here.chat(**{"X-Correlation-Id": "call-1"})
        status, told = await here.ask("GET", "/calls/call-1", token=None)
        assert status == 200
        facts = told["facts"]
        kinds = [fact["fact"] for fact in facts]
        assert (kinds[0], kinds[-2:]) == ("CallBegan", ["CallEnded", "ChatServed"])
        assert kinds.count("AttemptEnded") >= 2
        seconds = [fact["after_seconds"] for fact in facts]
        assert seconds == sorted(seconds)
        assert "a secret of the switch" not in json.dumps(told)


async def test_calls_are_found_by_whatever_id_may_enter(office):
    async with office() as here:
        for known in ("a.b_c-d", "%2e%2e", "UPPER", "a" * 64):
            said = await here.chat(**{"X-Correlation-Id": known})
            status, told = await here.ask("GET", f"/calls/{said['correlation_id']}")
            assert (status, told["facts"][0]["correlation_id"]) == (200, said["correlation_id"])


async def test_an_id_that_nobody_has_is_unknown_and_not_echoed(office):
    async with office() as here:
        await here.chat()
        for odd in ("nobody", "a" * 4000, "%00", "%ff", "a%2Fb", "%7B%7D", "a;b", "ñ", "%F0%9F%98%80", "*", "1"):
            status, told = await here.ask("GET", f"/calls/{odd}")
            assert status == 404
            assert told["detail"] in ("no recent call has this correlation id", "Not Found")
