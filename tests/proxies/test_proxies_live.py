"""One short round of the comparison, as anybody would run it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.parts import ROOT
from benchmarks.proxies.process import program

ROWS = "relay,chat,latency,start,bodies,websocket"


@pytest.mark.slow
@pytest.mark.skipif(program("nginx") is None or program("wrk") is None, reason="nginx or wrk is not installed")
def test_one_round_of_nginx_and_the_sidecar() -> None:
    command = [sys.executable, "-m", "benchmarks.proxies", "--only", "sidecar,nginx", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(
        [*command, "--rows", ROWS], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    head, sidecar, nginx = (line.split() for line in done.stdout.splitlines()[:3])
    assert head[:2] == ["relay", "chat"]
    assert sidecar[0] == "sidecar"
    assert nginx[:3] == ["nginx", "1.00", "(1.00-1.00)"]
    assert "left out" not in done.stdout.replace("Instructions a request: left out", "")
    assert "within 500 ms" in done.stdout
