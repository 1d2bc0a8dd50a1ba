"""A row about chats that are sent again under their Idempotency-Key, and what is remembered for them."""

from __future__ import annotations

from dashboards.colours import KEYS, KEYS_HELD, PERCENTILES, by_target
from dashboards.expressions import counted_if_seen, metric, total, worst
from dashboards.panels import Query, bars, series


def row() -> list[object]:
    """The heading, and its panels."""
    return ["Chats sent again", _used(), _held(), _bytes(), _sent()]


def _used() -> object:
    text = (
        "Idempotency-Keys by what became of them. replayed: answered without asking anybody; running: came back too soon (409); "
        "mismatch: one key for two chats (422), a mistake of a client; evicted: idempotency.max or max_size is too small; many freed: "
        "degraded or no answers, so repetitions are carried out again."
    )
    query = Query(counted_if_seen("idempotency_keys_total", by="result"), "{{result}}")
    empty = "no chat had a key in this range, or idempotency.mode is off"
    return bars("Keys, by what became of them", text, query, empty=empty, colours=KEYS)


def _held() -> object:
    text = (
        "Keys of chats under way and with an answer kept, of all sidecars. kept levelling off at idempotency.max with evicted keys "
        "beside it: answers go before their time."
    )
    query = Query(total(metric("idempotency_remembered"), "state"), "{{state}}")
    return series("Keys remembered", text, "short", query, empty="no sidecar is scraped", colours=KEYS_HELD)


def _bytes() -> object:
    text = "Memory of the answers kept, the most that one sidecar has; idempotency.max_size is the bound."
    query = Query(worst("idempotency_bytes"), "bytes")
    return series(
        "Memory of answers", text, "bytes", query, empty="no sidecar is scraped", colours={"bytes": PERCENTILES["p50"]}
    )


def _sent() -> object:
    text = (
        "Chats with which a target of effects dedup got a key, by whether it came from the client or was made. Without the client's a "
        "target knows only our own retries."
    )
    query = Query(counted_if_seen("idempotency_keys_sent_total", by="target, origin"), "{{target}}: {{origin}}")
    return bars(
        "Keys sent to targets",
        text,
        query,
        empty="no target has effects dedup",
        colours=by_target({"client": "green", "made": "blue"}),
    )
