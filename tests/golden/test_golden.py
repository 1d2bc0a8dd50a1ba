"""Golden journals: they are decided again as they were, what the shipped policies make of them is what is committed, and a change shows."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import pytest

from sidecar.core.fact import CallBegan
from sidecar.policy.load import Loaded, load, parse
from sidecar.replay.figures.summary import Summary
from sidecar.replay.study import trial
from sidecar.replay.worlds.past import Past

from .__main__ import LARGEST, main
from .again import UNLIMITED, adopted, decided_again, facts_under, recorded, results
from .files import HERE, POLICIES, ROOT, facts_of, journal_of, policy_of, stale, told

each_policy = pytest.mark.parametrize("name", POLICIES)
WHERE_IT_SHOWS = {
    "a healthy switch": "switch HTTP 200 (status ok) → success",
    "a hung switch": "switch timeout → fatal (error timeout",
    "a refusing switch": "switch connect → retryable",
    "a retry": "switch to be asked again in",
    "an error under 200": "switch HTTP 200 (status error) → fatal",
    "an answer that may not be asked for twice": "effects unsafe, retry.only_if_unsent",
    "a queue": "in the queue",
    "a full house": "places in the queue",
    "waiting in vain": "no slot within",
    "a trip": "breaker of switch opens",
    "a refusal": "switch not asked: open",
    "a probe that fails": "probe_failed",
    "a recovery": "breaker of switch closes: recovered",
    "a slow madre": "madre HTTP 200 (status DONE) → success",
    "a hung madre": "madre timeout → fatal",
    "waiting for a confirmation": "degraded: waiting",
    "nobody": "local answers",
    "a client that leaves": "the client left",
    "an impatient client": "short patience",
    "an override": "an operator switched it off",
    "a forced breaker": "an operator holds its breaker open",
    "the end of an override": "override_ended",
    "the power state": "degraded: dormant",
}


@each_policy
def test_what_a_policy_makes_of_its_journal_is_what_is_committed(name):
    why = stale(name, facts_of(name).read_text(encoding="utf-8"))
    assert why is None, why


@each_policy
def test_a_golden_journal_is_decided_again_exactly_as_it_was(name):
    facts, _, fidelity = decided_again(journal_of(name))
    assert (fidelity.differing, fidelity.unfinished, fidelity.incomparable, fidelity.examples) == (0, 0, 0, ())
    assert 60 <= fidelity.calls == sum(isinstance(fact, CallBegan) for fact in facts) <= 120


@each_policy
def test_under_the_policy_it_was_recorded_with_every_call_comes_to_what_it_came_to_live(name):
    """On virtual time, too, where a timer is never late: so the facts are those of the live sidecar but for milliseconds."""
    journal = journal_of(name)
    record, _ = recorded(journal)
    assert results(facts_under(record, adopted(journal))) == results(decided_again(journal)[0])


@each_policy
def test_a_golden_journal_shows_what_it_should(name):
    text = facts_of(name).read_text(encoding="utf-8")
    assert [what for what, words in WHERE_IT_SHOWS.items() if words not in text] == []
    assert ("switch not asked: dormant" in text) is (name == "solo_madre")


@each_policy
def test_a_golden_journal_is_small_and_of_no_machine(name):
    content = journal_of(name).read_bytes()
    assert len(content) < LARGEST
    assert f'"source":"policies/{name}.yaml"'.encode() in content
    for trace in (b"/tmp", b"/home", b"hola", b"session", str(ROOT).encode()):
        assert trace not in content.replace(b"max_sessions", b"")


@each_policy
def test_the_facts_are_those_of_a_trial(name):
    """Driven here for their facts' sake, calls come to the same as in a replay that anybody starts."""
    record, _ = recorded(journal_of(name))
    loaded = load(policy_of(name))
    summary = Summary()
    summary.run_begins(record.span[0], 0.0)
    for fact in facts_under(record, loaded):
        summary(fact)
    summary.run_ended()
    assert summary.figures() == trial((Past(record, UNLIMITED),), loaded).summary.figures()


def test_no_golden_file_is_left_over():
    suffixes = (".journal.jsonl", ".facts")
    assert {file.name for file in HERE.iterdir() if file.name.endswith(suffixes)} == {
        f"{name}{suffix}" for name in POLICIES for suffix in suffixes
    }
    assert {file.stem for file in (ROOT / "policies").glob("*.yaml")} == set(POLICIES)


# -- a change shows ----------------------------------------------------------------------------------------------------


def changed(name: str, text: str) -> Loaded:
    """A shipped policy with something stated over it."""
    return parse(f"extends: {name}.yaml\n{text}", "changed.yaml", ROOT / "policies")


def difference(name: str, loaded: Loaded) -> tuple[list[str], list[str], list[str]]:
    """The lines before the first that differs, and those that are only before and only after the change."""
    before, after = told(name).splitlines(), told(name, loaded).splitlines()
    same = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))]
    return same, [line for line in before if line not in after], [line for line in after if line not in before]


def calls_of(lines: list[str]) -> list[int]:
    return [int(line.split()[1]) for line in lines if line.startswith("call")]


def test_a_shorter_attempt_shows_where_attempts_were_cut_off_and_not_before():
    same, gone, new = difference("default", changed("default", "timeouts: {attempt: 3100ms}\n"))
    first, cut = gone[0], new[0]
    assert first.endswith("switch timeout → fatal (error timeout, bound by the deadline); slow (from 3.000 s on)")
    assert cut.endswith(
        "+3.100  switch timeout → fatal (error timeout, bound by timeouts.attempt); slow (from 3.000 s on)"
    )
    [call] = {*calls_of([first]), *calls_of([cut])}
    assert min(calls_of(gone + new)) == call
    assert not any("timeout → fatal" in line for line in same)
    cut_off = [line for line in told("default").splitlines() if "switch timeout → fatal" in line]
    assert [line for line in cut_off if line not in gone] == []
    assert set(calls_of(gone)) >= set(calls_of(cut_off))


def test_another_threshold_shows_from_the_trip_that_does_not_come_any_more_and_not_before():
    same, gone, new = difference("default", changed("default", "breaker: {consecutive: 4, failure_rate: 100%}\n"))
    assert gone[0].endswith(": consecutive (3 failures in a row, 3 open it)")
    assert "breaker of switch opens" in gone[0]
    assert "switch timeout → fatal" in same[-1]  # the failure that was the third is what it was
    later = next(line for line in new if "breaker of switch opens" in line)
    assert later.endswith(": consecutive (4 failures in a row, 4 open it)")
    assert calls_of([later]) > calls_of([gone[0]])
    assert not any("breaker of switch opens" in line for line in same)


def test_one_retry_more_shows_in_the_calls_that_were_tried_again():
    same, gone, new = difference("default", changed("default", "retry: {max_attempts: 3}\n"))
    assert "asked 1 of at most 2 times" in gone[0]
    assert "asked 1 of at most 3 times" in new[0]
    assert calls_of([gone[0]]) == calls_of([new[0]])
    assert not any("to be asked again" in line for line in same)


@pytest.mark.parametrize(
    "text",
    [
        "guards: {rate_limit: 5 per 60s}\n",
        "breaker: {window: {size: 40}}\n",
        "slo: {undegraded: 90%}\n",
        "cors: {origins: []}\n",
    ],
)
def test_what_decides_nothing_in_these_calls_changes_no_line(text):
    """So that a change of such a figure asks for nothing to be written anew."""
    assert stale("default", told("default"), changed("default", text)) is None


def test_a_change_asks_for_make_golden_and_shows_the_first_of_it():
    kept = facts_of("default").read_text(encoding="utf-8")
    why = stale("default", kept, changed("default", "breaker: {open: {base: 6s}}\n"))
    head, *rest = why.splitlines()
    assert (
        head
        == "tests/golden/default.facts is not what policies/default.yaml does now. If that is meant, write it anew: make golden"
    )
    assert rest[:2] == ["--- tests/golden/default.facts", "+++ under the policy as it is now"]
    removed, added = (next(line for line in rest[2:] if line.startswith(sign)) for sign in "-+")
    assert "breaker of switch opens for" in removed
    assert removed.split(" for ")[0][1:] == added.split(" for ")[0][1:]
    assert len(rest) <= 31


def test_the_command_writes_what_is_stale_and_leaves_what_is_not(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{main.__module__}.facts_of", lambda name: tmp_path / name)
    assert main(["default"]) == 0
    assert capsys.readouterr().out == "default: written\n"
    assert (tmp_path / "default").read_bytes() == facts_of("default").read_bytes()
    assert main(["default"]) == 0
    assert capsys.readouterr().out == "default: as it was\n"


def test_a_policy_nobody_ships_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["other"])
    assert ended.value.code == 2
    assert "other" in capsys.readouterr().err


def test_facts_do_not_depend_on_where_the_policy_file_lies(tmp_path):
    copy = tmp_path / "policies"
    copy.mkdir()
    for file in (ROOT / "policies").glob("*.yaml"):
        (copy / file.name).write_bytes(file.read_bytes())
    assert told("patient", load(Path(copy / "patient.yaml"))) == told("patient")
