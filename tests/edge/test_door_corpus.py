"""Every raw case through a real door, whole and one byte at a time, and every spelling of the chat path."""

from __future__ import annotations

import asyncio

import pytest
from loopback import TOKEN, Gateway, serving, stage, talk

from tests.corpus.judge import Case, cases, spelling, statuses, wrong_spelling
from tests.corpus.lanes import LONGER, Lane

CASES = cases("http1_wire")
MORE = cases("more_wire")
ALIASES = cases("path_aliases")
AT_ONCE = 24
LOOPS = ("asyncio", "uvloop")


async def run(case: Case, *, piecemeal: bool, warm: bool) -> list[str]:
    """``warm``: what counts is the second time, when its heads are remembered."""
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        lane = Lane(gateway, port.port, LONGER)
        if warm:
            await lane.ask(case, piecemeal=piecemeal)
        return await lane.judge(case, piecemeal=piecemeal)


@pytest.mark.parametrize(
    ("piecemeal", "warm"), [(False, False), (True, False), (False, True)], ids=["whole", "bytewise", "remembered"]
)
async def test_wire_cases(*, piecemeal: bool, warm: bool) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> str | None:
        async with gate:
            faults = await run(case, piecemeal=piecemeal, warm=warm)
        return f"{case['level']} {case['id']}: {'; '.join(faults)}" if faults else None

    failed = [fault for fault in await asyncio.gather(*map(one, CASES + MORE)) if fault]
    assert not failed, "\n".join(failed)
    assert len(CASES) == 149


@pytest.mark.parametrize("case", ALIASES, ids=lambda case: case["target"])
async def test_path_aliases(case: dict[str, str]) -> None:
    target, kind = case["target"], case["class"]
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        bare, _ = await talk(port.port, spelling(target, b"{}", None), patience=2)
        reached_bare = len(gateway.done)
        full, _ = await talk(port.port, spelling(target, b"{}", TOKEN.decode()), patience=2)
        reached = len(gateway.done) - reached_bare
    seen = (statuses(bare)[0], reached_bare, statuses(full)[0], reached)
    assert not wrong_spelling(case, seen, gateway.done[-1][0] if reached else None)
    if kind in ("chat", "vx11-alias"):
        assert b'"chat"' in full
