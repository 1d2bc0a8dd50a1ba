"""Exact replay: the recorded inputs lead to the recorded decisions, and every kind of damage is said, counted and survived."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.fact import CallEnded, Overridden
from sidecar.core.vocabulary import Override
from sidecar.policy.load import parse
from sidecar.replay.exact import MOST_DIFFERING, ExactReplay
from sidecar.replay.journal import UnusableJournalError, read_journals
from sidecar.replay.study import replay
from tests.replay.worlds import World, journal_of, line, recorded, start_line, write


def replayed(path, lines):
    """The one run in ``lines``: its fidelity, its journal and the facts."""
    [journal] = read_journals([write(path / "journal.jsonl", lines)])
    facts = []
    return ExactReplay(journal, facts.append).run(), journal, facts


@pytest.mark.parametrize("kind", [{}, {"benign": True}, {"grid": True}], ids=["failing", "benign", "with ties"])
@pytest.mark.parametrize("number", range(20))
def test_a_journal_comes_out_as_it_was_with_every_fact_the_same(tmp_path, number, kind):
    world = World(number, 100, **kind)
    facts = []
    world.simulate(facts.append)
    fidelity, journal, again = replayed(tmp_path, journal_of(facts, world.seed))
    assert fidelity == (100, 100, 0, (), 0)
    assert (journal.skipped, journal.messages) == (0, [])
    assert again == facts


def test_an_override_is_an_input_like_any_other(tmp_path):
    world = World(5, 100, benign=True)
    facts = []
    engine = world.engine(facts.append)
    middle = world.arrivals[50].at
    world.happenings = lambda _: [
        (middle, lambda now: engine.override(now, "switch", Override("off"))),
        (middle + 3, lambda now: engine.override(now, "switch", None)),
    ]
    world.engine = lambda _: engine
    world.simulate(facts.append)
    assert sum(isinstance(fact, Overridden) for fact in facts) == 2
    assert {fact.finish.provider for fact in facts if isinstance(fact, CallEnded)} >= {"switch", "madre"}
    fidelity, journal, again = replayed(tmp_path, journal_of(facts, world.seed))
    assert (fidelity.same, journal.messages) == (100, [])
    assert again == facts


LINES = recorded(4, 60)
KINDS = [orjson.loads(text)["in"] for text in LINES]


def without(index):
    return LINES[:index] + LINES[index + 1 :]


def found(kind, nth=0):
    return [index for index, name in enumerate(KINDS) if name == kind][nth]


def test_a_removed_call_makes_its_events_homeless(tmp_path):
    index = found("call", 5)
    number = orjson.loads(LINES[index])["call"]
    fidelity, journal, _ = replayed(tmp_path, without(index))
    assert fidelity.same < fidelity.calls == 60
    assert any(text.startswith(f"call {number}: recorded ") for text in fidelity.examples)
    assert journal.skipped >= 1
    assert any(f"call {number} is not under way" in text for text in journal.messages)
    assert journal.messages[0].startswith(f"{tmp_path}/journal.jsonl:")


def test_a_removed_event_leaves_its_call_unfinished_and_says_so(tmp_path):
    index = found("answered", 3)
    fidelity, _, _ = replayed(tmp_path, without(index))
    assert fidelity.calls == 60
    assert fidelity.same < 60


def test_a_removed_result_is_no_input_and_only_its_call_is_not_compared(tmp_path):
    fidelity, journal, _ = replayed(tmp_path, without(found("ended", 3)))
    assert fidelity == (59, 59, 0, (), 0)
    assert journal.skipped == 0


def test_no_policy_no_decisions_and_every_input_is_said(tmp_path):
    fidelity, journal, facts = replayed(tmp_path, without(1))
    assert KINDS[1] == "adopt"
    assert facts == []
    assert fidelity.calls - fidelity.same == 60
    assert journal.skipped == sum(
        kind in ("call", "answered", "woke", "abandoned", "dormancy", "health") for kind in KINDS
    )
    assert journal.messages[0] == f"{tmp_path}/journal.jsonl:2: before any policy was in force"


def test_a_policy_of_another_version_is_said(tmp_path):
    adopt = orjson.loads(LINES[1])
    adopt["policy"]["new_section"] = {}
    _, journal, _ = replayed(tmp_path, [LINES[0], orjson.dumps(adopt) + b"\n", *LINES[2:]])
    assert journal.messages[0].startswith(
        f"{tmp_path}/journal.jsonl:2: a policy that this version cannot read: new_section: "
    )


def test_a_line_that_comes_too_late_is_skipped(tmp_path):
    calls = [index for index, kind in enumerate(KINDS) if kind == "call"]
    early, late = calls[3], calls[30]
    lines = LINES[:early] + LINES[early + 1 : late] + [LINES[early]] + LINES[late:]
    fidelity, journal, _ = replayed(tmp_path, lines)
    assert f"{tmp_path}/journal.jsonl:{late}: earlier than the line before it" in journal.messages
    assert fidelity.same < fidelity.calls


def test_a_line_that_comes_too_early_costs_one_more_and_not_the_rest(tmp_path):
    calls = [index for index, kind in enumerate(KINDS) if kind == "call"]
    early, late = calls[3], calls[30]
    lines = [*LINES[:early], LINES[late], *LINES[early:late], *LINES[late + 1 :]]
    _, journal, _ = replayed(tmp_path, lines)
    assert [text for text in journal.messages if "earlier than" in text] == [
        f"{tmp_path}/journal.jsonl:{early + 2}: earlier than the line before it"
    ]


def test_a_call_that_begins_twice_is_one_call(tmp_path):
    index = found("call", 3)
    fidelity, journal, _ = replayed(tmp_path, [*LINES[: index + 1], LINES[index], *LINES[index + 1 :]])
    assert fidelity.same == 60
    assert journal.messages == [f"{tmp_path}/journal.jsonl:{index + 2}: call 4 begins a second time"]


def test_lines_that_the_recorder_lost_are_said(tmp_path):
    fidelity, journal, _ = replayed(tmp_path, [*LINES[:9], line(kind="dropped", lines=12), *LINES[9:]])
    assert journal.messages == [f"{tmp_path}/journal.jsonl:10: lines were lost before this one, 12 of this run so far"]
    assert fidelity.same == 60


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("call", "call", "4"),
        ("call", "call", 4.5),
        ("call", "call", True),
        ("call", "call", None),
        ("call", "call", [1]),
        ("call", "call", 1e29),
        ("call", "patience", "4"),
        ("call", "patience", None),
        ("call", "at", "now"),
        ("call", "at", None),
        ("call", "correlation_id", 5),
        ("answered", "call", {}),
        ("answered", "body", 5),
        ("answered", "retry_after", "soon"),
        ("answered", "error", "unheard of"),
        ("adopt", "policy", "default"),
        ("adopt", "revision", 7),
        ("judged", "call", []),
        ("ended", "call", {}),
        ("ended", "call", "4"),
    ],
)
def test_a_field_of_another_type_is_said_and_never_a_traceback(tmp_path, kind, key, value):
    index = found(kind, 3 if kind != "adopt" else 0)
    changed = {**orjson.loads(LINES[index]), key: value}
    _, journal, _ = replayed(tmp_path, [*LINES[:index], orjson.dumps(changed) + b"\n", *LINES[index + 1 :]])
    assert journal.messages[0].startswith(f"{tmp_path}/journal.jsonl:{index + 1}: ")
    assert journal.skipped >= 1


@pytest.mark.parametrize("active", ["switch", 5, {"switch": 1}, [["switch"]], [1]])
def test_a_power_state_that_is_no_list_of_names_is_said(tmp_path, active):
    _, journal, _ = replayed(tmp_path, [*LINES[:2], line(kind="dormancy", at=9.6, active=active), *LINES[2:]])
    assert len(journal.messages) == 1
    assert journal.messages[0].startswith(f"{tmp_path}/journal.jsonl:3: ")


@pytest.mark.parametrize(
    "fields", [{"target": "nobody", "override": "off"}, {"target": "switch", "override": "?"}, {"target": []}]
)
def test_an_override_that_makes_no_sense_is_said(tmp_path, fields):
    _, journal, _ = replayed(tmp_path, [*LINES[:2], line(kind="override", at=9.6, **fields), *LINES[2:]])
    assert len(journal.messages) == 1
    assert journal.messages[0].startswith(f"{tmp_path}/journal.jsonl:3: ")


def test_a_difference_is_told_in_words_that_both_sides_use(tmp_path):
    index = found("judged", 3)
    changed = {**orjson.loads(LINES[index]), "verdict": "ignored"}
    fidelity, _, _ = replayed(tmp_path, [*LINES[:index], orjson.dumps(changed) + b"\n", *LINES[index + 1 :]])
    assert (fidelity.calls, fidelity.same) == (60, 59)
    [text] = fidelity.examples
    assert "'verdict': 'ignored'" in text.split(", replayed ")[0]
    assert "<" not in text


def test_of_many_differences_the_first_are_told_and_all_are_counted(tmp_path):
    other = start_line(99)
    lines = recorded(4, 200)
    changed = [orjson.dumps({**orjson.loads(t), "attempts": 77}) + b"\n" if b'"ended"' in t else t for t in lines]
    fidelity, _, _ = replayed(tmp_path, [other, *changed[1:]])
    assert fidelity.calls - fidelity.same == 200
    assert len(fidelity.examples) == MOST_DIFFERING


def test_another_seed_is_another_story(tmp_path):
    """Exactness that did not depend on the seed would show little."""
    lines = recorded(3, 100)
    again = replayed(tmp_path, lines)[2]
    other = replayed(tmp_path, [start_line(99), *lines[1:]])[2]
    assert again != other


# -- anything at all ---------------------------------------------------------------------------------------------------

CHOSEN = [*LINES[:2], line(kind="dormancy", at=9.6, active=["madre"]), line(kind="override", at=9.7, target="switch", override="off"),
          line(kind="override", at=9.8, target="switch", override=None), *LINES[2:160]]  # fmt: skip
numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -1, 1e308, -1e308, 2**63, 5e-324])
)
junk = st.recursive(
    st.none() | st.booleans() | numbers | st.sampled_from(["", "switch", "answered", "call", "timeout"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["in", "at", "a"]), below, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated(draw):
    """A valid journal after some of everything that can befall one."""
    lines = list(CHOSEN)
    if draw(st.booleans()):  # as if the first file had been deleted
        adopt = orjson.loads(lines[1])
        lines[:2] = [orjson.dumps({**adopt, "in": "continued", "schema": 1, "seed": 7, "file": 2}) + b"\n"]
    for _ in range(draw(st.integers(1, 6))):
        index = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(["remove", "repeat", "swap", "cut", "bytes", "field", "field", "field", "unknown"]))
        if what == "remove":
            del lines[index]
        elif what == "repeat":
            lines.insert(draw(st.integers(0, len(lines))), lines[index])
        elif what == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[index], lines[other] = lines[other], lines[index]
        elif what == "cut":
            lines[index] = lines[index][: draw(st.integers(0, len(lines[index])))]
        elif what == "bytes":
            at = draw(st.integers(0, len(lines[index])))
            lines[index] = lines[index][:at] + draw(st.binary(max_size=4)) + lines[index][at + 1 :]
        elif what == "unknown":
            lines[index] = line(kind=draw(st.sampled_from(["probe", "adopt", "call", "answered"])), at=draw(numbers))
        else:
            try:
                fields = orjson.loads(lines[index])
                key = draw(st.sampled_from(sorted(fields)))
                fields[key] = draw(junk)
                lines[index] = orjson.dumps(fields, option=orjson.OPT_NON_STR_KEYS) + b"\n"
            except (orjson.JSONDecodeError, orjson.JSONEncodeError, TypeError):
                continue
        if not lines:
            break
    return b"".join(lines)


OTHER = parse("retry: {max_attempts: 3}\nlimiter: {max_concurrent: 1}\n", "other")


@settings(max_examples=150)
@given(mutated())
def test_whatever_befalls_a_journal_it_is_replayed_or_said_to_be_unusable(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "mutated.jsonl"
    path.write_bytes(data)
    try:
        result, _ = replay([path], [OTHER], repeats=1)
    except UnusableJournalError as error:
        unusable = str(error)
    else:
        unusable = None
    if unusable is not None:
        assert unusable.startswith(f"{path}: nothing to replay: ")
        return
    assert result.fidelity.same <= result.fidelity.calls
    assert all(text.startswith(f"{path}:") for text in result.messages)
    assert result.skipped >= len(result.messages)
