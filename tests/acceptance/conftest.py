"""What acceptance tests share: processes that are ended for them, and figures that stand at the end of the run."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import LabProcess, Process

Spawn = Callable[..., Process]
FREE = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")


_figures: list[str] = []


@pytest.fixture(scope="session")
def figures() -> list[str]:
    """Lines that are shown when all tests have run, in whatever process they ran."""
    return _figures


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A report travels to where the end is told, and takes the lines with it."""
    report = yield
    if call.when == "teardown":
        report.user_properties.extend(("acceptance figures", line) for line in _figures)
        _figures.clear()
    return report


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Starts ``python -m sidecar`` with arguments and environment; what still runs when the test is over is killed."""
    numbers = itertools.count(1)
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **environ: str) -> Process:
            errors = tmp_path / f"{'-'.join(arguments[:1])}-stderr-{next(numbers)}"
            return stack.enter_context(Process(*arguments, environ=environ, errors=errors))

        yield start


@pytest.fixture(scope="session")
def lab_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A VX11 in which all is well, in a process of its own; tests must leave it so."""
    errors = tmp_path_factory.mktemp("lab") / "stderr"
    with Process("lab", *FREE, "--control", "0", errors=errors) as process:
        yield LabProcess(process)
