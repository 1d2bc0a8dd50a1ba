"""What is expected, as written: the words it takes, and what is refused. What it comes to as values is in the tests of documents."""

from __future__ import annotations

import pytest

from sidecar.policy.source import read
from sidecar.replay.cases.expected import read_expected
from sidecar.replay.form import Form

CHATS = 5


def expected(text):
    root, problems = read(f"- {text}", "e")
    form = Form(problems)
    found = read_expected(form, root, (), CHATS)
    return found, [str(problem) for problem in sorted(form.problems)]


@pytest.mark.parametrize(
    ("chats", "range_"),
    [
        ("all", (1, 5)),
        ("last", (5, 5)),
        ("1", (1, 1)),
        ("5", (5, 5)),
        ("2-4", (2, 4)),
        ("3-3", (3, 3)),
        ("'2'", (2, 2)),
    ],
)
def test_chats_are_counted_from_one(chats, range_):
    [found], problems = expected(f"{{chats: {chats}, degraded: true}}")
    assert problems == []
    assert (found.first, found.last) == range_


@pytest.mark.parametrize(
    ("attempts", "signs"),
    [
        ("[]", ()),
        ("[switch]", ("switch",)),
        ("[switch timeout, madre success]", ("switch timeout", "madre success")),
        ("[switch 503, madre connect-timeout, madre not-json]", ("switch 503", "madre connect-timeout", "madre not-json")),
        ("[switch caller_error]", ("switch caller_error",)),
    ],
)  # fmt: skip
def test_attempts_are_a_target_and_a_word(attempts, signs):
    [found], problems = expected(f"{{chats: 1, attempts: {attempts}}}")
    assert problems == []
    assert tuple(map(str, found.attempts)) == signs
    assert found.number is None


TARGET = "must be switch or madre"
SIGNS = "success, degraded, retryable, fatal, caller_error, misconfigured, ignored, connect, dns, connect-timeout, no-socket, timeout, reset, truncated, protocol, too-large, not-json"
REASONS = "none, open, failure, timeout, budget, limited, dormant, unhealthy, off, misconfigured, caller_error, waiting or affinity"
ABOUT = "must be about one thing: chats, breaker, attempts, trips or share, as in - chats: all"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("5", f"e:1:3: [0]: {ABOUT}"),
        ("{provider: switch}", f"e:1:3: [0]: {ABOUT}"),
        ("{breaker: {}, share: {}}", f"e:1:3: [0]: {ABOUT}"),
        ("{}", f"e:1:3: [0]: {ABOUT}"),
        # chats
        ("{chats: 1}", "e:1:3: [0]: expects nothing of these chats: write one of provider, degraded, reason, within, after, attempts and no_attempt_on"),
        ("{chats: 1, providr: switch}", "e:1:14: [0].providr: is not a known key: did you mean provider?"),
        ("{chats: some, degraded: true}", "e:1:11: [0].chats: must be all, last, the number of a chat (from 1), or a range as in 2-5; found some"),
        ("{chats: 0, degraded: true}", "e:1:11: [0].chats: must be all, last, the number of a chat (from 1), or a range as in 2-5; found 0"),
        ("{chats: true, degraded: true}", "e:1:11: [0].chats: must be all, last, the number of a chat (from 1), or a range as in 2-5; found true"),
        ("{chats: [1], degraded: true}", "e:1:11: [0].chats: must be all, last, the number of a chat (from 1), or a range as in 2-5; found a list"),
        ("{chats: 6, degraded: true}", "e:1:11: [0].chats: must be among the chats of this case, 1 to 5; found 6"),
        ("{chats: 4-6, degraded: true}", "e:1:11: [0].chats: must be among the chats of this case, 1 to 5; found 4-6"),
        ("{chats: 4-2, degraded: true}", "e:1:11: [0].chats: must be among the chats of this case, 1 to 5; found 4-2"),
        ("{chats: 1, provider: hermes}", "e:1:24: [0].provider: must be switch, madre, local, nobody or client_gone; found hermes"),
        ("{chats: 1, degraded: no}", "e:1:24: [0].degraded: must be true or false; found no"),
        ("{chats: 1, reason: slow}", f"e:1:22: [0].reason: must be {REASONS}; found slow"),
        ("{chats: 1, within: 3.5}", "e:1:22: [0].within: must be 0 or a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s; found 3.5"),
        ("{chats: 1, after: 2s, within: 1s}", "e:1:21: [0].after: must not be longer than within; found 2s"),
        ("{chats: 1, attempts: switch}", "e:1:24: [0].attempts: must be a list of attempts, as in [switch timeout, madre success], or how many there are; found switch"),
        ("{chats: 1, attempts: -1}", "e:1:24: [0].attempts: must be a whole number from 0 to 1000000; found -1"),
        ("{chats: 1, attempts: true}", "e:1:24: [0].attempts: must be a whole number from 0 to 1000000; found true"),
        ("{chats: 1, attempts: [local ok]}", f"e:1:25: [0].attempts[0]: {TARGET} and what came of it, as in switch timeout; found local ok"),
        ("{chats: 1, attempts: [5]}", f"e:1:25: [0].attempts[0]: {TARGET} and what came of it, as in switch timeout; found 5"),
        ("{chats: 1, attempts: [switch was slow]}", f"e:1:25: [0].attempts[0]: {TARGET} and what came of it, as in switch timeout; found switch was slow"),
        ("{chats: 1, attempts: [switch slow]}", f"e:1:25: [0].attempts[0]: must end with {SIGNS} or an HTTP status; found switch slow"),
        ("{chats: 1, attempts: [switch 600]}", f"e:1:25: [0].attempts[0]: must end with {SIGNS} or an HTTP status; found switch 600"),
        ("{chats: 1, no_attempt_on: local}", f"e:1:29: [0].no_attempt_on: {TARGET}; found local"),
        ("{chats: 1, no_attempt_on: []}", "e:1:29: [0].no_attempt_on: must be a list of targets, with at least one"),
        ("{chats: 1, no_attempt_on: [switch, x]}", f"e:1:38: [0].no_attempt_on[1]: {TARGET}; found x"),
        # breakers
        ("breaker: {target: switch, at: 1s}", "e:1:3: [0].breaker.state: is missing: write it"),
        ("breaker: {target: local, at: 1s, state: open}", f"e:1:21: [0].breaker.target: {TARGET}; found local"),
        ("breaker: {target: switch, at: 1s, state: shut}", "e:1:44: [0].breaker.state: must be closed, open, half_open, forced_open or forced_closed; found shut"),
        ("breaker: open", "e:1:12: [0].breaker: must be a mapping of target, at and state; found open"),
        # counts and shares
        ("attempts: 3", "e:1:13: [0].attempts: must be a mapping of target, at_least, at_most and exactly; found 3"),
        ("attempts: {target: switch}", "e:1:3: [0].attempts: must say how many: at_least, at_most or both, or exactly alone"),
        ("attempts: {exactly: 3, at_most: 3}", "e:1:3: [0].attempts: must say how many: at_least, at_most or both, or exactly alone"),
        ("attempts: {at_least: 3, at_most: 2}", "e:1:36: [0].attempts.at_most: must not be below at_least; found 2"),
        ("attempts: {at_most: 2.5}", "e:1:23: [0].attempts.at_most: must be a whole number from 0 to 1000000; found 2.5"),
        ("trips: {at_most: 2}", "e:1:3: [0].trips.target: is missing: write it"),
        ("share: {at_least: 5%}", "e:1:3: [0].share: must be of one thing: provider, as in madre, or degraded, true or false"),
        ("share: {provider: switch, degraded: true, at_least: 5%}", "e:1:3: [0].share: must be of one thing: provider, as in madre, or degraded, true or false"),
        ("share: {provider: switch}", "e:1:3: [0].share: must say how many: at_least, at_most or both, or exactly alone"),
        ("share: {provider: switch, at_least: 0.8}", "e:1:39: [0].share.at_least: must be a share: a percentage, as in 50% or 99.9%; found 0.8"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_place_and_says_what_would_be_right(text, complaint):
    assert complaint in expected(text)[1]
