"""Where a request may carry its token: a field of its own, ``Authorization: Bearer`` (RFC 6750 2.1), the query (RFC 6750 2.3).

The sources are looked at in the policy's order, and the first that holds a token decides, right or wrong: what comes after it is not
read, so that a client cannot try several at once. An empty one holds none, as VX11 has it, nor does an Authorization of another scheme.
A query is read as Starlette reads it, which is what the gateway stands on: whole pairs between ``&``, a plus is a space, percent-decoded
once as UTF-8. Of several ``token`` parameters the first counts, as of all fields; Starlette itself would take the last, so a request
with two may be refused here and never there alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import parse_qsl

Source = Literal["header", "bearer", "query"]

HEADER: tuple[Source, ...] = ("header",)
BEARER = re.compile(rb"bearer +(.*)", re.IGNORECASE | re.DOTALL)
PARAMETER = "token"


def offered(
    sources: Sequence[Source], header: Sequence[bytes], authorization: Sequence[bytes], target: bytes
) -> tuple[bytes, ...]:
    """The token that counts, alone; nothing if no source holds one.

    ``header`` and ``authorization`` are the values of these fields in order, ``target`` is in origin form, its query not decoded.
    """
    for source in sources:
        if source == "header":
            token = header[0].strip(b" \t") if header else b""
        elif source == "bearer":
            token = bearer(authorization[0]) if authorization else b""
        else:
            token = parameter(target.partition(b"?")[2])
        if token:
            return (token,)
    return ()


def bearer(value: bytes) -> bytes:
    """The token in a value of Authorization; empty for another scheme. The scheme may be in any case (RFC 9110 11.1)."""
    match = BEARER.fullmatch(value.strip(b" \t"))
    return match[1].strip(b" \t") if match else b""


def parameter(query: bytes) -> bytes:
    """The first ``token`` of a query, in UTF-8; empty if it has none."""
    if not query:
        return b""
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name == PARAMETER:
            return value.encode()
    return b""
