"""What a candidate would have made of the chats, as metrics."""

from __future__ import annotations

from prometheus_client import generate_latest

from sidecar.core.comparison import ENDINGS, Compared, Result, Why
from sidecar.core.fact import ReloadEnded
from sidecar.core.shadow import Beside
from sidecar.edge.outlets.telemetry import Telemetry


def told(result, active, candidate, why=None, seconds=None):
    return Compared(1.0, 1, "c", result, active, candidate, why, seconds)


def read(telemetry, name, **labels):
    return telemetry.registry.get_sample_value(f"vx11_sidecar_shadow_{name}", labels)


def test_each_comparison_is_counted_by_what_is_known_of_it():
    telemetry = Telemetry(lambda: 0.0)
    for each in (
        told(Result.AGREES, "primary", "primary", seconds=0.0),
        told(Result.DIFFERS, "primary", "local", seconds=-1.5),
        told(Result.DIFFERS, "fallback", "fallback", seconds=0.2),
        told(Result.DIFFERS, "client_gone", "local"),
        told(Result.NOT_PRIMARY, "primary", "not_primary", Why.NOT_ASKED),
        told(Result.NOT_PRIMARY, "fallback", "not_primary", Why.OTHER_MOMENT),
        told(Result.UNDECIDED, "primary", None, Why.CUT_OFF),
        told(Result.UNDECIDED, None, None, Why.CROWDED),
    ):
        telemetry.compared(each)
    assert {result: read(telemetry, "calls_total", result=result) for result in Result} == {
        "agrees": 1,
        "differs": 3,
        "not_primary": 2,
        "undecided": 2,
    }
    pairs = {
        (active, candidate): count
        for active in ENDINGS
        for candidate in (*ENDINGS, "not_primary")
        if (count := read(telemetry, "differences_total", active=active, candidate=candidate))
    }
    assert pairs == {
        ("primary", "local"): 1,
        ("fallback", "fallback"): 1,
        ("client_gone", "local"): 1,
        ("primary", "not_primary"): 1,
    }
    assert {
        why: read(telemetry, "undecided_total", why=why) for why in Why if read(telemetry, "undecided_total", why=why)
    } == {
        "not_asked": 1,
        "other_moment": 1,
        "cut_off": 1,
        "crowded": 1,
    }
    for direction, seconds in (("earlier", 1.5), ("later", 0.2)):
        assert read(telemetry, "shift_seconds_count", direction=direction) == 1
        assert read(telemetry, "shift_seconds_sum", direction=direction) == seconds


def test_the_candidate_is_shown_while_there_is_one():
    telemetry = Telemetry(lambda: 0.0)
    assert read(telemetry, "running") == 0
    assert b"shadow_policy_info{" not in generate_latest(telemetry.registry)
    telemetry.watch_shadow(lambda: Beside("c1", "candidate.yaml", {"switch": "half_open"}))
    assert read(telemetry, "running") == 1
    assert read(telemetry, "policy_info", revision="c1", source="candidate.yaml") == 1
    assert read(telemetry, "breaker_state", target="switch", state="half_open") == 1
    assert read(telemetry, "breaker_state", target="switch", state="closed") == 0
    assert read(telemetry, "breaker_state", target="madre", state="closed") is None


def test_a_candidate_that_cannot_be_used_is_said():
    telemetry = Telemetry(lambda: 0.0)
    assert read(telemetry, "last_reload_successful") == 1
    for result, value in (("failed", 0), ("changed", 1), ("failed", 0), ("unchanged", 1)):
        telemetry.candidate_reloaded(ReloadEnded(1.0, "file", result))
        assert read(telemetry, "last_reload_successful") == value
