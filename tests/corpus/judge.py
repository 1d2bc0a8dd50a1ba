"""What a wire case asks for, and what it finds fault with: the one judge of every test and benchmark that runs the cases."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

Case = dict[str, Any]

CORPUS = Path(__file__).parent
SECTIONS = {
    "cl": "Content-Length",
    "te": "Transfer-Encoding",
    "ch": "chunks and trailers",
    "rl": "request line",
    "target": "target kept as it came",
    "host": "Host",
    "hdr": "field lines",
    "hop": "hop-by-hop fields",
    "ws": "upgrades",
    "pipeline": "pipelining",
    "rs": "responses",
}
OTHERS = "methods and expectations"


def cases(name: str) -> list[Case]:
    """Those of ``http1_wire``, ``more_wire`` or ``path_aliases``."""
    found = json.loads((CORPUS / f"{name}.json").read_text())["cases"]
    assert isinstance(found, list)
    return found


def section(case: Case) -> str:
    """What the case is about."""
    return SECTIONS.get(case["id"].split("-")[0], OTHERS)


class Recorded(Protocol):
    """What an upstream saw: every byte, every complete request as head and body, and whether one had two framings."""

    raw: bytes
    done: list[tuple[bytes, bytes]]
    framing_bad: bool


def statuses(out: bytes) -> list[int]:
    found = [int(x) for x in re.findall(rb"(?:^|(?<=\n)|(?<=ok))HTTP/1\.[01] (\d{3})", out)]
    return found or [int(x) for x in re.findall(rb"HTTP/1\.[01] (\d{3}) ", out)]


def enough_for(case: Case) -> Callable[[bytes], bool]:
    """What ends the reading of a case that leaves the connection open."""
    wanted = len(case.get("client_statuses", ())) or case.get("n_up", 1)
    if case.get("close") or case.get("up_close") or case.get("listen") or case["action"] in ("reject", "local"):
        return lambda _: False

    def enough(out: bytes) -> bool:
        final = [x for x in statuses(out) if x >= 200]
        return len(final) >= wanted and not case["id"].startswith("rs-extra")

    return enough


def wrong(case: Case, out: bytes, upstream: Recorded, *, closed: bool) -> list[str]:
    """What the case finds fault with. ``out`` is what the client got; ``closed``: its connection was ended."""
    final = [x for x in statuses(out) if x >= 200]
    faults = []
    if upstream.framing_bad:
        faults.append("upstream got CL and TE together")
    if any(b"/smuggled" in head.split(b"\r\n")[0] for head, _ in upstream.done):
        faults.append("smuggled request reached upstream")
    faults += _action(case, final, upstream, closed=closed)
    if case["action"] in ("forward", "either") and upstream.done:
        faults += _forwarded(case, upstream)
    faults += _answered(case, out, final)
    if case.get("close") and not closed and case["action"] != "either":
        faults.append("connection not closed")
    return faults


def _folding(case: Case) -> Callable[[bytes], bytes]:
    return (lambda text: text.lower()) if case.get("ci") else (lambda text: text)


def _action(case: Case, final: list[int], upstream: Recorded, *, closed: bool) -> list[str]:
    """Whether it went where it had to."""
    n, action = len(upstream.done), case["action"]
    faults = []
    if action in ("reject", "local"):
        if n > case.get("n_complete", 0):
            faults.append(f"{n} complete requests reached upstream")
        if upstream.raw and not n and not case.get("allow_partial"):
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
    if n > case.get("n_up_max", n):
        faults.append(f"{n} requests upstream")
    return faults


def _forwarded(case: Case, upstream: Recorded) -> list[str]:
    """What upstream had to see, and what not."""
    lower, raw = _folding(case), upstream.raw
    head, body = upstream.done[0]
    low = raw.lower()
    faults = [
        f"upstream lacks {x[:40]!r}" for x in case.get("up_has", []) if lower(x.encode("latin1")) not in lower(raw)
    ]
    faults += [f"upstream has {x[:40]!r}" for x in case.get("up_not", []) if lower(x.encode("latin1")) in lower(raw)]
    if "up_body" in case and body != case["up_body"].encode("latin1"):
        faults.append(f"body {body[:30]!r}")
    faults += [f"trailer merged: {x}" for x in case.get("up_head_not", []) if x.encode("latin1") in head.lower()]
    at = 0
    for x in case.get("up_order", []):
        at = low.find(x.encode("latin1"), at) + 1
        if not at:
            faults.append(f"order/lost {x}")
            break
    for name, count in case.get("up_count", {}).items():
        if len(re.findall(rb"\r\n" + name.encode() + rb":", low)) != count:
            faults.append(f"count {name}")
    return faults


def _answered(case: Case, out: bytes, final: list[int]) -> list[str]:
    """What the client had to see, and what not."""
    lower = _folding(case)
    faults = [
        f"client lacks {x[:40]!r}" for x in case.get("client_has", []) if lower(x.encode("latin1")) not in lower(out)
    ]
    faults += [f"client has {x[:40]!r}" for x in case.get("client_not", []) if lower(x.encode("latin1")) in lower(out)]
    if "client_status" in case and (not final or final[0] not in case["client_status"]):
        faults.append(f"client status {final[:1]}")
    if "client_statuses" in case and final != case["client_statuses"]:
        faults.append(f"client statuses {final}")
    return faults


# -- spellings of paths -------------------------------------------------------------------------------------------------

# By class: the status and the requests upstream without a token, then both with a valid one.
EXPECTED = {
    "chat": [(401, 0, 200, 0)],
    "vx11-alias": [(401, 0, 200, 0)],
    "alias": [(401, 0, 200, 1)],
    "vx11-indirect": [(401, 0, 200, 1)],
    "alias-or-reject": [(401, 0, 200, 1), (400, 0, 400, 0)],
    "reject": [(400, 0, 400, 0)],
    "deny": [(403, 0, 403, 0)],
    "other": [(200, 1, 200, 1)],
}


def spelling(target: str, body: bytes, token: str | None) -> bytes:
    """A chat to this target, on a connection of its own."""
    field = "" if token is None else f"X-VX11-Token: {token}\r\n"
    head = f"POST {target} HTTP/1.1\r\nHost: up.test\r\nContent-Length: {len(body)}\r\n{field}Connection: close\r\n\r\n"
    return head.encode("latin1") + body


def wrong_spelling(case: dict[str, str], seen: tuple[int, int, int, int], last: bytes | None) -> list[str]:
    """``seen`` is as in ``EXPECTED``; ``last`` the head of the last request that reached upstream, if any did."""
    faults = [] if seen in EXPECTED[case["class"]] else [f"{case['class']} gave {seen}"]
    if last is not None and last.split(b" ")[1] != case["target"].encode("latin1"):
        faults.append(f"upstream got {last.split(b' ')[1]!r}")
    return faults
