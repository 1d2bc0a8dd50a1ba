"""Who may pass: tokens, guards, overload, browsers, and who may look at the admin port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import Change, listed
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import size_text


def _mode(change: Change) -> str:
    if change.new == "off":
        return "everybody who reaches the port may chat, with or without a token, unless VX11_AUTH_MODE says token"
    return (
        "a chat without a token is refused with 401 and one with a wrong token with 403; until now everybody was let in"
    )


def _header(change: Change) -> str:
    if change.b.policy.auth.mode == "off":
        return "nothing for chats while auth.mode is off"
    if "header" not in change.b.policy.auth.sources:
        return "nothing while auth.sources does not name header"
    return f"the token is read from {change.new}; who sends it in {change.old} is refused with 401"


def _sources(change: Change) -> str:
    if change.b.policy.auth.mode == "off":
        return "nothing for chats while auth.mode is off"
    places = {"header": change.b.policy.auth.header, "bearer": "Authorization: Bearer", "query": "?token= in the query"}
    added, removed = change.lists()
    said = [f"a token in {listed((places[one] for one in added), 'or')} is looked at"] if added else []
    said += (
        [f"who sends one only in {listed((places[one] for one in removed), 'or')} is refused with 401"]
        if removed
        else []
    )
    if len(change.new) > 1:
        said.append(f"of several the first counts, in the order {', '.join(change.new)}")
    return "; ".join(said)


def _chars(change: Change) -> str:
    if change.up:
        return f"messages of {change.old + 1} to {change.new} characters are answered instead of refused with 413"
    return f"messages of {change.new + 1} to {change.old} characters are refused with 413"


def _body(change: Change) -> str:
    old, new = size_text(change.old), size_text(change.new)
    if change.up:
        return f"chat requests of more than {old} and up to {new} are read instead of refused with 413"
    return f"chat requests of more than {new} are refused with 413; until now up to {old} were read"


def _rate(who: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        old, new = change.old, change.new
        burst, lasting = new.calls - old.calls, new.calls * old.per - old.calls * new.per
        if burst >= 0 and lasting >= 0:
            effect = "fewer are refused with 429"
        elif burst <= 0 and lasting <= 0:
            effect = "more are refused with 429"
        else:
            effect = "more at once and fewer in the long run" if burst > 0 else "fewer at once and more in the long run"
        return f"{who} {new} instead of {old}: {effect}"

    return words


def _sessions(change: Change) -> str:
    larger = "more" if change.up else "fewer"
    return (
        f"the rate limits remember {change.new} sessions and peers instead of {change.old}: {larger} can come before those idle "
        "longest start afresh"
    )


def _shared(change: Change) -> str:
    longer = "a slow Redis is waited for longer" if change.up else "a slow Redis is sooner taken for a dead one"
    return f"a chat waits {t(change.new)} instead of {t(change.old)} for the limits that replicas share: {longer}"


def _pause(change: Change) -> str:
    later = "later" if change.up else "sooner"
    return f"a Redis that failed is tried again after {t(change.new)} instead of {t(change.old)}: limits hold across replicas {later}"


def _at_once(what: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        turned = "fewer are turned away" if change.up else "more are turned away, so that the rest is served in time"
        return f"beyond {change.new} {what} at once a further one gets a 503, instead of beyond {change.old}: {turned}"

    return words


def _wait(change: Change) -> str:
    later = "later" if change.up else "sooner"
    return (
        f"every new request, relayed ones too, gets a 503 once the event loop is {t(change.new)} late instead of {t(change.old)}: "
        f"{later}"
    )


def _gained(gain: str, loss: str, last: str = "and") -> Callable[[Change], str]:
    def words(change: Change) -> str:
        added, removed = change.lists()
        said = [gain.format(listed(added, last))] if added else []
        return "; ".join([*said, *([loss.format(listed(removed, last))] if removed else [])])

    return words


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "auth.mode": _mode,
        "auth.header": _header,
        "auth.sources": _sources,
        "guards.max_message_chars": _chars,
        "guards.max_body": _body,
        "guards.rate_limit": _rate("one session may chat"),
        "guards.anonymous_rate_limit": _rate("all without a session_id behind one address may chat"),
        "guards.max_sessions": _sessions,
        "guards.metadata_allow": _gained(
            "of a client's metadata, passed on to the switch: {}",
            "of a client's metadata, no longer passed on to the switch: {}",
        ),
        "shared.timeout": _shared,
        "shared.pause": _pause,
        "overload.chats": _at_once("chats"),
        "overload.relays": _at_once("relayed requests that wait for an answer"),
        "overload.wait": _wait,
        "cors.origins": _gained(
            "browsers on {} may read the answers made here",
            "browsers on {} may no longer read the answers made here, and show an error in their place",
        ),
        "cors.expose": _gained("scripts in browsers may read {}", "scripts in browsers may no longer read {}"),
        "admin.hosts": _gained(
            "the admin port answers who asks for it by the name {}",
            "who asks for the admin port by the name {} is refused, but for metrics and probes",
            last="or",
        ),
    }
)
