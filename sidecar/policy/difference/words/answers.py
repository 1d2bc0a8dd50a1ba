"""Who answers: the ladder, what its answers mean, and what comes when nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import Change, listed
from sidecar.policy.model import Rule
from sidecar.policy.problem import shown
from sidecar.policy.units import duration_text as t

_CAUSES = {
    "open": "has its breaker open",
    "failure": "fails",
    "timeout": "is silent",
    "budget": "has no retry left in its budget",
    "limited": "has no slot free",
    "dormant": "is off by power policy",
    "unhealthy": "fails its health probes",
    "misconfigured": "refuses our token, path or body",
}


def _mode(change: Change) -> str:
    if change.new == "enforce":
        return f"chats are answered by {' → '.join((*change.b.names, 'local'))} instead of by the gateway"
    if change.new == "shadow":
        who = "the gateway answers chats" + ("" if change.old == "enforce" else ", as before")
        return f"{who}; what the sidecar would have said, and what the gateway gave, is noted, and no target is asked"
    if change.old == "shadow":
        return "nothing is noted of chats any more; the gateway answers them, as before"
    return "every chat is relayed to the gateway, as if the sidecar were not there"


def _paths(change: Change) -> str:
    added, removed = change.lists()
    said = [f"a chat to {listed(added)} is answered here instead of relayed"] if added else []
    said += [f"a chat to {listed(removed)} goes round the ladder to the gateway"] if removed else []
    return "; ".join([*said, *([] if change.new else ["no chat is answered here any more"])])


def _commands(change: Change) -> str:
    if not change.b.policy.intercept.paths:
        return "nothing while intercept.paths is empty"
    if change.new == "relay":
        return "a chat that comes as a command goes round the ladder to the gateway; a token is demanded as before"
    return "a chat that comes as a command (message) is answered here instead of relayed; every other command goes to the gateway as before"


def _ladder(change: Change) -> str:
    old, new = change.old, change.new
    if not new:
        return f"nobody is asked: every chat gets {change.b.last_rung}"
    said = [
        f"{name} is asked where {new[depth - 1]} does not answer" if depth else f"{name} is asked first"
        for depth, name in enumerate(new)
        if name not in old
    ]
    said += [f"{name} is asked no more" for name in old if name not in new]
    if not said:
        said = [f"{new[0]} is asked first, then {listed(new[1:])}"]
    if old[:1] != new[:1]:
        said.append(f"{new[0]} is the primary, so its answers are the ones that are not degraded")
    return "; ".join(said)


def _url(change: Change) -> str:
    old, new = (place or "the default address" for place in (change.old, change.new))
    return f"{change.name} is asked at {new} instead of {old}; flag and environment come before either"


def _path(change: Change) -> str:
    return f"chats go to {change.new} of {change.name} instead of {change.old}"


def _token_from(change: Change) -> str:
    old, new = (f"the token in {place}" if place else "the gateway's link token" for place in (change.old, change.new))
    return f"{change.name} gets {new} instead of {old}"


def _shield(change: Change) -> str:
    if change.name != "switch":
        return f"nothing: the shield is the switch's alone, and this is {change.name}"
    if change.new:
        return "the first message the switch sees is a fixed sentence, so its shell lane never runs what a user typed"
    return "the first message the switch sees is what a user typed, and its shell lane runs it"


def _outcome(meaning: Callable[[Change], str]) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        said = []
        before, after = set(map(_rule, change.old)), set(map(_rule, change.new))
        added = [text for text in map(_rule, change.new) if text not in before]
        removed = [text for text in map(_rule, change.old) if text not in after]
        if added:
            said.append(f"{listed(added, 'or')} from {change.name} means that {meaning(change)}")
        if removed:
            gone = listed(removed, "or")
            said.append(f"{gone} from {change.name} no longer does: the other rules and what is built in judge it")
        return "; ".join(said)

    return words


def _rule(rule: Rule) -> str:
    *first, last = _parts(rule)
    return f"({', '.join((*first, last))})" if first else last


def _parts(rule: Rule) -> Iterator[str]:
    if rule.status:
        yield f"status {listed(map(str, sorted(set(rule.status))), 'or')}"
    if rule.error:
        yield f"error {listed(sorted(set(rule.error)), 'or')}"
    for path, values in sorted(rule.body.items()):
        yield f"{shown(path)}: {listed(map(shown, sorted(set(values))), 'or') if values else 'no value at all'}"


def _misconfigured(change: Change) -> str:
    return (
        f"our set-up is wrong: no retry, no penalty for its breaker, and {change.b.then(change.name, 'misconfigured')}"
    )


def _caller_error(change: Change) -> str:
    return f"the request is wrong: no retry, no penalty for its breaker, and the chat gets {change.b.last_rung}"


def _failure(change: Change) -> str:
    return f"it failed: that counts against its breaker, and {change.b.then(change.name, 'failure')}"


def _degraded(change: Change) -> str:
    return f"{change.name} gave half an answer, which is passed on and marked degraded"


def _fallback_on(change: Change) -> str:
    if len(change.b.names) < 2:
        return "nothing: there is no further target that could be asked"
    first, below = change.b.names[:2]
    added, removed = change.lists()
    said = []
    if added:
        causes = listed((_CAUSES[cause] for cause in added), "or")
        said.append(f"where {first} {causes}, {below} is asked; until now the chat got {change.a.last_rung}")
    if removed:
        causes = listed((_CAUSES[cause] for cause in removed), "or")
        said.append(f"where {first} {causes}, the chat gets {change.b.last_rung} and {below} is not asked")
    return "; ".join(said)


def _local(change: Change) -> str:
    if change.new == "error":
        return "a chat that no target answers gets a 503, of which the UI shows only the number, instead of an answer that says so"
    return "a chat that no target answers gets an honest answer (200, degraded) instead of a 503"


def _local_text(change: Change) -> str:
    if change.b.policy.fallback.local == "error":
        return "nothing while fallback.local is error"
    old, new = change.old, change.new
    first = next(iter(new))
    said = []
    for languages, words in (
        ([one for one in new if one in old and old[one] != new[one]], "the local answer in {} reads otherwise"),
        ([one for one in new if one not in old], "who asks for {} is answered in it"),
        ([one for one in old if one not in new], f"who asks for {{}} is answered in {first}"),
    ):
        said += [words.format(listed(languages))] if languages else []
    if next(iter(old)) != first:
        said.append(f"who names none of the languages is answered in {first} instead of {next(iter(old))}")
    return "; ".join(said) or f"nothing: the order is another, and {first} is still the first"


_SHAPES = {
    "superset": "the reference's eight fields and those that today's UI reads",
    "reference": "the reference's eight fields and no other, so today's UI no longer shows who answered, and why is in Proxy-Status alone",
    "stub": "ok and data as the old stub had them, in which today's UI finds no response",
}


def _shape(change: Change) -> str:
    return f"an answer to a chat has {_SHAPES[change.new]}; errors stay as they are"


def _not_heard(change: Change) -> str | None:
    """Why the power state makes no difference."""
    missing = [name for name in ("switch", "madre") if name not in change.b.names]
    return f"nothing: {missing[0]} is not in the ladder" if missing else None


def _dormant_mode(change: Change) -> str:
    silent = _not_heard(change)
    if silent:
        return silent
    if change.new == "obey":
        return f"a switch that madre calls off is not asked: {change.b.then('switch', 'dormant')} at once"
    if change.new == "explain":
        return "a switch that madre calls off is asked all the same, and when it refuses that is dormant: no alert, no penalty"
    return "madre is not asked whether the switch is off: one that is off counts as failing, with alerts and an open breaker"


def _dormant_poll(change: Change) -> str:
    if change.b.policy.dormant.mode == "ignore":
        return "nothing while dormant.mode is ignore"
    later = "later" if change.up else "sooner"
    return _not_heard(change) or (
        f"madre is asked every {t(change.new)} instead of {t(change.old)} whether the switch is off, so that is noticed {later}"
    )


def _stick(change: Change) -> str:
    below = change.b.names[1:]
    if not below:
        return f"nothing: nobody stands below {change.b.names[0]}" if change.b.names else "nothing: nobody is asked"
    if not change.new:
        return f"a session that fell back is answered by {change.b.names[0]} again as soon as that can"
    stays = f"a session that fell back to {listed(below)} is answered by the same for {t(change.new)}"
    return f"{stays} instead of {t(change.old)}" if change.old else f"{stays}, though {change.b.names[0]} may be back"


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "affinity.stick": _stick,
        "mode": _mode,
        "intercept.paths": _paths,
        "intercept.commands": _commands,
        "targets": _ladder,
        "targets[].url": _url,
        "targets[].path": _path,
        "targets[].token_from": _token_from,
        "targets[].shield": _shield,
        "targets[].outcome.misconfigured": _outcome(_misconfigured),
        "targets[].outcome.caller_error": _outcome(_caller_error),
        "targets[].outcome.failure": _outcome(_failure),
        "targets[].outcome.degraded": _outcome(_degraded),
        "fallback.on": _fallback_on,
        "fallback.local": _local,
        "fallback.local_text": _local_text,
        "reply.shape": _shape,
        "dormant.mode": _dormant_mode,
        "dormant.poll": _dormant_poll,
    }
)
