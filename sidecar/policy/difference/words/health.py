"""Who is probed, how often, and what probes lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import Change, many
from sidecar.policy.model import HealthPolicy
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text


def found_down(policy: HealthPolicy) -> float:
    """Seconds after which the probes of a target that is gone have taken it away, at the latest and jitter left out."""
    return policy.fall * policy.interval + policy.timeout


def found_up(policy: HealthPolicy) -> float:
    """The same for one that is back."""
    return policy.rise * policy.interval + policy.timeout


def _mode(change: Change) -> str:
    name, policy = change.name, change.now.health
    if change.new == "off":
        return (
            f"{name} is not probed any more: that it is gone is found by chats alone, and its breaker leaves it alone"
        )
    found = f"one that is gone is left out after about {t(found_down(policy))}"
    only = f"{name} is the only target, so it is asked all the same"
    then = only if len(change.b.names) == 1 else f"{change.b.then(name, 'unhealthy')} at once"
    return f"{name} is probed every {t(policy.interval)}: {found}, whether anybody chats or not, and {then}"


def _of(words: Callable[[Change], str]) -> Callable[[Change], str]:
    def told(change: Change) -> str:
        return f"nothing: {change.name} is not probed" if change.now.health.mode == "off" else words(change)

    return told


def _path(change: Change) -> str:
    return f"{change.name} is probed at {change.new} instead of {change.old}"


def _back(change: Change) -> str:
    down, up = t(found_down(change.now.health)), t(found_up(change.now.health))
    return f"that it is gone is found after about {down}, that it is back after {up}"


def _interval(change: Change) -> str:
    return f"{change.name} is probed every {t(change.new)} instead of {t(change.old)}: {_back(change)}"


def _jitter(change: Change) -> str:
    apart = "further apart" if change.up else "closer together" if change.new else "at their own fixed pace"
    spread = f"±{share_text(change.new)} instead of ±{share_text(change.old)}"
    return f"probes of {change.name} are spread by {spread}: several sidecars probe it {apart}"


def _timeout(change: Change) -> str:
    slower = "a slow answer is good for longer" if change.up else "a slow answer is sooner a failure"
    return f"a probe of {change.name} may take {t(change.new)} instead of {t(change.old)}: {slower}"


def _rise(change: Change) -> str:
    then = "later, and less likely too soon" if change.up else "sooner, and more likely too soon"
    return (
        f"{change.name} is asked again after {many(change.new, 'good probe')} in a row instead of {change.old}: {then}"
    )


def _fall(change: Change) -> str:
    then = (
        "later, and less likely while it is merely busy"
        if change.up
        else "sooner, and more likely while it is merely busy"
    )
    return (
        f"{change.name} is left out after {many(change.new, 'failed probe')} in a row instead of {change.old}: {then}"
    )


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "targets[].health.mode": _mode,
        "targets[].health.path": _of(_path),
        "targets[].health.interval": _of(_interval),
        "targets[].health.jitter": _of(_jitter),
        "targets[].health.timeout": _of(_timeout),
        "targets[].health.rise": _of(_rise),
        "targets[].health.fall": _of(_fall),
    }
)
