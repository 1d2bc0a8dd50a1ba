"""Cases files: what they say, and every mistake with its exact line and column, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.core.vocabulary import Override
from sidecar.policy.load import parse
from sidecar.policy.problem import PolicyError, Problem
from sidecar.replay.cases.case import Chat, OfBreaker, OfChats, OfCount, OfShare, Overriding, Power, Reload
from sidecar.replay.cases.document import read_cases

BUILT_IN = parse("", "built-in")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "p.yaml").write_text("")
    (tmp_path / "q.yaml").write_text("deadline: {client: 9s}\n")
    return tmp_path


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "c.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def one(case: str) -> str:
    """A file with one case, which begins in line 3 and column 5."""
    return f"policy: p.yaml\ncases:\n  - {case}\n"


def read(folder, case):
    [read] = read_cases(write(folder, one(case))).cases
    return read


def complaints(folder: Path, text: str | bytes) -> list[str]:
    """What is wrong with a file, without its name."""
    file = write(folder, text)
    with pytest.raises(PolicyError) as raised:
        read_cases(file)
    return [str(problem).replace(f"{file}:", "").replace(f"{folder}/", "") for problem in raised.value.problems]


# -- right -------------------------------------------------------------------------------------------------------------


IN_FULL = one(
    "name: all of it\n"
    "    given: {switch: hang}\n"
    "    chats: [{at: 1s, count: 2, every: 500ms, patience: 2s}, {leaves_after: 1s}]\n"
    "    events:\n"
    "      - {at: 8s, policy: q.yaml}\n"
    "      - {at: 3s, override: {target: switch, kind: off}}\n"
    "      - {at: 4s, override: {target: switch, kind: none}}\n"
    "      - {at: 5s, power: [madre, redis]}\n"
    "      - {at: 6s, power: unreadable}\n"
    "    expect:\n"
    "      - {chats: all, provider: nobody, degraded: false, reason: none, within: 2s, after: 1s, attempts: [switch], no_attempt_on: [madre]}\n"
    "      - {chats: last, attempts: 2, no_attempt_on: switch}\n"
    "      - breaker: {target: madre, at: 4s, state: half_open}\n"
    "      - attempts: {at_most: 3, at_least: 1}\n"
    "      - trips: {target: switch, exactly: 2}\n"
    "      - share: {provider: madre, at_least: 12.5%}\n"
    "      - share: {degraded: true, exactly: 0%}"
)


def test_a_case_in_full_is_these_values(folder):
    [case] = read_cases(write(folder, IN_FULL)).cases
    assert case.name == "all of it"
    assert case.place[1:] == (3, 11)
    assert list(case.given) == ["switch"]
    assert case.chats == (Chat(0.0, None, 1.0), Chat(1.0, 2.0, None), Chat(1.5, 2.0, None))
    off, on, *powers, reload = case.events
    assert isinstance(off, Overriding)
    assert off.place[1:] == (8, 18)
    assert (off.at, off.target, off.override) == (3.0, "switch", Override.OFF)
    assert (on.at, on.override) == (4.0, None)
    assert powers == [Power(5.0, frozenset({"madre", "redis"})), Power(6.0, None)]
    assert isinstance(reload, Reload)
    assert (reload.at, reload.loaded.policy.deadline.client) == (8.0, 9.0)
    places = [expectation.place[1:] for expectation in case.expect]
    assert places == [(13 + index, 9) for index in range(7)]
    everybody, last, breaker, attempts, trips, madre, degraded = case.expect
    assert isinstance(everybody, OfChats)
    assert everybody[1:-4] == (1, 3, "nobody", False, "none", 2.0)
    assert (everybody.after, [str(sign) for sign in everybody.attempts], everybody.untouched) == (
        1.0,
        ["switch"],
        ("madre",),
    )
    assert isinstance(last, OfChats)
    assert (last.first, last.last, last.attempts, last.number, last.untouched) == (3, 3, None, 2, ("switch",))
    assert breaker == OfBreaker(breaker.place, "madre", 4.0, "half_open")
    assert attempts == OfCount(attempts.place, "attempts", None, 1, 3)
    assert trips == OfCount(trips.place, "trips", "switch", 2, 2)
    assert madre == OfShare(madre.place, "madre", None, 0.125, None)
    assert degraded == OfShare(degraded.place, None, True, 0.0, 0.0)


def test_what_is_not_stated_is_one_chat_of_a_client_that_says_nothing(folder):
    case = read(folder, "{name: n, expect: [{chats: 1, provider: switch}]}")
    assert case.chats == (Chat(0.0, None, None),)
    assert case.given == {}
    assert case.events == ()


def test_times_of_many_chats_are_as_they_would_be_written(folder):
    case = read(folder, "{name: n, chats: {count: 4, every: 100ms, at: 200ms}, expect: [{chats: 2-3, degraded: true}]}")
    assert [chat.at for chat in case.chats] == [0.2, 0.3, 0.4, 0.5]
    assert (case.expect[0].first, case.expect[0].last) == (2, 3)


def test_another_policy_takes_the_place_of_the_one_that_is_named(folder):
    named = "{name: n, expect: [{chats: 1, provider: switch}]}"
    assert read_cases(write(folder, one(named))).loaded.source == str(folder / "p.yaml")
    assert read_cases(write(folder, one(named)), BUILT_IN).loaded is BUILT_IN
    assert read_cases(write(folder, f"cases: [{named}]"), BUILT_IN).loaded is BUILT_IN


def test_a_policy_that_is_named_twice_is_loaded_once(folder):
    case = read(
        folder,
        "{name: n, events: [{at: 1s, policy: q.yaml}, {at: 2s, policy: q.yaml}], expect: [{chats: 1, degraded: true}]}",
    )
    first, second = case.events
    assert first.loaded is second.loaded


# -- wrong -------------------------------------------------------------------------------------------------------------

EXPECT = "expect: [{chats: 1, provider: switch}]"
DURATION = "must be a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s"
ZERO = "must be 0 or a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "1:1: cases: is missing: write it"),
        ("- a", "1:1: must be a mapping of policy and cases; found a list"),
        ("policy: p.yaml\ncases: {}", "2:8: cases: must be a list of cases; found a mapping"),
        ("policy: p.yaml\ncases: []", "2:8: cases: must be a list of cases, with at least one"),
        ("policy: p.yaml\ncases: 5", "2:8: cases: must be a list of cases; found 5"),
        ("policy: p.yaml\ncases:\n", "2:1: cases: has no value: write one, or leave the key out for the default"),
        (f"cases: [{{name: n, {EXPECT}}}]", "1:1: policy: is missing: name the policy under test, relative to this file"),
        ("polcy: p.yaml\ncases: []", "1:1: polcy: is not a known key: did you mean policy?"),
        ("zzz: 1\ncases: []", "1:1: zzz: is not a known key: here stand policy, cases"),
        ("policy: p.yaml\npolicy: q.yaml\ncases: []", "2:1: policy: stands twice, first in line 1: keep one"),
        ("policy: none.yaml\ncases: []", "1:9: policy: cannot be read (No such file or directory): name a readable file; found none.yaml"),
        ("policy: 5\ncases: []", "1:9: policy: must be the name of a policy file, relative to this one, in quotes if it looks like a number; found 5"),
        ("policy: bad.yaml\ncases: []", "bad.yaml:2:10: deadline.client: " + DURATION + "; found 5"),
        ("policy: p.yaml\ncases: *x", "2:8: cases: aliases (*name) are refused, they can hide a bomb: write the value out"),
        (b"\xff", "1:1: not UTF-8: save the file as UTF-8"),
        (b"policy: p.yaml\n# \xff", "2:1: not UTF-8: save the file as UTF-8"),
        ("policy: p.yaml\ncases: [", "2:9: a value is missing, or a bracket is not closed: write it"),
        # cases
        (one("5"), "3:5: cases[0]: must be a mapping of name, given, chats, events and expect; found 5"),
        (one(f"{{{EXPECT}}}"), "3:5: cases[0].name: is missing: write it"),
        (one(f"{{name: 5, {EXPECT}}}"), "3:12: cases[0].name: must be a text that says what holds, in quotes if it looks like a number; found 5"),
        (one(f"{{name: ' ', {EXPECT}}}"), '3:12: cases[0].name: must be a text that says what holds, in quotes if it looks like a number; found " "'),
        (one("{name: n}"), "3:5: cases[0].expect: is missing: write it"),
        (one("{name: n, expect: []}"), "3:23: cases[0].expect: must be a list of expectations, with at least one"),
        (one(f"{{name: n, excpect: [], {EXPECT}}}"), "3:15: cases[0].excpect: is not a known key: did you mean expect?"),
        (one(f"{{name: n, {EXPECT}}}\n  - {{name: n, {EXPECT}}}"), "4:12: cases[1].name: is the name of a case in line 3 already"),
        # chats
        (one(f"{{name: n, chats: 3, {EXPECT}}}"), "3:22: cases[0].chats: must be a mapping of at, count, every, patience and leaves_after; found 3"),
        (one(f"{{name: n, chats: [], {EXPECT}}}"), "3:22: cases[0].chats: must be a list of groups of chats, with at least one"),
        (one(f"{{name: n, chats: {{count: 0}}, {EXPECT}}}"), "3:30: cases[0].chats.count: must be a whole number from 1 to 10000; found 0"),
        (one(f"{{name: n, chats: {{count: 2}}, {EXPECT}}}"), "3:22: cases[0].chats: must state both count and every where there is more than one chat (0s: all at once)"),
        (one(f"{{name: n, chats: {{every: 2s}}, {EXPECT}}}"), "3:22: cases[0].chats: must state both count and every where there is more than one chat (0s: all at once)"),
        (one(f"{{name: n, chats: {{count: 2, every: 2}}, {EXPECT}}}"), f"3:40: cases[0].chats.every: {ZERO}; found 2"),
        (one(f"{{name: n, chats: [{{patience: 0s}}], {EXPECT}}}"), "3:34: cases[0].chats[0].patience: must be longer than nothing; found 0s"),
        (one(f"{{name: n, chats: {{leaves_after: soon}}, {EXPECT}}}"), f"3:37: cases[0].chats.leaves_after: {DURATION}; found soon"),
        (one(f"{{name: n, chats: [{{count: 9999, every: 1s}}, {{count: 2, every: 1s}}], {EXPECT}}}"), "3:15: cases[0].chats: are more than 10000 chats: a case needs few"),
        # events
        (one(f"{{name: n, events: {{}}, {EXPECT}}}"), "3:23: cases[0].events: must be a list of events; found a mapping"),
        (one(f"{{name: n, events: [{{at: 1s}}], {EXPECT}}}"), "3:24: cases[0].events[0]: must be one thing that happens: override, power or policy"),
        (one(f"{{name: n, events: [{{power: []}}], {EXPECT}}}"), "3:24: cases[0].events[0].at: is missing: write it"),
        (one(f"{{name: n, events: [{{at: 1s, power: [], policy: p.yaml}}], {EXPECT}}}"), "3:24: cases[0].events[0]: must be one thing that happens: override, power or policy"),
        (one(f"{{name: n, events: [{{at: 1s, power: off}}], {EXPECT}}}"), "3:40: cases[0].events[0].power: must be a list of the services that are on, as in [madre, redis], or unreadable; found off"),
        (one(f"{{name: n, events: [{{at: 1s, power: [5]}}], {EXPECT}}}"), "3:41: cases[0].events[0].power[0]: must be the name of a service, in quotes if it looks like a number; found 5"),
        (one(f"{{name: n, events: [{{at: 1s, power: }}], {EXPECT}}}"), "3:33: cases[0].events[0].power: has no value: write one, or leave the key out for the default"),
        (one(f"{{name: n, events: [{{at: 1s, policy: z.yaml}}], {EXPECT}}}"), "3:41: cases[0].events[0].policy: cannot be read (No such file or directory): name a readable file; found z.yaml"),
        (one(f"{{name: n, events: [{{at: 1s, override: {{target: switch}}}}], {EXPECT}}}"), "3:33: cases[0].events[0].override.kind: is missing: write it"),
        (one(f"{{name: n, events: [{{at: 1s, override: {{target: local, kind: off}}}}], {EXPECT}}}"), "3:52: cases[0].events[0].override.target: must be switch or madre; found local"),
        (one(f"{{name: n, events: [{{at: 1s, override: {{target: switch, kind: open}}}}], {EXPECT}}}"), "3:66: cases[0].events[0].override.kind: must be forced_open, forced_closed, off or none; found open"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_place_and_says_what_would_be_right(folder, text, complaint):
    (folder / "bad.yaml").write_text("deadline:\n client: 5\n")
    assert complaint in complaints(folder, text)


def test_all_mistakes_are_said_in_the_order_of_the_file_and_each_once(folder):
    (folder / "bad.yaml").write_text("mode: on\n")
    text = (
        "policy: bad.yaml\ncases:\n"
        "  - {name: n, given: {swich: ok}, chats: {count: 2}, events: [{at: 3, power: []}], expect: [{chats: 5, provider: me}]}\n"
        "  - {name: n, expect: [{chats: 1}]}\n"
    )
    found = complaints(folder, text)
    assert [line.split(": ")[0] for line in found] == [
        "bad.yaml:1:7",
        "3:23",
        "3:42",
        "3:68",
        "3:101",
        "3:114",
        "4:12",
        "4:24",
    ]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda file: None, "cannot be read (No such file or directory): name a readable file"),
        (Path.mkdir, "not a regular file: name a file"),
        (lambda file: file.write_bytes(b"#" * ((1 << 20) + 1)), "larger than 1 MiB: is this the right file?"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(folder, make, why):
    file = folder / "c.yaml"
    make(file)
    with pytest.raises(PolicyError) as raised:
        read_cases(file)
    assert str(raised.value) == f"{file}:1:1: {why}"


def test_a_name_that_no_file_can_have_is_said(folder):
    with pytest.raises(PolicyError, match="no name of a file"):
        read_cases(Path("a\0b"))


@example(0, 0, "")
@given(st.integers(0, len(IN_FULL)), st.integers(0, 40), st.text(max_size=12))
def test_any_damage_is_a_file_that_is_read_or_a_list_of_problems(tmp_path_factory, at, gone, instead):
    file = tmp_path_factory.getbasetemp() / "c.yaml"
    (file.parent / "p.yaml").touch()
    (file.parent / "q.yaml").touch()
    file.write_bytes((IN_FULL[:at] + instead + IN_FULL[at + gone :]).encode(errors="surrogatepass"))
    problems: tuple[Problem, ...] = ()
    try:
        cases = read_cases(file).cases
    except PolicyError as error:
        cases, problems = (), error.problems
    assert bool(cases) != bool(problems)
    assert all("\n" not in str(problem) for problem in problems)
    assert all(case.name and case.expect and case.chats for case in cases)
