"""Every raw case, put to the chat path, ends where chats are observed as it ends where nobody looks; and every spelling of that path is known."""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

import pytest
from lookout import DATE, observed, relaying, words
from loopback import TOKEN, Gateway, serving, talk

from sidecar.core.fact import ChatObserved
from sidecar.core.value import replace
from tests.corpus.judge import Case, cases, spelling, statuses, wrong
from tests.corpus.lanes import LONGER, Lane

PLAIN = re.compile(r"(?:GET|POST) /[a-z0-9](?= HTTP/1\.[01]\r\n)")


def put_to_chat(case: Case) -> Case:
    """Most cases are about no path at all: they ask for ``/t``, ``/1`` and such."""
    return {**case, "request": PLAIN.sub("POST /operator/api/chat", case["request"])}


CASES = [put_to_chat(case) for case in cases("http1_wire") + cases("more_wire")]
ALIASES = cases("path_aliases")
AT_ONCE = 24
CHAT, ALIAS, COMMANDS = (
    [(route, word) for word in ("auth_required", "pass")] for route in ("chat", "alias", "commands")
)
REJECT = [("reject", "target")] * 2
KNOWN = {
    "chat": [CHAT], "vx11-alias": [CHAT], "alias": [ALIAS], "alias-or-reject": [ALIAS, REJECT], "vx11-indirect": [COMMANDS],
    "reject": [REJECT], "other": [[]], "deny": [[]],
}  # fmt: skip


class Ended(NamedTuple):
    """What a case came to: the verdict of the one judge, and everything that was seen. A time of day differs between runs."""

    faults: list[str]
    client: bytes
    closed: bool
    gateway: bytes
    facts: list[Any]


async def run(case: Case, mode: str, *, piecemeal: bool) -> tuple[Ended, list[ChatObserved]]:
    gateway = Gateway()
    async with serving(gateway) as upstream, relaying(upstream, mode) as (port, _):
        out, closed = await Lane(gateway, port.port, LONGER).ask(case, piecemeal=piecemeal)
        await port.until(lambda: not len(port.data_port))
        facts = [replace(fact, at=0.0) for fact in port.facts if not isinstance(fact, ChatObserved)]
        facts = [replace(fact, seconds=0.0) if hasattr(fact, "seconds") else fact for fact in facts]
        faults = wrong(case, out, gateway, closed=closed)
        return Ended(faults, DATE.sub(b"", out), closed, gateway.raw, facts), observed(port)


@pytest.mark.parametrize("piecemeal", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["whole", "bytewise"])
async def test_every_wire_case_ends_as_if_nobody_looked(*, piecemeal: bool) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> tuple[str | None, int, int]:
        async with gate:
            (off, quiet), (shadow, seen) = [await run(case, mode, piecemeal=piecemeal) for mode in ("off", "shadow")]
        differ = [name for name, a, b in zip(Ended._fields, off, shadow, strict=True) if a != b]
        return f"{case['id']}: {', '.join(differ)}" if differ else None, len(quiet), len(seen)

    found = await asyncio.gather(*map(one, CASES))
    assert not [differs for differs, _, _ in found if differs]
    assert len(CASES) == 149 + 214
    assert sum(quiet for _, quiet, _ in found) == 0
    assert (
        sum(seen for _, _, seen in found) > 150
    )  # the others are refused before anybody knows where they would have gone


async def test_every_spelling_of_the_chat_path_passes_and_is_known() -> None:
    """What needs a token, or is refused, where we answer ourselves: here it is only said."""
    for case in ALIASES:
        (unseen, none), (passed, seen) = [await spell(case["target"], mode) for mode in ("off", "shadow")]
        assert passed == unseen, case
        assert none == []
        assert seen in KNOWN[case["class"]] or passed == [400, 400], (case, seen)
    assert len(ALIASES) == 41


async def spell(target: str, mode: str) -> tuple[list[int], list[tuple[str, str]]]:
    """The statuses without a token and with one, and what was told."""
    async with serving(Gateway()) as upstream, relaying(upstream, mode) as (port, _):
        sent = [spelling(target, b'{"message":"hola"}', token) for token in (None, TOKEN.decode())]
        answers = [statuses((await talk(port.port, each, patience=2))[0])[0] for each in sent]
        return answers, [(route, would) for route, would, _, _ in words(port)]
