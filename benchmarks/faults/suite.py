"""The suite's parts, spread over processes: each fault alone and live, every pair on virtual time, pairs live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from benchmarks.faults import virtual
from benchmarks.faults.catalogue import FAULTS, Fault, alone, pairs
from benchmarks.faults.live import AT_ONCE, Batch, batch
from benchmarks.faults.virtual import PATIENCE

BY_NAME = {fault.name: fault for fault in FAULTS}

Named = tuple[dict[str, str], int]  # what can go to another process: names of faults, and a seed


def _batch(work: Sequence[Named]) -> Batch:
    return batch([({role: BY_NAME[name] for role, name in names.items()}, seed) for names, seed in work])


def _virtual(work: Sequence[Named]) -> list[list[str]]:
    return [virtual.play({role: BY_NAME[name] for role, name in names.items()}, seed) for names, seed in work]


def named(faults: Mapping[str, Fault], seed: int) -> Named:
    return {role: fault.name for role, fault in faults.items()}, seed


def parts(work: Sequence[Named], size: int) -> Iterator[Sequence[Named]]:
    return (work[at : at + size] for at in range(0, len(work), size))


def _words(counts: Counter[str]) -> str:
    whole = sum(counts.values()) or 1
    told = [f"{word} {count / whole:.0%}" if count < whole else word for word, count in counts.most_common()]
    return ", ".join(told)


class Suite:
    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool
        self.wrong: list[str] = []

    def alone(self, faults: Sequence[Fault], seeds: range) -> list[list[object]]:
        """Rows: each fault with every seed."""
        work = [[named(alone(fault), seed) for seed in seeds] for fault in faults]
        rows: list[list[object]] = []
        for fault, found in zip(faults, self._pool.map(_batch, work), strict=True):
            runs, answered, reasons = found.runs, Counter[str](), Counter[str]()
            for run in runs:
                answered += run.answered_by
                reasons += Counter({reason: count for reason, count in run.reasons.items() if reason})
            chats = sum(run.chats for run in runs)
            wrong = self._note([fault.name] * len(runs), found)
            slowest = max(run.slowest for run in runs) / PATIENCE
            each = sum(run.attempts for run in runs) / chats
            rows.append(
                [
                    fault.name,
                    len(runs),
                    chats,
                    _words(answered),
                    _words(reasons),
                    f"{each:.2f}",
                    f"{slowest:.0%}",
                    wrong,
                ]
            )
        return rows

    def virtual(self, seeds: range) -> int:
        work = [named(faults, seed) for faults in pairs() for seed in seeds]
        for some, found in zip(parts(work, 400), self._pool.map(_virtual, parts(work, 400)), strict=True):
            self.wrong += [
                f"virtual {names} seed {seed}: {said}"
                for (names, seed), run in zip(some, found, strict=True)
                for said in run
            ]
        return len(work)

    def live_pairs(self, work: Sequence[Named]) -> int:
        for some, found in zip(parts(work, AT_ONCE), self._pool.map(_batch, parts(work, AT_ONCE)), strict=True):
            self._note([f"{' + '.join(names.values())}, seed {seed}" for names, seed in some], found)
        return sum(1 for _ in work)

    def _note(self, names: Sequence[str], found: Batch) -> int:
        """How much was wrong with the runs of these names."""
        said = [f"{name}: {text}" for name, run in zip(names, found.runs, strict=True) for text in run.wrong]
        if found.descriptors > 0:
            said.append(f"{names[0]} … {names[-1]}: {found.descriptors} descriptors left open")
        self.wrong += said
        return len(said)
