"""Scenario files: read whole, or every mistake with its place."""

from __future__ import annotations

import pytest

from sidecar.policy.problem import PolicyError
from sidecar.replay.worlds.disturbed import Brownout, Flood, Outage, When
from sidecar.replay.worlds.scenario import read_scenario

WHOLE = """\
capacity: {switch: 1, madre: unlimited}
disturbances:
  - {target: switch, from: 10m, for: 5m, outage: hang}
  - {target: switch, from: 0s, for: 10s, every: 20s, outage: refuse}
  - {target: madre, from: 1h, for: 30m, brownout: {times: 3, plus: 500ms, failing: 20%}}
  - {target: madre, from: 0, for: 1s, outage: 503}
  - {from: 2h, for: 1m, chats: 4}
"""


def read(path, text):
    file = path / "scenario.yaml"
    file.write_text(text)
    return read_scenario(file)


def test_everything_that_can_be_said(tmp_path):
    scenario = read(tmp_path, WHOLE)
    assert scenario.servers == {"switch": 1, "madre": None}
    assert scenario.disturbances == (
        Outage("switch", When(600.0, 300.0), "hang"),
        Outage("switch", When(0.0, 10.0, 20.0), "refuse"),
        Brownout("madre", When(3600.0, 1800.0), 3.0, 0.5, 0.2),
        Outage("madre", When(0.0, 1.0), "503"),
    )
    assert scenario.floods == (Flood(When(7200.0, 60.0), 4),)
    assert scenario.name == str(tmp_path / "scenario.yaml")


def test_nothing_need_be_said(tmp_path):
    assert read(tmp_path, "").disturbances == ()
    assert read(tmp_path, "capacity: {switch: auto}").servers == {"switch": "auto"}


ONE = "disturbances:\n  - {target: switch, from: 0s, for: 1s, outage: hang}\n"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("disturbance: []\n", "1:1", "did you mean disturbances?"),
        ("capacity: {swtich: 1}\n", "1:12", "did you mean switch?"),
        ("capacity: {switch: 0}\n", "1:20", "must be auto, unlimited or a whole number from 1 to 1000; found 0"),
        ("capacity: {switch: many}\n", "1:20", "must be auto, unlimited"),
        ("capacity: [1]\n", "1:11", "must be a mapping"),
        ("disturbances: {}\n", "1:15", "must be a list"),
        (ONE.replace("switch", "gateway"), "2:14", "must be switch or madre; found gateway"),
        (ONE.replace("outage: hang", "outage: explode"), "2:49", "must be refuse, hang, reset, error or 503"),
        (ONE.replace("for: 1s", "for: 1"), "2:37", "must be a duration"),
        (ONE.replace("for: 1s, ", ""), "2:5", "disturbances[0].for: is missing"),
        (ONE.replace("target: switch, ", ""), "2:5", "disturbances[0].target: is missing: write switch or madre"),
        (ONE.replace(", outage: hang", ""), "2:5", "must be one disturbance: outage, brownout or chats"),
        (ONE.replace("outage: hang", "outage: hang, chats: 2"), "2:5", "must be one disturbance"),
        (ONE.replace("for: 1s", "for: 1s, every: 1s"), "2:48", "must be longer than for"),
        (ONE.replace("outage: hang", "brownout: {}"), "2:51", "must state times, plus or failing"),
        (ONE.replace("outage: hang", "brownout: {times: 0}"), "2:59", "must be a number from 0.01 to 1000"),
        (ONE.replace("outage: hang", "brownout: {times: true}"), "2:59", "must be a number from 0.01 to 1000"),
        (ONE.replace("outage: hang", "brownout: {failing: 20}"), "2:61", "must be a share"),
        (ONE.replace("outage: hang", "chats: 2"), "2:14", "chats come to no target"),
        (
            ONE.replace("target: switch, ", "").replace("outage: hang", "chats: 1"),
            "2:32",
            "must be a whole number from 2",
        ),
        ("a: &b 1\n", "1:4", "anchors"),
        ("]\n", "1:1", ""),
    ],
)
def test_a_mistake_has_a_place_and_says_what_would_be_right(tmp_path, text, place, words):
    with pytest.raises(PolicyError) as raised:
        read(tmp_path, text)
    assert f"{tmp_path}/scenario.yaml:{place}: " in str(raised.value)
    assert words in str(raised.value)


def test_all_mistakes_are_said_at_once(tmp_path):
    with pytest.raises(PolicyError) as raised:
        read(tmp_path, "capacity: {switch: 0}\n" + ONE.replace("hang", "explode"))
    assert len(raised.value.problems) == 2


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        read_scenario(tmp_path / "no.yaml")
