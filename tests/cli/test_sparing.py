"""What serve imports, and what it leaves alone: start and memory are mostly imports."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
from importlib import metadata

import aiohttp
import pytest

from sidecar.cli import sparing

SERVE = """
import json, os, sys
from sidecar.cli import main
main(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
modules = sorted(name for name, module in sys.modules.items() if module is not None)
import aiohttp, gc, hashlib, importlib.metadata, mimetypes, prometheus_client, ssl
print(json.dumps({
    "modules": modules,
    "plugins": os.environ.get("PYDANTIC_DISABLE_PLUGINS"),
    "collects": gc.isenabled(),
    "whole": [aiohttp.ClientSession.__name__, prometheus_client.CollectorRegistry.__name__],
    "version": aiohttp.__version__,
    "tls": type(ssl.create_default_context()).__module__,
    "hash": hashlib.new("sha256", b"x").hexdigest(),
    "package": [importlib.metadata.version("aiohttp"), type(importlib.metadata.entry_points()).__name__],
    "type": mimetypes.guess_type("x.svg")[0],
}))
"""
FOREIGN = (
    "_hashlib", "_ssl", "aiohttp.connector", "cProfile", "curses", "dateutil", "difflib", "hypothesis", "multiprocessing",
    "numpy", "opentelemetry", "pdb", "pygments", "pytest", "requests", "rich", "ruamel", "structlog", "textual",
    "tkinter", "unittest", "xml", "yaml", "zipfile",
)  # fmt: skip
OURS = {
    "sidecar.cli": {"no_tls", "serve", "sparing"},
    "sidecar.policy": {
        "chaos",
        "load",
        "model",
        "moment",
        "objectives",
        "problem",
        "section",
        "source",
        "targets",
        "units",
        "wording",
    },
}


@pytest.fixture(scope="module")
def served():
    return what_served()


def what_served(**variables):
    """What a process says of itself that has served."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "OTEL_", "COVERAGE_"))
    }
    environ |= {"VX11_AUTH_MODE": "off", **variables}
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.send_signal(signal.SIGTERM)
        return json.loads(process.stdout.read())


def test_serving_imports_nothing_that_only_others_need(served):
    assert not {module for module in served["modules"] if module.startswith(FOREIGN)}
    rooms = {".".join(module.split(".")[:2]) for module in served["modules"] if module.startswith("sidecar.")}
    assert rooms == {"sidecar.cli", "sidecar.core", "sidecar.edge", "sidecar.policy", "sidecar.sources", "sidecar.wire"}


def test_what_the_first_retry_takes_is_there_before_it(served):
    """It may be due when there is no descriptor left to read a module with."""
    assert "tenacity" in served["modules"]


@pytest.mark.parametrize("room", OURS)
def test_serving_imports_of_these_rooms_only_what_it_runs(served, room):
    loaded = {module.split(".")[2] for module in served["modules"] if module.startswith(f"{room}.")}
    assert loaded == OURS[room]


def test_a_line_for_people_is_not_made_where_nobody_looks(served):
    assert "sidecar.edge.outlets.log" in served["modules"]
    assert "sidecar.edge.outlets.terminal" not in served["modules"]


def test_afterwards_everything_is_as_it_was(served):
    assert served["plugins"] is None
    assert served["collects"]


def test_packages_that_were_left_bare_are_whole_for_whoever_asks(served):
    assert served["whole"] == ["ClientSession", "CollectorRegistry"]
    assert served["version"] == aiohttp.__version__
    assert served["type"] == "image/svg+xml"
    assert served["package"] == [aiohttp.__version__, type(metadata.entry_points()).__name__]


def test_hashes_and_tls_are_there_for_whoever_asks(served):
    assert served["hash"] == hashlib.sha256(b"x").hexdigest()
    assert served["tls"] == "ssl"


def test_where_something_may_speak_tls_the_loop_can():
    assert "_ssl" in what_served(OTEL_SDK_DISABLED="true")["modules"]


def test_an_import_that_fails_leaves_everything_as_it_was_too(monkeypatch):
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "some")
    before = dict(os.environ)
    with pytest.raises(ImportError), sparing.sparing():
        import sidecar.there_is_no_such_module  # noqa: F401, PLC0415
    assert dict(os.environ) == before
    assert gc.isenabled()
    gc.unfreeze()
