"""What the core says and is told: small values that are made a dozen times per chat, and never change.

A ``Value`` is declared like a dataclass and made by C code, at a third of what a named tuple costs; reading one of its fields costs as
much as reading an attribute. The collector does not look into it (``gc=False``): a value holds words, numbers and other values, so it
is never part of a cycle. One that holds more than that says ``gc=True``. In compiled code it is the compiler's own (``native``); the
functions here know both.
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

from msgspec import Struct, structs

from sidecar.core import native

Given = TypeVar("Given")


@dataclass_transform(frozen_default=True)
class Value(Struct, frozen=True, gc=False):
    """Equal to another of its type with equal fields. Fields are given by place or by name; ``replace`` makes a changed copy."""


def is_value(given: object) -> bool:
    return isinstance(given, Struct | native.Native)


def names(kind: type) -> tuple[str, ...]:
    """The fields of a value's type, in their order."""
    return kind.__struct_fields__ if issubclass(kind, Struct) else native.names(kind)


def astuple(value: object) -> tuple[Any, ...]:
    return structs.astuple(value) if isinstance(value, Struct) else native.everything(value)


def asdict(value: object) -> dict[str, Any]:
    return dict(zip(names(type(value)), astuple(value), strict=True))


def replace(value: Given, /, **changes: Any) -> Given:
    """A copy with other values in these fields. Raises TypeError for what is no field."""
    if isinstance(value, Struct):
        return structs.replace(value, **changes)
    return type(value)(**(asdict(value) | changes))


def settle(value: object, name: str, what: Any) -> None:
    """Give a field its value while ``value`` is being made (``__post_init__``), where that follows from other fields."""
    if isinstance(value, Struct):
        structs.force_setattr(value, name, what)
    else:
        setattr(value, name, what)
