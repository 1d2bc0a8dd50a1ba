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
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any

import orjson
import structlog

from sidecar.core.fact import (
    BreakerMoved,
    CallBegan,
    CallEnded,
    ChatObserved,
    ChatServed,
    Fact,
    MessageRefused,
    PolicyAdopted,
)
from sidecar.edge.outlets.outbox import Outbox
from sidecar.edge.outlets.sampling import Sampling

_SECRET = ("token", "authorization", "cookie", "query", "message", "secret", "password")

LEVELS = ("debug", "info", "warning", "error")

_SUPPRESSED = "suppressed"

Log = Any  # structlog's bound logger: its methods take any fields


class Logging:
    """Where log lines go. One per process; ``tick`` is called about once a second, ``close`` writes what is queued."""

    def __init__(self, level: str = "info", now: Callable[[], float] = time.monotonic) -> None:
        """``now`` is monotonic seconds."""
        stream = sys.stderr
        self.sampling = Sampling(now)
        self.outbox = Outbox("log", _writer(stream.fileno()))
        colors = not os.environ.get("NO_COLOR")
        renderer: Any = structlog.processors.JSONRenderer(_json)
        if stream.isatty():
            renderer = structlog.dev.ConsoleRenderer(colors=colors)
        self._threshold = _Threshold(level)
        self.log: Log = structlog.wrap_logger(
            _Lines(self.outbox),
            processors=[
                self._threshold,
                self._sampled,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                _masked,
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
            cache_logger_on_first_use=True,
        )
        self._libraries = _Libraries(self.log)
        root = logging.getLogger()
        root.addHandler(self._libraries)
        root.setLevel(logging.WARNING)

    def set_level(self, level: str) -> None:
        """Log from ``level`` on. Raises ValueError for what is none of ``LEVELS``."""
        if level not in LEVELS:
            raise ValueError(f"level: {level!r} is none of {', '.join(LEVELS)}")
        self._threshold.level = LEVELS.index(level)

    def tick(self, *, at_once: bool = False) -> None:
        """Say what was left out in the seconds that are over."""
        for kind, lines in self.sampling.over(at_once=at_once):
            self.log.warning(_SUPPRESSED, kind=kind, lines=lines)

    def close(self) -> None:
        logging.getLogger().removeHandler(self._libraries)
        self.tick(at_once=True)
        self.outbox.close()

    def _sampled(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        kind = event["event"]
        if kind != _SUPPRESSED and not self.sampling.admit(kind):
            raise structlog.DropEvent
        return event


class FactLog:
    """Facts that people read: one line per call, and whatever moves rarely."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._began: dict[int, CallBegan] = {}
        self._ended: dict[int, CallEnded] = {}

    def __call__(self, fact: Fact) -> None:
        match fact:
            case CallBegan():
                self._began[fact.call] = fact
            case CallEnded():
                self._ended[fact.call] = fact
            case ChatServed():
                self._served(fact, self._began.pop(fact.call, None), self._ended.pop(fact.call, None))
            case BreakerMoved():
                self._log.warning(
                    "breaker_moved", target=fact.target, before=fact.before, after=fact.after, why=fact.why
                )
            case PolicyAdopted():
                self._log.info("policy_adopted", revision=fact.revision, source=fact.source, mode=fact.policy.mode)
                if fact.policy.mode == "shadow":
                    self._log.warning("mode_shadow", note="the gateway answers chat, the sidecar only looks on")
            case ChatObserved():
                self._log.info(
                    "chat_observed", route=fact.route, would=fact.would, gateway=fact.gateway, status=fact.status,
                    seconds=round(fact.seconds, 6), late=fact.late,
                )  # fmt: skip
            case MessageRefused():
                self._log.info("message_refused", status=fact.status, why=fact.why)

    def _served(self, fact: ChatServed, began: CallBegan | None, ended: CallEnded | None) -> None:
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
            seconds=round(fact.seconds, 6),
            revision=began.revision if began else None,
        )


class _Threshold:
    """Drops what is below a level that may change while we run."""

    def __init__(self, level: str) -> None:
        self.level = LEVELS.index(level)

    def __call__(self, _: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if method in LEVELS and LEVELS.index(method) < self.level:
            raise structlog.DropEvent
        return event


class _Lines:
    """The logger that structlog wraps: a line is put into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def msg(self, line: str | bytes) -> None:
        self._outbox.put(line.encode("utf-8", "replace") if isinstance(line, str) else line)

    debug = info = warning = error = critical = msg


class _Libraries(logging.Handler):
    """Records of libraries, without their texts."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        where = traceback.extract_tb(error.__traceback__)[-1:] if error else []
        self._log.warning(
            "library",
            logger=record.name,
            error=type(error).__name__ if error else None,
            at=f"{where[0].filename}:{where[0].lineno}" if where else f"{record.pathname}:{record.lineno}",
        )


def _masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET) and event[key] is not None:
            event[key] = "***"
    return event


def _json(event: Any, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=str)
    except TypeError:  # a lone surrogate, a number beyond 64 bits: no reason to fail whoever logs
        return json.dumps(event, default=str).encode()


def _writer(descriptor: int) -> Any:
    def write(lines: bytes) -> None:
        view = memoryview(lines)
        while view:
            view = view[os.write(descriptor, view) :]

    return write
