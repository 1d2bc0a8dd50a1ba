"""``sidecar status`` against a real admin port: what it prints, what it exits with, and that no text it is told commands the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from sidecar.cli import asking, main, status
from sidecar.cli.status_text import Look, clean, headline, span, text
from tests.acceptance.running import DEFAULT_TOKEN, LINK, Process, standing

ADMIN = "VX11_SIDECAR_ADMIN_TOKEN"
SECRET = "admin-canary-77"
CALM = "overload: {wait: 30s}\n"  # whatever else this machine does
POLICY = f"breaker: {{consecutive: 2, open: {{base: 60s, max: 90s}}}}\n{CALM}"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that says nothing."""
    for name in list(os.environ):
        if name.startswith(("VX11_", "API_TOKEN", "NO_COLOR", "COLUMNS")):
            monkeypatch.delenv(name)


@pytest.fixture
def ask(capfd):
    """Runs the command in a thread, for the sidecar shares the loop of the test; its exit code and what it printed."""

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["status", *arguments])
        return (code, *capfd.readouterr())

    return run


def at(town: Any) -> tuple[str, str]:
    return "--admin", town.admin


async def test_a_sidecar_that_is_well_is_said_in_a_line_and_exits_with_0(ask):
    async with standing(policy=CALM) as town:
        code, out, err = await ask(*at(town))
        assert (code, err) == (0, "")
        assert out.startswith("○ NO CHAT YET  waiting for the first chat; switch is asked first\n")
        await town.chat()
        code, out, _ = await ask(*at(town))
    assert code == 0
    assert out.startswith("● NORMAL  switch answers\n")
    assert "last 30 min  1 chat" in out
    assert "\x1b" not in out


async def test_a_degraded_one_says_who_answers_why_and_what_to_do_and_exits_with_1(ask):
    environ = {LINK: DEFAULT_TOKEN, ADMIN: SECRET}
    async with standing("switch=error", policy=POLICY, environ=environ) as town:
        for _ in range(3):
            await town.chat()
        order = {"target": "madre", "kind": "forced_closed", "author": "ana", "reason": "drill", "ttl": "10m"}
        held = await town.ask("POST", town.admin + "/overrides", json=order, headers={"X-VX11-Admin-Token": SECRET})
        assert held.status == 200
        code, out, _ = await ask(*at(town))
        assert code == 1
        assert out.startswith("▲ DEGRADED  madre answers instead of switch\n")
        for words in (
            "why  open: Its circuit breaker is open",
            "do   Mend the target",
            "open, probe in ",
            "breaker of switch: closed → open",
            "(consecutive)",
            "override: madre forced_closed for another ",
            "by ana: drill",
            "switch not asked (open) → madre HTTP 200 after ",
            "switch failed, HTTP 200 after ",
            "100.0 % degraded",
        ):
            assert words in out
        assert max(map(len, out.splitlines())) <= status.WIDTH


async def test_json_is_what_the_admin_port_says(ask):
    async with standing("switch=refuse", policy=CALM) as town:
        await town.chat()
        code, out, _ = await ask(*at(town), "--output", "json")
        told = json.loads(out)
        assert code == 1
        assert set(told) == {"state", "calls", "trend"}
        assert told["state"]["answering"]["provider"] == "madre"
        assert [call["provider"] for call in told["calls"]["degraded"]] == ["madre"]


async def test_the_token_is_taken_from_the_environment_or_a_file_and_asked_for_where_it_is_missing(
    ask, monkeypatch, tmp_path
):
    with Process(
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "0.0.0.0:0",
        environ={LINK: "t", ADMIN: SECRET},
        errors=tmp_path / "err",
    ) as process:
        where = ("--admin", "127.0.0.1:" + process.ready()["admin"].rpartition(":")[2])
        code, out, err = await ask(*where)
        assert (code, out) == (2, "")
        assert f"wants the admin token: set {ADMIN}" in err
        monkeypatch.setenv(ADMIN, "wrong-canary")
        code, _, err = await ask(*where)
        assert (code, "403" in err, "wrong-canary" in err) == (2, True, False)
        monkeypatch.setenv(ADMIN, SECRET)
        code, out, _ = await ask(*where)
        assert code == 0
        assert "▲ the admin port 0.0.0.0:" in out
        monkeypatch.delenv(ADMIN)
        (tmp_path / "token").write_text(f"{SECRET}\n")
        monkeypatch.setenv(f"{ADMIN}_FILE", str(tmp_path / "token"))
        assert (await ask(*where))[0] == 0
        monkeypatch.setenv(f"{ADMIN}_FILE", "/nonexistent")
        assert await ask(*where) == (2, "", "sidecar: /nonexistent: cannot be read: No such file or directory\n")


async def test_nobody_there_is_2_and_said(ask):
    code, out, err = await ask("--admin", "127.0.0.1:1")
    assert (code, out, err) == (2, "", "sidecar: 127.0.0.1:1 does not answer: Connection refused\n")


@contextlib.contextmanager
def stranger(body: bytes, code: int = 200, **fields: str):
    """A server that is no sidecar; its address and the tokens it was shown."""

    class Handler(BaseHTTPRequestHandler):
        shown: list[str | None] = []  # noqa: RUF012

        def do_GET(self) -> None:
            self.shown.append(self.headers["X-VX11-Admin-Token"])
            self.send_response(code)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", Handler.shown
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff"])
async def test_who_is_no_sidecar_is_said_to_be_none(ask, body):
    with stranger(body) as (place, _):
        code, out, err = await ask("--admin", place)
    assert (code, out) == (2, "")
    assert f"{place} is no admin port of a sidecar" in err


async def test_the_token_goes_to_the_port_and_nowhere_else(ask, monkeypatch):
    monkeypatch.setenv(ADMIN, SECRET)
    with (
        stranger(b"{}") as (elsewhere, shown),
        stranger(b"{}", 302, Location=f"http://{elsewhere}/state") as (place, first),
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{elsewhere}")
        code, _, err = await ask("--admin", place)
    assert (code, first, shown) == (2, [SECRET], [])
    assert "answered 302" in err


async def test_what_refuses_us_can_say_nothing_to_the_terminal(ask):
    with stranger(json.dumps({"detail": "\x1b[2Jgone"}).encode(), 403) as (place, _):
        _, _, err = await ask("--admin", place)
    assert "\x1b" not in err
    assert "403 to /state: \ufffd[2Jgone" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--admin", "nowhere"], "write HOST:PORT"),
        (["--admin", ":80"], "write HOST:PORT"),
        (["--admin", "h:0"], "write HOST:PORT"),
        (["--watch", "0"], "write seconds from 0.1"),
        (["--watch", "nan"], "write seconds from 0.1"),
        (["--watch", "soon"], "write seconds from 0.1"),
        (["--output", "xml"], "xml"),
    ],
)
def test_options_that_cannot_be_followed_are_said(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["status", *arguments])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_an_address_of_version_6_is_understood_with_its_brackets():
    assert asking.place("[::1]:9180") == ("::1", 9180)
    assert str(asking.place("http://[::1]:9180/")) == "[::1]:9180"


def test_it_imports_nothing_heavy():
    code = "import sys\nfrom sidecar.cli import main\nmain(['status', '--admin', '127.0.0.1:1'])\nprint([m for m in ('aiohttp', 'asyncio', 'pydantic', 'ruamel', 'orjson', 'prometheus_client') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert ran.stdout == "[]\n"


# -- watched, and on a terminal -----------------------------------------------------------------------------------------


async def test_watched_it_prints_line_after_line_until_it_is_interrupted():
    async with standing("switch=refuse", policy=CALM) as town:
        command = [sys.executable, "-m", "sidecar", "status", *at(town), "--watch", "0.1", "--output", "json"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        before = json.loads(await process.stdout.readline())
        await town.chat()
        async with asyncio.timeout(10):
            while json.loads(await process.stdout.readline())["state"]["answering"] is None:
                pass
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 10)
    assert before["state"]["answering"] is None
    assert (process.returncode, err) == (1, b"")


async def on_a_terminal(*arguments: str, **environ: str) -> str:
    """What the command writes where a person looks."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "status", *arguments, stdout=theirs, env=kept | {"TERM": "xterm", "COLUMNS": "90"} | environ
    )  # fmt: skip
    os.close(theirs)

    def read() -> bytes:
        written = b""
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while piece := os.read(ours, 4096):
                written += piece
        os.close(ours)
        return written

    written = await asyncio.to_thread(read)
    await process.wait()
    return written.decode()


async def test_a_terminal_gets_colours_unless_it_wants_none():
    async with standing(policy=CALM) as town:
        await town.chat()
        painted = await on_a_terminal(*at(town))
        bare = await on_a_terminal(*at(town), NO_COLOR="1")
        dumb = await on_a_terminal(*at(town), TERM="dumb")
    assert "\x1b[32;1mNORMAL\x1b[0m" in painted
    assert "\x1b" not in bare + dumb
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 90 for line in painted.splitlines())


# -- the text, pure -----------------------------------------------------------------------------------------------------


async def told(*faults: str, chats: int = 3) -> dict[str, Any]:
    async with standing(*faults, policy=POLICY) as town:
        for _ in range(chats):
            await town.chat()
        return {path: (await town.ask("GET", f"{town.admin}/{path}")).json for path in status.PATHS}


WORKERS = [
    {"worker": number, "pid": 70 + number, "status": "serving", "up_seconds": 190.0, "connections": 12, "breakers": {"switch": "open"}}
    for number in range(2)
]  # fmt: skip


async def test_of_several_workers_each_has_a_line():
    everything = await told(chats=1)
    assert "worker 0" not in text(everything, "p", Look(200))
    everything["state"]["workers"] = WORKERS
    lines = text(everything, "p", Look(200)).splitlines()
    assert [line.strip() for line in lines if "worker" in line] == [
        f"worker {number} serving for 3 min 10 s · 12 connections · switch open" for number in range(2)
    ]


async def test_no_line_is_longer_than_the_terminal_is_wide_and_ascii_is_enough():
    everything = await told("switch=error")
    everything["state"]["overrides"] = [
        {"target": "switch", "kind": "off", "author": "ana " * 20, "reason": "why " * 40, "seconds_left": 4000.0}
    ]
    everything["state"]["policy_problems"] = ["policy.yaml:1:1: " + "bad " * 50]
    everything["state"]["workers"] = WORKERS
    for width, plain in itertools.product((40, 60, 80, 100, 200), (True, False)):
        written = text(everything, "127.0.0.1:9180", Look(width, plain=plain))
        assert max(map(len, written.splitlines())) <= width
        assert written.isascii() or not plain
        assert written.endswith("\n")


async def test_whatever_is_told_the_terminal_obeys_none_of_it():
    everything = await told()
    evil = "\x1b]0;owned\x07\x9b2J\r\n\u202eevil"
    state = everything["state"]
    state["overrides"] = [{"target": evil, "kind": evil, "author": evil, "reason": evil, "seconds_left": 1.0}]
    state["policy_problems"] = state["notes"] = [evil]
    state["workers"] = [WORKERS[0] | {"status": evil, "breakers": {evil: evil}}]
    state["version"] = state["policy"]["source"] = state["answering"]["provider"] = evil
    state["breaker_moves"] = {evil: {"before": evil, "after": evil, "why": evil, "seconds_ago": 1.0}}
    everything["state"]["targets"][evil] = state["targets"]["madre"]
    everything["calls"]["degraded"] = [
        call | {"provider": evil, "first_reason": evil} for call in everything["calls"]["last"]
    ]
    for width in (60, 300):
        written = text(everything, "127.0.0.1:9180", Look(width))
        assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(written)


async def test_a_target_that_is_probed_says_how_it_is_and_one_that_is_not_says_nothing():
    everything = await told(chats=1)
    assert "health of" not in text(everything, "p", Look(200))
    health = {
        "state": "down",
        "for_seconds": 75.2,
        "failures_in_row": [4, 3],
        "good_in_row": [0, 2],
        "heard_seconds_ago": 2.1,
    }
    targets = everything["state"]["targets"]
    targets["switch"]["health"] = health
    targets["madre"]["health"] = {
        **health,
        "state": "unknown",
        "for_seconds": None,
        "failures_in_row": [0, 3],
        "heard_seconds_ago": None,
    }
    written = text(everything, "p", Look(200))
    assert " unhealthy  closed" in written
    assert "health of switch: down for 1 min 15 s · 4 of 3 failed in a row · the last that counted 2 s ago\n" in written
    assert "health of madre: unknown · 0 of 2 good in a row · none counted yet\n" in written


SERVING = {
    "status": "serving",
    "policy": {"mode": "enforce"},
    "targets": {"switch": {}, "madre": {}},
    "policy_problems": [],
}


def answering(provider: str | None, *, degraded: bool) -> dict[str, Any]:
    return {"answering": {"provider": provider, "degraded": degraded}}


@pytest.mark.parametrize(
    ("change", "word", "words", "code"),
    [
        ({"answering": None}, "NO CHAT YET", "switch is asked first", 0),
        (answering("switch", degraded=False), "NORMAL", "switch answers", 0),
        (answering("madre", degraded=True), "DEGRADED", "madre answers instead of switch", 1),
        (answering("switch", degraded=True), "DEGRADED", "switch answers, but not in full", 1),
        (answering("local", degraded=True), "DEGRADED", "no target answers", 1),
        (answering(None, degraded=True), "FAILING", "503", 1),
        (answering("switch", degraded=False) | {"status": "draining"}, "NOT READY", "draining", 1),
        (answering("switch", degraded=False) | {"policy_problems": ["x"]}, "NORMAL", "switch answers", 1),
        ({"answering": None, "policy": {"mode": "off"}}, "MODE OFF", "relayed", 0),
        ({"answering": None, "policy": {"mode": "shadow"}}, "MODE SHADOW", "the gateway answers chat", 0),
        (answering("madre", degraded=True) | {"policy": {"mode": "shadow"}}, "MODE SHADOW", "only looks on", 0),
    ],
)
def test_who_answers_is_a_word_a_sentence_and_an_exit_code(change, word, words, code):
    state = SERVING | change
    assert headline(state)[1] == word
    assert words in headline(state)[2]
    assert status.verdict(state) == code


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (252, "4 min 12 s"),
        (3600, "1 h 0 min"),
        (11_040, "3 h 4 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_times_are_said_in_two_units(seconds, said):
    assert span(seconds) == said


def test_a_value_is_one_line_of_what_can_be_printed():
    assert clean("a\x1b[1m\nñ") == "a\ufffd[1m\ufffdñ"
    assert clean(7) == "7"


OBSERVED = {
    "chats": 120,
    "gateway": {"answered": 2, "degraded": 118},
    "late": 30,
    "differences": {"only_we_would_refuse": 4, "only_the_gateway_refused": 0, "for_the_ladder": 116},
    "p50_seconds": 0.012,
    "p95_seconds": 5.5,
}


async def test_what_mode_shadow_has_seen_is_said_in_two_sentences():
    everything = await told()
    everything["state"]["policy"]["mode"] = "shadow"
    everything["state"]["observed"] = OBSERVED
    lines = text(everything, "127.0.0.1:9180", Look(200)).splitlines()
    assert "MODE SHADOW" in lines[0]
    assert not any("last chat" in line for line in lines)
    assert "  observed 120 chats · 118 degraded · 2 answered · 30 late · p50 12 ms · p95 5.50 s" in lines
    assert (
        "  with mode enforce 116 that were degraded, late or failed would have gone to the targets, and 4 that passed would have been "
        "refused" in lines
    )
    everything["state"]["observed"] = OBSERVED | {"gateway": {}, "chats": 0, "p50_seconds": None, "p95_seconds": None}
    assert "observed 0 chats · nothing yet · 30 late · p50 - · p95 -" in text(everything, "p", Look(200))


CANDIDATE = {
    "revision": "abc123",
    "source": "candidate.yaml",
    "calls": 12,
    "agrees": 7,
    "differs": {"primary": {"local": 1, "not_primary": 2}, "fallback": {"local": 1}},
    "undecided": {"cut_off": 1, "not_asked": 2},
    "problems": [],
    "fault": None,
}


async def test_what_a_candidate_would_have_made_of_the_chats_is_said_in_two_sentences():
    everything = await told()
    assert "candidate" not in text(everything, "p", Look(200))
    everything["state"]["shadow"] = CANDIDATE
    lines = text(everything, "p", Look(200)).splitlines()
    assert "  candidate abc123 from candidate.yaml: 12 chats, 7 alike · 4 otherwise · 3 undecided" in lines
    assert "  otherwise: 2 primary to not_primary · 1 primary to local · 1 fallback to local" in lines
    everything["state"]["shadow"] = CANDIDATE | {"differs": {}, "undecided": {}}
    assert "otherwise:" not in text(everything, "p", Look(200))
    everything["state"]["shadow"] = {"revision": "abc123", "source": "c.yaml", "fault": "KeyError", "problems": []}
    assert "abc123" not in text(everything, "p", Look(200))
