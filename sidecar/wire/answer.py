"""One complete answer of our own, as bytes."""

from __future__ import annotations

from http import HTTPStatus

Fields = dict[str, str]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
JSON = {"Content-Type": "application/json"}
_STARTS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_NO_CONTENT = 204


def answer(
    status: int, fields: Fields, body: bytes, *, close: bool, date: bytes = b"", head_only: bool = False
) -> bytes:
    """``date`` is a whole ``Date`` line without line ends; ``head_only`` leaves the body out, as HEAD wants it."""
    head = [_STARTS.get(status) or f"HTTP/1.1 {status} "]
    for name, value in fields.items():
        head.append("\r\n")
        head.append(name)
        head.append(": ")
        head.append(value)
    if status != _NO_CONTENT:
        head.append("\r\nContent-Length: ")
        head.append(str(len(body)))
    if date:
        head.append("\r\n")
        head.append(date.decode("ascii"))
    head.append("\r\nConnection: close\r\n\r\n" if close else "\r\n\r\n")
    whole = "".join(head).encode("latin-1", "replace")
    return whole if head_only or status == _NO_CONTENT else whole + body


def detail(
    status: int, word: str, *, close: bool, date: bytes = b"", head_only: bool = False, fields: Fields | None = None
) -> bytes:
    """An answer whose whole news is one closed word."""
    return answer(status, JSON | (fields or {}), detailed(word), close=close, date=date, head_only=head_only)


def detailed(word: str) -> bytes:
    """The body of such an answer."""
    return b'{"detail":"%s"}' % word.encode()
