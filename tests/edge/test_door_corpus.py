"""Every raw case through a real door, whole and one byte at a time, and every spelling of the chat path."""

from __future__ import annotations

import asyncio

import pytest
from loopback import TOKEN, Gateway, serving, stage, talk

from tests.corpus.judge import Case, cases, enough_for, spelling, statuses, wrong, wrong_spelling

CASES = cases("http1_wire")
MORE = cases("more_wire")
ALIASES = cases("path_aliases")
AT_ONCE = 24
LOOPS = ("asyncio", "uvloop")


async def run(case: Case, *, piecemeal: bool, warm: bool = False) -> list[str]:
    """``piecemeal``: one byte at a time, and the few giants in pieces that end nowhere in particular.

    ``warm``: what counts is the second time, when its heads are remembered.
    """
    step = (1 if len(case["request"]) <= 4_096 else 997) if piecemeal else 0
    gateway = prepared(case)
    async with serving(gateway) as upstream, stage(upstream) as port:
        for _ in range(1 + warm):
            vars(gateway).update(vars(prepared(case)))
            out, closed = await talk(
                port.port,
                case["request"].encode("latin1"),
                patience=3,
                half_close=case.get("half_close", False),
                step=step,
                enough=enough_for(case),
            )
            await asyncio.sleep(0.02)
        return wrong(case, out, gateway, closed=closed)


def prepared(case: Case) -> Gateway:
    """What the case finds behind the door."""
    gateway = Gateway()
    gateway.reply = case["up_reply"].encode("latin1") if "up_reply" in case else gateway.reply
    gateway.replies = [reply.encode("latin1") for reply in case.get("up_replies", ())]
    gateway.close = case.get("up_close", False)
    return gateway


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
