"""Tokens and texts that tests use where a real one would be a secret: none of them may be in anything that the sidecar writes.

``canary_search`` looks for them at the end of every run, in all files below the run's directory for temporary files and in what tests
had captured. What a test fetched and nobody wrote, such as a page of metrics, gets there by ``keep``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

TOKEN, WRONG = "canary-token-7f3a", "canary-wrong-token-19c2"
ADMIN, LINK = "admin-canary-31b7", "link-canary-90aa"
MESSAGE, SESSION, QUERY = "canary message 51d8 ñandú", "canary-session-88e0", "canary-query-c4d1"
KEY = "canary-key-4b1e-a90c"  # an Idempotency-Key
REDIS = "canary-redis-password-5c0d"
LAB = "vx11-local-token"  # of the lab, which tells it to whoever starts one

SECRETS = {
    "TOKEN": TOKEN, "WRONG": WRONG, "ADMIN": ADMIN, "LINK": LINK, "MESSAGE": MESSAGE, "MESSAGE, its first words": "canary message",
    "SESSION": SESSION, "QUERY": QUERY, "KEY": KEY, "REDIS": REDIS, "LAB": LAB,
}  # fmt: skip

folder: Callable[[], Path] | None = None  # where pages are kept; none outside of a run
_numbers = itertools.count(1)


def keep(name: str, text: str) -> None:
    """Have the search look at ``text``, too. ``name`` becomes that of a file."""
    if folder is not None:
        (folder() / f"{name}-{next(_numbers)}").write_text(text, encoding="utf-8", errors="surrogateescape")
