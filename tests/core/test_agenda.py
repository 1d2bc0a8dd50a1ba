"""What happens by itself happens in the order of time, and only if it still means anything."""

from __future__ import annotations

from sidecar.core.agenda import Agenda


def always() -> bool:
    return True


def test_everything_due_happens_in_order_and_at_its_time():
    agenda, seen = Agenda(0.0), []

    def note(name):
        return lambda: seen.append((name, agenda.now))

    agenda.at(2.0, always, note("second"))
    agenda.at(1.0, always, note("first"))
    agenda.at(2.0, always, note("third"))
    agenda.at(3.1, always, note("later"))
    agenda.advance(3.0)
    assert seen == [("first", 1.0), ("second", 2.0), ("third", 2.0)]
    assert agenda.now == 3.0
    agenda.advance(3.1)
    assert seen[3:] == [("later", 3.1)]


def test_what_comes_after_a_moment_does_not_come_at_it():
    agenda, seen = Agenda(0.0), []
    agenda.after(1.0, always, lambda: seen.append(agenda.now))
    agenda.advance(1.0)
    assert seen == []
    agenda.advance(1.001)
    assert 1.0 < seen[0] < 1.000001


def test_what_no_longer_holds_does_not_happen():
    agenda, holds = Agenda(0.0), [True]
    agenda.at(1.0, lambda: holds[0], lambda: holds.append(True))
    holds[0] = False
    agenda.advance(2.0)
    assert holds == [False]


def test_what_happens_may_lead_to_more():
    agenda, seen = Agenda(0.0), []
    agenda.at(1.0, always, lambda: agenda.at(agenda.now, always, lambda: seen.append(agenda.now)))
    agenda.advance(5.0)
    assert seen == [1.0]


def test_it_is_cleared_of_what_no_longer_holds():
    agenda = Agenda(0.0)
    for number in range(10_000):
        agenda.at(1e9, lambda: False, always)
        assert len(agenda._heap) <= 1025, number
    for _ in range(3000):
        agenda.at(1e9, always, always)
    assert len(agenda._heap) >= 3000
    for number in range(10_000):
        agenda.at(1e9, lambda: False, always)
        assert len(agenda._heap) <= 2 * 3000 + 1025, number


def test_what_it_costs_to_clear_it_does_not_grow_with_what_still_holds():
    """It is cleared again only when as many came as were left the last time: that is at most two looks for each that came."""
    agenda, asked = Agenda(0.0), []

    def holds(answer):
        return lambda: asked.append(answer) or answer

    for _ in range(500):
        agenda.at(1e9, holds(True), always)
    for _ in range(5000):
        agenda.at(1e9, holds(False), always)
    assert len(asked) <= 2 * 5500
