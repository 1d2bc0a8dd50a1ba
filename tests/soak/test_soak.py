"""A hundred thousand calls in generated worlds break no promise. In a process of its own: coverage would take as long again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import __main__ as runner
from .campaign import PORTION, campaign, portion, try_world
from .check import digest
from .generate import generate

ROOT = Path(__file__).parents[2]
CALLS = 100_000


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=600, check=False
    )  # fmt: skip


def test_a_hundred_thousand_calls_break_no_promise(record_property: Any) -> None:
    seed = random.getrandbits(40)
    done = run("-m", "tests.soak", "--calls", str(CALLS), "--processes", "1", "--seed", str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {
        name: text for name, _, text in (line.partition("  ") for line in done.stdout.splitlines() if "  " in line)
    }
    counted = {name: int(figures[name].replace(",", "")) for name in runner.COLUMNS}
    assert counted["calls"] >= CALLS
    assert counted.pop("violations") == 0
    assert min(counted.values()) > 0, "a world in which something never happens shows nothing about it"
    took = figures["seconds"].split()
    told = ", ".join(
        f"{counted[name]:,} {name}"
        for name in ("worlds", "calls", "attempts", "retries", "trips", "reloads", "overrides", "leaps")
    )
    record_property("soak figures", f"soak, seed {seed}: {told}, 0 violations, {' '.join(took)}")


def test_worlds_are_the_same_in_every_process() -> None:
    numbers = [random.getrandbits(40) for _ in range(4)]
    script = (
        "import sys; sys.path.insert(0, 'tests'); from soak.check import digest; from soak.generate import generate\n"
    )
    script += f"print(*[digest(generate(number)) for number in {numbers}])"
    others = {run("-c", script, PYTHONHASHSEED=seed).stdout.strip() for seed in ("1", "2")}
    assert others == {" ".join(digest(generate(number)) for number in numbers)}


def test_several_processes_try_the_same_worlds_as_one() -> None:
    seed = random.getrandbits(40)
    *_, tally = campaign(seed, 1, seconds=60, processes=2)
    assert tally.worlds == PORTION
    assert tally in [portion(seed + turn * PORTION) for turn in range(3)]  # the portion that was over first


def test_the_time_ends_a_campaign() -> None:
    assert len(list(campaign(1, 10**9, seconds=0, processes=1))) == 1


def test_a_world_is_told_by_its_number(capsys: Any) -> None:
    assert runner.main(["--world", "5"]) == 0
    assert f"'calls': {try_world(5).calls}" in capsys.readouterr().out
