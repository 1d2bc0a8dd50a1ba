"""What an operator may change while we run: overrides, the log level, and the policy read again.

No HTTP in here: each takes a JSON object and gives one back, and says what is wrong with a ValueError worded for people.
Whoever may ask is the admin port's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from sidecar.edge.admin.overrides import LONGEST_TEXT, Overrides
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
    ) -> None:
        self._overrides = overrides
        self._reloader = reloader
        self._in_force = in_force
        self._set_level = set_level
        self._candidate = candidate

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

    def log_level(self, order: Order) -> Done:
        """``{"level"}``: debug, info, warning or error, until the next restart."""
        level = _read(LevelForm, order).level
        self._set_level(level)
        return Done({"level": level})

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
