"""What a ``Value`` is in compiled code: a class of the compiler's own, whose fields are read at their place and not by name.

Where modules are compiled, ``deploy/compiled/values.py`` puts it in the place of ``Value`` and ``Struct``, and writes for each class the
``__init__`` that msgspec would have made. Nothing may be asked of a value but what is the same there and here.
"""

from __future__ import annotations

from typing import Any


class Native:
    """Equal to another of its type with equal fields."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and everything(self) == everything(other)

    def __hash__(self) -> int:
        return hash(everything(self))

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={getattr(self, name)!r}" for name in names(type(self)))
        return f"{type(self).__name__}({said})"


class Single:
    """Equal to itself alone."""


def names(kind: type) -> tuple[str, ...]:
    """The fields of a value's type, in their order."""
    found: tuple[str, ...] = kind.__dict__["__mypyc_attrs__"]
    return found


def everything(value: object) -> tuple[Any, ...]:
    return tuple([getattr(value, name) for name in names(type(value))])
