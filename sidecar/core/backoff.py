"""How long to wait before a retry: full jitter, or what the target asked for."""

from __future__ import annotations

from sidecar.policy.model import Backoff as BackoffPolicy


def backoff(policy: BackoffPolicy, retry: int, u: float, retry_after: float | None) -> float:
    """Seconds to wait before the ``retry``-th retry (from 1), for a draw ``u`` in [0, 1).

    Uniform over 0 … min(max, base·2^(retry-1)): "full jitter" of Brooker, "Exponential backoff and jitter" (2015).
    A target that said Retry-After is asked that much later still, so that those it sent away do not all come back at once;
    whether the wait fits the time left is for the caller to see.
    """
    drawn = u * min(policy.max, policy.base * 2.0 ** (retry - 1))
    if policy.respect_retry_after and retry_after is not None:
        return retry_after + drawn
    return drawn
