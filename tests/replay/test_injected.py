"""Chaos in a replay: a candidate's rules meet yesterday's chats as they would live, and what was broken yesterday is nobody's fault."""

from __future__ import annotations

import math

import orjson
import pytest

from sidecar.core.fact import AttemptEnded, CallEnded, EventHeard, FaultInjected
from sidecar.core.line import fault_from, to_line
from sidecar.core.vocabulary import Attempt, Binding, ErrorKind, Outcome
from sidecar.replay.exact import ExactReplay
from sidecar.replay.journal import read_journals
from sidecar.replay.recommend.advice import _job
from sidecar.replay.record import Record
from sidecar.replay.study import pasts, replay, study, trial
from sidecar.replay.told import tell
from sidecar.replay.world import GOOD, NEVER, Behaviour
from sidecar.replay.worlds.injected import Injected, said
from tests.replay.known import arrivals, journal, loaded, steady
from tests.replay.worlds import line, start_line, write

RULE = {"name": "a", "target": "switch", "percentage": "100%", "expires_at": "2000-01-01T00:00:00Z"}  # over long ago
CALM = {"breaker": {"consecutive": 0, "failure_rate": "100%", "min_calls": 20}}


class Steady:
    """Answers everybody after 0.1 s, and remembers what it was asked when."""

    def __init__(self, outcome=GOOD, seconds=0.1):
        self.outcome, self.seconds = outcome, seconds
        self.asked = []

    def answer(self, now, call, step):
        self.asked.append((now, step.timeout))
        return self.seconds, self.outcome


def answered(world, *rules, target="switch", now=10.0):
    policy = loaded(chaos=[{**RULE, **rule} for rule in rules]).policy
    injected = Injected(world, policy.chaos, 7)
    return injected.answer(now, 1, Attempt(target, 1, 1.0, 0.3, Binding.ATTEMPT)), injected.faults


@pytest.mark.parametrize(
    ("rule", "answer", "asked"),
    [
        ({"abort": "connect"}, (0.0, Outcome(error=ErrorKind.CONNECT)), []),
        ({"abort": 503, "delay": "200ms"}, (0.2, Outcome(status=503)), []),
        ({"abort": "connect-timeout"}, (0.3, Outcome(error=ErrorKind.CONNECT_TIMEOUT)), []),
        ({"abort": "timeout"}, (1.0, Outcome(error=ErrorKind.TIMEOUT)), []),
        ({"delay": "1s"}, (1.0, Outcome(error=ErrorKind.TIMEOUT)), []),
        ({"delay": "500ms"}, (0.6, GOOD), [(10.5, 0.5)]),
        ({"cut": True}, (0.1, Outcome(error=ErrorKind.TRUNCATED)), [(10.0, 1.0)]),
        ({"body": "no-text", "delay": "500ms"}, (0.6, Outcome(status=200)), [(10.5, 0.5)]),
    ],
)
def test_a_rule_lies_over_the_world_below(rule, answer, asked):
    world = Steady()
    found, faults = answered(world, rule)
    assert (found, world.asked, faults) == (answer, asked, 1)


def test_others_meet_the_world_as_it_is():
    world = Steady()
    assert answered(world, {"cut": True}, target="madre") == ((0.1, GOOD), 0)
    assert answered(world, {"cut": True, "header": {"x-chaos": "break-me"}}) == ((0.1, GOOD), 0)
    assert answered(world, {"cut": True, "percentage": "0%"}) == ((0.1, GOOD), 0)
    assert world.asked == [(10.0, 1.0)] * 3
    silent = Steady(Outcome(error=ErrorKind.RESET), NEVER)
    assert answered(silent, {"cut": True}) == ((NEVER, silent.outcome), 0)


def test_what_it_is_said_to_assume_names_the_rules_that_a_journal_cannot_meet():
    rules = loaded(
        chaos=[{**RULE, "cut": True}, {**RULE, "name": "b", "cut": True, "header": {"x-chaos": "abcd"}}]
    ).policy.chaos
    assert said("p.yaml", rules, 3) == (
        "The chaos rules of p.yaml acted from the first chat to the last, whatever their expires_at, and broke 3 attempts; b did not, for a "
        "journal holds no header fields."
    )
    assert said("p.yaml", rules[:1], 1).endswith("and broke 1 attempt.")


def test_a_candidate_with_rules_is_tried_on_a_journal_of_good_chats(tmp_path):
    path = journal(tmp_path / "journal-000001.jsonl", steady(), loaded(**CALM), arrivals(2_000, rate=2.0))
    broken = loaded("broken.yaml", chaos=[{**RULE, "percentage": "20%", "abort": 503}], **CALM)
    found, compared = replay([path], [broken, loaded("whole.yaml", **CALM)], repeats=1)
    recorded, with_rules, without = compared.columns
    assert (found.fidelity.differing, recorded.figures["degraded_share"], without.figures["degraded_share"]) == (
        0,
        0.0,
        0.0,
    )
    share = with_rules.figures["degraded_share"]
    assert abs(share - 0.2) < 5 * math.sqrt(0.2 * 0.8 / 2_000)
    # Madre was never asked in this record, so nobody knows what she would have said.
    assert with_rules.figures["providers"] == {"switch": round(2_000 * (1 - share)), "local": round(2_000 * share)}
    assert compared.assumptions[0].startswith("The chaos rules of broken.yaml acted")
    assert not any("whole.yaml" in text for text in compared.assumptions)


def test_advice_is_about_days_without_chaos():
    broken = loaded(chaos=[{**RULE, "cut": True}])
    job = _job((), broken, 3)
    assert (job.loaded.policy.chaos, job.repeat) == ((), 3)
    assert job.loaded.policy.ladder == broken.policy.ladder
    whole = loaded()
    assert _job((), whole).loaded is whole


# ── what was broken when it was recorded ──


def test_a_fault_is_read_back_as_it_was_written_and_what_is_none_is_refused():
    fact = FaultInjected(0.1 + 0.2, 7, "switch", 2, "cut", "a")
    written = to_line(fact)
    assert fault_from(orjson.loads(orjson.dumps(written))) == fact
    for name, wrong, error in (
        ("fault", "eat", ValueError), ("fault", None, TypeError), ("call", "7", TypeError), ("at", None, TypeError),
    ):  # fmt: skip
        with pytest.raises(error):
            fault_from({**written, name: wrong})
    with pytest.raises(KeyError):
        fault_from({"in": "fault"})


def facts_with_faults(calls=30):
    """A run in which every fourth call's first attempt was cut off on purpose, as the live sidecar would have told of it."""
    facts = []
    journaled = []

    class Cut:
        def __init__(self):
            self.below = steady()

        def answer(self, now, call, step):
            seconds, outcome = self.below.answer(now, call, step)
            if call % 4 == 0 and step.number == 1:
                journaled.append(FaultInjected(now + seconds, call, step.target, 1, "cut", "a"))
                return seconds, Outcome(error=ErrorKind.TRUNCATED)
            return seconds, outcome

    from tests.replay.known import simulate  # noqa: PLC0415 - beside its only use

    simulate(Cut(), loaded(**CALM), arrivals(calls, rate=0.5), facts.append)
    told = []
    for fact in facts:  # the fault comes after the attempt's begin and before what is heard of its end
        if isinstance(fact, EventHeard):
            told += [fault for fault in journaled if fault.call == fact.call and fault.at == fact.at]
        told.append(fact)
    return told


@pytest.fixture
def broken(tmp_path):
    lines = [start_line(7), *(orjson.dumps(at) + b"\n" for fact in facts_with_faults() if (at := to_line(fact)))]
    return write(tmp_path / "journal-000001.jsonl", lines)


def test_a_run_with_chaos_is_replayed_exactly_and_says_what_was_broken(broken):
    (run,) = read_journals([broken])
    heard = []
    fidelity = ExactReplay(run, heard.append).run()
    assert (fidelity.calls, fidelity.same, run.skipped) == (30, 30, 0)
    faults = [fact for fact in heard if isinstance(fact, FaultInjected)]
    assert [fact.call for fact in faults] == [4, 8, 12, 16, 20, 24, 28]
    assert [type(fact) for fact in heard if getattr(fact, "call", None) == 4].index(FaultInjected) == 2


def test_the_lines_alone_tell_of_faults_too(broken):
    (run,) = read_journals([broken])
    heard = []
    tell(run, heard.append)
    assert sum(isinstance(fact, FaultInjected) for fact in heard) == 7
    assert sum(isinstance(fact, CallEnded) for fact in heard) == 30


def test_what_was_broken_says_nothing_about_its_target(broken):
    found = study([broken])
    (record,) = found.records
    assert record.broken == 7
    assert len(record.attempts["switch"]) == 23
    assert all(attempted.outcome == GOOD for attempted in record.attempts["switch"])
    assert record.turn(4, "switch", 1) is None
    assert record.turn(5, "switch", 1) is not None
    assert record.turn(4, "madre", 1) is not None
    tried = trial(pasts(found), loaded(**CALM))
    assert tried.summary.providers["switch"] == 30  # without rules the switch would have answered all
    assert tried.assumed.imputed == 7


def test_a_retry_after_a_broken_attempt_is_still_the_second():
    record = Record(1)
    record(FaultInjected(0.0, 1, "switch", 1, "abort", "a"))
    for number, outcome in ((1, Outcome(error=ErrorKind.CONNECT)), (2, GOOD)):
        record(AttemptEnded(float(number), 1, "switch", number, 0.5, outcome, "success", Binding.ATTEMPT))
    record.settle()
    assert record.turn(1, "switch", 1) is None
    assert record.turn(1, "switch", 2).outcome == GOOD


def test_a_fault_that_cannot_be_read_is_skipped_and_said(broken):
    damaged = broken.read_bytes() + line(
        **{"in": "fault", "at": 1e9, "call": 1, "target": "switch", "number": 1, "fault": "eat", "rule": "a"}
    )
    broken.write_bytes(damaged)
    (run,) = read_journals([broken])
    ExactReplay(run, lambda _: None).run()
    assert (run.skipped, "'eat' is no fault" in run.messages[0]) == (1, True)


def test_chaos_on_a_world_that_fails_by_itself_breaks_only_what_would_have_been_an_answer():
    world = steady(switch=Behaviour(median=0.05, sigma=0.1, failing=0.5, failures=(Outcome(error=ErrorKind.RESET),)))
    policy = loaded(chaos=[{**RULE, "cut": True}]).policy
    injected = Injected(world, policy.chaos, 7)
    outcomes = [
        injected.answer(0.0, call, Attempt("switch", 1, 1.0, 0.3, Binding.ATTEMPT))[1].error for call in range(400)
    ]
    cut, reset = outcomes.count(ErrorKind.TRUNCATED), outcomes.count(ErrorKind.RESET)
    assert cut + reset == 400
    assert injected.faults == cut
    assert 140 < cut < 260
