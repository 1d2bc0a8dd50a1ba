"""The soak test in its short form; and what it would find."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.endurance import verdict
from benchmarks.endurance.__main__ import play
from benchmarks.endurance.figures import HEAD, Sample, plot, rows, slope
from benchmarks.endurance.load import AGAIN, Told
from benchmarks.endurance.town import Seen
from benchmarks.faults.target import Target

REST = Seen(50.0, 20, 1.0, 8, 10, 4000, 0, 0, 1.0)


def sample(minute: float, memory: float = 50.0, **seen: float) -> Sample:
    told = Told(Counter({"by switch": 3, "by local": 1, "left": 2}), [0.1, 0.2, 0.3, 0.4])
    return Sample(minute, REST._replace(memory=memory, **seen), told, 0.25)


@pytest.mark.uncounted
async def test_nothing_is_left_of_a_dozen_seconds_of_trouble(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    assert await play(0.2, seed, tmp_path) == []


# -- what it would find -------------------------------------------------------------------------------------------------


def test_whatever_clients_got_that_is_no_answer_in_time() -> None:
    assert verdict.of_requests(Counter({"by local": 9, "left": 1, "relayed": 3})) == []
    total = Counter({"by switch": 9, "failed: 500 ": 2, "relay: ClientError": 1, "late": 3})
    assert verdict.of_requests(total) == ["2 failed: 500 ", "1 relay: ClientError", "3 late"]


def test_who_was_turned_away_while_nothing_held_the_machine_up():
    calm, busy = sample(1.0), sample(2.0)
    for each, lateness in ((calm, 0.1), (busy, 0.6)):
        counts = Counter({"chats turned away": 2, "relays turned away": 1})
        said = verdict.of_shed([each._replace(told=Told(counts, [], lateness))])
        assert said == (["3 turned away while nobody was late"] if each is calm else [])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, []),
        ({"descriptors": 22}, []),
        ({"descriptors": 23}, ["descriptors 23, before 20"]),
        ({"tasks": 9}, ["tasks 9, before 8"]),
        ({"timers": 12}, []),
        ({"timers": 13}, ["timers 13, before 10"]),
        ({"under_way": 1}, ["1 under way, 0 slots, places and permits held"]),
        ({"held": 1}, ["0 under way, 1 slots, places and permits held"]),
    ],
)
def test_whatever_is_not_given_back(more: dict[str, int], said: list[str]) -> None:
    assert verdict.of_rest(REST, REST._replace(**more)) == said


def test_memory_that_grows_after_all_is_full_and_a_journal_beyond_its_bound() -> None:
    level = [sample(minute, 60.0 + minute % 2) for minute in range(1, 61)]
    fills = [sample(minute, min(40.0 + minute, 60.0)) for minute in range(1, 61)]
    leaks = [sample(minute, 50.0 + minute / 20) for minute in range(1, 61)]
    assert verdict.of_growth(level) == verdict.of_growth(fills) == []
    assert verdict.of_growth(leaks) == ["memory grows by 3.0 MiB an hour"]
    assert verdict.of_growth(leaks[:20]) == []  # too short to tell
    assert verdict.of_growth([*level, sample(60.5, journal=21.5)]) == ["a journal of 21.5 MiB"]


def test_a_chat_that_was_sent_twice_unless_its_client_did() -> None:
    switch, madre = Target("switch"), Target("madre")
    switch.asked += ["1 hola", "2 hola", f"{AGAIN} hola", f"{AGAIN} hola"]
    assert verdict.of_targets([switch, madre]) == []
    madre.asked += ["1 hola"]
    switch.asked += ["2 hola"]
    assert verdict.of_targets([switch, madre]) == ["switch got 1 chats twice"]


@pytest.mark.parametrize(
    ("counted", "said"), [(7, []), (6, ["6 chats counted, 7 sent"]), (8, ["8 chats counted, 7 sent"])]
)
def test_a_chat_that_no_metric_counted(counted: int, said: list[str]) -> None:
    text = (
        "# TYPE vx11_sidecar_chat_requests_total counter\n"
        f'vx11_sidecar_chat_requests_total{{code="200"}} {counted - 2}\nvx11_sidecar_chat_requests_total{{code="499"}} 2\n'
    )
    total = Counter(
        {
            "by switch": 3,
            "left": 2,
            "under way": 1,
            "chats turned away": 1,
            "relays turned away": 1,
            "relayed": 5,
            "late": 3,
        }
    )
    assert verdict.of_metrics(text, total) == said


def test_a_journal_that_does_not_replay(tmp_path: Path) -> None:
    (tmp_path / "journal-000001.jsonl").write_text("{\n")
    (said,) = verdict.of_journal(tmp_path)
    assert said.startswith("the journal does not replay")


# -- how it is shown ----------------------------------------------------------------------------------------------------


def test_the_slope_is_that_of_most_pairs() -> None:
    line = [(float(minute), 10.0 + 0.5 * minute) for minute in range(20)]
    assert slope(line) == pytest.approx(0.5)
    assert slope([*line[:10], (10.0, 900.0), *line[11:]]) == pytest.approx(0.5)
    assert slope(line[:1]) == 0.0


def test_samples_become_few_rows_that_lose_no_chat() -> None:
    told = rows([sample(minute / 4) for minute in range(1, 100)], lines=10)
    assert len(told) <= 10
    assert {len(row) for row in told} == {len(HEAD)}
    assert sum(int(str(row[HEAD.index("chats")])) for row in told) == 99 * 4
    assert told[-1][HEAD.index("switch")] == "75.0%"


def test_a_plot_begins_at_nought_and_ends_at_the_most() -> None:
    lines = plot("what", [0.0, 5.0, 10.0], 60).splitlines()
    assert lines[0] == "what"
    assert lines[1] == "    10.0 │  █"
    assert lines[6] == "     0.0 │ ██"
    assert lines[-1].endswith("60 min")
