"""What ``mode: shadow`` has seen since the start, in the figures that say whether to let the sidecar answer.

Where we would have refused, the difference to the gateway is decided. Where we would have asked the ladder it is not, for no target was
asked: then only the gateway's side is known, and how often it was degraded, late or none at all is what there is to gain, at most.
"""

from __future__ import annotations

from collections import Counter

from sidecar.core.fact import ChatObserved
from sidecar.core.record import LatencyRecord

LET_PASS = ("answered", "degraded")


class Observed:
    """Takes the facts about observed chats. Bounded: closed words, and the last latencies."""

    def __init__(self) -> None:
        self._would = Counter[str]()
        self._gateway = Counter[str]()
        self._differences = dict.fromkeys(("only_we_would_refuse", "only_the_gateway_refused", "for_the_ladder"), 0)
        self._lookalikes = Counter[str]()
        self._late = 0
        self._seconds = LatencyRecord()

    def __call__(self, fact: ChatObserved) -> None:
        if fact.route != "chat":
            self._lookalikes[fact.would] += 1
            return
        self._would[fact.would] += 1
        self._gateway[fact.gateway] += 1
        self._late += fact.late
        if fact.gateway != "client_gone":
            self._seconds.observe(fact.seconds)
        difference = _difference(fact)
        if difference is not None:
            self._differences[difference] += 1

    def view(self) -> dict[str, object] | None:
        """None while there was nothing to observe. Latencies are those of the last whole answers, None before there are enough."""
        chats = self._would.total()
        if not chats + self._lookalikes.total():
            return None
        return {
            "chats": chats,
            "would": dict(self._would),
            "gateway": dict(self._gateway),
            "late": self._late,
            "differences": dict(self._differences),
            "lookalikes": dict(self._lookalikes),
            "p50_seconds": self._seconds.quantile(0.5),
            "p95_seconds": self._seconds.quantile(0.95),
        }


def _difference(fact: ChatObserved) -> str | None:
    """What would have been otherwise, or could have been; None where nothing would, or nobody can know."""
    if fact.would == "undecided":
        return None
    if fact.would != "pass":
        return "only_we_would_refuse" if fact.gateway in LET_PASS else None
    if fact.gateway == "rejected":
        return "only_the_gateway_refused"
    return "for_the_ladder" if fact.late or fact.gateway in ("degraded", "error") else None
