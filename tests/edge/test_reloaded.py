"""What a reload does to those who are being served: nothing is cut, what is remembered stays, what changed holds at once."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from kitchen import TOKEN, Peer, answering, http, until
from loopback import get, one_answer
from office import BASE
from policy.test_any_policy import LEAVES, WRONG
from policy.test_any_policy import _document as document

from sidecar.edge import app as module
from sidecar.edge import reload as reload_module

GOOD = http(json.dumps({"status": "ok", "reply": "hola", "engine_used": "general-7b"}).encode())
FAILED = http(json.dumps({"status": "error"}).encode())


@pytest.fixture
def quick(monkeypatch):
    """Files are looked at fifty times a second."""
    monkeypatch.setattr(reload_module, "LOOK", 0.02)
    monkeypatch.setattr(reload_module, "RETRY", 0.1)


async def taken(here, text):
    here.path.write_text(text)
    status, said = await here.post("/reload")
    assert status == 200, said


async def test_a_chat_that_is_under_way_ends_on_the_policy_it_began_with(office):
    let_go = asyncio.Event()

    async def slowly(peer, request, writer):
        await let_go.wait()
        writer.write(GOOD)

    async with Peer(slowly) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        await taken(here, "timeouts: {attempt: 3s}\n")
        first = asyncio.ensure_future(here.chat(**{"X-Correlation-Id": "first"}))
        await until(lambda: switch.requests)
        await taken(here, "timeouts: {attempt: 50ms}\n")
        second = await here.chat(**{"X-Correlation-Id": "second"})
        assert (second["provider"], second["reason"]) == ("local", "timeout")
        assert not first.done()
        await taken(here, "targets: [{name: madre}]\n")  # the target it is waiting for is gone from the ladder
        let_go.set()
        assert (await first)["provider"] == "switch"
        told = {name: (await here.ask("GET", f"/calls/{name}"))[1]["facts"] for name in ("first", "second")}
        timeouts = {
            name: next(f["timeout"] for f in facts if f["fact"] == "AttemptStarted") for name, facts in told.items()
        }
        assert timeouts == {"first": pytest.approx(3.0, abs=0.1), "second": 0.05}
        assert told["first"][0]["revision"] != told["second"][0]["revision"]
        assert told["first"][-1]["outcome"] == "primary"


async def test_a_chat_whose_body_came_during_a_reload_is_answered_by_the_policy_that_holds_then(office):
    async with Peer(answering(GOOD)) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        reader, writer = await asyncio.open_connection(*here.sidecar.serving.listen)
        body = b'{"message": "hi"}'
        head = f"POST /operator/api/chat HTTP/1.1\r\nHost: x\r\nX-VX11-Token: {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:5])
        await until(lambda: here.sidecar._port.under_way("chat"))
        await taken(here, "intercept: {paths: [/elsewhere]}\n")
        writer.write(body[5:])
        status, _, said = await asyncio.wait_for(one_answer(reader), 3)
        assert (status, json.loads(said)["provider"]) == (200, "switch")
        writer.close()


async def test_keys_are_remembered_from_the_reload_that_says_so_to_the_one_that_does_not(office):
    async with Peer(answering(GOOD)) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:

        async def answers():
            return {json.dumps(await here.chat(**{"Idempotency-Key": "k"})) for _ in range(3)}

        assert len(await answers()) == 3
        assert (await here.state())["idempotency"] is None
        await taken(here, 'idempotency: {mode: "on"}\n')
        (answer,) = await answers()
        held = (await here.state())["idempotency"]
        assert (held["running"], held["kept"]) == (0, 1)
        await taken(here, 'idempotency: {mode: "on", ttl: 1h}\n')
        assert await answers() == {answer}
        line = (await here.logged("chat_replayed"))[0]
        assert line["first"] == json.loads(answer)["correlation_id"] != line["correlation_id"]
        await taken(here, BASE)
        assert len(await answers()) == 3
        assert len(switch.requests) == 7


async def test_a_target_is_sent_the_same_key_with_every_attempt_from_the_reload_that_says_it_honours_them(office):
    failing = http(json.dumps({"detail": "later"}).encode(), "503 Service Unavailable")
    async with Peer(answering(failing)) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        await here.chat(**{"Idempotency-Key": "the-clients"})
        assert b"dempotency" not in switch.requests[0]
        await taken(here, "targets: [{name: switch, effects: dedup, retry: {only_if_unsent: false}}, {name: madre}]\n")
        await here.chat(**{"Idempotency-Key": "the-clients"})
        keys = [line for sent in switch.requests[1:] for line in sent.split(b"\r\n") if line.startswith(b"Idempotency")]
        assert len(keys) == len(switch.requests) - 1 == 2
        assert keys[0] == keys[1]
        assert b"the-clients" not in b"".join(switch.requests)


async def test_a_hedge_has_the_key_of_the_request_it_stands_beside(office):
    let_go = asyncio.Event()

    async def slowly(peer, request, writer):
        await let_go.wait()
        writer.write(GOOD)

    text = "hedge: {enabled: true, delay: 50ms, max_extra_load: 100%}\ntargets: [{name: switch, effects: dedup}]\n"
    async with Peer(slowly) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        await taken(here, text)
        chat = asyncio.ensure_future(here.chat())
        await until(lambda: len(switch.requests) == 2)
        let_go.set()
        assert (await chat)["provider"] == "switch"
        keys = [
            line for sent in switch.requests for line in sent.split(b"\r\n") if line.startswith(b"Idempotency-Key: ")
        ]
        assert len(keys) == 2
        assert keys[0] == keys[1]
        assert await here.metric("idempotency_keys_sent_total", target="switch", origin="made") == 1


def remembered(state, target):
    """What must outlive a reload."""
    view = state["targets"][target]
    kept = ("state", "epoch", "calls", "failures", "failure_rate", "slow_rate", "failures_in_row", "good_probes")
    return {name: view["breaker"][name] for name in kept} | {"budget": view["retry_budget"][0]}


async def test_windows_epochs_and_budgets_outlive_a_reload_of_anything_else(office):
    async with Peer(answering(FAILED)) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        await taken(here, "retry: {on: [reset-before-headers]}\n")
        for _ in range(2):
            await here.chat()
        before = {target: remembered(await here.state(), target) for target in ("switch", "madre")}
        assert (before["switch"]["calls"], before["switch"]["failures_in_row"][0]) == (2, 2)
        for text in (
            "deadline: {client: 6s}\n",
            "breaker: {open: {base: 3s}}\n",
            "breaker: {consecutive: 7, min_calls: 9, half_open: {close_after: 5}}\n",
            "limiter: {max_concurrent: 9}\n",
            "targets: [{name: madre}]\n",
            "retry: {on: [reset-before-headers]}\n",
        ):
            await taken(here, text)
        now = {target: remembered(await here.state(), target) for target in ("switch", "madre")}
        thresholds = ("failure_rate", "slow_rate", "failures_in_row", "good_probes")
        for target, name in ((t, n) for t in before for n in before[t]):
            was, is_ = before[target][name], now[target][name]
            assert (is_[0] if name in thresholds else is_) == (was[0] if name in thresholds else was), (target, name)
        await taken(here, "breaker: {window: {type: count, size: 50}}\n")
        assert remembered(await here.state(), "switch")["calls"] == 0


async def test_an_open_breaker_stays_open_until_its_time_whatever_is_reloaded(office):
    async with Peer(answering(FAILED)) as switch, office(switch=f"127.0.0.1:{switch.port}") as here:
        await taken(here, "breaker: {open: {base: 10m, max: 10m, jitter: 0}}\n")
        for _ in range(3):
            await here.chat()
        before = (await here.state())["targets"]["switch"]["breaker"]
        assert (before["state"], before["epoch"]) == ("open", 1)
        for text in ("breaker: {open: {base: 1ms, max: 1ms}}\n", "breaker: {consecutive: 0}\n", BASE):
            await taken(here, text)
            now = (await here.state())["targets"]["switch"]["breaker"]
            assert (now["state"], now["epoch"]) == ("open", 1)
            assert 590 < now["probe_in_seconds"] <= before["probe_in_seconds"]
        assert len(switch.requests) == 3
        assert (await here.chat())["provider"] == "local"
        assert len(switch.requests) == 3
        assert await here.metric("breaker_state", target="switch", state="open") == 1


async def test_what_is_relayed_and_what_is_ours_changes_at_once_on_a_connection_that_stands(office):
    async with (
        Peer(answering(http(b'{"from": "gateway"}'))) as gateway,
        office(gateway=f"127.0.0.1:{gateway.port}") as here,
    ):
        reader, writer = await asyncio.open_connection(*here.sidecar.serving.listen)

        async def ask(data):
            writer.write(data)
            status, _, body = await asyncio.wait_for(one_answer(reader), 3)
            return status, json.loads(body)

        chat = f'POST /operator/api/chat HTTP/1.1\r\nHost: x\r\nX-VX11-Token: {TOKEN}\r\nContent-Length: 15\r\n\r\n{{"message":"m"}}'.encode()
        for _ in range(3):  # so often that the head is remembered
            assert await ask(get("/some/path")) == (200, {"from": "gateway"})
            assert (await ask(chat))[1]["provider"] == "local"
        await taken(here, "intercept: {paths: [/elsewhere]}\n")
        assert await ask(chat) == (200, {"from": "gateway"})
        await taken(here, "relay: {deny: [/some/*]}\n")
        assert (await ask(chat))[1]["provider"] == "local"
        writer.write(get("/some/path"))
        status, _, body = await asyncio.wait_for(one_answer(reader), 3)
        assert (status, json.loads(body)["detail"]) == (403, "denied_by_policy")
        writer.close()


@pytest.mark.parametrize("way", ["renamed", "in place", "deleted and made anew", "parent"])
async def test_a_file_that_changes_is_taken_without_anybody_asking(office, quick, way, tmp_path):
    async with office() as here:
        new = "deadline: {client: 9s}\n"
        if way == "renamed":
            (tmp_path / "new").write_text(new)
            os.replace(tmp_path / "new", here.path)  # noqa: PTH105 - as deployments do it
        elif way == "in place":
            with here.path.open("r+") as file:
                file.write(new)
        elif way == "deleted and made anew":
            here.path.unlink()
            await until(lambda: [line for line in here.log() if line["event"] == "policy_rejected"])
            assert (await here.state())["policy_problems"]
            here.path.write_text(new)
        else:
            (tmp_path / "base.yaml").write_text("deadline: {client: 8s}\n")
            here.path.write_text("extends: base.yaml\n")
            await here.logged("reloaded")
            (tmp_path / "base.yaml").write_text(new)
        await until(lambda: here.sidecar._runtime.in_force.current.policy.deadline.client == 9.0)
        assert (await here.state())["policy_problems"] == []
        assert {line["trigger"] for line in await here.logged("reloaded")} == {"file"}


@pytest.mark.parametrize("mode", [None, "token"])
async def test_a_file_alone_lets_nobody_in_who_was_out(office, mode):
    async with office(mode=mode) as here:
        here.path.write_text("auth: {mode: off}\n")
        status, said = await here.post("/reload")
        if mode == "token":  # the environment insists, so the policy's word changes nothing
            assert status == 200
        else:
            assert status == 409
            assert said["problems"][0].startswith(f"{here.path}:1:14: auth.mode: off does not take effect")
            assert await here.metric("policy_last_reload_successful") == 0
        url = f"http://{here.sidecar.serving.listen}/operator/api/chat"
        async with here.client.post(url, json={"message": "hi"}) as got:
            assert got.status == 401


async def test_with_the_environments_consent_a_reload_may_let_everybody_in_and_says_so(office):
    async with office(mode="off") as here:
        url = f"http://{here.sidecar.serving.listen}/operator/api/chat"
        for mode, status, notes in (("token", 401, 0), ("off", 200, 1), ("token", 401, 0)):
            await taken(here, f"auth: {{mode: {mode}}}\n")
            assert len((await here.ask("GET", "/readyz?verbose", token=None))[1]["notes"]) == notes
            async with here.client.post(url, json={"message": "hi"}) as got:
                assert got.status == status
        assert len(await here.logged("auth_off")) == 1


async def test_a_snapshot_whose_terms_cannot_be_made_changes_nothing_at_all(office, monkeypatch):
    async with office() as here:
        before = (await here.state())["policy"]["revision"]
        scene, in_force = here.sidecar._runtime.engine.scene, here.sidecar._runtime.in_force.current

        def broken(*_):
            raise RuntimeError("a secret")

        monkeypatch.setattr(module, "terms", broken)
        here.path.write_text("deadline: {client: 9s}\n")
        status, said = await here.post("/reload")
        assert (status, said["revision"]) == (409, before)
        assert "a secret" not in str(said)
        assert here.sidecar._runtime.engine.scene is scene
        assert here.sidecar._runtime.in_force.current is in_force
        monkeypatch.undo()
        assert (await here.post("/reload"))[0] == 200


async def test_a_reload_that_is_wanted_before_we_serve_is_done_as_soon_as_we_do(office, monkeypatch):
    listen = module.Sidecar._data_port

    async def wanting(sidecar, stack):
        sidecar.reload()
        await listen(sidecar, stack)

    monkeypatch.setattr(module.Sidecar, "_data_port", wanting)
    async with office() as here:
        assert await here.metric("policy_reloads_total", result="unchanged") == 1


async def test_a_comment_is_no_other_policy_and_nothing_is_adopted_again(office):
    async with office() as here:
        scene = here.sidecar._runtime.engine.scene
        await taken(here, f"# so that somebody knows why\n{BASE}")
        assert here.sidecar._runtime.engine.scene is scene
        await here.logged("reloaded")
        assert len(await here.logged("policy_adopted")) == 1
        told = (await here.ask("GET", "/policy"))[1]["values"]["deadline.client"]
        assert told["origin"] == f"{here.path}:2:20"  # where it stands now


async def test_no_mistake_in_any_field_changes_anything_while_we_serve(office):
    pitfalls = [
        "a: &a [x]\nb: *a\n",
        "mode: off\nmode: off\n",
        "deadline:\n\tclient: 5s\n",
        "deadline: {client: 1:30}\n",
        "dea",
        "\x00",
    ]
    planted = [document(path, wrong)[0] for path in LEAVES for wrong in WRONG[:3]]
    async with office() as here:
        before = await here.state()
        refused = 0
        for text in (*planted, *pitfalls):
            here.path.write_text(text)
            status, said = await here.post("/reload")
            if status == 409:
                refused += 1
                assert said["revision"] == before["policy"]["revision"]
                assert all(problem.startswith(f"{here.path}:") for problem in said["problems"])
            else:  # an empty list is right for a list: back to what was in force
                here.path.write_text(BASE)
                await here.post("/reload")
        after = await here.state()
        print(f"\n{refused} of {len(planted) + len(pitfalls)} planted mistakes refused by a running sidecar")
        assert refused > 2 * len(LEAVES)
        assert {name: seen["breaker"]["epoch"] for name, seen in after["targets"].items()} == {"switch": 0, "madre": 0}
        assert after["status"] == "serving"
