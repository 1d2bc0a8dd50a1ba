"""Which modules are compiled, and what is said where they cannot be. The compiler itself takes minutes: ``make compiled`` runs it."""

from __future__ import annotations

import ast

import pytest

from benchmarks import compiled
from benchmarks.parts import ROOT


def test_the_whole_way_of_a_request_is_compiled():
    assert {
        "sidecar/wire/request.py",
        "sidecar/edge/data/door.py",
        "sidecar/edge/data/leg.py",
        "sidecar/edge/chat/answering.py",
        "sidecar/core/plan.py",
        "sidecar/edge/outlets/journal.py",
        "sidecar/edge/outlets/telemetry/__init__.py",
    } <= set(compiled.modules())


def test_what_is_left_out_is_there_and_is_not_compiled():
    named = {f"sidecar/{name}" for name in compiled.AS_THEY_ARE}
    assert not [name for name in named if not (ROOT / name).is_file()]
    assert not named & set(compiled.modules())


def test_no_compiled_module_has_a_class_that_mypyc_cannot_make():
    """A model of pydantic's compiles to C that no compiler takes; the message would name neither."""
    for module in compiled.modules():
        tree = ast.parse((ROOT / module).read_text())
        made = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        bases = {ast.unparse(base) for node in made for base in node.bases}
        assert "BaseModel" not in bases, module


def test_a_directory_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(SystemExit) as ended:
        compiled.main([str(tmp_path)])
    assert ended.value.code == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_no_directory(tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(SystemExit) as ended:
        compiled.main([str(tmp_path / "file")])
    assert ended.value.code == 2
    assert "not a directory" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


def test_without_a_compiler_nothing_is_begun(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    assert compiled.main([str(tmp_path / "new")]) == 1
    assert "no C compiler" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_without_mypyc_it_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: None if name == "setuptools" else object())
    assert compiled.main([str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err == "not installed: setuptools\n"


def test_what_the_compiler_says_last_is_told(tmp_path, capsys, monkeypatch):
    (tmp_path / "root" / "sidecar").mkdir(parents=True)
    monkeypatch.setattr(compiled, "ROOT", tmp_path / "root")
    monkeypatch.setattr(compiled, "BESIDE", ())
    monkeypatch.setattr(compiled, "COPIED", ("sidecar",))
    monkeypatch.setattr(compiled, "SETUP", "raise SystemExit('sidecar/core/plan.py:93: no such thing')")
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(compiled.shutil, "which", lambda _: "/usr/bin/cc")
    assert compiled.main([str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err == "sidecar/core/plan.py:93: no such thing\n"
