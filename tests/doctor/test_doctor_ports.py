"""Ports that are taken, and gateways that are ourselves."""

from __future__ import annotations

from doctored import (
    deployment,
    forwarding,
)


async def test_a_port_that_somebody_else_holds_is_a_fault_and_named(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        held = town.lab.gateway_url.removeprefix("http://")
        found = await town.examine("port", flags={"listen": held, "admin": held, "gateway": "127.0.0.1:1"})
        assert found.code == 1
        found.says(
            "port.data", "fail", "is held by uvicorn", "the gateway that has not been moved yet", "move the gateway"
        )
        found.says("port.admin", "fail", "is held by uvicorn", "another program", "choose another (--admin)")


async def test_a_port_that_cannot_be_taken_says_why(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("port.data", flags={"listen": "192.0.2.7:8000"})
        assert found.code == 1
        found.says("port.data", "fail", "cannot be taken", "no interface of this machine", "--listen")
        found = await town.examine("port", flags={"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"})
        assert found.states("skipped") == {"port.data", "port.admin"}


async def test_a_gateway_at_our_own_address_is_a_loop(tmp_path):
    async with deployment(tmp_path) as town:
        found = await town.examine("gateway.loop", flags={"gateway": town.flags["listen"]})
    assert found.code == 1
    found.says("gateway.loop", "fail", "leads back to our own listener", "come back to it", "behind us (--gateway")


async def test_a_gateway_that_leads_back_to_us_by_another_address_is_a_loop(tmp_path):
    port = 0
    async with forwarding(lambda: port) as gateway, deployment(tmp_path, gateway=gateway) as town:
        port = town.sidecar.serving.listen.port
        found = await town.examine("gateway.loop")
    assert found.code == 1
    found.says("gateway.loop", "fail", "relays to itself", "come back to it", "behind us (--gateway")


async def test_another_address_of_ours_given_for_the_gateway_is_found_by_the_name_we_leave(tmp_path):
    port = 0
    async with forwarding(lambda: port) as other, deployment(tmp_path) as town:
        port = town.sidecar.serving.listen.port
        found = await town.examine("gateway.loop", flags={"gateway": other})
        found.says("gateway.loop", "fail", "leads back to the sidecar at", "come back to it", "behind us (--gateway")
        found = await town.examine("gateway.loop", flags={"gateway": other, "listen": "127.0.0.1:0"})
    assert found.code == 0
    found.says("gateway.loop", "warn", "stands another sidecar", "handled twice", "unless that is meant")
