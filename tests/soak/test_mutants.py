"""Faults that were put in on purpose are found, and the code is as it was afterwards."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sidecar.core import backoff, plan
from sidecar.core.limiter import Limiter
from sidecar.policy.model import Backoff

from .campaign import try_world
from .mutants import MUTANTS, Mutant, Outdated, hunt, put_in
from .test_soak import run

TRIED = 20  # a run of the tests; ``make soak`` tries all of them


def test_some_of_the_faults_are_found_within_some_ten_thousand_calls(record_property: Any) -> None:
    seed = random.getrandbits(40)
    done = run("-m", "tests.soak", "--mutants", str(TRIED), "--seed", str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    _, _, *lines, last = done.stdout.splitlines()
    assert (len(lines), last) == (TRIED, "0 survived")
    for line in lines:
        record_property("soak figures", f"mutant {line}")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_code_as_it_is(mutant: Mutant) -> None:
    with put_in(mutant):
        pass


def test_names_are_said_once() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_mutant_is_in_the_code_until_the_block_is_left() -> None:
    before = Limiter.enter.__code__
    with put_in(Mutant("", "core.limiter:Limiter.enter", "<", "<=")):
        assert Limiter.enter.__code__ is not before
    assert Limiter.enter.__code__ is before


def test_a_function_is_changed_wherever_it_is_held() -> None:
    asked = (Backoff(), 1, 0.5, None)
    held = {"by a table": backoff.backoff, "by name": plan.backoff}
    before = backoff.backoff(*asked)
    assert before > 0
    with put_in(Mutant("", "core.backoff:backoff", "return drawn", "return -drawn")):
        assert [function(*asked) for function in held.values()] == [-before, -before]
    assert backoff.backoff(*asked) == before


def test_a_mutant_that_no_longer_fits_is_said() -> None:
    with (
        pytest.raises(Outdated, match="'nowhere' stands 0 times"),
        put_in(Mutant("a", "core.limiter:Limiter.enter", "nowhere", "")),
    ):
        pass


def test_what_changes_nothing_is_not_found() -> None:
    """The hunt finds faults, not mutants."""
    found, calls = hunt(Mutant("", "core.limiter:Limiter.enter", "<", "<"), 77, most=2_000)
    assert found is None
    assert calls >= 2_000
    assert try_world(77).found == ()
