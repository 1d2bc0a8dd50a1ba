"""The instructions name what really exists."""

from __future__ import annotations

from sidecar.lab.faults import order
from sidecar.lab.tour import instructions


def test_every_address_and_the_token_are_in_it() -> None:
    text = instructions("http://127.0.0.1:1/", "http://127.0.0.1:2", "http://127.0.0.1:3", "secret")
    assert "http://127.0.0.1:1/operator/api/chat" in text
    assert "http://127.0.0.1:2/metrics" in text
    assert "http://127.0.0.1:3/fault/switch/hang" in text
    assert "'X-VX11-Token: secret'" in text
    assert '{"message":"hola"}' in text


def test_the_faults_it_offers_exist() -> None:
    text = " ".join(instructions("s", "a", "c", "t").split())
    offered = text.split("More to break: ")[1].split(". `")[0]
    for part in offered.split("; "):
        service, _, listed = part.partition(" ")
        for fault in listed.rstrip(".").split(", "):
            assert order(service, fault).service == service
