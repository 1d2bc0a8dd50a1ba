"""Moments: what a calendar says, for every day there is, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.moment import Moment, moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30)), ZONES)  # noqa: DTZ001 - the zone is drawn
def test_it_is_what_the_calendar_says(naive, zone):
    when = naive.replace(microsecond=0, tzinfo=zone)
    assert moment(when.isoformat()).epoch == (when - EPOCH).total_seconds()


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T00:00:00Z", 951782400),
        ("2030-01-31T19:00:00+01:00", 1896112800),
        ("2030-01-31T18:00:00Z", 1896112800),
        ("2030-01-31T12:30:00-05:30", 1896112800),
    ],
)
def test_it_keeps_its_text(text, epoch):
    assert moment(text) == Moment(text, epoch)
    assert moment(moment(text)) == Moment(text, epoch)


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-31", "2030-01-31T18:00:00", "2030-01-31T18:00Z", "2030-01-31 18:00:00Z", "2030-1-31T18:00:00Z",
        "2030-01-31T18:00:00.5Z", "2030-02-29T18:00:00Z", "1900-02-29T18:00:00Z", "2030-04-31T18:00:00Z",
        "2030-13-01T18:00:00Z", "2030-00-01T18:00:00Z", "2030-01-00T18:00:00Z", "2030-01-31T24:00:00Z", "2030-01-31T18:60:00Z",
        "2030-01-31T18:00:60Z", "2030-01-31T18:00:00+24:00", "٢٠٣٠-01-31T18:00:00Z", "tomorrow", "", 1896112800, None, True,
    ],
)  # fmt: skip
def test_what_is_none(text):
    with pytest.raises(ValueError, match="must be a moment with its zone"):
        moment(text)
