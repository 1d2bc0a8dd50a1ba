"""The command: what it prints and keeps, and what it says to what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.instructions import __main__ as command
from benchmarks.instructions import counting
from benchmarks.instructions.turns import Run


class Counting:
    name = "made up"

    def count(self, runs, told):
        return {run: 10_000 + 2_500 * run.turns for run in runs}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "found", Counting)


@pytest.mark.usefixtures("counted")
def test_a_table_a_file_and_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = str(tmp_path / "kept.json")
    assert command.main(["core.open", "--json", kept]) == 0
    head, row, *rest = capsys.readouterr().out.splitlines()
    assert head.split() == ["case", "thousand", "a", "turn"]
    assert row.startswith("core.open      2.50  a call")
    assert "counted by made up" in rest[-1]
    assert json.loads(Path(kept).read_text())["instructions"] == {"core.open": 2_500.0}
    assert command.main(["core.open", "--against", kept]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:4] == ["2.50", "2.50", "1.000"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["core.none"], "core.none: none of"),
        (["--profile", "none"], "none: none of"),
        (["core", "--against", "/none.json"], "/none.json: No such file"),
        (["--against"], "expected one argument"),
        (["--faster"], "unrecognized"),
    ],
)
@pytest.mark.usefixtures("counted")
def test_what_cannot_be_asked(given: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(given)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_where_nobody_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(counting.measure, "counters", lambda: False)
    monkeypatch.setattr(counting.shutil, "which", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        command.main(["core.open"])
    assert ended.value.code == 2
    assert "valgrind" in capsys.readouterr().err


def test_a_case_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(Counting):
        def count(self, runs, told):
            told(Run("core.open", 1))
            raise counting.FailedError("core.open failed")

    monkeypatch.setattr(counting, "found", Failing)
    assert command.main(["core.open"]) == 1
    assert "core.open failed" in capsys.readouterr().err


def test_a_profile_needs_nobody_who_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--profile", "core.withdraw"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("core.withdraw: a retry is paid for")
    withdraw = next(line.split() for line in said.splitlines() if "budget.py" in line and " withdraw" in line)
    assert withdraw[2] == "1.00"
    assert "turns.py" not in said
