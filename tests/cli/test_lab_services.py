"""``sidecar lab --only-services``: a VX11 for a sidecar that runs elsewhere."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.request

import pytest

from benchmarks.proxies.process import free_port
from sidecar.cli import main
from tests.acceptance.running import LINK, Process, ask, chat


@pytest.fixture
def free():
    return free_port(), free_port()


def test_the_services_run_without_a_sidecar_on_the_ports_they_were_given(free, tmp_path):
    gateway, switch = free
    chosen = ("--gateway-port", str(gateway), "--switch-port", str(switch), "--control", "0", "--seed", "7")
    with Process("lab", "--only-services", *chosen, errors=tmp_path / "lab-stderr") as lab:
        said = lab.ready()
        assert said.pop("event") == "ready"
        assert set(said) == {"gateway", "switch", "madre", "control", "seed"}
        assert said["seed"] == 7
        assert (said["gateway"], said["switch"]) == (f"http://127.0.0.1:{gateway}", f"http://127.0.0.1:{switch}")
        flags = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", said[name])]
        ports = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        environ = {LINK: "vx11-local-token"}
        with Process("serve", *ports, *flags, environ=environ, errors=tmp_path / "serve-stderr") as sidecar:
            url = f"http://{sidecar.ready()['listen']}"
            assert chat(url, "vx11-local-token").json["provider"] == "switch"
            assert ask("POST", said["control"] + "/fault/switch/refuse").status == 200
            assert chat(url, "vx11-local-token").json["provider"] != "switch"
            assert sidecar.end() == 0
        with urllib.request.urlopen(said["control"]) as answer:
            assert json.load(answer)["services"]["switch"]["faults"] == ["refuse"]
        assert lab.end() == 0


def test_the_services_end_when_the_seconds_are_over(tmp_path):
    with Process(
        "lab", "--only-services", "--control", "0", environ={"LAB_SECONDS": "0.2"}, errors=tmp_path / "e"
    ) as lab:
        lab.ready()
        assert lab.ended(20) == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--host", "localhost"], "'localhost' is no IPv4 address, as 127.0.0.1 and 0.0.0.0 are"),
        (["--host", "::1"], "'::1' is no IPv4 address"),
        (["--seed", "-1"], "'-1' is no seed: write a whole number from 0 to 4294967295"),
        (["--seed", "4294967296"], "'4294967296' is no seed"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1: Cannot assign requested address"),
        (["--madre-port", "70000"], "'70000' is no port"),
    ],
)
def test_an_address_that_cannot_be_is_said(argv, words, capfd):
    with contextlib.suppress(SystemExit):  # as argparse ends
        assert main(["lab", "--only-services", "--control", "0", *argv]) == 2
    assert words in capfd.readouterr().err


def test_the_option_whose_port_is_taken_is_named(capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["lab", "--only-services", "--control", "0", "--switch-port", str(port)]) == 2
    assert f"sidecar: --switch-port {port}: Address already in use" in capfd.readouterr().err
