"""A module that says ``LOOPS = ("asyncio", "uvloop")`` has its tests run on each."""

from __future__ import annotations

import asyncio

FACTORIES = {"asyncio": asyncio.SelectorEventLoop}
try:
    import uvloop
except ImportError:
    pass
else:
    FACTORIES["uvloop"] = uvloop.new_event_loop


def pytest_asyncio_loop_factories(config, item):
    wanted = getattr(item.module, "LOOPS", ("asyncio",))
    return {name: FACTORIES[name] for name in wanted if name in FACTORIES}
