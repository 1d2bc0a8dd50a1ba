"""Who may chat: which token passes, which field counts, and that no comparison is cut short."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edge import token
from sidecar.edge.token import Open, Tokens


@pytest.mark.parametrize(
    ("values", "judgement"),
    [
        ([b"right"], None),
        ([b"other"], None),
        ([b" \tright\t "], None),
        ([], "missing"),
        ([b""], "missing"),
        ([b" \t "], "missing"),
        ([b"wrong"], "wrong"),
        ([b"Right"], "wrong"),
        ([b"righ"], "wrong"),
        ([b"rightt"], "wrong"),
        ([b"right,other"], "wrong"),
        ([b"\xff\x00"], "wrong"),
    ],
)
def test_a_token_passes_if_it_is_one_of_the_set(values, judgement):
    assert Tokens(["right", "other"]).judge(values) == judgement


@pytest.mark.parametrize(
    ("values", "judgement"),
    [([b"wrong", b"right"], "wrong"), ([b"right", b"wrong"], None), ([b"", b"right"], "missing")],
)
def test_of_several_fields_the_first_counts(values, judgement):
    assert Tokens(["right"]).judge(values) == judgement


def test_an_empty_set_lets_nobody_in():
    nobody = Tokens(["", ""])
    assert len(nobody) == 0
    assert nobody.judge([b"x"]) == "wrong"
    assert nobody.judge([b""]) == "missing"


def test_open_lets_everybody_in():
    assert Open().judge([]) is None
    assert Open().judge([b"anything"]) is None


def test_the_same_token_twice_is_one_token():
    assert len(Tokens(["a", "b", "a", ""])) == 2


def test_a_token_beyond_ascii_is_compared_as_utf_8():
    assert Tokens(["pässwort"]).judge(["pässwort".encode()]) is None


@pytest.mark.parametrize("offered", [b"a", b"b", b"c", b"none"])
def test_every_accepted_token_is_compared_whatever_the_first_ones_gave(monkeypatch, offered):
    seen = []

    def compare(one, other):
        seen.append(other)
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(token, "compare_digest", compare)
    Tokens(["c", "b", "a"]).judge([offered])
    assert sorted(seen) == [b"a", b"b", b"c"]


def test_the_comparison_is_the_constant_time_one():
    assert token.compare_digest is hmac.compare_digest


@given(
    st.frozensets(st.text(min_size=1).filter(lambda text: text.isascii() and text.strip(" \t") == text)), st.binary()
)
def test_exactly_the_members_of_the_set_pass(accepted, offered):
    passed = Tokens(accepted).judge([offered]) is None
    assert passed == (offered.strip(b" \t") in {one.encode() for one in accepted})
