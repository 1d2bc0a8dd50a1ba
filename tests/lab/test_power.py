"""madre's power windows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import TEMPO, Client

CLOSED = {
    "policy": "solo_madre",
    "window_id": None,
    "created_at": None,
    "deadline": None,
    "ttl_remaining_sec": None,
    "active_services": ["madre", "redis"],
}


async def opened(lab: Lab, http: Client, **more: Any) -> Any:
    return await http.post(
        lab.madre_url + "/madre/power/window/open", {"services": ["switch", "hermes"], "ttl_sec": 600, **more}
    )


async def state(lab: Lab, http: Client) -> Any:
    return (await http.get(lab.madre_url + "/madre/power/state")).json


@pytest.mark.parametrize(
    ("token", "status", "detail"),
    [
        (None, 401, "auth_required: X-VX11-Token header missing"),
        ("wrong", 403, "forbidden: invalid token"),
    ],
)
async def test_tokens(lab: Lab, http: Client, token: str | None, status: int, detail: str) -> None:
    answer = await http.get(lab.madre_url + "/madre/power/state", token=token)
    assert (answer.status, answer.json) == (status, {"detail": detail})


async def test_without_a_window_the_switch_is_off_by_policy(lab: Lab, http: Client) -> None:
    assert await state(lab, http) == CLOSED


async def test_a_window(lab: Lab, http: Client) -> None:
    answer = await opened(lab, http)
    assert answer.status == 200
    assert set(answer.json) == {
        "window_id", "created_at", "deadline", "services_started", "state", "ttl_remaining_sec",
    }  # fmt: skip
    assert (answer.json["state"], answer.json["services_started"]) == ("open", ["switch", "hermes"])
    assert answer.json["deadline"].endswith("+00:00Z")  # malformed, as seen
    now = await state(lab, http)
    assert (now["policy"], now["window_id"]) == ("windowed", answer.json["window_id"])
    assert "switch" in now["active_services"]
    assert isinstance(now["ttl_remaining_sec"], int)
    assert (await opened(lab, http)).status == 409
    assert (await http.post(lab.madre_url + "/madre/power/window/close")).status == 200
    assert await state(lab, http) == CLOSED
    assert (await http.post(lab.madre_url + "/madre/power/window/close")).status == 404


async def test_a_window_ends_by_itself(lab: Lab, http: Client) -> None:
    await opened(lab, http, ttl_sec=8)
    assert (await state(lab, http))["policy"] == "windowed"
    await asyncio.sleep(8.5 * TEMPO)
    assert await state(lab, http) == CLOSED


async def test_a_held_window_has_no_end(lab: Lab, http: Client) -> None:
    await opened(lab, http, mode="hold")
    now = await state(lab, http)
    assert (now["deadline"], now["ttl_remaining_sec"], now["policy"]) == (None, None, "windowed")


@pytest.mark.parametrize("more", [{"services": ["toaster"]}, {"mode": "forever"}, {"services": 7}])
async def test_what_cannot_be_opened(lab: Lab, http: Client, more: Any) -> None:
    assert (await opened(lab, http, **more)).status == 422


async def test_policy_and_reality_are_independent(lab: Lab, http: Client) -> None:
    assert "switch" not in (await state(lab, http))["active_services"]
    answer = await http.post(lab.switch_url + "/switch/chat", {"messages": [{"role": "user", "content": "hola"}]})
    assert answer.json["status"] == "ok"
