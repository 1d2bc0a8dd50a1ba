"""What a chat's head says: the first of each field, but all of the trace's, in any spelling of their names."""

from __future__ import annotations

from sidecar.edge.chat.incoming import Incoming, Said
from sidecar.wire import head, request
from sidecar.wire.target import Routes

RULES = head.rules(Routes(()), pseudonym=b"p", authority=b"a")


def said(*fields: bytes, patience: str = "x-request-timeout-ms") -> Said:
    raw = b"\r\n".join([b"POST /operator/api/chat HTTP/1.1", b"Host: h", *fields, b"", b""])
    read = request.read(raw, RULES)
    assert isinstance(read, request.Request)
    return Incoming(read, b"{}", "127.0.0.1", 0.0).said(patience)


def test_nothing_is_said_where_nothing_was_sent():
    assert said() == Said(None, None, None, None, None, [], [])


def test_each_field_is_read_in_any_spelling_and_without_the_blanks_around_it():
    assert said(
        b"CONTENT-type: application/json \t",
        b"origin:http://localhost:3000",
        b"Accept-Language:  es",
        b"X-correlation-ID: c-1",
        b"X-Request-Timeout-Ms: 900",
        b"traceparent: p",
        b"TraceState: s",
    ) == Said("application/json", "http://localhost:3000", "es", "c-1", "900", ["p"], ["s"])


def test_of_two_the_first_counts_but_of_a_trace_all():
    lines = [
        b"Accept-Language: es",
        b"Accept-Language: en",
        b"Traceparent: a",
        b"Traceparent: b",
        b"Tracestate: c",
        b"Tracestate: d",
    ]
    assert said(*lines) == Said(None, None, "es", None, None, ["a", "b"], ["c", "d"])


def test_the_field_of_the_patience_is_the_policys_and_its_name_is_no_pattern():
    assert said(b"x.wait: 1", b"x-wait: 2", patience="x-wait").patience == "2"
    assert said(b"x-wait: 2", b"x.wait: 1", patience="x.wait").patience == "1"


def test_bytes_that_are_no_text_do_no_harm():
    assert said(b"Origin: \xff\xfe").origin == "\udcff\udcfe"
