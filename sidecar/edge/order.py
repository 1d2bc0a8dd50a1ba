"""What an order of an operator must have: who gives it, why, and for how long. Of every kind of order the same."""

from __future__ import annotations

LONGEST_TEXT = 200


def check_order(author: str, reason: str, ttl: float, *, most: int) -> None:
    """``ttl`` in seconds, at most ``most`` hours. Raises ValueError, in words for who gives the order."""
    if not 0 < ttl <= most * 3600:
        raise ValueError(f"ttl: more than 0 and at most {most}h")
    for name, text in (("author", author), ("reason", reason)):
        if not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable():
            raise ValueError(
                f"{name}: who comes on call next wants to read it: 1 to {LONGEST_TEXT} printable characters"
            )
