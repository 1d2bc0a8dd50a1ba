"""Known vulnerabilities that are let pass for a while: which, in what, why, and until when."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("exceptions.toml")
ID = re.compile(r"(?:PYSEC|CVE|GHSA|OSV)-[0-9A-Za-z-]{4,40}")
LONGEST = dt.timedelta(days=90)
LEAST_REASON = 20  # characters: who looks at it next wants to know why we are not hit


class ExceptionListError(ValueError):
    """The list cannot be used; a line for each thing that is wrong with it."""


class Allowed(NamedTuple):
    """``until`` is the last day on which it is let pass."""

    id: str
    package: str
    reason: str
    until: dt.date


def allowed(text: str, today: dt.date) -> list[Allowed]:
    """The list in ``text``. Raises ExceptionListError for one that lacks something, has ended, or ends too late."""
    try:
        said: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExceptionListError(f"no TOML: {error}") from None
    entries = said.pop("exception", [])
    wrong = [f"unknown: {name}" for name in said]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ExceptionListError("exception: write [[exception]]")
    for number, entry in enumerate(entries, 1):
        wrong += [f"exception {number}: {what}" for what in _wrong(entry, today)]
    if wrong:
        raise ExceptionListError("\n".join(wrong))
    found = [Allowed(**entry) for entry in entries]
    if len({(one.id, one.package) for one in found}) < len(found):
        raise ExceptionListError("one of them is there twice")
    return found


def _wrong(entry: dict[str, Any], today: dt.date) -> Iterable[str]:
    for name in entry.keys() - set(Allowed._fields):
        yield f"unknown: {name}"
    for name in ("id", "package", "reason"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            yield f"{name}: is missing"
    if isinstance(entry.get("id"), str) and not ID.fullmatch(entry["id"]):
        yield f"id: {entry['id']!r} is none of a vulnerability"
    if isinstance(entry.get("reason"), str) and len(entry["reason"].strip()) < LEAST_REASON:
        yield "reason: say why we are not hit"
    until = entry.get("until")
    if type(until) is not dt.date:
        yield "until: is missing, or no date (2026-12-24)"
    elif until < today:
        yield f"{entry.get('id')}: has ended on {until}: upgrade, or look at it again"
    elif until > today + LONGEST:
        yield f"until: {until} is more than {LONGEST.days} days ahead"
