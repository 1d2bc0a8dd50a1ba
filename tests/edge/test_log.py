"""The log: lines of JSON, what is masked in them, and what a terminal gets."""

from __future__ import annotations

import errno
import json
import logging
import os
import pty
import re
import threading
from types import SimpleNamespace

import pytest

from sidecar.core.fact import (
    BreakerMoved,
    CallBegan,
    CallEnded,
    ChatObserved,
    ChatReplayed,
    ChatServed,
    HealthMoved,
    LimitMoved,
    MessageRefused,
    PolicyAdopted,
    StoreMoved,
)
from sidecar.core.value import replace
from sidecar.core.vocabulary import Finish, Reason
from sidecar.edge.outlets import log
from sidecar.edge.outlets.log import FactLog, Logging
from sidecar.policy.model import Policy


@pytest.fixture
def stderr(tmp_path, monkeypatch):
    """Standard error as a file; call it to read the lines."""
    with (tmp_path / "stderr").open("w") as file:
        monkeypatch.setattr(log, "sys", SimpleNamespace(stderr=file))
        yield lambda: [json.loads(line) for line in (tmp_path / "stderr").read_bytes().splitlines()]


@pytest.fixture
def written(stderr):
    """Log through ``written.log``; ``written()`` closes and reads."""

    class Written:
        def __init__(self):
            self.logging = Logging("debug")
            self.log = self.logging.log

        def __call__(self):
            self.logging.close()
            return stderr()

    written = Written()
    yield written
    written.logging.close()


def test_an_event_is_one_line_of_json(written):
    written.log.info("ready", listen="127.0.0.1:1", count=3, text="a\nb\u2028")
    (line,) = written()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("time"))
    assert line == {"event": "ready", "level": "info", "listen": "127.0.0.1:1", "count": 3, "text": "a\nb\u2028"}


def test_of_several_workers_each_names_itself_and_a_line_about_another_names_that_one(stderr):
    logging_ = Logging(worker=3)
    logging_.log.info("ready")
    logging_.log.error("worker_ended", worker=1)
    logging_.close()
    assert [line["worker"] for line in stderr()] == [3, 1]


def test_lines_of_several_workers_come_out_whole():
    """Into one pipe, which the system keeps together up to a size: more than that at once would be torn by the others' lines."""
    reading, writing = os.pipe()
    received = bytearray()

    def read():
        while piece := os.read(reading, 65536):
            received.extend(piece)

    def write(name):
        put = log._shared_writer(writing)
        for turn in range(60):
            put(b"".join(b"%s %d %s\n" % (name, turn, name * (20 + 7 * each)) for each in range(90)))
        put(b"%s long %s\n" % (name, name * 10_000))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b")]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    os.close(writing)
    reader.join()
    os.close(reading)
    lines = [line for line in bytes(received).splitlines() if len(line) < 4096]
    assert len(lines) >= 2 * 60 * 90
    assert not [line for line in lines if b" long " not in line and len(set(line) & set(b"ab")) > 1]


@pytest.mark.parametrize(("level", "events"), [("debug", "deiw"), ("info", "eiw"), ("warning", "ew"), ("error", "e")])
def test_the_level_decides_what_is_written(stderr, level, events):
    logging_ = Logging(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(logging_.log, name)(name)
    logging_.close()
    assert sorted(line["event"][0] for line in stderr()) == list(events)


@pytest.mark.parametrize(
    "name", ["token", "X-VX11-Token", "authorization", "Cookie", "query_string", "message", "client_secret", "PASSWORD"]
)
def test_a_field_that_is_named_like_a_secret_is_masked(written, name):
    written.log.warning("x", **{name: "s3cret", "other": "kept"})
    (line,) = written()
    assert (line[name], line["other"]) == ("***", "kept")


def test_a_secret_is_masked_every_time(written):
    for _ in range(3):
        written.log.info("x", token="s3cret", other="kept")
    assert [(line["token"], line["other"]) for line in written()] == [("***", "kept")] * 3


def test_the_absence_of_a_secret_is_no_secret(written):
    written.log.info("x", token=None)
    assert written()[0]["token"] is None


class _Mute:
    def __str__(self):
        raise RuntimeError("s3cret")


def _endless():
    value = []
    value.append(value)
    return value


ODD = [
    "\ud800",
    2**70,
    10**5000,
    {"a": "\udfff"},
    object,
    {1: 2},
    {(1, 2): 3},
    b"\xff",
    float("nan"),
    _Mute(),
    [_Mute()],
    _endless(),
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_no_value_makes_logging_fail(written, value):
    written.log.info("odd", value=value, status=200)
    (line,) = written()
    assert (line["event"], line["status"]) == ("odd", 200)


def test_fields_come_first_and_in_their_order_then_what_every_line_has(written):
    written.log.error("x", b=1, a=2)
    written.log.error("x", a=1, token="s3cret", b=2)
    assert [list(line) for line in written()] == [
        ["b", "a", "event", "level", "time"],
        ["a", "token", "b", "event", "level", "time"],
    ]


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (1_753_000_000_123_456_789, "2025-07-20T08:26:40.123456Z"),
        (1_753_000_000_000_000_999, "2025-07-20T08:26:40.000000Z"),
        (1_753_000_000_999_999_999, "2025-07-20T08:26:40.999999Z"),
        (1_753_000_001_000_050_000, "2025-07-20T08:26:41.000050Z"),
        (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000000Z"),
    ],
)
def test_the_time_is_utc_and_always_as_wide(written, monkeypatch, now, text):
    monkeypatch.setattr(log.time, "time_ns", lambda: now)
    written.log.info("before")
    written.log.info("x")
    assert [line["time"] for line in written()] == [text, text]


def test_after_the_end_records_of_libraries_go_elsewhere(written):
    written()
    assert not any(
        type(handler).__module__ == "sidecar.edge.outlets.libraries" for handler in logging.getLogger().handlers
    )


@pytest.fixture
def terminal(monkeypatch):
    """What a person sees who has a terminal for standard error."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    with os.fdopen(theirs, "w") as file:
        monkeypatch.setattr(log, "sys", SimpleNamespace(stderr=file))

        def seen(**fields):
            logging_ = Logging()
            logging_.log.info("hello", **fields)
            logging_.close()
            return os.read(ours, 4096).decode()

        yield seen
    os.close(ours)


@pytest.mark.parametrize(("no_colour", "coloured"), [(None, True), ("", True), ("1", False), ("0", False)])
def test_a_terminal_gets_readable_lines_with_colours_unless_told_otherwise(terminal, monkeypatch, no_colour, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour is not None:
        monkeypatch.setenv("NO_COLOR", no_colour)
    seen = terminal(answer=42, token="s3cret", odd="\ud800")
    assert "hello" in seen
    assert "42" in seen
    assert not seen.startswith("{")
    assert "s3cret" not in seen
    assert ("\x1b[" in seen) is coloured


def test_what_a_terminal_gets_can_neither_move_its_cursor_nor_pass_for_another_field(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    seen = terminal(
        plain="word",
        spaced="two words",
        bell="\x07\x1b[2J",
        c1="\x9b2J",
        feigned="x level=error",
        two="a\nb",
        mute=_Mute(),
    )
    _, _, fields = seen.partition("hello")
    assert fields.split() == [
        "plain=word", "spaced='two", "words'", r"bell='\x07\x1b[2J'", r"c1='\x9b2J'", "feigned='x", "level=error'", r"two='a\nb'",
        "mute=_Mute",
    ]  # fmt: skip
    assert not {"\x07", "\x1b", "\x9b"} & set(seen)


def test_a_line_at_a_terminal_begins_with_time_level_and_event(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z \[info   \] hello {26}empty=''\r?\n", terminal(empty=""))


def test_a_pipe_is_no_terminal_whatever_no_color_says(stderr, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    logging_ = Logging()
    logging_.log.info("hello")
    logging_.close()
    assert stderr()[0]["event"] == "hello"


# -- facts -------------------------------------------------------------------------------------------------------------

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SERVED = ChatServed(2.0, 1, "corr-1", "fallback", 200, 1.23456789, 0.001, trace_id=TRACE)


def test_a_call_is_one_line_with_what_came_of_it(written):
    facts = FactLog(written.log)
    facts(CallBegan(1.0, 1, 4.75, "corr-1", "rev"))
    facts(CallEnded(2.0, 1, 1.2, Finish("madre", 1, degraded=True, reason=Reason.TIMEOUT), Reason.TIMEOUT, 2))
    facts(SERVED)
    (line,) = written()
    del line["time"]
    assert line == {
        "event": "chat", "level": "info", "correlation_id": "corr-1", "outcome": "fallback", "status": 200,
        "provider": "madre", "reason": "timeout", "attempts": 2, "seconds": 1.234568,
        "trace_id": TRACE, "revision": "rev",
    }  # fmt: skip


def test_a_call_whose_plan_never_ended_is_still_a_line(written):
    FactLog(written.log)(replace(SERVED, outcome="client_gone", status=499))
    (line,) = written()
    assert (line["provider"], line["reason"], line["attempts"], line["revision"]) == (None, None, 0, None)


def test_a_chat_that_was_answered_before_is_one_line_that_leads_to_the_first(written):
    FactLog(written.log)(ChatReplayed(2.0, "corr-2", "corr-1", 200, 0.00012345))
    (line,) = written()
    line.pop("time")
    assert line == {
        "event": "chat_replayed", "level": "info", "correlation_id": "corr-2", "first": "corr-1", "status": 200, "seconds": 0.000123,
    }  # fmt: skip


def test_nothing_of_a_call_that_was_served_is_kept(written):
    facts = FactLog(written.log)
    for call in range(5):
        facts(CallBegan(1.0, call, 4.75, "corr-1", "rev"))
        facts(CallEnded(2.0, call, 1.2, Finish("switch", 1, degraded=False, reason=None), None, 1))
        facts(replace(SERVED, call=call))
    assert not facts._ended
    assert not facts._began


def test_that_nobody_but_the_gateway_answers_is_said_with_the_policy_and_each_chat_in_closed_words(written):
    facts = FactLog(written.log)
    facts(PolicyAdopted(1.0, "rev", "built-in", Policy(mode="shadow")))
    facts(ChatObserved(1.0, "chat", "rate_limited", "degraded", 200, 5.1234567, late=True))
    lines = [{key: line[key] for key in line if key != "time"} for line in written()]
    assert lines == [
        {"event": "policy_adopted", "level": "info", "revision": "rev", "source": "built-in", "mode": "shadow"},
        {"event": "mode_shadow", "level": "warning", "note": "the gateway answers chat, the sidecar only looks on"},
        {
            "event": "chat_observed", "level": "info", "route": "chat", "would": "rate_limited", "gateway": "degraded", "status": 200,
            "seconds": 5.123457, "late": True,
        },
    ]  # fmt: skip


def test_what_moves_rarely_is_said(written):
    facts = FactLog(written.log)
    facts(BreakerMoved(1.0, "switch", "closed", "open", "consecutive", 5.0))
    facts(LimitMoved(1.0, "switch", 4, 2, "latency"))
    facts(HealthMoved(1.0, "switch", "up", "down", "failed", 3, 0))
    facts(HealthMoved(1.0, "switch", "unknown", "up", "recovered", 0, 2))
    facts(PolicyAdopted(1.0, "rev", "built-in", Policy()))
    facts(MessageRefused(1.0, 400, "field"))
    facts(StoreMoved(1.0, up=False, why="timeout"))
    facts(StoreMoved(2.0, up=True))
    lines = [{key: line[key] for key in line if key != "time"} for line in written()]
    levels = [line.pop("level") for line in lines]
    assert sorted(levels) == ["debug", "info", "info", "info", "info", "warning", "warning", "warning"]
    assert lines == [
        {"event": "breaker_moved", "target": "switch", "before": "closed", "after": "open", "why": "consecutive"},
        {"event": "limit_moved", "target": "switch", "before": 4, "after": 2, "why": "latency"},
        {"event": "health_moved", "target": "switch", "before": "up", "after": "down", "why": "failed"},
        {"event": "health_moved", "target": "switch", "before": "unknown", "after": "up", "why": "recovered"},
        {"event": "policy_adopted", "revision": "rev", "source": "built-in", "mode": "enforce"},
        {"event": "message_refused", "status": 400, "why": "field"},
        {
            "event": "shared_store_away",
            "why": "timeout",
            "note": "limits hold for each replica alone until it is back",
        },
        {"event": "shared_store_up"},
    ]


@pytest.mark.parametrize("made", [log._writer, log._shared_writer])
def test_a_line_that_a_full_disk_has_torn_ends_before_the_next_one(tmp_path, monkeypatch, made):
    """What is lost is lost; what comes after it must not be part of a line that nobody can read."""
    real, room = os.write, 12

    def write(descriptor, data):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, bytes(data[:room]))
        room -= written
        return written

    monkeypatch.setattr(log.os, "write", write)
    with (tmp_path / "log").open("wb") as file:
        put = made(file.fileno())
        for _ in range(2):  # the second finds no room at all
            with pytest.raises(OSError, match="No space"):
                put(b'{"a":1}\n{"b":1}\n')
        room = 100
        put(b'{"c":1}\n')
        put(b'{"d":1}\n')
    assert (tmp_path / "log").read_bytes() == b'{"a":1}\n{"b"\n{"c":1}\n{"d":1}\n'


def test_a_batch_of_which_nothing_was_written_leaves_nothing_to_end(tmp_path, monkeypatch):
    real = os.write
    with (tmp_path / "log").open("wb") as file:
        put = log._writer(file.fileno())
        put(b'{"a":1}\n')
        monkeypatch.setattr(log.os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        with pytest.raises(OSError, match="No space"):
            put(b'{"b":1}\n')
        monkeypatch.setattr(log.os, "write", real)
        put(b'{"c":1}\n')
    assert (tmp_path / "log").read_bytes() == b'{"a":1}\n{"c":1}\n'
