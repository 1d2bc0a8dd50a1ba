"""What serve imports, and what it leaves alone: start and memory are mostly imports."""

from __future__ import annotations

import gc
import json
import os
import signal
import ssl
import subprocess
import sys

import pytest

from sidecar.cli import sparing

SERVE = """
import json, os, sys
from sidecar.cli import main
main(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
import gc
spared = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "PYDANTIC_DISABLE_PLUGINS")}
print(json.dumps({"modules": sorted(sys.modules), "spared": spared, "collects": gc.isenabled()}))
"""
FOREIGN = (
    "cProfile", "curses", "dateutil", "difflib", "hypothesis", "multiprocessing", "numpy", "opentelemetry", "pdb",
    "pygments", "pytest", "requests", "rich", "ruamel", "structlog", "textual", "tkinter", "unittest", "xml", "yaml",
)  # fmt: skip
OURS = {
    "sidecar.cli": {"serve", "sparing"},
    "sidecar.policy": {"load", "model", "objectives", "problem", "section", "source", "targets", "units", "wording"},
}


@pytest.fixture(scope="module")
def served():
    """What a process says of itself that has served."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "OTEL_", "COVERAGE_"))
    }
    environ |= {"VX11_AUTH_MODE": "off", "SSL_CERT_FILE": "/nowhere/authorities"}
    environ.pop("SSL_CERT_DIR", None)
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
    assert rooms == {"sidecar.cli", "sidecar.core", "sidecar.edge", "sidecar.policy", "sidecar.wire"}


@pytest.mark.parametrize("room", OURS)
def test_serving_imports_of_these_rooms_only_what_it_runs(served, room):
    loaded = {module.split(".")[2] for module in served["modules"] if module.startswith(f"{room}.")}
    assert loaded == OURS[room]


def test_a_line_for_people_is_not_made_where_nobody_looks(served):
    assert "sidecar.edge.outlets.log" in served["modules"]
    assert "sidecar.edge.outlets.terminal" not in served["modules"]


def test_afterwards_everything_is_as_it_was(served):
    assert served["spared"] == {
        "SSL_CERT_FILE": "/nowhere/authorities",
        "SSL_CERT_DIR": None,
        "PYDANTIC_DISABLE_PLUGINS": None,
    }
    assert served["collects"]


def test_an_import_that_fails_leaves_everything_as_it_was_too(monkeypatch):
    monkeypatch.setenv("SSL_CERT_DIR", "/somewhere")
    before = dict(os.environ)
    with pytest.raises(ImportError), sparing.sparing():
        import sidecar.there_is_no_such_module  # noqa: F401, PLC0415
    assert dict(os.environ) == before
    assert gc.isenabled()
    gc.unfreeze()


def test_what_is_made_for_tls_meanwhile_trusts_nobody():
    with sparing.sparing():
        context = ssl.create_default_context()
    gc.unfreeze()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.get_ca_certs() == []
