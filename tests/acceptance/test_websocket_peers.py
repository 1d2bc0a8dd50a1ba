"""WebSockets by two other implementations and by hand: both ends see through the sidecar what they see without it.

The suite is that of ``benchmarks/websocket.py``, without its largest messages.
"""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.websocket import Verdict, compare
from benchmarks.websocket_by_hand import hand_cases
from benchmarks.websocket_cases import SIZES, library_cases

GROUPS = (
    "echo", "fragments", "pings", "oversize", "close by the client", "close by the server", "loss", "handshake",
    "bad frames to the client", "bad frames to the server", "half close",
)  # fmt: skip


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return asyncio.run(compare([*library_cases(SIZES), *hand_cases()]))


@pytest.mark.parametrize("group", GROUPS)
def test_both_ends_see_what_they_see_without_the_sidecar(verdicts, group):
    found = [verdict for verdict in verdicts if verdict.case.group == group]
    assert found
    for verdict in found:
        assert verdict.through == verdict.direct, verdict.case.name


def test_every_case_came_to_its_end(verdicts):
    assert {verdict.case.group for verdict in verdicts} == set(GROUPS)
    for verdict in verdicts:
        assert "Error" not in verdict.direct, verdict


def test_what_the_server_wrote_down_is_part_of_the_comparison(verdicts):
    """Else two runs in which nothing happened would be alike."""
    told = {f"{verdict.case.group}, {verdict.case.name}": verdict.through for verdict in verdicts}
    assert "('closed', 4001, 'bien, adiós')" in told["close by the client, aiohttp: 4001, 12 bytes of reason"]
    assert "('closed', 1007, " in told["bad frames to the client, websockets: UTF-8 cut at the end"]
    assert "('Cookie', 'session=abc; other=\"quoted\"')" in told["handshake, websockets: cookies and odd fields"]
    assert told["handshake, websockets: refused with 401"].startswith("[('refused', 401, ")
    assert "('text', 1048576, " in told["echo, websockets: text of 1048576, deflate, no takeover"]
