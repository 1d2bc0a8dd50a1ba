"""What docs/doctor.md shows is what the doctor says, and it names every check there is."""

from __future__ import annotations

import re

import pytest
from documented import EXAMPLES, PAGE, stands, words

from sidecar.doctor.checks import CHECKS


@pytest.mark.parametrize("name", sorted(EXAMPLES))
async def test_an_example_of_the_page_is_what_comes_out(name, tmp_path):
    made = await EXAMPLES[name](tmp_path)
    assert words(stands()[name]) == words(made)


def test_every_example_is_on_the_page_and_the_good_one_is_good():
    found = stands()
    assert set(found) == set(EXAMPLES)
    assert found["good"].endswith("$ echo $?\n0\n")
    assert not re.search(r"^(warn|fail|skipped)", found["good"], re.MULTILINE)
    for name in set(EXAMPLES) - {"good"}:
        assert re.search(r"^fail ", found[name], re.MULTILINE)
        assert found[name].endswith("$ echo $?\n1\n")


def test_the_page_explains_every_check():
    named = re.findall(r"^\| `([a-z._]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert named == list(CHECKS)
