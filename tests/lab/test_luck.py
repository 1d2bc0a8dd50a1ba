"""Dice with a seed."""

from __future__ import annotations

import pytest

from sidecar.lab.luck import LARGEST, Luck, new_seed


def test_seeds_are_drawn_within_what_is_taken() -> None:
    seeds = {new_seed() for _ in range(20)}
    assert len(seeds) > 15
    assert all(0 <= seed <= LARGEST for seed in seeds)


@pytest.mark.parametrize("seed", [-1, LARGEST + 1])
def test_a_seed_that_is_none(seed: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to {LARGEST}, not {seed}"):
        Luck(seed, "switch")


def test_shares_at_their_ends() -> None:
    luck = Luck(LARGEST, "switch")
    assert all(luck.fails(1.0) for _ in range(100))
    assert luck.takes(0.5, 0.0) == pytest.approx(0.5)
