"""What mutmut leaves behind (``mutants/**/*.meta``), and what each mutant changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KILLED = {1: "killed", 3: "killed", 24: "timeout", -24: "timeout", 36: "timeout", 152: "timeout", 255: "timeout"}
LEFT = {0: "survived", 5: "untested", 33: "untested"}
_MANGLED = re.compile(r"x(?:_|ǁ(?P<of>\w+)ǁ)(?P<name>\w+)__mutmut_\d+$")


class Mutant(NamedTuple):
    """``name`` is mutmut's, ``fate`` one of killed, timeout, survived, untested, or what mutmut said in its numbers."""

    module: str
    name: str
    fate: str

    @property
    def function(self) -> str:
        """``Breaker.view`` for a method, ``race`` for a function."""
        found = _MANGLED.search(self.name)
        return self.name if found is None else ".".join(filter(None, (found["of"], found["name"])))

    @property
    def lives(self) -> bool:
        return self.fate in LEFT.values()


class Change(NamedTuple):
    """The lines that are other than they were, without their margins."""

    before: str
    after: str


def mutants(folder: Path) -> list[Mutant]:
    """All below ``folder``. Raises FileNotFoundError where mutmut has not been."""
    metas = sorted(folder.rglob("*.meta"))
    if not metas:
        raise FileNotFoundError(f"{folder}: no mutants")
    return [mutant for meta in metas for mutant in _of(meta, folder)]


def _of(meta: Path, folder: Path) -> Iterator[Mutant]:
    module = str(meta.relative_to(folder)).removesuffix(".py.meta").removeprefix("sidecar/")
    for name, code in json.loads(meta.read_text("utf-8"))["exit_code_by_key"].items():
        yield Mutant(module, name, "undone" if code is None else (KILLED | LEFT).get(code, f"status {code}"))


def changed(mutant: Mutant) -> Change:
    """What it changed, as mutmut shows it."""
    command = [sys.executable, "-m", "mutmut", "show", mutant.name]
    return change_in(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def change_in(shown: str) -> Change:
    """The changed lines of a diff."""
    lines = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    before, after = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)).strip() for sign in ("-", "+")
    )
    return Change(before, after)


def table(found: list[Mutant]) -> list[list[object]]:
    """Rows: module, mutants, killed, by a timeout, survived, untested, share killed; the last row is all of them."""
    modules = dict.fromkeys(mutant.module for mutant in found)
    rows = [_row(module, [mutant for mutant in found if mutant.module == module]) for module in modules]
    return [*rows, _row("all", found)]


def _row(name: str, found: list[Mutant]) -> list[object]:
    fates = Counter(mutant.fate for mutant in found)
    return [
        name,
        len(found),
        *(fates[fate] for fate in ("killed", "timeout", "survived", "untested")),
        f"{share(found):.1%}",
    ]


def share(found: list[Mutant]) -> float:
    """Of mutants that tests have killed, one that never ends among them."""
    return sum(mutant.fate in KILLED.values() for mutant in found) / max(len(found), 1)
