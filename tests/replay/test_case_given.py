"""What a target does, as written: words, answers in full, lists and phases, and what is refused."""

from __future__ import annotations

import pytest

from sidecar.core.classify import Classifier
from sidecar.core.value import replace
from sidecar.core.vocabulary import ErrorKind, Outcome, Verdict
from sidecar.lab.faults import BEHAVIOURS
from sidecar.policy.model import Policy
from sidecar.policy.source import read
from sidecar.replay.cases.case import Answer, Phase
from sidecar.replay.cases.given import NEVER, TARGETS, WORDS, read_given, well
from sidecar.replay.form import Form

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)


def given(text, target="switch"):
    """The phases of ``target``, and what is wrong."""
    root, problems = read(f"{target}: {text}", "g")
    form = Form(problems)
    phases = read_given(form, root, ()).get(target)
    return phases, [str(problem) for problem in sorted(form.problems)]


def phases(text, target="switch"):
    found, problems = given(text, target)
    assert problems == []
    return found


def answer(text, target="switch"):
    [phase] = phases(text, target)
    [found] = phase.answers
    assert phase.start == 0.0
    return found


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "word", "expected"),
    [
        ("switch", "ok", Answer(0.05, 0.05, GOOD)),
        ("madre", "ok", Answer(0.05, 0.05, replace(GOOD, body={"status": "DONE"}))),
        ("switch", "refuse", Answer(0.001, 0.001, Outcome(error=ErrorKind.CONNECT))),
        ("switch", "503", Answer(0.05, 0.05, Outcome(status=503))),
        ("switch", "204", Answer(0.05, 0.05, Outcome(status=204, body={"status": "ok"}, text=True))),
        ("madre", "waiting", Answer(0.05, 0.05, Outcome(status=200, body={"status": "WAITING"}, text=True))),
        ("switch", "reset", Answer(0.05, 0.05, Outcome(error=ErrorKind.RESET))),
    ],
)
def test_a_word_is_an_answer(target, word, expected):
    assert answer(word, target) == expected


VERDICTS = {
    "ok": Verdict.SUCCESS,
    "waiting": Verdict.DEGRADED,
    "refuse": Verdict.RETRYABLE,
    "reset": Verdict.RETRYABLE,
}


@pytest.mark.parametrize("target", TARGETS)
def test_every_word_means_to_the_default_policy_what_it_says(target):
    [classify] = [Classifier(one) for one in Policy().ladder if one.name == target]
    for word, one in WORDS[target].items():
        assert classify(one.outcome) is VERDICTS.get(word, Verdict.FATAL), word


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_lab_can_do_can_be_written(target):
    numbers = {word for word in BEHAVIOURS[target] if word.isdigit()}
    assert set(BEHAVIOURS[target]) - numbers <= set(WORDS[target])
    assert all(answer(number, target).outcome.status == int(number) for number in numbers)


def test_silence_never_ends():
    assert answer("hang").least == NEVER


def test_who_is_not_named_is_well():
    assert well("switch") == phases("ok")
    assert given("ok", "madre")[0] == well("madre")


# -- in full -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{after: 60ms}", Answer(0.06, 0.06, GOOD)),
        ("{after: 0s, status: 200}", Answer(0.0, 0.0, GOOD)),
        ("{after: 20ms to 80ms}", Answer(0.02, 0.08, GOOD)),
        ("{status: 503, retry_after: 1s}", Answer(0.05, 0.05, Outcome(status=503, retry_after=1.0))),
        ("{body: {status: error}}", Answer(0.05, 0.05, replace(GOOD, body={"status": "error"}))),
        ("{body: {a.b: true, c: 5}, text: false}", Answer(0.05, 0.05, Outcome(status=200, body={"a.b": "true", "c": "5"}))),
        ("{status: 500, text: true}", Answer(0.05, 0.05, Outcome(status=500, text=True))),
        ("{error: dns}", Answer(0.001, 0.001, Outcome(error=ErrorKind.DNS))),
        ("{error: truncated, after: 2s}", Answer(2.0, 2.0, Outcome(error=ErrorKind.TRUNCATED))),
        ("{error: connect-timeout}", Answer(NEVER, NEVER, Outcome(error=ErrorKind.CONNECT_TIMEOUT))),
    ],
)  # fmt: skip
def test_an_answer_in_full(text, expected):
    assert answer(text) == expected


def test_a_list_is_one_answer_after_the_other():
    [phase] = phases("[refuse, {after: 1s}, 503]")
    assert phase.start == 0.0
    assert [one.outcome.error or one.outcome.status for one in phase.answers] == [ErrorKind.CONNECT, 200, 503]


def test_phases_have_their_times():
    first, second = phases("[{from: 0s, answer: hang}, {from: 10s, answer: {after: 60ms}}]")
    assert (first.start, first.answers[0].least) == (0.0, NEVER)
    assert second == Phase(10.0, (Answer(0.06, 0.06, GOOD),))


# -- wrong -------------------------------------------------------------------------------------------------------------

DURATION = "must be 0 or a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s"
SWITCH = "must be ok, error, partial, empty, hang, refuse, reset, garbage, html, huge, an HTTP status, or a mapping of after, status, body, text, retry_after and error"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hangs", f"g:1:9: switch: {SWITCH}; found hangs"),
        ("waiting", f"g:1:9: switch: {SWITCH}; found waiting"),  # only madre waits
        ("600", f"g:1:9: switch: {SWITCH}; found 600"),
        ("true", f"g:1:9: switch: {SWITCH}; found true"),
        ("", "g:1:1: switch: has no value: write one, or leave the key out for the default"),
        ("[]", "g:1:9: switch: must be a list of answers, or of phases, with at least one"),
        ("[ok, no]", f"g:1:14: switch[1]: {SWITCH}; found no"),
        ("{afer: 1s}", "g:1:10: switch.afer: is not a known key: did you mean after?"),
        ("{after: 60}", f"g:1:17: switch.after: {DURATION}; found 60"),
        ("{after: 60 to 80ms}", f"g:1:17: switch.after: {DURATION}; found 60 to 80ms"),
        ("{after: 80ms to 20ms}", "g:1:17: switch.after: must be the shorter time first, as in 20ms to 80ms; found 80ms to 20ms"),
        ("{after: 80ms to}", f"g:1:17: switch.after: {DURATION}; found 80ms to"),
        ("{status: 99}", "g:1:18: switch.status: must be a whole number from 100 to 599; found 99"),
        ("{status: ok}", "g:1:18: switch.status: must be a whole number from 100 to 599; found ok"),
        ("{text: yes}", "g:1:16: switch.text: must be true or false; found yes"),
        ("{retry_after: 500ms}", "g:1:23: switch.retry_after: must be whole seconds, as HTTP has it; found 500ms"),
        ("{error: timeout}", "g:1:17: switch.error: must not be timeout, which is what silence leads to: write hang; found timeout"),
        ("{error: refused}", "g:1:17: switch.error: must be connect, dns, connect-timeout, no-socket, reset, truncated, protocol, too-large or not-json; found refused"),
        ("{error: dns, status: 200}", "g:1:22: switch.status: does not go with error: state one or the other"),
        ("{error: dns, text: true}", "g:1:22: switch.text: does not go with error: state one or the other"),
        ("{error: connect-timeout, after: 1s}", "g:1:34: switch.after: does not go with connect-timeout: the policy says after how long (timeouts.connect)"),
        ("{body: error}", "g:1:16: switch.body: must be a mapping of dotted paths to words, as in {status: error}; found error"),
        ("{body: {a: {b: c}}}", "g:1:20: switch.body.a: must be a word or number; what lies deeper is written a.b: word; found a mapping"),
        ("{body: {reply: hola}}", "g:1:17: switch.body.reply: this is the text of an answer, which no rule sees: write text: true"),
        ("{body: {a.reply.b: hola}}", "g:1:17: switch.body.a.reply.b: this is the text of an answer, which no rule sees: write text: true"),
        (f"{{body: {{a: {'b' * 65}}}}}", f"g:1:20: switch.body.a: must have at most 64 characters: rules see nothing longer; found {'b' * 40}…"),
        ("{body: {a: }}", "g:1:17: switch.body.a: has no value: write one, or leave the key out for the default"),
        ("[{from: 1s, answer: ok}]", "g:1:17: switch[0].from: must be 0s in the first phase; found 1s"),
        ("[{from: 0s, answer: ok}, {from: 0s, answer: ok}]", "g:1:41: switch[1].from: must be later than the phase before it; found 0s"),
        ("[{from: 0s, after: 1s}]", "g:1:21: switch[0].after: is not a known key: here stand from, answer"),
        ("[{from: 0s}]", "g:1:10: switch[0].answer: is missing: write it"),
        ("[{from: 0s, answer: ok}, hang]", "g:1:34: switch[1]: must be a mapping of from and answer; found hang"),
        ("[{from: 0s, answer: [ok]}]", f"g:1:29: switch[0].answer: {SWITCH}; found a list"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_place_and_says_what_would_be_right(text, complaint):
    assert complaint in given(text)[1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("swich: ok", "g:1:1: swich: is not a known key: did you mean switch?"),
        ("local: ok", "g:1:1: local: is not a known key: here stand switch, madre"),
        ("switch", "g:1:1: must be a mapping of switch and madre; found switch"),
    ],
)
def test_only_targets_are_given(text, complaint):
    root, problems = read(text, "g")
    form = Form(problems)
    read_given(form, root, ())
    assert [str(problem) for problem in form.problems] == [complaint]
