"""The tree itself: defaults, the merging of what is said about targets, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.policy.model import BUILTIN, PER_TARGET, Backoff, LimiterPolicy, Policy, Retry, Target, Timeouts
from sidecar.policy.schema import schema
from sidecar.policy.units import Rate


def wrong(**stated: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as raised:
        Policy(**stated)
    return {".".join(map(str, e["loc"])): e["msg"] for e in raised.value.errors(include_url=False)}


def test_an_empty_policy_is_safe_inside_a_client_of_five_seconds() -> None:
    policy = Policy()
    assert (policy.mode, policy.auth.mode, policy.deadline.client, policy.deadline.margin) == (
        "enforce",
        "token",
        5,
        0.25,
    )
    assert [target.name for target in policy.targets] == ["switch", "madre", "local"]
    assert [target.effects for target in policy.ladder] == ["unsafe", "unsafe"]
    assert policy.guards.rate_limit == Rate(10, 60.0)
    assert policy.relay.deny == ("/debug/*",)


def test_defaults_are_the_plain_values_that_reading_would_make() -> None:
    policy = Policy()
    assert Policy.model_validate(policy.model_dump(mode="json")) == policy
    dumped = policy.model_dump()
    assert dumped["timeouts"] == {"connect": "300ms", "attempt": "auto"}  # serialised with units in every mode
    assert type(policy.guards.max_body) is int
    assert all(
        type(v) is float for v in (policy.timeouts.connect, policy.retry_budget.burst, policy.breaker.open.multiplier)
    )


def test_the_policy_is_frozen_and_strict() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Policy().mode = "off"  # type: ignore[misc]
    assert wrong(retry={"max_attempts": "2"}).keys() >= {"retry.max_attempts"}
    assert wrong(version=True) == {"version": "Value error, must be 1, the only version of the schema there is"}
    assert wrong(version=1.0).keys() == {"version"}
    assert wrong(targets=5).keys() == {"targets"}
    with pytest.raises(ValidationError):
        Policy.model_validate(5)


# ── precedence: the target's own, the top, built in for that target, the field's default; for each leaf by itself ──


@pytest.mark.parametrize(
    ("own", "top", "queue", "max_concurrent"),
    [
        ({}, {}, 4, 2),
        ({}, {"queue": 7}, 7, 2),
        ({"queue": 1}, {"queue": 7}, 1, 2),
        ({"queue": 1}, {"max_concurrent": 9}, 1, 9),
        ({"queue": 1, "max_concurrent": 3}, {"queue": 7, "max_concurrent": 9}, 1, 3),
    ],
)
def test_precedence_for_each_leaf(own: dict[str, int], top: dict[str, int], queue: int, max_concurrent: int) -> None:
    policy = Policy(limiter=top, targets=[{"name": "switch"}, {"name": "madre", "limiter": own}])
    madre = policy.targets[1].limiter
    assert (madre.queue, madre.max_concurrent, madre.queue_timeout) == (queue, max_concurrent, 0.2)


def test_a_target_that_states_nothing_takes_the_top_and_what_is_built_in() -> None:
    switch, madre, local = Policy(timeouts={"attempt": "2s"}, targets=[{"name": n} for n in BUILTIN]).targets
    assert (switch.path, madre.path, local.path) == ("/switch/chat", "/madre/chat", None)
    assert (switch.timeouts.attempt, madre.timeouts.attempt, local.timeouts.attempt) == (2.0, 2.0, None)
    assert Policy(targets=[{"name": "switch", "path": "/other"}]).targets[0].path == "/other"


def test_merging_goes_as_deep_as_the_sections_do() -> None:
    policy = Policy(
        breaker={"open": {"base": "1s", "jitter": 0.5}},
        targets=[{"name": "switch", "breaker": {"open": {"base": "2s"}, "half_open": {"permits": 2}}}],
    )
    opened = policy.targets[0].breaker.open
    assert (opened.base, opened.jitter, opened.max) == (2.0, 0.5, 15.0)
    assert policy.breaker.open.base == 1.0


def test_lists_are_replaced_and_not_joined() -> None:
    policy = Policy(retry={"on": [502]}, targets=[{"name": "switch", "retry": {"on": [503]}}, {"name": "madre"}])
    assert [target.retry.on for target in policy.targets] == [(503,), (502,)]


def test_sections_built_in_python_merge_like_those_of_a_file() -> None:
    retry = Retry(max_attempts=4)
    policy = Policy(
        timeouts=Timeouts(connect="1s"),
        retry=retry,
        targets=(
            Target(name="switch", limiter=LimiterPolicy(queue=1)),
            {"name": "madre", "timeouts": Timeouts(attempt="3s")},
        ),
    )
    switch, madre = policy.targets
    assert (switch.timeouts.connect, switch.retry.max_attempts) == (1.0, 4)
    assert (switch.limiter.queue, switch.limiter.max_concurrent) == (1, 4)
    assert (madre.timeouts.connect, madre.timeouts.attempt, madre.limiter.queue) == (1.0, 3.0, 4)


def test_sections_within_sections_merge_when_built_in_python() -> None:
    targets = [{"name": "switch", "retry": {"backoff": {"max": "1s"}}}]
    backoff = Policy(retry={"backoff": Backoff(base="50ms")}, targets=targets).targets[0].retry.backoff
    assert (backoff.base, backoff.max) == (0.05, 1.0)


def test_every_section_of_a_target_stands_at_the_top_as_well() -> None:
    assert set(PER_TARGET) <= set(Policy.model_fields) & set(Target.model_fields)
    for section in PER_TARGET:
        assert Policy.model_fields[section].annotation is Target.model_fields[section].annotation


# ── fields that disagree ──


@pytest.mark.parametrize(
    ("stated", "loc", "words"),
    [
        ({"deadline": {"client": "250ms"}}, "deadline", "deadline.margin must be shorter than deadline.client"),
        ({"breaker": {"min_calls": 21}}, "breaker", "breaker.min_calls must not be larger than breaker.window.size"),
        ({"breaker": {"open": {"max": "1s"}}}, "breaker.open", "breaker.open.base must not be longer"),
        ({"outcome": {"failure": [{}]}}, "outcome.failure.0", "a rule must state status, error or body"),
        ({"targets": [{"name": "madre"}] * 2}, "", "each target may stand once, found madre, madre"),
        ({"targets": [{"name": "local"}, {"name": "madre"}]}, "", "local always answers"),
    ],
)
def test_fields_that_disagree(stated: dict[str, Any], loc: str, words: str) -> None:
    assert words in wrong(**stated)[loc]


def test_the_number_of_calls_binds_only_a_window_that_counts() -> None:
    assert Policy(breaker={"min_calls": 500, "window": {"type": "time"}}).breaker.min_calls == 500


def test_a_rule_may_state_any_one_thing() -> None:
    policy = Policy(outcome={"failure": [{"status": [200]}, {"error": ["dns"]}, {"body": {"a.b": ["x"]}}]})
    assert [rule.status for rule in policy.outcome.failure] == [(200,), (), ()]


# ── text of one form ──


@pytest.mark.parametrize(
    ("stated", "right"),
    [
        ({"intercept": {"paths": ["/a?b"]}}, False),
        ({"intercept": {"paths": ["/a\\b"]}}, False),
        ({"intercept": {"paths": ["/ñ"]}}, False),
        ({"intercept": {"paths": ["a"]}}, False),
        ({"intercept": {"paths": ["/", "/a/[b]~'\"(c)@:,=!$&*+._-{}|^`<>"]}}, True),
        *(({"intercept": {"paths": [f"/a{c}"]}}, False) for c in "?#% \t\\;\x7f"),
        ({"relay": {"deny": ["debug/*"]}}, False),
        ({"relay": {"deny": ["/de*bug"]}}, False),
        ({"relay": {"deny": ["/*", "/x"]}}, True),
        ({"relay": {"trusted_proxies": ["10.0.0.1/8"]}}, False),
        ({"relay": {"trusted_proxies": ["10.0.0.0/8", "::1", "192.0.2.1"]}}, True),
        ({"cors": {"origins": ["http://a/"]}}, False),
        ({"cors": {"origins": ["*"]}}, False),
        ({"cors": {"origins": ["https://a:1"]}}, True),
        ({"auth": {"header": "X-Token"}}, False),
        ({"journal": {"dir": ""}}, False),
        ({"journal": {"dir": "a b"}}, True),
        ({"targets": [{"name": "switch", "url": "http://u:p@h"}]}, False),
        ({"targets": [{"name": "switch", "url": "https://h"}]}, False),
        ({"targets": [{"name": "switch", "url": "http://h:8002"}]}, True),
        ({"targets": [{"name": "switch", "token_from": "env A"}]}, True),
        ({"targets": [{"name": "switch", "token_from": "A"}]}, False),
        ({"fallback": {"local_text": {}}}, False),
        ({"fallback": {"local_text": {"de": "a\nb"}}}, True),
        ({"retry": {"on": [399]}}, False),
        ({"retry": {"on": [True]}}, False),
        ({"retry": {"on": [599, "connect-failure"]}}, True),
    ],
)
def test_forms(stated: dict[str, Any], *, right: bool) -> None:
    if right:
        Policy(**stated)
    else:
        wrong(**stated)


def test_nothing_is_reserved() -> None:
    assert "reserved" not in str(schema()).lower()


def test_the_schema_is_written_like_a_file() -> None:
    made = schema()
    assert made["properties"]["extends"]["type"] == "string"
    assert made["$defs"]["DeadlinePolicy"]["properties"]["client"]["default"] == "5s"
    assert made["$defs"]["Timeouts"]["properties"]["attempt"]["default"] == "auto"
    assert made["properties"]["targets"]["default"] == [{"name": "switch"}, {"name": "madre"}, {"name": "local"}]
    assert "null" not in repr(made)
    assert all("description" in f for d in made["$defs"].values() for f in d["properties"].values())
