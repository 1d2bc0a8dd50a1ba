"""What is allowed in a policy and hardly meant: fields that are right alone and wrong together, with file, line and column.

``lint`` is pure: it looks at what was loaded, at the figures of it, and at what the caller observed. Each kind of finding has a
stable short code. A comment ``# lint: ignore CODE`` at the end of the line, or alone on the line above, silences it there
(several codes with commas between); what is right for others may be wrong for you, and the comment is where the reason goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from sidecar.policy.figures import figures
from sidecar.policy.lint import (
    breakers,
    chaos,
    doors,
    health,
    hedges,
    limits,
    objectives,
    patience,
    repetition,
    retries,
)
from sidecar.policy.lint.finding import Finding, Found, Observed, Rung, Severity, findings
from sidecar.policy.load import Loaded

__all__ = ["CODES", "Finding", "Observed", "Severity", "lint", "named", "silence"]

# fmt: off
CODES: Mapping[str, Severity] = MappingProxyType({
    # of time
    "worst-case-over-deadline": "error", "attempt-over-deadline": "error", "no-time-left": "error",
    "deadline-beyond-ui": "warning", "connect-never-in-force": "warning", "slow-call-never": "warning",
    "reserve-unused": "warning", "reserve-below-connect": "warning", "reserve-over-half": "warning",
    "reserve-below-p95": "warning", "backoff-over-deadline": "warning", "backoff-base-over-max": "warning",
    "queue-over-time-left": "warning", "retries-eat-reserve": "warning",
    # of retries
    "effects-contradicted": "error", "effects-unproven": "warning", "retry-resends-unsafe": "error", "only-if-unsent-unused": "warning",
    "on-timeout-unused": "warning", "on-timeout-without-time": "warning", "retry-never-happens": "warning",
    "retry-budget-doubles-load": "warning",
    # of hedges
    "hedge-never-sent": "warning", "hedge-load-high": "warning", "affinity-unused": "warning",
    # of breakers
    "breaker-never-opens": "error", "breaker-window-too-short": "warning", "breaker-arms-late": "warning",
    "breaker-only-total": "warning", "breaker-trips-on-one": "warning", "open-shorter-than-probe": "warning",
    # of limits
    "limit-never-moves": "warning", "adaptive-without-queue": "warning", "adaptive-unused": "warning", "slow-start-unused": "warning",
    # of health
    "health-falls-on-busy": "warning", "health-madre-slow": "warning", "health-nobody-else": "warning",
    # of doors
    "mode-shadow": "warning", "auth-off": "warning", "auth-in-query": "warning", "auth-without-header": "warning",
    "shield-off": "warning", "intercept-partial": "warning",
    "rate-limit-below-ui": "warning", "anonymous-below-session": "warning", "body-below-message": "warning", "metadata-steers": "warning",
    "shared-eats-deadline": "warning",
    "no-target": "warning", "fallback-drops": "warning", "fallback-local-error": "warning", "debug-relayed": "error",
    "proxies-everybody": "error", "relay-cuts-gateway": "warning",
    # of repetitions
    "idempotency-idle": "warning", "idempotency-forgets-early": "warning", "idempotency-keeps-degraded": "warning",
    "idempotency-too-few": "warning", "idempotency-too-small": "warning", "idempotency-header-taken": "error",
    # of objectives
    "slo-latency-over-deadline": "warning", "slo-latency-without-bucket": "warning", "slo-never-alerts": "warning",
    "slo-guard-hidden": "warning",
    # of chaos
    "chaos-expired": "warning", "chaos-far-end": "warning", "chaos-breaks-everything": "warning", "chaos-never-met": "warning",
    "chaos-delay-is-timeout": "warning", "chaos-header-open": "warning",
    # of the file itself
    "never-reloads": "warning", "ignores-nothing": "warning",
})
# fmt: on
"""Every code with its severity: an error cannot work as stated or opens a door, a warning is worth a second look."""

_IGNORE = re.compile(r"#\s*lint:\s*ignore\s+([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)")
_LINE_END = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")


def lint(loaded: Loaded, observed: Observed = Observed()) -> tuple[Finding, ...]:  # noqa: B008 - a constant
    """Everything that is doubtful about a policy, in the order of its files and lines."""
    return tuple(sorted(findings(_found(loaded, observed), loaded, CODES)))


def silence(found: Iterable[Finding], texts: Mapping[str, str]) -> tuple[Finding, ...]:
    """``found`` without what comments in the files (``texts`` by name) ignore, and with the comments that name no code."""
    ignored = {(file, line, code) for file, text in texts.items() for line, code in _ignored(text)}
    kept = [finding for finding in found if (finding.file, finding.line, finding.code) not in ignored]
    unknown = {(file, code): line for file, line, code in sorted(ignored, reverse=True) if code not in CODES}
    for (file, code), line in unknown.items():
        message = f"{code} is no code of a finding, so this comment silences nothing: correct it, or delete it"
        kept.append(Finding(file, line, 1, "warning", "", message, "ignores-nothing"))
    return tuple(sorted(kept))


def named(loaded: Loaded, texts: Mapping[str, str]) -> Mapping[tuple[str, str], Finding]:
    """What ``lint`` finds and no comment in ``texts`` silences, by code and field: names that hold for another policy, too.

    What the top states is found for each target that it reaches; targets go by their names.
    """
    names = {f"targets[{index}].": f"{target.name}." for index, target in enumerate(loaded.policy.ladder)}
    every = {
        (found.code, re.sub(r"targets\[[0-9]+\]\.", lambda match: names[match[0]], found.fields[0])): finding
        for found in _found(loaded, Observed())
        for finding in findings((found,), loaded, CODES)
    }
    kept = silence(every.values(), texts)
    unused = {(finding.code, finding.message): finding for finding in kept if finding.code == "ignores-nothing"}
    return {name: finding for name, finding in every.items() if finding in kept} | unused


def _found(loaded: Loaded, observed: Observed) -> Iterator[Found]:
    policy = loaded.policy
    worked_out = figures(policy, observed.p95)
    yield from doors.of_the_policy(policy)
    yield from repetition.of_the_policy(policy)
    yield from objectives.of_the_policy(policy)
    yield from hedges.of_the_policy(policy)
    yield from chaos.of_the_policy(policy, worked_out, observed.moment)
    if policy.ladder:
        yield from patience.of_the_policy(policy, worked_out)
    for depth, target in enumerate(policy.ladder):
        rung = Rung(depth, target, worked_out.targets[depth], policy, loaded, observed)
        for rules in (patience, retries, hedges, breakers, limits, health):
            yield from rules.of_a_target(rung)


def _ignored(text: str) -> Iterator[tuple[int, str]]:
    """Lines with the codes that are ignored there: the comment's own line, and the next if it stands alone."""
    for number, line in enumerate(_LINE_END.split(text), 1):
        match = _IGNORE.search(line)
        for code in re.split(r"\s*,\s*", match[1]) if match else ():
            yield number, code
            if line.lstrip().startswith("#"):
                yield number + 1, code
