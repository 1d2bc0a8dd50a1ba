"""A second reader of HTTP/1.1, written from RFC 9112 without a look at ``sidecar.wire``: the judge of the fuzzers.

It takes whole streams, knows no limits and no policy, and works on split lines rather than by expressions, so that an
error is unlikely to be made twice. Where it finds a message wrong, nobody may pass it on.
"""

from __future__ import annotations

from typing import NamedTuple

TCHARS = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
DIGITS = frozenset(b"0123456789")
HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
WHITE = b" \t"


class WrongError(ValueError):
    """No message, whatever follows."""


class ShortError(ValueError):
    """More has to come."""


class Message(NamedTuple):
    """``first`` are the three words of the first line; names are in lower case, values are stripped."""

    first: tuple[bytes, bytes, bytes]
    fields: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]

    def values(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.fields if known == name]


class Stream(NamedTuple):
    """``rest`` begins where the last complete message ends. ``wrong`` says why nothing more can come of it."""

    messages: list[Message]
    rest: bytes
    wrong: str | None


def requests(data: bytes) -> Stream:
    """All requests at the beginning of a stream."""
    found: list[Message] = []
    while True:
        while data.startswith(b"\r\n"):
            data = data[2:]
        try:
            message, data = _request(data)
        except WrongError as wrong:
            return Stream(found, data, str(wrong))
        except ShortError:
            return Stream(found, data, None)
        found.append(message)


def answers(data: bytes, methods: list[bytes], *, ended: bool) -> Stream:
    """The final answers to requests with these ``methods``, and interim ones before them. ``ended`` when the connection did."""
    found: list[Message] = []
    finals = 0
    while data:
        try:
            message, data = _answer(data, methods[finals] if finals < len(methods) else b"", ended=ended)
        except WrongError as wrong:
            return Stream(found, data, str(wrong))
        except ShortError:
            return Stream(found, data, None)
        found.append(message)
        status = int(message.first[1])
        finals += status >= 200
        if status == 101:
            return Stream(found, data, "tunnel")
    return Stream(found, b"", None)


def chunks(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """The data, the trailers and what follows a chunked body. Raises WrongError and ShortError."""
    body = b""
    while True:
        line, data = _line(data)
        size = _size(line)
        if size == 0:
            break
        if len(data) >= size and data[size : size + 1] not in (b"", b"\r"):
            raise WrongError("no line end after a chunk")
        if len(data) >= size + 2 and data[size : size + 2] != b"\r\n":
            raise WrongError("no line end after a chunk")
        if len(data) < size + 2:
            raise ShortError
        body += data[:size]
        data = data[size + 2 :]
    trailers: list[tuple[bytes, bytes]] = []
    while True:
        line, data = _line(data)
        if not line:
            return body, trailers, data
        trailers.append(_field(line))


def _request(data: bytes) -> tuple[Message, bytes]:
    lines, rest = _head(data)
    words = lines[0].split(b" ")
    if len(words) != 3 or not words[1]:
        raise WrongError("request line")
    method, target, version = words
    _token(method)
    if version not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise WrongError("version")
    if any(byte < 0x21 or byte == 0x7F for byte in target):
        raise WrongError("target")
    fields = [_field(line) for line in lines[1:]]
    length = _framing(fields, old=version == b"HTTP/1.0")
    body, trailers, rest = _body(rest, length)
    return Message((method, target, version), fields, body, trailers), rest


def _answer(data: bytes, method: bytes, *, ended: bool) -> tuple[Message, bytes]:
    lines, rest = _head(data)
    words = lines[0].split(b" ", 2)
    if len(words) < 3 or words[0] not in (b"HTTP/1.0", b"HTTP/1.1") or len(words[1]) != 3:
        raise WrongError("status line")
    if not set(words[1]) <= DIGITS or words[1] < b"100":
        raise WrongError("status")
    first = (words[0], words[1], words[2])
    fields = [_field(line) for line in lines[1:]]
    length = _framing(fields, old=False)
    status = int(words[1])
    if status < 200 or status in (204, 304) or method == b"HEAD":
        return Message(first, fields, b"", []), rest
    if length is None:
        if not ended:
            raise ShortError
        return Message(first, fields, rest, []), b""
    body, trailers, rest = _body(rest, length)
    return Message(first, fields, body, trailers), rest


def _head(data: bytes) -> tuple[list[bytes], bytes]:
    end = data.find(b"\r\n\r\n")
    part = data if end < 0 else data[:end]
    lines = part.split(b"\r\n")
    if end < 0:
        lines[-1] = lines[-1].removesuffix(b"\r")
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise WrongError("bare line end")
    if end < 0:
        raise ShortError
    return lines, data[end + 4 :]


def _line(data: bytes) -> tuple[bytes, bytes]:
    line, mark, rest = data.partition(b"\n")
    if not mark:
        raise ShortError
    if not line.endswith(b"\r") or b"\r" in line[:-1]:
        raise WrongError("bare line end")
    return line[:-1], rest


def _token(word: bytes) -> None:
    if not word or not set(word) <= TCHARS:
        raise WrongError("token")


def _text(value: bytes) -> bytes:
    if any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in value):
        raise WrongError("control byte")
    return value.strip(WHITE)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, mark, value = line.partition(b":")
    if not mark:
        raise WrongError("field")
    _token(name)
    return name.lower(), _text(value)


def _framing(fields: list[tuple[bytes, bytes]], *, old: bool) -> int | None:
    """The length, -1 for chunks, None for neither."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        if lengths or old or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise WrongError("framing")
        return -1
    if not lengths:
        return None
    if len(lengths) > 1 or not lengths[0] or not set(lengths[0]) <= DIGITS:
        raise WrongError("length")
    return int(lengths[0])


def _body(data: bytes, length: int | None) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    if length == -1:
        return chunks(data)
    size = length or 0
    if len(data) < size:
        raise ShortError
    return data[:size], [], data[size:]


def _size(line: bytes) -> int:
    digits = 0
    while digits < len(line) and line[digits] in HEXADECIMAL:
        digits += 1
    if not digits:
        raise WrongError("chunk size")
    _extensions(line[digits:])
    return int(line[:digits], 16)


def _extensions(text: bytes) -> None:
    """``*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted ) ] )``."""
    while text:
        text = text.lstrip(WHITE)
        if text[:1] != b";":
            raise WrongError("chunk extension")
        text = _word(text[1:].lstrip(WHITE))
        after = text.lstrip(WHITE)
        if after[:1] == b"=":
            after = after[1:].lstrip(WHITE)
            text = _quoted(after[1:]) if after[:1] == b'"' else _word(after)


def _word(text: bytes) -> bytes:
    size = 0
    while size < len(text) and text[size] in TCHARS:
        size += 1
    _token(text[:size])
    return text[size:]


def _quoted(text: bytes) -> bytes:
    at = 0
    while at < len(text):
        byte = text[at]
        if byte == 0x22:
            return text[at + 1 :]
        if byte == 0x5C:
            at += 1
            if at == len(text):
                break
            byte = text[at]
        if (byte < 0x20 and byte != 0x09) or byte == 0x7F:
            break
        at += 1
    raise WrongError("quoted string")
