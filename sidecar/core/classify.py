"""What an outcome means: by error kind, by HTTP status and by JSON body, because VX11 reports failures under HTTP 200.

A policy's own rules are asked first, then the built-in ones, which know the bodies VX11 was seen to send. The first match decides;
an answer that no rule names is a success if it is a 2xx with something to show, else a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sidecar.core.vocabulary import UNSENT, ErrorKind, Outcome, Verdict
from sidecar.policy.model import Rule, Target

LONGEST_SCALAR = 64  # characters of a body value that rules may see: enough for a status word, too little for a message

_MISCONFIGURED = (401, 403, 404, 405, 415, 422)  # wrong token, wrong path, a body that does not fit: ours to mend
_CALLER_ERROR = (400, 413)
_FAILED = {
    "switch": ("error", "partial", "service_offline", "failed"),
    "madre": ("ERROR", "FAILED", "error", "service_offline"),
}
_WAITING = {"madre": ("WAITING",)}


class Classifier:
    """The rules of one target, compiled. Pure: the same outcome always has the same verdict."""

    def __init__(self, target: Target) -> None:
        rules = target.outcome
        self._rules = (
            *((rule, Verdict.MISCONFIGURED) for rule in rules.misconfigured),
            *((rule, Verdict.CALLER_ERROR) for rule in rules.caller_error),
            *((rule, Verdict.FATAL) for rule in rules.failure),
            *((rule, Verdict.DEGRADED) for rule in rules.degraded),
        )
        self._failed = _FAILED.get(target.name, ())
        self._waiting = _WAITING.get(target.name, ())
        self._retry_on = frozenset(target.retry.on)
        self._retry_on_timeout = target.retry.on_timeout
        self.paths = tuple(sorted({"status", *(path for rule, _ in self._rules for path in rule.body)}))
        """Dotted paths into the JSON body whose values the rules look at."""

    def __call__(self, outcome: Outcome) -> Verdict:
        verdict = self._by_rule(outcome) or self._by_nature(outcome)
        if verdict is Verdict.FATAL and self._may_retry(outcome):
            return Verdict.RETRYABLE
        return verdict

    def _by_rule(self, outcome: Outcome) -> Verdict | None:
        return next((verdict for rule, verdict in self._rules if _matches(rule, verdict, outcome)), None)

    def _by_nature(self, outcome: Outcome) -> Verdict:
        if outcome.status is None:
            return Verdict.FATAL
        if outcome.status in _MISCONFIGURED:
            return Verdict.MISCONFIGURED
        if outcome.status in _CALLER_ERROR:
            return Verdict.CALLER_ERROR
        word = outcome.body.get("status")
        if not 200 <= outcome.status < 300 or word in self._failed or not outcome.text:
            return Verdict.FATAL
        return Verdict.DEGRADED if word in self._waiting else Verdict.SUCCESS

    def _may_retry(self, outcome: Outcome) -> bool:
        if outcome.error is None:
            return outcome.status in self._retry_on
        if outcome.error in UNSENT:
            return "connect-failure" in self._retry_on
        if outcome.error is ErrorKind.TIMEOUT:
            return self._retry_on_timeout
        return outcome.error is ErrorKind.RESET and "reset-before-headers" in self._retry_on


def _matches(rule: Rule, verdict: Verdict, outcome: Outcome) -> bool:
    if verdict is Verdict.DEGRADED and not outcome.text:
        return False  # half an answer is something to show
    if rule.status and outcome.status not in rule.status:
        return False
    if rule.error and (outcome.error is None or outcome.error.value not in rule.error):
        return False
    return all(outcome.body.get(path) in values for path, values in rule.body.items())


def digest(body: Mapping[str, Any], paths: Iterable[str]) -> dict[str, str]:
    """The short scalars at ``paths`` of a JSON object, as text: all that rules, journal and replay get to see of it."""
    found = {}
    for path in paths:
        value: Any = body
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            found[path] = "true" if value else "false"
        elif isinstance(value, str | int | float) and len(text := str(value)) <= LONGEST_SCALAR:
            found[path] = text
    return found
