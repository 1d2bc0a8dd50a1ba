"""Another container in the place of the one that runs, under load: what it costs, and how it costs nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.container.conftest import HANDOVER, Town

pytestmark = pytest.mark.slow

ROUNDS = 5
TAKEOVER = f"--takeover={HANDOVER}/takeover.sock"


def test_stopping_and_starting_costs_the_requests_in_between(town: Town, table: Callable[[str, str], None]) -> None:
    sidecar = town.sidecar()
    town.ask("ready")
    with town.asking("load") as load:
        load.next()
        for _ in range(ROUNDS):
            sidecar.stop()
            sidecar.start()
            town.ask("ready")
        done = load.end()
    table(f"{ROUNDS} x stop and start: answered, failed", f"{done['answered']}, {done['failed']} {done['how']}")
    table("    longest time without an answer (s)", f"{done['longest_gap']:.2f}")
    assert done["failed"] > 0
    # Refused while nobody listens; reset in the queue of who stops; closed while kept and idle. What was accepted was answered.
    refused, queued, idle = "ConnectionRefusedError", "ConnectionResetError", "IncompleteReadError"
    assert set(done["how"]) <= {
        f"kept: {refused}",
        f"fresh: {refused}",
        f"kept: {queued}",
        f"fresh: {queued}",
        f"kept: {idle}",
    }


def test_taking_over_costs_nothing(town: Town, handover: tuple[str, ...], table: Callable[[str, str], None]) -> None:
    running = town.sidecar("sidecar-0", TAKEOVER, options=handover)
    town.ask("ready")
    codes = []
    with town.asking("load") as load:
        load.next()
        for number in range(1, ROUNDS + 1):
            following = town.sidecar(f"sidecar-{number}", TAKEOVER, options=handover)
            codes.append(running.ended())
            running = following
        done = load.end()
    table(f"{ROUNDS} x takeover: answered, failed", f"{done['answered']}, {done['failed']} {done['how'] or ''}")
    table("    longest time without an answer (s)", f"{done['longest_gap']:.2f}")
    assert codes == [0] * ROUNDS
    assert done["failed"] == 0


def test_one_that_cannot_start_takes_nothing_over(town: Town, handover: tuple[str, ...]) -> None:
    running = town.sidecar("sidecar-0", TAKEOVER, options=handover)
    town.ask("ready")
    refused = town.sidecar("sidecar-1", TAKEOVER, "--gateway=nonsense", options=handover)
    assert refused.ended() == 2
    assert town.ask("chats", "4")["answered"] == 4
    assert running.inspect()["State"]["Running"]


def test_a_sidecar_in_another_network_gets_the_ports_but_reaches_nobody(town: Town, handover: tuple[str, ...]) -> None:
    """Why both must share a network namespace: a socket stays in the one it was opened in."""
    running = town.sidecar("sidecar-0", TAKEOVER, options=handover)
    town.ask("ready")
    command = ("serve", "--listen=0.0.0.0:8000", "--admin=0.0.0.0:9180", TAKEOVER)
    elsewhere = ("--network=none", "--env=VX11_TENTACULO_LINK_TOKEN=vx11-local-token")
    town.engine.run("elsewhere", *elsewhere, *handover, command=command)
    assert running.ended() == 0
    town.ask("ready")
    done = town.ask("chats", "4")
    assert (done["answered"], done["by_switch"]) == (4, 0)
