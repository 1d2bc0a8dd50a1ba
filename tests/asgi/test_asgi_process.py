"""A process of its own: what is imported, and what a real uvicorn leaves behind when it is told to stop."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from scripts import CHAT

from benchmarks.proxies.process import free_port

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-this-test"
GATEWAY = """
from fastapi import FastAPI
from sidecar.asgi import ChatSidecar

gateway = ChatSidecar(FastAPI(), policy="policy.yaml", switch="127.0.0.1:9", madre="127.0.0.1:9", journal="journal")
"""


def test_no_framework_no_server_and_no_aiohttp_comes_along():
    said = subprocess.run(
        [sys.executable, "-c", "import sidecar.asgi, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    roots = {name.partition(".")[0] for name in said.stdout.split()}
    assert not roots & {"fastapi", "starlette", "uvicorn", "anyio", "aiohttp", "uvloop", "opentelemetry"}


def chat(url):
    request = urllib.request.Request(
        url + CHAT, b'{"message": "hi"}', {"X-VX11-Token": TOKEN, "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def listening(port, process):
    for _ in range(500):
        assert process.poll() is None
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("uvicorn does not listen")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("lifespan", ["on", "off"])
def test_told_to_stop_it_ends_in_order_and_its_journal_is_whole(tmp_path, loop, lifespan):
    (tmp_path / "gateway.py").write_text(GATEWAY)
    (tmp_path / "policy.yaml").write_text("deadline: {client: 2s, margin: 100ms}\n")
    port = free_port()
    command = [sys.executable, "-W", "error", "-X", "dev", "-m", "uvicorn", "gateway:gateway", "--loop", loop]
    command += ["--lifespan", lifespan, "--port", str(port), "--log-level", "error", "--ws", "none"]
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{tmp_path}", "VX11_TENTACULO_LINK_TOKEN": TOKEN}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            listening(port, process)
            assert chat(f"http://127.0.0.1:{port}")["provider"] == "local"
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=15)
        finally:
            process.kill()
    assert process.returncode in (0, -signal.SIGTERM)  # uvicorn ends, then lets the signal have its way
    assert out == ""
    events = [json.loads(line) for line in errors.splitlines()]  # nothing but our log: no warning, no trace
    assert {"ready", "chat"} <= {event["event"] for event in events}
    assert not [event for event in events if event["level"] == "error"]
    (journal,) = (tmp_path / "journal").iterdir()
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(lines) >= 3
