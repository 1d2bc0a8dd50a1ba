"""Importing what serve needs, without what libraries do on the way for features that nobody here uses."""

from __future__ import annotations

import gc
import mimetypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

from sidecar.cli import no_tls

# pydantic looks through all installed packages for plugins.
_SPARED: Mapping[str, str] = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
# aiohttp imports its client, which makes contexts for TLS at once, and OpenSSL keeps every authority that the system trusts.
# prometheus_client imports servers of its own, before there is anybody to ask for metrics; pydantic, what it would look for plugins with.
_BARE = ("aiohttp", "prometheus_client", "importlib.metadata")
_TAKEN = ("entry_points",)  # functions that somebody takes from one of them, and does not call
# What has a form in Python that is as good: the one brings OpenSSL for hashes, the other the library of C++ for lists of an admin port.
_NONE: Any = None  # how sys.modules says that there is no such module
_IN_PYTHON = ("_hashlib", "frozenlist._frozenlist")


@contextmanager
def sparing(*, tls: bool = False) -> Iterator[None]:
    """Import within. What modules make stays for good: the garbage collector looks at it neither now nor later.

    Unless ``tls``, the loop of this process cannot speak it.
    """
    if not tls:
        no_tls.install()
    for name in _IN_PYTHON:
        sys.modules.setdefault(name, _NONE)
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
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)


class _Bare(ModuleType):
    """A package whose own code runs as soon as somebody asks for what it defines, and not for one of its modules."""

    __spec__: ModuleSpec
    __version__ = "unknown"  # goes into names that aiohttp would give itself, and we do not tell

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or find_spec(f"{self.__name__}.{name}"):
            raise AttributeError(name)
        if name in _TAKEN:
            return partial(_call, self, name)
        return getattr(_whole(self), name)


def _call(module: ModuleType, name: str, *given: Any, **named: Any) -> Any:
    return getattr(_whole(module), name)(*given, **named)


def _whole(module: ModuleType) -> ModuleType:
    """Run what a bare module has left out, unless somebody did."""
    if isinstance(module, _Bare):
        module.__class__ = ModuleType  # type: ignore[assignment]
        assert module.__spec__.loader is not None  # noqa: S101 - a package that was found has one
        module.__spec__.loader.exec_module(module)
    return module
