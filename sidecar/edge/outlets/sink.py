"""What takes facts: each sink says which kinds it wants, and is shown nothing else.

Whoever embeds the sidecar may have one, too, so this module stays as it is: from a class that mypyc compiled nobody else can derive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sidecar.core.fact import Fact

Take = Callable[[Any], None]
Takes = Mapping[type, Sequence[Take]]


class Sink:
    """Takes facts. ``takes`` holds by kind of fact what is done with it, in order; it is complete when the sink is made."""

    takes: Takes

    def __call__(self, fact: Fact) -> None:
        """Take this one, if it is for us."""
        for take in self.takes.get(type(fact), ()):
            take(fact)


def together(*many: Mapping[type, Take]) -> Takes:
    """The takes of several rooms as those of one sink."""
    takes: dict[type, tuple[Take, ...]] = {}
    for each in many:
        for kind, take in each.items():
            takes[kind] = (*takes.get(kind, ()), take)
    return takes
