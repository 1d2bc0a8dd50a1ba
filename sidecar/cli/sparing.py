"""Importing what serve needs, without what libraries do on the way for features that nobody here uses."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# aiohttp makes contexts for TLS when it is imported, for a client that serve never has: OpenSSL reads every authority that the system
# trusts for them, and keeps it. So it finds none; whoever used such a context would be refused. Traces over https have their own.
# pydantic looks through all installed packages for plugins.
_SPARED: Mapping[str, str] = {
    "SSL_CERT_FILE": os.devnull,
    "SSL_CERT_DIR": os.devnull,
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}


@contextmanager
def sparing() -> Iterator[None]:
    """Import within. What modules make stays for good: the garbage collector looks at it neither now nor later."""
    before = {name: os.environ.get(name) for name in _SPARED}
    os.environ.update(_SPARED)
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
