"""What the locks name: read as strictly as they are to be written, so that a line that names no one package is noticed and not passed over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PRODUCTION, DEVELOPERS = ROOT / "requirements.lock", ROOT / "tests" / "requirements.lock"
LOCKS = (PRODUCTION, *sorted((ROOT / "tests").rglob("*.lock")))
"""Everything that is installed from anywhere, environments of their own for some tests included."""

LINE = re.compile(
    r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[0-9][a-z0-9.!+]*)(?: ; (?P<marker>[a-z_(][^#\\]*?))?"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


class LockError(ValueError):
    """A lock says something that a lock may not; the text names the line."""


class Pin(NamedTuple):
    """One package at one version, as the files that may be installed for it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def line(self) -> str:
        """As a requirement on every machine: what is locked for another system is audited as well."""
        return " ".join((str(self), *(f"--hash={one}" for one in self.hashes)))


def pins(text: str) -> list[Pin]:
    """Everything a lock names. Raises LockError for what is no version with a sha256: a range, a URL, a path, an option, a file to include."""
    found: dict[str, Pin] = {}
    for line in text.replace(" \\\n", " ").splitlines():
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(re.sub(" +", " ", line).rstrip())
        if match is None:
            raise LockError(f"no package at one version with a sha256: {line[:80]}")
        hashes = tuple(match["hashes"].replace(" --hash=", " ").split())
        pin = Pin(match["name"], match["version"], match["marker"] or "", hashes)
        if pin.name in found:
            raise LockError(f"twice: {found[pin.name]} and {pin}")
        found[pin.name] = pin
    if not found:
        raise LockError("nothing is locked")
    return list(found.values())
