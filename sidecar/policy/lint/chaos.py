"""Faults on purpose: rules that are over, that never act, and that break more than was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sidecar.policy.chaos import ChaosRule
from sidecar.policy.figures import Figures
from sidecar.policy.lint.finding import Found
from sidecar.policy.model import Policy
from sidecar.policy.units import duration_text as t

LONGEST = 7 * 86_400  # seconds: an experiment that lasts longer is forgotten


def of_the_policy(policy: Policy, worked_out: Figures, moment: float | None) -> Iterator[Found]:
    """``moment`` is now, in seconds since 1970; None where nobody knows."""
    names = [target.name for target in policy.ladder]
    for index, rule in enumerate(policy.chaos):
        at = f"chaos[{index}]"
        if moment is not None:
            yield from _when(rule, at, moment)
        yield from _whom(rule, at, names, policy.chaos[:index])
        yield from _delay(rule, at, worked_out)
        if rule.header and policy.auth.mode == "off":
            yield Found(
                "chaos-header-open",
                "with auth.mode: off everybody who reaches the port may send this field and break chats: demand the token, or leave "
                "the rule out",
                (f"{at}.header", "auth.mode"),
            )


def _when(rule: ChaosRule, at: str, moment: float) -> Iterator[Found]:
    left = rule.expires_at.epoch - moment
    if left <= 0:
        yield Found(
            "chaos-expired",
            f"{rule.expires_at.text} is over, so {rule.name} does nothing: delete the rule, or give it another end",
            (f"{at}.expires_at",),
        )
    elif left > LONGEST:
        yield Found(
            "chaos-far-end",
            f"{rule.name} may break chats for another {left / 86_400:.0f} days, and who knows of it then: let it end within 7",
            (f"{at}.expires_at",),
        )


def _whom(rule: ChaosRule, at: str, names: Sequence[str], above: Sequence[ChaosRule]) -> Iterator[Found]:
    if rule.target != "any" and rule.target not in names:
        message = f"{rule.target} is not on the ladder, so {rule.name} breaks nothing: name a target that is, or delete the rule"
        yield Found("chaos-never-met", message, (f"{at}.target",))
    elif rule.percentage == 0:
        message = f"0% of the attempts are none, so {rule.name} breaks nothing: write more, or delete the rule"
        yield Found("chaos-never-met", message, (f"{at}.percentage",))
    elif taken := next((one for one in above if _takes_all(one, rule)), None):
        yield Found(
            "chaos-never-met",
            f"{taken.name} stands above and breaks every attempt that {rule.name} fits: put {rule.name} first, or lower its percentage",
            (f"{at}.target", f"{at}.percentage"),
        )
    if rule.percentage == 1 and not rule.header and (rule.target == "any" or len(names) == 1):
        yield Found(
            "chaos-breaks-everything",
            "every attempt on every target is broken, so nobody gets a whole answer: lower the percentage, or state a header",
            (f"{at}.percentage",),
        )


def _takes_all(one: ChaosRule, rule: ChaosRule) -> bool:
    """Whether nothing that ``rule`` fits is left by ``one``, which ends no earlier."""
    lasts = one.expires_at.epoch >= rule.expires_at.epoch
    covers = one.target in ("any", rule.target) and one.header.items() <= rule.header.items()
    return one.percentage == 1 and lasts and covers


def _delay(rule: ChaosRule, at: str, worked_out: Figures) -> Iterator[Found]:
    longest = [target.attempt.most for target in worked_out.targets if rule.target in ("any", target.name)]
    if longest and rule.delay >= max(longest):
        yield Found(
            "chaos-delay-is-timeout",
            f"no attempt there may take longer than {t(max(longest))}, so each is a timeout and the target is never asked: write less, "
            "or abort: timeout",
            (f"{at}.delay",),
        )
