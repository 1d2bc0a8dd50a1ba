"""Fields of files that people write: right values, harmless ones in the stead of wrong ones, and nothing said twice of one place."""

from __future__ import annotations

import pytest

from sidecar.policy.problem import PolicyError
from sidecar.policy.source import read
from sidecar.replay.form import Form, listed, text_of


def form_of(text):
    root, problems = read(text, "f")
    return Form(problems), root


def said(form):
    return [str(problem) for problem in form.problems]


@pytest.mark.parametrize(
    ("text", "method", "more", "value"),
    [
        ("a: some words", "text", ("a name",), "some words"),
        ("a: red", "word", (("red", "blue"),), "red"),
        ("a: true", "truth", (), True),
        ("a: 7", "whole", (1, 9), 7),
        ("a: 1.5s", "duration", (), 1.5),
        ("a: 12.5%", "share", (), 0.125),
    ],
)
def test_what_is_right_is_its_value(text, method, more, value):
    form, root = form_of(text)
    assert getattr(form, method)(root.value["a"], ("a",), *more) == value
    assert said(form) == []


@pytest.mark.parametrize(
    ("method", "more", "instead", "why"),
    [
        ("text", ("a name",), "", "must be a name, in quotes if it looks like a number"),
        ("word", (("red", "blue"),), "red", "must be red or blue"),
        ("truth", (), False, "must be true or false"),
        ("whole", (3, 9), 3, "must be a whole number from 3 to 9"),
        ("duration", (), 1.0, "must be a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s"),
        ("share", (), 0.0, "must be a share: a percentage, as in 50% or 99.9%"),
        ("mapping", (("b", "c"),), {}, "must be a mapping of b and c"),
        ("entries", ("words",), [], "must be a list of words"),
    ],
)
def test_what_is_wrong_is_said_once_and_something_harmless_is_returned(method, more, instead, why):
    form, root = form_of("a: 2.5")
    assert getattr(form, method)(root.value["a"], ("a",), *more) == instead
    assert said(form) == [f"f:1:4: a: {why}; found 2.5"]


def test_of_a_place_that_is_wrong_as_yaml_nothing_more_is_said():
    form, root = form_of("a: \nb: 5")
    form.text(root.value["a"], ("a",), "a name")
    form.text(root.value["b"], ("b",), "a name")
    assert [line.split(": ")[:2] for line in said(form)] == [["f:1:1", "a"], ["f:2:4", "b"]]


def test_zero_is_a_duration_where_it_may_be():
    form, root = form_of("a: 0s")
    assert form.duration(root.value["a"], ("a",), zero=True) == 0.0
    assert said(form) == []
    form.duration(root.value["a"], ("a",))
    assert said(form) == ["f:1:4: a: must be longer than nothing; found 0s"]


def test_keys_are_known_and_needed_and_what_is_known_is_given():
    form, root = form_of("{colour: 1, size: 2}")
    stated = form.mapping(root, (), ("color", "size", "name"), needed=("name",))
    assert list(stated) == ["size"]
    assert said(form) == ["f:1:2: colour: is not a known key: did you mean color?", "f:1:1: name: is missing: write it"]


@pytest.mark.parametrize(("words", "text"), [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")])
def test_words_are_listed(words, text):
    assert listed(words, "or") == text


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfa: 1")
    assert text_of(tmp_path / "f") == "a: 1"


def test_what_cannot_be_read_is_said_with_its_line(tmp_path):
    (tmp_path / "f").write_bytes(b"a: 1\n\xff")
    with pytest.raises(PolicyError) as raised:
        text_of(tmp_path / "f")
    assert str(raised.value) == f"{tmp_path}/f:2:1: not UTF-8: save the file as UTF-8"
