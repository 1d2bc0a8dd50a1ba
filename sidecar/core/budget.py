"""What is sent on top of a call is paid for by calls, so that a target in trouble gets hardly more load than a healthy one.

A token bucket as in Finagle's RetryBudget and Envoy's retry budgets, without their floors made for big fleets (ten retries a second
would be no limit at ten chats a minute). Each call deposits ``ratio``, each retry withdraws 1, the balance never exceeds
``burst`` and starts there. Hence for any n calls since start: attempts ≤ n·(1 + ratio) + burst.
"""

from __future__ import annotations

from sidecar.policy.model import HedgePolicy, RetryBudgetPolicy

_ROUNDING = 1e-9  # five deposits of 0.2 must pay for one retry
MOST_SAVED = 3.0
"""Hedges that a long calm may save up for, as the retry budget's burst by default."""


class RetryBudget:
    """One target's budget; ``burst`` is the most that there can be, by the numbers in force.

    ``now`` is taken for the sake of one shape for all machines; a balance does not age.
    """

    def __init__(self, policy: RetryBudgetPolicy) -> None:
        self._ratio, self.burst = policy.ratio, policy.burst
        self._balance = policy.burst

    def deposit(self, now: float) -> None:  # noqa: ARG002
        self._balance = min(self._balance + self._ratio, self.burst)

    def withdraw(self, now: float) -> bool:  # noqa: ARG002
        """Pay for one retry, when it is scheduled. False, and nothing is taken, if the balance does not allow it."""
        if self._balance < 1 - _ROUNDING:
            return False
        self._balance = max(self._balance - 1, 0.0)
        return True

    def refund(self, now: float) -> None:  # noqa: ARG002
        """Give back what a retry was paid that was cancelled before it was sent."""
        self._balance = min(self._balance + 1, self.burst)

    def balance(self, now: float) -> float:  # noqa: ARG002
        return self._balance

    def adopt(self, policy: RetryBudgetPolicy) -> None:
        """Take new numbers. What was saved stays, up to the new burst: a reload is no way to buy retries."""
        self._ratio, self.burst = policy.ratio, policy.burst
        self._balance = min(self._balance, policy.burst)


class HedgeBudget:
    """One target's share of calls that may be hedged; ``saved`` is what there is. It starts empty: no call has paid for a hedge yet."""

    def __init__(self, policy: HedgePolicy) -> None:
        self._share = policy.max_extra_load
        self.saved = 0.0

    def deposit(self, now: float) -> None:  # noqa: ARG002
        self.saved = min(self.saved + self._share, MOST_SAVED)

    def affords(self, now: float) -> bool:  # noqa: ARG002
        return self.saved >= 1 - _ROUNDING

    def spend(self, now: float) -> None:  # noqa: ARG002
        """Pay for one hedge that was afforded."""
        self.saved = max(self.saved - 1, 0.0)

    def adopt(self, policy: HedgePolicy) -> None:
        """Take a new share; what was saved stays."""
        self._share = policy.max_extra_load
