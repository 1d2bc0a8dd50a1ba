"""A world as a small tree of values: everything that happens to an engine, and nothing that is decided by one.

Times are seconds of virtual time. Calls have numbers of their own, and chance is a draw by number, so that whatever is taken
out of a world the rest of it stays as it was: that is what makes worlds shrink well. ``as_python`` writes a world down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sidecar.core.draw import draw
from sidecar.core.scene import Call
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.replay.simulate import Arrival
from sidecar.replay.world import Behaviour, Synthetic

START = 10.0  # seconds; a monotonic clock does not begin at nought
_LEAVING, _LEAVES, _UNEVEN = 11, 12, 13  # which draw of a call

OUTCOMES: Mapping[str, Outcome] = {
    "ok": Outcome(status=200, body={"status": "ok"}, text=True),
    "waiting": Outcome(status=200, body={"status": "WAITING"}, text=True),
    "partial": Outcome(status=200, body={"status": "partial"}, text=True),
    "said-error": Outcome(status=200, body={"status": "error"}),
    "empty": Outcome(status=200, body={"status": "ok"}),
    "connect": Outcome(error=ErrorKind.CONNECT),
    "dns": Outcome(error=ErrorKind.DNS),
    "connect-timeout": Outcome(error=ErrorKind.CONNECT_TIMEOUT),
    "no-socket": Outcome(error=ErrorKind.NO_SOCKET),
    "reset": Outcome(error=ErrorKind.RESET),
    "truncated": Outcome(error=ErrorKind.TRUNCATED),
    "protocol": Outcome(error=ErrorKind.PROTOCOL),
    "too-large": Outcome(error=ErrorKind.TOO_LARGE),
    "not-json": Outcome(error=ErrorKind.NOT_JSON),
    "400": Outcome(status=400),
    "401": Outcome(status=401),
    "413": Outcome(status=413),
    "429": Outcome(status=429, retry_after=0.1),
    "500": Outcome(status=500),
    "502": Outcome(status=502),
    "503": Outcome(status=503, retry_after=0.5),
    "503-late": Outcome(status=503, retry_after=30.0),
    "504": Outcome(status=504),
}
"""What targets answer, by name. Silence is not among them: it is an answer that takes for ever."""


class Stretch(NamedTuple):
    """``calls`` chats from ``at`` on, one ``every`` so many seconds; nought is a flood. They are numbered from ``first`` on.

    ``patience`` None is all that the first policy gives. A share of ``leaving`` clients leaves after ``leaves_after`` seconds.
    ``uneven`` draws each moment: of coming within its interval, of leaving between 0 and ``leaves_after``.
    """

    at: float = START
    calls: int = 1
    every: float = 0.0
    first: int = 1
    patience: float | None = None
    leaving: float = 0.0
    leaves_after: float = 0.0
    uneven: bool = False


class Phase(NamedTuple):
    """How a target behaves from ``since`` on; see ``Behaviour``. ``failures`` are names of ``OUTCOMES``."""

    target: str
    since: float = 0.0
    median: float = 0.1
    sigma: float = 0.0
    failing: float = 0.0
    failures: tuple[str, ...] = ("500",)
    hanging: float = 0.0


class Reload(NamedTuple):
    """A policy comes into force, stated as a file would."""

    at: float
    policy: Mapping[str, Any]


class Hold(NamedTuple):
    """An operator decides about a target: forced_open, forced_closed, off; None ends it. One that no policy has named is left alone."""

    at: float
    target: str
    override: str | None


class Power(NamedTuple):
    """Madre's power state: what is active, None where it could not be read."""

    at: float
    active: tuple[str, ...] | None


class Leap(NamedTuple):
    """The clock leaps: whatever is due within ``seconds`` from ``at`` happens at their end, in the order in which it was due."""

    at: float
    seconds: float


Happening = Reload | Hold | Power | Leap


class World(NamedTuple):
    """``seed`` is that of every draw, the engine's and the targets'. ``policy`` is stated as a file would."""

    seed: int = 1
    policy: Mapping[str, Any] = {}
    stretches: tuple[Stretch, ...] = ()
    phases: tuple[Phase, ...] = ()
    happenings: tuple[Happening, ...] = ()

    @property
    def calls(self) -> int:
        return sum(stretch.calls for stretch in self.stretches)


class Chat(NamedTuple):
    """One chat of a stretch, every draw made."""

    at: float
    number: int
    patience: float | None
    leaves_after: float | None


def chats(world: World) -> list[Chat]:
    """Everybody who comes, in the order of time."""
    found = [
        _chat(world.seed, stretch, turn) for stretch in world.stretches for turn in range(stretch.calls)
    ]  # fmt: skip
    return sorted(found, key=lambda chat: (chat.at, chat.number))


def _chat(seed: int, stretch: Stretch, turn: int) -> Chat:
    number = stretch.first + turn
    part = turn + draw(seed, number, _UNEVEN) if stretch.uneven else turn
    leaves = None
    if stretch.leaving and draw(seed, number, _LEAVING) < stretch.leaving:
        leaves = stretch.leaves_after * (draw(seed, number, _LEAVES) if stretch.uneven else 1.0)
    return Chat(stretch.at + part * stretch.every, number, stretch.patience, leaves)


def arrivals(world: World, full: float) -> list[Arrival]:
    """The chats as the simulator takes them; ``full`` is the patience of those that state none."""
    return [
        Arrival(chat.at, Call(chat.number, full if chat.patience is None else chat.patience, f"c{chat.number}"), chat.leaves_after)
        for chat in chats(world)
    ]  # fmt: skip


def alone(world: World) -> World:
    """The same world with every chat in a stretch of its own, so that each can be taken out."""
    one = tuple(
        Stretch(chat.at, 1, 0.0, chat.number, chat.patience, float(chat.leaves_after is not None), chat.leaves_after or 0.0)
        for chat in chats(world)
    )  # fmt: skip
    return world._replace(stretches=one)


def answers(world: World) -> Synthetic:
    """The targets. One without a phase is well."""
    phases: dict[str, list[tuple[float, Behaviour]]] = {"switch": [], "madre": []}
    for phase in sorted(world.phases, key=lambda phase: phase.since):
        failures = tuple(OUTCOMES[name] for name in phase.failures)
        phases[phase.target].append((phase.since, Behaviour(*phase[2:5], failures, phase.hanging)))
    return Synthetic({target: listed or [(0.0, Behaviour())] for target, listed in phases.items()}, world.seed)


def as_python(value: Any, indent: str = "") -> str:
    """``value`` as Python, one happening a line, without what is as always."""
    if isinstance(value, World):
        fields = [f"{name}={as_python(field, '    ')}" for name, field in _stated(value)]
        return "World(\n" + "".join(f"    {field},\n" for field in fields) + ")"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{type(value).__name__}({', '.join(f'{name}={field!r}' for name, field in _stated(value))})"
    if isinstance(value, tuple) and value and hasattr(value[0], "_fields"):
        return "(\n" + "".join(f"{indent}    {as_python(one)},\n" for one in value) + f"{indent})"
    return repr(value)


def _stated(value: Any) -> list[tuple[str, Any]]:
    usual = value._field_defaults
    return [(name, field) for name, field in zip(value._fields, value, strict=True) if name not in usual or field != usual[name]]  # fmt: skip
