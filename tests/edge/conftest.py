"""A module that says ``LOOPS = ("asyncio", "uvloop")`` has its tests run on each."""

from __future__ import annotations

import asyncio
from functools import partial

import office as module
import pytest

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


@pytest.fixture
def office(tmp_path):
    """Opens a whole sidecar on the policy in the test's own directory."""
    path = tmp_path / "policy.yaml"
    path.write_text(module.BASE)
    return partial(module.standing, path)
