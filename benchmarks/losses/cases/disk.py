"""The journal's disk full and free again: a file system of its own where one can be mounted for the sidecar alone, or a limit on files."""

from __future__ import annotations

import asyncio
import errno
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.losses.case import Case, Claim, Figures, Told, exactly, none, times, within
from benchmarks.losses.child import Child, serving
from benchmarks.losses.stage import Stage, until_or_never
from benchmarks.losses.traffic import Traffic, degraded, failed, median, slowest
from sidecar.lab.town import Lab

RATE = 40.0  # chats a second
ROOM = "1m"  # of the file system
SWITCH = "switch=lognormal:0.01:0.3"
POLICY = "targets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre}, {name: local}]\n"
BACK = 2.0  # seconds after which lines must be kept again
_MOUNT = f'mount -t tmpfs -o size={ROOM},mode=700 tmpfs "$0" && exec "$@"'


class Disk(NamedTuple):
    """The journal's disk as the sidecar sees it: ``seen`` from here, ``prefix`` makes it, and it ends with the process."""

    journal: Path
    prefix: tuple[str, ...]

    @property
    def own(self) -> bool:
        return bool(self.prefix)

    def seen(self, child: Child) -> Path:
        return Path(f"/proc/{child.pid}/root{self.journal}") if self.own else self.journal

    def fill(self, child: Child) -> None:
        if not self.own:
            size = max(path.stat().st_size for path in self.journal.iterdir())
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            return
        with (self.seen(child) / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def empty(self, child: Child) -> None:
        if self.own:
            (self.seen(child) / "ballast").unlink()
        else:
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def disk(where: Path) -> Disk:
    """A tmpfs in a mount namespace that only the sidecar is in; where that is not allowed, what a limit on files makes of it."""
    journal = where / "journal"
    journal.mkdir()
    unshare = shutil.which("unshare")
    for rights in ((), ("--map-root-user",)):
        prefix = (unshare or "", *rights, "--mount", "sh", "-c", _MOUNT, str(journal))
        if unshare and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return Disk(journal, prefix)
    return Disk(journal, ())


async def play(stage: Stage) -> Figures:
    where = disk(stage.where)
    third = stage.seconds(4.0, 1.0)
    async with (
        Lab(faults=(SWITCH,), seed=stage.seed) as lab,
        serving(stage.where, lab.urls, "--journal", str(where.journal), policy=POLICY, prefix=where.prefix) as child,
        Traffic(child.client, RATE, stage.random) as traffic,
    ):
        began = time.perf_counter()
        await asyncio.sleep(third)
        before = await _dropped(child)
        where.fill(child)
        full = time.perf_counter()
        await asyncio.sleep(third)
        during = await _dropped(child)
        where.empty(child)
        free = time.perf_counter()
        back = await until_or_never(lambda: _whole_again(child), 10.0)
        recovered = time.perf_counter()
        await asyncio.sleep(third)
        kept = list(_lines(where.seen(child)))
        over = time.perf_counter()
        lost = await _dropped(child)
        said = [line["event"] for line in child.lines()]
    well, ill, after = traffic.between(began, full), traffic.between(full, free), traffic.between(recovered, over - 0.5)
    ended = _ended(kept)
    return {
        "own disk": where.own,
        "chats": len(traffic.sent),
        "failed": failed(traffic.sent),
        "degraded": degraded(traffic.sent),
        "median before ms": 1000 * median(well),
        "median while full ms": 1000 * median(ill),
        "slowest while full s": slowest(ill),
        "lost before": before,
        "lost while full": during - before,
        "lost lines": lost,
        "lost as the journal says": max((line["lines"] for line in kept if line["in"] == "dropped"), default=0),
        "chats while full": len(ill),
        "after and not kept": sum(each.chat.correlation not in ended for each in after),
        "log lines that say it": said.count("lines_lost"),
        "log lines that say it is over": said.count("lines_kept_again"),
        "other lines but chats": sum(event not in _EXPECTED for event in said),
        "back s": back,
        "recovered s": recovered - free,
    }


_EXPECTED = ("chat", "ready", "policy_adopted", "lines_lost", "lines_kept_again", "suppressed", "loop_stalled")


async def _dropped(child: Child) -> float:
    return (await child.scrape()).counted("journal_dropped_total")


async def _whole_again(child: Child) -> bool:
    return bool(child.lines("lines_kept_again"))


def _lines(journal: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(journal.glob("journal-*.jsonl")):
        for raw in path.read_bytes().splitlines(keepends=True):
            if raw.endswith(b"\n"):
                yield json.loads(raw)


def _ended(lines: list[dict[str, Any]]) -> set[str]:
    """Correlation ids of the calls that are there from beginning to end."""
    named = {line["call"]: line["correlation_id"] for line in lines if line["in"] == "call"}
    return {named[line["call"]] for line in lines if line["in"] == "ended" and line["call"] in named}


def tell(it: Figures) -> Told:
    lost = f"{it['lost lines']:.0f} lines of the journal, of {it['chats while full']:.0f} chats; no chat"
    said = (
        f"`lines_lost` {times(it['log lines that say it'])}, `lines_kept_again` {times(it['log lines that say it is over'])}, "
        f"`journal_dropped_total` {it['lost lines']:.0f}, a line `dropped` in the journal with {it['lost as the journal says']:.0f}"
    )
    return Told(lost, said, f"{it['recovered s']:.1f} s after there was room, by itself")


def _done(it: Figures) -> str:
    how = f"a tmpfs of {ROOM} filled up" if it["own disk"] else "RLIMIT_FSIZE at the size of the file"
    return f"the journal's disk full ({how}), and room again, under {RATE:.0f} chats/s"


CASES = (
    Case(
        "disk full",
        _done,
        play,
        tell,
        (
            none("failed", "no chat fails"),
            none("degraded", "none is degraded"),
            within("slowest while full s", 1.0, "none waits for the disk"),
            none("lost before", "nothing is lost before"),
            Claim("what is lost is counted", lambda it: it["lost while full"] > 0),
            Claim(
                "the journal says as many as the metric", lambda it: it["lost lines"] == it["lost as the journal says"]
            ),
            exactly("log lines that say it", 1, "one line of the log says it"),
            exactly("log lines that say it is over", 1, "one line of the log says that it is over"),
            none("other lines but chats", "nothing else is said"),
            within("recovered s", BACK + 1.5, "lines are kept again when there is room"),
            none("after and not kept", "every call after that is in the journal from beginning to end"),
        ),
    ),
)
