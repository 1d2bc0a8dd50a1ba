"""What the growth of a replay is told from."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import replay_growth
from benchmarks.replay_day import write
from benchmarks.replay_growth import ROWS, Row, Took, growth, rounds

ONE, MANY = Row(1_000, 1, 1), Row(10_000, 4, 2)


def test_each_call_is_decided_as_it_was_and_under_each_policy() -> None:
    assert ONE.decided == 2_000
    assert MANY.decided == 50_000


def test_the_best_rounds_relative_to_the_first_row() -> None:
    took = {ONE: [Took(0.4, 0.2, 50.0), Took(0.2, 0.25, 60.0)], MANY: [Took(2.5, 5.0, 90.4)]}
    _, rows = growth(took)
    assert rows == [
        ["1,000", "1", "1", "10,000", "1.00", "10,000", "1.00", "60", "2"],
        ["10,000", "4", "2", "20,000", "2.00", "10,000", "1.00", "90", "1"],
    ]
    assert growth({})[1] == []


def test_rounds_are_interleaved() -> None:
    asked = []

    def measure(row: Row) -> Took:
        asked.append(row)
        return Took(1.0, 1.0, 1.0)

    took = rounds([ONE, MANY], measure, limit=1.0, now=lambda: 0.0)
    assert asked == [ONE, MANY] * 3
    assert [len(each) for each in took.values()] == [3, 3]


def test_no_row_begins_again_that_would_end_too_late() -> None:
    clock = [0.0]

    def measure(row: Row) -> Took:
        seconds = 1.0 if row is ONE else 30.0
        clock[0] += seconds
        return Took(seconds, seconds, 1.0)

    took = rounds([ONE, MANY], measure, limit=40.0, now=lambda: clock[0])
    assert [len(each) for each in took.values()] == [3, 1]


def test_a_row_without_time_is_left_out() -> None:
    took = rounds([ONE, MANY], lambda _: Took(9.0, 9.0, 1.0), limit=0.0, now=lambda: 5.0)
    assert took == {ONE: [], MANY: []}
    took[MANY].append(Took(2.5, 5.0, 90.4))
    assert [row[:5] for row in growth(took)[1]] == [["10,000", "4", "2", "20,000", "1.00"]]


def test_rows_grow_in_calls_policies_and_cores() -> None:
    assert {row.calls for row in ROWS} == {1_000, 10_000, 100_000}
    assert {row.policies for row in ROWS} == {1, 2, 4, 8}
    assert {row.cores for row in ROWS} == {1, 2}
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux says what a process holds")
def test_a_small_row_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "journal-000001.jsonl"
    write(path, 200)
    took = replay_growth.replayed(Row(200, 2, 2), path)
    assert 0 < took.seconds < 60
    assert took.cpu > 0
    assert took.peak > 10
