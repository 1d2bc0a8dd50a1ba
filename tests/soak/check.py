"""One world, judged: performed and watched to its end; if asked, told a second time and replayed from its journal."""

from __future__ import annotations

import tempfile
from collections import Counter
from hashlib import blake2b
from pathlib import Path

from sidecar.core.fact import DormancyHeard, Fact, PolicyAdopted
from sidecar.core.value import replace
from sidecar.replay.exact import ExactReplay
from sidecar.replay.journal import read_journals
from tests.replay.worlds import journal_of, write

from .stage import perform
from .violation import broken
from .world import World


def check(world: World, *, twice: bool = False) -> Counter[str]:
    """What happened in it, counted. ``twice`` also compares two tellings and an exact replay. Raises ``Violation``."""
    if not twice:
        return perform(world).counts
    told: list[Fact] = []
    counts = perform(world, told.append).counts
    again: list[Fact] = []
    perform(world, again.append)
    _same("the same seed, the same facts", told, again)
    _same("a journal replays exactly", told, _replayed(world, told))
    counts["told twice"] += 1
    return counts


def _replayed(world: World, told: list[Fact]) -> list[Fact]:
    with tempfile.TemporaryDirectory() as room:
        path = write(Path(room) / "journal-000001.jsonl", journal_of(told, world.seed))
        [journal] = read_journals([path])
        facts: list[Fact] = []
        fidelity = ExactReplay(journal, facts.append).run()
    if journal.messages or fidelity.same != fidelity.calls or fidelity.calls != world.calls or fidelity.unfinished:
        broken("a journal replays exactly", f"{fidelity}, {journal.messages}")
    return facts


def _same(promise: str, one: list[Fact], other: list[Fact]) -> None:
    if one == other:
        return
    for first, second in zip(one, other, strict=False):
        if first != second:
            broken(promise, f"{first} and then {second}", getattr(first, "call", None))
    broken(promise, f"{len(one)} facts and then {len(other)}")


def digest(world: World) -> str:
    """A fingerprint of every fact of a world, the same in every process."""
    hashed = blake2b(digest_size=16)

    def take(fact: Fact) -> None:
        if isinstance(fact, PolicyAdopted):
            fact = replace(fact, policy=None)  # type: ignore[arg-type] - stated by the world
        elif isinstance(fact, DormancyHeard):
            fact = replace(fact, active=None if fact.active is None else sorted(fact.active))  # type: ignore[arg-type]
        hashed.update(repr(fact).encode())

    perform(world, take)
    return hashed.hexdigest()
