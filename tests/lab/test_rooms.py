"""The lab imports nothing of the other rooms, and nothing that could run a program."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sidecar.lab

FILES = sorted(Path(sidecar.lab.__file__).parent.glob("*.py"))


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_imports(file: Path) -> None:
    names = imported(file)
    assert all(name.startswith("sidecar.lab.") for name in names if name.partition(".")[0] == "sidecar")
    assert not names & {"subprocess", "multiprocessing", "pty", "ctypes"}
