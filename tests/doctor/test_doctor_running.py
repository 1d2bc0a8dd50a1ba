"""A running sidecar that is not ready, not by these files, held, degraded, or not to be asked."""

from __future__ import annotations

import aiohttp
from aiohttp import web
from canary import TOKEN
from doctored import (
    ADMIN,
    POLICY,
    answers,
    deployment,
    serving,
)

from sidecar.edge.settings import Address


async def test_other_files_than_those_in_force_are_a_fault(tmp_path):
    async with deployment(tmp_path) as town:
        (town.policy / "policy.yaml").write_text("deadline: {client: 4s}\n")
        found = await town.examine("running")
    assert found.code == 1
    found.says("running.policy", "fail", "the sidecar runs by revision", "has not reached it", "reload it")


async def test_files_that_the_sidecar_cannot_use_are_a_fault(tmp_path):
    def broken():
        raise ValueError("policy.yaml:1:1: no")

    async with deployment(tmp_path) as town:
        town.sidecar._runtime.reloader._read = broken
        town.sidecar.reload()
        found = await town.examine("running")
    assert found.code == 1
    found.says("running.policy", "fail", "cannot use its policy files", "there is a mistake in them", "sidecar check")
    found.says(
        "running.ready",
        "warn",
        "is ready, and notes: the policy's files cannot be used",
        "what it notes",
        "sidecar status",
    )


async def test_overrides_degradation_and_other_addresses_are_warnings(tmp_path):
    async with deployment(tmp_path, "switch=error") as town:
        await town.examine("chat.sidecar")
        town.sidecar._runtime.overrides.hold("madre", "forced_closed", author="ana", reason="drill", ttl=600.0)
        found = await town.examine("running", flags={"gateway": "127.0.0.1:1"})
    assert found.code == 0
    found.says(
        "running.overrides", "warn", "madre forced_closed by ana: drill", "an operator holds", "POST /overrides/release"
    )
    found.says(
        "running.degraded",
        "warn",
        "madre answers, because of failure",
        "answered with an error",
        "Look at the attempts",
    )
    found.says("running.addresses", "warn", "127.0.0.1:1 here", "other flags", "give the doctor the sidecar's flags")


async def test_chaos_is_a_warning_while_it_is_on_and_while_it_could_be(tmp_path):
    rules = "chaos: [{name: slow, target: any, percentage: 10%, delay: 1s, expires_at: 2099-01-01T00:00:00Z}]\n"
    async with deployment(tmp_path, policy=rules) as town:
        found = await town.examine("running.chaos")
        found.says(
            "running.chaos", "warn", "have not expired: slow", "the admin token can switch them on", "delete the rules"
        )
        town.sidecar._runtime.chaos.order(author="ana", reason="drill", ttl=600.0)
        found = await town.examine("running.chaos")
        found.says(
            "running.chaos", "warn", "purpose (slow), allowed by ana", "or an operator ordered it", "POST /chaos/stop"
        )


async def test_a_running_sidecar_that_is_not_there_is_a_fault_only_if_it_was_named(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("running.ready", running=Address("127.0.0.1", 1))
        assert found.code == 1
        found.says("running.ready", "fail", "127.0.0.1:1 refuses connections", "nothing listens there", "--running")
        host, _, port = town.lab.gateway_url.removeprefix("http://").rpartition(":")
        found = await town.examine("running", running=Address(host, int(port)))
        found.says("running.ready", "fail", "is no admin port of a sidecar", "another program", "--running")
        assert not [
            ask for ask in town.lab.requests("gateway") if "state" in ask
        ]  # nobody else is shown the admin token


async def test_an_admin_port_that_does_not_talk_to_us_says_what_it_misses(tmp_path):
    async with deployment(tmp_path, policy=f"{POLICY}admin: {{hosts: [sidecar]}}\n") as town:
        found = await town.examine("running", "chat.found")
        assert found.code == 0
        found.says("running.ready", "ok", "is ready")
        for check in ("running.policy", "running.addresses", "running.overrides", "running.degraded"):
            found.says(
                check, "warn", "answers 403 to /state", "the name it was asked by", "add the name to admin.hosts"
            )
        found.says("chat.found", "warn", "answers 403 to /calls", "does not know the name", "ask on loopback")
    async with deployment(tmp_path, admin="0.0.0.0:0") as town:
        found = await town.examine("running.policy", environ={ADMIN: ""})
        found.says("running.policy", "warn", "answers 401 to /state", "wants the admin token", f"set {ADMIN}")
        found = await town.examine("running.policy", "running.ready")
        found.says("running.policy", "ok", "as in the files")
        found.says("running.ready", "warn", "can be reached from other machines", "what it notes", "sidecar status")


async def test_a_madre_that_is_down_is_said_once(tmp_path):
    async with deployment(tmp_path, "madre=refuse", running=False) as town:
        found = await town.examine("madre", "chat.madre", "token.madre")
    assert found.states("fail") == {"madre.health"}
    found.says("madre.health", "fail", "refuses connections", "the service is down", "start it, or correct the address")


async def test_what_the_policy_does_not_ask_is_not_looked_at(tmp_path):
    solo = f"{POLICY}targets: [{{name: madre}}, {{name: local}}]\ndormant: {{mode: ignore}}\n"
    async with deployment(tmp_path, "switch=refuse", policy=solo) as town:
        found = await town.examine("switch", "madre", "chat", "token.switch")
    assert found.code == 0
    for check in ("switch.health", "token.switch", "chat.switch"):
        found.says(check, "skipped", "the policy's ladder does not ask it")
    found.says("madre.power", "skipped", "dormant.mode: ignore")
    found.says("chat.sidecar", "ok", "by madre")


async def test_a_sidecar_that_only_relays_is_sent_no_chat(tmp_path):
    async with deployment(tmp_path, policy=f"{POLICY}mode: 'off'\n") as town:
        found = await town.examine("token.sidecar", "chat.sidecar", "chat.found", "port.data")
        asked = town.lab.requests("gateway")
    assert found.states("skipped") == {"token.sidecar", "chat.sidecar", "chat.found"}
    assert "POST /operator/api/chat" not in asked
    found.says("port.data", "ok", "held by a sidecar that runs")


async def test_a_sidecar_that_only_looks_on_is_sent_no_chat_and_tells_what_it_saw(tmp_path):
    async with deployment(tmp_path, policy=f"{POLICY}mode: shadow\n") as town:
        checks = ("policy", "token.sidecar", "chat.sidecar", "chat.found", "running.ready", "running.degraded")
        found = await town.examine(*checks)
        assert "POST /operator/api/chat" not in town.lab.requests("gateway")
        assert found.code == 0
        assert found.states("skipped") == {"token.sidecar", "chat.sidecar", "chat.found"}
        found.says("chat.sidecar", "skipped", "mode shadow: it answers no chat itself")
        found.says("policy", "warn", "[mode-shadow]", "hardly meant", "how to keep what is meant")
        found.says("running.ready", "warn", "the gateway answers chat", "what it notes", "sidecar status")
        found.says("running.degraded", "ok", "the gateway answers chat, and nobody has chatted since it started")
        body = {"message": "hola", "session_id": "s"}
        async with aiohttp.ClientSession() as client:
            url = f"http://{town.flags['listen']}/operator/api/chat"
            async with client.post(url, json=body, headers={"X-VX11-Token": TOKEN}) as answer:
                assert (await answer.json())["degraded"] is True
        found = await town.examine("running.degraded")
        found.says("running.degraded", "ok", "of 1 observed: 1 degraded; 0 late")


async def test_an_error_instead_of_a_local_answer_is_a_fault_with_its_reason(tmp_path):
    policy = f"{POLICY}fallback: {{local: error}}\n"
    async with deployment(tmp_path, "switch=500", "madre=500", policy=policy) as town:
        found = await town.examine("chat.sidecar", "running.degraded")
        assert found.code == 1
        found.says("chat.sidecar", "fail", "answers 503 (failure)", "nobody answered this chat", "look at its log")
        found = await town.examine("running.degraded")
    found.says(
        "running.degraded", "fail", "nobody answers, because of failure", "switch: It could not", "see chat.switch"
    )


async def test_a_gateway_that_fails_or_is_of_another_version_is_told_from_one_that_refuses_us(tmp_path):
    async with deployment(tmp_path, "gateway=500", running=False) as town:
        found = await town.examine("gateway.health", "token.gateway")
    assert found.code == 1
    for check in ("gateway.health", "token.gateway"):
        found.says(check, "fail", "answers 500", "fails on its own", "look at its log")
    other = answers(module="tentaculo_link", otherwise=web.json_response({"detail": "Not Found"}, status=404))
    async with serving(other) as gateway, deployment(tmp_path, gateway=gateway, running=False) as town:
        found = await town.examine("gateway.health", "token.gateway")
    assert found.code == 0
    found.says("token.gateway", "warn", "does not know /vx11/circuit-breaker/status", "another version", "by hand")


async def test_a_draining_sidecar_is_not_ready(tmp_path):
    async with deployment(tmp_path) as town:
        town.sidecar._runtime.status.blocked_by = "draining"
        found = await town.examine("running.ready")
    assert found.code == 1
    found.says("running.ready", "fail", "is not ready: draining", "it is starting, or it drains", "wait a few seconds")


async def test_the_chat_is_looked_for_at_the_sidecar_that_took_it(tmp_path):
    async with deployment(tmp_path) as one, deployment(tmp_path) as other:
        found = await one.examine("chat.found", flags={"admin": other.flags["admin"]})
    assert found.code == 1
    found.says(
        "chat.found", "fail", "does not know the chat doctor-", "not those of one sidecar", "of the same sidecar"
    )
