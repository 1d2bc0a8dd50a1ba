"""The control port."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import Client


async def test_state(lab: Lab, http: Client) -> None:
    answer = await http.get(lab.control_url + "/", token=None)
    assert answer.json["services"]["switch"]["url"] == lab.switch_url
    assert answer.json["services"]["switch"]["faults"] == []
    assert answer.json["power"]["policy"] == "solo_madre"
    assert "hang" in answer.json["known_faults"]["switch"]
    assert "lognormal:MEDIAN:SIGMA" in answer.json["known_faults"]["switch"]
    assert answer.json["seed"] == lab.seed
    assert lab.token not in answer.text


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"fault": "switch=hang"}},
        {"data": {"fault": "switch=hang"}},
        {"data": b'{"fault":"switch=hang"}', "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    ],
)
async def test_a_fault_as_json_or_form(lab: Lab, http: Client, sent: Any) -> None:
    answer = await http.ask("POST", lab.control_url + "/fault", **sent)
    assert answer.status == 200
    assert answer.json["services"]["switch"]["faults"] == ["hang"]
    assert lab.faults()["switch"] == ["hang"]


async def test_a_fault_by_path_and_back(lab: Lab, http: Client) -> None:
    assert (await http.post(lab.control_url + "/fault/switch/slow:1.5")).status == 200
    assert (await http.post(lab.control_url + "/fault/switch/refuse")).status == 200
    assert (await http.post(lab.control_url + "/fault/switch/lognormal:1:0.5")).status == 200
    assert (await http.post(lab.control_url + "/fault/madre/detached")).status == 200
    assert lab.faults() == {
        "gateway": [],
        "switch": ["refuse", "slow:1.5", "lognormal:1:0.5"],
        "madre": ["detached"],
    }
    assert (await http.ask("DELETE", lab.control_url + "/fault/switch")).status == 200
    assert lab.faults() == {"gateway": [], "switch": [], "madre": ["detached"]}
    assert (await http.ask("DELETE", lab.control_url + "/fault")).status == 200
    assert lab.faults()["madre"] == []
    assert (await http.get(lab.switch_url + "/health")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/fault", {"json": {"fault": "switch=sulk"}}),
        ("POST", "/fault", {"json": {"fault": 7}}),
        ("POST", "/fault", {"json": ["switch=hang"]}),
        ("POST", "/fault", {"data": b"\xff"}),
        ("POST", "/fault", {}),
        ("POST", "/fault/hermes/hang", {}),
        ("POST", "/fault/switch/slow", {}),
        ("POST", "/fault/switch/lognormal:1", {}),
        ("POST", "/fault/switch/failing:2", {}),
        ("DELETE", "/fault/hermes", {}),
    ],
)
async def test_what_is_not_understood(lab: Lab, http: Client, method: str, path: str, sent: Any) -> None:
    answer = await http.ask(method, lab.control_url + path, **sent)
    assert answer.status == 400
    assert answer.json["error"]
    assert "hang" in answer.json["faults"]["switch"]
    assert lab.faults()["switch"] == []


async def test_what_would_have_been_executed(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "execute")
    await http.post(lab.switch_url + "/switch/chat", {"messages": [{"role": "user", "content": "echo hi"}]})
    assert (await http.get(lab.control_url + "/executed")).json["executed"] == ["echo hi"]


async def test_elsewhere(lab: Lab, http: Client) -> None:
    assert (await http.get(lab.control_url + "/nothing")).status == 404
    assert (await http.get(lab.control_url + "/fault")).status == 405
