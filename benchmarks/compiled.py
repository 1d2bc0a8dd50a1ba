"""What the sidecar costs when mypyc makes machine code of its hot rooms: ``python -m benchmarks.compiled DIRECTORY``.

Makes a copy of this tree in DIRECTORY in which the modules that a request passes through are compiled. All else is as it is here: the
tests of a room and the benchmarks are run in it as in this one. Takes some three minutes and a C compiler. Nobody is served by
it yet (docs/adr/0033).
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.parts import ROOT

ROOMS = ("core", "wire", "edge/chat", "edge/data", "edge/outlets", "edge/outlets/telemetry")
BESIDE = ("edge/admin/calls.py", "edge/admin/status.py", "edge/admin/trend.py", "edge/snapshot.py", "edge/token.py")
AS_THEY_ARE = {
    "core/value.py": "msgspec makes its classes",
    "core/vocabulary.py": "as core/value.py",
    "edge/chat/request.py": "a model of pydantic's, whose class mypyc cannot make",
    "core/actual.py": "no request passes here",
    "core/comparison.py": "no request passes here",
    "core/line.py": "no request passes here",
    "edge/chat/shared_keys.py": "none without a Redis",
    "edge/outlets/terminal.py": "no request passes here",
    "edge/outlets/traces.py": "none without an OTLP endpoint",
    "edge/outlets/tracing.py": "none without an OTLP endpoint",
    "edge/outlets/telemetry/exposition.py": "the admin port loads it, late",
    "edge/outlets/telemetry/mounted.py": "an application loads it",
    "edge/outlets/telemetry/negotiation.py": "the admin port loads it, late",
}
COPIED = (
    "sidecar",
    "tests",
    "benchmarks",
    "policies",
    "dashboards",
    "deploy",
    "docs",
    "pyproject.toml",
    "requirements.lock",
)
# Below DIRECTORY, without a pyproject.toml: setuptools reads that, and an old one refuses ours.
BUILD = "build-compiled"
SETUP = """\
import sys
from mypyc.build import mypycify
from setuptools import setup
setup(name="compiled", packages=[], ext_modules=mypycify(["--config-file=mypy.ini", *sys.argv.pop().split(",")],
      opt_level="3", debug_level="0", multi_file=True))
"""
MYPY = "[mypy]\nstrict = true\nplugins = pydantic.mypy\n"


class NotCompiledError(Exception):
    """Says why, in a line or some."""


def main(given: list[str] | None = None) -> int:
    """Exit status: 2 for a DIRECTORY that is not to be written to, 1 where nothing could be compiled."""
    parser = argparse.ArgumentParser(
        "benchmarks.compiled", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where the copy goes; must be new or empty")
    directory = parser.parse_args(given).directory
    if directory.exists() and not directory.is_dir():
        parser.error(f"{directory}: not a directory")
    if directory.is_dir() and any(directory.iterdir()):
        parser.error(f"{directory}: not empty")
    try:
        build(directory)
    except NotCompiledError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(list((directory / 'sidecar').rglob('*.so')))} modules are compiled in {directory}")
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


def build(directory: Path) -> None:
    """Raises NotCompiledError."""
    if missing := [name for name in ("mypyc", "setuptools") if importlib.util.find_spec(name) is None]:
        raise NotCompiledError(f"not installed: {', '.join(missing)}")
    if shutil.which("cc") is None:
        raise NotCompiledError("no C compiler (gcc is a package of Debian)")
    directory.mkdir(parents=True, exist_ok=True)
    _copy(directory)
    work = directory / BUILD
    work.mkdir()
    shutil.copytree(directory / "sidecar", work / "sidecar")
    (work / "setup.py").write_text(SETUP)
    (work / "mypy.ini").write_text(MYPY)
    command = [sys.executable, "setup.py", "build_ext", "--inplace", "-j2", ",".join(modules())]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotCompiledError("\n".join((done.stdout + done.stderr).strip().splitlines()[-15:]))
    for made in (*work.glob("*.so"), *(work / "sidecar").rglob("*.so")):
        shutil.move(made, directory / made.relative_to(work))
    shutil.rmtree(work)


def _copy(directory: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, directory / name)


if __name__ == "__main__":
    sys.exit(main())
