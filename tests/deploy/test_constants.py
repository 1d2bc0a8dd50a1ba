"""Which names the compiler may take for constants, and that no line moves."""

from __future__ import annotations

import ast

import pytest

from tests.deploy.test_compiled import ROOT, loaded

START = "from __future__ import annotations\n\n"


@pytest.fixture(scope="module")
def constants():
    return loaded("constants")


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("MOST = 3  # of them", "MOST: Final = 3  # of them"),
        ("_KNOWN: dict[str, int] = {}", "_KNOWN: Final[dict[str, int]] = {}"),
        ("_encode = str.encode", "_encode: Final = str.encode"),
        ('_LINE = re.compile(\n    "x"\n)', '_LINE: Final = re.compile(\n    "x"\n)'),
    ],
)
def test_what_is_assigned_once_is_a_constant(constants, line, becomes):
    after = constants.finalised(START + line + "\n")
    assert after == START.replace("\n", "; from typing import Final\n", 1) + becomes + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "Emit = Callable[[int], None]",
        'Answer = TypeVar("Answer")',
        'T = TypeVar("T")',
        "__all__ = []",
        "EDGES = (0.1, 0.5)",
        "A, B = 1, 2",
        "A = B = 1",
        "_known: Final = 1",
        "at: int",
        "COUNT = 0\nCOUNT = 1",
        "COUNT = 0\nCOUNT += 1",
        "for COUNT in range(3): pass\nCOUNT = 4",
        "COUNT = 0\ndef f():\n    global COUNT\n    COUNT = 1",
        "COUNT = 0\ndel COUNT",
        "class A:\n    COUNT = 0",
        "def f():\n    count = 0",
    ],
)
def test_what_may_be_something_else_later_or_is_a_type_stays(constants, text):
    assert constants.finalised(START + text + "\n") == START + text + "\n"


def test_a_name_within_a_function_is_not_the_one_at_the_top(constants):
    after = constants.finalised(START + "MOST = 3\ndef f():\n    MOST = 4\n    return MOST\n")
    assert "MOST: Final = 3" in after


def test_no_line_moves_and_every_module_can_be_read_afterwards(constants):
    build, values = loaded("build"), loaded("values")
    for path in build.modules():
        before = values.rewritten((ROOT / path).read_text())
        after = constants.finalised(before)
        assert len(after.splitlines()) == len(before.splitlines()), path
        ast.parse(after)
