"""Values, whoever has made them: by msgspec, or natively in compiled code."""

from __future__ import annotations

import pytest
from msgspec import Struct

from sidecar.core import native
from sidecar.core.value import Value, asdict, astuple, is_value, names, replace, settle


class Said(Value):
    at: float
    words: str = ""


if native.__file__.endswith(".so"):
    pytest.skip("nothing that is interpreted derives from it", allow_module_level=True)


class Compiled(native.Native):
    """As the compiler leaves a class: with the names of its fields."""

    def __init__(self, at: float, words: str = "") -> None:
        self.at = at
        self.words = words

    __mypyc_attrs__ = ("at", "words")


both = pytest.mark.parametrize("kind", [Said, Compiled])


@both
def test_its_fields_are_told_in_their_order(kind):
    said = kind(1.5, "hello")
    assert names(kind) == ("at", "words")
    assert asdict(said) == {"at": 1.5, "words": "hello"}
    assert astuple(said) == (1.5, "hello")


@both
def test_a_copy_differs_only_in_what_was_said(kind):
    said = kind(1.5, "hello")
    assert replace(said, at=2.5) == kind(2.5, "hello")
    assert said == kind(1.5, "hello")
    with pytest.raises(TypeError):
        replace(said, when=1.0)


@both
def test_a_field_that_follows_from_others_can_be_settled(kind):
    said = kind(1.5)
    settle(said, "words", "hello")
    assert said.words == "hello"


def test_a_value_is_told_from_what_is_none():
    assert is_value(Said(1.5))
    assert is_value(Compiled(1.5))
    assert not is_value((1.5, ""))
    assert not is_value("hello")


def test_a_value_never_changes():
    with pytest.raises(AttributeError):
        Said(1.5).at = 2.5
    assert isinstance(Said(1.5), Struct)
