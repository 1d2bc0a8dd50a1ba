"""Classification: what the bodies VX11 was seen to send mean, and what a policy's own rules make of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.classify import LONGEST_SCALAR, Classifier, Judged, digest
from sidecar.core.vocabulary import ErrorKind, Outcome, Verdict
from sidecar.policy.model import Policy, Target

SUCCESS, DEGRADED, RETRYABLE, FATAL, CALLER, MISCONFIGURED = (
    Verdict.SUCCESS,
    Verdict.DEGRADED,
    Verdict.RETRYABLE,
    Verdict.FATAL,
    Verdict.CALLER_ERROR,
    Verdict.MISCONFIGURED,
)


def classifier(name: str = "switch", **sections) -> Classifier:
    return Classifier(next(t for t in Policy.model_validate(sections).ladder if t.name == name))


def answer(word: str | None = "ok", *, code: int = 200, text: bool = True, **body: str) -> Outcome:
    return Outcome(status=code, body=body if word is None else {"status": word, **body}, text=text)


@pytest.mark.parametrize(
    ("target", "outcome", "verdict"),
    [
        ("switch", answer("ok"), SUCCESS),
        ("switch", answer(None), SUCCESS),
        ("switch", answer("ok", code=201), SUCCESS),
        ("switch", answer("ok", text=False), FATAL),  # an empty reply
        ("switch", answer("partial"), FATAL),  # "Error en Hermes", under 200
        ("switch", answer("error"), FATAL),  # an exception's text, under 200
        ("switch", answer("service_offline"), FATAL),
        ("switch", answer("WAITING"), SUCCESS),  # madre's word, not the switch's
        ("madre", answer("DONE"), SUCCESS),
        ("madre", answer("WAITING"), DEGRADED),
        ("madre", answer("WAITING", text=False), FATAL),
        ("madre", answer("ERROR"), FATAL),
        ("madre", answer("FAILED"), FATAL),
        ("madre", answer("partial"), SUCCESS),  # the switch's word, not madre's
        ("switch", Outcome(status=204), FATAL),
        ("switch", Outcome(status=300, text=True), FATAL),
        ("switch", Outcome(status=307, text=True), FATAL),
        ("switch", Outcome(status=500), FATAL),
        ("switch", Outcome(status=500, text=True), FATAL),
        ("madre", Outcome(status=500), FATAL),  # text/plain "Internal Server Error"
        *[("switch", Outcome(status=code), MISCONFIGURED) for code in (401, 403, 404, 405, 415, 422)],
        *[("switch", Outcome(status=code), CALLER) for code in (400, 413)],
        *[("switch", Outcome(status=code), RETRYABLE) for code in (429, 502, 503, 504)],
        *[
            ("switch", Outcome(error=kind), RETRYABLE)
            for kind in (ErrorKind.CONNECT, ErrorKind.DNS, ErrorKind.CONNECT_TIMEOUT, ErrorKind.RESET)
        ],
        *[
            ("switch", Outcome(error=kind), FATAL)
            for kind in (
                ErrorKind.TIMEOUT,
                ErrorKind.TRUNCATED,
                ErrorKind.PROTOCOL,
                ErrorKind.TOO_LARGE,
                ErrorKind.NOT_JSON,
            )
        ],
    ],
)
def test_what_vx11_was_seen_to_do_has_its_meaning(target, outcome, verdict):
    assert classifier(target)(outcome) is verdict


@pytest.mark.parametrize("word", ["error", "FAILED", "partial", "WAITING", "ok", None])
def test_where_nothing_is_built_in_for_a_target_any_word_with_text_is_an_answer(word):
    assert Classifier(Target(name="local"))(answer(word)) is SUCCESS


@pytest.mark.parametrize(
    ("on", "outcome", "verdict"),
    [
        ([503], Outcome(status=503), RETRYABLE),
        ([503], Outcome(status=502), FATAL),
        ([500], Outcome(status=500), RETRYABLE),
        ([503], Outcome(error=ErrorKind.CONNECT), FATAL),
        ([503], Outcome(error=ErrorKind.RESET), FATAL),
        (["connect-failure"], Outcome(error=ErrorKind.CONNECT_TIMEOUT), RETRYABLE),
        (["connect-failure"], Outcome(error=ErrorKind.RESET), FATAL),
        (["reset-before-headers"], Outcome(error=ErrorKind.RESET), RETRYABLE),
        (["reset-before-headers"], Outcome(error=ErrorKind.TRUNCATED), FATAL),
        ([401], Outcome(status=401), MISCONFIGURED),  # asking again with the same token helps nobody
    ],
)
def test_retry_on_says_which_failures_may_be_tried_again(on, outcome, verdict):
    assert classifier(retry={"on": on})(outcome) is verdict


def test_a_silent_target_is_asked_again_only_by_explicit_wish():
    silent = Outcome(error=ErrorKind.TIMEOUT)
    assert classifier()(silent) is FATAL
    assert classifier(retry={"on_timeout": True})(silent) is RETRYABLE


@pytest.mark.parametrize(
    ("rules", "outcome", "verdict"),
    [
        (
            {"failure": {"body": {"fallback_reason": ["cli_unavailable"]}}},
            answer(fallback_reason="cli_unavailable"),
            FATAL,
        ),
        ({"failure": {"body": {"fallback_reason": ["cli_unavailable"]}}}, answer(fallback_reason="other"), SUCCESS),
        ({"failure": {"body": {"fallback_reason": ["cli_unavailable"]}}}, answer(), SUCCESS),
        ({"failure": {"status": [200], "body": {"a": ["1"], "b": ["2", "3"]}}}, answer(a="1", b="3"), FATAL),
        ({"failure": {"status": [200], "body": {"a": ["1"], "b": ["2", "3"]}}}, answer(a="1", b="4"), SUCCESS),
        ({"failure": {"status": [201], "body": {"a": ["1"]}}}, answer(a="1"), SUCCESS),
        ({"degraded": {"body": {"status": ["partial"]}}}, answer("partial"), DEGRADED),
        (
            {"degraded": {"body": {"status": ["partial"]}}},
            answer("partial", text=False),
            FATAL,
        ),  # nothing to show is no answer
        ({"degraded": {"error": ["timeout"]}}, Outcome(error=ErrorKind.TIMEOUT), FATAL),
        ({"caller_error": {"status": [422]}}, Outcome(status=422), CALLER),
        ({"misconfigured": {"error": ["dns"]}}, Outcome(error=ErrorKind.DNS), MISCONFIGURED),
        ({"misconfigured": {"error": ["dns"]}}, Outcome(error=ErrorKind.CONNECT), RETRYABLE),
        ({"misconfigured": {"error": ["dns"]}}, Outcome(status=200, text=True), SUCCESS),
        ({"failure": {"status": [401]}}, Outcome(status=401), FATAL),
        ({"failure": {"status": [503]}}, Outcome(status=503), RETRYABLE),  # a failure, and retry.on still decides
        ({"misconfigured": {"status": [503]}, "failure": {"status": [503]}}, Outcome(status=503), MISCONFIGURED),
        ({"caller_error": {"status": [503]}, "failure": {"status": [503]}}, Outcome(status=503), CALLER),
        ({"failure": {"status": [200]}, "degraded": {"status": [200]}}, answer(), FATAL),
    ],
)
def test_a_policys_own_rules_come_first_in_their_order(rules, outcome, verdict):
    assert classifier(outcome={kind: [rule] for kind, rule in rules.items()})(outcome) is verdict


@pytest.mark.parametrize(
    ("target", "outcome", "judged"),
    [
        ("switch", answer("ok"), (SUCCESS, "answer")),
        ("switch", answer(None, code=201), (SUCCESS, "answer")),
        ("switch", answer("partial"), (FATAL, "status partial")),
        ("switch", answer("error", text=False), (FATAL, "status error")),
        ("madre", answer("WAITING"), (DEGRADED, "status WAITING")),
        ("madre", answer("WAITING", text=False), (FATAL, "no text")),
        ("switch", Outcome(status=204), (FATAL, "no text")),
        ("switch", Outcome(status=500, text=True), (FATAL, "HTTP 500")),
        ("switch", Outcome(status=503), (RETRYABLE, "HTTP 503")),
        ("switch", Outcome(status=401), (MISCONFIGURED, "HTTP 401")),
        ("switch", Outcome(status=413), (CALLER, "HTTP 413")),
        ("switch", Outcome(error=ErrorKind.TIMEOUT), (FATAL, "error timeout")),
        ("switch", Outcome(error=ErrorKind.CONNECT_TIMEOUT), (RETRYABLE, "error connect-timeout")),
        ("switch", Outcome(error=ErrorKind.NO_SOCKET), (Verdict.IGNORED, "error no-socket")),
        ("switch", Outcome(), (FATAL, "no answer")),
    ],
)
def test_the_built_in_rule_that_judged_is_said_in_a_closed_word(target, outcome, judged):
    assert classifier(target).judge(outcome) == Judged(*judged)


@pytest.mark.parametrize(
    ("outcome", "judged"),
    [
        (Outcome(status=418), (MISCONFIGURED, "outcome.misconfigured[0]")),
        (Outcome(status=419), (CALLER, "outcome.caller_error[0]")),
        (answer("ok", lane="a"), (FATAL, "outcome.failure[0]")),
        (answer("ok", lane="b"), (FATAL, "outcome.failure[1]")),
        (Outcome(status=503, body={"lane": "b"}), (RETRYABLE, "outcome.failure[1]")),
        (answer("ok", lane="c"), (DEGRADED, "outcome.degraded[0]")),
        (answer("ok", lane="d"), (SUCCESS, "answer")),
    ],
)
def test_a_rule_of_the_policy_is_said_as_its_place_in_the_file(outcome, judged):
    rules = {
        "misconfigured": [{"status": [418]}],
        "caller_error": [{"status": [419]}],
        "failure": [{"body": {"lane": ["a"]}}, {"body": {"lane": ["b"]}}],
        "degraded": [{"body": {"lane": ["c"]}}],
    }
    assert classifier(outcome=rules).judge(outcome) == Judged(*judged)


@given(
    st.one_of(
        st.builds(Outcome, error=st.sampled_from(ErrorKind)),
        st.builds(
            Outcome,
            status=st.integers(100, 599),
            body=st.dictionaries(st.sampled_from(["status", "x"]), st.sampled_from(["ok", "error", "WAITING", "x"])),
            text=st.booleans(),
        ),
    ),
    st.sampled_from(["switch", "madre"]),
)
def test_whatever_is_called_an_answer_is_a_2xx_with_something_to_show(outcome, target):
    verdict = classifier(target)(outcome)
    assert (verdict is Verdict.IGNORED) is (outcome.error is ErrorKind.NO_SOCKET)
    assert verdict not in (SUCCESS, DEGRADED) or (outcome.text and 200 <= outcome.status < 300)


def test_the_paths_to_look_at_are_those_the_rules_name_and_the_status():
    assert classifier().paths == ("status",)
    assert classifier(
        outcome={"failure": [{"body": {"a.b": ["1"], "a.c": ["1"]}}, {"body": {"a.b": ["2"]}}]}
    ).paths == ("a.b", "a.c", "status")


def test_a_digest_holds_the_short_scalars_at_its_paths_and_nothing_else():
    body = {
        "status": "ok",
        "latency_ms": 12,
        "share": 0.5,
        "used_cli": False,
        "cached": True,
        "none": None,
        "list": ["no"],
        "deep": {"er": {"word": "found"}, "object": {}},
        "reply": "x" * (LONGEST_SCALAR + 1),
        "longest": "x" * LONGEST_SCALAR,
    }
    paths = (
        "status",
        "latency_ms",
        "share",
        "used_cli",
        "cached",
        "none",
        "list",
        "deep.er.word",
        "deep.object",
        "reply",
        "longest",
        "status.x",
        "no.where",
    )
    assert digest(body, paths) == {
        "status": "ok",
        "latency_ms": "12",
        "share": "0.5",
        "used_cli": "false",
        "cached": "true",
        "deep.er.word": "found",
        "longest": "x" * LONGEST_SCALAR,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "status"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "status"]), JSON),
    st.sets(st.sampled_from(["a", "a.b", "a.b.status", "status", ".", ""])),
)
def test_no_body_whatever_makes_a_digest_fail_or_long(body, paths):
    found = digest(body, paths)
    assert set(found) <= paths
    assert all(isinstance(value, str) and len(value) <= LONGEST_SCALAR for value in found.values())
