"""SIGKILL while the journal is written: which calls it lacks, what is torn, and whether the next start loses anything older."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.losses.case import Case, Figures, Told, none, within
from benchmarks.losses.child import serving
from benchmarks.losses.replayed import replayed
from benchmarks.losses.stage import Stage
from benchmarks.losses.traffic import Sent, Traffic
from sidecar.edge.outlets.outbox import GATHERING
from sidecar.lab.town import Lab

KILLS, FEW = 12, 2
RATE = 80.0  # chats a second
SHORTEST, LONGEST = 0.4, 1.2  # seconds from the first chat to the kill
SWITCH = "switch=lognormal:0.01:0.3"
# No start of a case deletes what another wrote, and no limit of the switch is in the way.
POLICY = (
    "journal: {keep: 1000}\ntargets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre}, {name: local}]\n"
)
UNWRITTEN = 5 * GATHERING
"""Seconds before the kill after which a call may be missing: a batch is gathered and written, by a thread that a busy machine holds up."""


async def play(stage: Stage) -> Figures:
    luck, where = stage.random, stage.where / "journal"
    lacking: list[int] = []
    oldest, changed, answered, restarts = 0.0, 0, 0, 0.0
    torn = 0
    async with Lab(faults=(SWITCH,), seed=stage.seed) as lab:
        for _ in range(FEW if stage.brief else KILLS):
            older = _digests(where)
            async with serving(stage.where, lab.urls, "--journal", str(where), policy=POLICY) as child:
                restarts = max(restarts, child.process.started_in)
                async with Traffic(child.client, RATE, luck) as traffic:
                    await asyncio.sleep(luck.uniform(SHORTEST, LONGEST))
                    killed = time.perf_counter()
                    await child.process.kill()
            changed += sum(_digests(where).get(path) != digest for path, digest in older.items())
            newest = max(where.iterdir())
            got = [each for each in traffic.sent if each.chat.status == 200 and each.ended <= killed]
            missing = _missing(got, newest)
            answered += len(got)
            lacking.append(len(missing))
            oldest = max([oldest, *(killed - each.ended for each in missing)])
            torn += not newest.read_bytes().endswith(b"\n")
    whole = await replayed(where)
    cut = stage.where / "cut"
    places = _cut(where, cut, luck)
    after = await replayed(cut)
    return {
        "kills": len(lacking),
        "answered": answered,
        "lacking": sum(lacking),
        "lacking at most": max(lacking),
        "oldest lacking s": oldest,
        "older files changed": changed,
        "torn by the kill": torn,
        "calls replayed": whole["fidelity"]["calls"],
        "replayed otherwise": whole["fidelity"]["differing"],
        "torn and not told": _untold(where, whole),
        "cut": len(places),
        "cut and not told": sum(not _told(place, after) for place in places),
        "replayed otherwise, cut": after["fidelity"]["differing"],
        "lost of a cut file": whole["fidelity"]["calls"] - after["fidelity"]["calls"],
        "restart s": restarts,
    }


def _digests(where: Path) -> dict[Path, str]:
    files = where.iterdir() if where.is_dir() else ()
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _missing(answered: list[Sent], journal: Path) -> list[Sent]:
    """Whose end is not in the journal."""
    named: dict[int, str] = {}
    ended = set()
    for line in _whole_lines(journal):
        if line["in"] == "call":
            named[line["call"]] = line["correlation_id"]
        elif line["in"] == "ended":
            ended.add(named[line["call"]])
    return [each for each in answered if each.chat.correlation not in ended]


def _whole_lines(journal: Path) -> Iterator[dict[str, Any]]:
    for raw in journal.read_bytes().splitlines(keepends=True):
        if raw.endswith(b"\n"):
            yield json.loads(raw)


def _cut(where: Path, into: Path, luck: Random) -> list[tuple[Path, int]]:
    """The same files, each cut off within its last whole line as a power cut may leave it; where, as file and line."""
    shutil.copytree(where, into)
    places = []
    for path in sorted(into.iterdir()):
        lines = path.read_bytes().splitlines(keepends=True)
        while not lines[-1].endswith(b"\n"):
            lines.pop()
        last = lines.pop()
        path.write_bytes(b"".join(lines) + last[: luck.randrange(1, len(last))])
        places.append((path, len(lines) + 1))
    return places


def _untold(where: Path, replayed: dict[str, Any]) -> int:
    """Files whose last line is torn, and of which nothing was said."""
    torn = [path for path in sorted(where.iterdir()) if not path.read_bytes().endswith(b"\n")]
    return sum(not _told((path, len(path.read_bytes().splitlines())), replayed) for path in torn)


def _told(place: tuple[Path, int], replayed: dict[str, Any]) -> bool:
    path, number = place
    return any(said.startswith(f"{path}:{number}: cut off") for said in replayed["messages"])


def tell(it: Figures) -> Told:
    lost = (
        f"{it['lacking']:.0f} of {it['answered']:.0f} answered calls, at most {it['lacking at most']:.0f} of one kill, "
        f"the oldest answered {1000 * it['oldest lacking s']:.0f} ms before it"
    )
    said = (
        f"{it['torn by the kill']:.0f} files torn by the kill; {it['cut']:.0f} cut within their last line: `replay` names each "
        f"as file:line, and {it['calls replayed'] - it['replayed otherwise']:.0f} of {it['calls replayed']:.0f} calls come out the same"
    )
    return Told(lost, said, f"the next start, {it['restart s']:.2f} s; nothing older changed")


CASES = (
    Case(
        "killed",
        lambda it: (
            f"SIGKILL while the journal is written, {it['kills']:.0f} times, under {RATE:.0f} chats/s; started again on the same directory"
        ),
        play,
        tell,
        (
            within(
                "oldest lacking s", UNWRITTEN, f"what was answered {1000 * UNWRITTEN:.0f} ms before the kill is written"
            ),
            within("lacking at most", RATE * UNWRITTEN * 1.5, "no more calls are missing than come in that time"),
            none("replayed otherwise", "every call before the kill replays as it was"),
            none("torn and not told", "a line torn by the kill is told with file and line"),
            none("cut and not told", "a line cut off is told with file and line"),
            none("replayed otherwise, cut", "every call before the cut replays as it was"),
            none("older files changed", "the next start leaves older files as they are"),
        ),
    ),
)
