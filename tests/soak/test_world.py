"""Worlds are values: what is taken out of one changes nothing about the rest, and what is written down reads back the same."""

from __future__ import annotations

import random

from sidecar.core.vocabulary import Attempt, Binding

from . import world as vocabulary
from .generate import generate
from .world import Chat, Phase, Stretch, World, alone, answers, arrivals, as_python, chats


def test_a_stretch_is_so_many_chats_at_even_intervals() -> None:
    world = World(stretches=(Stretch(10.0, 3, 0.5, 4, 1.0, 1.0, 0.25),))
    assert chats(world) == [Chat(10.0, 4, 1.0, 0.25), Chat(10.5, 5, 1.0, 0.25), Chat(11.0, 6, 1.0, 0.25)]


def test_an_uneven_one_draws_each_moment_within_its_interval() -> None:
    found = chats(World(3, stretches=(Stretch(10.0, 200, 0.5, 1, None, 0.5, 2.0, uneven=True),)))
    assert all(10.0 + turn * 0.5 <= chat.at < 10.5 + turn * 0.5 for turn, chat in enumerate(found))
    leaving = [chat.leaves_after for chat in found if chat.leaves_after is not None]
    assert 70 < len(leaving) < 130
    assert all(0 <= after < 2.0 for after in leaving)
    assert len(set(leaving)) == len(leaving)


def test_stretches_may_run_beside_each_other() -> None:
    world = World(stretches=(Stretch(10.0, 2, 1.0, 1), Stretch(10.0, 2, 0.5, 3)))
    assert [chat.number for chat in chats(world)] == [1, 3, 4, 2]


def test_who_states_no_patience_has_all_of_it() -> None:
    world = World(stretches=(Stretch(first=1), Stretch(first=2, patience=0.5)))
    assert [arrival.call.patience for arrival in arrivals(world, 4.75)] == [4.75, 0.5]


def test_every_chat_in_a_stretch_of_its_own_is_the_same_world() -> None:
    for _ in range(20):
        world = generate(random.getrandbits(40))
        apart = alone(world)
        assert chats(apart) == chats(world)
        assert all(stretch.calls == 1 for stretch in apart.stretches)


def test_leaving_a_stretch_out_leaves_the_others_as_they_were() -> None:
    world = World(
        5,
        stretches=(
            Stretch(10.0, 9, 0.5, 1, leaving=0.5, leaves_after=1.0, uneven=True),
            Stretch(20.0, 9, 0.5, 10, uneven=True),
        ),
    )
    assert [chat for chat in chats(world) if chat.number > 9] == chats(world._replace(stretches=world.stretches[1:]))


def test_a_target_without_a_phase_is_well_and_the_first_phase_holds_from_the_beginning() -> None:
    targets = answers(World(phases=(Phase("madre", 20.0, 1.0), Phase("madre", 30.0, 2.0))))

    def took(target: str, at: float) -> float:
        return targets.answer(at, 1, Attempt(target, 1, 9.0, 0.3, Binding.DEADLINE))[0]

    assert took("switch", 10.0) < 0.1
    assert [took("madre", at) for at in (10.0, 25.0, 30.0)] == [1.0, 1.0, 2.0]


def test_a_world_written_down_reads_back_the_same() -> None:
    for _ in range(20):
        world = generate(random.getrandbits(40))
        assert eval(as_python(world), vars(vocabulary)) == world


def test_what_is_as_always_is_not_written_down() -> None:
    world = World(stretches=(Stretch(first=2), Stretch(11.0)), phases=(Phase("switch", hanging=1.0),))
    assert as_python(world) == (
        "World(\n    stretches=(\n        Stretch(first=2),\n        Stretch(at=11.0),\n    ),\n"
        "    phases=(\n        Phase(target='switch', hanging=1.0),\n    ),\n)"
    )
