"""What a change does to chats, one sentence for each field of the model, in the order in which a reader asks.

A sentence is made of the figures of both policies as they are, so it says what is, not what the field alone would have done; and
where a value is not in force it says that nothing changes, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sidecar.policy.difference.change import Change
from sidecar.policy.difference.words import (
    answers,
    breakers,
    chaos,
    health,
    load,
    passage,
    relay,
    repetition,
    rest,
    time,
)

Words = Callable[[Change], str]


class Group(NamedTuple):
    """What a reader asks, and the fields that answer it."""

    key: str
    title: str
    words: Mapping[str, Words]


GROUPS = (
    Group("answers", "Who answers", {**answers.WORDS, **repetition.WORDS, **chaos.WORDS}),
    Group("time", "How long it takes", time.WORDS),
    Group("load", "How hard targets are asked", {**load.WORDS, **breakers.WORDS, **health.WORDS}),
    Group("passage", "Who may pass", passage.WORDS),
    Group("relay", "Relay", relay.WORDS),
    Group("rest", "Journal and objectives", rest.WORDS),
)
WORDS: Mapping[str, tuple[Group, Words]] = MappingProxyType(
    {field: (group, words) for group in GROUPS for field, words in group.words.items()}
)
