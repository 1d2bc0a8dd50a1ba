"""A run that begins in the middle: what is replayed of it proves nothing, what its lines say by themselves is what was."""

from __future__ import annotations

import json
import re

import orjson
import pytest

from sidecar import cli
from sidecar.core.fact import AttemptEnded, CallBegan, CallEnded, DormancyHeard, HealthHeard, Overridden, PolicyAdopted
from sidecar.core.line import SCHEMA, run_id
from sidecar.policy.load import Loaded, revision_of
from sidecar.replay.exact import ExactReplay
from sidecar.replay.figures.summary import Summary
from sidecar.replay.journal import read_journals
from sidecar.replay.record import Record
from sidecar.replay.study import replay
from sidecar.replay.told import tell
from tests.replay.worlds import World, journal_of, policy, write


def world_and_lines(number, calls=100, **kind):
    world, facts = World(number, calls, **kind), []
    world.simulate(facts.append)
    return facts, journal_of(facts, world.seed), world.seed


def from_the_middle(lines, seed, share=0.4):
    """The lines as they would be if the files before had been deleted."""
    index = int(len(lines) * share)
    adopted = next(fields for fields in map(orjson.loads, reversed(lines[:index])) if fields["in"] == "adopt")
    heading = {**adopted, "in": "continued", "schema": SCHEMA, "seed": seed, "run": run_id(seed), "file": 9}
    return [orjson.dumps(heading) + b"\n", *lines[index:]]


def read(path, lines):
    [journal] = read_journals([write(path / "journal.jsonl", lines)])
    return journal


def loaded(rules):
    return Loaded(rules, revision_of(rules), "candidate", {})


@pytest.mark.parametrize("kind", [{}, {"benign": True}, {"grid": True}], ids=["failing", "benign", "with ties"])
@pytest.mark.parametrize("number", range(10))
def test_lines_tell_of_every_attempt_and_every_end_what_the_facts_told(tmp_path, number, kind):
    facts, lines, _ = world_and_lines(number, **kind)
    live, told = Record(7), Record(7)
    for fact in facts:
        live(fact)
    tell(read(tmp_path, lines), told)
    for record in (live, told):
        record.settle()
    assert told.chats == live.chats
    assert told.attempts == live.attempts
    assert told.outside == live.outside
    assert told.leave_at == live.leave_at
    assert told.policies == live.policies


@pytest.mark.parametrize("number", range(10))
def test_the_figures_are_those_of_the_facts_but_for_what_a_breaker_did(tmp_path, number):
    facts, lines, _ = world_and_lines(number)
    live, told = Summary(), Summary()
    for fact in facts:
        live(fact)
    tell(read(tmp_path, lines), told)
    live.run_ended()
    told.run_ended()
    expected = {**live.figures(), "breaker_open_seconds": {}}
    assert told.figures() == expected


@pytest.mark.parametrize("number", range(20))
def test_no_call_of_a_run_that_begins_in_the_middle_is_held_to_differ(tmp_path, number):
    _, lines, seed = world_and_lines(number)
    journal = read(tmp_path, from_the_middle(lines, seed))
    fidelity = ExactReplay(journal, lambda _: None).run()
    ended = sum(found.fields["in"] == "ended" for found in journal.lines)
    assert (fidelity.calls, fidelity.differing, fidelity.examples) == (ended, 0, ())
    assert fidelity.same + fidelity.incomparable == ended
    assert (journal.skipped, journal.messages) == (0, [])


def test_where_nothing_was_worth_remembering_it_comes_out_the_same_all_the_same(tmp_path):
    _, lines, seed = world_and_lines(3, benign=True)
    fidelity = ExactReplay(read(tmp_path, from_the_middle(lines, seed)), lambda _: None).run()
    assert fidelity.same >= 50
    assert fidelity.incomparable <= 5


def test_only_calls_that_began_in_it_are_in_its_figures_and_before_its_candidates(tmp_path):
    facts, lines, seed = world_and_lines(2)
    rest = from_the_middle(lines, seed)
    path = write(tmp_path / "journal.jsonl", rest)
    began = {fields["call"] for fields in map(orjson.loads, rest) if fields["in"] == "call"}
    ends = [fact for fact in facts if isinstance(fact, CallEnded) and fact.call in began]
    study, comparison = replay([path], [loaded(policy())], repeats=1)
    assert (study.runs, study.incomplete) == (1, 1)
    recorded, candidate = comparison.columns
    assert recorded.figures["calls"] == len(ends)
    assert recorded.figures["attempts"] == sum(fact.attempts for fact in ends)
    assert candidate.figures["calls"] == len(ends)


def test_a_whole_run_is_not_incomplete(tmp_path):
    _, lines, _ = world_and_lines(2)
    assert replay([write(tmp_path / "journal.jsonl", lines)], [])[0].incomplete == 0


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("judged", {"verdict": "?"}, "'?' is not a valid Verdict"),
        ("judged", {"target": 5}, "target must be text, found 5"),
        ("ended", {"reason": "?"}, "'?' is not a valid Reason"),
        ("ended", {"attempts": None}, "attempts must be a whole number, found None"),
    ],
)
def test_a_result_that_cannot_be_read_is_said(tmp_path, kind, change, why):
    _, lines, seed = world_and_lines(2)
    rest = from_the_middle(lines, seed, share=0.1)
    index = [i for i, text in enumerate(rest) if orjson.loads(text)["in"] == kind][20]
    rest[index] = orjson.dumps({**orjson.loads(rest[index]), **change}) + b"\n"
    journal = read(tmp_path, rest)
    tell(journal, lambda _: None)
    assert journal.messages == [f"{tmp_path}/journal.jsonl:{index + 1}: {why}"]


def test_a_result_without_one_of_its_fields_is_said(tmp_path):
    _, lines, _ = world_and_lines(2)
    index = [i for i, text in enumerate(lines) if orjson.loads(text)["in"] == "ended"][3]
    cut = {key: value for key, value in orjson.loads(lines[index]).items() if key != "first_reason"}
    journal = read(tmp_path, [*lines[:index], orjson.dumps(cut) + b"\n", *lines[index + 1 :]])
    tell(journal, lambda _: None)
    assert journal.messages == [f"{tmp_path}/journal.jsonl:{index + 1}: there is no 'first_reason' in it"]


def test_an_input_that_cannot_be_read_is_said_once_though_it_is_read_twice(tmp_path):
    _, lines, seed = world_and_lines(2)
    rest = from_the_middle(lines, seed)
    index = next(i for i, text in enumerate(rest) if orjson.loads(text)["in"] == "answered")
    rest[index] = orjson.dumps({**orjson.loads(rest[index]), "call": "?"}) + b"\n"
    study, _ = replay([write(tmp_path / "journal.jsonl", rest)], [])
    assert study.skipped == 1


def test_facts_are_of_the_kinds_that_figures_are_made_of(tmp_path):
    _, lines, _ = world_and_lines(7)
    facts = []
    tell(read(tmp_path, lines), facts.append)
    assert {type(fact) for fact in facts} <= {
        CallBegan, AttemptEnded, CallEnded, DormancyHeard, HealthHeard, Overridden, PolicyAdopted,
    }  # fmt: skip


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_says_that_a_run_is_incomplete_and_what_that_costs(tmp_path, capsys):
    _, lines, seed = world_and_lines(3)
    path = write(tmp_path / "journal.jsonl", from_the_middle(lines, seed))
    fidelity = replay([path], [])[0].fidelity
    assert fidelity.incomparable > 1
    assert cli.main(["replay", str(path)]) == 0
    _, second, *_ = capsys.readouterr().out.splitlines()
    assert second == (
        "1 run is incomplete (begins in the middle, or a sample): what was remembered is not known, "
        f"{fidelity.incomparable} calls cannot be compared"
    )
    assert cli.main(["replay", str(path), "--output", "json"]) == 0
    said = json.loads(capsys.readouterr().out)["fidelity"]
    assert said["incomplete"] == {"runs": 1, "incomparable_calls": fidelity.incomparable}
    assert said["differing"] == 0


def test_a_difference_in_a_whole_run_is_one_beside_a_run_that_begins_in_the_middle(tmp_path, capsys):
    _, lines, seed = world_and_lines(2)
    write(tmp_path / "journal-000001.jsonl", from_the_middle(lines, seed))
    changed = [text.replace(b'"verdict":"success"', b'"verdict":"ignored"') for text in world_and_lines(3)[1]]
    write(tmp_path / "journal-000002.jsonl", changed)
    assert cli.main(["replay", str(tmp_path)]) == 1
    assert re.search(r"^call \d+: recorded ", capsys.readouterr().out, re.MULTILINE)


def test_a_sample_of_calls_is_incomplete_although_it_begins_at_the_start(tmp_path):
    _, lines, _ = world_and_lines(0)
    start, *rest = lines
    path = write(tmp_path / "journal.jsonl", [orjson.dumps({**json.loads(start), "sample": 0.5}) + b"\n", *rest])
    study, _ = replay([path], [])
    assert study.incomplete == 1
    assert study.fidelity.differing == 0
