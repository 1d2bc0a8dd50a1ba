"""From two runs of a case to what a turn costs, and who counts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.instructions import counting
from benchmarks.instructions.case import Case
from benchmarks.instructions.turns import Run

REPORT = """# callgrind format
version: 1
pid: 14433
part: 1
positions: line
events: Ir
summary: 71474647

fn=(0) below main
1 20
totals: 71474647
"""


class Counting:
    """Start-up costs a million, a turn of ``b`` seven."""

    name = "made up"

    def count(self, runs: Iterable[Run], told: Callable[[Run], None]) -> dict[Run, int]:
        counted = {run: 1_000_000 + run.turns * (7 if run.case == "b" else 1) for run in runs}
        for run in counted:
            told(run)
        return counted


def case(name: str, turns: int) -> Case:
    return Case(name, "", lambda _: lambda: None, turns)


def test_start_up_cancels_out() -> None:
    seen: list[Run] = []
    assert counting.per_turn(Counting(), [case("a", 400), case("b", 3)], seen.append) == {"a": 1.0, "b": 7.0}
    assert seen == [Run("a", 200), Run("a", 600), Run("b", 1), Run("b", 4)]


def test_a_run_is_written_as_it_is_read() -> None:
    assert str(Run("wire.answer-fresh", 600)) == "wire.answer-fresh=600"
    assert Run.of("wire.answer-fresh=600") == Run("wire.answer-fresh", 600)


def test_the_total_of_a_report() -> None:
    assert counting.total(REPORT) == 71_474_647
    with pytest.raises(ValueError, match="no totals"):
        counting.total("events: Ir\n")


def test_nothing_of_python_in_the_environment_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("VX11_TENTACULO_LINK_TOKEN", "t")
    environ = counting.environ()
    assert environ["PYTHONHASHSEED"] == "0"
    assert environ["PYTHONPATH"] == "/elsewhere"
    assert "PATH" in environ
    assert not {"PYTHONMALLOC", "VX11_TENTACULO_LINK_TOKEN"} & set(environ)


@pytest.mark.parametrize(
    ("perf", "valgrind", "name"),
    [(True, "/usr/bin/valgrind", "perf"), (True, None, "perf"), (False, "/usr/bin/valgrind", "callgrind")],
)
def test_the_processor_counts_where_it_can(
    monkeypatch: pytest.MonkeyPatch, *, perf: bool, valgrind: str | None, name: str
) -> None:
    monkeypatch.setattr(counting.measure, "counters", lambda: perf)
    monkeypatch.setattr(counting.shutil, "which", lambda _: valgrind)
    assert counting.found().name == name


def test_nobody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting.measure, "counters", lambda: False)
    monkeypatch.setattr(counting.shutil, "which", lambda _: None)
    with pytest.raises(counting.UnavailableError, match="make deps"):
        counting.found()


def test_perf_counts_each_run_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> SimpleNamespace:
        report = Path(command[command.index("-o") + 1])
        turns = Run.of(command[-1]).turns
        report.write_text(f"# started\n\n{5_000 + 3 * turns},,instructions:u,100,100.00,,\n")
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    assert counting.per_turn(counting.Perf(), [case("a", 10)]) == {"a": 3.0}


def test_perf_that_counts_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0, stderr=""))
    with pytest.raises(counting.FailedError, match="a=5: not counted"):
        counting.per_turn(counting.Perf(), [case("a", 10)])


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_callgrind_counts_a_case() -> None:
    few, more, most = runs = [Run("loop.empty", turns) for turns in (500, 1_500, 2_500)]
    counted = counting.Callgrind().count(runs, lambda _: None)
    turn = (counted[more] - counted[few]) / 1_000
    print(f"{turn:.1f} instructions a turn")
    assert 20 < turn < 2_000
    assert (counted[most] - counted[more]) / 1_000 == pytest.approx(turn, rel=0.05)


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_callgrind_says_why_a_case_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PROGRAM", ("sh", "-c", "echo gone >&2; exit 3"))
    with pytest.raises(counting.FailedError, match="gone"):
        counting.Callgrind().count([Run("loop.empty", 1)], lambda _: None)
