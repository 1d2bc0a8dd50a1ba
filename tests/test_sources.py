"""Which form of a module runs: where there are both, the compiled one, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, PathFinder, SourceFileLoader

import pytest

from sidecar import sources

PRINT = "import sidecar.core.plan, sidecar.sources; print(sidecar.core.plan.__file__, sidecar.sources.running())"


@pytest.fixture
def both(tmp_path):
    """A directory with a module in both forms."""
    for suffix in (".py", EXTENSION_SUFFIXES[0]):
        (tmp_path / f"both{suffix}").write_text("")
    return [str(tmp_path)]


def test_python_takes_the_compiled_form_and_we_find_the_source(both):
    assert isinstance(PathFinder.find_spec("sidecar.both", both).loader, ExtensionFileLoader)
    found = sources._Sources().find_spec("sidecar.both", both)
    assert isinstance(found.loader, SourceFileLoader)
    assert found.origin == f"{both[0]}/both.py"


@pytest.mark.parametrize(
    ("name", "inside"), [("other.both", True), ("both", True), ("sidecar.none", True), ("sidecar", False)]
)
def test_what_is_not_ours_or_not_there_is_left_to_others(both, name, inside):
    assert sources._Sources().find_spec(name, both if inside else None) is None


def ran(**environ):
    kept = {name: value for name, value in os.environ.items() if name != sources.VARIABLE}
    done = subprocess.run([sys.executable, "-c", PRINT], env=kept | environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_variable_makes_sources_run():
    path, form = ran(VX11_SIDECAR_CODE="sources")
    assert (path.endswith("/core/plan.py"), form) == (True, "sources")


@pytest.mark.parametrize("said", [{}, {"VX11_SIDECAR_CODE": ""}, {"VX11_SIDECAR_CODE": "compiled"}])
def test_otherwise_what_is_there_runs(said):
    path, form = ran(**said)
    assert form == sources.running() == ("sources" if path.endswith(".py") else "compiled")
