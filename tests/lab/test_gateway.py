"""The gateway apart from chat and streams: tokens, CORS, state, pages, what is public."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.lab.cors import ORIGINS
from sidecar.lab.town import Lab
from tests.lab.conftest import Client

GUARDED = [
    ("POST", "/operator/api/chat"),
    ("POST", "/operator/api/chat/commands"),
    ("POST", "/operator/chat"),
    ("POST", "/operator/chat/ask"),
    ("GET", "/operator/session/x"),
    ("GET", "/operator/power/state"),
    ("GET", "/operator/api/chat/window/status"),
    ("GET", "/operator/api/window/status"),
    ("GET", "/vx11/circuit-breaker/status"),
]
PUBLIC = [
    "/health",
    "/metrics",
    "/operator/api/status",
    "/operator/api/modules",
    "/operator/api/v1/chat/window/status",
    "/debug/valid-tokens",
    "/debug/token-info",
    "/operator/ui/",
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_tokens(lab: Lab, http: Client, method: str, path: str) -> None:
    for token, status, error in ((None, 401, "auth_required"), ("", 401, "auth_required"), ("wrong", 403, "forbidden")):
        answer = await http.ask(method, lab.gateway_url + path, token=token, json={"message": "x"})
        assert (answer.status, answer.json) == (status, {"error": error, "status_code": status})
        assert "www-authenticate" not in answer.headers


async def test_neither_bearer_nor_query_count_and_of_two_tokens_the_first(lab: Lab, http: Client) -> None:
    url = lab.gateway_url + "/operator/api/chat"
    bearer = {"Authorization": f"Bearer {lab.token}"}
    assert (await http.post(url, {"message": "x"}, token=None, headers=bearer)).status == 401
    assert (await http.post(f"{url}?token={lab.token}", {"message": "x"}, token=None)).status == 401
    two = [("x-vx11-token", "wrong"), ("x-vx11-token", lab.token)]
    async with http.session.post(url, json={"message": "x"}, headers=two) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("path", PUBLIC)
async def test_public(lab: Lab, http: Client, path: str) -> None:
    assert (await http.get(lab.gateway_url + path, token=None)).status == 200


async def test_health_and_the_tokens_it_gives_away(lab: Lab, http: Client) -> None:
    answer = await http.get(lab.gateway_url + "/health", token=None)
    assert answer.text == '{"status":"ok","module":"tentaculo_link","version":"7.0"}'
    assert answer.headers["server"] == "uvicorn"
    assert lab.token in (await http.get(lab.gateway_url + "/debug/valid-tokens", token=None)).text


async def test_metrics_say_nothing_about_chat(lab: Lab, http: Client) -> None:
    await http.post(lab.gateway_url + "/operator/api/chat", {"message": "x"})
    answer = await http.get(lab.gateway_url + "/metrics", token=None)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8; charset=utf-8"
    assert "cache_miss_total 0" in answer.text
    assert "vx11_uptime_seconds " in answer.text


def test_twelve_origins() -> None:
    assert len(ORIGINS) == 12


async def preflight(lab: Lab, http: Client, origin: str) -> Any:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-vx11-token",
    }
    return await http.ask("OPTIONS", lab.gateway_url + "/operator/api/chat", token=None, headers=headers)


async def test_preflight(lab: Lab, http: Client) -> None:
    answer = await preflight(lab, http, "http://localhost:5173")
    assert (answer.status, answer.text) == (200, "OK")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-max-age"] == "600"
    assert answer.headers["access-control-allow-headers"] == "content-type,x-vx11-token"
    refused = await preflight(lab, http, "http://evil.test")
    assert (refused.status, refused.text) == (400, "Disallowed CORS origin")


@pytest.mark.parametrize("token", ["vx11-local-token", "wrong"])
async def test_answers_carry_cors_for_known_origins_only(lab: Lab, http: Client, token: str) -> None:
    url = lab.gateway_url + "/operator/api/chat"
    origin = {"Origin": "http://127.0.0.1:8020"}
    known = await http.post(url, {"message": "x"}, token=token, headers=origin)
    assert known.headers["access-control-allow-origin"] == "http://127.0.0.1:8020"
    stranger = await http.post(url, {"message": "x"}, token=token, headers={"Origin": "http://evil.test"})
    assert stranger.status == known.status
    assert "access-control-allow-origin" not in stranger.headers


async def test_power_state_is_madres_and_200_without_her(lab: Lab, http: Client) -> None:
    url = lab.gateway_url + "/operator/power/state"
    assert (await http.get(url)).json["policy"] == "solo_madre"
    await lab.fault("madre", "refuse")
    answer = await http.get(url)
    assert (answer.status, answer.json["status"], answer.json["module"]) == (200, "service_offline", "madre")


async def test_window_status(lab: Lab, http: Client) -> None:
    chat, window = lab.gateway_url + "/operator/api/chat/window/status", lab.gateway_url + "/operator/api/window/status"
    assert (await http.get(chat)).json["status"] == "none"
    assert (await http.get(window)).json["mode"] == "solo_madre"
    await http.post(lab.madre_url + "/madre/power/window/open", {"services": ["switch"], "ttl_sec": 3600})
    opened = (await http.get(chat)).json
    assert (opened["status"], opened["mode"]) == ("open", "windowed")
    assert "switch" in opened["active_services"]
    assert (await http.get(window)).json["mode"] == "window_active"
    await lab.fault("madre", "refuse")
    down = (await http.get(chat)).json
    assert (down["status"], down["mode"], down["active_services"]) == (None, None, [])
    assert (await http.get(window)).json["mode"] == "solo_madre"  # made up
    assert (await http.get(lab.gateway_url + "/operator/api/v1/chat/window/status")).json["mode"] == "full"


async def test_the_page(lab: Lab, http: Client) -> None:
    to_page = await http.get(lab.gateway_url + "/operator")
    assert (to_page.status, to_page.headers["location"]) == (302, "/operator/ui/")
    page = await http.get(lab.gateway_url + "/operator/ui/", headers={"Range": "bytes=0-9"})
    assert page.status == 200
    assert "<title>VX11 lab chat</title>" in page.text
    tag = page.headers["etag"]
    assert not tag.startswith('"')
    again = await http.get(lab.gateway_url + "/operator/ui/", headers={"If-None-Match": tag})
    assert (again.status, again.text) == (304, "")
    head = await http.ask("HEAD", lab.gateway_url + "/operator/ui/")
    assert (head.status, head.headers["content-length"]) == (200, str(len(page.text)))
    assert (await http.get(lab.gateway_url + "/operator/ui/nothing")).json == {"detail": "Not Found"}


async def test_faults(lab: Lab, http: Client) -> None:
    await lab.fault("gateway", "500")
    answer = await http.get(lab.gateway_url + "/health")
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    await lab.clear("gateway")
    await lab.fault("gateway", "slow:1")
    assert (await http.get(lab.gateway_url + "/health")).status == 200
