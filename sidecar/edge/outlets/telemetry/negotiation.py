"""Which format a scraper asks for."""

from __future__ import annotations

from prometheus_client.exposition import choose_encoder


def choosable(accept: str) -> bool:
    """Whether the library can make sense of Accept: a version there that is no number is an exception to it."""
    try:
        choose_encoder(accept)
    except (TypeError, ValueError):
        return False
    return True
