"""What outcomes mean, as a literal table, and why a call leaves a target for it.

One line for each outcome that worlds know: what it means where no rule of the policy names it, and by what word ``retry.on`` would
name it. Three things are no matter of the outcome alone and stand below: rules, a power state that explains, a client in a hurry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.core.vocabulary import Outcome, Reason, Verdict
from sidecar.policy.model import Rule, Target
from sidecar.replay.world import GOOD

from .world import OUTCOMES

SUCCESS, DEGRADED, FATAL = Verdict.SUCCESS, Verdict.DEGRADED, Verdict.FATAL
CALLER_ERROR, MISCONFIGURED, IGNORED = Verdict.CALLER_ERROR, Verdict.MISCONFIGURED, Verdict.IGNORED
RULES = (
    ("misconfigured", MISCONFIGURED),
    ("caller_error", CALLER_ERROR),
    ("failure", FATAL),
    ("degraded", DEGRADED),
)


class Meaning(NamedTuple):
    """``sent``: whether the target may have seen the request. ``cause``: what ``retry.on`` calls it, None where it never may."""

    switch: Verdict
    madre: Verdict
    sent: bool
    cause: str | int | None


MEANINGS: Mapping[str, Meaning] = {
    "ok": Meaning(SUCCESS, SUCCESS, True, 200),
    "waiting": Meaning(SUCCESS, DEGRADED, True, 200),
    "partial": Meaning(FATAL, SUCCESS, True, 200),
    "said-error": Meaning(FATAL, FATAL, True, 200),
    "empty": Meaning(FATAL, FATAL, True, 200),
    "connect": Meaning(FATAL, FATAL, False, "connect-failure"),
    "dns": Meaning(FATAL, FATAL, False, "connect-failure"),
    "connect-timeout": Meaning(FATAL, FATAL, False, "connect-failure"),
    "no-socket": Meaning(IGNORED, IGNORED, False, "connect-failure"),
    "reset": Meaning(FATAL, FATAL, True, "reset-before-headers"),
    "truncated": Meaning(FATAL, FATAL, True, None),
    "protocol": Meaning(FATAL, FATAL, True, None),
    "too-large": Meaning(FATAL, FATAL, True, None),
    "not-json": Meaning(FATAL, FATAL, True, None),
    "timeout": Meaning(FATAL, FATAL, True, "timeout"),
    "400": Meaning(CALLER_ERROR, CALLER_ERROR, True, 400),
    "401": Meaning(MISCONFIGURED, MISCONFIGURED, True, 401),
    "413": Meaning(CALLER_ERROR, CALLER_ERROR, True, 413),
    "429": Meaning(FATAL, FATAL, True, 429),
    "500": Meaning(FATAL, FATAL, True, 500),
    "502": Meaning(FATAL, FATAL, True, 502),
    "503": Meaning(FATAL, FATAL, True, 503),
    "503-late": Meaning(FATAL, FATAL, True, 503),
    "504": Meaning(FATAL, FATAL, True, 504),
}
_REASONS = {MISCONFIGURED: Reason.MISCONFIGURED, CALLER_ERROR: Reason.CALLER_ERROR}
_NAMES = {id(GOOD): "ok", **{id(outcome): name for name, outcome in OUTCOMES.items()}}


def name_of(outcome: Outcome) -> str:
    """The name of an outcome. Worlds give their own objects; what a timeout leads to is the simulator's."""
    name = _NAMES.get(id(outcome))
    if name is not None:
        return name
    if outcome.error == "timeout":
        return "timeout"
    raise LookupError(f"no world has {outcome}")


def verdict_of(name: str, target: Target, *, explained: bool, hurried: bool) -> Verdict:
    """What this outcome means for ``target``.

    ``explained``: the power state says that the target is off. ``hurried``: the client asked for less time than the policy gives, that bound the
    attempt, and it was short: half of what would be slow.
    """
    if explained and name in ("connect", "dns"):
        return Verdict.IGNORED
    meaning = MEANINGS[name]
    verdict = _ruled(name, target) or (meaning.switch if target.name == "switch" else meaning.madre)
    if name == "timeout":
        if hurried:
            return Verdict.IGNORED
        return Verdict.RETRYABLE if verdict is FATAL and target.retry.on_timeout else verdict
    return Verdict.RETRYABLE if verdict is FATAL and meaning.cause in target.retry.on else verdict


def _ruled(name: str, target: Target) -> Verdict | None:
    outcome = OUTCOMES.get(name)
    for kind, verdict in RULES:
        for rule in getattr(target.outcome, kind):
            if (verdict is not DEGRADED or (outcome is not None and outcome.text)) and _names(rule, name, outcome):
                return verdict
    return None


def _names(rule: Rule, name: str, outcome: Outcome | None) -> bool:
    """Whether a rule names this outcome; silence has neither status nor body."""
    return (
        (not rule.status or (outcome is not None and outcome.status in rule.status))
        and (not rule.error or name in rule.error)
        and all(outcome is not None and outcome.body.get(path) in values for path, values in rule.body.items())
    )


def reason_of(name: str, verdict: Verdict) -> Reason:
    """Why a call leaves a target after this."""
    if verdict in _REASONS:
        return _REASONS[verdict]
    if name == "timeout":
        return Reason.TIMEOUT
    return Reason.DORMANT if verdict is Verdict.IGNORED and name != "no-socket" else Reason.FAILURE
