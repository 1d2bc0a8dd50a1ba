"""What each reason for a degraded answer means, and what whoever is on call can do: one wording for page, command and API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.core.vocabulary import Reason


class Advice(NamedTuple):
    """``means`` says what happened, ``do`` what to look at and what to change; whole sentences, no markup."""

    means: str
    do: str


ADVICE: Mapping[Reason, Advice] = {
    Reason.OPEN: Advice(
        "Its circuit breaker is open: it failed or was too slow, and is left alone until a probe finds it well.",
        "Mend the target; there is nothing to do here. One chat at a time tries it, and after enough good ones in a row it answers again.",
    ),
    Reason.FAILURE: Advice(
        "It could not be reached, or it answered with an error. An error can hide in an HTTP 200.",
        "Look at the attempts below for the result, then at the target's own log.",
    ),
    Reason.TIMEOUT: Advice(
        "It gave no complete answer in the time a chat has.",
        "The target hangs or is too busy. If this goes on its breaker opens and chats get their answer at once from the next target.",
    ),
    Reason.BUDGET: Advice(
        "It failed, and the retry that was due could not be paid for: the retry budget is empty.",
        "Many calls fail at once. Look at why the first attempts fail; a larger budget only adds load to a target in trouble.",
    ),
    Reason.LIMITED: Advice(
        "There are more chats at once than it may be asked, and its queue was full or took too long.",
        "Look at its slots and its queue. Raise limiter.max_concurrent only if the target really works on more than one chat at a time.",
    ),
    Reason.DORMANT: Advice(
        "It is off on purpose: madre's power state says so. This is no fault.",
        "Open a power window if it should answer, or use a ladder without it (policies/solo_madre.yaml).",
    ),
    Reason.UNHEALTHY: Advice(
        "Its health probes fail, so chats are not sent there: nobody answers them, or with a 5xx. A target that is merely busy is not one.",
        "Mend the target; after enough good probes in a row it is asked again. If it does answer chats, write health.mode: off, or an "
        "override forced_closed for now.",
    ),
    Reason.OFF: Advice(
        "An operator switched it off with an override.",
        "Look at the override for who, why and how long. It ends by itself; POST /overrides/release ends it now.",
    ),
    Reason.MISCONFIGURED: Advice(
        "It refused us rather than the chat: 401 or 403 is the wrong token; 404, 405 or 422 the wrong service, path or body.",
        "Check the token we send (VX11_TENTACULO_LINK_TOKEN) and the address of the target. No retry helps.",
    ),
    Reason.CALLER_ERROR: Advice(
        "It found the request itself wrong; no other target would like it better.",
        "Find the chat below by its correlation id and ask its sender.",
    ),
    Reason.WAITING: Advice(
        "It answered, but it waits for somebody to confirm what it plans.",
        "Confirm or reject the plan where it was asked for.",
    ),
    Reason.AFFINITY: Advice(
        "Its session fell back a moment ago and stays with who answered then, so that a conversation does not change its voice.",
        "Nothing to do: it comes back when affinity.stick is over. Look at why the session fell back.",
    ),
}


def advice(reason: Reason | None) -> Advice | None:
    """None where nothing needs to be said."""
    return None if reason is None else ADVICE[reason]
