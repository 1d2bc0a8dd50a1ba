"""What may be the beginning of an answer's head; how whole heads are judged stands in ``test_head``."""

from __future__ import annotations

import pytest

from sidecar.wire import response

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize("size", range(len(HEAD) + 1))
def test_each_part_of_a_head_may_be_its_beginning(size):
    assert response.begins(HEAD[:size])


@pytest.mark.parametrize("data", [b"\x15\x03\x01", b"http/1.1", b"HTTP/2", b"HTTP 200", b"\r\nHTTP/1.1", b"<"])
def test_what_begins_otherwise_will_be_none(data):
    assert not response.begins(data)
