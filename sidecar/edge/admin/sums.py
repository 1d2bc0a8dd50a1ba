"""What several workers say of themselves, as one: in the form in which one process says it, so that whoever reads that can read this.

Amounts are added. Of what cannot be added the worst is told, with all of its figures and no mixture of two: the breaker that is furthest
from closed, the target in the poorest health, the store that is away. Of what happened, the latest. Wherever workers differ in
what an operator should know, a note says how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sidecar.edge.admin.calls import MOST_LINES

View = Mapping[str, Any]
Views = Mapping[int, View]

_WORST_FIRST = ("open", "forced_open", "half_open", "forced_closed", "closed")
_POOREST_FIRST = ("down", "unknown", "up")
_WHOLE_OF_ONE = ("policy", "gateway", "destinations", "version", "log_level")


def state(views: Views, silent: Sequence[int], absent: int) -> dict[str, object]:
    """``silent`` did not answer, ``absent`` is how many do not serve now. At least one view is needed."""
    each = list(views.values())
    first = each[0]
    return {
        **{name: first[name] for name in _WHOLE_OF_ONE},
        "status": next((view["status"] for view in each if view["status"] != "serving"), "serving"),
        "answering": _answering([view["answering"] for view in each if view["answering"]]),
        "targets": {name: _target([view["targets"][name] for view in each if name in view["targets"]]) for name in first["targets"]},
        "breaker_moves": _moves(each),
        "notes": notes(each, silent, absent),
        "policy_problems": _united(view["policy_problems"] for view in each),
        "shadow": _shadow([view["shadow"] for view in each if view["shadow"]]),
        "observed": _observed([view["observed"] for view in each if view["observed"]]),
        "overrides": _overrides(each),
        "idempotency": _added([view["idempotency"] for view in each if view["idempotency"]]),
        "shared": _worst([view["shared"] for view in each if view["shared"]], "store", ("away", "up")),
        "chaos": next((view["chaos"] for view in each if view["chaos"] and view["chaos"]["active"]), first["chaos"]),
        "connections": sum(view["connections"] for view in each),
        "under_way": _added([view["under_way"] for view in each]),
        "up_seconds": max(view["up_seconds"] for view in each),
        "workers": [_worker(number, view) for number, view in views.items()],
    }  # fmt: skip


def notes(views: Iterable[View], silent: Sequence[int], absent: int) -> list[str]:
    """Everybody's, each once, after what is to say of the workers themselves."""
    views = list(views)
    said = [f"worker {number} does not answer its colleagues: the figures are without it" for number in silent]
    if absent:
        said.append(
            f"{absent} of {absent + len(views) + len(silent)} workers do not serve now; one that ended is started again"
        )
    if len({view["policy"]["revision"] for view in views}) > 1:
        said.append(
            "workers do not have the same policy in force: POST /reload, or look for a file that only some can read"
        )
    for name in views[0]["targets"] if views else ():
        states = Counter(view["targets"][name]["breaker"]["state"] for view in views if name in view["targets"])
        if len(states) > 1:
            told = ", ".join(f"{states[word]} {word}" for word in _WORST_FIRST if word in states)
            said.append(f"the breakers of {name} differ between workers: {told}")
    return said + _united(view["notes"] for view in views)


def usage(views: Sequence[View]) -> dict[str, object]:
    return {
        "since": min(view["since"] for view in views),
        "routes": _rows([view["routes"] for view in views]),
        "clients": _rows([view["clients"] for view in views]),
        "unused": [route for route in views[0]["unused"] if all(route in view["unused"] for view in views)],
    }


def calls(views: Views) -> dict[str, object]:
    """The latest of everybody's, each with its worker: calls are counted by every worker alone."""
    return {
        kind: sorted(
            ({**line, "worker": number} for number, view in views.items() for line in view[kind]),
            key=lambda line: float(line["seconds_ago"]),
        )[:MOST_LINES]
        for kind in ("degraded", "last")
    }


# -- the parts of a state -----------------------------------------------------------------------------------------------


def _answering(each: Sequence[View]) -> dict[str, object] | None:
    """The latest answer. Since when answers are degraded is known to whoever gave the last good one: at least for the shortest of them."""
    if not each:
        return None
    latest = min(each, key=lambda one: float(one["seconds_ago"]))
    lasts = [one["degraded_for_seconds"] for one in each if one["degraded_for_seconds"] is not None]
    good = [one["seconds_ago"] for one in each if not one["degraded"]]
    since = min([*lasts, *good]) if latest["degraded"] else None
    return {**latest, "degraded_for_seconds": since}


def _target(each: Sequence[View]) -> dict[str, object]:
    breaker = _worst([one["breaker"] for one in each], "state", _WORST_FIRST)
    return {
        "breaker": breaker,
        "limiter": _limiter([one["limiter"] for one in each]),
        "retry_budget": _pairs([one["retry_budget"] for one in each]),
        "latency_p95_seconds": _most(one["latency_p95_seconds"] for one in each),
        "reserve_seconds": _most(one["reserve_seconds"] for one in each),
        "dormant": any(one["dormant"] for one in each),
        "off": any(one["off"] for one in each),
        "health": _worst([one["health"] for one in each if one["health"]], "state", _POOREST_FIRST),
    }


def _limiter(each: Sequence[View]) -> dict[str, object]:
    """Places are added; of what moves a limit, the one of the lowest."""
    told: dict[str, object] = {name: _pairs([one[name] for one in each]) for name in ("in_flight", "queued")}
    adaptive = [one["adaptive"] for one in each if "adaptive" in one]
    if adaptive:
        told["adaptive"] = min(adaptive, key=lambda one: float(one["limit"]))
    slow = [one["slow_start_seconds_left"] for one in each if "slow_start_seconds_left" in one]
    if slow:
        told["slow_start_seconds_left"] = max(slow)
    return told


def _moves(each: Sequence[View]) -> dict[str, object]:
    """The last move of each target's breakers."""
    found: dict[str, Any] = {}
    for view in each:
        for target, move in view["breaker_moves"].items():
            if target not in found or move["seconds_ago"] < found[target]["seconds_ago"]:
                found[target] = move
    return found


def _overrides(each: Sequence[View]) -> list[View]:
    found: dict[str, View] = {}
    for view in each:
        for held in view["overrides"]:
            known = found.setdefault(held["target"], held)
            found[held["target"]] = max(known, held, key=lambda one: float(one["seconds_left"]))
    return list(found.values())


def _observed(each: Sequence[View]) -> dict[str, object] | None:
    """Latencies of the slowest: quantiles cannot be added."""
    if not each:
        return None
    summed = ("would", "gateway", "differences", "lookalikes")
    return {
        "chats": sum(one["chats"] for one in each),
        "late": sum(one["late"] for one in each),
        **{name: _added([one[name] for one in each]) for name in summed},
        **{name: _most(one[name] for one in each) for name in ("p50_seconds", "p95_seconds")},
    }


def _shadow(each: Sequence[View]) -> dict[str, object] | None:
    """The candidate beside every worker; one that a fault has ended shows as that."""
    if not each:
        return None
    first = next((one for one in each if one["fault"]), each[0])
    numbers = ("calls", "agrees", "not_primary", "seconds_earlier", "seconds_later", "under_way")
    if any(name not in one for one in each for name in numbers):
        return dict(first)
    examples = sorted((line for one in each for line in one["examples"]), key=lambda line: float(line["seconds_ago"]))
    active = {word for one in each for word in one["differs"]}
    return {
        **first,
        **{name: sum(one[name] for one in each) for name in numbers},
        "differs": {word: _added([one["differs"].get(word, {}) for one in each]) for word in sorted(active)},
        "undecided": _added([one["undecided"] for one in each]),
        "examples": examples[: max(len(one["examples"]) for one in each)],
        "problems": _united(one["problems"] for one in each),
        "targets": {name: _target([one["targets"][name] for one in each if name in one["targets"]]) for name in first["targets"]},
    }  # fmt: skip


def _worker(number: int, view: View) -> dict[str, object]:
    """What tells one worker from another."""
    answering = view["answering"]
    return {
        "worker": number,
        "pid": view["pid"],
        "status": view["status"],
        "up_seconds": view["up_seconds"],
        "connections": view["connections"],
        "under_way": view["under_way"],
        "breakers": {name: target["breaker"]["state"] for name, target in view["targets"].items()},
        "answering": answering and {name: answering[name] for name in ("provider", "degraded", "seconds_ago")},
    }


# -- adding -------------------------------------------------------------------------------------------------------------


def _added(each: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    """By name; None of nothing."""
    found: dict[str, float] = {}
    for one in each:
        for name, amount in one.items():
            found[name] = found.get(name, 0) + amount
    return found if each else None


def _pairs(each: Sequence[Sequence[float]]) -> list[float]:
    return [round(sum(column), 3) for column in zip(*each, strict=True)]


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _worst(each: Sequence[View], field: str, order: Sequence[str]) -> View | None:
    """The first by ``order``; None of nothing."""
    return min(each, key=lambda one: order.index(one[field]), default=None)


def _united(each: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(text for texts in each for text in texts))


def _rows(tables: Sequence[Mapping[str, View]]) -> dict[str, object]:
    """Tables of what is used, the most used first."""
    found: dict[str, list[View]] = {}
    for table in tables:
        for word, row in table.items():
            found.setdefault(word, []).append(row)
    rows = {word: _row(each) for word, each in found.items()}
    return {word: rows[word] for word in sorted(rows, key=lambda word: (-int(rows[word]["requests"]), word))}


def _row(each: Sequence[View]) -> dict[str, Any]:
    by = _added([one["by"] for one in each]) or {}
    return {
        "requests": sum(one["requests"] for one in each),
        "first_seen": min(one["first_seen"] for one in each),
        "last_seen": max(one["last_seen"] for one in each),
        "by": {name: by[name] for name in sorted(by)},
    }
