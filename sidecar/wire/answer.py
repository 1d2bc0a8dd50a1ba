"""One complete answer of our own, as bytes."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

Fields = Iterable[tuple[str, str]]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
JSON = (("Content-Type", "application/json"),)
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_NO_CONTENT = 204


def answer(
    status: int, fields: Fields, body: bytes, *, close: bool, date: bytes = b"", head_only: bool = False
) -> bytes:
    """``date`` is a whole ``Date`` line without line ends; ``head_only`` leaves the body out, as HEAD wants it."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in fields]
    if status != _NO_CONTENT:
        lines.append(f"Content-Length: {len(body)}")
    if date:
        lines.append(date.decode("ascii"))
    if close:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1", "replace")
    return head + b"\r\n\r\n" + (b"" if head_only or status == _NO_CONTENT else body)


def detail(
    status: int, word: str, *, close: bool, date: bytes = b"", head_only: bool = False, fields: Fields = ()
) -> bytes:
    """An answer whose whole news is one closed word."""
    return answer(status, (*JSON, *fields), detailed(word), close=close, date=date, head_only=head_only)


def detailed(word: str) -> bytes:
    """The body of such an answer."""
    return b'{"detail":"%s"}' % word.encode()
