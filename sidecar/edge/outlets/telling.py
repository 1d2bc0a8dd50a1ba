"""Facts on their way to those who take them.

What nobody takes costs a look into a table, and nobody is shown what is not for them: a chat has half a dozen facts, and there are as
many sinks.
"""

from __future__ import annotations

from typing import Any, Protocol

from sidecar.core.fact import Fact
from sidecar.edge.outlets.sink import Sink, Take


class Errors(Protocol):
    """The part of a log that is needed here."""

    def error(self, event: str, /, **fields: Any) -> Any: ...


class Facts:
    """Tells each fact to everybody whom it is for, in the order in which they were added.

    Who cannot take a fact loses it: no decision may hang on who listens.
    """

    def __init__(self, log: Errors) -> None:
        self._log = log
        self._takes: dict[type, tuple[Take, ...]] = {}

    def add(self, sink: Sink) -> None:
        for kind, takes in sink.takes.items():
            self._takes[kind] = (*self._takes.get(kind, ()), *takes)

    def __call__(self, fact: Fact) -> None:
        for take in self._takes.get(type(fact), ()):
            try:
                take(fact)
            except Exception as error:  # noqa: BLE001 - as above
                self._log.error("sink_failed", fact=type(fact).__name__, error=type(error).__name__)
