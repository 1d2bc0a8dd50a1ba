"""A journal of one target that fails now and then, for commands that read journals."""

from __future__ import annotations

from pathlib import Path

import orjson

from sidecar.core.engine import Engine
from sidecar.core.fact import Fact
from sidecar.core.line import SCHEMA, to_line
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.policy.model import Policy
from sidecar.replay.simulate import Arrival, Simulation

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
REFUSED = Outcome(error=ErrorKind.CONNECT)


class World:
    """The switch hangs for a fourth of the time, and takes between 100 and 200 ms otherwise; madre takes 60."""

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        if step.target == "madre":
            return 0.06, GOOD
        if now % 80 > 60:
            return 100.0, GOOD
        return 0.1 + (call * 37 % 100) / 1000, GOOD


def lines(calls: int = 300, seed: int = 7, first: float = 10.0, every: float = 0.5) -> list[bytes]:
    """The lines of a sidecar that served so many calls."""
    found: list[dict[str, object]] = [{"in": "start", "schema": SCHEMA, "version": "0.1.0", "seed": seed}]

    def emit(fact: Fact) -> None:
        line = to_line(fact)
        if line is not None:
            found.append(line)

    engine = Engine(0.0, Policy.model_validate({}), revision="r", source="built-in", seed=seed, emit=emit)
    Simulation(engine, World()).run(Arrival(first + every * n, Call(n, 4.75, f"c{n}")) for n in range(1, calls + 1))
    return [orjson.dumps(line) + b"\n" for line in found]


def write(path: Path, *parts: list[bytes]) -> Path:
    path.write_bytes(b"".join(line for part in parts for line in part))
    return path
