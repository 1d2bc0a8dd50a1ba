"""The fault suite in its short form: each fault once, live; every pair once, on virtual time; and the suite finds what it looks for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

import pytest

from benchmarks.faults import live, virtual
from benchmarks.faults.catalogue import ANSWER, FAULTS, REFUSED, WELL, Comes, Fault, alone, always, pairs, status
from benchmarks.faults.live import batch
from benchmarks.faults.target import Target

BY_NAME = {fault.name: fault for fault in FAULTS}
FAILS = status(503, "failure")


def wrong(faults: Mapping[str, Fault], seeds: int = 1) -> list[str]:
    found = batch([(faults, seed) for seed in range(seeds)])
    assert found.descriptors <= 0
    return [said for run in found.runs for said in run.wrong]


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len(BY_NAME) == len(FAULTS) >= 40


@pytest.mark.uncounted
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_chat_is_answered_in_time_by_whom_it_must(fault: Fault) -> None:
    assert wrong(alone(fault)) == []


@pytest.mark.uncounted
def test_every_pair_of_faults_ends_as_it_must_on_virtual_time() -> None:
    met = pairs()
    assert len(met) > 1_500
    found = {
        f"{faults['switch'].name} + {faults['madre'].name}": virtual.play(faults, seed)
        for seed, faults in enumerate(met)
    }
    assert {names: said for names, said in found.items() if said} == {}


def taken(port: int) -> None:
    """By somebody else, for a moment. Raises OSError where it cannot be had."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))


async def test_the_port_of_a_target_that_does_not_listen_refuses_and_is_nobody_elses() -> None:
    async with Target("switch") as target:
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", target.port)
            writer.close()
            await target.shut()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", target.port)
            with pytest.raises(OSError, match="in use"):
                taken(target.port)
            await target.open()
    taken(target.port)


# -- what the suite would find ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comes", "says"),
    [
        (FAILS._replace(verdict="answer"), "where Must(provider='switch'"),
        (FAILS._replace(verdict="misconfigured"), "reason='misconfigured'"),
        (FAILS._replace(verdict="unsent"), "attempts"),  # as if it might be sent again
        (ANSWER._replace(verdict="timeout"), "provider='switch'"),
        (REFUSED._replace(verdict="failure"), "attempts"),
    ],
    ids=["answered", "reason", "attempts", "failed", "retried"],
)
def test_an_engine_that_decides_otherwise_is_found_out_by_both(comes: Comes, says: str) -> None:
    faults = {"switch": Fault("other", always(comes)), "madre": WELL}
    assert says in str(wrong(faults, 2))
    assert says in str([virtual.play(faults, seed) for seed in range(4)])


def test_a_chat_that_is_sent_twice_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        virtual, "policy", lambda: virtual.parse(virtual.POLICY + "retry: {only_if_unsent: false}\n", "x")
    )
    monkeypatch.setattr(live, "policy", virtual.policy)
    assert "got 2 times the same chat" in str(wrong(alone(BY_NAME["503"]), 2))


def test_an_answer_that_comes_too_late_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.05)
    assert "chat 1 took 0.4" in str(wrong(alone(BY_NAME["silent before the head"])))
