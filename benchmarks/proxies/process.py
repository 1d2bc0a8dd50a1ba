"""Processes that are started on a core, asked whether they serve yet, and ended again."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.parts import ROOT, TOKEN

TEMPLATES = ROOT / "benchmarks" / "peers"
PORTS = range(10_000, 32_000)  # Linux gives those from 32,768 on
POLL = 0.002  # seconds between two tries
_DROPPED = ("VX11_", "API_TOKEN", "PYTHONDONTWRITEBYTECODE")  # the last: what is installed has its byte code


class NotStartedError(Exception):
    """Says why, in a line."""


def free_port() -> int:
    """A port of loopback for a server that comes later, or that goes and comes back.

    None of those that the system gives to whoever asks for any: such a one may be somebody else's before the server has it, and then
    whoever asks whether it serves yet, or whether it is back, asks them.
    """
    while True:
        number = secrets.choice(
            PORTS
        )  # not by ``random``: processes that were given the same seed are beside each other
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", number))
            return number


def program(name: str) -> str | None:
    """Servers are not on everybody's path."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def fill(text: str, words: Mapping[str, str]) -> str:
    """``{WORD}`` becomes its value; other braces are the configuration's own."""
    for word, value in words.items():
        text = text.replace("{" + word + "}", value)
    return text


def filled(template: str, directory: Path, words: Mapping[str, str]) -> Path:
    path = directory / template.removesuffix(".tmpl")
    path.write_text(fill((TEMPLATES / template).read_text(), words))
    return path


@contextlib.contextmanager
def spawned(
    command: Sequence[str], core: int | None, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """From its start to its end; ``taskset`` becomes what it starts, so the process is the program itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    with log.open("ab") as said:
        process = subprocess.Popen(
            [*pinned, *command],
            cwd=ROOT,
            env=kept | {"VX11_TENTACULO_LINK_TOKEN": TOKEN} | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)


def answered(process: subprocess.Popen[bytes], port: int, path: str, within: float) -> None:
    """Until it has answered a request with 200."""
    deadline = time.monotonic() + within
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStartedError(f"ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            if b" 200" in connection.recv(65_536)[:15]:
                return
        time.sleep(POLL)
    raise NotStartedError(f"no answer within {within:.0f} s")


def last_words(log: Path) -> str:
    """The last line of a log, for whoever wants to know why."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:200] if lines else "said nothing"
