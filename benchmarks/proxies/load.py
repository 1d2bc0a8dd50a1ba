"""What is asked, and how often: the requests, and ``wrk`` that sends them from the load's core."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.proxies.cores import Cores
from benchmarks.proxies.peers import Chat
from benchmarks.proxies.process import program

CONNECTIONS = 32
# Four attempts at once on the switch and eight that wait for them: what the built-in policy has room for. One more, and it would
# go down the ladder: answered in time, but not by the switch.
CHATS = 12
SHAPES = ("relay", "unique", "post", "chat")
SCRIPT = Path(__file__).with_name("load.lua")
_ID = "0" * 12  # what stands for {ID} is as long: four characters of the run, eight of the count


class Round(NamedTuple):
    """``failed``: answers other than 2xx and 3xx, and what broke on a socket."""

    requests: int
    seconds: float
    failed: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def share(self) -> float:
        """Of requests that were answered well."""
        return max(0.0, 1 - self.failed / self.requests) if self.requests else 0.0


def request(shape: str, port: int, chat: Chat) -> str:
    """One whole message; ``{ID}`` where every request says something else."""
    path, method, body = "/", "GET", ""
    lines = [f"Host: 127.0.0.1:{port}", "User-Agent: benchmark", "Accept: */*"]
    if shape == "unique":
        lines.append("X-Request-Id: {ID}")
    if shape == "post":
        method, body = "POST", "b" * 1024
        lines.append("Content-Type: application/octet-stream")
    if shape == "chat":
        method, path, body = "POST", chat.path, chat.body
        lines += [chat.credentials, "Content-Type: application/json"]
    if body:
        lines.append(f"Content-Length: {len(body.replace('{ID}', _ID))}")
    return "\r\n".join((f"{method} {path} HTTP/1.1", *lines, "", "")) + body


def at_once(shape: str) -> int:
    return CHATS if shape == "chat" else CONNECTIONS


class Wrk(NamedTuple):
    cores: Cores
    directory: Path

    def round(self, port: int, message: str, connections: int, seconds: int, around: Sequence[str] = ()) -> Round:
        """Sends the message for so long. ``around`` is a command that runs another and counts meanwhile."""
        path = self.directory / "request"
        path.write_bytes(message.encode())
        pinned = ["taskset", "-c", str(self.cores.load)] if self.cores.load is not None else []
        shape = ["-t", "1", "-c", str(connections), "-d", str(seconds), "--timeout", "10"]
        asked = ["-s", str(SCRIPT), f"http://127.0.0.1:{port}/", "--", str(path), os.urandom(2).hex()]
        command = [*around, *pinned, program("wrk") or "wrk", *shape, *asked]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
        return said(done.stdout)


def said(text: str) -> Round:
    """What wrk prints at its end. A run that printed nothing answered nothing."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", text)
    if total is None:
        return Round(0, 1.0, 0)
    seconds = float(total[2]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[total[3]]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failed = int(refused[1]) if refused else 0
    failed += sum(int(number) for number in broken.groups()) if broken else 0
    return Round(int(total[1]), seconds, failed)
