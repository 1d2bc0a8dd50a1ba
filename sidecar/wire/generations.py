"""A memory that stays small: what was used lately is there, and nothing for ever."""

from __future__ import annotations

from typing import Generic, TypeVar

Known = TypeVar("Known")


class Generations(Generic[Known]):
    """A bounded memory: two dicts, of which the older is dropped when the younger is full."""

    __slots__ = ("_most", "_old", "young")

    def __init__(self, most: int) -> None:
        self._most = most
        self.young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}

    def __len__(self) -> int:
        """Entries; one that is in both generations counts twice."""
        return len(self.young) + len(self._old)

    def get(self, key: bytes) -> Known | None:
        known = self.young.get(key)
        if known is None:
            known = self._old.get(key)
            if known is not None:
                self.put(key, known)
        return known

    def put(self, key: bytes, known: Known) -> None:
        if len(self.young) >= self._most:
            self._old, self.young = self.young, {}
        self.young[key] = known
