"""What a worker is told before it starts: it takes it once, and gets sockets that listen or a clear word."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edge.environment import UnusableEnvironmentError
from sidecar.edge.listening import UnusableSocketError
from sidecar.edge.workers.assignment import VARIABLE, Assignment


def test_what_was_told_is_taken_once():
    told = Assignment(3, 4, [7, 8], [9], 2)
    environ = {"HOME": "/", **told.told()}
    assert Assignment.taken(environ) == told
    assert environ == {"HOME": "/"}
    assert Assignment.taken(environ) is None


@pytest.mark.parametrize(
    "said", ["", "1", "{}", '{"number": 1}', '{"number": "x", "workers": 1, "data": [], "admin": []}']
)
def test_what_no_supervisor_says_is_refused(said):
    with pytest.raises(UnusableEnvironmentError, match="VX11_SIDECAR_WORKER: is set by a supervisor"):
        Assignment.taken({VARIABLE: said})


def test_the_sockets_are_those_that_were_passed():
    with socket.create_server(("127.0.0.1", 0)) as data, socket.create_server(("127.0.0.1", 0)) as admin:
        told = Assignment(0, 1, [os.dup(data.fileno())], [os.dup(admin.fileno())])
        listeners = told.listeners()
        assert [sock.getsockname() for sock in (*listeners.data, *listeners.admin)] == [
            data.getsockname(),
            admin.getsockname(),
        ]
        for sock in (*listeners.data, *listeners.admin):
            assert not sock.get_inheritable()
            sock.close()


def test_what_is_no_socket_is_named():
    reading, writing = os.pipe()
    with pytest.raises(UnusableSocketError, match=f"descriptor {reading} is no socket"):
        Assignment(0, 1, [reading], []).listeners()
    os.close(reading)
    os.close(writing)


def test_the_variable_is_one_of_ours():
    assert VARIABLE.startswith("VX11_SIDECAR_")


NUMBERS = st.integers(1, 8)


@given(NUMBERS, NUMBERS, st.data())
def test_every_socket_is_accepted_from_whoever_is_gone(workers, sockets, data):
    """And by its owners alone while they serve; nobody is without a socket."""
    serving = data.draw(st.sets(st.integers(0, workers - 1), min_size=1))
    each = {number: Assignment(number, workers, list(range(sockets)), []) for number in range(workers)}
    assert all(one.own() for one in each.values())
    assert set.union(*(set(one.own()) for one in each.values())) == set(range(sockets))
    deserted = set(range(sockets)) - set.union(*(set(each[number].own()) for number in serving))
    adopted = [place for number in serving for place in each[number].orphans(tuple(serving))]
    assert sorted(adopted) == sorted(deserted)  # each by one
    assert not any(each[number].orphans(tuple(serving)) for number in range(workers) if number not in serving)


def test_a_name_with_two_addresses_gives_every_worker_one_socket_of_each():
    owned = [Assignment(number, 2, [4, 5, 6, 7], []).own() for number in range(2)]
    assert owned == [{0, 2}, {1, 3}]  # address by address: 4 and 5 are of one, 6 and 7 of the other


def test_one_socket_of_a_service_manager_is_everybodys():
    assert [Assignment(number, 3, [4], []).own() for number in range(3)] == [{0}] * 3
