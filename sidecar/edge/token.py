"""Who may chat: tokens are compared in constant time, and with none configured nobody may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hmac import compare_digest
from typing import Literal

Judgement = Literal["missing", "wrong"]


class Tokens:
    """The accepted tokens. An empty set accepts nothing; use ``Open`` where authentication is off by decision."""

    def __init__(self, accepted: Iterable[str]) -> None:
        self._accepted = tuple(sorted({token.encode() for token in accepted if token}))

    def __len__(self) -> int:
        return len(self._accepted)

    def judge(self, values: Sequence[bytes]) -> Judgement | None:
        """None if the token may pass. ``values`` are those that were found where a token is looked for, in order: the first counts."""
        offered = values[0].strip(b" \t") if values else b""
        if not offered:
            return "missing"
        # Every accepted token is compared, whatever the first ones gave: the time must not tell which one was near.
        known = False
        for token in self._accepted:
            known = compare_digest(offered, token) or known
        return None if known else "wrong"


class Open(Tokens):
    """Authentication is off: everybody may chat."""

    def __init__(self) -> None:
        super().__init__(())

    def judge(self, values: Sequence[bytes]) -> Judgement | None:  # noqa: ARG002
        return None
