"""Durations as people read them: whole microseconds, which cost a tenth of what it takes to round a number to its sixth place."""

from __future__ import annotations

_PLACES = [f"{part:03}" for part in range(1000)]


def microseconds(seconds: float) -> int:
    """The nearest whole number of them; ``seconds`` is a duration, and not negative."""
    return int(seconds * 1_000_000 + 0.5)


def in_seconds(seconds: float) -> float:
    """With six places."""
    return microseconds(seconds) / 1_000_000


def in_milliseconds(seconds: float) -> float:
    """With three places."""
    return microseconds(seconds) / 1000


def milliseconds_text(seconds: float) -> str:
    """With three places, as text."""
    whole = microseconds(seconds)
    return f"{whole // 1000}.{_PLACES[whole % 1000]}"
