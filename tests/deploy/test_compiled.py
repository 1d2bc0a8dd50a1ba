"""Which modules a release has as machine code, what they must not do, and what is said where they cannot be compiled."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def loaded(name):
    """A file of ``deploy/compiled``, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / "compiled" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build(monkeypatch):
    module = loaded("build")
    monkeypatch.setattr(module.shutil, "which", lambda _: "/usr/bin/cc")
    return module


def test_the_whole_way_of_a_request_is_compiled(build):
    assert {
        "sidecar/wire/request.py",
        "sidecar/edge/data/door.py",
        "sidecar/edge/data/leg.py",
        "sidecar/edge/chat/answering.py",
        "sidecar/core/plan.py",
        "sidecar/edge/outlets/journal.py",
        "sidecar/edge/outlets/telling.py",
        "sidecar/edge/outlets/telemetry/__init__.py",
    } <= set(build.modules())


def test_what_is_left_out_is_there_and_is_not_compiled(build):
    named = {f"sidecar/{name}" for name in build.AS_THEY_ARE}
    assert not [name for name in named if not (ROOT / name).is_file()]
    assert not named & set(build.modules())


def test_no_compiled_module_has_a_class_that_mypyc_cannot_make(build):
    """A model of pydantic's compiles to C that no compiler takes; the message would name neither."""
    for module in build.modules():
        tree = ast.parse((ROOT / module).read_text())
        made = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        bases = {ast.unparse(base) for node in made for base in node.bases}
        assert "BaseModel" not in bases, module


def test_nobody_derives_from_a_class_that_is_compiled_but_who_is_compiled_too(build):
    compiled = set(build.modules())
    trees = {path: ast.parse((ROOT / path).read_text()) for path in compiled}
    theirs = {node.name for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    for path in (ROOT / "sidecar").rglob("*.py"):
        if str(path.relative_to(ROOT)) not in compiled:
            tree = ast.parse(path.read_text())
            own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
            bases = {
                ast.unparse(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases
            }
            assert not bases & theirs - own, path


def test_nothing_that_is_compiled_is_said_in_a_way_that_mypyc_gets_wrong(build):
    assert not [place for path in build.modules() for place in build.misunderstood(ROOT / path)]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("async def f():\n  try: pass\n  finally:\n    await g()", 4),
        ("async def f():\n  try: pass\n  finally:\n    async with g(): pass", 4),
        ("def f(view):\n  while view:\n    view = view[write(view) :]", 3),
        ("def f(text):\n  return text[: (n := 3)]", 2),
        ("async def f():\n  try: pass\n  finally:\n    g()", None),
        ("def f(text, n):\n  return text[len(text) - n : text.index('x', n)]", None),
    ],
)
def test_what_mypyc_gets_wrong_is_found_by_its_line(build, tmp_path, monkeypatch, code, line):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "m.py").write_text(code)
    found = [place.split(": ")[0] for place in build.misunderstood(tmp_path / "m.py")]
    assert found == ([] if line is None else [f"m.py:{line}"])


def test_without_a_compiler_nothing_is_begun(build, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    assert build.main([str(tmp_path / "new")]) == 1
    assert "no C compiler" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_without_mypyc_it_says_what_is_missing(build, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None if name == "setuptools" else object())
    assert build.main([str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err == "not installed: setuptools\n"


def test_what_the_compiler_says_last_is_told(build, tmp_path, capsys, monkeypatch):
    (tmp_path / "root" / "sidecar").mkdir(parents=True)
    monkeypatch.setattr(build, "ROOT", tmp_path / "root")
    monkeypatch.setattr(build, "BESIDE", ())
    monkeypatch.setattr(build, "SETUP", "raise SystemExit('sidecar/core/plan.py:93: no such thing')")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda _: object())
    assert build.main([str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err == "sidecar/core/plan.py:93: no such thing\n"


def checked(build, tmp_path, module):
    """What the check of what was compiled says of a module."""
    (tmp_path / "m.py").write_text(module)
    command = [sys.executable, "-c", build.CHECK.replace('endswith(".py")', 'endswith(".sources")'), "m"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("base", "refused"), [("logging.Handler", True), ("asyncio.Protocol", False), ("object", False)]
)
def test_a_class_to_whose_instances_somebody_may_have_weak_references_is_refused(build, tmp_path, base, refused):
    """Counted as compiled: it has the name by which mypyc's classes are known."""
    said = checked(
        build, tmp_path, f"import asyncio, logging\nMine = type('Mine', ({base},), {{'__internal_mypyc_setup': None}})"
    )
    assert said.returncode == refused
    assert bool(re.search(r"m\.Mine: derives from .*logging\.Handler", said.stderr)) is refused


def test_a_module_that_was_not_compiled_is_told_whatever_becomes_of_assertions(build, tmp_path):
    (tmp_path / "m.py").write_text("")
    command = [sys.executable, "-O", "-c", build.CHECK, "m"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "m is interpreted\n")


@pytest.fixture
def hook(tmp_path):
    """``deploy/compiled/hook.py``, as the build backend makes it, for a build in ``tmp_path``."""
    return loaded("hook").Compiled(str(ROOT), {}, None, None, str(tmp_path), "wheel")


def test_what_was_compiled_goes_into_the_wheel_and_nothing_of_an_earlier_build(hook, tmp_path, monkeypatch):
    made, data = tmp_path / "compiled", {"force_include": {}}
    made.mkdir()
    (made / "old.so").write_text("")

    def compiles(command, **_):
        (made / "sidecar").mkdir(parents=True)
        (made / "sidecar" / "new.so").write_text("")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", compiles)
    hook.initialize("standard", data)
    assert data == {
        "pure_python": False,
        "infer_tag": True,
        "force_include": {str(made / "sidecar" / "new.so"): "sidecar/new.so"},
    }
    hook.finalize("standard", data, "a.whl")
    assert not made.exists()


def test_a_wheel_that_could_not_be_compiled_is_none(hook, monkeypatch):
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", "no C compiler")
    )
    with pytest.raises(RuntimeError, match="no C compiler"):
        hook.initialize("standard", {"force_include": {}})


def test_an_install_for_development_is_not_compiled(hook, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    hook.initialize("editable", {})
