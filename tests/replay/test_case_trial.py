"""A case over seeds: it holds only in all of them; a failure names the first seed that shows it."""

from __future__ import annotations

from sidecar.core.draw import draw
from sidecar.policy.load import parse
from sidecar.replay.cases.document import read_cases
from sidecar.replay.cases.trial import try_case

SEEDS = range(1, 21)


def tried(tmp_path, case, seeds=SEEDS, policy=""):
    (tmp_path / "p.yaml").write_text(policy)
    file = tmp_path / "c.yaml"
    file.write_text(f"policy: p.yaml\ncases:\n  - name: n\n{case}")
    cases = read_cases(file)
    return try_case(cases.cases[0], cases.loaded, seeds)


WAIT = """\
    given: {switch: [refuse, ok]}
    expect:
      - {chats: 1, within: 64ms}
      - {chats: 1, provider: switch}
"""  # 1 ms refused, a wait of 0 to 25 ms, 50 ms for the answer


def test_what_holds_with_every_seed_holds(tmp_path):
    trial = tried(tmp_path, WAIT.replace("64ms", "76ms"))
    assert trial.held
    assert trial.missed == ()


def test_what_fails_with_some_seeds_fails_and_they_are_those_of_the_draw(tmp_path):
    trial = tried(tmp_path, WAIT)
    failing = [seed for seed in SEEDS if 0.051 + 0.025 * draw(seed, 1, 1) > 0.064]
    assert 0 < len(failing) < len(SEEDS)
    [missed] = trial.missed
    assert not trial.held
    assert (missed.seed, missed.seeds, missed.more) == (failing[0], len(failing), 0)
    assert missed.place[1:] == (6, 9)
    assert tried(tmp_path, WAIT, [seed for seed in SEEDS if seed not in failing]).held
    assert tried(tmp_path, WAIT, failing[-1:]).missed[0].seed == failing[-1]


def test_each_expectation_that_fails_is_said_in_the_order_of_the_file(tmp_path):
    trial = tried(
        tmp_path,
        "    chats: {count: 3, every: 1s}\n    expect:\n"
        "      - {chats: all, provider: madre}\n      - {chats: 2, provider: switch}\n      - {chats: last, provider: local}\n",
    )
    assert [(missed.place.line, missed.seed, missed.seeds, missed.more) for missed in trial.missed] == [
        (6, 1, 20, 2),
        (8, 1, 20, 0),
    ]


def test_an_override_that_came_to_nothing_fails_the_case_at_its_place(tmp_path):
    trial = tried(
        tmp_path,
        "    events: [{at: 1s, override: {target: madre, kind: off}}]\n    expect: [{chats: 1, provider: switch}]\n",
        policy="targets: [{name: switch}]",
    )
    [missed] = trial.missed
    assert missed.place[1:] == (4, 23)
    assert missed.failure.about == "the override of madre at 1s"


def test_another_policy_is_another_trial(tmp_path):
    (tmp_path / "p.yaml").write_text("")
    file = tmp_path / "c.yaml"
    file.write_text("policy: p.yaml\ncases: [{name: n, given: {switch: hang}, expect: [{chats: 1, within: 3.3s}]}]")
    case = read_cases(file).cases[0]
    assert try_case(case, parse("", "p"), SEEDS).held
    assert not try_case(case, parse("deadline: {client: 6s}", "p"), SEEDS).held
