"""Processes that follow each other under load: the short form of ``benchmarks.zero_loss``."""

from __future__ import annotations

import pytest

from benchmarks.zero_loss import restarting


@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.slow)])
async def test_a_process_takes_over_from_the_one_before_it_and_no_request_fails(count, tmp_path, figures):
    load, told = await restarting(count, tmp_path)
    assert load.failed == {}
    assert load.answered["kept"] > 20 * count
    assert load.answered["fresh"] > 20 * count
    assert told.startswith(f"{count} ended with 0")
    figures.append(f"{count} restarts: {load.answered.total()} answered, 0 failed; {told}")
