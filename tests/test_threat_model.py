"""Every control of docs/threat-model.md is where it is said to be, and has a test that is there; and what is wrong in such a table is found."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "threat-model.md"
HEADER = ["", "threat", "control", "where in the code", "the test that proves it", "what remains"]
QUOTED = re.compile(r"`([^`]+)`")
TEST = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
MODULE = re.compile(r"(?:sidecar|tests|deploy|benchmarks)/[\w./-]+|requirements\.lock|Dockerfile|compose\.yaml")
LETTERS = set("STRIDE")


class Row(NamedTuple):
    """A control, as its table states it."""

    letter: str
    threat: str
    control: str
    where: str
    tests: str
    remains: str


def rows(text: str) -> Iterator[Row]:
    """The controls of every table with our header. Raises ValueError for a row with more or fewer cells."""
    within = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(cells) > 1 and cells[1:] == HEADER[1:]:
            within = True
        elif not cells:
            within = False
        elif within and set(line) - set("|- "):
            if len(cells) != len(HEADER):
                raise ValueError(f"{len(cells)} cells instead of {len(HEADER)}: {line[:60]}")
            yield Row(*cells)


@functools.cache
def defined(path: Path) -> frozenset[str]:
    """The tests that a module defines, methods of classes included."""
    if not path.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, functions) and node.name.startswith("test_")
    )


def wrong(text: str) -> list[str]:
    """What is wrong with a threat model."""
    found = list(rows(text))
    complaints = [] if found else ["there is no control in it"]
    for row in found:
        complaints += [f"{row.threat}: {what}" for what in _wrong(row)]
    for module in sorted({name for name in QUOTED.findall(text) if MODULE.fullmatch(name)}):
        if not (ROOT / module).exists():
            complaints.append(f"{module} is not there")
    return complaints


def _wrong(row: Row) -> Iterator[str]:
    if row.letter not in LETTERS:
        yield f"{row.letter!r} is none of S T R I D E"
    if not row.threat or not row.control:
        yield "threat or control is missing"
    if not any(MODULE.fullmatch(name) for name in QUOTED.findall(row.where)):
        yield "no module is named"
    named = QUOTED.findall(row.tests)
    if not named:
        yield "no test is named"
    for name in named:
        match = TEST.fullmatch(name)
        if match is None or match[2] not in defined(ROOT / match[1]):
            yield f"there is no test {name}"


def test_every_control_is_where_it_is_said_to_be_and_has_a_test_that_is_there():
    text = DOCUMENT.read_text("utf-8")
    assert wrong(text) == []
    assert len(list(rows(text))) > 40
    assert {row.letter for row in rows(text)} == LETTERS


def test_it_is_found_from_where_people_look():
    assert "(threat-model.md)" in (ROOT / "docs" / "security.md").read_text("utf-8")
    assert "(docs/threat-model.md)" in (ROOT / "SECURITY.md").read_text("utf-8")


TABLE = (
    "| | threat | control | where in the code | the test that proves it | what remains |\n|---|---|---|---|---|---|\n"
)
ITSELF = "`tests/test_threat_model.py::test_what_is_wrong_is_found`"


def row(*, letter="S", threat="a", control="b", where="`sidecar/asgi.py`", tests=ITSELF, remains=""):
    return f"{TABLE}| {letter} | {threat} | {control} | {where} | {tests} | {remains} |\n"


def test_what_is_right_is_not_complained_about():
    assert wrong(row()) == []
    assert wrong(row(remains="`sidecar/cli` is a directory")) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# nothing", "there is no control in it"),
        (row(tests="`tests/test_threat_model.py::test_that_nobody_wrote`"), "there is no test"),
        (row(tests="`tests/nowhere.py::test_what_is_wrong_is_found`"), "there is no test"),
        (row(tests=f"{ITSELF}, `tests/test_threat_model.py`"), "there is no test tests/test_threat_model.py"),
        (row(tests="`tests/test_threat_model.py::rows`"), "there is no test"),
        (row(tests=""), "no test is named"),
        (row(tests="a reviewer looks"), "no test is named"),
        (row(where="the code"), "no module is named"),
        (row(where="`sidecar/nowhere.py`"), "sidecar/nowhere.py is not there"),
        (row(where="`sidecar/asgi.py`, `sidecar/gone.py`"), "sidecar/gone.py is not there"),
        (row() + "\nAnd `sidecar/edge/gone.py` besides.\n", "sidecar/edge/gone.py is not there"),
        (row(control=""), "threat or control is missing"),
        (row(letter="X"), "none of S T R I D E"),
    ],
)
def test_what_is_wrong_is_found(text, complaint):
    assert any(complaint in said for said in wrong(text))


def test_a_row_with_a_cell_too_many_is_found():
    with pytest.raises(ValueError, match="7 cells instead of 6"):
        wrong(row(remains="a | b"))
