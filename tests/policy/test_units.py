"""Quantities: what is read, what is refused, and that what is written reads back as the same number."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sidecar.policy.units import (
    AutoDuration,
    CallRate,
    Duration,
    DurationOrZero,
    Objective,
    Rate,
    Share,
    Size,
    Unbounded,
    duration_text,
    share_text,
    size_text,
)

ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "duration": TypeAdapter(Duration),
    "duration or 0": TypeAdapter(DurationOrZero),
    "auto": TypeAdapter(AutoDuration),
    "none": TypeAdapter(Unbounded),
    "size": TypeAdapter(Size),
    "share": TypeAdapter(Share),
    "objective": TypeAdapter(Objective),
    "rate": TypeAdapter(CallRate),
}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("duration", "300ms", 0.3),
        ("duration", "35ms", 0.035),
        ("duration", "1.5s", 1.5),
        ("duration", "0.001ms", 1e-6),
        ("duration", "2m", 120.0),
        ("duration", "24h", 86400.0),
        ("duration", "007ms", 0.007),
        ("duration or 0", 0, 0.0),
        ("duration or 0", 0.0, 0.0),
        ("duration or 0", "0s", 0.0),
        ("duration or 0", "200ms", 0.2),
        ("auto", "auto", None),
        ("auto", "2s", 2.0),
        ("none", "none", None),
        ("none", "75s", 75.0),
        ("size", "1B", 1),
        ("size", "64KiB", 65536),
        ("size", "1024GiB", 1 << 40),
        ("share", "0%", 0.0),
        ("share", "0.1%", 0.001),
        ("share", "99.9999%", 0.999999),
        ("share", "100%", 1.0),
        ("objective", "99.9999%", 0.999999),
        ("objective", "0.0001%", 0.000001),
        ("rate", "10 per 60s", Rate(10, 60.0)),
        ("rate", "1 per 500ms", Rate(1, 0.5)),
    ],
)
def test_reads(kind: str, text: object, value: object) -> None:
    assert ADAPTERS[kind].validate_python(text) == value


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        *(
            ("duration", wrong, "must be a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s")
            for wrong in (5, 0.3, True, None, "", "5", "5 s", "5S", "5sec", "-5s", "+5s", "1e3s", "1:30", ".5s", "5.s")
        ),
        *(("duration", wrong, "must be a duration") for wrong in ("\u0665s", "0.0001s", "infs", "nans", [], {}, "5s\n")),
        *(("duration", wrong, "must be longer than nothing") for wrong in ("0s", "0.000ms", "0h")),
        *(("duration", wrong, "must be a duration of at most 24h") for wrong in ("25h", "999999999h", "86400.001s")),
        *(("duration or 0", wrong, "must be 0 or a duration") for wrong in ("0", 1, False, None, "none")),
        *(("auto", wrong, "must be auto or a duration") for wrong in (None, "none", "Auto", 5, "")),
        *(("none", wrong, "must be none or a duration") for wrong in (None, "auto", 0)),
        ("auto", "0s", "must be longer than nothing"),
        *(("size", wrong, "must be a size: a whole number") for wrong in (65536, "64kb", "64K", "64 KiB", "1.5MiB", "-1B")),
        *(("size", wrong, "must be a size from 1B to 1024GiB") for wrong in ("0B", "0GiB", "1025GiB")),
        *(("share", wrong, "must be a share: a percentage") for wrong in (0.5, 1, "0.5", "50", "50 %", "-1%", "1.23456%")),
        *(("share", wrong, "must be a share from 0% to 100%") for wrong in ("100.0001%", "999%")),
        *(("objective", wrong, "must be an objective above 0% and below 100%") for wrong in ("100%", "0%")),
        *(("objective", wrong, "must be a share") for wrong in (0.999, "99,9%", "101%")),
        *(("rate", wrong, "must be a rate: calls per duration, as in 10 per 60s") for wrong in (10, "10", "0 per 1s", "10/s")),
        *(("rate", wrong, "must be a rate") for wrong in ("10 per 60", "10 per s", "10  per 60s", Rate(10, 60.0))),
        ("rate", "10 per 0s", "must be longer than nothing"),
    ],
)  # fmt: skip
def test_refuses(kind: str, wrong: object, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ADAPTERS[kind].validate_python(wrong)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.3, "300ms"), (0.0005, "0.5ms"), (1, "1s"), (60, "60s"), (3.25, "3.25s"), (1.000001, "1000.001ms")],
)
def test_writes_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (1, "1B"), (1536, "1536B"), (65536, "64KiB"), (1 << 30, "1GiB")])
def test_writes_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.2, "20%"), (0.999, "99.9%"), (0.000001, "0.0001%"), (1, "100%")]
)
def test_writes_shares(share: float, text: str) -> None:
    assert share_text(share) == text


DURATIONS = st.builds(
    lambda n, decimals, unit: f"{n / 10**decimals:.{decimals}f}{unit}",
    st.integers(1, 86_400), st.integers(0, 3), st.sampled_from(["ms", "s"]),
)  # fmt: skip


@given(st.data())
def test_what_is_written_reads_back_as_the_same_number(data: st.DataObject) -> None:
    texts = {
        "duration": DURATIONS,
        "duration or 0": DURATIONS,
        "auto": DURATIONS | st.just("auto"),
        "none": DURATIONS | st.just("none"),
        "size": st.builds("{}{}".format, st.integers(1, 1024), st.sampled_from(["B", "KiB", "MiB", "GiB"])),
        "share": st.integers(0, 1_000_000).map(lambda n: f"{n / 10_000:.4f}%"),
        "rate": st.builds("{} per {}".format, st.integers(1, 999_999_999), DURATIONS),
    }
    kind = data.draw(st.sampled_from(sorted(texts)))
    adapter = ADAPTERS[kind]
    value = adapter.validate_python(data.draw(texts[kind]))
    written = adapter.dump_python(value)
    assert isinstance(written, str)
    assert adapter.validate_python(written) == value
    assert adapter.dump_python(adapter.validate_python(written)) == written
