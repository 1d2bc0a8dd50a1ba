"""The faults. Each says what a target does on the wire, and what that is worth: an outcome after so many seconds, and a verdict.

The verdict is stated here and not asked of the engine, so that table and engine can disagree. What a fault is to madre it is to the
switch, but for the bodies that only one of them sends.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal, NamedTuple

from benchmarks.faults.target import (
    MADRE,
    SWITCH,
    Manner,
    bytes_,
    late,
    one_at_a_time,
    says,
    well,
    well_and_closed_soon,
    whole,
)
from sidecar.core.vocabulary import ErrorKind, Outcome

ATTEMPT = 0.4  # seconds that an attempt may take, by the suite's policy
SOON = 0.02  # seconds of an answer on virtual time
LONG = 3600.0
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
GOOD = json.dumps(SWITCH).encode()

Verdict = Literal["answer", "waiting", "failure", "unsent", "timeout", "misconfigured", "caller_error"]
"""unsent: a failure before anything was sent, so that it may be tried again."""


class Comes(NamedTuple):
    """What comes of one attempt. ``manner`` None: nobody listens; ``dns``: the name does not resolve."""

    verdict: Verdict
    outcome: Outcome
    manner: Manner | None
    seconds: float = SOON
    dns: bool = False


class Fault(NamedTuple):
    """``comes`` tells what comes of a target's attempts, by their number from 0. ``of``: the targets that can do this.

    ``at_once`` chats are sent together; ``leaves``: the client goes after so many seconds.
    """

    name: str
    comes: Callable[[int], Comes]
    of: tuple[str, ...] = ("switch", "madre")
    at_once: int = 1
    leaves: float | None = None


def _answered(
    status: int, *, body: dict[str, str] | None = None, text: bool = False, retry_after: float | None = None
) -> Outcome:
    return Outcome(None, status, body or {}, text, retry_after)


def _error(kind: ErrorKind) -> Outcome:
    return Outcome(error=kind)


def failed(kind: ErrorKind, *pieces: bytes, then: str = "close", seconds: float = SOON) -> Comes:
    return Comes("failure", _error(kind), bytes_(*pieces, then=then), seconds)


def silent(*pieces: bytes, every: float = 0.0) -> Comes:
    return Comes("timeout", _error(ErrorKind.TIMEOUT), bytes_(*pieces, every=every), LONG)


def status(number: int, verdict: Verdict, *fields: str, retry_after: float | None = None, plain: bool = False) -> Comes:
    said = b"Internal Server Error" if plain else b'{"detail": "x"}'
    message = whole(number, said, *fields, kind="text/plain" if plain else "application/json")
    return Comes(verdict, _answered(number, retry_after=retry_after), bytes_(message, then="kept"))


def body(verdict: Verdict, value: dict[str, object], *, text: bool) -> Comes:
    word = value.get("status")
    outcome = _answered(200, body={"status": str(word)} if word else {}, text=text)
    return Comes(verdict, outcome, says(200, value))


def no_json(content: bytes) -> Comes:
    return Comes("failure", _error(ErrorKind.NOT_JSON), bytes_(whole(200, content), then="kept"))


def always(comes: Comes) -> Callable[[int], Comes]:
    return lambda _: comes


def by_turns(*turns: Comes) -> Callable[[int], Comes]:
    return lambda turn: turns[turn % len(turns)]


def first(count: int, comes: Comes, then: Comes) -> Callable[[int], Comes]:
    return lambda turn: comes if turn < count else then


ANSWER = Comes("answer", _answered(200, body={"status": "ok"}, text=True), well)
REFUSED = Comes("unsent", _error(ErrorKind.CONNECT), None)
UNKNOWN = Comes("unsent", _error(ErrorKind.DNS), None, dns=True)
_LENGTH = b"content-length: %d\r\n\r\n"

FAULTS = (
    Fault("well", always(ANSWER)),
    Fault("refuses connections", always(REFUSED)),
    Fault("reset before the head", always(failed(ErrorKind.RESET, then="reset"))),
    Fault("closed before the head", always(failed(ErrorKind.RESET))),
    Fault("reset within the head", always(failed(ErrorKind.RESET, HEAD, then="reset"))),
    Fault("reset within the body", always(failed(ErrorKind.TRUNCATED, HEAD + _LENGTH % len(GOOD) + GOOD[:9], then="reset"))),
    Fault("silent before the head", always(silent())),
    Fault("silent within the head", always(silent(HEAD))),
    Fault("silent within the body", always(silent(HEAD + _LENGTH % len(GOOD) + GOOD[:9]))),
    Fault("trickles", always(silent(*(bytes([byte]) for byte in HEAD + _LENGTH % len(GOOD)), every=0.02))),
    Fault("garbage", always(failed(ErrorKind.PROTOCOL, b"\x16\x03\x01 not HTTP\r\n\r\n"))),
    Fault("body shorter than its length", always(failed(ErrorKind.TRUNCATED, HEAD + _LENGTH % (len(GOOD) + 9) + GOOD))),
    Fault("body longer than its length", always(failed(ErrorKind.PROTOCOL, HEAD + _LENGTH % 9 + GOOD))),
    Fault("two lengths", always(failed(ErrorKind.PROTOCOL, HEAD + b"content-length: 9\r\n" + _LENGTH % len(GOOD) + GOOD))),
    Fault("chunks that are none", always(failed(ErrorKind.PROTOCOL, HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n"))),
    Fault("invalid JSON", always(no_json(b'{"reply": '))),
    Fault("JSON that is no object", always(no_json(b'["hola"]'))),
    Fault("JSON nested deeply", always(no_json(b"[" * 100_000 + b"]" * 100_000))),
    Fault("JSON of 2 MiB", always(failed(ErrorKind.TOO_LARGE, whole(200, b'{"reply": "' + b"x" * (2 << 20) + b'"}')))),
    Fault("nothing at all", always(no_json(b""))),
    Fault("a web page", always(Comes("failure", _error(ErrorKind.NOT_JSON), bytes_(whole(200, b"<html>", kind="text/html"), then="kept")))),
    Fault("500 as text/plain", always(status(500, "failure", plain=True))),
    Fault("502", always(status(502, "failure"))),
    Fault("503", always(status(503, "failure"))),
    Fault("503 with Retry-After", always(status(503, "failure", "retry-after: 1", retry_after=1.0))),
    Fault("504", always(status(504, "failure"))),
    Fault("429", always(status(429, "failure", "retry-after: 30", retry_after=30.0))),
    Fault("400", always(status(400, "caller_error"))),
    Fault("401", always(status(401, "misconfigured"))),
    Fault("403", always(status(403, "misconfigured"))),
    Fault("422", always(status(422, "misconfigured"))),
    Fault("200 with status error", always(body("failure", {"status": "error", "content": "x"}, text=False))),
    Fault("200 with status partial", always(body("failure", SWITCH | {"status": "partial"}, text=True)), of=("switch",)),
    Fault("200 without a reply", always(body("failure", {"status": "ok"}, text=False))),
    Fault("waits for a confirmation", always(body("waiting", MADRE | {"status": "WAITING"}, text=True)), of=("madre",)),
    Fault("one at a time, its health, too", always(Comes("answer", ANSWER.outcome, one_at_a_time(0.05), 0.05)), at_once=3),
    Fault("kept connections are closed", always(Comes("answer", ANSWER.outcome, well_and_closed_soon))),
    Fault("closed as the request comes", by_turns(ANSWER, failed(ErrorKind.RESET))),
    Fault("name does not resolve, then does", first(2, UNKNOWN, ANSWER)),
    Fault("name does not resolve", always(UNKNOWN)),
    Fault("refuses, then listens", first(2, REFUSED, ANSWER)),
    Fault("flapping", by_turns(ANSWER, status(503, "failure"))),
    Fault("slow half of the time", by_turns(ANSWER, Comes("timeout", _error(ErrorKind.TIMEOUT), late(ATTEMPT * 3), LONG))),
    Fault("the client leaves", always(silent()), of=("switch",), leaves=0.15),
)  # fmt: skip
WELL = FAULTS[0]
_DOWN = next(fault for fault in FAULTS if fault.name == "503")


def alone(fault: Fault) -> dict[str, Fault]:
    """A ladder in which this is what is wrong; what only madre does is met where the switch has failed."""
    return {"switch": fault, "madre": WELL} if "switch" in fault.of else {"switch": _DOWN, "madre": fault}


def pairs() -> list[dict[str, Fault]]:
    """Every fault of the switch with every one of madre, but for what clients do."""
    return [
        {"switch": switch, "madre": madre}
        for switch in FAULTS
        for madre in FAULTS
        if "switch" in switch.of and "madre" in madre.of and switch.leaves is None
    ]
