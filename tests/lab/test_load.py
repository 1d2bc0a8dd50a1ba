"""The open-loop load: regular arrivals, every outcome a record."""

from __future__ import annotations

import pytest

from sidecar.lab.load import chat_load
from sidecar.lab.town import Lab


async def test_every_chat_is_recorded(lab: Lab) -> None:
    records = await chat_load(lab.gateway_url, lab.token, rate=100, seconds=0.3)
    assert len(records) == 30
    assert {(record.status, record.provider, record.degraded) for record in records} == {
        (200, "local_llm_degraded", True)
    }
    starts = [record.start for record in records]
    assert starts == sorted(starts)
    assert 0.28 <= starts[-1] < 1.0
    assert all(record.seconds > 0 for record in records)


async def test_arrivals_do_not_wait_for_answers(lab: Lab) -> None:
    await lab.fault("gateway", "hang")
    records = await chat_load(lab.gateway_url + "/", lab.token, rate=50, seconds=0.2, timeout=0.3)
    assert [(record.status, record.reason) for record in records] == [(0, "timeout")] * 10
    assert records[-1].start < 0.3


async def test_no_connection_and_a_wrong_token(lab: Lab) -> None:
    (wrong,) = await chat_load(lab.gateway_url, "wrong", rate=1, seconds=1)
    assert (wrong.status, wrong.provider, wrong.degraded) == (403, "", False)
    await lab.fault("gateway", "refuse")
    (refused,) = await chat_load(lab.gateway_url, lab.token, rate=1, seconds=1)
    assert (refused.status, refused.reason) == (0, "ClientConnectorError")


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-1, 1), (1, 0), (1, 4000), (1000, 101)])
async def test_bounds(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        await chat_load("http://127.0.0.1:1", "t", rate=rate, seconds=seconds)
