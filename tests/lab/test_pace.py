"""Durations shrink together."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.lab.pace import Pace


@pytest.mark.parametrize("tempo", [0, -1, 11])
def test_a_tempo_that_makes_no_sense_is_refused(tempo: float) -> None:
    with pytest.raises(ValueError, match="tempo"):
        Pace(tempo)


async def test_a_hundred_seconds_of_the_lab_pass_in_a_tenth() -> None:
    pace = Pace(0.001)
    began = pace.now()
    with pytest.raises(TimeoutError):
        async with pace.within(100):
            await asyncio.sleep(60)
    assert 99 <= pace.now() - began < 1000
    assert pace.real(2) == 0.002
