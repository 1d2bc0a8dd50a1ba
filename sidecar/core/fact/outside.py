"""What the engine is told besides calls."""

from __future__ import annotations

from sidecar.core.value import Value
from sidecar.core.vocabulary import Outcome, Override, Verdict
from sidecar.policy.model import Policy


class DormancyHeard(Value):
    """Input of the engine: madre's power state. ``active`` is None when it could not be read."""

    at: float
    active: frozenset[str] | None


class HealthHeard(Value):
    """Input of the engine: a health probe of a target ended after ``seconds``.

    ``busy`` says whether a chat was in flight on the target while it was under way. Decided by that and the ``outcome``: the
    ``verdict``, which is success, fatal, or ignored where the probe says nothing.
    """

    at: float
    target: str
    outcome: Outcome
    busy: bool
    seconds: float
    verdict: Verdict


class Overridden(Value):
    """Input of the engine: an operator decided about a target; ``override`` is None when that is over."""

    at: float
    target: str
    override: Override | None


class PolicyAdopted(Value):
    """Input of the engine: a policy is in force from now on."""

    at: float
    revision: str
    source: str
    policy: Policy
