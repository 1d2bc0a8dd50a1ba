"""Every case, without anybody who counts: what a turn comes to, so that none of them measures an error."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest

from benchmarks.instructions import case as cases
from benchmarks.instructions import turns
from benchmarks.instructions.case import GROUPS, Case, UnknownCaseError, chosen

ALL = chosen([])
COMES_TO = {
    "wire.fresh": lambda judged: judged.route == "other" and judged.method == b"GET",
    "wire.remembered": lambda judged: judged.route == "other",
    "wire.unique": lambda judged: b"X-Request-Id: 0000" in judged.raw,
    "wire.answer-fresh": lambda judged: judged.status == 200 and judged.length == 1_024,
    "wire.answer-remembered": lambda judged: judged.status == 200,
    "wire.unique-query": lambda judged: judged.target.startswith(b"/operator/api/status?after=0000"),
    "wire.answer-unique": lambda judged: judged.status == 200 and 0 < judged.length < 1_024,
    "wire.chunks": lambda passed: passed.count(b"400\r\n") == 64 and passed.endswith(b"0\r\n\r\n"),
    "wire.usage": lambda used: (used.template, used.client) == ("/operator/api/status", "curl"),
    "wire.target": lambda route: route == "other",
    "core.primary": lambda finish: finish.provider == "switch" and not finish.degraded,
    "core.fallback": lambda finish: (finish.provider, finish.reason) == ("madre", "timeout"),
    "core.open": lambda finish: (finish.provider, finish.reason) == ("madre", "open"),
    "core.withdraw": lambda paid: paid is True,
    "outlets.scrape": lambda text: text.endswith(b"# EOF\n") and b"vx11_sidecar_chat_requests" in text,
    "chat.read": lambda chat: chat.session_id.startswith("ui-"),
    "chat.answer": lambda said: said.status == 200 and b"general-7b" in said.body,
    "chat.payload": lambda body: "qué".encode() in body,
    "chat.switch": lambda read: read[0].model == "general-7b" and read[1] == {"status": "ok"},
}


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_three_turns_of_each_case(case: Case) -> None:
    results: list[Any] = []

    def watched(stack: ExitStack) -> Any:
        turn = case.make(stack)

        def once() -> Any:
            results.append(turn())
            return results[-1]

        return once

    turns.take(case._replace(make=watched), 3)
    assert len(results) == 3
    comes_to = COMES_TO.get(case.name)
    if comes_to is not None:
        assert comes_to(results[-1]), results[-1]


@pytest.mark.parametrize("case", [case for case in ALL if case.name.startswith("relay.")], ids=lambda case: case.name)
def test_every_relayed_request_is_answered(case: Case) -> None:
    with ExitStack() as stack:
        turn = case.make(stack)
        for _ in range(600):  # more than heads are remembered
            written = turn()
            assert len(written) == 1
            assert written[0].startswith(b"HTTP/1.1 200 OK\r\n")
            assert written[0].endswith(b'x"}')


def test_the_open_breaker_stays_open_for_all_turns() -> None:
    case = next(case for case in ALL if case.name == "core.open")
    with ExitStack() as stack:
        turn = case.make(stack)
        assert all(turn().reason == "open" for _ in range(case.few + case.turns))


def test_the_silent_switch_is_asked_each_time() -> None:
    case = next(case for case in ALL if case.name == "core.fallback")
    with ExitStack() as stack:
        turn = case.make(stack)
        assert all(turn().reason == "timeout" for _ in range(case.few + case.turns))


def test_names_are_unique_and_begin_with_their_group() -> None:
    assert len({case.name for case in ALL}) == len(ALL)
    assert [case.name.partition(".")[0] for case in ALL] == sorted(
        (case.name.partition(".")[0] for case in ALL), key=GROUPS.index
    )


def test_a_case_is_chosen_by_its_name_or_its_group() -> None:
    assert [case.name for case in chosen(["core.open", "loop"])] == ["loop.empty", "core.open"]
    assert {case.name.partition(".")[0] for case in chosen(["core.open", "core"])} == {"core"}
    assert len(chosen(["core.open", "core"])) == len(cases.of_group("core"))


@pytest.mark.parametrize("name", ["core.none", "none", "none.fresh", "", "Core"])
def test_an_unknown_name_is_told_with_what_there_is(name: str) -> None:
    with pytest.raises(UnknownCaseError, match=r": none of loop, wire, .*core\.settle"):
        chosen(["wire", name])


def test_few_turns_are_some() -> None:
    assert Case("a", "b", lambda _: None, turns=1).few == 1
    assert Case("a", "b", lambda _: None, turns=400).few == 200


def test_a_looped_case_is_awaited_within_a_loop() -> None:
    seen = []

    def make(stack: ExitStack) -> Any:
        loop = asyncio.get_running_loop()
        stack.callback(seen.append, "ended")

        async def turn() -> None:
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is loop
            seen.append("turn")

        return turn

    turns.take(Case("a", "b", make, looped=True), 2, lambda: seen.append("set up"))
    assert seen == ["set up", "turn", "turn", "ended"]
