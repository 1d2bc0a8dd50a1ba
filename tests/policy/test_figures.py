"""Figures: the worked example, what the numbers of a policy come to, and that no call of the core ever exceeds them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import deadline, scene
from sidecar.core.engine import Engine
from sidecar.core.fact import AttemptStarted, FellBack
from sidecar.core.vocabulary import Answered, Attempt, ErrorKind, Finish, Outcome, Queue, Woke
from sidecar.policy import figures as subject
from sidecar.policy.figures import Figures, Span, TargetFigures, figures
from sidecar.policy.model import Policy


def worked_out(switch: dict[str, Any] | None = None, madre: dict[str, Any] | None = None, **sections: Any) -> Figures:
    targets = [{"name": "switch", **(switch or {})}, {"name": "madre", **(madre or {})}]
    return figures(Policy.model_validate({"targets": targets, **sections}))


def of_switch(stated: dict[str, Any] | None = None, **sections: Any) -> TargetFigures:
    return worked_out(stated, **sections).targets[0]


def test_the_worked_example() -> None:
    """5 s, 250 ms of margin, 1.5 s kept for madre: the switch has 3.25 s with its retry, and local answers after 4.75 s."""
    found = worked_out(madre={"reserve": "1500ms"}, deadline={"client": "5s", "margin": "250ms"})
    switch, madre = found.targets
    assert (switch.by, switch.latency, switch.attempt) == (3.25, 3.25, Span(3.25, 3.25))
    assert (madre.by, madre.latency, madre.attempt) == (4.75, 1.5, Span(1.5, 4.75))
    assert found.answer_by == found.latency == 4.75


def test_the_default_is_the_worked_example() -> None:
    found = figures(Policy())
    assert [(target.by, target.reserve, target.reserve_auto) for target in found.targets] == [
        (3.25, 1.5, True),
        (4.75, 1.5, True),
    ]


def test_the_numbers_agree_with_those_that_are_obeyed() -> None:
    assert (subject.MIN_ATTEMPT, subject.MAX_RESERVED) == (deadline.MIN_ATTEMPT, deadline.MAX_RESERVED)
    assert (subject.RESERVE_LEAST, subject.RESERVE_MOST) == (scene.RESERVE_LEAST, scene.RESERVE_MOST)


@pytest.mark.parametrize(("p95", "reserve"), [(None, 1.5), (0.1, 0.3), (0.7, 0.7), (9.0, 1.5)])
def test_an_auto_reserve_follows_what_was_observed(p95: float | None, reserve: float) -> None:
    found = figures(Policy(), {} if p95 is None else {"madre": p95})
    assert found.targets[1].reserve == reserve
    assert found.targets[0].by == pytest.approx(4.75 - reserve)


def test_reserves_keep_back_half_at_most() -> None:
    assert of_switch(deadline={"client": "2250ms"}).attempt == Span(1.0, 1.0)


@pytest.mark.parametrize(
    ("stated", "attempts"),
    [
        ({}, 2),
        ({"retry": {"max_attempts": 4}}, 4),
        ({"retry": {"max_attempts": 4, "on": [503]}}, 1),
        ({"retry": {"max_attempts": 4, "on": [503]}, "effects": "none"}, 4),
        ({"retry": {"max_attempts": 4, "on": [503], "only_if_unsent": False}}, 4),
        ({"retry": {"max_attempts": 4, "on": []}, "effects": "none"}, 1),
        ({"retry": {"max_attempts": 4, "on": [], "on_timeout": True}, "effects": "none"}, 4),
        ({"retry_budget": {"burst": 0.9}}, 1),
    ],
)
def test_worst_case_attempts_need_a_cause_a_licence_and_a_budget(stated: dict[str, Any], attempts: int) -> None:
    assert of_switch(stated).attempts == attempts


def test_needs_add_up_attempts_and_backoff_caps() -> None:
    own = {"timeouts": {"attempt": "1s"}, "retry": {"max_attempts": 3}, "limiter": {"queue": 0}}
    unsent = of_switch(own)
    assert unsent.needs == pytest.approx(0.3 + 0.025 + 0.3 + 0.05 + 1)
    assert unsent.by == unsent.needs
    assert of_switch({**own, "effects": "none"}).needs == pytest.approx(3.075)
    assert of_switch().needs is None


def test_a_target_that_may_ask_for_time_may_take_all_of_it() -> None:
    own = {"timeouts": {"attempt": "100ms"}, "effects": "none", "limiter": {"queue": 0}}
    assert of_switch(own).by == pytest.approx(4.75 - 0.1 + 0.05)
    polite = {**own, "retry": {"backoff": {"respect_retry_after": False}}}
    assert of_switch(polite).by == pytest.approx(0.225)


def test_a_target_may_have_no_time_at_worst_and_some_if_those_above_were_a_little_quicker() -> None:
    late = worked_out(madre={"reserve": "40ms"}).targets[1]
    assert (late.share.least, late.by) == (pytest.approx(0.04), 4.75)
    never = of_switch(deadline={"client": "1s", "margin": "970ms"})
    assert (never.share, never.by) == (Span(0.015, 0.015), 0)


def test_amplification() -> None:
    target = of_switch()
    assert [target.amplification(n) for n in (1, 4, 100)] == [2, pytest.approx(7.8), 123]
    found = figures(Policy(), ui=2, switch=3)
    assert (found.layers, found.layers.product, found.sustained) == ((2, 4, 3), 24, pytest.approx(14.4))
    assert worked_out(retry={"max_attempts": 1}).sustained == 2


def test_the_longest_degraded_time_is_the_longest_open_time_and_a_probe() -> None:
    assert [target.degraded for target in figures(Policy()).targets] == [18.25, 19.75]
    steady = {"breaker": {"open": {"base": "4s", "multiplier": 1, "jitter": 0.5}}}
    assert of_switch(steady).degraded == 6 + 3.25


def test_without_targets_only_the_local_answer_is_left() -> None:
    found = figures(Policy(targets=[{"name": "local"}]))
    assert (found.targets, found.latency, found.answer_by, found.sustained) == ((), 0, 4.75, 0)


# ── the bounds hold in the core, whatever targets do ──

MILLIS = st.integers(1, 6000).map("{}ms".format)
TARGET = st.fixed_dictionaries(
    {},
    optional={
        "effects": st.sampled_from(["none", "unsafe"]),
        "reserve": MILLIS,
        "timeouts": st.fixed_dictionaries({}, optional={"connect": MILLIS, "attempt": MILLIS}),
        "retry": st.fixed_dictionaries(
            {"max_attempts": st.integers(1, 4)},
            optional={
                "on": st.just(["connect-failure"]) | st.just([503]),
                "on_timeout": st.booleans(),
                "only_if_unsent": st.booleans(),
                "backoff": st.fixed_dictionaries({"base": MILLIS, "max": MILLIS, "respect_retry_after": st.booleans()}),
            },
        ),
        "limiter": st.fixed_dictionaries({"max_concurrent": st.just(1), "queue": st.just(1), "queue_timeout": MILLIS}),
    },
)
FAILURES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 0.99, 1.0]) | st.floats(0, 1),
        st.sampled_from(["unsent", "silent", "503", "later"]),
        st.sampled_from([0.0, 0.3, 2.0]) | st.floats(0, 5),
    ),
    min_size=12,
    max_size=12,
)


@given(TARGET, TARGET, st.integers(300, 6000).map("{}ms".format), FAILURES, st.integers(0, 99))
def test_no_call_is_longer_or_makes_more_attempts_than_figures_say(
    switch: dict[str, Any], madre: dict[str, Any], client: str, failures: list[tuple[float, str, float]], seed: int
) -> None:
    policy = Policy.model_validate(
        {"targets": [{"name": "switch", **switch}, {"name": "madre", **madre}], "deadline": {"client": client}}
    )
    facts: list[Any] = []
    engine = Engine(0.0, policy, revision="r", source="s", seed=seed, emit=facts.append)
    found = figures(policy)
    _play(engine, found.answer_by, iter(failures))
    for target in found.targets:
        assert sum(isinstance(fact, AttemptStarted) and fact.target == target.name for fact in facts) <= target.attempts
        over = [fact.at for fact in facts if isinstance(fact, FellBack) and fact.target == target.name]
        assert max(over, default=0) <= target.by + 1e-5
    assert found.latency <= found.answer_by


def _play(engine: Engine, patience: float, failures: Any) -> None:
    """One call before targets that are busy, and then fail as told."""
    running = engine.begin(0.0, scene.Call(1, patience))
    limiters = {name: machines.limiter for name, machines in engine._machines.items()}
    held = {name: limiter.enter(0.0) for name, limiter in limiters.items() if limiter.limits[0] == 1}
    now, step = 0.0, running.start()
    while not isinstance(step, Finish):
        late, kind, ask = next(failures, (1.0, "silent", 0.0))
        if isinstance(step, Queue):
            now += late * step.timeout
            limiters[step.target].leave(now, held.pop(step.target))
            step = running.send(Woke(now))
        elif isinstance(step, Attempt):
            now += late * (min(step.timeout, step.connect_timeout) if kind == "unsent" else step.timeout)
            step = running.send(Answered(now, _outcome(kind, ask)))
        else:
            now += step.delay
            if step.target not in held and limiters[step.target].limits[0] == 1:
                held[step.target] = limiters[step.target].enter(now)
            step = running.send(Woke(now))


def _outcome(kind: str, ask: float) -> Outcome:
    if kind in ("unsent", "silent"):
        return Outcome(error=ErrorKind.CONNECT_TIMEOUT if kind == "unsent" else ErrorKind.TIMEOUT)
    return Outcome(status=503, retry_after=ask if kind == "later" else None)
