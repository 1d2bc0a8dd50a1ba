"""A stand-in for ``ssl`` in a process that speaks TLS with nobody: OpenSSL is five MiB, a tenth of what a sidecar holds idle.

uvloop, asyncio, aiohttp and prometheus_client take some names of ``ssl`` when they are imported, to look at them when somebody wants
TLS. These names are here. Whoever asks for any other gets the real module, and so does everybody from then on; what has taken a name
before keeps it, so uvloop cannot speak TLS in such a process. Who may want that (a Redis, a collector of traces) has no stand-in.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "ssl"
_MAY_SPEAK_IT = ("OTEL_", "VX11_SIDECAR_REDIS_URL")


class SSLError(OSError):
    """As its kinds below: nobody raises it here."""


class SSLWantReadError(SSLError): ...


class SSLSyscallError(SSLError): ...


class SSLZeroReturnError(SSLError): ...


class SSLCertVerificationError(SSLError, ValueError): ...


class SSLContext:
    """What nothing is an instance of."""


class MemoryBIO: ...


class SSLObject: ...


class SSLSocket: ...


class TLSVersion: ...


def create_default_context(*given: Any, **named: Any) -> Any:
    """The real one's."""
    return _real().create_default_context(*given, **named)


_KNOWN = {
    "SSLError": SSLError,
    "SSLWantReadError": SSLWantReadError,
    "SSLSyscallError": SSLSyscallError,
    "SSLZeroReturnError": SSLZeroReturnError,
    "SSLCertVerificationError": SSLCertVerificationError,
    "CertificateError": SSLCertVerificationError,
    "SSLContext": SSLContext,
    "SSLObject": SSLObject,
    "SSLSocket": SSLSocket,
    "MemoryBIO": MemoryBIO,
    "TLSVersion": TLSVersion,
    "create_default_context": create_default_context,
    # Numbers that do not change: OpenSSL's, and Python's for its protocols.
    "SSL_ERROR_WANT_READ": 2,
    "SSL_ERROR_WANT_WRITE": 3,
    "SSL_ERROR_SYSCALL": 5,
    "PROTOCOL_TLS_CLIENT": 16,
    "PROTOCOL_TLS_SERVER": 17,
}


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(), name)


def speaks_tls(environ: Mapping[str, str]) -> bool:
    """Whether something is set up that may: traces can leave over HTTPS, and a Redis be asked over TLS."""
    return any(value and name.startswith(_MAY_SPEAK_IT) for name, value in environ.items())


def install() -> None:
    """Let ``import ssl`` give the stand-in, unless there is the real one already."""
    if _NAME not in sys.modules:
        stand_in = sys.modules[_NAME] = _StandIn(_NAME)
        vars(stand_in).update(_KNOWN)


def _real() -> ModuleType:
    """Put the real module in the place of the stand-in, also for those who have that."""
    stand_in = sys.modules[_NAME]
    if isinstance(stand_in, _StandIn):
        del sys.modules[_NAME]
        vars(stand_in).update(vars(import_module(_NAME)))
    return sys.modules[_NAME]
