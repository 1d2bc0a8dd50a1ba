"""What an operator may change while we run: overrides, chaos, the log level, and the policy read again.

No HTTP in here: each takes a JSON object and gives one back, and says what is wrong with a ValueError worded for people.
Whoever may ask is the admin port's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from sidecar.edge.admin.overrides import Overrides
from sidecar.edge.chaos import Chaos
from sidecar.edge.order import LONGEST_TEXT
from sidecar.edge.outlets.log import LEVELS
from sidecar.edge.reload import Reloader, Source
from sidecar.edge.snapshot import Candidate, InForce
from sidecar.policy.units import Duration

Order = Mapping[str, Any]

MOST_COMPLAINTS = 10  # about one order


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)  # most processes never get an order


_F = TypeVar("_F", bound=Form)


class HoldForm(Form):
    target: str
    kind: str
    author: str
    reason: str
    ttl: Duration


class ReleaseForm(Form):
    target: str


class ChaosForm(Form):
    author: str
    reason: str
    ttl: Duration


class LevelForm(Form):
    level: str = Field(pattern=f"^({'|'.join(LEVELS)})$")


class Done(NamedTuple):
    """What is so after an order, and whether that is what was ordered."""

    body: dict[str, object]
    carried_out: bool = True


class Control:
    def __init__(
        self,
        overrides: Overrides,
        reloader: Reloader[Source],
        in_force: InForce,
        set_level: Callable[[str], None],
        candidate: Reloader[Candidate] | None = None,
        *,
        chaos: Chaos | None = None,
    ) -> None:
        self._overrides = overrides
        self._reloader = reloader
        self._in_force = in_force
        self._set_level = set_level
        self._candidate = candidate
        self._chaos = chaos

    def hold(self, order: Order) -> Done:
        """``{"target", "kind", "author", "reason", "ttl": "10m"}``: put an override in force."""
        form = _read(HoldForm, order)
        self._overrides.hold(form.target, form.kind, author=form.author, reason=form.reason, ttl=form.ttl)
        return Done({"overrides": self._overrides.view()})

    def release(self, order: Order) -> Done:
        """``{"target"}``: end its override."""
        target = _read(ReleaseForm, order).target
        if self._overrides.release(target, "released"):
            return Done({"overrides": self._overrides.view()})
        detail = f"there is no override of {target[:LONGEST_TEXT]!r} to release"
        return Done({"detail": detail, "overrides": self._overrides.view()}, carried_out=False)

    def begin_chaos(self, order: Order) -> Done:
        """``{"author", "reason", "ttl": "10m"}``: let the policy's chaos rules break attempts for a while."""
        form = _read(ChaosForm, order)
        if self._chaos is None:
            return Done({"detail": "there is no chaos here", "chaos": None}, carried_out=False)
        try:
            self._chaos.order(author=form.author, reason=form.reason, ttl=form.ttl)
        except LookupError as error:
            return Done({"detail": str(error), "chaos": self._chaos.view()}, carried_out=False)
        return Done({"chaos": self._chaos.view()})

    def stop_chaos(self, order: Order) -> Done:
        """``{}``: break nothing any more, whoever allowed it, until somebody orders it again."""
        _read(Form, order)
        if self._chaos is not None and self._chaos.stop():
            return Done({"chaos": self._chaos.view()})
        view = self._chaos.view() if self._chaos is not None else None
        return Done({"detail": "nothing was broken on purpose", "chaos": view}, carried_out=False)

    def log_level(self, order: Order) -> Done:
        """``{"level"}``: debug, info, warning or error, until the next restart."""
        level = _read(LevelForm, order).level
        self._set_level(level)
        return Done({"level": level})

    def follow(self, state: Mapping[str, Any]) -> None:
        """Stand as a colleague stands, by its ``state``: what an operator orders is meant for every worker."""
        told = {one["target"]: one for one in state["overrides"]}
        ours = {str(one["target"]): one for one in self._overrides.view()}
        for target in ours.keys() - told.keys():
            self._overrides.release(target, "released")
        for target, one in told.items():
            if target not in ours or any(one[name] != ours[target][name] for name in ("kind", "author", "reason")):
                with suppress(ValueError):  # it has ended meanwhile, or is of a target that our policy does not have
                    self._overrides.hold(
                        target, one["kind"], author=one["author"], reason=one["reason"], ttl=one["seconds_left"]
                    )
        self._follow_chaos(state["chaos"])
        if state["log_level"] in LEVELS:
            self._set_level(state["log_level"])

    def _follow_chaos(self, told: Mapping[str, Any] | None) -> None:
        if self._chaos is None or told is None:
            return
        ours = self._chaos.view() or {}
        if not told["active"]:
            self._chaos.stop()
        elif told["seconds_left"] is not None and any(told[name] != ours.get(name) for name in ("author", "reason")):
            with suppress(ValueError, LookupError):
                self._chaos.order(author=told["author"], reason=told["reason"], ttl=told["seconds_left"])

    def reload(self, order: Order) -> Done:
        """``{}``: read the policy and the token files again, now; and the candidate, which changes nothing about what is said of them."""
        _read(Form, order)
        taken = self._reloader.reload("admin")
        told: dict[str, object] = {
            "revision": self._in_force.current.revision,
            "problems": list(self._reloader.problems),
        }
        if self._candidate is not None:
            self._candidate.reload("admin")
            told["candidate_problems"] = list(self._candidate.problems)
        if not taken:
            told["detail"] = "the files cannot be used, the policy before stays in force"
        return Done(told, taken)


def _read(form: type[_F], order: Order) -> _F:
    try:
        return form.model_validate(dict(order))
    except ValidationError as error:
        raise ValueError("; ".join(map(_worded, error.errors()[:MOST_COMPLAINTS]))) from None


def _worded(problem: ErrorDetails) -> str:
    where = ".".join(map(str, problem["loc"]))[:LONGEST_TEXT]
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
