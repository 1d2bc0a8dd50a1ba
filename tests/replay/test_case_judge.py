"""Expectations against what came: what holds says nothing, what does not says why, and nothing that is otherwise can hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.value import replace
from sidecar.core.vocabulary import Override, Reason
from sidecar.policy.load import parse
from sidecar.policy.problem import Place
from sidecar.policy.source import read
from sidecar.replay.cases.case import Case, Chat, OfChats, Overriding, Phase, Sign
from sidecar.replay.cases.expected import PROVIDERS, read_expected
from sidecar.replay.cases.given import WORDS
from sidecar.replay.cases.judge import Failure, judge, misfit
from sidecar.replay.cases.play import play
from sidecar.replay.form import Form

HERE = Place("c", 1, 1)
POLICY = parse("breaker: {open: {jitter: 0}}", "p")


def played(switch, madre=("ok",), chats=1, *, every=1.0, policy=POLICY, leaves=None):
    given = {
        "switch": (Phase(0.0, tuple(WORDS["switch"][word] for word in switch)),),
        "madre": (Phase(0.0, tuple(WORDS["madre"][word] for word in madre)),),
    }
    return play(Case("n", HERE, given, tuple(Chat(every * n, None, leaves) for n in range(chats)), (), ()), policy, 1)


def judged(text, came):
    """The failures of one expectation, written as in a file."""
    root, _ = read(f"- {text}", "e")
    form = Form(())
    [expectation] = read_expected(form, root, (), len(came.chats))
    assert form.problems == []
    return judge(expectation, came)


def failure(text, came):
    """The only failure, without what it is about."""
    [found] = judged(text, came)
    return found


# -- chats -------------------------------------------------------------------------------------------------------------

HUNG = played(["hang"])


@pytest.mark.parametrize(
    "text",
    [
        "provider: madre",
        "degraded: true",
        "reason: timeout",
        "within: 3.3s",
        "after: 3.3s",
        "attempts: [switch timeout, madre success]",
        "attempts: [switch fatal, madre 200]",
        "attempts: [switch, madre]",
        "attempts: 2",
    ],
)
def test_what_is_so_holds(text):
    assert judged(f"{{chats: 1, {text}}}", HUNG) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("provider: local", "provider local"),
        ("degraded: false", "not degraded"),
        ("reason: none", "reason none"),
        ("within: 3299ms", "within 3.299s"),
        ("after: 3301ms", "after at least 3.301s"),
        ("attempts: [madre success, switch timeout]", "attempts [madre success, switch timeout]"),
        ("attempts: [switch timeout]", "attempts [switch timeout]"),
        ("attempts: [switch timeout, madre success, madre]", "attempts [switch timeout, madre success, madre]"),
        ("attempts: [switch timeout, madre 503]", "attempts [switch timeout, madre 503]"),
        ("attempts: []", "attempts []"),
        ("attempts: 1", "1 attempt"),
        ("attempts: 3", "3 attempts"),
        ("no_attempt_on: switch", "no attempt on switch"),
        ("no_attempt_on: [switch, madre]", "no attempt on switch, no attempt on madre"),
        ("provider: local, degraded: true, reason: open", "provider local, reason open"),
    ],
)
def test_what_is_otherwise_is_said_with_all_that_a_person_needs(text, expected):
    assert failure(f"{{chats: 1, {text}}}", HUNG) == Failure(
        "chat 1 (at 0ms)",
        expected,
        "provider madre, degraded, reason timeout, after 3.3s",
        "attempts",
        "switch timeout after 3.25s; madre success after 50ms",
    )


def test_an_answer_by_the_primary_is_not_degraded_and_has_no_reason():
    came = played(["ok"])
    assert judged("{chats: 1, provider: switch, degraded: false, reason: none, no_attempt_on: madre}", came) == []
    assert failure("{chats: 1, degraded: true}", came).got == "provider switch, after 50ms"


def test_waits_are_shown():
    came = played(["refuse"])
    told = failure("{chats: 1, provider: local}", came).course.split("; ")
    assert told[0] == told[2] == "switch connect after 1ms"
    assert told[1].startswith("waited ")
    assert told[1].endswith("ms")
    assert told[3:] == ["madre success after 50ms"]


def test_who_was_not_asked_is_shown():
    came = played(["error"], chats=4)
    assert failure("{chats: 4, provider: switch}", came).course == "switch not asked (open); madre success after 50ms"


def test_each_chat_that_is_otherwise_is_a_failure():
    came = played(["error", "ok", "error", "ok"], chats=4)
    assert [one.about for one in judged("{chats: all, provider: switch}", came)] == [
        "chat 1 (at 0ms)",
        "chat 3 (at 2s)",
    ]
    assert [one.about for one in judged("{chats: 2-3, provider: switch}", came)] == ["chat 3 (at 2s)"]


def test_a_client_that_left_and_a_503_are_told_apart():
    left = played(["hang"], leaves=1.0)
    assert judged("{chats: 1, provider: client_gone, attempts: [switch ignored], within: 1s}", left) == []
    assert failure("{chats: 1, provider: nobody}", left) == Failure(
        "chat 1 (at 0ms)", "provider nobody", "the client left after 1s", "attempts", "switch ignored after 1s"
    )
    refused = played(["error"], ["error"], policy=parse("fallback: {local: error}", "p"))
    assert judged("{chats: 1, provider: nobody, degraded: true, reason: failure}", refused) == []
    assert failure("{chats: 1, provider: client_gone}", refused).got.startswith(
        "provider nobody, degraded, reason failure"
    )


def test_a_status_is_shown_where_it_tells_more_than_the_verdict():
    odd = WORDS["switch"]["error"]._replace(outcome=replace(WORDS["switch"]["error"].outcome, status=503))
    came = play(Case("n", HERE, {"switch": (Phase(0.0, (odd,)),)}, (Chat(0.0, None, None),), (), ()), POLICY, 1)
    assert failure("{chats: 1, attempts: []}", came).course == "switch 503 after 50ms; madre success after 50ms"
    assert judged("{chats: 1, attempts: [switch retryable, madre]}", came) == []


def test_a_long_course_is_cut():
    words = "breaker: {consecutive: 0, min_calls: 20}\nretry: {max_attempts: 10}\nretry_budget: {burst: 20}\n"
    eager = parse(f"{words}targets: [{{name: switch, effects: none}}]", "p")
    told = failure("{chats: 1, attempts: 1}", played(["reset"], policy=eager)).course.split("; ")
    assert told[0] == "switch reset after 50ms"
    assert told[12:] == ["and 7 more"]  # ten attempts, nine waits


# -- breakers ----------------------------------------------------------------------------------------------------------

TRIPPED = played(["error", "error", "error", "ok"], chats=12)  # opens at 2.05, half open at 8, closed at 9.05


@pytest.mark.parametrize(
    ("at", "state"),
    [("0s", "closed"), ("2049ms", "closed"), ("2.05s", "open"), ("7.9s", "open"), ("8s", "half_open"), ("9.05s", "closed"), ("1h", "closed")],
)  # fmt: skip
def test_a_breaker_is_what_it_last_became(at, state):
    assert judged(f"breaker: {{target: switch, at: {at}, state: {state}}}", TRIPPED) == []


def test_a_breaker_in_another_state_is_shown_with_all_its_moves():
    assert failure("breaker: {target: switch, at: 3s, state: closed}", TRIPPED) == Failure(
        "breaker of switch at 3s",
        "closed",
        "open since 2.05s (consecutive)",
        "moves",
        "open at 2.05s (consecutive); half_open at 8s (timer); closed at 9.05s (recovered)",
    )
    never = failure("breaker: {target: madre, at: 3s, state: open}", TRIPPED)
    assert never[2:] == ("closed", "moves", "none")


# -- counts and shares -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "attempts: {target: switch, exactly: 7}",
        "attempts: {target: switch, at_least: 7, at_most: 7}",
        "attempts: {exactly: 15}",
        "attempts: {target: madre, at_most: 8}",
        "trips: {target: switch, exactly: 1}",
        "trips: {target: madre, at_most: 0}",
        "share: {provider: madre, exactly: 66.6667%}",
        "share: {provider: switch, at_least: 33%, at_most: 34%}",
        "share: {degraded: false, at_least: 33%}",
        "share: {provider: local, exactly: 0%}",
    ],
)
def test_counts_and_shares_that_are_so_hold(text):
    assert judged(text, TRIPPED) == []


MOVES = "open at 2.05s (consecutive); half_open at 8s (timer); closed at 9.05s (recovered)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attempts: {target: switch, at_most: 6}", ("attempts on switch", "at most 6", "7", "attempts", "switch success 4, switch fatal 3")),
        ("attempts: {at_least: 16}", ("attempts", "at least 16", "15", "attempts", "madre success 8, switch success 4, switch fatal 3")),
        ("attempts: {at_least: 1, at_most: 2}", ("attempts", "at least 1 and at most 2", "15", "attempts", "madre success 8, switch success 4, switch fatal 3")),
        ("trips: {target: switch, exactly: 2}", ("trips on switch", "exactly 2", "1", "moves", MOVES)),
        ("trips: {target: madre, at_least: 1}", ("trips on madre", "at least 1", "0", "moves", "none")),
        ("share: {provider: switch, at_least: 80%}", ("share answered by switch", "at least 80%", "33.3333% (4 of 12)", "chats", "madre 8, switch 4")),
        ("share: {degraded: true, at_most: 10%}", ("share degraded", "at most 10%", "66.6667% (8 of 12)", "chats", "madre 8, switch 4")),
        ("share: {degraded: false, exactly: 100%}", ("share not degraded", "exactly 100%", "33.3333% (4 of 12)", "chats", "madre 8, switch 4")),
    ],
)  # fmt: skip
def test_counts_and_shares_that_are_otherwise_are_said(text, expected):
    assert failure(text, TRIPPED) == Failure(*expected)


def test_no_attempt_at_all_is_none():
    assert failure("attempts: {target: madre, at_least: 1}", played(["ok"])).course == "none"
    off = parse("targets: [{name: local}]", "p")
    assert failure("{chats: 1, attempts: 1}", played(["ok"], policy=off)).course == "none"


def test_an_override_that_came_to_nothing_is_a_failure():
    told = misfit(Overriding(3.0, HERE, "madre", Override.OFF))
    assert told == Failure(
        "the override of madre at 3s", "madre on the ladder", "a policy in force that does not ask it", "", ""
    )


# -- nothing that is otherwise can hold --------------------------------------------------------------------------------

WORD_LISTS = st.fixed_dictionaries(
    {target: st.lists(st.sampled_from(sorted(WORDS[target])), min_size=1, max_size=4) for target in WORDS}
)


@given(WORD_LISTS, st.integers(1, 6), st.sampled_from([0.0, 0.1, 3.0]), st.none() | st.sampled_from([0.02, 2.0]))
def test_what_came_holds_and_anything_else_does_not(words, chats, every, leaves):
    came = played(words["switch"], words["madre"], chats, every=every, leaves=leaves)
    for number, chat in enumerate(came.chats, 1):
        finish = chat.finish
        provider = "client_gone" if finish.abandoned else finish.provider
        reason = finish.reason.value if finish.reason else "none"
        seconds = round(chat.seconds, 6)
        signs = tuple(Sign(one.target, one.verdict.value) for one in chat.attempts)
        so = OfChats(HERE, number, number, provider, finish.degraded, reason, seconds, seconds, signs, len(signs))
        assert judge(so, came) == []
        others = [
            *(so._replace(provider=other) for other in PROVIDERS if other != provider),
            *(so._replace(reason=other) for other in ("none", *Reason) if other != reason),
            so._replace(degraded=not finish.degraded),
            so._replace(within=seconds - 0.001, after=None),
            so._replace(after=seconds + 0.001, within=None),
            so._replace(attempts=(*signs, Sign("switch", None))),
            so._replace(number=len(signs) + 1),
            *(so._replace(attempts=(*signs[:n], *signs[n + 1 :])) for n in range(len(signs))),
            *(so._replace(attempts=None, untouched=(sign.target,)) for sign in signs),
        ]
        for other in others:
            assert judge(other, came), other
