"""What is relayed, how patiently, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import Change, listed
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import size_text


def _deny(change: Change) -> str:
    added, removed = change.lists()
    said = [f"refused with 403 instead of relayed: {listed(added)}"] if added else []
    return "; ".join([*said, *([f"relayed instead of refused with 403: {listed(removed)}"] if removed else [])])


def _proxies(change: Change) -> str:
    added, removed = change.lists()
    said = [f"what {listed(added, 'or')} says of a client in X-Forwarded-* is believed"] if added else []
    if removed:
        said.append(
            f"what {listed(removed, 'or')} says in X-Forwarded-* is replaced, so all its clients have one address"
        )
    return "; ".join(said)


def _patience(what: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        later = "later" if change.up else "sooner"
        return what.format(new=f"{t(change.new)} instead of {t(change.old)}", later=later)

    return words


def _stream(change: Change) -> str:
    if change.new is None:
        return f"a body or tunnel may be silent for ever instead of {t(change.old)}: no quiet SSE or WebSocket is cut"
    if change.old is None:
        return f"a body or tunnel that is silent for {t(change.new)} is cut, every quiet SSE and WebSocket without a heartbeat too"
    later = "later" if change.up else "sooner"
    return f"a body or tunnel that is silent for {t(change.new)} instead of {t(change.old)} is cut: {later}"


def _limit(what: str, shown: Callable[[int], str], refusal: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        more = "more pass" if change.up else "fewer pass"
        return f"{what} beyond {shown(change.new)} instead of {shown(change.old)} {refusal}: {more}"

    return words


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "relay.deny": _deny,
        "relay.timeouts.connect": _patience("a gateway to which no connection stands is given up after {new}: {later}"),
        "relay.timeouts.head": _patience(
            "a client that does not send its request head, or a chat's body, is cut after {new}: {later}"
        ),
        "relay.timeouts.response_head": _patience(
            "a gateway that does not begin to answer is given up after {new}: {later}"
        ),
        "relay.timeouts.idle": _patience("a client's connection without a request is closed after {new}: {later}"),
        "relay.timeouts.stall": _patience(
            "who neither sends what it announced nor reads what waits for it is cut after {new}: {later}"
        ),
        "relay.timeouts.stream": _stream,
        "relay.limits.head": _limit("request heads", size_text, "are refused with 431"),
        "relay.limits.fields": _limit("header fields of a request", str, "are refused with 431"),
        "relay.limits.connections": _limit("client connections", str, "get a 503"),
        "relay.trusted_proxies": _proxies,
    }
)
