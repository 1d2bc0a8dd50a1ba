"""Plays the incident and holds what was seen against what was expected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sidecar.policy.load import parse
from sidecar.rules import alerts_of
from tests.incident.acts import ACTS, TOLERATED, Act, Expected
from tests.incident.town import SETTINGS, WITHIN, Town
from tests.incident.watch import Key, key

AHEAD = 0.5  # seconds that an alert may be seen before its cause was written down


class Row(NamedTuple):
    """What became of an expectation: seconds from cause to firing, seconds it fired (None: it still does), and who was told."""

    act: str
    expected: Expected
    after: float
    lasted: float | None
    told: frozenset[str]


async def play(town: Town, acts: Sequence[Act] = ACTS) -> None:
    """Raises AssertionError if what must fire stays silent. What fires besides, ``surprises`` says afterwards."""
    for act in acts:
        town.mark(act.name)
        await act.play(town)
        await _awaited(town, act)
        if act.mend is not None:
            await act.mend(town)


async def _awaited(town: Town, act: Act) -> None:
    """Until every alert of the act has fired, and whoever is to be told was told."""
    missing: list[str] = []
    deadline = time.monotonic() + WITHIN + 20
    while time.monotonic() < deadline:
        told = _told(town)
        missing = [
            str(each.alert)
            for each in act.expected
            if each.alert not in town.watch.spans
            or (each.told and not each.withheld and each.told not in told.get(each.alert, ()))
        ]
        if not missing:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{act.name}: not fired, or nobody was told: {', '.join(missing)}")


def rows(town: Town, acts: Sequence[Act]) -> list[Row]:
    """One for each expectation, in their order."""
    told = _told(town)
    found = []
    for act in acts:
        for each in act.expected:
            first, last = town.watch.spans[each.alert][0]
            lasted = None if each.alert in town.watch.firing else last - first
            after = first - _cause(town, act, each)
            found.append(Row(act.name, each, after, lasted, frozenset(told.get(each.alert, ()))))
    return found


def silent(town: Town) -> set[str]:
    """The alerts of the policy that were never seen to fire."""
    alerts = {alert.name for alert in alerts_of(parse(SETTINGS, "policy.yaml").policy)}
    return alerts - {each.name for each in town.watch.spans}


def surprises(town: Town, acts: Sequence[Act]) -> list[str]:
    """What fired that was not to fire, what fired before its cause, and who was told what was not for them."""
    return [*_fired(town, acts), *_sent(town, acts), *_passed_on(town, acts)]


def _fired(town: Town, acts: Sequence[Act]) -> Iterator[str]:
    began = town.marks[acts[0].name]
    expected = {each.alert: _cause(town, act, each) for act in acts for each in act.expected}
    for each, spans in town.watch.spans.items():
        for span in spans:
            if each in TOLERATED:
                continue
            at = f"{each} at {span.first - began:.1f} s"
            if each not in expected:
                yield f"{at}: nothing should make it fire"
            elif span.first < expected[each] - AHEAD:
                yield f"{at}: before its cause at {expected[each] - began:.1f} s"


def _sent(town: Town, acts: Sequence[Act]) -> Iterator[str]:
    receivers = {each.alert: each.told for act in acts for each in act.expected}
    for each, told in _told(town).items():
        for receiver in told:
            if each not in TOLERATED and receiver != receivers.get(each):
                yield f"{receiver} was told of {each}"


def _passed_on(town: Town, acts: Sequence[Act]) -> Iterator[str]:
    for act in acts:
        for each in act.expected:
            states = town.watch.passed_on.get(each.alert, set())
            if not states:
                yield f"Alertmanager never had {each.alert}"
            elif each.withheld and "suppressed" not in states:
                yield f"{each.alert} was never kept quiet by the page of its objective"


def _told(town: Town) -> dict[Key, set[str]]:
    """Who was told that an alert fires."""
    found: dict[Key, set[str]] = {}
    for told in list(town.receivers.told):
        if told.status == "firing":
            found.setdefault(key(told.labels), set()).add(told.receiver)
    return found


def _cause(town: Town, act: Act, expected: Expected) -> float:
    return town.marks[expected.cause or act.name]
