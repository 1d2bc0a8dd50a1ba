"""The recorded world: the same policy meets the same luck and comes to the same figures; what the record cannot know is counted."""

from __future__ import annotations

import pytest

from sidecar.core.engine import Engine
from sidecar.core.fact import AttemptEnded, CallBegan, CallEnded, DormancyHeard, Overridden, PolicyAdopted
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Attempt, Binding, ErrorKind, Outcome, Override, Reason
from sidecar.policy.load import Loaded, revision_of
from sidecar.replay.record import Attempted, Record
from sidecar.replay.simulate import TIMED_OUT, Arrival, Simulation
from sidecar.replay.study import replay
from sidecar.replay.world import GOOD, NEVER
from sidecar.replay.worlds.past import UNREACHABLE, AsRecorded, Assumed, Past
from tests.replay.worlds import World, journal_of, policy, write

NOTHING = Assumed(0, 0, 0)


class Scripted:
    """Answers by target, call and turn on that target; the default is an answer after 0.1 s."""

    def __init__(self, **by_target):
        self.by_target = by_target
        self.asked = []

    def answer(self, now, call, step):
        self.asked.append((call, step.target))
        turn = self.asked.count((call, step.target))
        return self.by_target.get(step.target, {}).get((call, turn), (0.1, GOOD))


def simulated(world, rules, arrivals, emit, seed=7):
    Simulation(Engine(0.0, rules, revision="r", source="s", seed=seed, emit=emit), world).run(arrivals)


def record_of(world, arrivals, **sections):
    record = Record(7)
    simulated(world, policy(**sections), arrivals, record)
    record.settle()
    return record


def again(record, **sections):
    """The same calls under another policy: what was assumed, and how the calls ended."""
    world = AsRecorded(Past(record), 7)
    facts = []
    simulated(world, policy(**sections), record.arrivals(policy(**sections)), facts.append)
    return world.assumed, [fact.finish for fact in facts if isinstance(fact, CallEnded)]


def arrivals(count, every=10.0):
    return [Arrival(every * number, Call(number, 4.75, "c")) for number in range(1, count + 1)]


def loaded(rules, source="candidate"):
    return Loaded(rules, revision_of(rules), source, {})


# -- the same policy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("benign", [True, False], ids=["benign", "failing"])
@pytest.mark.parametrize("number", range(30))
def test_under_the_recorded_policy_the_simulated_figures_are_the_recorded_ones(tmp_path, number, benign):
    """With power states, clients that leave, retries, trips and queues.

    Not to the last digit of a time: a duration is a difference of two moments, and added to the first of them again it may miss the
    second by its last bit. So where two things happened in one moment (a slot granted while another call arrives) their order may
    turn; in these worlds, whose times are drawn, none do. Nor after a reload, of which a candidate knows nothing.
    """
    world = World(number, 100, benign=benign)
    world.reloads = []
    facts = []
    world.simulate(facts.append)
    path = write(tmp_path / "journal.jsonl", journal_of(facts, world.seed))
    study, comparison = replay([path], [loaded(world.policies[0])], repeats=1)
    recorded, candidate = comparison.columns
    assert study.fidelity.same == 100
    assert candidate.figures == recorded.figures
    assert candidate.held == recorded.held
    # Of an attempt that lost a race nobody knows how long it would have taken; that it lost again shows in the figures.
    lost = sum(isinstance(fact, AttemptEnded) and fact.raced and fact.outcome is None for fact in facts)
    assumed = Assumed(**candidate.assumed)
    assert assumed._replace(censored=0) == NOTHING
    assert assumed.censored <= lost


def test_what_the_engine_was_told_from_outside_it_is_told_again(tmp_path):
    world = World(5, 60, benign=True)
    facts = []
    engine = world.engine(facts.append)
    times = [world.arrivals[index].at - 0.001 for index in (10, 20, 30)]
    world.engine = lambda _: engine
    world.happenings = lambda _: [
        (times[0], lambda now: engine.hear_dormancy(now, frozenset({"madre"}))),
        (times[1], lambda now: engine.override(now, "switch", Override.FORCED_OPEN)),
        (times[2], lambda now: engine.override(now, "switch", None)),
    ]
    world.simulate(facts.append)
    path = write(tmp_path / "journal.jsonl", journal_of(facts, world.seed))
    only_madre = policy(targets=[{"name": "madre"}, {"name": "local"}])
    policies = [loaded(world.policies[0]), loaded(only_madre)]
    recorded, same, other = replay([path], policies, repeats=1)[1].columns
    assert same.figures["providers"]["madre"] >= 9
    assert same.figures == recorded.figures
    assert "switch" not in other.figures["providers"]


def test_a_client_that_left_during_an_attempt_leaves_again():
    """Drawn from other calls, the attempt might have been answered before the client lost patience."""
    leaving = Arrival(1.0, Call(1, 4.75, "c"), leaves_after=2.0)
    record = record_of(Scripted(switch={(1, 1): (NEVER, GOOD)}), [leaving, *arrivals(5)[1:]])
    assumed, finishes = again(record)
    assert [finish.abandoned for finish in finishes] == [True, False, False, False, False]
    assert assumed == NOTHING


def test_a_call_that_was_not_over_is_no_arrival():
    """It is in no recorded figure either."""
    record = Record(7)
    record(CallBegan(1.0, 1, 4.75, "c", "r"))
    record.settle()
    assert record.chats == []


def test_what_the_record_takes_from_facts_is_no_more_than_it_needs():
    record = Record(7)
    record(PolicyAdopted(0.0, "r", "s", policy()))
    record(DormancyHeard(1.0, None))
    record(Overridden(2.0, "switch", None))
    assert [type(fact) for fact in record.outside] == [DormancyHeard, Overridden]


# -- what is not known -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "censored"),
    [("300ms", 0), ("500ms", 0), ("509ms", 0), ("511ms", 1), ("2s", 1)],
    ids=["less patient", "as patient", "hardly more", "a little more", "more patient"],
)
def test_an_attempt_that_was_cut_off_is_censored_where_a_policy_waits_longer(timeout, censored):
    record = record_of(Scripted(switch={(1, 1): (NEVER, GOOD)}), arrivals(3), timeouts={"attempt": "500ms"})
    assumed, finishes = again(record, timeouts={"attempt": timeout})
    assert [finish.provider for finish in finishes] == ["madre", "switch", "switch"]
    assert assumed == (censored, 0, 0)


def test_an_attempt_a_client_left_is_censored_where_it_would_have_gone_on():
    """Under the candidate it is asked at once, and the client stays a second longer than the recorded attempt lasted."""
    arrival = Arrival(1.0, Call(1, 4.75, "c"), leaves_after=1.5)
    slow_first = Scripted(switch={(1, 1): (0.5, Outcome(error=ErrorKind.CONNECT))}, madre={(1, 1): (NEVER, GOOD)})
    record = record_of(slow_first, [arrival], retry={"max_attempts": 1})
    assert record.turn(1, "madre", 1).outcome is None
    assumed, [finish] = again(record, targets=[{"name": "madre"}, {"name": "local"}])
    assert finish.abandoned
    assert assumed == (1, 0, 0)


def test_an_attempt_that_was_never_made_is_imputed_from_that_target():
    refused = {(1, 1): (0.01, Outcome(error=ErrorKind.CONNECT))}
    record = record_of(Scripted(switch=refused), arrivals(5), retry={"max_attempts": 1})
    assumed, finishes = again(record, retry={"max_attempts": 2})
    assert assumed.imputed >= 1
    assert assumed.unknown == assumed.censored == 0
    assert len(finishes) == 5
    assert AsRecorded(Past(record), 7).answer(0.0, 1, step("switch"))[0] == pytest.approx(0.01)


def test_an_imputed_silence_is_censored_as_well():
    record = record_of(Scripted(switch={(1, 1): (NEVER, GOOD)}), arrivals(1), timeouts={"attempt": "500ms"})
    world = AsRecorded(Past(record), 7)
    assert world.answer(0.0, 99, step("switch", timeout=3.0)) == (NEVER, TIMED_OUT)
    assert world.assumed == (0, 1, 0)


def test_a_target_nobody_asked_is_unknown_and_unreachable():
    record = record_of(Scripted(), arrivals(3))
    assumed, finishes = again(record, targets=[{"name": "madre"}, {"name": "local"}], retry={"max_attempts": 1})
    assert assumed == (0, 0, 3)
    assert {finish.provider for finish in finishes} == {"local"}
    assert {finish.reason for finish in finishes} == {Reason.FAILURE}
    assert AsRecorded(Past(record), 7).answer(0.0, 1, step("madre")) == (0.0, UNREACHABLE)


# -- pairs -------------------------------------------------------------------------------------------------------------


def step(target, turn=1, timeout=1.0, number=1):
    return Attempt(target, number, timeout, 0.3, Binding.ATTEMPT, turn)


def many():
    """A record with ten different outcomes of each target."""
    record = Record(7)
    for call in range(1, 11):
        record(CallBegan(float(call), call, 4.75, "c", "r"))
        for target in ("switch", "madre"):
            outcome = Outcome(status=200 + call)
            record(AttemptEnded(call + 0.1, call, target, 1, call / 100, outcome, None, Binding.ATTEMPT))
    return Past(record)


@pytest.mark.parametrize("call", range(20, 40))
def test_the_same_attempt_has_the_same_imputed_outcome_under_every_policy(call):
    """Also where one policy asked the switch once and the other three times before madre's turn came."""
    record = many()
    short, long = AsRecorded(record, 7), AsRecorded(record, 7)
    first = [short.answer(1.0, call, step("switch", 1)), short.answer(2.0, call, step("madre", number=2))]
    second = [long.answer(1.0 + n, call, step("switch", n, 2.0)) for n in (1, 2, 3)]
    assert first == [second[0], long.answer(9.0, call, step("madre", number=4))]


def test_imputed_outcomes_are_drawn_from_all_there_are():
    world = AsRecorded(many(), 7)
    drawn = [world.answer(1.0, call, step("switch"))[0] for call in range(100, 1100)]
    assert {round(seconds * 100) for seconds in drawn} == set(range(1, 11))
    assert all(70 < drawn.count(seconds) < 130 for seconds in set(drawn))
    assert world.assumed == (0, 1000, 0)


def test_what_nobody_asked_during_an_outage_would_have_met_the_outage():
    """With the breaker open next to nothing is recorded of it; drawn from all there is, the outage would be a fair day."""
    hung = {(call, 1): (NEVER, GOOD) for call in range(41, 81)}
    record = record_of(Scripted(switch=hung), arrivals(120, every=1.0), breaker={"open": {"base": "4s", "max": "5s"}})
    asked = {attempted.call for attempted in record.attempts["switch"]}
    left_alone = set(range(50, 65)) - asked
    assert len(left_alone) >= 10
    world = AsRecorded(Past(record), 7)
    drawn = [world.answer(float(call), call, step("switch", timeout=3.0)) for call in left_alone]
    assert all(answer == (NEVER, TIMED_OUT) for answer in drawn)
    assert world.assumed == (0, len(left_alone), 0)


def test_what_one_target_draws_says_nothing_of_the_other():
    world = AsRecorded(many(), 7)
    pairs = [(world.answer(1.0, n, step("switch")), world.answer(1.0, n, step("madre"))) for n in range(100, 1100)]
    assert 50 < sum(one == other for one, other in pairs) < 160


def test_a_duration_that_runs_backwards_in_a_damaged_journal_is_none():
    record = Record(7)
    record(CallBegan(5.0, 1, 4.75, "c", "r"))
    record(AttemptEnded(4.0, 1, "switch", 1, -1.0, GOOD, None, Binding.ATTEMPT))
    assert record.turn(1, "switch", 1) == Attempted(1, 4.0, 0.0, GOOD)
