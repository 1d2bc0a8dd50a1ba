"""A copy of this tree as it is released, with machine code in its hot rooms: ``python -m benchmarks.compiled DIRECTORY``.

All else in it is as it is here: tests and benchmarks are run there as here, against compiled modules.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.parts import ROOT

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
    directory.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(ROOT / name, directory / name)
    return subprocess.run(
        [sys.executable, directory / "deploy" / "compiled" / "build.py", directory], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
