"""Facts: everything anybody outside may learn, as frozen values through one ``emit(fact)``.

One stream feeds the metrics, the log, the journal, the explain view and the replay report, so they agree by construction.
Facts of the edge (relay, refusals, tokens) travel in the same stream. No fact ever holds a token, a query string or
the text of a message. ``at`` is monotonic seconds of the driver's clock.

A fact about a decision holds what it was decided by, so that it can be explained when the machines have long moved on. These inputs
come last and have defaults: who reads only what happened (metrics, log, traces, the record of a replay) never meets them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.core.fact.call import (
    AttemptEnded,
    AttemptStarted,
    CallBegan,
    CallEnded,
    EventHeard,
    Fault,
    FaultInjected,
    FellBack,
    Hedged,
    HedgeDenied,
    HedgeEnded,
    Refused,
    Retried,
    RetryDenied,
    RetryInputs,
)
from sidecar.core.fact.edge import (
    ChaosSwitched,
    ChatObserved,
    ChatRejected,
    ChatReplayed,
    ChatServed,
    Gave,
    KeySent,
    KeyUse,
    KeyUsed,
    MessageRefused,
    RateLimited,
    RelayEnded,
    ReloadEnded,
    RequestShed,
    TokenJudged,
    TokenJudgement,
    Would,
)
from sidecar.core.fact.machines import BreakerMoved, Counts, HealthMoved, LimitMoved, Thresholds
from sidecar.core.fact.outside import DormancyHeard, HealthHeard, Overridden, PolicyAdopted
from sidecar.core.fact.shared import StoreAsked, StoreMoved, Told, Trouble
from sidecar.core.value import asdict, is_value

__all__ = [
    "AttemptEnded", "AttemptStarted", "BreakerMoved", "CallBegan", "CallEnded", "ChaosSwitched", "ChatObserved", "ChatRejected",
    "ChatReplayed", "ChatServed", "Counts", "DormancyHeard", "Emit", "EventHeard", "Fact", "Fault", "FaultInjected", "FellBack",
    "Gave", "HealthHeard", "HealthMoved", "HedgeDenied", "HedgeEnded", "Hedged", "KeySent", "KeyUse", "KeyUsed", "LimitMoved",
    "MessageRefused", "Overridden", "PolicyAdopted", "RateLimited", "Refused", "RelayEnded", "ReloadEnded", "RequestShed", "Retried",
    "RetryDenied", "RetryInputs", "StoreAsked", "StoreMoved", "Thresholds", "TokenJudged", "TokenJudgement", "Told", "Trouble", "Would",
    "as_json",
]  # fmt: skip

Fact = (
    CallBegan | EventHeard | AttemptStarted | AttemptEnded | Retried | RetryDenied | Hedged | HedgeDenied | HedgeEnded | Refused
    | FellBack | BreakerMoved | HealthMoved | CallEnded | DormancyHeard | HealthHeard | Overridden | PolicyAdopted | ReloadEnded
    | RateLimited | ChatRejected | ChatServed | RelayEnded | MessageRefused | RequestShed | ChatObserved | LimitMoved
    | ChatReplayed | KeyUsed | KeySent | FaultInjected | ChaosSwitched | StoreAsked | StoreMoved | TokenJudged
)  # fmt: skip
Emit = Callable[[Fact], None]


def as_json(fact: Fact, began: float) -> dict[str, Any]:
    """A fact of a call as JSON has it: its name, its seconds since the call ``began``, and its fields but the number of the call.

    What stands within it becomes an object that says what it ``is``. One form for whoever explains a call, from wherever its facts come.
    """
    return {"fact": type(fact).__name__, **_fields(fact, began)}


def _fields(value: Any, began: float) -> dict[str, Any]:
    fields = asdict(value)
    fields.pop("call", None)
    at = fields.pop("at", None)
    timed = {} if at is None else {"after_seconds": round(at - began, 6)}
    return timed | {name: _plain(part, began) for name, part in fields.items()}


def _plain(value: Any, began: float) -> Any:
    return {"is": type(value).__name__, **_fields(value, began)} if is_value(value) else value
