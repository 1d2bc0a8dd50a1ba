"""Everybody who takes facts in production, as ``sidecar.edge.runtime`` puts them together, with a log that goes nowhere."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sidecar.core.fact import Emit
from sidecar.edge.admin.calls import Calls
from sidecar.edge.admin.status import Status
from sidecar.edge.admin.trend import Trend
from sidecar.edge.outlets.journal import Journal
from sidecar.edge.outlets.log import FactLog, Logging
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.outlets.telling import Facts
from sidecar.edge.outlets.usage import Usage
from sidecar.policy.model import Policy

Clock = Callable[[], float]


def clock(step: float = 0.0001) -> Clock:
    """Seconds that go on by ``step`` at each look, so that what hangs on time is the same in every run."""
    return itertools.count(1_000.0, step).__next__


def journal(rest: ExitStack) -> Journal:
    directory = rest.enter_context(TemporaryDirectory(prefix="instructions-journal-"))
    made = Journal(Path(directory), Policy().journal, seed=1)
    rest.callback(made.close)
    return made


def log(rest: ExitStack, now: Clock) -> FactLog:
    nowhere = rest.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - the stack closes it
    with redirect_stderr(nowhere):
        logging = Logging("info", now)
    rest.callback(logging.close)
    return FactLog(logging.log)


class Loud:
    """A sink that fails in production costs a line of log; here it ends the case."""

    def error(self, event: str, /, **fields: Any) -> None:
        raise AssertionError(f"{event}: {fields}")


def everybody(rest: ExitStack, now: Clock) -> Emit:
    facts = Facts(Loud())
    for sink in (journal(rest), Telemetry(now), log(rest, now), Status(now), Calls(), Trend(now), Usage()):
        facts.add(sink)
    return facts
