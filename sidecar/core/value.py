"""What the core says and is told: small values that are made a dozen times per chat, and never change.

A ``Value`` is declared like a dataclass and made by C code, at a third of what a named tuple costs; reading one of its fields costs as
much as reading an attribute. The collector does not look into it (``gc=False``): a value holds words, numbers and other values, so it
is never part of a cycle. One that holds more than that says ``gc=True``.
"""

from __future__ import annotations

from typing import dataclass_transform

from msgspec import Struct
from msgspec.structs import asdict, replace

__all__ = ["Value", "asdict", "replace"]


@dataclass_transform(frozen_default=True)
class Value(Struct, frozen=True, gc=False):
    """Equal to another of its type with equal fields. Fields are given by place or by name; ``replace`` makes a changed copy."""
