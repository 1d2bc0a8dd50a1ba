"""Every wire case, and every spelling of the chat path, against `sidecar serve` as an operator starts it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.acceptance.conftest import FREE, Spawn
from tests.acceptance.running import LINK
from tests.corpus.judge import Case, cases
from tests.corpus.lanes import Lane, over, recording

AT_ONCE = 3  # processes, each with an upstream of its own, so that what reaches one belongs to one case
TOKEN = "right"


@asynccontextmanager
async def serving(spawn: Spawn) -> AsyncIterator[list[Lane]]:
    """There is no switch and no madre: a chat is answered all the same."""
    with socket.socket() as probe:  # bound and not listening: whoever connects is refused
        probe.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{probe.getsockname()[1]}"
        async with recording(AT_ONCE) as (lanes, upstreams):
            started = [
                spawn("serve", *FREE, "--gateway", f"127.0.0.1:{at}", "--switch", nobody, "--madre", nobody, **{LINK: TOKEN})
                for at in upstreams
            ]  # fmt: skip
            for lane, process in zip(lanes, started, strict=True):
                lane.port = int(process.ready()["listen"].rpartition(":")[2])
            yield lanes


async def test_every_wire_case_ends_as_it_should(spawn: Spawn) -> None:
    asked = cases("http1_wire") + cases("more_wire")

    async def judge(lane: Lane, case: Case) -> list[str]:
        return await lane.judge(case, piecemeal=False)

    async with serving(spawn) as lanes:
        found = await over(lanes, asked, judge)
    failed = [f"{case['id']}: {'; '.join(faults)}" for case, faults in zip(asked, found, strict=True) if faults]
    assert not failed, "\n".join(failed)
    assert len(asked) == 149 + 214


async def test_every_spelling_of_the_chat_path_is_known(spawn: Spawn) -> None:
    asked = cases("path_aliases")

    async def judge(lane: Lane, case: Case) -> list[str]:
        body = json.dumps({"message": "hola", "session_id": case["target"]})
        return await lane.judge_spelling(case, TOKEN, body.encode())

    async with serving(spawn) as lanes:
        found = await over(lanes, asked, judge)
    failed = [f"{case['target']}: {'; '.join(faults)}" for case, faults in zip(asked, found, strict=True) if faults]
    assert not failed, "\n".join(failed)
    assert len(asked) == 41
