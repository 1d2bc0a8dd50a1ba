"""A row about mode shadow: what the gateway gives to chats that we only look at, and what we would have said to them."""

from __future__ import annotations

from dashboards.colours import BAD, GOOD, LIMIT, OBSERVED, PERCENTILES, WARN, WOULD
from dashboards.expressions import counted_if_seen, increase, metric, quantile, total
from dashboards.panels import Query, bars, series, shares


def row() -> list[object]:
    """The heading, and its panels."""
    return [
        "Observed: chat under mode shadow",
        _observed(),
        _to_gain(),
        _observed_latency(),
        _would_refuse(),
        _lookalikes(),
    ]


def _observed() -> object:
    text = (
        "Chats that the gateway answered while we only looked on, by what it gave. degraded: its own text, because it "
        "gets no answer from the switch; error: a 5xx, or no whole answer. Nothing here is by design, while we answer."
    )
    query = Query(counted_if_seen("observed_chats_total", by="gateway"), "{{gateway}}")
    empty = "no chat was observed in this range"
    return bars("Chats observed, by what the gateway gave", text, query, empty=empty, colours=OBSERVED)


def _to_gain() -> object:
    text = (
        "Shares of the observed chats of the whole range that were not what their user hoped for. late: not over when an "
        "answer of ours would have left. This is what mode enforce can gain, at most: what the targets would "
        "have answered is not known, for they were not asked."
    )
    chats = total(increase("observed_chats_total", over="$__range"))
    late = total(increase("observed_chats_late_total", over="$__range"))
    gave = {
        word: total(increase("observed_chats_total", f'gateway="{word}"', over="$__range"))
        for word in ("degraded", "error")
    }
    return shares(
        "What there is to gain",
        text,
        "percentunit",
        *(Query(f"{part} / {chats}", name, instant=True) for name, part in {**gave, "late": late}.items()),
        empty="no chat was observed in this range",
        steps=((None, GOOD), (0.05, WARN), (0.5, BAD)),
    )


def _observed_latency() -> object:
    text = (
        "How long the gateway took for observed chats, without those whose client left first. Beyond the deadline of the policy (dashed) "
        "an answer of ours would have been there already."
    )
    name, deadline = "observed_chat_seconds", "deadline"
    return series(
        "Latency of the gateway's chat",
        text,
        "s",
        Query(quantile(0.5, name), "p50"),
        Query(quantile(0.95, name), "p95"),
        Query(quantile(0.99, name), "p99"),
        Query(f"min({metric('policy_deadline_seconds')})", deadline),
        empty="no chat was observed in this range",
        colours=PERCENTILES,
        dashed={deadline: LIMIT},
    )


def _would_refuse() -> object:
    text = (
        "Observed chats that we would have refused and the gateway let pass, by why: with mode enforce these clients "
        "get a 4xx. rate_limited: raise guards.rate_limit, or let them; auth_required: a client that sends no token; "
        "undecided: their requests did not come whole, or too many came at once."
    )
    let = counted_if_seen("observed_chats_total", 'would!="pass"', 'gateway=~"answered|degraded"', by="would")
    empty = "we would have refused none that passed"
    return bars("Chats that only we would refuse", text, Query(let, "{{would}}"), empty=empty, colours=WOULD)


def _lookalikes() -> object:
    text = (
        "Relayed requests that look like chat and are none. With mode enforce they need a valid token (alias, "
        "commands) or are refused (reject): find the clients that send none before that."
    )
    seen = counted_if_seen("observed_lookalikes_total", by="route, would")
    colours = {
        f"{route}: {word}": WOULD[word]
        for route, words in (("alias", ("pass", "auth_required", "forbidden")), ("commands", ("pass", "auth_required", "forbidden")))
        for word in words
    } | {"reject: target": WOULD["target"]}  # fmt: skip
    query = Query(seen, "{{route}}: {{would}}")
    return bars("What looks like chat", text, query, empty="nothing looked like chat in this range", colours=colours)
