"""The units as systemd reads them: sections of assignments, of which the same one may stand several times."""

from __future__ import annotations

from pathlib import Path

DIRECTORY = Path(__file__).parents[2] / "deploy" / "systemd"
Unit = dict[str, dict[str, list[str]]]


def unit(name: str) -> Unit:
    """By section and name all values, in order; lines that are continued are joined."""
    text = (DIRECTORY / name).read_text().replace("\\\n", " ")
    found: Unit = {}
    section = ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        name, _, value = line.partition("=")
        found.setdefault(section, {}).setdefault(name, []).append(value)
    return found


def seconds(text: str) -> float:
    """Of the times that stand in our units."""
    for ending, factor in (("ms", 0.001), ("s", 1.0)):
        if text.endswith(ending):
            return float(text.removesuffix(ending)) * factor
    raise ValueError(text)
