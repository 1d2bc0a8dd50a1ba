"""A moment in a policy file: RFC 3339 text with its zone, and what that is in seconds since 1970.

No clock is asked and no calendar of the system: what a file says is the same moment everywhere. The count of days is that of the
proleptic Gregorian calendar (Fliegel and Van Flandern, 1968, in the form for years that begin in March); leap seconds are not counted,
as in POSIX.
"""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_WANTED = "must be a moment with its zone, as in 2030-01-31T18:00:00Z or 2030-01-31T19:00:00+01:00"
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_TO_1970 = 719_468  # days from 1 March of year 0
_DAY = 86_400


class Moment(NamedTuple):
    """``text`` as it was written; ``epoch`` is seconds since 1970-01-01T00:00:00Z."""

    text: str
    epoch: int


def moment(value: object) -> Moment:
    """Raises ValueError for what is no moment, or none that there is."""
    if isinstance(value, Moment):
        return value
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(_WANTED)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    offset = 60 * int(match[8] or 0) + int(match[9] or 0)
    if not _is_day(year, month, day) or hour > 23 or minute > 59 or second > 59 or offset >= 24 * 60:
        raise ValueError(f"{_WANTED}; there is no such day or time")
    seconds = _days(year, month, day) * _DAY + hour * 3600 + minute * 60 + second
    return Moment(match[0], seconds - (60 if match[7] != "-" else -60) * offset)


def _is_day(year: int, month: int, day: int) -> bool:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] + (leap and month == 2)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01. Years begin in March, so that the leap day is the last of one."""
    year -= month <= 2
    of_year = (153 * ((month - 3) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + of_year - _TO_1970


Until = Annotated[
    Moment,
    PlainValidator(moment),
    PlainSerializer(lambda one: one.text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_FORM.pattern}$", "examples": ["2030-01-31T18:00:00Z"]}),
]
