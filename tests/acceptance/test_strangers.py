"""Whoever reaches the admin port without a token takes nothing that chats live on: neither descriptors nor, for long, connections."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack, suppress

from canary import TOKEN

from tests.acceptance.running import LINK, Process, ask, chat

DESCRIPTORS = 300
STRANGERS = 400
WHOLE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET /livez HTTP/1.1\r\nHost: local"


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def test_strangers_at_the_admin_port_leave_chats_and_probes_their_descriptors(tmp_path):
    nobody = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", "127.0.0.1:9")]
    ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    with Process("serve", *ports, *nobody, environ={LINK: TOKEN}, errors=tmp_path / "stderr") as process:
        resource.prlimit(
            process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)
        )  # before it asks how many there are
        ready = process.ready()
        with ExitStack() as stack:
            for _ in range(STRANGERS):
                stranger = stack.enter_context(socket.create_connection(address(ready["admin"]), 5))
                with suppress(OSError):  # where none is left
                    stranger.sendall(WHOLE)
                    stranger.recv(4096)  # it was accepted, and is kept
                    stranger.sendall(HALF)
            answer = chat(f"http://{ready['listen']}", TOKEN)
            assert (answer.status, answer.json["provider"]) == (200, "local")
            assert ask("GET", f"http://{ready['admin']}/livez").status == 200
