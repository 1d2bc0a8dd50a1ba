"""VX11's published deployment checklist, and which of our checks stand for each of its points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sidecar.doctor.result import State, Told


class Point(NamedTuple):
    """``checks`` stand for it, ``skipped`` those of them that said nothing; ``unseen`` what nobody sees."""

    text: str
    state: State
    checks: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    unseen: str = ""


class _Asked(NamedTuple):
    text: str
    checks: tuple[str, ...]
    unseen: str = ""


_POINTS = (
    _Asked(
        "the tokens are equal in all services",
        ("token.present", "token.equal", "token.gateway", "token.madre", "token.switch", "token.sidecar"),
        "whether a service shows another one the same token is seen only by what that one answers",
    ),
    _Asked(
        "tentaculo, madre, switch and the operator backend are healthy",
        ("gateway.health", "madre.health", "switch.health", "operator.health"),
    ),
    _Asked("one validated chat with its eight fields", ("chat.sidecar",)),
    _Asked(
        "the correlation id is in the logs",
        ("chat.found",),
        "the logs of the services themselves: search them for the id",
    ),
    _Asked("madre's post_task with the link token", ("post_task",)),
)
_WORST: tuple[State, ...] = ("fail", "warn", "ok", "skipped")


def points(told: Iterable[Told]) -> list[Point]:
    """Each point of which all checks were run, as bad as the worst of them; skipped ones count only among themselves."""
    states = {each.check: each.result.state for each in told}
    found = []
    for asked in _POINTS:
        if states.keys() >= set(asked.checks):
            state = min((states[check] for check in asked.checks), key=_WORST.index)
            silent = tuple(check for check in asked.checks if states[check] == "skipped")
            found.append(Point(asked.text, state, asked.checks, silent, asked.unseen))
    return found
