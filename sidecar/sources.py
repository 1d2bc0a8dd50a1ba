"""Which form of our modules runs: machine code made of the sources where a release brings it, or the sources themselves.

Python takes an extension module before the source beside it. ``VX11_SIDECAR_CODE=sources`` lets it take the source, so that somebody who
suspects the compiler at night needs no other image.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType

VARIABLE = "VX11_SIDECAR_CODE"
_EXAMPLE = "sidecar.core.plan"


class _Sources:
    """Finds modules of ours, and only as sources."""

    def find_spec(self, name: str, path: Sequence[str] | None, _: ModuleType | None = None, /) -> ModuleSpec | None:
        if path is None or not name.startswith("sidecar."):
            return None
        found = (FileFinder(entry, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name) for entry in path)
        return next((spec for spec in found if spec is not None), None)


def choose() -> None:
    """As the variable says, for all that is imported from now on."""
    if os.environ.get(VARIABLE) == "sources":
        sys.meta_path.insert(0, _Sources())


def running() -> str:
    """``compiled`` or ``sources``."""
    spec = find_spec(_EXAMPLE)
    origin = (spec and spec.origin) or ""
    return "compiled" if origin.endswith(tuple(EXTENSION_SUFFIXES)) else "sources"
