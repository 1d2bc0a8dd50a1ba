"""Expressions that every Python from 3.11.0 on reads alike, and in time that grows with what is read and no faster."""

from __future__ import annotations

import importlib
import pkgutil
import re
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]

import pytest

import sidecar
from sidecar.wire.body import SIZE_LINE
from sidecar.wire.fields import SECTION
from sidecar.wire.target import PLAIN, REG_NAME

# What each is matched by, and what nearly is: one piece, and an end that spoils it all.
REPEATED = [
    (SECTION, b"\r\nName: value", b"\r\n\r\n", b"\r\n\n"),
    (SECTION, b"\r\na:", b"\r\n\r\n", b"\r\n"),
    (PLAIN, b"/seg.ment", b"/x", b"/%"),
    (REG_NAME, b"a%20", b":80", b"/"),
    (SIZE_LINE, b'; name="\\"quoted\\""', b"\r\n", b"\n"),
    (SIZE_LINE, b" ;a = b", b"\r\n", b' ;a="\r\n'),
]


def patterns():
    """Every expression that a module of ours holds, by where it is."""
    for found in pkgutil.walk_packages(sidecar.__path__, "sidecar."):
        if found.name.rpartition(".")[2] != "__main__":
            for name, value in vars(importlib.import_module(found.name)).items():
                if isinstance(value, re.Pattern):
                    yield f"{found.name}.{name}", value


def possessive_groups(parsed) -> bool:
    """Whether anything but a single character is repeated possessively, or stands in an atomic group."""
    for kind, of in parsed:
        if kind is code.ATOMIC_GROUP:
            return True
        if kind is code.POSSESSIVE_REPEAT and (len(of[2]) != 1 or of[2][0][0] not in (code.IN, code.LITERAL, code.ANY)):
            return True
        parts = of if isinstance(of, (tuple, list)) else [of]
        parts = [below for part in parts for below in (part if isinstance(part, list) else [part])]
        if any(possessive_groups(part) for part in parts if isinstance(part, parser.SubPattern)):
            return True
    return False


def test_no_group_is_repeated_possessively():
    """Before 3.11.5 such a group is left too early where something within it gives back (cpython gh-106052): Debian 12 has 3.11.2.

    Nothing matched there, and every request was refused. A possessive *character class* is read rightly everywhere.
    """
    assert possessive_groups(parser.parse("x(?:a(?:b++|c)*+)*"))
    assert possessive_groups(parser.parse("(a|(?>b))"))
    assert not possessive_groups(parser.parse("x(?:[ab]++|c*+)*(?:d++)?"))
    found = dict(patterns())
    assert len(found) > 20
    assert [
        name for name, pattern in found.items() if possessive_groups(parser.parse(pattern.pattern, pattern.flags))
    ] == []


@pytest.mark.parametrize(("pattern", "piece", "end", "spoilt"), REPEATED)
def test_a_long_section_is_matched_and_a_spoilt_one_is_not(pattern, piece, end, spoilt):
    start = b"1" if pattern is SIZE_LINE else b""
    for count in (1, 2, 500):
        assert pattern.fullmatch(start + piece * count + end)
        assert pattern.fullmatch(start + piece * count + spoilt) is None
