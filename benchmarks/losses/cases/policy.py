"""The policy's directory goes away, is a file, or cannot be read, while chats go on; then it is there again, with a change in it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.losses.case import Case, Figures, Told, exactly, none, times, within
from benchmarks.losses.child import Child, serving
from benchmarks.losses.stage import Stage, until_or_never
from benchmarks.losses.traffic import Traffic, degraded, failed, slowest
from benchmarks.policies.scrape import Scrape
from sidecar.lab.town import Lab

RATE = 30.0  # chats a second
SWITCH = "switch=lognormal:0.01:0.3"
POLICY = "targets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre}, {name: local}]\n"
CHANGED = POLICY + "retry_budget: {burst: 7}\n"
NOTICED = 2.0  # seconds


class Loss(NamedTuple):
    """``take`` takes the directory away, whose name is the policy's; ``give`` brings it back."""

    name: str
    words: str
    take: Callable[[Path], None]
    give: Callable[[Path], None]


def _away(directory: Path) -> Path:
    return directory.with_name("away")


def _move(directory: Path) -> None:
    directory.rename(_away(directory))


def _back(directory: Path) -> None:
    _away(directory).rename(directory)


def _replace(directory: Path) -> None:
    _move(directory)
    directory.write_text("what is no policy: [\n", encoding="utf-8")


def _put_back(directory: Path) -> None:
    directory.unlink()
    _back(directory)


async def play(loss: Loss, stage: Stage) -> Figures:
    directory = stage.where / "policies"
    directory.mkdir(mode=0o755)
    file = directory / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    async with (
        Lab(faults=(SWITCH,), seed=stage.seed) as lab,
        serving(stage.where, lab.urls, policy=directory, prefix=_unprivileged()) as child,
        Traffic(child.client, RATE, stage.random) as traffic,
    ):
        await asyncio.sleep(0.5)
        before = await child.state()
        loss.take(directory)
        taken = time.perf_counter()
        noticed = await until_or_never(lambda: _reload_is(child, 0), 10.0)
        # A file that cannot be used is read again every five seconds.
        await asyncio.sleep(stage.seconds(7.0, 0.5))
        during, ready = await child.state(), await child.client.fetch("GET", child.admin + "/readyz?verbose")
        restored = time.perf_counter()
        loss.give(directory)
        file.write_text(CHANGED, encoding="utf-8")
        back = await until_or_never(lambda: _reload_is(child, 1), 10.0)
        after = await child.state()
        said = [line["event"] for line in child.lines()]
    sent = traffic.between(taken, restored)
    return {
        "chats meanwhile": len(sent),
        "failed": failed(traffic.sent),
        "degraded": degraded(traffic.sent),
        "slowest s": slowest(sent),
        "another policy meanwhile": during["policy"]["revision"] != before["policy"]["revision"],
        "problems in the state": len(during["policy_problems"]),
        "said by readyz": b"cannot be used" in ready,
        "noticed s": noticed,
        "lines": said.count("policy_rejected"),
        "back s": back,
        "the change is in force": after["policy"]["revision"] != before["policy"]["revision"],
        "problems after": len(after["policy_problems"]),
    }


def _unprivileged() -> tuple[str, ...]:
    """Whoever may read everything is not stopped by modes; so the sidecar gives that right up before it begins."""
    setpriv = shutil.which("setpriv")
    rights = "-dac_override,-dac_read_search"
    return (setpriv, f"--bounding-set={rights}", f"--inh-caps={rights}") if os.getuid() == 0 and setpriv else ()


async def _reload_is(child: Child, successful: int) -> bool:
    scrape: Scrape = await child.scrape()
    return scrape.counted("policy_last_reload_successful") == successful


def tell(it: Figures) -> Told:
    said = (
        f"`policy_rejected` {times(it['lines'])}, `policy_last_reload_successful` 0 after {it['noticed s']:.1f} s, "
        "`policy_problems` in `/state`, a note in `/readyz?verbose` (200)"
    )
    lost = f"nothing: {it['chats meanwhile']:.0f} chats answered by the policy before"
    return Told(lost, said, f"{it['back s']:.1f} s after it was back, with what had changed in it")


LOSSES = (
    Loss("removed", "the policy's directory moved away", _move, _back),
    Loss("a file", "a file without a policy in the directory's place", _replace, _put_back),
    Loss("unreadable", "the directory's mode set to 0", lambda it: it.chmod(0), lambda it: it.chmod(0o755)),
)
CASES = tuple(
    Case(
        f"policy {loss.name}",
        partial(
            lambda words, _: f"{words} while serving, and put back with a change in it, under {RATE:.0f} chats/s",
            loss.words,
        ),
        partial(play, loss),
        tell,
        (
            none("failed", "no chat fails"),
            none("degraded", "none is degraded"),
            none("another policy meanwhile", "the policy before stays in force"),
            within("noticed s", NOTICED, "it is noticed"),
            exactly("lines", 1, "one line of the log says it"),
            exactly("problems in the state", 1, "the state says it"),
            exactly("said by readyz", 1, "readyz says it, and stays ready"),
            within("back s", NOTICED, "what is back is taken"),
            exactly("the change is in force", 1, "and what changed in it is in force"),
            none("problems after", "nothing is complained of any more"),
        ),
        brief=loss.name == "removed",
    )
    for loss in LOSSES
)
