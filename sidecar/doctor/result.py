"""What a check says: pure values, for people and for scripts."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warn", "fail", "skipped"]


class Result(NamedTuple):
    """``seen`` is one line; for ``skipped`` it is the reason. Of ``warn`` and ``fail`` cause and remedy are said in words."""

    state: State
    seen: str
    cause: str = ""
    remedy: str = ""


class Told(NamedTuple):
    """The result of the check named ``check``, which took ``seconds``."""

    check: str
    result: Result
    seconds: float


def ok(seen: str) -> Result:
    return Result("ok", seen)


def warn(seen: str, cause: str, remedy: str) -> Result:
    return Result("warn", seen, cause, remedy)


def fail(seen: str, cause: str, remedy: str) -> Result:
    return Result("fail", seen, cause, remedy)


def skipped(reason: str) -> Result:
    return Result("skipped", reason)


def took(seconds: float) -> str:
    """A time for people: ``3 ms``, ``2.1 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
