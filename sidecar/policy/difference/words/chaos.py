"""What may be broken on purpose: rules that come, go and change, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from sidecar.policy.chaos import ChaosRule
from sidecar.policy.difference.change import Change, alike
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text

GATE = "where the sidecar is started with --allow-chaos or an operator switches chaos on"


def _chaos(change: Change) -> str:
    old, new = ({rule.name: rule for rule in rules} for rules in (change.old, change.new))
    said = []
    for name, rule in new.items():
        if name not in old:
            said.append(f"{GATE}, {rule_text(rule)}")
        elif alike(rule) != alike(old[name]):
            said.append(f"{name} is another rule now: {rule_text(rule)}")
    said += [f"{name} breaks nothing any more" for name in old if name not in new]
    return "; ".join(said) or "rules are asked in another order: which of two breaks an attempt may change"


def rule_text(rule: ChaosRule) -> str:
    """``slow-switch breaks 10% of the attempts on switch until …: delayed by 2s``."""
    target = "any target" if rule.target == "any" else rule.target
    carried = " and ".join(f"{name}: {value}" for name, value in rule.header.items())
    whose = f" of chats with {carried}" if carried else ""
    share = share_text(rule.percentage)
    return f"{rule.name} breaks {share} of the attempts on {target}{whose} until {rule.expires_at.text}: {', then '.join(_faults(rule))}"


def _faults(rule: ChaosRule) -> Iterator[str]:
    if rule.delay:
        yield f"delayed by {t(rule.delay)}"
    if isinstance(rule.abort, int):
        yield f"answered with status {rule.abort} without being sent"
    elif rule.abort is not None:
        yield f"failed with {rule.abort} without being sent"
    if rule.body is not None:
        yield f"sent, and the body of the answer replaced ({rule.body})"
    if rule.cut:
        yield "sent, and the answer cut off"


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType({"chaos": _chaos})
