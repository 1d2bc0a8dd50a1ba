"""``sidecar explain``: the same story from a running sidecar and from its journal, and no text it is told commands the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from stories import BROKEN, GOOD, REFUSED, SILENT, Stage

from sidecar.cli import explain, main
from sidecar.cli.explain_text import text
from sidecar.core.fact import KeySent, as_json
from sidecar.core.line import SCHEMA, to_line
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Answered, Outcome, Override
from sidecar.edge.chat import request
from tests.acceptance.running import standing

CALM = "overload: {wait: 30s}\n"  # whatever else this machine does
RATES = "(opens at 50 % failed or 80 % slow of at least 5)"
WELL = f"breaker closed: 0 failures in a row of 3, 0 failed and 0 slow of 1 call {RATES}"


# -- the story, pure ----------------------------------------------------------------------------------------------------


def story(stage: Stage, call: int) -> list[str]:
    return text("mine", stage.told(call))


def test_a_call_that_went_down_the_ladder_is_told_decision_by_decision():
    stage = Stage()
    assert story(stage, stage.call(0.0, (3.25, SILENT), (3.5, GOOD))) == [
        "call mine: answered by madre after 3.500 s, degraded: timeout",
        "+0.000  began: 4.750 s to answer in; ladder switch, madre, local; policy r1",
        "        switch asked (attempt 1): may take 3.250 s of 4.750 s left, 1.500 s kept back for madre; bound by the deadline",
        (
            '+3.250  switch: timeout after 3.250 s → fatal by "error timeout"; slow (from 3.000 s on); breaker closed: '
            f"1 failure in a row of 3, 1 failed and 1 slow of 1 call {RATES}"
        ),
        "        not asked again: a silent target is left for the next one (retry.on_timeout is off)",
        "        switch is left: timeout",
        "        madre asked (attempt 2): may take 1.500 s of 1.500 s left; bound by the deadline",
        f'+3.500  madre: HTTP 200 (status ok) after 0.250 s → success by "answer"; {WELL}',
        "        ended after 2 attempts: madre answers, degraded: timeout",
    ]


def test_a_breaker_is_told_from_the_failure_that_opens_it_to_the_probe_that_closes_it():
    stage = Stage(breaker={"consecutive": 1, "open": {"jitter": 0.0}})
    opened = story(stage, stage.call(0.0, (0.5, REFUSED), (1.0, GOOD)))
    assert opened[4:7] == [
        "        breaker of switch opens for 5.000 s: consecutive (1 failure in a row, 1 open it)",
        "        not asked again: open: its breaker refuses for 5.000 s, and the wait would be 0.020 s",
        "        switch is left: failure",
    ]
    refused = story(stage, stage.call(2.0, (0.5, GOOD)))
    assert refused[0] == "call mine: answered by madre after 0.500 s, degraded: open"
    assert refused[2:4] == [
        (
            "        switch not asked: open: its breaker is open since 1.500 s, consecutive (1 failure in a row, 1 open it), "
            "for another 3.500 s"
        ),
        "        madre asked (attempt 1): may take 4.750 s of 4.750 s left; bound by the deadline",
    ]
    probe = story(stage, stage.call(6.0, (0.5, GOOD)))
    assert probe[2:5] == [
        "        breaker of switch is half open now: timer (its open time is over)",
        (
            "        switch asked (attempt 1, a probe: its breaker is half open): may take 3.250 s of 4.750 s left, "
            "1.500 s kept back for madre; bound by the deadline"
        ),
        '+0.500  switch: HTTP 200 (status ok) after 0.500 s → success by "answer"; breaker half open: 1 good probe of 2',
    ]
    closed = story(stage, stage.call(7.0, (0.5, GOOD)))
    assert closed[-2:] == [
        "        breaker of switch closes: recovered (2 good probes in a row)",
        "        ended after 1 attempt: switch answers",
    ]


def lines_of(stage: Stage, *chat: Any, at: float = 0.0, **how: Any) -> str:
    return "\n".join(story(stage, stage.call(at, *chat, **how)))


def held(target: str, override: Override, **sections: Any) -> Stage:
    stage = Stage(**sections)
    stage.engine.override(0.0, target, override)
    return stage


def tripped(**sections: Any) -> Stage:
    stage = Stage(**sections)
    stage.trip(0.0)
    return stage


def asleep(mode: str) -> Stage:
    stage = Stage(dormant={"mode": mode})
    stage.engine.hear_dormancy(0.0, frozenset({"madre"}))
    return stage


def unhealthy(*targets: str, **sections: Any) -> Stage:
    """Down since the start by three probes that were refused."""
    stage = Stage(health={"mode": "probe"}, **sections)
    for target in targets * 3:
        stage.engine.hear_health(0.0, target, REFUSED, busy=False, seconds=0.1)
    return stage


ONE_SLOT = {"limiter": {"max_concurrent": 1, "queue": 1}}
UNAUTHORISED, WRONG = Outcome(status=401), Outcome(status=400)
LATER = Outcome(status=503, retry_after=9.0)
SLOW_LANE = Outcome(status=200, body={"status": "ok", "lane": "slow"}, text=True)
RULE = {"outcome": {"degraded": [{"body": {"lane": ["slow"]}}]}}
DEDUP = {"effects": "dedup"}


@pytest.mark.parametrize(
    ("stage", "chat", "words"),
    [
        (Stage(), [(0.25, REFUSED), (0.5, "woke"), (0.75, GOOD)],
         ("switch to be asked again in 0.020 s, for connect: asked 1 of at most 2 times, 3.000 s left for it; "
         "paid with 1 of 3 retries in the budget (at most 3)")),
        (Stage(retry={"max_attempts": 1}), [(0.25, REFUSED)], "not asked again: attempts: asked 1 of at most 1 times (retry.max_attempts)"),
        (Stage(), [(0.25, LATER)], "not asked again: effects: it may have acted on what was sent (effects unsafe, retry.only_if_unsent)"),
        (Stage(switch=DEDUP), [(0.25, LATER)], "not asked again: deadline: 3.000 s left for it, and the wait would be 9.020 s"),
        (Stage(retry_budget={"ratio": "0%", "burst": 0.5}), [(0.25, REFUSED)],
         "not asked again: budget: 0.5 of at most 0.5 retries in the budget, and one costs 1"),
        (Stage(), [(0.25, BROKEN)], "not asked again: fatal, for retry.on does not name that"),
        (Stage(), [(0.25, UNAUTHORISED)],
         'misconfigured by "HTTP 401"; does not count for its breaker\n        not asked again: misconfigured, and would be again'),
        (Stage(), [(0.25, WRONG)], "switch is left: caller_error; fallback.on does not name that: nobody below is asked"),
        (Stage(switch={"timeouts": {"attempt": "1s"}}), [], ("may take 1.000 s of 4.750 s left, 1.500 s kept back for madre; "
         "bound by its own timeout (timeouts.attempt)")),
        (Stage(switch=RULE), [(3.0, SLOW_LANE)], ('switch: HTTP 200 (status ok, lane slow) after 3.000 s → degraded by '
         f'"outcome.degraded[0]"; slow (from 3.000 s on); breaker closed: 0 failures in a row of 3, 0 failed and 1 slow of 1 call {RATES}')),
        (Stage(breaker={"consecutive": 0}), [(0.25, BROKEN)], "breaker closed: 1 failure in a row, 1 failed and"),
        (Stage(breaker={"consecutive": 0, "min_calls": 1}), [(0.25, BROKEN)], "opens for 5.000 s: failure_rate (1 of 1 call failed, 50 % open it)"),
        (Stage(breaker={"min_calls": 1}), [(3.25, GOOD)], "opens for 5.000 s: slow_rate (1 of 1 call slow, 80 % open it)"),
        (held("switch", Override.OFF), [], "switch not asked: off: an operator switched it off\n        madre asked (attempt 1)"),
        (held("switch", Override.FORCED_OPEN), [], "switch not asked: open: an operator holds its breaker open"),
        (held("switch", Override.FORCED_CLOSED), [(0.25, BROKEN)], "breaker held closed: 1 failure in a row of 3"),
        (asleep("obey"), [], "switch not asked: dormant: off by madre's power state, which the policy obeys (dormant.mode)"),
        (asleep("explain"), [(0.25, REFUSED)], ('ignored by "dormant"; does not count for its breaker\n'
         "        not asked again: madre's power state says that it is off (dormant.mode)\n        switch is left: dormant")),
        (tripped(fallback={"on": ["failure"], "local": "error"}), [],
         ("switch is left: open; fallback.on does not name that: nobody below is asked\n"
         "        ended after 0 attempts: nobody answers: open (503, by fallback.local)")),
    ],
)  # fmt: skip
def test_each_decision_is_told_with_what_it_was_decided_by(stage, chat, words):
    assert words in lines_of(stage, *chat)


HEDGED = {"effects": "none", "hedge": {"enabled": True, "delay": "500ms", "max_extra_load": "100%"}}


def test_a_race_is_told_with_what_paid_for_it_and_who_won():
    stage = Stage(switch=HEDGED)
    told = story(stage, stage.call(0.0, (0.5, "woke"), (0.6, (2, GOOD))))
    assert told[3:] == [
        (
            "+0.500  switch is late after 0.500 s: a second request goes out beside the first, paid with 1 of 1 hedges saved up and "
            "1 of 3 retries in the budget"
        ),
        (
            "        switch asked (attempt 2): may take 2.750 s of 4.250 s left, 1.500 s kept back for madre; bound by the deadline"
        ),
        (
            '+0.600  switch: HTTP 200 (status ok) after 0.100 s → success by "answer"; breaker closed: 0 failures in a row of 3, '
            "0 failed and 0 slow of 1 call (opens at 50 % failed or 80 % slow of at least 5)"
        ),
        '        switch: cancelled after 0.600 s → ignored by "lost the race"; does not count for its breaker',
        "        race on switch over: the hedge won",
        "        ended after 2 attempts: switch answers",
    ]


def test_a_hedge_that_was_denied_says_what_forbade_it():
    poor = {**HEDGED, "hedge": {**HEDGED["hedge"], "max_extra_load": "1%"}}
    assert (
        "switch is late after 0.500 s and gets no second request: load (hedges have used up their share of the calls "
        "(hedge.max_extra_load))"
    ) in lines_of(Stage(switch=poor), (0.5, "woke"), (0.6, (1, GOOD)))


def test_a_session_that_stays_is_told_for_how_long_it_still_does():
    stage = Stage(affinity={"stick": "60s"}, switch={"retry": {"max_attempts": 1}})
    stage.call(0.0, (0.0, REFUSED), (0.1, GOOD), session="a")
    told = story(stage, stage.call(10.1, (0.2, GOOD), session="a"))
    assert told[0] == "call mine: answered by madre after 0.200 s, degraded: affinity"
    assert told[2] == (
        "        switch not asked: affinity: its session stays where it fell back, for another 50.000 s (affinity.stick)"
    )


def test_a_target_that_is_down_is_told_with_its_probes_and_one_that_answers_all_the_same_is_up():
    assert story(stage := unhealthy("switch"), stage.call(2.0, (0.5, GOOD)))[2:4] == [
        "        switch not asked: unhealthy: down since 2.000 s by its health probes, 3 failures in a row (health.fall)",
        "        madre asked (attempt 1): may take 4.750 s of 4.750 s left; bound by the deadline",
    ]
    told = story(stage := unhealthy("switch", "madre"), stage.call(2.0, (0.5, GOOD)))
    assert told[-2:] == [
        "        health of switch is up now: it has answered a chat",
        "        ended after 1 attempt: switch answers",
    ]
    assert text("c", [{"fact": "Refused", "target": "switch", "reason": "unhealthy"}])[1] == (
        "  switch not asked: unhealthy: its health probes fail"
    )


def test_who_waits_for_a_slot_is_told_how_long_and_among_how_many():
    stage = Stage(switch=ONE_SLOT)
    stage.call(0.0)
    waits = stage.call(0.0, (0.2, "woke"), (0.5, GOOD))
    assert "+0.200  switch not asked: limited: no slot within 0.200 s, 1 of 1 slots taken" in story(stage, waits)
    stage.call(1.0)
    turned_away = "\n".join(story(stage, stage.call(1.0)))
    assert "switch not asked: limited: 1 of 1 slots taken, 1 of 1 places in the queue" in turned_away


@pytest.mark.parametrize(
    ("made", "whose"), [(True, "made here: the client sent none"), (False, "made from the client's")]
)
def test_that_a_target_got_a_key_is_told_and_whose_it_is(made, whose):
    (_, line) = text("c-1", [as_json(KeySent(0.5, 1, "switch", made), 0.25)])
    assert line == f"+0.250  switch gets an Idempotency-Key, {whose}; further attempts have the same"


def test_who_got_a_slot_after_a_wait_and_who_came_out_of_the_queue_to_an_open_breaker():
    told = {
        "fact": "AttemptStarted",
        "after_seconds": 0.1,
        "target": "switch",
        "number": 1,
        "timeout": 1.0,
        "waited": 0.1,
    }
    assert text("c", [told])[1].endswith("bound by the deadline; waited 0.100 s for a slot")
    told = {
        "fact": "Refused",
        "after_seconds": 0.1,
        "target": "switch",
        "reason": "open",
        "breaker": "half_open",
        "waited": 0.1,
    }
    assert text("c", [told])[1].endswith(
        "open: its breaker is half open, and as many probes as may be are under way; waited 0.100 s for a slot before"
    )


def test_a_probe_under_way_keeps_others_out_and_a_slow_one_opens_the_breaker_again():
    stage = tripped()
    stage.call(6.0)
    others = "\n".join(story(stage, stage.call(6.5)))
    assert (
        "its breaker is half open since 0.500 s, timer (its open time is over), and as many probes as may be are under way"
        in others
    )
    stage = tripped()
    assert "breaker of switch opens for 10.000 s: slow_rate (the probe was slow)" in lines_of(
        stage, (3.0, GOOD), at=6.0
    )
    stage = tripped()
    failed = lines_of(stage, (1.0, BROKEN), at=6.0)
    assert "breaker half open: 0 good probes of 2" in failed
    assert "breaker of switch opens for 10.000 s: probe_failed (the probe failed)" in failed


def test_a_straggler_does_not_count():
    stage = Stage()
    straggler = stage.engine.begin(0.0, Call(99, 4.75, "s"))
    straggler.start()
    stage.trip(0.5)
    straggler.send(Answered(1.0, BROKEN))
    told = "\n".join(text("s", stage.told(99)))
    assert "; not counted: its breaker moved, or its permit ran out, since it was asked" in told


def test_who_had_no_time_or_little_patience():
    told = lines_of(Stage(), patience=0.0625)
    assert "switch not asked: timeout: 0.031 s left for it, too little to ask" in told
    told = lines_of(Stage(), (0.5, SILENT), patience=1.0)
    assert 'ignored by "short patience"; does not count for its breaker' in told
    assert "not asked again: its silence says nothing, for the client has less patience than the policy gives" in told


@pytest.mark.parametrize(
    ("chat", "headline"),
    [
        ([], "not over: switch is being asked"),
        ([(0.25, REFUSED)], "not over: switch is to be asked again"),
        ([(0.5, "left")], "the client left after 0.500 s, before there was an answer"),
        ([(0.5, GOOD)], "answered by switch after 0.500 s"),
        ([(0.5, BROKEN), (0.75, BROKEN)], "answered by the sidecar's own text after 0.750 s, degraded: failure"),
        ([(0.5, BROKEN), (0.75, Outcome(status=200, body={"status": "WAITING"}, text=True))],
         "answered by madre after 0.750 s, degraded: waiting; at first: failure"),
        ([(0.5, WRONG)], "answered by the sidecar's own text after 0.500 s, degraded: caller_error"),
    ],
)  # fmt: skip
def test_the_first_line_says_who_answered_and_why(chat, headline):
    assert lines_of(Stage(), *chat).splitlines()[0] == f"call mine: {headline}"


def test_nobody_who_answers_is_a_503():
    told = lines_of(Stage(fallback={"local": "error"}), (0.5, BROKEN), (0.75, BROKEN))
    assert told.startswith("call mine: answered with a 503 after 0.750 s, for no target did: failure\n")


def test_the_client_that_left_is_no_fault_but_its_long_wait_is_slow():
    told = lines_of(Stage(), (3.5, "left"))
    assert (
        'switch: client left after 3.500 s → ignored by "client left"; slow (from 3.000 s on); breaker closed: 0 fail'
        in told
    )
    assert told.endswith("ended after 1 attempt: the client left")


def test_ten_seconds_and_more_stand_in_line():
    facts = [
        {"fact": "CallBegan", "after_seconds": 0.0},
        {"fact": "FellBack", "after_seconds": 12.5, "target": "a", "reason": "b"},
    ]
    assert [line[:9] for line in text("c", facts)[1:]] == [" +0.000  ", "+12.500  "]


# -- what others say ----------------------------------------------------------------------------------------------------

EVIL = "\x1b]0;owned\x07\x9b2J\r\n\u202eevil"
NAMES = (
    "CallBegan", "AttemptStarted", "AttemptEnded", "BreakerMoved", "Retried", "RetryDenied", "Refused", "FellBack", "CallEnded", "Unheard",
)  # fmt: skip


@pytest.mark.parametrize(
    "value", [EVIL, None, 7, 1e400, [EVIL], {"is": EVIL, "why": EVIL, "counts": {"state": EVIL}}, True]
)
def test_whatever_a_fact_holds_there_is_a_line_and_the_terminal_obeys_none_of_it(value):
    fields = {
        "after_seconds", "target", "number", "timeout", "binding", "left", "reserved", "waited", "breaker", "seconds", "outcome", "verdict",
        "rule", "counts", "heeded", "delay", "cause", "balance", "inputs", "why", "before", "after", "open_for", "reason", "retry_after", "moved",
        "in_flight", "queued", "limits", "allowed", "finish", "first_reason", "attempts", "patience", "correlation_id", "revision", "ladder",
    }  # fmt: skip
    facts = [{"fact": name} | dict.fromkeys(fields, value) for name in NAMES]
    told = "\n".join(text(EVIL, facts) + text(EVIL, [{"fact": name} for name in (*NAMES, EVIL)]))
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(told)
    assert "Unheard" in told


def test_ascii_is_enough_where_the_terminal_knows_no_other():
    stage = Stage()
    told = text("ñ", stage.told(stage.call(0.0, (0.5, BROKEN))), plain=True)
    assert told[0] == "call ?: not over: madre is being asked"
    assert '-> fatal by "HTTP 500"' in told[3]
    assert all(line.isascii() for line in told)


# -- from a running sidecar, and from its journal -----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that says nothing."""
    for name in list(os.environ):
        if name.startswith(("VX11_", "API_TOKEN")):
            monkeypatch.delenv(name)


@pytest.fixture
def ask(capfd):
    """Runs the command in a thread, for the sidecar shares the loop of the test; its exit code and what it printed."""

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["explain", *arguments])
        return (code, *capfd.readouterr())

    return run


async def until_told(ask: Any, town: Any, name: str, words: str) -> str:
    """What a running sidecar tells of a call, when it tells of this."""
    async with asyncio.timeout(10):
        while words not in (told := (await ask(name, "--admin", town.admin))[1]):  # noqa: ASYNC110 - to look is all there is
            await asyncio.sleep(0.02)
    return told


def told_of(printed: str) -> list[str]:
    """The explanation without its last line, which says where it is from."""
    return printed.splitlines()[:-1]


async def test_a_running_sidecar_and_its_journal_explain_every_call_in_the_same_words(ask, tmp_path):
    """Answers, a failure that opens the breaker, a refusal, a client that left: told live, and after the end from the journal."""
    policy = f"journal: {{dir: {tmp_path}}}\nbreaker: {{consecutive: 1}}\n{CALM}"
    live: dict[str, str] = {}
    facts: dict[str, Any] = {}
    async with standing(policy=policy) as town:
        await town.chat(X_Correlation_Id="well")
        await town.lab.fault("switch", "hang")
        leaving = asyncio.create_task(town.chat(X_Correlation_Id="left"))
        await until_told(ask, town, "left", "not over: switch is being asked")
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        await until_told(ask, town, "left", "the client left")
        await town.lab.clear("switch")
        await town.lab.fault("switch", "error")
        await town.chat(X_Correlation_Id="fell")
        await town.chat(X_Correlation_Id="refused")
        for name in ("well", "left", "fell", "refused"):
            live[name] = await until_told(ask, town, name, "ended after")
            _, out, _ = await ask(name, "--admin", town.admin, "--output", "json")
            facts[name] = json.loads(out)
    assert live["well"].startswith("call well: answered by switch after ")
    assert "not asked: open: its breaker is open since " in live["refused"]
    for name, printed in live.items():
        code, out, err = await ask(name, "--journal", str(tmp_path))
        assert (code, err) == (0, "")
        assert told_of(out) == told_of(printed)
        _, out, _ = await ask(name, "--journal", str(tmp_path), "--output", "json")
        recorded = json.loads(out)
        assert recorded["facts"] == facts[name]["facts"]
        assert (recorded["calls"], recorded["nth"], recorded["notes"]) == (1, 1, [])


async def test_a_call_under_way_is_told_as_far_as_it_is(ask):
    async with standing("switch=hang", policy=CALM) as town:
        chat = asyncio.create_task(town.chat(X_Correlation_Id="waits"))
        told = await until_told(ask, town, "waits", "switch asked (attempt 1): may take ")
        code, out, _ = await ask("waits", "--admin", town.admin, "--output", "json")
        chat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await chat
    assert told.startswith("call waits: not over: switch is being asked\n")
    assert code == 0
    assert [fact["fact"] for fact in json.loads(out)["facts"]] == ["CallBegan", "AttemptStarted"]


HOSTILE = (
    "%2e%2e", "a/b", "../../state", "?x", "#", " ", "\x00", "\x1b[2J", "ñ", "\udcff", "{correlation_id}", "x" * 5000,
)  # fmt: skip


async def test_no_id_whatever_is_more_than_an_id(ask, tmp_path):
    """Neither in a URL nor on a terminal; dots alone are an id, too."""
    path = journal(tmp_path, Stage(), 1)
    async with standing(policy=CALM) as town:
        for name in HOSTILE:
            code, out, err = await ask("--admin", town.admin, "--", name)
            assert (code, out) == (1, ""), name
            assert err.startswith("sidecar: no chat has this id: one is 1 to 128 letters, digits, ")
            code, out, err = await ask(f"--journal={path}", "--", name)
            assert (code, out, err) == (1, "", "sidecar: calls with this correlation id in the journal: none\n"), name
        for name in (".", "..", "-", "--help", "x" * 128):
            code, out, err = await ask("--admin", town.admin, "--", name)
            assert (code, out) == (1, "")
            assert "no recent call has this correlation id; its --journal, if there is one, remembers longer" in err
            await town.chat(X_Correlation_Id=name)
            code, out, err = await ask("--admin", town.admin, "--", name)
            assert (code, err) == (0, "")
            assert out.startswith(f"call {name}: answered by switch after ")


def test_an_id_is_what_the_sidecar_takes_for_one():
    assert explain._POSSIBLE.pattern == request._CORRELATION.pattern


async def test_a_sidecar_that_failed_within_says_so(ask):
    facts = [
        {"fact": "CallBegan", "after_seconds": 0.0, "patience": 4.75, "revision": "r"},
        {"fact": "CallEnded", "after_seconds": 0.5, "seconds": 0.5, "finish": {"abandoned": True}, "attempts": 1},
        {"fact": "ChatServed", "after_seconds": 0.5, "outcome": "failed", "status": 500},
    ]
    with stranger(json.dumps({"facts": facts}).encode()) as where:
        code, out, _ = await ask("c", "--admin", where)
        assert code == 0
        assert "note: the sidecar itself failed at this call and answered 500: its log says chat_crashed\n" in out
        _, out, _ = await ask("c", "--admin", where, "--output", "json")
    told = json.loads(out)
    assert told["facts"] == facts[:2]
    assert len(told["notes"]) == 1


# -- from whoever answers -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stranger(body: bytes, code: int = 200):
    """A server that says this, whatever it is asked; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 200),
        (b"<html>", 200),
        (b"[]", 200),
        (b"[" * 100_000, 200),
        (b"{}", 200),
        (b'{"facts": []}', 200),
        (b'{"facts": {"fact": 1}}', 200),
        (b'{"facts": ["CallBegan"]}', 200),
        (b'{"detail": "Not Found"}', 404),  # as the gateway itself says it
        (b'{"detail": "forbidden"}', 403),
    ],
)
async def test_who_is_no_sidecar_cannot_be_asked(ask, body, code):
    with stranger(body, code) as where:
        done, out, err = await ask("c", "--admin", where)
    assert (done, out) == (2, "")
    assert err.startswith(f"sidecar: {where} ")
    assert err.count("\n") == 1


async def test_nobody_there_and_a_token_that_is_wanted_are_said(ask):
    assert await ask("c", "--admin", "127.0.0.1:1") == (
        2, "", "sidecar: 127.0.0.1:1 does not answer: Connection refused\n",
    )  # fmt: skip
    with stranger(b"{}", 401) as where:
        assert "wants the admin token" in (await ask("c", "--admin", where))[2]


# -- from a journal -----------------------------------------------------------------------------------------------------


def journal(directory: Path, stage: Stage, seed: int) -> Path:
    """The journal of what happened on a stage, as one file."""
    numbered = directory / f"journal-{len(list(directory.iterdir())) + 1:06}.jsonl"
    lines = [{"in": "start", "schema": SCHEMA, "version": "0", "seed": seed}]
    lines += [line for line in map(to_line, stage.facts) if line is not None]
    numbered.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return numbered


def run(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    code = main(["explain", *map(str, arguments)])
    return (code, *capsys.readouterr())


def test_a_journal_tells_where_the_call_stands_in_it(capsys, tmp_path):
    stage = Stage()
    stage.call(100.0, (0.5, GOOD))
    path = journal(tmp_path, stage, 7)
    code, out, err = run(capsys, "mine", "--journal", tmp_path)
    assert (code, err) == (0, "")
    assert told_of(out) == story(stage, 1)
    assert out.splitlines()[-1] == f"told from {tmp_path}: call 1 of run 1 of 1, which began at 100.000"
    assert run(capsys, "mine", "--journal", path)[0] == 0


def test_of_several_the_last_is_told_and_nth_chooses_another(capsys, tmp_path):
    stage = Stage()
    for at in (1.0, 2.0, 3.0):
        stage.call(at, (at / 4, GOOD))
    journal(tmp_path, stage, 7)
    _, out, _ = run(capsys, "mine", "--journal", tmp_path)
    assert out.endswith("which began at 3.000; 3 of 3 with this id (--nth)\n")
    _, out, _ = run(capsys, "mine", "--journal", tmp_path, "--nth", 1)
    assert out.endswith("which began at 1.000; 1 of 3 with this id (--nth)\n")
    _, out, _ = run(capsys, "mine", "--journal", tmp_path, "--nth", 2, "--output", "json")
    told = json.loads(out)
    assert (told["correlation_id"], told["calls"], told["nth"], told["facts"][-1]["seconds"]) == ("mine", 3, 2, 0.5)
    code, out, err = run(capsys, "mine", "--journal", tmp_path, "--nth", 4)
    assert (code, out, err) == (1, "", "sidecar: calls with this correlation id in the journal: only 3 of them\n")


def test_what_cannot_be_known_is_a_note_under_the_story(capsys, tmp_path):
    stage = Stage()
    stage.call(1.0, (0.5, GOOD))
    path = journal(tmp_path, stage, 7)
    path.write_bytes(path.read_bytes() + b"\x1b[2J\n")
    code, out, _ = run(capsys, "mine", "--journal", path)
    assert code == 0
    assert f"note: 1 line of the journal could not be taken; the first: {path}:7: not JSON\n" in out
    assert "1 line of the journal" in run(capsys, "other", "--journal", path)[2]


def test_a_journal_that_cannot_be_read_is_said(capsys, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    code, out, err = run(capsys, "mine", "--journal", tmp_path / "empty.jsonl")
    assert (code, out) == (2, "")
    assert "nothing to replay" in err
    code, out, err = run(capsys, "mine", "--journal", tmp_path / "none.jsonl")
    assert (code, out) == (2, "")
    assert "none.jsonl: No such file or directory" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["c", "--nth", "1"], "--nth: a running sidecar knows the latest call of an id alone"),
        (["c", "--admin", "127.0.0.1:1", "--journal", "x"], "--admin and --journal"),
    ],
)
def test_what_contradicts_itself_is_said(capsys, arguments, words):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.parametrize(
    "arguments",
    [[], [""], ["c", "--nth", "0"], ["c", "--nth", "last"], ["c", "--admin", "x"], ["c", "--output", "xml"]],
)
def test_options_that_cannot_be_followed_are_said(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["explain", *arguments])
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_terminal_without_unicode_is_no_reason_to_fail(tmp_path):
    stage = Stage()
    stage.call(1.0, (0.5, GOOD))
    path = journal(tmp_path, stage, 7).rename(tmp_path / "ñ.jsonl")
    command = [sys.executable, "-m", "sidecar", "explain", "mine", "--journal", str(path)]
    ran = subprocess.run(
        command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}, timeout=30, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"-> success" in ran.stdout


def test_it_imports_nothing_heavy():
    code = "import sys\nfrom sidecar.cli import main\nmain(['explain', 'c', '--admin', '127.0.0.1:1'])\nprint([m for m in ('aiohttp', 'asyncio', 'pydantic', 'ruamel', 'orjson', 'prometheus_client') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert ran.stdout == "[]\n"
