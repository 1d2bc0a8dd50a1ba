"""Where one call stands, and what is said of it wherever it is."""

from __future__ import annotations

from sidecar.core.fact import BreakerMoved, Emit, LimitMoved, Refused
from sidecar.core.scene import Call, Rung, Scene
from sidecar.core.value import replace
from sidecar.core.vocabulary import Finish, Reason

LEFT = Finish(None, None, degraded=False, reason=None, abandoned=True)  # the client left: nobody needs an answer


class Course:
    """Where one call stands: its clock (the time of the last event), its deadline, its attempts."""

    __slots__ = ("attempts", "call", "deadline", "emit", "first_reason", "now", "scene", "shortened")

    def __init__(self, now: float, call: Call, scene: Scene, emit: Emit) -> None:
        self.now = now
        self.call = call
        self.scene = scene
        self.emit = emit
        self.attempts = 0
        self.first_reason: Reason | None = None  # why the primary did not answer
        self.deadline = now + call.patience
        self.shortened = call.patience < scene.patient


def tick(course: Course, rung: Rung) -> None:
    """Let the breaker do what time alone does."""
    moved = rung.machines.breaker.tick(course.now)
    if moved:
        tell(course, moved)


def tell(course: Course, moved: BreakerMoved) -> None:
    """A breaker knows nothing of calls; that it moved in the course of this one is part of its story."""
    course.emit(replace(moved, call=course.call.number))


def limited(course: Course, moved: LimitMoved | None) -> None:
    """Say that a limit moved, if it did."""
    if moved:
        course.emit(moved)


def refuse(
    course: Course,
    rung: Rung,
    until: float,
    reason: Reason,
    retry_after: float | None = None,
    *,
    waited: float = 0.0,
) -> Reason:
    """Say that the target is not asked, and how its machines stand."""
    now, breaker, limiter = course.now, rung.machines.breaker, rung.machines.limiter
    health = rung.machines.health.moved if reason is Reason.UNHEALTHY else None
    stand = (breaker.state, breaker.moved, limiter.in_flight, limiter.queued, limiter.limits, health)
    course.emit(Refused(now, course.call.number, rung.name, reason, retry_after, until - now, waited, *stand))
    return reason
