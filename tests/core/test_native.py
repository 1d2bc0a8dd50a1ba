"""What values of the compiler's own are to each other."""

from __future__ import annotations

import pytest

from sidecar.core import native
from sidecar.core.native import Native, Single, everything, names

if native.__file__.endswith(".so"):
    pytest.skip("nothing that is interpreted derives from it", allow_module_level=True)


class Point(Native):
    __mypyc_attrs__ = ("x", "y")

    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = x, y


class Other(Point):
    __mypyc_attrs__ = ("x", "y")


def test_they_are_equal_by_type_and_fields():
    assert Point(1.0, 2.0) == Point(1.0, 2.0)
    assert Point(1.0, 2.0) != Point(1.0, 3.0)
    assert Point(1.0, 2.0) != Other(1.0, 2.0)
    assert Point(1.0, 2.0) != (1.0, 2.0)
    assert len({Point(1.0, 2.0), Point(1.0, 2.0), Point(1.0, 3.0)}) == 2


def test_they_say_what_they_are():
    assert repr(Point(1.0, 2.0)) == "Point(x=1.0, y=2.0)"
    assert everything(Point(1.0, 2.0)) == (1.0, 2.0)
    assert names(Point) == ("x", "y")
    with pytest.raises(KeyError):
        names(int)


def test_one_that_is_single_is_equal_to_itself_alone():
    one = Single()
    assert one == one  # noqa: PLR0124
    assert one != Single()
