"""The table, before and after, and the file between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.instructions import report
from benchmarks.instructions.case import Case
from benchmarks.instructions.report import Counted

CASES = [Case("wire.fresh", "a head", lambda _: None), Case("core.open", "a call refused", lambda _: None)]
NOW = Counted("callgrind", "3.11.2 (GCC)", {"wire.fresh": 91_234.5, "core.open": 123_456.7})


def test_thousands_with_what_one_turn_is() -> None:
    head, rows = report.table(CASES, NOW, None)
    assert head == ["case", "thousand", "a turn        "]
    assert rows == [["wire.fresh", "91.23", "a head        "], ["core.open", "123.5", "a call refused"]]


def test_beside_earlier_figures() -> None:
    before = NOW._replace(instructions={"wire.fresh": 182_469.0, "wire.gone": 1.0})
    head, rows = report.table(CASES, NOW, before)
    assert head[:4] == ["case", "before", "after", "ratio"]
    assert [row[:4] for row in rows] == [["wire.fresh", "182.5", "91.23", "0.500"], ["core.open", "", "123.5", ""]]


def test_an_empty_table() -> None:
    assert report.table([], NOW, None) == (["case", "thousand", "a turn"], [])


@pytest.mark.parametrize(
    ("instructions", "text"),
    [(0.0, "0.00"), (63.4, "0.06"), (99_994.0, "99.99"), (99_995.0, "100.0"), (1_260_400.0, "1,260.4")],
)
def test_figures_keep_four_digits_or_so(instructions: float, text: str) -> None:
    assert report.thousands(instructions) == text


def test_nothing_has_no_ratio() -> None:
    assert report.ratio(0.0, 5.0) == ""
    assert report.ratio(4.0, 5.0) == "1.250"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    NOW.write(tmp_path / "now.json")
    assert report.read(tmp_path / "now.json") == NOW


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "no JSON"),
        (b"", "no JSON"),
        (b"\xff\xfe", "is no text"),
        (b"[]", "not written by --json"),
        (b"{}", "not written by --json"),
        (b'{"by": "perf", "python": "3", "instructions": []}', "not written by --json"),
        (b'{"by": "perf", "python": "3", "instructions": {"wire.fresh": "many"}}', "not written by --json"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: bytes, why: str) -> None:
    (tmp_path / "before.json").write_bytes(text)
    with pytest.raises(report.UnreadableError, match=rf"before\.json: .*{why}"):
        report.read(tmp_path / "before.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(report.UnreadableError, match="No such file"):
        report.read(tmp_path / "none.json")


def test_other_counters_and_other_pythons_are_told() -> None:
    assert report.doubts(NOW, NOW) == []
    told = report.doubts(NOW, Counted("perf", "3.12.1 (GCC)", {}))
    assert len(told) == 2
    assert "perf" in told[0]
    assert "3.12.1" in told[1]
    assert Counted.now("perf", {}).python.startswith("3.")
