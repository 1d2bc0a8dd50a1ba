"""The lab's services for a sidecar that runs elsewhere: on an address and ports that somebody chose."""

from __future__ import annotations

import socket

import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import TEMPO, Client


def listening(port: int) -> str:
    """The address on which somebody listens at ``port``, as the system tells it."""
    with open("/proc/net/tcp") as table:  # noqa: PTH123 - no file of ours
        rows = [line.split() for line in table][1:]
    return next(row[1][:8] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A")


async def test_on_every_address_it_says_the_one_by_which_this_machine_finds_it(http: Client) -> None:
    async with Lab(host="0.0.0.0", tempo=TEMPO) as lab:
        assert all(url.startswith("http://127.0.0.1:") for url in lab.urls.values())
        for url in lab.urls.values():
            assert listening(int(url.rsplit(":", 1)[1])) == "00000000"
        assert (await http.get(lab.madre_url + "/health")).status == 200


async def test_another_loopback_address_is_used_and_said_and_survives_a_refusal(http: Client) -> None:
    async with Lab(host="127.0.0.2", tempo=TEMPO) as lab:
        assert all(url.startswith("http://127.0.0.2:") for url in lab.urls.values())
        await lab.fault("switch", "refuse")
        with socket.socket() as client:
            client.settimeout(5)
            assert client.connect_ex(("127.0.0.2", int(lab.switch_url.rsplit(":", 1)[1]))) != 0
        await lab.clear("switch")
        assert (await http.get(lab.switch_url + "/health")).status == 200


async def test_an_address_that_cannot_be_had_is_an_error_with_the_services_name() -> None:
    with pytest.raises(OSError, match="gateway"):
        async with Lab(host="192.0.2.1", tempo=TEMPO):
            pass
