"""The log: one structured line per event on standard error; JSON, or readable where a person looks at a terminal.

No token, query string or message text is ever given to it; as a second line of defence, fields whose names say that they hold one are
masked. Lines of libraries pass as their logger's name and the type of the error: their texts quote requests. Of each kind of event only so
many lines pass in a second; the rest is counted, and said in one line ``suppressed`` when the second is over.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from select import PIPE_BUF
from typing import Any

import orjson

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
from sidecar.edge.microseconds import in_seconds
from sidecar.edge.outlets.libraries import Libraries
from sidecar.edge.outlets.outbox import Outbox, Write
from sidecar.edge.outlets.sampling import Sampling
from sidecar.edge.outlets.sink import Sink

_SECRET = ("token", "authorization", "cookie", "query", "message", "secret", "password")

LEVELS = ("debug", "info", "warning", "error")
_DEBUG, _INFO, _WARNING, _ERROR = range(len(LEVELS))

_SUPPRESSED = "suppressed"

Fields = dict[str, Any]


class Logging:
    """Where log lines go. One per process; ``tick`` is called about once a second, ``close`` writes what is queued."""

    def __init__(
        self,
        level: str = "info",
        now: Callable[[], float] = time.monotonic,
        *,
        libraries: bool = True,
        worker: int | None = None,
    ) -> None:
        """``now`` is monotonic seconds. Without ``libraries`` their lines are left to whoever else set up logging in this process.

        ``worker`` is which of several processes this is: it stands in every line, and lines of all of them come out whole.
        """
        stream = sys.stderr
        self.sampling = Sampling(now)
        write = _writer(stream.fileno()) if worker is None else _shared_writer(stream.fileno())
        self.outbox = Outbox[bytes]("log", write, b"".join)
        self.log = Log(self.outbox.put, _for_people() if stream.isatty() else _json, self.sampling.admit, worker)
        self.set_level(level)
        self._libraries = Libraries(self.log.warning)
        if libraries:
            root = logging.getLogger()
            root.addHandler(self._libraries)
            root.setLevel(logging.WARNING)

    def set_level(self, level: str) -> None:
        """Log from ``level`` on. Raises ValueError for what is none of ``LEVELS``."""
        if level not in LEVELS:
            raise ValueError(f"level: {level!r} is none of {', '.join(LEVELS)}")
        self.log.threshold = LEVELS.index(level)

    @property
    def level(self) -> str:
        return LEVELS[self.log.threshold]

    def tick(self, *, at_once: bool = False) -> None:
        """Say what was left out in the seconds that are over."""
        for kind, lines in self.sampling.over(at_once=at_once):
            self.log.warning(_SUPPRESSED, kind=kind, lines=lines)

    def close(self) -> None:
        logging.getLogger().removeHandler(self._libraries)
        self.tick(at_once=True)
        self.outbox.close()


class Log:
    """One line for each call, with any fields: they come first and in their order, then event, level and time. Never raises."""

    def __init__(
        self,
        put: Callable[[bytes], None],
        render: Callable[[Fields], bytes],
        admit: Callable[[str], bool],
        worker: int | None = None,
    ) -> None:
        """``admit`` says whether one more line of an event may be written."""
        self._worker = worker
        self.threshold = _DEBUG
        self._put = put
        self._render = render
        self._admit = admit
        self._moment = _Moments()
        self._plain: set[str] = set()  # names of fields that are known to hold no secret

    def debug(self, event: str, /, **fields: Any) -> None:
        if self.threshold <= _DEBUG:
            self._write("debug", event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        if self.threshold <= _INFO:
            self._write("info", event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        if self.threshold <= _WARNING:
            self._write("warning", event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Fields) -> None:
        if event != _SUPPRESSED and not self._admit(event):
            return
        if not fields.keys() <= self._plain:
            self._mask(fields)
        if self._worker is not None:
            fields.setdefault("worker", self._worker)
        fields["event"] = event
        fields["level"] = level
        fields["time"] = self._moment()
        self._put(self._render(fields) + b"\n")  # a copy: what orjson made keeps room for 4 KiB as long as it lives

    def _mask(self, fields: Fields) -> None:
        for name in fields.keys() - self._plain:
            if not any(word in name.lower() for word in _SECRET):
                self._plain.add(name)
            elif fields[name] is not None:
                fields[name] = "***"


class FactLog(Sink):
    """Facts that people read: one line per call, and whatever moves rarely."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._began: dict[int, CallBegan] = {}
        self._ended: dict[int, CallEnded] = {}

        self.takes = {
            CallBegan: (self._call_began,),
            CallEnded: (self._call_ended,),
            ChatServed: (self._served,),
            ChatReplayed: (self._replayed,),
            BreakerMoved: (self._moved,),
            LimitMoved: (self._limited,),
            HealthMoved: (self._health_moved,),
            PolicyAdopted: (self._adopted,),
            ChatObserved: (self._chat_observed,),
            MessageRefused: (self._message_refused,),
            StoreMoved: (self._store_moved,),
        }

    def _call_began(self, fact: CallBegan) -> None:
        self._began[fact.call] = fact

    def _call_ended(self, fact: CallEnded) -> None:
        self._ended[fact.call] = fact

    def _moved(self, fact: BreakerMoved) -> None:
        self._log.warning("breaker_moved", target=fact.target, before=fact.before, after=fact.after, why=fact.why)

    def _health_moved(self, fact: HealthMoved) -> None:
        say = self._log.warning if "down" in (fact.before, fact.after) else self._log.info
        say("health_moved", target=fact.target, before=fact.before, after=fact.after, why=fact.why)

    def _limited(self, fact: LimitMoved) -> None:
        self._log.debug("limit_moved", target=fact.target, before=fact.before, after=fact.after, why=fact.why)

    def _adopted(self, fact: PolicyAdopted) -> None:
        self._log.info("policy_adopted", revision=fact.revision, source=fact.source, mode=fact.policy.mode)
        if fact.policy.mode == "shadow":
            self._log.warning("mode_shadow", note="the gateway answers chat, the sidecar only looks on")

    def _chat_observed(self, fact: ChatObserved) -> None:
        self._log.info(
            "chat_observed", route=fact.route, would=fact.would, gateway=fact.gateway, status=fact.status, seconds=in_seconds(fact.seconds),
            late=fact.late,
        )  # fmt: skip

    def _message_refused(self, fact: MessageRefused) -> None:
        self._log.info("message_refused", status=fact.status, why=fact.why)

    def _store_moved(self, fact: StoreMoved) -> None:
        if fact.up:
            self._log.info("shared_store_up")
        else:
            self._log.warning(
                "shared_store_away", why=fact.why, note="limits hold for each replica alone until it is back"
            )

    def _served(self, fact: ChatServed) -> None:
        began, ended = self._began.pop(fact.call, None), self._ended.pop(fact.call, None)
        finish = ended.finish if ended else None
        self._log.info(
            "chat",
            correlation_id=fact.correlation_id,
            trace_id=fact.trace_id,
            outcome=fact.outcome,
            status=fact.status,
            provider=finish.provider if finish else None,
            reason=finish.reason.value if finish and finish.reason else None,
            attempts=ended.attempts if ended else 0,
            seconds=in_seconds(fact.seconds),
            revision=began.revision if began else None,
        )

    def _replayed(self, fact: ChatReplayed) -> None:
        self._log.info(
            "chat_replayed", correlation_id=fact.correlation_id, first=fact.first, status=fact.status, seconds=in_seconds(fact.seconds),
        )  # fmt: skip


class _Moments:
    """The time of day in UTC, to the microsecond. A second is put into words once: nothing else of a line costs as much."""

    def __init__(self) -> None:
        self._second = (-1, "")

    def __call__(self) -> str:
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        second = self._second
        if second[0] != seconds:
            second = self._second = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
        return f"{second[1]}.{nanos // 1000:06}Z"


def _json(fields: Fields) -> bytes:
    try:
        return orjson.dumps(fields, default=str)
    except TypeError:  # a lone surrogate, a number beyond 64 bits: no reason to fail whoever logs
        return json.dumps({name: _sayable(value) for name, value in fields.items()}, default=str).encode()


def _sayable(value: object) -> object:
    try:
        json.dumps(value, default=str)
    except Exception:  # noqa: BLE001 - its own ``__str__`` may raise anything
        return type(value).__name__
    return value


def _for_people() -> Callable[[Fields], bytes]:
    from sidecar.edge.outlets.terminal import Line  # noqa: PLC0415 - where lines are collected nobody needs it

    return Line(coloured=not os.environ.get("NO_COLOR"))


def _writer(descriptor: int) -> Write:
    """Where a full disk leaves a part of a line, that ends before the next one: nobody could read either of them."""
    torn = False

    def write(lines: bytes) -> None:
        nonlocal torn
        if torn:
            lines = b"\n" + lines
        view = memoryview(lines)
        try:
            while view:
                written = os.write(descriptor, view)  # not within the slice: mypyc does what stands there twice
                view = view[written:]
        finally:
            taken = len(lines) - len(view)
            if taken:
                torn = lines[taken - 1 : taken] != b"\n"

    return write


def _shared_writer(descriptor: int) -> Write:
    """For a pipe into which others write, too: whole lines, as many at once as the system keeps together."""
    one = _writer(descriptor)

    def write(lines: bytes) -> None:
        begin = 0
        while begin < len(lines):
            end = lines.rfind(b"\n", begin, begin + PIPE_BUF) + 1
            if not end:  # a line that is longer than that
                end = lines.find(b"\n", begin) + 1
            one(lines[begin:end])
            begin = end

    return write
