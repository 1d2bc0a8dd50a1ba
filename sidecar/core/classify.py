"""What an outcome means: by error kind, by HTTP status and by JSON body, because VX11 reports failures under HTTP 200.

A policy's own rules are asked first, then the built-in ones, which know the bodies VX11 was seen to send. The first match decides;
an answer that no rule names is a success if it is a 2xx with something to show, else a failure.

Which rule decided is said in one of these words: ``outcome.SECTION[N]`` (a rule of the policy, from 0), ``error KIND``, ``HTTP STATUS``,
``status WORD`` (the word of the body), ``no text``, ``answer``. ``docs/explain.md`` says what each means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sidecar.core.value import Value
from sidecar.core.vocabulary import UNSENT, ErrorKind, Outcome, Verdict
from sidecar.policy.model import Rule, Target

LONGEST_SCALAR = 64  # characters of a body value that rules may see: enough for a status word, too little for a message

_BY_STATUS = {
    **dict.fromkeys((401, 403, 404, 405, 415, 422), Verdict.MISCONFIGURED),  # wrong token, path or body: ours to mend
    **dict.fromkeys((400, 413), Verdict.CALLER_ERROR),
}
_FAILED = {
    "switch": ("error", "partial", "service_offline", "failed"),
    "madre": ("ERROR", "FAILED", "error", "service_offline"),
}
_WAITING = {"madre": ("WAITING",)}
_BY_ERROR: Mapping[ErrorKind | None, str] = {  # made once: a rule is said with every attempt
    **{kind: f"error {kind.value}" for kind in ErrorKind},
    None: "no answer",  # nor an error: no driver says that, but a journal may have been edited
}


class Judged(Value):
    """A verdict, and the rule that led to it."""

    verdict: Verdict
    rule: str


_ANSWER = Judged(Verdict.SUCCESS, "answer")
_NO_TEXT = Judged(Verdict.FATAL, "no text")


class Classifier:
    """The rules of one target, compiled. Pure: the same outcome always has the same verdict."""

    def __init__(self, target: Target) -> None:
        rules = target.outcome
        self._rules = (
            *_compiled("misconfigured", rules.misconfigured, Verdict.MISCONFIGURED),
            *_compiled("caller_error", rules.caller_error, Verdict.CALLER_ERROR),
            *_compiled("failure", rules.failure, Verdict.FATAL),
            *_compiled("degraded", rules.degraded, Verdict.DEGRADED),
        )
        self._failed = _FAILED.get(target.name, ())
        self._waiting = _WAITING.get(target.name, ())
        self._retry_on = frozenset(target.retry.on)
        self._retry_on_timeout = target.retry.on_timeout
        self.paths = tuple(sorted({"status", *(path for rule, _ in self._rules for path in rule.body)}))
        """Dotted paths into the JSON body whose values the rules look at."""

    def __call__(self, outcome: Outcome) -> Verdict:
        return self.judge(outcome).verdict

    def judge(self, outcome: Outcome) -> Judged:
        """The verdict with the rule that led to it."""
        judged = (self._rules and self._by_rule(outcome)) or self._by_nature(outcome)
        if judged.verdict is Verdict.FATAL and self._may_retry(outcome):
            return Judged(Verdict.RETRYABLE, judged.rule)
        return judged

    def _by_rule(self, outcome: Outcome) -> Judged | None:
        return next((judged for rule, judged in self._rules if _matches(rule, judged.verdict, outcome)), None)

    def _by_nature(self, outcome: Outcome) -> Judged:
        status = outcome.status
        if status is None:
            ours = outcome.error is ErrorKind.NO_SOCKET  # it says nothing about the target
            return Judged(Verdict.IGNORED if ours else Verdict.FATAL, _BY_ERROR[outcome.error])
        if not 200 <= status < 300:
            return Judged(_BY_STATUS.get(status, Verdict.FATAL), f"HTTP {status}")
        word = outcome.body.get("status")
        if word in self._failed:
            return Judged(Verdict.FATAL, f"status {word}")
        if not outcome.text:
            return _NO_TEXT
        return Judged(Verdict.DEGRADED, f"status {word}") if word in self._waiting else _ANSWER

    def _may_retry(self, outcome: Outcome) -> bool:
        if outcome.error is None:
            return outcome.status in self._retry_on
        if outcome.error in UNSENT:
            return "connect-failure" in self._retry_on
        if outcome.error is ErrorKind.TIMEOUT:
            return self._retry_on_timeout
        return outcome.error is ErrorKind.RESET and "reset-before-headers" in self._retry_on


def _compiled(section: str, rules: Iterable[Rule], verdict: Verdict) -> Iterator[tuple[Rule, Judged]]:
    return ((rule, Judged(verdict, f"outcome.{section}[{place}]")) for place, rule in enumerate(rules))


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
        value: Any = body.get(path) if "." not in path else _below(body, path)
        if type(value) is str:  # as nearly all are
            if len(value) <= LONGEST_SCALAR:
                found[path] = value
        elif isinstance(value, bool):
            found[path] = "true" if value else "false"
        elif isinstance(value, int | float) and len(text := str(value)) <= LONGEST_SCALAR:
            found[path] = text
    return found


def _below(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
