"""A row about limits that replicas keep together: whether their store is there, and by whom chats were counted."""

from __future__ import annotations

from dashboards.colours import LOST, STORE, TOLD
from dashboards.expressions import counted_if_seen, metric
from dashboards.panels import Query, bars, timeline


def row() -> list[object]:
    """The heading, and its panels."""
    return ["What replicas share", _store(), _counted()]


def _store() -> object:
    numbers = {state: number for number, state in enumerate(STORE)}
    numbered = " or ".join(
        metric("shared_store", f'state="{state}"') + f" * {number}" for state, number in numbers.items()
    )
    text = (
        "The Redis in which replicas count together. away: each counts for itself, so that a session may chat as often as the limit on "
        "every replica; see Redis, and the log for why. off: none is configured."
    )
    return timeline(
        "The shared store",
        text,
        Query(f"max by (instance) ({numbered})", "{{instance}}"),
        empty="no sidecar is scraped",
        means={str(numbers[state]): (state, colour) for state, colour in STORE.items()},
        width=12,
    )


def _counted() -> object:
    text = (
        "Questions of chats about limits and keys: answered is by the store, for all replicas; at late and away the replica went on for "
        "itself. Many late: Redis is slower than shared.timeout. Beside them how often the store was lost, and why."
    )
    return bars(
        "Judged together or alone",
        text,
        Query(counted_if_seen("shared_asked_total", by="told"), "{{told}}"),
        Query(counted_if_seen("shared_lost_total", by="why"), "lost: {{why}}"),
        empty="no store is configured, or no chat came",
        colours={**TOLD, **{f"lost: {why}": colour for why, colour in LOST.items()}},
    )
