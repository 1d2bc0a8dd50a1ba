"""What several workers say, as one: amounts added, the worst told whole, differences named."""

from __future__ import annotations

import pytest
from office import BASE, standing

from sidecar.edge.admin import sums


def breaker(state="closed", **other):
    return {"state": state, "calls": 7, "failure_rate": [0.25, 0.5]} | other


def target(state="closed", **other):
    return {
        "breaker": breaker(state),
        "limiter": {"in_flight": [1, 16], "queued": [0, 64]},
        "retry_budget": [2.5, 10],
        "latency_p95_seconds": 0.5,
        "reserve_seconds": 1.0,
        "dormant": False,
        "off": False,
        "health": None,
    } | other


def view(**other):
    """What one worker says."""
    return {
        "status": "serving",
        "answering": None,
        "targets": {"switch": target()},
        "breaker_moves": {},
        "policy": {"revision": "r1"},
        "notes": [],
        "policy_problems": [],
        "shadow": None,
        "observed": None,
        "overrides": [],
        "idempotency": None,
        "shared": None,
        "chaos": None,
        "connections": 3,
        "under_way": {"chat": 1, "relay": 2, "tunnel": 0},
        "gateway": "g:1",
        "destinations": {"switch": "http://s:1"},
        "log_level": "info",
        "version": "1",
        "pid": 11,
        "up_seconds": 5.0,
    } | other


def whole(*views, silent=(), absent=0):
    return sums.state(dict(enumerate(views)), silent, absent)


def answer(ago, *, provider="switch", degraded=False, lasts=None):
    return {
        "seconds_ago": ago,
        "provider": provider,
        "degraded": degraded,
        "degraded_for_seconds": lasts,
        "means": None,
    }


async def test_the_whole_is_told_in_the_form_in_which_one_process_tells_it(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(BASE + "idempotency: {mode: 'on'}\n")
    async with standing(path) as office:
        await office.chat()
        one = await office.state()
    told = sums.state({4: one}, (), 0)
    assert told.keys() - {"workers"} == one.keys() - {"pid"}
    same = one.keys() - {"pid", "answering"}
    assert {name: told[name] for name in same} == {name: one[name] for name in same}
    assert [worker["pid"] for worker in told["workers"]] == [one["pid"]]


def test_amounts_are_added():
    told = whole(
        view(),
        view(connections=4, idempotency={"running": 1, "kept": 2, "bytes": 30}),
        view(idempotency={"running": 0, "kept": 5, "bytes": 7}, up_seconds=9.0),
    )
    assert (told["connections"], told["under_way"]) == (10, {"chat": 3, "relay": 6, "tunnel": 0})
    assert told["idempotency"] == {"running": 1, "kept": 7, "bytes": 37}
    assert told["up_seconds"] == 9.0
    assert told["targets"]["switch"]["limiter"] == {"in_flight": [3, 48], "queued": [0, 192]}
    assert told["targets"]["switch"]["retry_budget"] == [7.5, 30]


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        (["closed", "closed"], "closed"),
        (["closed", "half_open"], "half_open"),
        (["half_open", "open", "closed"], "open"),
        (["forced_closed", "closed"], "forced_closed"),
        (["forced_open", "half_open"], "forced_open"),
    ],
)
def test_of_breakers_the_one_furthest_from_closed_is_told_with_its_own_figures(states, worst):
    views = [view(targets={"switch": target(state, breaker=breaker(state, calls=n))}) for n, state in enumerate(states)]
    told = whole(*views)
    assert told["targets"]["switch"]["breaker"] == breaker(worst, calls=states.index(worst))
    assert [each["breakers"]["switch"] for each in told["workers"]] == states
    differing = [note for note in told["notes"] if "breakers of switch differ" in note]
    assert len(differing) == (len(set(states)) > 1)


def test_the_differing_breakers_are_counted_the_worst_first():
    told = whole(*(view(targets={"switch": target(state)}) for state in ("closed", "open", "closed")))
    assert told["notes"] == ["the breakers of switch differ between workers: 1 open, 2 closed"]


def test_the_slowest_the_poorest_and_the_lowest_limit_are_told():
    sick = target(
        latency_p95_seconds=2.0,
        reserve_seconds=None,
        dormant=True,
        health={"state": "down"},
        limiter={
            "in_flight": [4, 4],
            "queued": [1, 64],
            "adaptive": {"limit": 4.0},
            "slow_start_seconds_left": 3.0,
        },
    )
    well = target(latency_p95_seconds=None, health={"state": "up"})
    well["limiter"] = well["limiter"] | {"adaptive": {"limit": 9.0}, "slow_start_seconds_left": 1.0}
    found = whole(view(targets={"switch": well}), view(targets={"switch": sick}))["targets"]["switch"]
    assert found["latency_p95_seconds"] == 2.0
    assert found["reserve_seconds"] == 1.0
    assert (found["dormant"], found["off"]) == (True, False)
    assert found["health"] == {"state": "down"}
    assert found["limiter"]["adaptive"] == {"limit": 4.0}
    assert found["limiter"]["slow_start_seconds_left"] == 3.0


@pytest.mark.parametrize(
    ("answers", "latest", "lasts"),
    [
        ([None, None], None, None),
        ([answer(5.0), None], 5.0, None),
        ([answer(5.0), answer(2.0)], 2.0, None),
        ([answer(5.0, degraded=True, lasts=60.0), answer(2.0)], 2.0, None),
        ([answer(1.0, degraded=True, lasts=60.0), answer(2.0, degraded=True, lasts=9.0)], 1.0, 9.0),
        ([answer(1.0, degraded=True, lasts=60.0), answer(2.0)], 1.0, 2.0),
    ],
    ids=["nobody", "one", "latest", "good again", "both degraded", "good just now"],
)
def test_who_answers_is_whoever_answered_last(answers, latest, lasts):
    told = whole(*(view(answering=each) for each in answers))["answering"]
    assert told is None if latest is None else (told["seconds_ago"], told["degraded_for_seconds"]) == (latest, lasts)


def test_the_latest_move_the_longest_override_and_the_store_that_is_away_are_told():
    def moved(ago):
        return {"after": "open", "seconds_ago": ago}

    def held(left):
        return {"target": "switch", "kind": "off", "seconds_left": left}

    told = whole(
        view(breaker_moves={"switch": moved(9.0)}, overrides=[held(30.0)], shared={"store": "up", "why": None}),
        view(breaker_moves={"switch": moved(3.0), "madre": moved(4.0)}, overrides=[held(31.0)], shared={"store": "away", "why": "timeout"}),
        view(),
    )  # fmt: skip
    assert told["breaker_moves"] == {"switch": moved(3.0), "madre": moved(4.0)}
    assert told["overrides"] == [held(31.0)]
    assert told["shared"] == {"store": "away", "why": "timeout"}


def test_one_that_drains_or_breaks_on_purpose_shows_in_the_whole():
    chaos = {"active": True, "rules": []}
    told = whole(view(chaos={"active": False, "rules": []}), view(status="draining", chaos=chaos))
    assert (told["status"], told["chaos"]) == ("draining", chaos)


def test_notes_are_said_once_after_those_about_workers():
    told = whole(
        view(notes=["a", "b"]),
        view(notes=["b", "c"], policy={"revision": "r2"}),
        silent=(2,),
        absent=1,
    )
    assert told["notes"] == [
        "worker 2 does not answer its colleagues: the figures are without it",
        "1 of 4 workers do not serve now; one that ended is started again",
        "workers do not have the same policy in force: POST /reload, or look for a file that only some can read",
        "a",
        "b",
        "c",
    ]


def test_what_was_observed_and_what_a_candidate_would_have_done_are_added():
    def observed(late, p95):
        return {
            "chats": 2, "late": late, "would": {"pass": 2}, "gateway": {"answered": 1, "degraded": 1}, "differences": {"for_the_ladder": 1},
            "lookalikes": {}, "p50_seconds": None, "p95_seconds": p95,
        }  # fmt: skip

    def shadow(agrees, ago, **other):
        return {
            "revision": "c", "calls": 3, "agrees": agrees, "not_primary": 0, "differs": {"switch": {"madre": 3 - agrees}}, "undecided": {"w": 1},
            "seconds_earlier": 0.5, "seconds_later": 0.0, "examples": [{"seconds_ago": ago}], "under_way": 0, "targets": {"switch": target()},
            "fault": None, "problems": [],
        } | other  # fmt: skip

    told = whole(
        view(observed=observed(1, 0.5), shadow=shadow(3, 9.0)),
        view(observed=observed(0, None), shadow=shadow(1, 2.0)),
        view(),
    )
    assert told["observed"]["chats"] == 4
    assert told["observed"]["gateway"] == {"answered": 2, "degraded": 2}
    assert (told["observed"]["late"], told["observed"]["p95_seconds"], told["observed"]["p50_seconds"]) == (
        1,
        0.5,
        None,
    )
    assert (told["shadow"]["calls"], told["shadow"]["agrees"], told["shadow"]["seconds_earlier"]) == (6, 4, 1.0)
    assert told["shadow"]["differs"] == {"switch": {"madre": 2}}
    assert told["shadow"]["undecided"] == {"w": 2}
    assert told["shadow"]["examples"] == [{"seconds_ago": 2.0}]
    ended = {"revision": "c", "source": "s", "fault": "KeyError", "problems": []}
    assert whole(view(shadow=shadow(3, 9.0)), view(shadow=ended))["shadow"] == ended


def test_usage_is_added_by_row():
    def row(requests, first, last, **by):
        return {"requests": requests, "first_seen": first, "last_seen": last, "by": by}

    def used(since, routes, unused):
        return {"since": since, "routes": routes, "clients": {}, "unused": unused}

    told = sums.usage(
        [
            used("2026-01-02", {"/a": row(1, "t3", "t4", curl=1)}, ["/b", "/c"]),
            used("2026-01-01", {"/b": row(5, "t5", "t5", curl=5), "/a": row(2, "t1", "t2", web=2)}, ["/c"]),
        ]
    )
    assert told["since"] == "2026-01-01"
    assert list(told["routes"]) == ["/b", "/a"]
    assert told["routes"]["/a"] == row(3, "t1", "t4", curl=1, web=2)
    assert told["unused"] == ["/c"]


def test_calls_are_in_the_order_of_time_with_their_worker():
    def line(call, ago):
        return {"call": call, "seconds_ago": ago}

    many = [line(n, n + 0.5) for n in range(20)]
    told = sums.calls({0: {"last": many, "degraded": []}, 3: {"last": [line(1, 0.2)], "degraded": [line(1, 0.2)]}})
    assert told["last"][:2] == [line(1, 0.2) | {"worker": 3}, line(0, 0.5) | {"worker": 0}]
    assert len(told["last"]) == 20
    assert told["degraded"] == [line(1, 0.2) | {"worker": 3}]
