"""Colour by meaning, the same on every board."""

from __future__ import annotations

from collections.abc import Mapping

GOOD, WARN, BAD, NEUTRAL = "green", "yellow", "red", "#808080"
LIMIT = "dark-red"  # bounds of what has no colour of its own; a bound of a line is dashed in the line's colour
_HUES = ("dark-", "semi-dark-", "", "light-", "super-light-")

OUTCOMES = {
    "primary": "green",
    "fallback": "yellow",
    "local": "orange",
    "failed": "red",
    "replayed": "blue",
    "rejected": "purple",
    "client_gone": NEUTRAL,
}
TARGETS = {"switch": "green", "madre": "yellow"}
PERCENTILES = {"p50": "light-blue", "p95": "blue", "p99": "purple"}
STATES = {  # the numbers stand for states in timelines
    "closed": (0, "green"),
    "half_open": (1, "yellow"),
    "open": (2, "red"),
    "forced_open": (3, "dark-red"),
    "forced_closed": (4, "blue"),
}
MOVES = {  # of a breaker, by state moved to and cause
    "open: consecutive": "red",
    "open: failure_rate": "red",
    "open: slow_rate": "red",
    "open: probe_failed": "orange",
    "half_open: timer": "yellow",
    "half_open: window_opened": "yellow",
    "half_open: health": "yellow",
    "half_open: override_ended": "yellow",
    "closed: recovered": "green",
    "closed: override_ended": "green",
    "forced_open: override": "dark-red",
    "forced_closed: override": "blue",
}
LIMITS = {  # of a limiter, by cause
    "room": "green",
    "latency": "yellow",
    "timeout": "red",
    "unmeasured": "blue",
    "slow_start": "purple",
    "policy": "text",
    "drops": "dark-red",
}
RESULTS = {
    "success": "green",
    "degraded": "yellow",
    "timeout": "orange",
    "connect-timeout": "dark-orange",
    "no-socket": "dark-purple",
    "retryable": "red",
    "fatal": "dark-red",
    "connect": "semi-dark-red",
    "dns": "light-red",
    "reset": "super-light-red",
    "truncated": "light-orange",
    "protocol": "super-light-orange",
    "too-large": "light-purple",
    "not-json": "super-light-purple",
    "misconfigured": "purple",
    "caller_error": "blue",
    "ignored": NEUTRAL,
    "client_gone": "#606060",
    "lost_race": "super-light-blue",
}
REASONS = {
    "open": "red",
    "failure": "dark-red",
    "timeout": "orange",
    "budget": "light-orange",
    "limited": "yellow",
    "dormant": "blue",
    "unhealthy": "semi-dark-red",
    "off": "light-blue",
    "misconfigured": "purple",
    "caller_error": NEUTRAL,
    "waiting": "light-yellow",
    "affinity": "super-light-blue",
}
RETRIED = {  # what had failed: kinds of error as in RESULTS, and statuses
    **{
        kind: RESULTS[kind]
        for kind in ("connect", "dns", "connect-timeout", "no-socket", "timeout", "reset", "truncated")
    },
    **{kind: RESULTS[kind] for kind in ("protocol", "too-large", "not-json")},
    "429": "yellow",
    **dict.fromkeys(("500", "502", "503", "504"), "red"),
    "other": NEUTRAL,
}
HEALTH = {  # the numbers stand for states in timelines
    "up": (1, "green"),
    "unknown": (2, NEUTRAL),
    "down": (3, "red"),
}
PROBES = {  # by result: kinds of error as in RESULTS
    "2xx": "green",
    "5xx": "dark-red",
    **{
        kind: RESULTS[kind]
        for kind in ("connect", "dns", "connect-timeout", "no-socket", "timeout", "reset", "truncated")
    },
    **{kind: RESULTS[kind] for kind in ("protocol", "too-large")},
    "busy": "light-blue",
    "dormant": "blue",
    "other": NEUTRAL,
}
DENIED = {"attempts": "orange", "effects": "purple", "open": "red", "deadline": "yellow", "budget": "blue"}
HEDGES = {"first": "yellow", "hedge": "green", "none": "red", "left": NEUTRAL}
HEDGES_DENIED = {"open": "red", "deadline": "yellow", "load": "orange", "limited": "purple", "budget": "blue"}
MISCONFIGURED = {  # a token, another service, or what it sent
    **dict.fromkeys(("401", "403"), "purple"),
    **dict.fromkeys(("404", "405", "415", "422"), "orange"),
    **dict.fromkeys(("timeout", "reset", "truncated", "protocol", "too-large", "not-json", "other"), "red"),
}
REJECTED = {  # chats, by status
    "200": NEUTRAL,
    "400": "light-orange",
    "401": "purple",
    "403": "dark-purple",
    "408": "light-yellow",
    "409": "light-blue",
    "413": "blue",
    "422": NEUTRAL,
    "429": "orange",
    "499": "#606060",
    "500": "dark-red",
    "503": "red",
}
SHED = {"chats": "orange", "relays": "blue", "lag": "red"}
REFUSED = {  # messages: what may be an attack is red, too much of something purple, too slow blue, else broken
    **dict.fromkeys(("framing", "content_length", "transfer_coding", "upgrade_with_body", "chunk_line"), "red"),
    **dict.fromkeys(("repeated_host", "repeated_content_length", "repeated_transfer_encoding"), "dark-red"),
    **dict.fromkeys(("repeated_token", "repeated_authorization", "repeated_max_forwards", "chunk_end"), "light-red"),
    **dict.fromkeys(("line_end", "field", "trailer", "no_host", "host", "authority"), "orange"),
    **dict.fromkeys(("request_line", "method", "version", "connect", "fragment", "target"), "light-orange"),
    **dict.fromkeys(("head_too_long", "target_too_long", "fields", "trailers", "chunk_overhead"), "purple"),
    **dict.fromkeys(("head_timeout", "body_timeout", "incomplete"), "blue"),
    "max_forwards": NEUTRAL,
    "connections": "yellow",
    "other": "#606060",
}
RELAY_ERRORS = {
    **{kind: RESULTS[kind] for kind in ("connect", "timeout", "reset", "protocol", "truncated")},
    "client-gone": NEUTRAL,
    "client-timeout": "#606060",
    "loop": "dark-red",
    "denied": "purple",
    "unauthorised": "dark-purple",
    "overload": "yellow",
    "drained": "blue",
    "other": "light-blue",
}
KINDS = {  # of what is relayed, with its method
    "http GET": "blue",
    "http HEAD": "light-blue",
    "http POST": "orange",
    "http PUT": "light-orange",
    "http PATCH": "super-light-orange",
    "http DELETE": "red",
    "http OPTIONS": NEUTRAL,
    "http TRACE": "dark-red",
    "http OTHER": "#606060",
    "sse GET": "light-purple",
    "websocket GET": "purple",
}
STATUS_CLASSES = {"1xx": NEUTRAL, "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red", "none": "dark-red"}
COMPARED = {"agrees": "green", "differs": "red", "not_primary": "orange", "undecided": NEUTRAL}
ENDED = {
    "not_primary": "light-red",
    **{name: OUTCOMES[name] for name in ("primary", "fallback", "local", "failed", "client_gone")},
}
UNDECIDED = {
    "not_asked": NEUTRAL,
    "other_moment": "#606060",
    "cut_off": "orange",
    "other_request": "purple",
    "unread": "light-purple",
    "connecting": "blue",
    "hedged": "super-light-blue",
    "crowded": "red",
}
OBSERVED = {  # what the gateway gave
    "answered": "green",
    "degraded": "orange",
    "rejected": "purple",
    "error": "red",
    "unreadable": "blue",
    "client_gone": NEUTRAL,
}
WOULD = {  # what we would have said to what was relayed
    "pass": "green",
    "auth_required": "purple",
    "forbidden": "dark-purple",
    "too_large": "blue",
    "message_too_long": "light-blue",
    "invalid": NEUTRAL,
    "rate_limited": "orange",
    "target": "red",
    "undecided": "#606060",
}
KEYS = {  # Idempotency-Keys, by what became of them
    "claimed": "green",
    "kept": "light-green",
    "replayed": "blue",
    "running": "light-blue",
    "freed": NEUTRAL,
    "evicted": "orange",
    "full": "dark-orange",
    "repeated": "yellow",
    "mismatch": "red",
    "invalid": "purple",
}
KEYS_HELD = {"running": "light-blue", "kept": "light-green"}
STORE = {"off": NEUTRAL, "up": GOOD, "away": BAD}  # in which replicas count together
TOLD = {"answered": "green", "late": "yellow", "away": "orange"}
LOST = {"connect": "red", "timeout": "dark-yellow", "auth": "purple", "refused": "dark-red"}
RELOADS = {"changed": "green", "unchanged": NEUTRAL, "failed": "red"}
OVERRIDES = {"forced_open": "dark-red", "forced_closed": "blue", "off": "light-blue", "chaos": "orange"}
FAULTS = {"delay": "yellow", "abort": "red", "body": "purple", "cut": "orange"}  # that are injected


def by_target(meaning: Mapping[str, str], between: str = ": ") -> dict[str, str]:
    """``meaning`` for each target: the switch has its colours, madre the same ones lighter."""
    switch = {f"switch{between}{name}": colour for name, colour in meaning.items()}
    return switch | {f"madre{between}{name}": _lighter(colour) for name, colour in meaning.items()}


def _lighter(colour: str) -> str:
    if colour.startswith("#"):
        return "#b0b0b0"
    hue = colour.rpartition("-")[2]
    place = _HUES.index(colour.removesuffix(hue))
    return _HUES[min(place + 2, len(_HUES) - 1)] + hue


def bounds(word: str) -> dict[str, str]:
    """Dashed, in the colour of the target they are of."""
    return {f"{target} {word}": colour for target, colour in TARGETS.items()}
