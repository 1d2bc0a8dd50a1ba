"""What a comparison takes for granted, in sentences."""

from __future__ import annotations

from sidecar.core.fact import PolicyAdopted
from sidecar.replay.figures.assumptions import PATIENCE, THROUGHOUT, assumptions
from sidecar.replay.record import Record
from sidecar.replay.world import Behaviour, Synthetic
from sidecar.replay.worlds.past import Past
from sidecar.replay.worlds.scenario import NOTHING, Scenario
from tests.replay.known import Serial, arrivals, loaded, past, steady

QUIET = (
    "switch has one period; attempts that nobody made are drawn from those of their period. It answers as fast however many ask "
    "(0 attempts met others, nothing speaks for a queue)."
)


def said(*pasts, scenario=NOTHING, draws=1):
    return list(assumptions([each.record for each in pasts], pasts, scenario, draws))


def of(target, sentences):
    return next(sentence for sentence in sentences if f"{target} has " in sentence)


def test_a_quiet_record_takes_little_for_granted():
    sentences = said(past(steady(), loaded(), arrivals(60, 0.5)[::4]))
    assert sentences == [
        QUIET,
        THROUGHOUT,
        PATIENCE,
    ]


def test_periods_and_tails_are_named():
    hung = [(0.0, Behaviour(1.0, 0.3)), (200.0, Behaviour(1.0, 0.3, hanging=1.0)), (260.0, Behaviour(1.0, 0.3))]
    world = Synthetic({"switch": hung, "madre": [(0.0, Behaviour(0.06, 0.2))]}, 3)
    sentence = of("switch", said(past(world, loaded(timeouts={"attempt": "1500ms"}), arrivals(500, 2.0))))
    assert "switch has 3 periods in which it behaved alike" in sentence
    assert "% of the attempts were cut off; beyond the last answer times are lognormal with a median of " in sentence


def test_where_no_tail_can_be_fitted_what_is_silent_stays_so():
    world = steady(switch=Behaviour(1.0, 0.3, hanging=1.0))
    sentence = of(
        "switch", said(past(world, loaded(breaker={"consecutive": 0, "failure_rate": "100%"}), arrivals(20, 0.2)))
    )
    assert "100.0% of the attempts were cut off and no tail could be fitted: what is silent stays so." in sentence


def test_a_share_that_never_answers_is_said():
    world = steady(switch=Behaviour(0.2, 0.2, hanging=0.2))
    rules = loaded(breaker={"consecutive": 0, "failure_rate": "100%"})
    assert "% never get an answer." in of("switch", said(past(world, rules, arrivals(300, 0.5))))


def test_a_queue_is_said_with_what_speaks_for_it():
    kept = past(Serial(steady(switch=Behaviour(0.3, 0.2)), "switch"), loaded(), arrivals(600, 2.0))
    sentence = of("switch", said(kept))
    assert "It works on 1 at once and lets the others wait: that explains the " in sentence


def test_a_capacity_that_the_scenario_states_is_its_own():
    record = past(steady(), loaded(), arrivals(60, 0.5)).record
    for servers, words in ((2, "It works on 2 at once"), (None, "It works on as many as ask at once")):
        scenario = Scenario("outage.yaml", servers={"switch": servers})
        sentences = said(Past(record, scenario.servers), scenario=scenario)
        assert f"{words}, as the scenario says." in of("switch", sentences)
        assert any(
            sentence.startswith("Beside what was recorded happens what outage.yaml says;") for sentence in sentences
        )


def test_runs_and_draws_are_numbered():
    two = past(steady(), loaded(), arrivals(60, 0.5)), past(steady(), loaded(), arrivals(60, 0.5, 2), 2)
    sentences = said(*two, draws=20)
    assert [sentence[:6] for sentence in sentences[:2]] == ["Run 1:", "Run 2:"]
    assert sentences[-1].startswith("What had to be made up was drawn 20 times")
    assert not any("drawn 1 times" in sentence for sentence in said(*two))


CHANGED = "The policy changed within the record"


def adopted(*policies):
    record = Record(1)
    for policy in policies:
        record(PolicyAdopted(0.0, "r", "s", policy))
    return record


def test_a_policy_that_changed_is_said_within_a_run_and_between_runs():
    one, other = loaded().policy, loaded(deadline={"client": "4s"}).policy
    assert any(CHANGED in sentence for sentence in assumptions([adopted(one, other)], [], NOTHING, 1))
    assert any(CHANGED in sentence for sentence in assumptions([adopted(one), adopted(other)], [], NOTHING, 1))


def test_a_policy_that_is_stated_again_has_not_changed():
    """As a further file of a run does, and the next run under the same."""
    records = [adopted(loaded().policy, loaded().policy), adopted(loaded().policy)]
    assert not any(CHANGED in sentence for sentence in assumptions(records, [], NOTHING, 1))
