"""Machine code of the modules that a request passes through, made of their sources: ``python deploy/compiled/build.py DIRECTORY``.

Puts extension modules into DIRECTORY, each where its source is from the root of the project. Python takes them before the sources when
they lie beside these; so a release (``hook.py``) and a copy to be tested (``benchmarks/compiled.py``) are made of the same. Takes a C
compiler and a minute or two. Why, and what that gives: docs/adr/0033.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import constants
import values

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "core/fact", "wire", "edge/chat", "edge/data", "edge/outlets", "edge/outlets/telemetry")
BESIDE = (
    "edge/admin/calls.py",
    "edge/admin/status.py",
    "edge/admin/trend.py",
    "edge/cork.py",
    "edge/microseconds.py",
    "edge/snapshot.py",
    "edge/token.py",
)
AS_THEY_ARE = {
    "core/value.py": "msgspec makes its classes",
    "edge/chat/superset.py": "as core/value.py",
    "edge/chat/model.py": "a model of pydantic's, whose class mypyc cannot make",
    "edge/outlets/libraries.py": "logging has weak references to its handlers (see CHECK)",
    "core/written.py": "as core/value.py",
    "core/actual.py": "no request passes here",
    "core/comparison.py": "no request passes here",
    "edge/chat/shared_keys.py": "none without a Redis",
    "edge/outlets/sink.py": "whoever embeds us may derive from Sink",
    "edge/outlets/terminal.py": "no request passes here",
    "edge/outlets/traces.py": "none without an OTLP endpoint",
    "edge/outlets/telemetry/exposition.py": "the admin port loads it, late",
    "edge/outlets/telemetry/mounted.py": "an application loads it",
    "edge/outlets/telemetry/negotiation.py": "the admin port loads it, late",
}
NAME = "sidecar"  # of the one library that all of them are parts of
SETUP = f"""\
import sys
from mypyc.build import mypycify
from setuptools import setup
made = mypycify(["--config-file=mypy.ini", *sys.argv.pop().split(",")],
                opt_level="2", debug_level="0", multi_file=True, group_name="{NAME}")
for each in made:  # nobody outside calls its functions: no names, no tables to unwind them; and no detours to Python's
    each.extra_compile_args += ["-fvisibility=hidden", "-fno-asynchronous-unwind-tables", "-fno-plt"]
setup(name="{NAME}", packages=[], ext_modules=made)
"""
# The types of extras are not read: they may not be installed, and what is compiled must not hang on that.
MYPY = """\
[mypy]
strict = true
plugins = pydantic.mypy
[mypy-redis.*,opentelemetry.*]
follow_imports = skip
ignore_missing_imports = true
"""
# A class that mypyc compiled and that has an interpreted base gets a place for weak references, and does not clear them when an
# instance goes: whoever had one looks at freed memory. To instances of these bases nobody has any.
CHECK = """\
import abc, asyncio, importlib, sys, typing
from prometheus_client.registry import Collector
from sidecar.edge.outlets.sink import Sink
never = {object, abc.ABC, typing.Generic, typing.Protocol, asyncio.Protocol, asyncio.BaseProtocol, Collector, Sink}
for name in sys.argv[1].split(","):
    module = importlib.import_module(name)
    if module.__file__.endswith(".py"):
        sys.exit(f"{name} is interpreted")
    for made in [it for it in vars(module).values() if isinstance(it, type) and it.__module__ == name]:
        compiled = [base for base in made.__mro__ if "__internal_mypyc_setup" in vars(base)]
        others = set(made.__mro__) - set(compiled) - never
        if compiled and made.__weakrefoffset__ and others:
            sys.exit(f"{name}.{made.__name__}: derives from {others}")
"""

AWAITS = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)
LOOKS = {"len", "min", "max", "index", "find", "start", "end"}


class NotCompiledError(Exception):
    """Says why, in a line or some."""


def main(given: list[str] | None = None) -> int:
    """Exit status 1 where nothing could be compiled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="made if it is not there")
    try:
        made = build(parser.parse_args(given).directory)
    except NotCompiledError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(made) - 1} modules are compiled")
    return 0


def modules() -> list[str]:
    """What is compiled, as paths from the root."""
    return [str(path.relative_to(ROOT)) for path in sorted(_hot())]


def _hot() -> Iterator[Path]:
    sidecar = ROOT / "sidecar"
    left = {sidecar / name for name in AS_THEY_ARE}
    for room in ROOMS:
        yield from (path for path in (sidecar / room).glob("*.py") if path not in left and not _empty(path))
    yield from (sidecar / name for name in BESIDE)


def _empty(path: Path) -> bool:
    """The door of a room with nothing behind it."""
    return path.name == "__init__.py" and len(path.read_text().splitlines()) <= 1


def build(directory: Path) -> list[str]:
    """Returns what it put there, as paths from there. Raises NotCompiledError."""
    if missing := [name for name in ("mypyc", "setuptools", "pydantic") if importlib.util.find_spec(name) is None]:
        raise NotCompiledError(f"not installed: {', '.join(missing)}")
    if shutil.which("cc") is None:
        raise NotCompiledError("no C compiler (gcc and libc6-dev are packages of Debian)")
    if wrong := [place for path in modules() for place in misunderstood(ROOT / path)]:
        raise NotCompiledError("\n".join(wrong))
    # Without a pyproject.toml: setuptools reads that, and an old one refuses ours.
    with tempfile.TemporaryDirectory(prefix="compiled-") as made:
        work = Path(made)
        shutil.copytree(ROOT / "sidecar", work / "sidecar", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        (work / "setup.py").write_text(SETUP)
        (work / "mypy.ini").write_text(MYPY)
        for path in modules():
            _rewrite(work / path)
        _run(work, "setup.py", "build_ext", "--inplace", ",".join(modules()))
        _run(work, "-c", CHECK, ",".join(_name(path) for path in modules()))
        libraries = [*work.glob("*.so"), *(work / "sidecar").rglob("*.so")]
        for library in libraries:
            place = directory / library.relative_to(work)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(library, place)
        return [str(library.relative_to(work)) for library in libraries]


def misunderstood(path: Path) -> list[str]:
    """Where something is said that mypyc 2.4 gets wrong, as ``file:line: what``.

    What came through a ``finally`` in which something is awaited is kept, and raised there ever after. What stands in a slice may be done
    twice: there only calls may stand that look at something.
    """
    nodes = list(ast.walk(ast.parse(path.read_text())))
    finals = _inside(part for node in nodes if isinstance(node, ast.Try) for part in node.finalbody)
    awaited = {node.lineno: "awaited in finally" for node in finals if isinstance(node, AWAITS)}
    slices = _inside(node for node in nodes if isinstance(node, ast.Slice))
    called = {node.lineno: "done within a slice" for node in slices if _does(node)}
    return [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in sorted((awaited | called).items())]


def _inside(parts: Iterable[ast.AST]) -> list[Any]:
    return [node for part in parts for node in ast.walk(part)]


def _does(node: ast.AST) -> bool:
    """Whether it does something: all but calls that only look."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] not in LOOKS
    return isinstance(node, (*AWAITS, ast.NamedExpr))


def _name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _rewrite(path: Path) -> None:
    try:
        path.write_text(constants.finalised(values.rewritten(path.read_text())))
    except values.NotAValueError as error:
        raise NotCompiledError(f"{path.name}: {error}") from error


def _run(work: Path, *command: str) -> None:
    done = subprocess.run([sys.executable, *command], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotCompiledError("\n".join((done.stdout + done.stderr).strip().splitlines()[-15:]))


if __name__ == "__main__":
    sys.exit(main())
