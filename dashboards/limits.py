"""A row about limiters: slots in use against those in force, what an adaptive limit goes by, and who waits."""

from __future__ import annotations

from dashboards.colours import LIMITS, TARGETS, bounds, by_target
from dashboards.expressions import counted_if_seen, limit, metric, quantile, worst
from dashboards.panels import Query, bars, series


def row() -> list[object]:
    """The heading, and its panels."""
    return [
        "Limiters",
        _limiter("limiter_inflight", "max_concurrent", "Slots in use", "in use"),
        _slots(),
        _baseline(),
        _limits_moved(),
        _limiter("limiter_queued", "queue", "Queue", "waiting"),
    ]


def _limiter(name: str, threshold: str, title: str, word: str) -> object:
    text = (
        f"The most at one scrape, and limiter.{threshold} (dashed). Peaks between two scrapes are not seen: refusals "
        "with reason limited are the proof that a limit was met. Raise it only if the target really answers that "
        "many at once."
    )
    return series(
        f"{title}, against the limit",
        text,
        "short",
        Query(worst(name, by="target"), f"{{{{target}}}} {word}"),
        Query(limit(threshold), "{{target}} limit"),
        empty="no sidecar is scraped",
        colours={f"{target} {word}": colour for target, colour in TARGETS.items()},
        dashed=bounds("limit"),
    )


def _slots() -> object:
    text = (
        "The slots in force, the fewest of the chosen sidecars, and their bounds limiter.min_concurrent and max_concurrent "
        "(dashed). They move only with limiter.adaptive or limiter.slow_start. At the lower bound while chats are limited: "
        "the target answers no more at once, or its baseline is too low."
    )
    return series(
        "Slots in force, between their bounds",
        text,
        "short",
        Query(f"min by (target) ({metric('limiter_limit')})", "{{target}} slots"),
        Query(limit("max_concurrent"), "{{target}} most"),
        Query(limit("min_concurrent"), "{{target}} least"),
        empty="no sidecar is scraped",
        colours={f"{target} slots": colour for target, colour in TARGETS.items()},
        dashed={**bounds("most"), **bounds("least")},
    )


def _baseline() -> object:
    text = (
        "What an adaptive limit takes a chat alone to need (dashed), the most of the chosen sidecars, and the median of "
        "all requests. Far below the median while slots are few: chats wait on the target. Far above it: the "
        "baseline is old, and the limit does too little. No dashed line: too few chats alone were seen yet."
    )
    return series(
        "A chat alone, against all",
        text,
        "s",
        Query(quantile(0.5, "upstream_attempt_duration_seconds", by="target"), "{{target}} median"),
        Query(f"{worst('limiter_baseline_seconds', by='target')} > 0", "{{target}} alone"),
        empty="no request ended in this range",
        colours={f"{target} median": colour for target, colour in TARGETS.items()},
        dashed=bounds("alone"),
    )


def _limits_moved() -> object:
    text = (
        "Moves of the limits and what caused them, and drops: bursts of timeouts that lowered one. room and latency by turns "
        "are the search and normal. timeout: see the target first. unmeasured: it was busy from the first chat on, and its "
        "baseline is measured at the lower bound."
    )
    moves = counted_if_seen("limiter_moves_total", by="target, reason")
    drops = counted_if_seen("limiter_drops_total", by="target")
    return bars(
        "Limits moved",
        text,
        Query(moves, "{{target}}: {{reason}}"),
        Query(drops, "{{target}}: drops"),
        empty="no limit moved in this range",
        colours=by_target(LIMITS),
    )
