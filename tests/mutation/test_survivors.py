"""What mutmut leaves behind, read; and what is said of those that live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .explained import EXPLAINED, Explanation, explanation
from .survivors import Change, Mutant, change_in, mutants, share, table

DIFF = """\
# sidecar.core.budget.xǁRetryBudgetǁwithdraw__mutmut_1: survived
--- sidecar/core/budget.py
+++ sidecar/core/budget.py
@@ -1,3 +1,3 @@
 def withdraw(self, now: float) -> bool:
-    if self._balance < 1 - _ROUNDING:
+    if self._balance <= 1 - _ROUNDING:
         return False
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    core = tmp_path / "sidecar" / "core"
    (core / "fact").mkdir(parents=True)
    codes = {"sidecar.core.budget.xǁRetryBudgetǁwithdraw__mutmut_1": 0, "sidecar.core.budget.x_pay__mutmut_12": 1}
    (core / "budget.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    codes = {"a.x_b__mutmut_1": 36, "a.x_b__mutmut_2": 33, "a.x_b__mutmut_3": None, "a.x_b__mutmut_4": -11}
    (core / "fact" / "call.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    return tmp_path


def test_each_mutant_has_a_fate_and_a_function(folder):
    assert [(mutant.module, mutant.function, mutant.fate, mutant.lives) for mutant in mutants(folder)] == [
        ("core/budget", "RetryBudget.withdraw", "survived", True),
        ("core/budget", "pay", "killed", False),
        ("core/fact/call", "b", "timeout", False),
        ("core/fact/call", "b", "untested", True),
        ("core/fact/call", "b", "undone", False),
        ("core/fact/call", "b", "status -11", False),
    ]


def test_what_is_neither_killed_nor_living_kills_nobody(folder):
    found = mutants(folder)
    assert share(found) == 2 / 6
    assert table(found) == [
        ["core/budget", 2, 1, 0, 1, 0, "50.0%"],
        ["core/fact/call", 4, 0, 1, 0, 1, "25.0%"],
        ["all", 6, 1, 1, 1, 1, "33.3%"],
    ]


def test_where_nothing_was_done_nothing_is_shown(tmp_path):
    with pytest.raises(FileNotFoundError, match="no mutants"):
        mutants(tmp_path)
    assert share([]) == 0.0


def test_of_a_diff_the_changed_lines_are_kept():
    assert change_in(DIFF) == Change("if self._balance < 1 - _ROUNDING:", "if self._balance <= 1 - _ROUNDING:")
    assert change_in("-    a,\n-    b,\n+    c,\n") == Change("a, b,", "c,")


def test_an_explanation_fits_by_place_and_by_both_lines():
    mutant, change = (
        Mutant("core/budget", "sidecar.core.budget.x_pay__mutmut_12", "survived"),
        Change("a < b", "a <= b"),
    )
    assert Explanation("why", "core/budget pay$", "<", "<=").fits(mutant, change)
    for other in (("core/breaker", "", ""), ("pay", ">", ""), ("pay", "", "==")):
        assert not Explanation("why", *other).fits(mutant, change)


@pytest.mark.parametrize(
    ("before", "after", "fits"),
    [("a < b", "a <= b", True), ("a < b", "a > b", True), ("a / b < c", "a * b < c", False)],
)
def test_an_explanation_may_fit_one_kind_of_change_alone(before, after, fits):
    mutant = Mutant("core/budget", "sidecar.core.budget.x_pay__mutmut_12", "survived")
    assert Explanation("why", "core/budget", only="[<>]=?").fits(mutant, Change(before, after)) is fits


def test_every_explanation_says_something_and_none_explains_everything():
    strange = Mutant("core/nothing", "sidecar.core.nothing.x_strange__mutmut_1", "survived")
    assert explanation(strange, Change("return a", "return b")) is None
    assert all(len(each.why) > 20 and (each.before or each.after or "core/" in each.where) for each in EXPLAINED)
