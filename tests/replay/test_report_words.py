"""Numbers and names as the report writes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.report import words

N = words.GAP


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ('"><script>x', "&quot;&gt;&lt;script&gt;x"),
        ("it's", "it&#x27;s"),
        ("a\nb\tc\0", "a\\u000ab\\u0009c\\u0000"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028\u200b\ufeff", "\\u2028\\u200b\\ufeff"),
        ("\udcff", "\\udcff"),  # a byte of a file's name that is not UTF-8
        ("\U000e0041", "\\U000e0041"),
        ("política.yaml", "política.yaml"),
        ("مرحبا", "مرحبا"),  # right to left by nature: not ours to change
    ],
)
def test_what_is_not_seen_is_written_as_its_number(name, seen):
    assert words.markup(name) == seen


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_name_is_text_and_nothing_else(name):
    seen = words.markup(name)
    assert not set(seen) & set("<>\"'\n\r")
    seen.encode()
    assert words.shown(words.shown(name)) == words.shown(name)


@given(st.text(max_size=400), st.integers(5, 60))
def test_a_long_name_keeps_its_ends_and_fits(name, most):
    whole, cut = words.shown(name), words.short(name, most)
    assert len(cut) == min(len(whole), most)
    if len(whole) > most:
        head, tail = cut.split("…", 1) if "…" not in whole else (cut[: most // 3], cut[most // 3 + 1 :])
        assert whole.startswith(head)
        assert whole.endswith(tail)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True, "3", [], 10**400])
def test_what_is_no_number_is_unknown_everywhere(value):
    assert words.known(value) is None
    assert {said(value) for said in (words.count, words.share, words.ratio, words.seconds)} == {words.UNKNOWN}


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, f"0{N}%"), (1, f"100{N}%"), (0.5, f"50.0{N}%"), (0.571, f"57.1{N}%"), (0.0042, f"0.42{N}%"), (0.9987, f"99.87{N}%"), (-0.25, f"\u221225.0{N}%")],
)  # fmt: skip
def test_shares_are_finer_near_nothing_and_near_all(value, said):
    assert words.share(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, f"0{N}s"), (0.00042, f"0.420{N}ms"), (0.002653, f"2.65{N}ms"), (0.0583, f"58.3{N}ms"), (0.25905, f"259{N}ms"), (0.9949, f"995{N}ms"),
        (0.9951, f"0.995{N}s"), (1.06, f"1.06{N}s"), (47.123, f"47.1{N}s"), (59.7, f"1{N}min"), (75, f"1{N}min 15{N}s"), (3600, f"1{N}h"),
        (12000, f"3{N}h 20{N}min"), (86399.6, f"1{N}d"), (90000, f"1{N}d 1{N}h"), (-0.25, f"\u2212250{N}ms"),
    ],
)  # fmt: skip
def test_durations_have_the_unit_that_fits(value, said):
    assert words.seconds(value) == said


def test_names_of_files_are_broken_at_their_joints():
    assert words.breakable("a/b-c_d.yaml") == "a/<wbr>b-<wbr>c_<wbr>d<wbr>.yaml"
    assert words.breakable("<a/&>") == "&lt;a/<wbr>&amp;&gt;"


def test_a_time_that_somebody_chose_is_told_as_it_was_chosen():
    assert [words.exact(value) for value in (0.0005, 0.05, 1.0, 4.75, 60.0, 119.5, 7200.0)] == [
        f"0.5{N}ms", f"50{N}ms", f"1{N}s", f"4.75{N}s", f"60{N}s", f"119.5{N}s", f"2{N}h"
    ]  # fmt: skip


def test_numbers_and_lists():
    assert words.count(864_000) == f"864{N}000"
    assert words.count(-1234) == f"\u22121{N}234"
    assert words.ratio(1.0146) == "1.015"
    assert words.ratio(-0.02) == "\u22120.020"
    assert [words.figures(value) for value in (0, 1234.5, 0.012345, -3.14159, 1e-12)] == [
        "0",
        "1234",
        "0.0123",
        "\u22123.14",
        "0.000000000",
    ]
    assert [words.counted(number, "call") for number in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]
    assert words.counted(2, "stretch", "stretches") == "2 stretches"
    assert [words.listed(list(parts)) for parts in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
