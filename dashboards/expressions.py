"""The PromQL that panels share. Every selector is bound to the variables ``job`` and ``instance``; rates use ``$__rate_interval``."""

from __future__ import annotations

PREFIX = "vx11_sidecar_"
FOREIGN = ("process_", "python_")  # families that come with the client library
RATE = "$__rate_interval"
STEP = "$__interval"
SCOPE = 'job=~"$job",instance=~"$instance"'
# Alerts summed over instances carry no such label; the empty alternative keeps them in sight.
ALERT_SCOPE = 'job=~"$job|",instance=~"$instance|",service="vx11-sidecar"'

ANSWERED = 'outcome=~"primary|fallback|local"'  # chats that were answered: a 503 at once would make them look fast
COUNTED = 'outcome=~"primary|fallback|local|failed"'  # chats that count for availability and for being undegraded
GOOD = {"availability": 'outcome=~"primary|fallback"', "undegraded": 'outcome="primary"'}


def metric(name: str, *matchers: str) -> str:
    """A selector: ``name`` without our prefix, ``matchers`` as they are written in PromQL."""
    full = name if name.startswith(FOREIGN) else PREFIX + name
    return f"{full}{{{','.join((SCOPE, *matchers))}}}"


def rate(name: str, *matchers: str) -> str:
    """Per second."""
    return f"rate({metric(name, *matchers)}[{RATE}])"


def increase(name: str, *matchers: str, over: str) -> str:
    return f"increase({metric(name, *matchers)}[{over}])"


def counted(name: str, *matchers: str, by: str = "") -> str:
    """How much a counter grew from one step of the graph to the next: whole numbers, and each event once.

    ``increase`` over a step would miss what happens between the last sample of one and the first of the next, and make
    up for it with fractions. A counter that is less than it was began anew: all of it counts.
    """
    now = metric(name, *matchers)
    before = f"{now} offset {STEP}"
    return total(f"{now} - {before} >= 0 or {now} < {before}", by)


def counted_if_seen(name: str, *matchers: str, by: str) -> str:
    """``counted``, without what never happened in the whole range on the screen. Zeros in between stay: bars keep their width."""
    return f"{counted(name, *matchers, by=by)} and on ({by}) {_ever(name, *matchers, by=by)}"


def rate_if_seen(name: str, *matchers: str, by: str) -> str:
    """Per second, without what never happened in the whole range on the screen."""
    return f"{total(rate(name, *matchers), by)} and on ({by}) {_ever(name, *matchers, by=by)}"


def _ever(name: str, *matchers: str, by: str) -> str:
    return f"{total(f'increase({metric(name, *matchers)}[$__range] @ end())', by)} > 0"


def total(expr: str, by: str = "") -> str:
    return f"sum by ({by}) ({expr})" if by else f"sum({expr})"


def worst(name: str, *matchers: str, by: str = "") -> str:
    """The highest value among the chosen instances."""
    return f"max by ({by}) ({metric(name, *matchers)})" if by else f"max({metric(name, *matchers)})"


def quantile(q: float | str, name: str, *matchers: str, by: str = "") -> str:
    """Of a histogram of ours; ``q`` from 0 to 1, or an expression that is a scalar."""
    buckets = total(rate(f"{name}_bucket", *matchers), f"le, {by}" if by else "le")
    return f"histogram_quantile({q}, {buckets})"


def objective(name: str) -> str:
    """What the policy in force promises: availability and undegraded as ratios, latency_quantile, latency_seconds."""
    return worst("policy_slo", f'objective="{name}"')


def limit(name: str) -> str:
    """A threshold of the policy in force, by target."""
    return worst("policy_limit", f'limit="{name}"', by="target")


def good_share(name: str, over: str) -> str:
    """The share of answered chats that meet the objective ``name``; NaN while nobody chats.

    As in the alert rules, what the switch did not answer because it is dormant counts for nothing in undegraded.
    """
    good = total(increase("chat_requests_total", GOOD[name], over=over))
    answered = total(increase("chat_requests_total", COUNTED, over=over))
    if name == "undegraded":
        dormant = total(increase("fallbacks_total", 'reason="dormant"', over=over))
        answered = f"({answered} - {dormant})"
    return f"{good} / {answered}"


def budget_left(name: str, over: str) -> str:
    """The share of the error budget that is left: 1 untouched, 0 spent, below 0 overspent."""
    return f"1 - (1 - {good_share(name, over)}) / (1 - {objective(name)})"
