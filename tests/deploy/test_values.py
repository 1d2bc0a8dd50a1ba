"""How a value is declared to the compiler: with what msgspec would have made of it, and on the lines where it was."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from sidecar.core import native
from tests.deploy.test_compiled import ROOT, loaded

START = "from __future__ import annotations\n\nfrom sidecar.core.value import Value\nfrom msgspec import Struct\n\n"

SAMPLE = '''\
"""A module."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from sidecar.core.value import Value, replace


class Said(Value):
    """What was said,

    and by whom.
    """

    at: float
    words: Mapping[str, str] = {}  # none
    who: str = "nobody"
    """Who it was."""

    @property
    def long(self) -> bool:
        return len(self.words) > 3


class Open(Value, gc=True):
    """One that holds more."""

    said: Said
    twice: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "twice", self.said.at * 2)


class Place(Struct, eq=False):
    """One that is like no other."""

    free: bool = True


def later(said: Said) -> Said:
    return replace(said, at=said.at + 1)
'''


@pytest.fixture(scope="module")
def values():
    return loaded("values")


def run(text: str) -> ModuleType:
    module = ModuleType("sample")
    sys.modules["sample"] = module
    exec(compile(text, "sample.py", "exec"), module.__dict__)
    return module


@pytest.fixture
def made(values, monkeypatch):
    """The sample as the compiler gets it, run by Python: what a decorator says, only the compiler reads."""
    monkeypatch.setattr(native, "names", lambda kind: tuple(kind.__annotations__))
    text = values.rewritten(SAMPLE)
    lines = [line for line in text.splitlines() if not line.startswith("@mypyc_attr")]
    return run("\n".join(lines))


def test_a_value_is_made_by_place_and_by_name_with_the_same_defaults(made):
    said = made.Said(1.5)
    assert (said.at, said.words, said.who, said.long) == (1.5, {}, "nobody", False)
    assert made.Said(who="me", at=2.0).who == "me"
    with pytest.raises(TypeError):
        made.Said()


def test_what_could_be_changed_is_made_anew_for_each(made):
    one, two = made.Said(1.0), made.Said(1.0)
    one.words["a"] = "b"
    assert (two.words, made.Said(1.0).words) == ({}, {})


def test_values_are_equal_by_their_fields_where_they_were(made):
    assert made.Said(1.5) == made.Said(1.5, {}) != made.Said(1.5, {"a": "b"})
    assert hash(made.Place()) is not None
    assert made.Place() != made.Place()
    assert repr(made.Said(1.5)) == "Said(at=1.5, words={}, who='nobody')"


def test_a_copy_differs_in_what_was_said(made):
    assert made.later(made.Said(1.5, {}, "me")) == made.Said(2.5, {}, "me")


def test_patterns_match_by_place(made):
    match made.Said(1.5, {}, "me"):
        case made.Said(at, words):
            assert (at, words) == (1.5, {})
        case _:
            raise AssertionError


def test_what_follows_from_other_fields_is_worked_out(made):
    assert made.Open(made.Said(1.5)).twice == 3.0


def test_no_line_moves(values):
    before, after = SAMPLE.splitlines(), values.rewritten(SAMPLE).splitlines()
    assert len(before) + 3 == len(after)  # below the last one: what patterns match
    for name in (
        "class Said",
        "    at: float",
        "    def long",
        "        return len",
        "class Place",
        "def later",
        "    who: str",
    ):
        assert [line.startswith(name) for line in before] == [line.startswith(name) for line in after][:-3], name


def test_the_collector_does_not_look_into_values_but_into_those_that_hold_more(values):
    lines = values.rewritten(SAMPLE).splitlines()
    above = {line.split("(")[0]: lines[at - 1] for at, line in enumerate(lines) if line.startswith("class ")}
    assert above == {"class Said": "@mypyc_attr(acyclic=True)", "class Open": "", "class Place": ""}


@pytest.mark.parametrize(
    "text",
    ["from typing import NamedTuple\n", START + "class Said(Value, Generic[Answer]):\n    at: float\n"],
    ids=["none", "generic"],
)
def test_what_has_no_values_or_generic_ones_stays_as_it_is(values, text):
    assert values.rewritten(text) == text


@pytest.mark.parametrize(
    "text",
    [
        START + "\nclass Said(Value):\n    at: float\n",
        START + "\n@final\nclass Said(Value):\n    '''It.'''\n    at: float\n",
        START + "X = 1\nclass Said(Value):\n    '''It.'''\n    at: float\n",
        START + "\nclass Said(Value):\n    '''It.'''\n    at: int = (\n        1)\n",
        START.replace("\n\n", "\n", 1) + "\nclass Said(Value):\n    '''It.'''\n    at: float\n",
    ],
    ids=["no docstring", "decorated", "no room", "default", "no import"],
)
def test_what_cannot_be_declared_says_where(values, text):
    with pytest.raises(values.NotAValueError, match=r"line \d+: "):
        values.rewritten(text)


def test_every_value_of_a_compiled_module_can_be_declared(values):
    build = loaded("build")
    for path in map(Path, build.modules()):
        values.rewritten((ROOT / path).read_text())
