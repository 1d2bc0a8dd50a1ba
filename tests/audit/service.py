"""Asking pip-audit about packages: what it found, or why it could ask nobody. A closed set of reasons counts as nobody; the rest is a fault."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.audit.locks import ROOT, Pin

PROGRAM = ROOT / ".venv" / "audit" / "bin" / "pip-audit"
PATIENCE = 300.0  # seconds for all packages of a lock
A_REQUEST = 15  # seconds for one answer
# How its last words begin where the service did not answer, or not as itself: it has words of its own for few of these.
NOBODY = re.compile(
    r"^(?:requests\.exceptions\.(?:\w*Timeout|\w*ConnectionError|SSLError|ProxyError|ChunkedEncodingError|JSONDecodeError|TooManyRedirects)"
    r"|pip_audit\._service\.interface\.\w+|ERROR:pip_audit\._cli:(?:Could not connect|Tip: your network|PyPI is not redirecting))",
    re.MULTILINE,
)


class Finding(NamedTuple):
    """A known vulnerability in a locked package; ``fixed_in`` are the versions without it."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]


class Report(NamedTuple):
    """``skipped`` are packages that the service does not know."""

    audited: int
    findings: list[Finding]
    skipped: list[str]


class UnreachableError(Exception):
    """The service could not be asked; the text is one line."""


class AuditFailedError(Exception):
    """pip-audit did not do what it is there for; the text is what it said."""


def ask(pins: Iterable[Pin], options: Sequence[str] = (), program: Path = PROGRAM) -> Report:
    """What is known of these packages. Raises UnreachableError and AuditFailedError."""
    with tempfile.TemporaryDirectory() as folder:
        listed, output = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        listed.write_text("".join(f"{pin.line}\n" for pin in pins))
        fixed = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", str(A_REQUEST))
        command = [str(program), "-r", str(listed), "-f", "json", "-o", str(output), *fixed, *options]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=folder)
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"no answer within {PATIENCE:.0f} s") from None
        if output.exists():
            return read(output.read_text())
    if NOBODY.search(ran.stderr):
        raise UnreachableError(ran.stderr.strip().splitlines()[-1][:200])
    raise AuditFailedError(f"pip-audit ended with {ran.returncode} and no report:\n{ran.stderr[-2000:]}")


def read(text: str) -> Report:
    """A report of pip-audit. Raises AuditFailedError for what is none."""
    try:
        told: list[dict[str, Any]] = json.loads(text)["dependencies"]
        audited = [each for each in told if "skip_reason" not in each]
        findings = [
            Finding(each["name"], each["version"], (one["id"], *sorted(one["aliases"])), tuple(one["fix_versions"]))
            for each in audited
            for one in each["vulns"]
        ]
        return Report(len(audited), findings, [each["name"] for each in told if "skip_reason" in each])
    except (ValueError, KeyError, TypeError) as error:
        raise AuditFailedError(f"no report of pip-audit: {error!r}") from None
