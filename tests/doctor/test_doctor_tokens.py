"""Tokens that are missing, wrong, open or known to everybody; and none of them ever shown."""

from __future__ import annotations

import canary
import pytest
from doctored import (
    ADMIN,
    LINK,
    POLICY,
    answers,
    deployment,
    serving,
)


async def test_a_wrong_token_is_refused_by_everybody_in_its_own_way(tmp_path):
    async with deployment(tmp_path) as town:
        found = await town.examine("token", "chat", environ={LINK: canary.WRONG})
    assert found.code == 1
    found.says(
        "token.sidecar",
        "fail",
        "answers 403 to our token",
        "started with other tokens",
        "give the doctor the sidecar's environment",
    )
    found.says("token.gateway", "fail", "answers 403 to our token", "expects another token", LINK)
    found.says("token.switch", "fail", "answers 401 to our token", "it says 401 to both", LINK)
    found.says("chat.sidecar", "fail", "answers 403", "started with other tokens", "token.sidecar")
    found.says("chat.found", "skipped", "see chat.sidecar")
    found.says("chat.madre", "ok", "madre answers a chat")  # she asks for none


@pytest.mark.parametrize("sources", ["[bearer]", "[query]", "[query, bearer]", "[query, header]"])
async def test_a_token_is_shown_where_the_policy_looks_for_one(tmp_path, sources):
    async with deployment(tmp_path, policy=f"{POLICY}auth: {{sources: {sources}}}\n") as town:
        found = await town.examine("token.sidecar", "chat.sidecar")
        assert (found.results["token.sidecar"].state, found.results["chat.sidecar"].state) == ("ok", "ok"), found.text
        found = await town.examine("token.sidecar", "chat.sidecar", environ={LINK: canary.WRONG})
    found.says("token.sidecar", "fail", "answers 403 to our token", "other tokens", "give the doctor")
    found.says("chat.sidecar", "fail", "answers 403", "other tokens", "token.sidecar")


@pytest.mark.parametrize(
    ("environ", "state", "words"),
    [
        ({}, "fail", ("no token is configured", "serve does not start", f"set {LINK}")),
        ({f"{LINK}_FILE": "/none"}, "fail", ("/none: cannot be read", "serve does not start", "make it readable")),
        ({"VX11_AUTH_MODE": "off"}, "warn", ("authentication is off", "VX11_AUTH_MODE", "set a token")),
        ({LINK: canary.LAB}, "warn", ("published defaults", "keeps nobody out", "make one up")),
        (
            {"VX11_SIDECAR_TOKENS": canary.TOKEN},
            "warn",
            ("none for the targets", "the switch answers 401", f"set {LINK}"),
        ),
    ],
)
async def test_tokens_that_are_missing_open_or_known_are_said(tmp_path, environ, state, words):
    async with deployment(tmp_path, running=False) as town:
        town.environ = environ
        found = await town.examine("token.present", "settings")
    found.says("token.present", state, *words)
    found.says("settings", "ok", "gateway 127.0.0.1:")
    assert found.code == (state == "fail")


async def test_variables_that_differ_are_named_and_not_quoted(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("token.equal", environ={"API_TOKEN": canary.WRONG, "VX11_TOKEN": canary.TOKEN})
        assert found.code == 0
        found.says("token.equal", "warn", f"API_TOKEN: another token than {LINK}", "different orders", "the same value")
        found = await town.examine("token.equal", environ={"API_TOKEN": canary.TOKEN})
        found.says("token.equal", "ok", f"{LINK}, API_TOKEN: the same")


async def test_a_token_of_clients_that_the_gateway_refuses_is_counted(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("token.gateway", environ={"VX11_SIDECAR_TOKENS": canary.WRONG})
    assert found.code == 0
    found.says("token.gateway", "warn", "refuses 1 of 1 more", "with their own token", "VX11_SIDECAR_TOKENS")


async def test_an_admin_port_for_everybody_without_a_token_is_a_fault(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("token.admin", flags={"admin": "0.0.0.0:0"}, environ={ADMIN: ""})
        assert found.code == 1
        found.says(
            "token.admin", "fail", "reachable from other machines", "/metrics answers whoever comes", f"set {ADMIN}"
        )
        found = await town.examine("token.admin", environ={ADMIN: ""})
        assert found.code == 0
        found.says("token.admin", "warn", "on loopback only", "nothing can be changed", f"set {ADMIN}")
        found = await town.examine("token.admin", flags={"admin": "0.0.0.0:0"})
        found.says("token.admin", "ok", "reachable from other machines")


async def test_a_service_that_repeats_our_token_is_not_quoted(tmp_path):
    async with (
        serving(answers(module=f"\x1b[2J{canary.TOKEN}")) as other,
        deployment(tmp_path, switch=other, running=False) as town,
    ):
        found = await town.examine("switch.health", "chat.switch")
    assert "\x1b" not in found.text
    found.says("switch.health", "fail", "answers as (left out)", "another service", "correct the address")
