"""Every raw case through a real door, whole and one byte at a time, and every spelling of the chat path."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from loopback import CORPUS, TOKEN, Gateway, serving, stage, talk

CASES: list[dict[str, Any]] = json.loads((CORPUS / "http1_wire.json").read_text())["cases"]
ALIASES: list[dict[str, str]] = json.loads((CORPUS / "path_aliases.json").read_text())["cases"]
AT_ONCE = 24
LOOPS = ("asyncio", "uvloop")


def statuses(out: bytes) -> list[int]:
    found = [int(x) for x in re.findall(rb"(?:^|(?<=\n)|(?<=ok))HTTP/1\.[01] (\d{3})", out)]
    return found or [int(x) for x in re.findall(rb"HTTP/1\.[01] (\d{3}) ", out)]


def wrong(case: dict[str, Any], out: bytes, gateway: Gateway, *, closed: bool) -> list[str]:  # noqa: PLR0912 - a list
    """What the case finds fault with."""
    lower = (lambda b: b.lower()) if case.get("ci") else (lambda b: b)
    final = [x for x in statuses(out) if x >= 200]
    n, raw, action = len(gateway.done), gateway.raw, case["action"]
    faults = []
    if gateway.framing_bad:
        faults.append("upstream got CL and TE together")
    if any(b"/smuggled" in head.split(b"\r\n")[0] for head, _ in gateway.done):
        faults.append("smuggled request reached upstream")
    if action in ("reject", "local"):
        if n > case.get("n_complete", 0):
            faults.append(f"{n} complete requests reached upstream")
        if raw and not n and not case.get("allow_partial"):
            faults.append("partial bytes reached upstream")
        if final and final[0] not in case.get("status", [400]):
            faults.append(f"status {final[0]}")
        if not final and (action == "local" or not closed):
            faults.append("no answer")
    if action == "either" and not n:
        if final and final[0] >= 400 and final[0] not in case.get("status", final):
            faults.append(f"status {final[0]}")
        if not final and not closed:
            faults.append("hang")
    if action == "forward" and n != case.get("n_up", 1):
        faults.append(f"{n} requests upstream; client saw {final[:2]}")
    if action in ("forward", "either") and n:
        faults += [
            f"upstream lacks {x[:40]!r}" for x in case.get("up_has", []) if lower(x.encode("latin1")) not in lower(raw)
        ]
        faults += [
            f"upstream has {x[:40]!r}" for x in case.get("up_not", []) if lower(x.encode("latin1")) in lower(raw)
        ]
        if "up_body" in case and gateway.done[0][1] != case["up_body"].encode("latin1"):
            faults.append(f"body {gateway.done[0][1][:30]!r}")
        faults += [
            f"trailer merged: {x}"
            for x in case.get("up_head_not", [])
            if x.encode("latin1") in gateway.done[0][0].lower()
        ]
        at = 0
        for x in case.get("up_order", []):
            at = raw.lower().find(x.encode("latin1"), at) + 1
            if not at:
                faults.append(f"order/lost {x}")
                break
        for name, count in case.get("up_count", {}).items():
            if len(re.findall(rb"\r\n" + name.encode() + rb":", raw.lower())) != count:
                faults.append(f"count {name}")
    faults += [
        f"client lacks {x[:40]!r}" for x in case.get("client_has", []) if lower(x.encode("latin1")) not in lower(out)
    ]
    faults += [f"client has {x[:40]!r}" for x in case.get("client_not", []) if lower(x.encode("latin1")) in lower(out)]
    if "client_status" in case and (not final or final[0] not in case["client_status"]):
        faults.append(f"client status {final[:1]}")
    if case.get("close") and not closed and action != "either":
        faults.append("connection not closed")
    return faults


def enough_for(case: dict[str, Any]):
    """What ends the reading of a case that leaves the connection open."""
    wanted = case.get("n_up", 1)
    if case.get("close") or case.get("up_close") or case["action"] in ("reject", "local"):
        return lambda _: False

    def enough(out: bytes) -> bool:
        final = [x for x in statuses(out) if x >= 200]
        return len(final) >= wanted and not case["id"].startswith("rs-extra")

    return enough


async def run(case: dict[str, Any], *, piecemeal: bool) -> list[str]:
    """``piecemeal``: one byte at a time, and the few giants in pieces that end nowhere in particular."""
    step = (1 if len(case["request"]) <= 4_096 else 997) if piecemeal else 0
    gateway = Gateway()
    gateway.reply = case["up_reply"].encode("latin1") if "up_reply" in case else gateway.reply
    gateway.close = case.get("up_close", False)
    async with serving(gateway) as upstream, stage(upstream) as port:
        out, closed = await talk(
            port.port,
            case["request"].encode("latin1"),
            patience=0.8,
            half_close=case.get("half_close", False),
            step=step,
            enough=enough_for(case),
        )
        await asyncio.sleep(0.02)
        return wrong(case, out, gateway, closed=closed)


@pytest.mark.parametrize("piecemeal", [False, True], ids=["whole", "bytewise"])
async def test_wire_cases(*, piecemeal: bool) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(case: dict[str, Any]) -> str | None:
        async with gate:
            faults = await run(case, piecemeal=piecemeal)
        return f"{case['level']} {case['id']}: {'; '.join(faults)}" if faults else None

    failed = [fault for fault in await asyncio.gather(*map(one, CASES)) if fault]
    assert not failed, "\n".join(failed)
    assert len(CASES) == 149


@pytest.mark.parametrize("case", ALIASES, ids=lambda case: case["target"])
async def test_path_aliases(case: dict[str, str]) -> None:
    target, kind = case["target"], case["class"]
    request = "POST {} HTTP/1.1\r\nHost: up.test\r\nContent-Length: 2\r\n{}Connection: close\r\n\r\n{{}}"
    with_token = request.format(target, f"X-VX11-Token: {TOKEN.decode()}\r\n").encode()
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        bare, _ = await talk(port.port, request.format(target, "").encode(), patience=2)
        reached_bare = len(gateway.done)
        full, _ = await talk(port.port, with_token, patience=2)
        reached = len(gateway.done) - reached_bare
    seen = (statuses(bare)[0], reached_bare, statuses(full)[0], reached)
    expected = {
        "chat": [(401, 0, 200, 0)],
        "vx11-alias": [(401, 0, 200, 0)],
        "alias": [(401, 0, 200, 1)],
        "vx11-indirect": [(401, 0, 200, 1)],
        "alias-or-reject": [(401, 0, 200, 1), (400, 0, 400, 0)],
        "reject": [(400, 0, 400, 0)],
        "deny": [(403, 0, 403, 0)],
        "other": [(200, 1, 200, 1)],
    }[kind]
    assert seen in expected
    if kind in ("chat", "vx11-alias"):
        assert b'"chat"' in full
    if reached:
        assert gateway.done[-1][0].split(b" ")[1] == target.encode()
