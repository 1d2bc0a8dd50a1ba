"""The sentences: one for each field of the model, each as a literal line, right for the direction of the change."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings

from sidecar.policy.difference import GROUPS, difference
from sidecar.policy.difference.change import Side
from sidecar.policy.difference.compare import TARGET, changes
from sidecar.policy.difference.words import WORDS
from sidecar.policy.figures import figures
from sidecar.policy.load import Loaded, parse, revision_of
from sidecar.policy.model import PER_TARGET, Policy
from sidecar.policy.schema import schema

from .test_any_policy import POLICIES


def cases() -> Iterator[tuple[str, str, dict[str, str]]]:
    """A, B, and what is said of some entries."""
    for block in (Path(__file__).parent / "difference_words.txt").read_text().split("\n\n")[1:]:
        lines = block.splitlines()
        a, b = ("\n".join(line[2:] for line in lines if line.startswith(sign)) for sign in "<>")
        yield a, b, dict(line.split(": ", 1) for line in lines if not line.startswith(("<", ">")))


CASES = list(cases())


@cache
def loaded(text: str) -> Loaded:
    return parse(text, "p")


@pytest.mark.parametrize(("a", "b", "said"), CASES)
def test_what_is_said(a, b, said):
    assert said
    found = {str(each): each.words for each in difference(loaded(a), loaded(b)).entries}
    assert {entry: found.get(entry) for entry in said} == said


# ── every field ──


def fields() -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields of the schema that can differ: those of sections at the top are those of targets."""
    whole = schema()

    def walk(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, field in node["properties"].items():
            section = whole["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
            if "properties" in section:
                yield from walk(section, f"{path}{name}.")
            else:
                yield f"{path}{name}", field

    target = whole["$defs"]["Target"]
    for path, field in (*walk(whole, ""), *walk(target, TARGET)):
        fixed = "const" in field or path.partition(".")[0] in PER_TARGET
        if not fixed and path not in ("extends", f"{TARGET}name"):
            yield path, field


def is_number(field: dict[str, Any]) -> bool:
    quantities = [field, *field.get("anyOf", ())]
    return any(one.get("type") in ("integer", "number") or "examples" in one for one in quantities)


FIELDS = dict(fields())


@cache
def seen() -> dict[str, set[bool]]:
    """The fields that the cases above change, with the directions in which they do."""
    directions: dict[str, set[bool]] = {}
    for a, b, said in CASES:
        for change in changes(*sides(loaded(a), loaded(b))):
            name = change.field.removeprefix(TARGET) + (f" of {change.target}" if change.target else "")
            if name in said:
                worded = isinstance(change.new, tuple | str) or isinstance(change.old, str)
                up = change.up if is_number(FIELDS[change.field]) and not worded else True
                directions.setdefault(change.field, set()).add(up)
    return directions


def sides(*both: Loaded) -> list[Side]:
    return [Side(each, figures(each.policy)) for each in both]


def test_every_field_has_words_in_a_group_and_a_case():
    assert len(FIELDS) > 70
    assert set(WORDS) == set(FIELDS)
    assert sum(len(group.words) for group in GROUPS) == len(FIELDS)
    assert set(seen()) == set(FIELDS)


RATES = (
    "guards.rate_limit",
    "guards.anonymous_rate_limit",
    "idempotency.repeats",
)  # two numbers in one: their cases have all directions


@pytest.mark.parametrize("field", [name for name, field in FIELDS.items() if is_number(field) and name not in RATES])
def test_every_number_has_cases_in_both_directions(field):
    assert seen()[field] == {True, False}


def texts(value):
    """All that is text in what a policy states."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inside for text in texts(each)]


@given(POLICIES, POLICIES)
@example({}, {"guards": {"metadata_allow": [":"]}})
@settings(max_examples=40)
def test_any_two_policies(one, other):
    a, b = (Loaded(policy, revision_of(policy), "p", {}) for policy in map(Policy.model_validate, (one, other)))
    assert difference(a, a).entries == ()
    there, back = difference(a, b), difference(b, a)
    assert {(str(one), one.before, one.after) for one in there.entries} == {
        (str(one), one.after, one.before) for one in back.entries
    }
    assert {(row.label, row.before, row.after) for row in there.rows} == {
        (row.label, row.after, row.before) for row in back.rows
    }
    if a.revision == b.revision:
        assert there.entries == ()
    odd = any(text.strip(" ;:,.") != text for text in texts([one, other]))  # a name that ends so may stand at the end
    named = "None" in repr([one, other])  # a policy may name something so, and states no None
    for entry in (*there.entries, *back.entries):
        assert named or "None" not in entry.words
        if not odd:
            assert entry.words.strip(" ;:,.") == entry.words
