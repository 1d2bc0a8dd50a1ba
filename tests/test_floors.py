"""The floors of the house: who may import whom, and what the pure rooms never touch."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = ("core", "wire", "rules", "policy")
IMPURE = {
    "aiohttp", "asyncio", "tenacity", "prometheus_client", "socket", "threading", "time", "random", "datetime", "logging",
    "selectors", "subprocess", "multiprocessing", "concurrent", "secrets", "uvloop", "_thread", "_socket",
}  # fmt: skip
ABOVE = {"policy": set(), "core": {"policy"}, "wire": {"policy"}, "rules": {"policy"}}
FILES = sorted(path for room in PURE for path in (ROOT / "sidecar" / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            assert called not in ("__import__", "import_module"), f"{path}: imports by a name made at run time"
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pure_module_imports_neither_clocks_nor_sockets_nor_other_rooms(path):
    names = imported(path)
    assert not {name.split(".")[0] for name in names} & IMPURE
    room = path.relative_to(ROOT / "sidecar").parts[0]
    rooms = {name.split(".")[1] for name in names if name.startswith("sidecar.")}
    assert rooms <= {room} | ABOVE[room]


def test_the_walk_sees_an_import_wherever_it_hides(tmp_path):
    path = tmp_path / "sly.py"
    path.write_text("def f():\n    if 1:\n        import time as t\n    from os import path\n    return t, path\n")
    assert imported(path) == {"time", "os.path"}
    path.write_text("__import__('time')")
    with pytest.raises(AssertionError, match="at run time"):
        imported(path)


def test_no_contract_between_the_floors_is_broken():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    linter = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    run = subprocess.run([sys.executable, "-c", linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Contracts: {len(contracts)} kept, 0 broken." in run.stdout
    assert contracts
