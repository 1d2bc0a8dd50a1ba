"""Importing what serve needs, without what libraries do on the way for features that nobody here uses."""

from __future__ import annotations

import gc
import mimetypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

# pydantic looks through all installed packages for plugins.
_SPARED: Mapping[str, str] = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
# aiohttp imports its client, which makes contexts for TLS at once, and OpenSSL keeps every authority that the system trusts.
# prometheus_client imports servers of its own, before there is anybody to ask for metrics.
_BARE = ("aiohttp", "prometheus_client")


@contextmanager
def sparing() -> Iterator[None]:
    """Import within. What modules make stays for good: the garbage collector looks at it neither now nor later."""
    before = {name: os.environ.get(name) for name in _SPARED}
    os.environ.update(_SPARED)
    # aiohttp has a file server. Nobody here has one, so the system's list of types is not read for it.
    mimetypes.inited = True
    for name in _BARE:
        _strip(name)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _strip(name: str) -> None:
    """Let modules of a package be imported without the package's own code; also later, by the admin port."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None:
        module = module_from_spec(spec)
        module.__class__ = _Bare
        sys.modules[name] = module


class _Bare(ModuleType):
    """A package whose own code runs as soon as somebody asks for what it defines, and not for one of its modules."""

    __spec__: ModuleSpec
    __version__ = "unknown"  # goes into names that aiohttp would give itself, and we do not tell

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or find_spec(f"{self.__name__}.{name}"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__.loader is not None  # noqa: S101 - a package that was found has one
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)
