"""A line of the log as a person reads it at a terminal: time, level, event, then the fields.

What came from a client is written so that it is text and nothing else: whatever could move the cursor, or pass for a field of its
own, is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WIDEST_EVENT = 30  # columns; fields stand below each other in most lines
_LEVELS = {"debug": "32", "info": "32", "warning": "33", "error": "31"}
_BOLD, _DIM, _NAME, _VALUE = "1", "2", "36", "35"


class Line:
    """Makes one line of an event's fields. Never raises."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, fields: Mapping[str, Any]) -> bytes:
        told = dict(fields)
        moment, level, event = (_word(told.pop(name)) for name in ("time", "level", "event"))
        parts = [
            self._in(_DIM, moment),
            f"[{self._in(_LEVELS.get(level, _BOLD), f'{level:<7}')}]",
            self._in(_BOLD, f"{event:<{_WIDEST_EVENT}}"),
            *(f"{self._in(_NAME, _word(name))}={self._in(_VALUE, _word(value))}" for name, value in told.items()),
        ]
        return " ".join(parts).rstrip().encode()

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text


def _word(value: object) -> str:
    """``value`` as one word where it is one, else quoted."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 - its own ``__str__`` may raise anything
        return type(value).__name__
    plain = text.isprintable() and not any(mark in text for mark in " \"'=")
    return text if plain and text else repr(text)
