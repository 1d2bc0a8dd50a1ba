"""The lab as a whole: it starts, tells, and stops at once whatever hangs."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from benchmarks.proxies.process import free_port
from sidecar.lab.town import Lab
from tests.lab.conftest import TEMPO, Client, until


async def test_it_listens_on_loopback_only(lab: Lab) -> None:
    assert set(lab.urls) == {"gateway", "switch", "madre", "control"}
    assert all(url.startswith("http://127.0.0.1:") for url in lab.urls.values())


async def test_a_given_port_and_first_faults(http: Client) -> None:
    port = free_port()
    async with Lab(switch_port=port, faults=("madre=detached", "switch=slow:0.1"), tempo=TEMPO) as lab:
        assert lab.switch_url == f"http://127.0.0.1:{port}"
        assert (await http.get(lab.switch_url + "/health")).status == 200
        assert lab.faults() == {"gateway": [], "switch": ["slow:0.1"], "madre": ["detached"]}


async def test_a_seed_that_was_given_or_drawn(http: Client) -> None:
    drawn = []
    for _ in range(2):
        async with Lab(faults=("switch=failing:0.5",), seed=7, tempo=TEMPO) as lab:
            assert lab.seed == lab.state()["seed"] == 7
            sent = {"messages": [{"role": "user", "content": "hola"}]}
            drawn.append([(await http.post(lab.switch_url + "/switch/chat", sent)).status for _ in range(20)])
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {200, 503}
    assert Lab().seed != Lab().seed


def test_a_first_fault_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="it has:"):
        Lab(faults=("switch=sulk",))


async def test_a_taken_port_leaves_nothing_open(lab: Lab) -> None:
    port = int(lab.switch_url.rsplit(":", 1)[1])
    tasks = asyncio.all_tasks()
    with pytest.raises(OSError, match="in use"):
        async with Lab(madre_port=port):
            pass
    assert asyncio.all_tasks() == tasks


async def test_another_token(http: Client) -> None:
    async with Lab(token="mine", tempo=TEMPO) as lab:
        sent = {"messages": [{"role": "user", "content": "hola"}]}
        assert (await http.post(lab.switch_url + "/switch/chat", sent)).status == 401
        assert (await http.post(lab.switch_url + "/switch/chat", sent, token="mine")).status == 200


async def test_clear_without_a_name_mends_everything(lab: Lab) -> None:
    for text in ("switch=hang", "madre=refuse", "gateway=slow:1", "switch=execute"):
        await lab.order(text)
    await lab.clear()
    assert lab.faults() == {"gateway": [], "switch": [], "madre": []}
    with pytest.raises(ValueError, match="no service"):
        await lab.clear("hermes")


async def test_it_stops_at_once_with_everything_hung_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session:
        async with Lab() as lab:  # in real time: a stop that waited for anything would be seen
            await lab.fault("switch", "hang")
            stream = await session.get(
                lab.gateway_url + "/operator/api/events", headers={"Accept": "text/event-stream"}
            )
            websocket = await session.ws_connect(lab.gateway_url + "/ws")
            calls = [asyncio.create_task(session.get(lab.switch_url + "/health")) for _ in range(20)]
            calls.append(asyncio.create_task(session.post(lab.madre_url + "/madre/chat", json={"message": "x"})))
            await until(lambda: lab.state()["services"]["switch"]["in_flight"] >= 20)
            began = time.perf_counter()
        assert time.perf_counter() - began < 1.0
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, aiohttp.ClientError) for result in results)
        stream.close()
        await websocket.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def test_it_works_on_the_faster_loop_too() -> None:
    """Closing, resetting and binding again go through the event loop's own sockets."""

    async def story() -> None:
        async with Lab(tempo=TEMPO) as lab, aiohttp.ClientSession() as session:
            url = lab.switch_url + "/health"
            await lab.fault("switch", "refuse")
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(url)
            await lab.fault("switch", "reset")
            with pytest.raises(aiohttp.ClientOSError, match="reset"):
                await session.get(url)
            await lab.clear("switch")
            async with session.get(url) as answer:
                assert answer.status == 200

    pytest.importorskip("uvloop").run(story())


async def test_it_stops_while_it_refuses(lab: Lab) -> None:
    await lab.fault("switch", "refuse")
    await lab.fault("gateway", "refuse")
