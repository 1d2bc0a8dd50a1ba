"""Who counts instructions: the processor by ``perf`` where it lets us, else valgrind's ``callgrind``, which simulates one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from benchmarks.instructions.case import Case
from benchmarks.instructions.turns import Run
from benchmarks.parts import ROOT
from benchmarks.proxies import measure

PROGRAM = (sys.executable, "-m", "benchmarks.instructions.turns")
NOWHERE = (
    "neither perf with counters nor valgrind is here: `make deps` installs valgrind, as root, from Debian's packages"
)


class UnavailableError(Exception):
    """Nobody counts here."""


class FailedError(Exception):
    """A case did not come to its end; says what it said last."""


class Counter(Protocol):
    name: str

    def count(self, runs: Iterable[Run], told: Callable[[Run], None]) -> dict[Run, int]:
        """Instructions in user space of each run, start-up included. Raises FailedError."""


def per_turn(
    counter: Counter, cases: Iterable[Case], told: Callable[[Run], None] = lambda _run: None
) -> dict[str, float]:
    """Instructions by case: of many turns less few, so that everything else cancels out."""
    pairs = [(case, Run(case.name, case.few), Run(case.name, case.few + case.turns)) for case in cases]
    counted = counter.count([run for _, few, many in pairs for run in (few, many)], told)
    return {case.name: (counted[many] - counted[few]) / case.turns for case, few, many in pairs}


def found() -> Counter:
    if measure.counters():
        return Perf()
    if shutil.which("valgrind") is not None:
        return Callgrind()
    raise UnavailableError(NOWHERE)


class Callgrind:
    """All runs are forks of one process, since to load Python takes it longest; each writes a file of its own."""

    name = "callgrind"

    def count(self, runs: Iterable[Run], told: Callable[[Run], None]) -> dict[Run, int]:
        with tempfile.TemporaryDirectory(prefix="instructions-") as directory:
            out = Path(directory)
            command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}/%p", *PROGRAM]
            with (out / "said").open("w+") as said:
                process = subprocess.Popen(
                    [*command, *map(str, runs)], cwd=ROOT, env=environ(), stdout=subprocess.PIPE, stderr=said, text=True
                )
                counted = {}
                with process:
                    for line in process.stdout or ():
                        run, pid = line.split()
                        counted[Run.of(run)] = total((out / pid).read_text())
                        told(Run.of(run))
                if process.returncode:
                    raise FailedError(_last_words(out / "said"))
        return counted


class Perf:
    """A process for each run: it starts in no time."""

    name = "perf"

    def count(self, runs: Iterable[Run], told: Callable[[Run], None]) -> dict[Run, int]:
        counted = {}
        with tempfile.TemporaryDirectory(prefix="instructions-") as directory:
            report = Path(directory) / "report"
            perf = ["perf", "stat", "-x", ",", "-e", "instructions:u", "-o", str(report), "--", *PROGRAM]
            for run in runs:
                done = subprocess.run(
                    [*perf, str(run)], cwd=ROOT, env=environ(), capture_output=True, text=True, check=False
                )
                instructions = measure.instructions(report.read_text()) if report.exists() else None
                if done.returncode or instructions is None:
                    raise FailedError((done.stderr.strip() or f"{run}: not counted").splitlines()[-1])
                counted[run] = int(instructions)
                told(run)
        return counted


def environ() -> dict[str, str]:
    """Two runs must not differ in how their dicts are laid out, nor by what somebody has set for another purpose."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VX11_", "OTEL_"))}
    path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return kept | path | {"PYTHONHASHSEED": "0"}


def total(report: str) -> int:
    """The figure at the end of what callgrind has written. Raises ValueError where there is none."""
    for line in reversed(report.splitlines()):
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise ValueError("callgrind wrote no totals")


def _last_words(path: Path) -> str:
    lines = path.read_text().strip().splitlines()
    return "\n".join(lines[-5:]) or "a case failed, and said nothing"
