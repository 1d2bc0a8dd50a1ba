"""Who comes in, what is let through, and where a chat goes when a target fails: the policy as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from math import ceil

from sidecar.policy.lint.finding import Found
from sidecar.policy.model import Intercept, Policy
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import size_text

UI_POLL = 15.0  # how often a page of the UI asks by itself
GATEWAY_SLOWEST = 22.0  # some answers of the gateway really take that
_STEERING = ("force_cli", "provider_hint", "language_lane", "task_type")
_STORE_SHARE = 0.1  # of a client's patience that may go into waiting for a store that hangs
_UTF8, _AROUND = 4, 1024  # bytes of a character at most; of the JSON around a message
_NARROWEST = {4: 8, 6: 7}  # networks wider than this are no proxies of anybody


def of_the_policy(policy: Policy) -> Iterator[Found]:
    yield from _who(policy)
    yield from _guards(policy)
    yield from _fallback(policy)
    yield from _relay(policy)


def _who(policy: Policy) -> Iterator[Found]:
    if policy.mode == "shadow":
        yield Found(
            "mode-shadow",
            "the gateway answers chat and the sidecar only looks on: write enforce once its figures (/state, observed) have convinced you",
            ("mode",),
        )
    if policy.auth.mode == "off":
        yield Found("auth-off", "everybody who reaches the port chats at your cost: write token", ("auth.mode",))
    else:
        yield from _sources(policy)
    missing = [path for path in Intercept().paths if path not in policy.intercept.paths]
    if missing:
        yield Found(
            "intercept-partial",
            f"chats to {' and '.join(missing)} go round the sidecar, and the UI tries both spellings: list both",
            ("intercept.paths",),
        )
    for index, target in enumerate(policy.ladder):
        if target.name == "switch" and not target.shield:
            yield Found(
                "shield-off",
                "the switch runs the first message it sees through a shell, and that is now what a user typed: write true, "
                "unless it has a real model and no shell provider",
                (f"targets[{index}].shield",),
            )


def _sources(policy: Policy) -> Iterator[Found]:
    sources = policy.auth.sources
    if "header" not in sources:
        yield Found(
            "auth-without-header",
            f"the UI and VX11's services send their token in {policy.auth.header} and nowhere else: every chat of theirs is a 401; "
            "add header",
            ("auth.sources",),
        )
    if "query" in sources:
        yield Found(
            "auth-in-query",
            "a URL is kept by browsers, by proxies and in the gateway's own log, and the token with it: leave query out, unless a client "
            "can send no header",
            (f"auth.sources[{sources.index('query')}]",),
        )


def _guards(policy: Policy) -> Iterator[Found]:
    guards = policy.guards
    for field in ("rate_limit", "anonymous_rate_limit"):
        rate = getattr(guards, field)
        polls = ceil(rate.per / UI_POLL)
        if rate.calls < polls:
            yield Found(
                "rate-limit-below-ui",
                f"a page of the UI that asks every {t(UI_POLL)} asks {polls} times in {t(rate.per)}, more than {rate}: its own "
                f"polling would be refused; write {polls} per {t(rate.per)} or more",
                (f"guards.{field}",),
            )
    one, shared = guards.rate_limit, guards.anonymous_rate_limit
    if shared.calls * one.per < one.calls * shared.per:
        yield Found(
            "anonymous-below-session",
            f"{shared} for all without a session_id behind one address is less than {one} for one session: write more",
            ("guards.anonymous_rate_limit", "guards.rate_limit"),
        )
    needed = guards.max_message_chars * _UTF8 + _AROUND
    if guards.max_body < needed:
        yield Found(
            "body-below-message",
            f"{guards.max_message_chars} characters take up to {needed - _AROUND} bytes and JSON around them, more than "
            f"{size_text(guards.max_body)}: messages that are allowed would be refused; write {ceil(needed / 1024)}KiB or more",
            ("guards.max_body", "guards.max_message_chars"),
        )
    waits, client = policy.shared.timeout, policy.deadline.client
    if waits > client * _STORE_SHARE:
        yield Found(
            "shared-eats-deadline",
            f"while Redis hangs chats wait {t(waits)} of the {t(client)} that clients have: write {t(client * _STORE_SHARE)} or less",
            ("shared.timeout",),
        )
    for index, key in enumerate(guards.metadata_allow):
        if key in _STEERING:
            yield Found(
                "metadata-steers",
                f"{key} chooses what the switch does with a chat, and every client may now set it: leave it out",
                (f"guards.metadata_allow[{index}]",),
            )


def _fallback(policy: Policy) -> Iterator[Found]:
    ladder, fallback = policy.ladder, policy.fallback
    if not ladder:
        yield Found(
            "no-target", "nobody is asked: every chat gets the local answer; name switch or madre", ("targets",)
        )
    obeyed = ("dormant",) if policy.dormant.mode == "obey" else ()
    probed = ("unhealthy",) if any(target.health.mode != "off" for target in ladder) else ()
    missing = [cause for cause in ("open", "failure", "timeout", *obeyed, *probed) if cause not in fallback.on]
    if missing and len(ladder) > 1:
        yield Found(
            "fallback-drops",
            f"without {', '.join(missing)} a {ladder[0].name} in that state means the local answer at once and "
            f"{ladder[1].name} is not asked: add {', '.join(missing)}",
            ("fallback.on",),
        )
    if fallback.local == "error":
        yield Found(
            "fallback-local-error",
            "when no target answers clients get a 503, of which the UI shows only the number: write answer",
            ("fallback.local",),
        )


def _relay(policy: Policy) -> Iterator[Found]:
    relay = policy.relay
    if not any(pattern.endswith("*") and "/debug/".startswith(pattern[:-1].lower()) for pattern in relay.deny):
        yield Found(
            "debug-relayed",
            "the gateway's debug paths hand out tokens to whoever asks, and are now relayed: add /debug/*",
            ("relay.deny",),
        )
    for index, text in enumerate(relay.trusted_proxies):
        network = ip_network(text)
        if network.prefixlen < _NARROWEST[network.version]:
            yield Found(
                "proxies-everybody",
                f"everybody in {text} may say who a client is, so X-Forwarded-For means nothing: name your own proxies alone",
                (f"relay.trusted_proxies[{index}]",),
            )
    if relay.timeouts.response_head < GATEWAY_SLOWEST:
        yield Found(
            "relay-cuts-gateway",
            f"the gateway takes {t(GATEWAY_SLOWEST)} for some answers, which would be cut off after "
            f"{t(relay.timeouts.response_head)}: write 30s",
            ("relay.timeouts.response_head",),
        )
