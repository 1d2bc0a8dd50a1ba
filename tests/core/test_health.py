"""Health: what probes mean, what rows of them lead to, and that nothing but failures in a row takes a target away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.core.health import TURNS, Health, HealthState, weigh
from sidecar.core.vocabulary import ErrorKind, Outcome, Verdict
from sidecar.policy.model import HealthPolicy

GOOD, FAILED, NOTHING = Verdict.SUCCESS, Verdict.FATAL, Verdict.IGNORED
LASTS = 3 * (5 * 1.2 + 1)  # seconds that a result holds by the default policy


def health(**numbers) -> Health:
    return Health(HealthPolicy.model_validate({"mode": "probe", **numbers}), "switch")


def played(machine: Health, *lines: tuple[float, Verdict | str, str]) -> None:
    """Tell every line and compare all moves at once. A move reads ``state (why)``, with ``!`` where the target recovered."""
    told = []
    for now, what, _ in lines:
        if what == "answered":
            moves, recovered = [machine.answered(now)], False
        elif isinstance(what, Verdict):
            moves, recovered = machine.hear(now, what)
        else:
            moves, recovered = [machine.forget(now, what)], False
        moved = [f"{move.after} ({move.why})" for move in moves if move]
        told.append((now, what, ", ".join(moved) + "!" * recovered))
    assert told == list(lines)


# -- what a probe means -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(
    ("code", "means"),
    [(200, GOOD), (204, GOOD), (299, GOOD), (101, NOTHING), (300, NOTHING), (301, NOTHING), (401, NOTHING), (404, NOTHING), (405, NOTHING), (499, NOTHING),
     (500, FAILED), (502, FAILED), (503, FAILED)],
)  # fmt: skip
def test_a_status_means_the_same_whether_a_chat_is_in_flight_or_not(code, means, busy):
    assert weigh(Outcome(status=code), busy=busy) is means


@pytest.mark.parametrize("kind", ErrorKind)
def test_busy_is_not_dead(kind):
    """Silence while a chat is in flight says nothing; whatever a blocked loop could not say itself counts then, too."""
    silent, ours = kind in (ErrorKind.TIMEOUT, ErrorKind.CONNECT_TIMEOUT), kind is ErrorKind.NO_SOCKET
    assert weigh(Outcome(error=kind), busy=False) is (NOTHING if ours else FAILED)
    assert weigh(Outcome(error=kind), busy=True) is (NOTHING if ours or silent else FAILED)


# -- rows ---------------------------------------------------------------------------------------------------------


def test_failures_in_a_row_take_it_away_and_good_ones_bring_it_back():
    machine = health()
    played(
        machine,
        (5.0, GOOD, ""),
        (10.0, GOOD, "up (recovered)"),
        (15.0, GOOD, ""),
        (20.0, FAILED, ""),
        (25.0, FAILED, ""),
        (30.0, FAILED, "down (failed)"),
        (35.0, FAILED, ""),
        (40.0, GOOD, ""),
        (45.0, GOOD, "up (recovered)!"),
        (50.0, GOOD, ""),
    )
    assert (machine.state, machine.moved.failures, machine.moved.good) == (HealthState.UP, 0, 2)


def test_one_good_probe_between_failures_begins_the_row_again():
    played(
        health(),
        (5.0, FAILED, ""), (10.0, FAILED, ""), (15.0, GOOD, ""), (20.0, FAILED, ""), (25.0, FAILED, ""), (30.0, FAILED, "down (failed)"),
        (35.0, GOOD, ""), (40.0, FAILED, ""), (45.0, GOOD, ""), (50.0, GOOD, "up (recovered)!"),
    )  # fmt: skip


def test_what_says_nothing_neither_counts_nor_breaks_a_row():
    played(
        health(),
        (1.0, FAILED, ""), (2.0, NOTHING, ""), (3.0, FAILED, ""), (4.0, NOTHING, ""), (5.0, FAILED, "down (failed)"),
        (6.0, GOOD, ""), (7.0, NOTHING, ""), (8.0, GOOD, "up (recovered)!"),
    )  # fmt: skip


def test_recovered_is_said_once_after_a_failure_and_never_of_a_target_that_was_well():
    played(
        health(),
        (1.0, GOOD, ""), (2.0, GOOD, "up (recovered)"), (3.0, GOOD, ""),
        (4.0, FAILED, ""), (5.0, GOOD, ""), (6.0, GOOD, "!"), (7.0, GOOD, ""), (8.0, GOOD, ""),
    )  # fmt: skip


def test_one_each_is_enough_where_the_policy_says_so():
    played(health(rise=1, fall=1), (1.0, FAILED, "down (failed)"), (2.0, GOOD, "up (recovered)!"))


# -- chats ----------------------------------------------------------------------------------------------------------


def test_an_answered_chat_ends_a_row_of_failures():
    played(
        health(),
        (1.0, FAILED, ""), (2.0, FAILED, ""), (2.5, "answered", ""), (3.0, FAILED, ""), (4.0, FAILED, ""), (5.0, FAILED, "down (failed)"),
    )  # fmt: skip


def test_an_answered_chat_brings_a_target_up_at_once_and_says_nothing_of_one_that_is():
    played(
        health(fall=1, rise=9),
        (1.0, "answered", ""), (2.0, FAILED, "down (failed)"), (3.0, "answered", "up (answered)"), (4.0, "answered", ""),
    )  # fmt: skip


# -- time -----------------------------------------------------------------------------------------------------------


def test_a_result_holds_for_three_turns_of_the_prober_and_no_longer():
    machine = health(fall=1)
    played(machine, (10.0, FAILED, "down (failed)"))
    assert machine.down(10 + LASTS)
    assert not machine.down(10.001 + LASTS)
    assert machine.stands(10.001 + LASTS) is HealthState.UNKNOWN
    assert machine.view(10.001 + LASTS)["state"] == "unknown"
    assert [(move.at, move.why) for move in machine.hear(11 + LASTS, NOTHING).moves] == [(11 + LASTS, "stale")]
    played(machine, (12 + LASTS, FAILED, "down (failed)"))


def test_results_that_are_too_old_are_no_part_of_a_row():
    played(health(), (1.0, FAILED, ""), (2.0, FAILED, ""), (3 + LASTS, FAILED, ""), (4 + LASTS, FAILED, ""), (5 + LASTS, FAILED, "down (failed)"))  # fmt: skip


def test_probes_that_say_nothing_do_not_hold_a_target_down():
    """A wrong path, or a chat that never ends: what was known before becomes too old."""
    machine = health(fall=1)
    played(
        machine,
        (0.0, FAILED, "down (failed)"),
        (10.0, NOTHING, ""),
        (20.0, NOTHING, ""),
        (30.0, NOTHING, "unknown (stale)"),
    )
    assert not machine.down(30.0)


def test_a_chat_answered_after_what_was_known_is_too_old_moves_nothing():
    machine = health(fall=1)
    played(machine, (0.0, FAILED, "down (failed)"), (60.0, "answered", ""))


# -- from outside -----------------------------------------------------------------------------------------------------


def test_what_was_known_can_be_forgotten():
    machine = health(fall=2)
    played(
        machine,
        (1.0, "off", ""), (2.0, FAILED, ""), (3.0, "off", ""), (4.0, FAILED, ""), (5.0, FAILED, "down (failed)"),
        (6.0, "window_opened", "unknown (window_opened)"), (7.0, GOOD, ""), (8.0, GOOD, "up (recovered)"),
    )  # fmt: skip


def test_new_numbers_judge_what_was_counted_with_the_next_probe():
    machine = health()
    played(machine, (1.0, FAILED, ""), (2.0, FAILED, ""))
    machine.adopt(HealthPolicy.model_validate({"fall": 2}))
    assert not machine.down(2.0)
    played(machine, (3.0, FAILED, "down (failed)"))


def test_the_view_shows_counts_against_their_thresholds():
    machine = health()
    assert machine.view(0.0) == {
        "state": "unknown", "for_seconds": None, "failures_in_row": [0, 3], "good_in_row": [0, 2], "heard_seconds_ago": None,
    }  # fmt: skip
    for now in (1.0, 2.0, 3.0):
        machine.hear(now, GOOD)
    assert machine.view(4.01254) == {
        "state": "up", "for_seconds": 2.013, "failures_in_row": [0, 3], "good_in_row": [2, 2], "heard_seconds_ago": 1.013,
    }  # fmt: skip


# -- for all ------------------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from([GOOD, FAILED, NOTHING, "answered", "off"])), max_size=60),
)
def test_down_takes_failures_in_a_row_and_up_good_ones_or_a_chat(fall, rise, steps):
    """Against a reading of the whole history: what counted since the last thing that broke its row, and is not too old."""
    machine = health(fall=fall, rise=rise)
    now, row, shaken = 0.0, [], False
    for after, what in steps:
        now += after
        if row and now - row[-1][0] > LASTS and what != "answered":
            row = []
        if what == "answered":
            moves = [machine.answered(now)]
            row = [(at, verdict) for at, verdict in row if verdict is GOOD]
        elif what == "off":
            moves, row, shaken = [machine.forget(now, "off")], [], False
        else:
            heard = machine.hear(now, what)
            moves = list(heard.moves)
            if what is not NOTHING:
                row = [*(entry for entry in row if entry[1] is what), (now, what)]
            shaken = shaken or what is FAILED
            if heard.recovered:
                assert shaken
                assert what is GOOD
                assert len(row) >= rise
                shaken = False
        for move in filter(None, moves):
            if move.after == "down":
                assert (what, move.why) == (FAILED, "failed")
                assert len(row) >= fall
                assert all(verdict is FAILED for _, verdict in row)
            if move.after == "up" and what != "answered":
                assert what is GOOD
                assert len(row) >= rise
                assert all(verdict is GOOD for _, verdict in row)


class Alive(RuleBasedStateMachine):
    """A target that answers a chat at least once in every ``fall`` probes never goes down, whatever its probes say."""

    FALL = 3

    def __init__(self):
        super().__init__()
        self.health = health(fall=self.FALL)
        self.now = 0.0
        self.since = 0

    @precondition(lambda self: self.since < self.FALL - 1)
    @rule(verdict=st.sampled_from([GOOD, FAILED, NOTHING]), after=st.floats(0, 100))
    def probe(self, verdict, after):
        self.now += after
        self.since += 1
        self.health.hear(self.now, verdict)

    @rule(after=st.floats(0, 100))
    def chat(self, after):
        self.now += after
        self.since = 0
        self.health.answered(self.now)

    @invariant()
    def is_not_down(self):
        assert not self.health.down(self.now)


TestAlive = Alive.TestCase


def test_the_time_a_result_holds_follows_from_the_longest_turn():
    assert TURNS == 3
    machine = health(fall=1, interval="1s", jitter=0.5, timeout="500ms")
    played(machine, (0.0, FAILED, "down (failed)"))
    assert machine.down(6.0)
    assert not machine.down(6.001)
