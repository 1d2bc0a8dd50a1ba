"""The open-loop load: regular arrivals, every outcome a record."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from sidecar.lab.load import chat_load, chats_at, poisson
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


async def test_chats_come_at_the_given_times(lab: Lab) -> None:
    records = await chats_at(lab.gateway_url, lab.token, [0.05, 0.06, 0.2])
    late = [record.start - offset for record, offset in zip(records, [0.05, 0.06, 0.2], strict=True)]
    assert all(0 <= each < 0.5 for each in late)


def test_poisson_arrivals_have_their_rate_and_follow_from_the_seed() -> None:
    offsets = poisson(7, 20.0, 4000)
    assert offsets == sorted(offsets) == poisson(7, 20.0, 4000) != poisson(8, 20.0, 4000)
    assert offsets[-1] == pytest.approx(200, rel=0.07)  # four standard errors
    gaps = [after - before for before, after in pairwise([0.0, *offsets])]
    assert statistics.stdev(gaps) == pytest.approx(
        statistics.mean(gaps), rel=0.1
    )  # as an exponential distribution has it


@pytest.mark.parametrize(("rate", "count"), [(0, 1), (-1, 1), (1, 0), (1, 100_001)])
def test_bounds_of_a_poisson_process(rate: float, count: int) -> None:
    with pytest.raises(ValueError, match="rate must be above 0"):
        poisson(1, rate, count)


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-1, 1), (1, 0), (1, 4000), (1000, 101)])
async def test_bounds(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        await chat_load("http://127.0.0.1:1", "t", rate=rate, seconds=seconds)
