"""What is heard twice, and what never."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from again import MOST

HERE = Path(__file__).parent
QUIET = ["-p", "no:schemathesis", "-p", "no:cov", "-p", "no:asyncio", "-p", "no:aiohttp"]
ONCE = """
import random
from pathlib import Path

def test_fine(): Path("fine").write_text(Path("fine").read_text() + "x" if Path("fine").exists() else "x")

def test_held_up():
    with Path("drawn").open("a") as told:
        print(random.random(), file=told)
    assert Path("quiet").exists() or Path("quiet").touch()
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmarkers = slow\naddopts = {' '.join(QUIET)}\n")

    def run(*command: str) -> subprocess.CompletedProcess:
        python = [sys.executable, *command]
        return subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_what_fails_once_is_heard_again_alone_and_with_the_same_seed(run, tmp_path):
    (tmp_path / "test_it.py").write_text(ONCE)
    assert run("-m", "pytest", "-n", "2").returncode == 1
    again = run(str(HERE / "again.py"), "1")
    assert again.returncode == 0
    assert "A second hearing, alone: 1 failed" in again.stdout
    first, second = (tmp_path / "drawn").read_text().split()
    assert first == second
    assert (tmp_path / "fine").read_text() == "x"


def test_what_fails_again_has_failed(run, tmp_path):
    (tmp_path / "test_it.py").write_text("def test_wrong(): assert 1 == 2\n")
    assert run("-m", "pytest").returncode == 1
    assert run(str(HERE / "again.py"), "1").returncode == 1


@pytest.mark.parametrize(("failing", "status"), [(MOST + 1, 1), (1, 2), (1, 8), (0, 1)])
def test_for_many_failures_and_any_other_end_there_is_none(run, tmp_path, failing, status):
    (tmp_path / "test_it.py").write_text(
        "from pathlib import Path\n"
        "def test_fine(): pass\n"
        + "".join(
            f"def test_{n}():\n here = Path('{n}'); assert here.exists() or here.touch()\n" for n in range(failing)
        )
    )
    assert run("-m", "pytest").returncode == (1 if failing else 0)
    again = run(str(HERE / "again.py"), str(status))
    assert (again.returncode, again.stdout) == (status, "")
