"""One attempt and what is said around it, as scripts of ``(now, what happened, the step that follows)``."""

from __future__ import annotations

import pytest
from script import BEGIN, GOOD, REFUSED, SILENT, WOKE, World, policy, status, targets

from sidecar.core.fact import AttemptEnded, BreakerMoved, HealthMoved, LimitMoved, Refused
from sidecar.core.vocabulary import Outcome, Reason, Verdict

SWITCH = "switch #1 within 3.25 (deadline)"
MADRE = "madre #1 within 4.75 (deadline)"
OPEN = {"open": {"base": "5s", "jitter": 0}}


def world(switch: dict | None = None, **sections) -> World:
    return World(policy(targets=targets(switch), **sections))


def test_who_waited_for_a_slot_beside_a_breaker_that_opened_is_told_until_when():
    w = world({"limiter": {"max_concurrent": 1, "queue": 1}, "breaker": {"consecutive": 1, **OPEN}})
    first, second = w.play((0.0, BEGIN, SWITCH)), w.play((0.0, BEGIN, "queue for switch within 0.2"))
    first.tell(0.125, status(500))
    second.play((0.125, WOKE, "madre #1 within 4.62 (deadline)"))
    assert [(fact.reason, fact.retry_after, fact.waited) for fact in w.heard(Refused)] == [(Reason.OPEN, 5.0, 0.125)]


def test_only_who_is_refused_for_its_health_is_told_with_the_move_of_its_health():
    """Probes found the switch well; that its breaker is open has nothing to do with them."""
    w = world(health={"mode": "probe"})
    for _ in range(2):
        w.engine.hear_health(0.0, "switch", Outcome(status=200), busy=False, seconds=0.1)
    assert [fact.after for fact in w.heard(HealthMoved)] == ["up"]
    w.trip(0.5)
    w.play((1.0, BEGIN, MADRE))
    assert [(fact.reason, fact.health) for fact in w.heard(Refused)] == [(Reason.OPEN, None)]


def test_a_burst_of_silence_lowers_an_adaptive_limit():
    w = world(limiter={"adaptive": "gradient", "max_concurrent": 4})
    for call in [w.play((10.0, BEGIN, SWITCH)) for _ in range(4)]:
        call.play((13.25, SILENT, "madre #2 within 1.5 (deadline)"))
    assert w.heard(LimitMoved) == [LimitMoved(13.25, "switch", 4, 3, "timeout")]


@pytest.mark.parametrize(
    ("patience", "seconds", "verdict"),
    [
        (2.875, 1.4375, Verdict.IGNORED),
        (3.0, 1.5, Verdict.FATAL),  # half of what a slow call takes, and from there on it counts
        (4.0, 2.5, Verdict.FATAL),
    ],
)
def test_silence_towards_an_impatient_client_counts_from_half_of_a_slow_call_on(patience, seconds, verdict):
    w = World()
    call = w.play((0.0, BEGIN, f"switch #1 within {seconds:.3g} (deadline)"), patience=patience)
    call.tell(seconds, SILENT)
    assert [(fact.seconds, fact.verdict) for fact in w.heard(AttemptEnded)] == [(seconds, verdict)]


def test_the_chat_that_shows_probes_to_be_wrong_begins_a_slow_start():
    """Both are down, so the switch is asked all the same; its breaker never opened, so only its health recovers."""
    w = world({"limiter": {"max_concurrent": 4, "slow_start": "4s"}}, health={"mode": "probe"})
    for target in 3 * ["switch", "madre"]:
        w.engine.hear_health(0.0, target, REFUSED, busy=False, seconds=0.1)
    w.play((1.0, BEGIN, SWITCH), (1.25, GOOD, "finish switch #1"))
    assert w.heard(HealthMoved)[-1].why == "answered"
    assert w.heard(BreakerMoved) == []
    assert w.heard(LimitMoved) == [LimitMoved(1.25, "switch", 4, 1, "slow_start")]
