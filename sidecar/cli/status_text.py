"""What ``status`` prints: pure, from the JSON of the admin port to lines of at most so many columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

MOST_CALLS = 5
_GOOD, _WARN, _BAD, _CALM, _BOLD, _FAINT = "32", "33", "31", "36", "1", "2"
_MARKS = {_GOOD: ("●", "ok"), _WARN: ("▲", "!!"), _BAD: ("■", "XX"), _CALM: ("○", "--")}
_BARS, _PLAIN_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*%#"
_STATES = {"closed": _GOOD, "half_open": _WARN, "forced_closed": _WARN}
_ASCII = str.maketrans({"·": "|", "→": ">", "…": "~", "▁": "."})

Json = Mapping[str, Any]
Cell = tuple[str, str]  # a text and how it is coloured


class Look(NamedTuple):
    """``plain``: ASCII alone, for a terminal that knows no other."""

    width: int
    colour: bool = False
    plain: bool = False

    def paint(self, text: str, *codes: str) -> str:
        codes = tuple(code for code in codes if code)
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.colour and codes else text


def text(told: Mapping[str, Json], place: str, look: Look) -> str:
    """Everything, ending with a line break."""
    state, calls, trend = told["state"], told["calls"], told["trend"]
    parts = (
        _head(state, look),
        _chaos(state, look),
        _observed(state, look),
        _warnings(state, look),
        _targets(state, look),
        _overrides(state, look),
        _workers(state, look),
        _candidate(state, look),
        _trend(trend, look),
        _calls(calls, look),
        _foot(state, place, look),
    )
    lines = "\n\n".join("\n".join(part) for part in map(list, parts) if part)
    return (lines.translate(_ASCII).encode("ascii", "replace").decode() if look.plain else lines) + "\n"


def clean(value: object) -> str:
    """A value on one line without anything a terminal would obey."""
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))


def span(seconds: float) -> str:
    """A time for people, to two units."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    for large, small, size, unit in (("min", "s", 3600, 60), ("h", "min", 86400, 3600)):
        if whole < size:
            return f"{whole // unit} {large} {whole % unit * 60 // unit if small == 'min' else whole % unit} {small}"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def took(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


# -- the parts ----------------------------------------------------------------------------------------------------------


def headline(state: Json) -> tuple[str, str, str]:
    """Colour, word and sentence for who answers."""
    answering, primary = state["answering"], next(iter(state["targets"]), "local")
    if state["status"] != "serving":
        return _WARN, "NOT READY", f"the sidecar is {state['status']}"
    if state["policy"]["mode"] == "off":
        return _CALM, "MODE OFF", "chat is relayed to the gateway like everything else"
    if state["policy"]["mode"] == "shadow":
        return _CALM, "MODE SHADOW", "the gateway answers chat, the sidecar only looks on"
    if answering is None:
        return _CALM, "NO CHAT YET", f"waiting for the first chat; {primary} is asked first"
    provider = answering["provider"]
    if provider is None:
        return _BAD, "FAILING", "nobody answers: chats get a 503"
    if not answering["degraded"]:
        return _GOOD, "NORMAL", f"{provider} answers"
    if provider == "local":
        return _BAD, "DEGRADED", "no target answers: users get the local text"
    text = f"{primary} answers, but not in full" if provider == primary else f"{provider} answers instead of {primary}"
    return _WARN, "DEGRADED", text


def _head(state: Json, look: Look) -> Iterator[str]:
    colour, word, sentence = headline(state)
    fits = len(word) + len(sentence) + 5 <= look.width
    yield f"{_mark(colour, look)} {look.paint(word, colour, _BOLD)}" + (
        f"  {look.paint(clean(sentence), _BOLD)}" if fits else ""
    )
    if not fits:
        yield from (look.paint(line, _BOLD) for line in _wrapped(sentence, look, "  "))
    answering = state["answering"]
    if not answering or state["policy"]["mode"] != "enforce":  # the last answer of ours is from former days
        return
    lasts = answering["degraded_for_seconds"]
    last = f"last chat {span(answering['seconds_ago'])} ago"
    yield f"  {last if lasts is None else f'for {span(lasts)} · {last}'}"
    reason = answering["first_reason"] or answering["reason"] if answering["degraded"] else None
    if reason:
        yield from _wrapped(f"why  {reason}: {answering.get('means') or ''}", look, "       ")
        yield from _wrapped(f"do   {answering.get('do') or ''}", look, "       ")


def _chaos(state: Json, look: Look) -> Iterator[str]:
    """That attempts are broken on purpose, before anybody looks for another cause."""
    chaos = state.get("chaos")
    if not chaos or not chaos["active"]:
        return
    yield f"{_mark(_BAD, look)} {look.paint('CHAOS IS ON', _BAD, _BOLD)}"
    left = "" if chaos["seconds_left"] is None else f" for another {span(chaos['seconds_left'])}"
    why = f": {chaos['reason']}" if chaos["reason"] else ""
    yield from _wrapped(
        f"attempts on targets are broken on purpose{left}, allowed by {chaos['allowed_by']}{why}", look, "  "
    )
    for rule in chaos["rules"]:
        until = "expired" if rule["expired"] else f"until {rule['expires_at']}"
        yield from _wrapped(
            f"{rule['name']}: {rule['percentage'] * 100:g} % of {rule['target']}, {until}", look, "    "
        )
    yield from _wrapped("stop it with POST /chaos/stop", look, "  ")


def _observed(state: Json, look: Look) -> Iterator[str]:
    """What mode shadow has seen, also when it is over: the figures to decide by."""
    seen = state.get("observed")
    if not seen:
        return
    gateway, differences = seen["gateway"], seen["differences"]
    gave = " · ".join(f"{count} {word}" for word, count in sorted(gateway.items(), key=lambda each: -each[1]))
    latency = f"p50 {took(seen['p50_seconds'])} · p95 {took(seen['p95_seconds'])}"
    yield from _wrapped(
        f"observed {seen['chats']} chats · {gave or 'nothing yet'} · {seen['late']} late · {latency}", look, "    "
    )
    yield from _wrapped(
        f"with mode enforce {differences['for_the_ladder']} that were degraded, late or failed would have gone to the targets, and "
        f"{differences['only_we_would_refuse']} that passed would have been refused",
        look,
        "    ",
    )


def _warnings(state: Json, look: Look) -> Iterator[str]:
    for problem in state["policy_problems"]:
        yield from _marked(_BAD, f"policy files cannot be used, the one before stays in force: {problem}", look)
    for note in state.get("notes", ()):
        yield from _marked(_WARN, note, look)


def _targets(state: Json, look: Look) -> Iterator[str]:
    rows: list[Sequence[Cell]] = [
        [
            (text, _FAINT)
            for text in ("TARGET", "BREAKER", "IN A ROW", "FAILED", "SLOW", "SLOTS", "QUEUE", "RETRIES", "P95")
        ]
    ]
    rows += [list(_target(name, target)) for name, target in state["targets"].items()]
    yield from _table(rows, look)
    for name, target in state["targets"].items():
        if _health(target):
            yield from _wrapped(_probed(name, target["health"]), look, "    ")
    for name, move in state.get("breaker_moves", {}).items():
        said = f"breaker of {name}: {move['before']} → {move['after']} {span(move['seconds_ago'])} ago ({move['why']})"
        yield from _wrapped(said, look, "    ")


def _target(name: str, target: Json) -> Iterator[Cell]:
    breaker = target["breaker"]
    probe = breaker["probe_in_seconds"]
    colour = _STATES.get(breaker["state"], _BAD)
    extra = [word for word in ("dormant", "off") if target[word]]
    extra += ["unhealthy"] * (_health(target) == "down")
    yield " ".join([name, *extra]), _BOLD
    yield breaker["state"] + (f", probe in {span(probe)}" if probe is not None else ""), colour
    bad, most = breaker["failures_in_row"]
    yield f"{bad}/{most or '-'}", _near(bad, most)
    for have, limit in (breaker["failure_rate"], breaker["slow_rate"]):
        yield f"{have * 100:.0f}/{limit * 100:.0f} %", _near(have, limit)
    for have, limit in (target["limiter"]["in_flight"], target["limiter"]["queued"]):
        yield f"{have}/{limit}", _near(have, limit)
    have, limit = target["retry_budget"]
    yield f"{have:.3g}/{limit:.3g}", _WARN if have < 1 else ""
    yield took(target["latency_p95_seconds"]), ""


def _health(target: Json) -> str | None:
    """What its probes say of it; None where it is not probed."""
    health = target.get("health")
    return None if health is None else str(health["state"])


def _probed(name: str, health: Json) -> str:
    bad, good = (f"{have} of {most}" for have, most in (health["failures_in_row"], health["good_in_row"]))
    heard, lasts = health["heard_seconds_ago"], health["for_seconds"]
    since = "" if lasts is None else f" for {span(lasts)}"
    last = "none counted yet" if heard is None else f"the last that counted {span(heard)} ago"
    row = f"{bad} failed in a row" if health["failures_in_row"][0] else f"{good} good in a row"
    return f"health of {name}: {health['state']}{since} · {row} · {last}"


def _overrides(state: Json, look: Look) -> Iterator[str]:
    for held in state["overrides"]:
        said = f"{held['target']} {held['kind']} for another {span(held['seconds_left'])}, by {held['author']}: {held['reason']}"
        yield from _marked(_WARN, f"override: {said}", look)


def _workers(state: Json, look: Look) -> Iterator[str]:
    """One line each, where there are several processes: everything else is of all of them."""
    for worker in state.get("workers", ()):
        lasts, many = span(worker["up_seconds"]), f"{worker['connections']} connections"
        breakers = ", ".join(f"{target} {breaker}" for target, breaker in worker["breakers"].items())
        said = f"worker {worker['worker']} {worker['status']} for {lasts} · {many} · {breakers}"
        yield from _wrapped(said, look, "    ")


def _candidate(state: Json, look: Look) -> Iterator[str]:
    """The policy that runs beside the one in force; what is wrong with it is a warning."""
    shadow = state.get("shadow")
    if not shadow or "calls" not in shadow:
        return
    ends = {
        f"{active} to {candidate}": count for active, by in shadow["differs"].items() for candidate, count in by.items()
    }
    undecided = sum(shadow["undecided"].values())
    said = f"{shadow['calls']} chats, {shadow['agrees']} alike · {sum(ends.values())} otherwise · {undecided} undecided"
    yield from _wrapped(f"candidate {shadow['revision']} from {shadow['source']}: {said}", look, "    ")
    if ends:
        most = sorted(ends.items(), key=lambda each: -each[1])
        yield from _wrapped(f"otherwise: {' · '.join(f'{count} {name}' for name, count in most)}", look, "    ")


def _trend(trend: Json, look: Look) -> Iterator[str]:
    whole = trend["whole"]
    if not whole["calls"]:
        yield "last 30 min  no chats"
        return
    share = f"{whole['degraded'] / whole['calls'] * 100:.1f} % degraded"
    yield from _wrapped(
        f"last 30 min  {whole['calls']} chats · {share} · p50 {took(whole['p50_seconds'])} · p95 {took(whole['p95_seconds'])}",
        look,
        " " * 13,
        first="",
    )
    columns = min(look.width - 13, 60)
    slow = _columns([value or 0.0 for value in trend["p95_seconds"]], columns, max)
    bad, calls = (_columns(trend[name], columns, sum) for name in ("degraded", "calls"))
    yield f"    slowest  {_spark(slow, max(*slow, 0.001), look)}"
    yield f"   degraded  {_spark([(b / c if c else 0.0) for b, c in zip(bad, calls, strict=True)], 1.0, look)}"


def _calls(calls: Json, look: Look) -> Iterator[str]:
    told = calls["degraded"][:MOST_CALLS]
    if not told:
        yield "no degraded chats"
        return
    yield look.paint("last degraded chats", _FAINT)
    for call in told:
        who, why = call["provider"] or "nobody", call["first_reason"] or call["reason"] or call["outcome"]
        said = f"{span(call['seconds_ago'])} ago  {who} ({why}) in {took(call['seconds'])}: {' → '.join(_path(call))}"
        yield from _wrapped(said, look, "      ")


def _path(call: Json) -> Iterable[str]:
    steps = [
        (refused["after_seconds"], f"{refused['target']} not asked ({refused['reason']})")
        for refused in call["not_asked"]
    ]
    steps += [(tried["after_seconds"], _tried(tried)) for tried in call["attempts"]]
    return [text for _, text in sorted(steps, key=lambda step: step[0])] + ["local text"] * (
        call["provider"] == "local"
    )


def _tried(attempt: Json) -> str:
    result = attempt["result"] or "client left"
    well = attempt["verdict"] in ("success", "degraded")
    failed = "failed, " if result.startswith("HTTP") and not well else ""
    broken = f" (chaos: {attempt['broken_by']})" if attempt.get("broken_by") else ""
    return f"{attempt['target']} {failed}{result} after {took(attempt['seconds'])}{broken}"


def _foot(state: Json, place: str, look: Look) -> Iterator[str]:
    policy = state["policy"]
    said = f"{place} · version {state['version']} · up {span(state['up_seconds'])} · policy {policy['revision']} from {policy['source']}"
    for line in _wrapped(said, look, "  ", first=""):
        yield look.paint(line, _FAINT)


# -- how they are set ---------------------------------------------------------------------------------------------------


def _mark(colour: str, look: Look) -> str:
    return look.paint(_MARKS[colour][look.plain], colour)


def _near(have: float, limit: float) -> str:
    """The colour of a count on its way to a limit; none below two thirds."""
    return "" if not limit or have < limit * 2 / 3 else _BAD if have >= limit else _WARN


def _marked(colour: str, said: str, look: Look) -> list[str]:
    """``said`` behind a mark, on as many lines as it takes."""
    room = " " * len(_MARKS[colour][look.plain])
    first, *rest = _wrapped(said, look, "    ", first=f"{room} ")
    return [_mark(colour, look) + first.removeprefix(room), *rest]


def _wrapped(said: str, look: Look, indent: str, *, first: str = "  ") -> list[str]:
    lines = textwrap.wrap(
        clean(said), look.width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )
    return lines or [first]


def _table(rows: Sequence[Sequence[Cell]], look: Look) -> Iterator[str]:
    """Columns side by side; where they do not fit, each row as lines of its own."""
    widths = [max(len(row[column][0]) for row in rows) for column in range(len(rows[0]))]
    if sum(widths) + 2 * len(widths) <= look.width:
        for row in rows:
            cells = [
                look.paint(clean(text).ljust(width), colour) for (text, colour), width in zip(row, widths, strict=True)
            ]
            yield "  ".join(cells).rstrip()
        return
    heads, *rest = rows
    for row in rest:
        yield look.paint(clean(row[0][0]), _BOLD)
        for (head, _), (text, colour) in list(zip(heads, row, strict=True))[1:]:
            yield f"  {head.lower():<9} {look.paint(clean(text), colour)}"


def _columns(values: Sequence[float], count: int, join: Any) -> list[float]:
    """``values`` in so many columns, each the ``join`` of its neighbours."""
    placed = groupby(enumerate(values), lambda pair: pair[0] * count // len(values))
    return [join(value for _, value in group) for _, group in placed]


def _spark(values: Iterable[float], most: float, look: Look) -> str:
    bars = _PLAIN_BARS if look.plain else _BARS
    return "".join(bars[min(-int(-value / most * 8 // 1), 8)] for value in values)
