"""What a health probe does to the rest: who is held back, whose breaker may try again, who comes back slowly.

    down          -- chats leave the target out, for the reason ``unhealthy``
    up again      -- chats ask it again
    recovered     -- an open breaker of it goes to half_open; only chats that are answered close it

Two exceptions, so that probes cannot take chat away. *Panic* (Envoy's word): where nobody on the ladder is left to ask, because all are
down or held back, probes are not obeyed, and breakers alone say who is left alone. And an operator who holds a breaker closed wants the
target asked.

A switch that is off by power policy refuses its probes, too: where the power state explains a refused chat it explains a refused probe,
which then says nothing. And when its window opens, what probes said before is forgotten.
"""

from __future__ import annotations

from sidecar.core.breaker import State
from sidecar.core.fact import Emit, HealthHeard
from sidecar.core.health import Health, HealthState, weigh
from sidecar.core.scene import Rung, Scene
from sidecar.core.vocabulary import Outcome, Reason, Verdict


def hear(now: float, scene: Scene, rung: Rung, outcome: Outcome, *, busy: bool, seconds: float, emit: Emit) -> None:
    """Take one result of a probe of a target that is probed."""
    health = rung.health
    assert health is not None  # noqa: S101 - asked by the engine
    explained = scene.dormancy.explains(rung.name, scene.dormant, outcome)
    verdict = Verdict.IGNORED if explained else weigh(outcome, busy=busy)
    emit(HealthHeard(now, rung.name, outcome, busy, seconds, verdict))
    heard = health.hear(now, verdict)
    for moved in heard.moves:
        emit(moved)
    back = any((moved.before, moved.after) == (HealthState.DOWN, HealthState.UP) for moved in heard.moves)
    slowly = rung.machines.limiter.recover(now) if back else None
    if slowly:
        emit(slowly)
    hold(now, scene, rung.name, health)
    hinted = rung.machines.breaker.hint(now, "health") if heard.recovered else None
    if hinted:
        emit(hinted)


def forget(now: float, scene: Scene, target: str, health: Health, *, why: str, emit: Emit) -> None:
    """What probes have said of a target holds no more."""
    moved = health.forget(now, why)
    if moved:
        emit(moved)
    hold(now, scene, target, health)


def shut(now: float, scene: Scene, rung: Rung) -> Reason | None:
    """Why a target in ``scene.shut`` is not asked; None: it is asked all the same."""
    if rung.name in scene.off:
        return Reason.OFF
    if not _down(now, rung) or rung.machines.breaker.state is State.FORCED_CLOSED:
        return None
    return None if all(_out(now, scene, each) for each in scene.ladder) else Reason.UNHEALTHY


def _out(now: float, scene: Scene, rung: Rung) -> bool:
    return rung.name in scene.off or scene.dormancy.forbids(rung.name, scene.dormant) or _down(now, rung)


def _down(now: float, rung: Rung) -> bool:
    return rung.health is not None and rung.health.down(now)


def hold(now: float, scene: Scene, target: str, health: Health) -> None:
    """Keep ``shut`` no larger than it must be: who is not in it is asked without another look."""
    if health.down(now) or target in scene.off:
        scene.shut.add(target)
    else:
        scene.shut.discard(target)
