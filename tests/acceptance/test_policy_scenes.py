"""Each feature of a policy in the lab, off and on: the short form of ``benchmarks.policies``, and that its claims can be broken.

The short form plays each scene once with few chats, and asks only for what does not depend on how fast the machine is.
"""

from __future__ import annotations

import pytest

from benchmarks.policies import __main__ as command
from benchmarks.policies import play as module
from benchmarks.policies import report
from benchmarks.policies.play import Played, play, play_briefly
from benchmarks.policies.scene import Claim, Scene
from benchmarks.policies.scenes import SCENES
from benchmarks.policies.scrape import Scrape
from sidecar.lab.luck import new_seed
from sidecar.policy.load import parse


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)
def test_what_a_scene_claims_of_counts_and_shares_holds(figures, scene):
    seed = new_seed()
    played = play_briefly(scene, seed)
    shown = "\n".join(report.table(played))
    assert [claim.words for claim in played.broken(timed=False)] == [], f"seed {seed}\n{shown}"
    figures.append(f"{scene.key}, seed {seed}, briefly\n{shown}")


# -- the scenes --------------------------------------------------------------------------------------------------------


def test_each_feature_has_a_scene_in_which_it_helps_and_one_in_which_it_is_held_back():
    features = {scene.feature for scene in SCENES}
    assert sorted(scene.key for scene in SCENES) == sorted(
        f"{feature}.{kind}" for feature in features for kind in ("helps", "guarded")
    )


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)
def test_the_sides_of_a_scene_are_different_policies_and_something_is_asked_that_no_machine_decides(scene):
    policies = [parse(scene.base + text, f"{side}.yaml").policy for side, text in scene.sides.items()]
    assert list(scene.sides)[:2] == ["off", "on"]
    assert all(one != other for number, one in enumerate(policies) for other in policies[:number])
    assert any(not claim.timed for claim in scene.claims)


# -- that they can be missed -------------------------------------------------------------------------------------------


async def nothing(stage):
    raise AssertionError


COUNTED = Claim("on: fewer", lambda it: it["on"]["count"] < it["off"]["count"])
TIMED = Claim("on: sooner", lambda it: it["on"]["p50 ms"] < it["off"]["p50 ms"], timed=True)
SCENE = Scene(
    "made_up", "helps", "a title", "", {"off": "", "on": "mode: off\n"}, (), nothing, (COUNTED, TIMED), "little"
)


def run(off, on):
    """``off`` and ``on`` are each a count and a time."""
    return {side: {"count": count, "p50 ms": time} for side, (count, time) in (("off", off), ("on", on))}


def test_counts_must_hold_with_every_seed_and_times_at_the_median():
    good, late, more = run((2, 50), (1, 40)), run((2, 50), (1, 70)), run((2, 50), (3, 40))
    assert Played(SCENE, (1, 2, 3), (good, late, good)).broken() == []
    assert Played(SCENE, (1, 2, 3), (good, late, late)).broken() == [TIMED]
    assert Played(SCENE, (1, 2, 3), (good, late, late)).broken(timed=False) == []
    assert Played(SCENE, (1, 2, 3), (good, good, more)).broken() == [COUNTED]


def test_a_table_has_the_median_and_least_and_most_where_they_differ():
    shown = list(
        report.lines(Played(SCENE, (1, 2, 3), (run((2, 50), (1, 40)), run((2, 52), (1, 44)), run((2, 51), (3, 70)))))
    )
    assert shown == [
        "## made_up.helps: a title",
        "",
        "- off: nothing beyond what all state",
        "- on: `mode: off`",
        "",
        "|        |          off |           on |",
        "|--------|-------------:|-------------:|",
        "| count  |            2 |    1 (1 … 3) |",
        "| p50 ms | 51 (50 … 52) | 44 (40 … 70) |",
        "",
        "Little.",
        "",
        "- BROKEN: on: fewer",
        "- holds: on: sooner",
    ]


@pytest.mark.parametrize(("found", "code"), [(run((2, 50), (1, 40)), 0), (run((2, 50), (2, 40)), 1)])
def test_the_exit_status_says_whether_a_claim_is_broken(monkeypatch, capsys, found, code):
    monkeypatch.setattr(command, "SCENES", (SCENE,))
    monkeypatch.setattr(module, "run", lambda scene, side, seed: found[side])
    assert command.main(["--seeds", "2", "--seed", "7"]) == code
    assert ("BROKEN" in capsys.readouterr().out) == bool(code)


def test_a_run_that_fails_is_said_and_the_next_scene_is_played(monkeypatch, capsys):
    def each(scene, side, seed):
        if scene.kind == "helps":
            raise RuntimeError("it failed")
        return run((2, 50), (1, 40))[side]

    monkeypatch.setattr(command, "SCENES", (SCENE, SCENE._replace(kind="guarded")))
    monkeypatch.setattr(module, "run", each)
    assert command.main([]) == 1
    said = capsys.readouterr()
    assert "made_up.helps: RuntimeError: it failed" in said.err
    assert "## made_up.guarded" in said.out


def test_sides_take_turns_and_seeds_follow_from_one(monkeypatch):
    heard = []
    monkeypatch.setattr(module, "run", lambda scene, side, seed: run((2, 50), (1, 40))[side])
    seeds = command.seeds_of(7, SCENE, 3)
    play(SCENE, seeds, heard=heard.append)
    assert [words.rpartition(" ")[2] for words in heard] == ["off", "on", "on", "off", "off", "on"]
    assert seeds == command.seeds_of(7, SCENE, 3) != command.seeds_of(8, SCENE, 3)
    assert command.seeds_of(7, SCENE._replace(kind="guarded"), 3) != seeds


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nothing"], "no scene 'nothing'; there are retry_budget, "),
        (["--seeds", "0"], "--seeds 0: must be above 0 and at most 100"),
        (["--seed", "-1"], "--seed -1: must be from 0 to"),
    ],
)
def test_what_cannot_be_done_as_told(argv, words, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(argv)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_scenes_are_listed(capsys):
    assert command.main(["--list"]) == 0
    assert all(f"{scene.key} " in capsys.readouterr().out for scene in SCENES[:1])


def test_a_metric_that_is_not_there_is_no_zero():
    scrape = Scrape('vx11_sidecar_calls_total{target="switch"} 2.0\nvx11_sidecar_calls_total{target="madre"} 3.0\n')
    assert (scrape.counted("calls_total"), scrape.counted("calls_total", target="madre")) == (5.0, 3.0)
    with pytest.raises(LookupError, match="no metric vx11_sidecar_cals_total"):
        scrape.counted("cals_total")
