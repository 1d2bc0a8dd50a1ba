"""What is found is told as the smallest world in which it is still so."""

from __future__ import annotations

import random

import pytest

from . import world as vocabulary
from .check import check
from .generate import generate
from .mutants import MUTANTS, hunt, put_in
from .shrink import fails, shrink, story
from .violation import Violation
from .world import Leap, Phase, Reload, Stretch, World, as_python

SMALL = {
    "last come, first served": 10,  # four are with the switch, two wait
    "one slot too many": 10,
    "slot kept by who left the queue": 20,
    "an unsafe request sent twice": 2,
    "an attempt takes longer than there is": 1,
}
"""Calls that a counter-example may have at most."""


@pytest.mark.parametrize("name", SMALL)
def test_a_found_fault_is_shrunk_to_a_few_calls_that_can_be_pasted_into_a_test(name: str) -> None:
    [mutant] = [mutant for mutant in MUTANTS if mutant.name == name]
    found, _ = hunt(mutant, random.getrandbits(40))
    assert found is not None
    with put_in(mutant):
        smallest = shrink(generate(found.number), found.promise)
        text = as_python(smallest)
        assert smallest.calls <= SMALL[name], text
        assert len(text) < 1_000
        again = eval(text, vars(vocabulary))
        assert again == smallest
        assert fails(again, found.promise)
        told = story(again)
        assert told.startswith(found.promise)
        assert told.endswith(text)
    assert not fails(again, found.promise)


def test_what_does_not_matter_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world with one bad call among many, bad for having little patience."""
    world = World(
        99,
        {"retry": {"max_attempts": 3}, "limiter": {"queue": 4, "max_concurrent": 3}},
        (Stretch(10.0, 40, 0.1, 1), Stretch(12.345678, 7, 0.3, 50, 0.25), Stretch(20.0, 100, 0.01, 100)),
        (Phase("switch", 0.0, 0.05, 0.4), Phase("madre", 12.0, 0.1)),
        (Reload(13.0, {"limiter": {"queue": 1}}), Leap(15.0, 2.0)),
    )

    def impatient(candidate: World, *, twice: bool) -> None:
        if any(stretch.patience == 0.25 for stretch in candidate.stretches):
            raise Violation("patience", "")

    monkeypatch.setattr("soak.shrink.check", impatient)
    assert shrink(world, "patience") == World(stretches=(Stretch(patience=0.25),))


def test_what_one_telling_cannot_show_is_told_twice() -> None:
    [mutant] = [mutant for mutant in MUTANTS if mutant.name == "draws from a stream"]
    failing = Phase("madre", sigma=1.0, failing=1.0, failures=("connect",))
    world = World(
        9, {"retry": {"max_attempts": 4}}, (Stretch(10.0, 30, 0.2),), (failing, failing._replace(target="switch"))
    )
    with put_in(mutant):
        smallest = shrink(world, "the same seed, the same facts")
        assert smallest.calls == 1
        assert fails(smallest, "the same seed, the same facts")
    assert not fails(smallest, "the same seed, the same facts")


def test_another_promise_is_another_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_this_then_that(candidate: World, *, twice: bool) -> None:
        raise Violation("this" if candidate.calls > 5 else "that", "")

    monkeypatch.setattr("soak.shrink.check", first_this_then_that)
    assert shrink(World(stretches=(Stretch(calls=100),)), "this").calls == 6


def test_a_policy_that_is_none_is_no_world() -> None:
    assert not fails(World(policy={"targets": [{}]}), "no exceptions")
    assert not fails(World(happenings=(Reload(11.0, {"retry": 5}),)), "no exceptions")


def test_where_nothing_is_broken_that_is_said() -> None:
    assert story(World()) == "nothing is broken in it\nWorld(\n)"
    assert check(World(), twice=True)["calls"] == 0
