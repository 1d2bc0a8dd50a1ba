"""The units a policy file is written in, and the plain numbers they become.

Every quantity is text that carries its unit (``300ms``, ``64KiB``, ``50%``, ``10 per 60s``), in a file and when a policy
is built in Python, so that no reader has to guess and a forgotten unit is an error. In code durations are seconds
(float), sizes bytes (int), shares 0..1 (float). What is read can be written back without loss: durations count whole
microseconds, shares have four decimals at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_MICROSECONDS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
_DAY = 24 * _MICROSECONDS["h"]
_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_LARGEST = 1 << 40
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%")
_RATE = re.compile(rf"([1-9][0-9]{{0,8}}) per ({_DURATION.pattern})")

_A_DURATION = "a number with a unit (ms, s, m, h), as in 300ms or 5s"


def _match(pattern: re.Pattern[str], value: object, wanted: str) -> re.Match[str]:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be {wanted}")
    return match


def _duration(value: object, also: str = "") -> float:
    match = _match(_DURATION, value, f"{also}a duration: {_A_DURATION}")
    micros = round(float(match[1]) * _MICROSECONDS[match[2]])
    if micros > _DAY:
        raise ValueError("must be a duration of at most 24h")
    return micros / 1_000_000


def _positive_duration(value: object, also: str = "") -> float:
    duration = _duration(value, also)
    if duration == 0:
        raise ValueError("must be longer than nothing")
    return duration


def _duration_or_zero(value: object) -> float:
    if value == 0 and not isinstance(value, bool):
        return 0.0  # the one duration that needs no unit
    return _duration(value, "0 or ")


def seconds(text: str) -> float:
    """A duration or nothing, as the command line takes them. Raises ValueError."""
    return _duration_or_zero(0 if text == "0" else text)


def _duration_or(word: str) -> Callable[[object], float | None]:
    """Read ``word`` (becoming None) or a positive duration."""

    def read(value: object) -> float | None:
        return None if value == word else _positive_duration(value, f"{word} or ")

    return read


_QUANTILES = ("p50", "p75", "p90", "p95")  # of a hundred-odd answers that are remembered, one beyond says nothing


def _hedge_delay(value: object) -> float | str:
    if isinstance(value, str) and value in _QUANTILES:
        return value
    return _positive_duration(value, f"{', '.join(_QUANTILES)} or ")


def _size(value: object) -> int:
    match = _match(_SIZE, value, "a size: a whole number with a unit (B, KiB, MiB, GiB), as in 64KiB")
    size = int(match[1]) * _BYTES[match[2]]
    if not 0 < size <= _LARGEST:
        raise ValueError("must be a size from 1B to 1024GiB")
    return size


def _share(value: object) -> float:
    match = _match(_SHARE, value, "a share: a percentage, as in 50% or 99.9%")
    share = float(f"{match[1]}e-2")  # read as one number: 0.1 % is 0.001 and not 0.1 divided by something
    if share > 1:
        raise ValueError("must be a share from 0% to 100%")
    return share


def _objective(value: object) -> float:
    share = _share(value)
    if not 0 < share < 1:
        raise ValueError("must be an objective above 0% and below 100%: 100% would leave no budget to spend")
    return share


class Rate(NamedTuple):
    """At most ``calls`` within any ``per`` seconds."""

    calls: int
    per: float

    def __str__(self) -> str:
        return f"{self.calls} per {duration_text(self.per)}"


def _rate(value: object) -> Rate:
    match = _match(_RATE, value, "a rate: calls per duration, as in 10 per 60s")
    return Rate(int(match[1]), _positive_duration(match[2]))


def duration_text(seconds: float) -> str:
    """``seconds`` as a policy file writes it, to the microsecond: 0.3 is ``300ms``, 5 is ``5s``."""
    micros = round(seconds * 1_000_000)
    unit = "s" if micros >= _MICROSECONDS["s"] and micros % 1_000 == 0 else "ms"
    return f"{micros / _MICROSECONDS[unit]:.3f}".rstrip("0").rstrip(".") + unit


def size_text(size: int) -> str:
    """``size`` bytes as a policy file writes it, in the largest unit that divides it."""
    unit = max((u for u in _BYTES if size and size % _BYTES[u] == 0), key=lambda u: _BYTES[u], default="B")
    return f"{size // _BYTES[unit]}{unit}"


def share_text(share: float) -> str:
    """A share of 0..1 as a policy file writes it: 0.5 is ``50%``."""
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + "%"


def _or_word(word: str) -> PlainSerializer:
    def write(seconds: float | None) -> str:
        return word if seconds is None else duration_text(seconds)

    return PlainSerializer(write, return_type=str)


def _text(pattern: re.Pattern[str], *examples: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern.pattern}$", "examples": list(examples)}


_duration_schema = _text(_DURATION, "300ms", "5s")
_duration_out = PlainSerializer(duration_text, return_type=str)
_share_out = PlainSerializer(share_text, return_type=str)


def _or_schema(constant: object) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"const": constant}, _duration_schema]})


def _delay_text(delay: float | str) -> str:
    return delay if isinstance(delay, str) else duration_text(delay)


_delay_schema = WithJsonSchema({"anyOf": [{"enum": list(_QUANTILES)}, _duration_schema]})

# fmt: off
Duration = Annotated[float, BeforeValidator(_positive_duration), _duration_out, WithJsonSchema(_duration_schema)]
DurationOrZero = Annotated[float, BeforeValidator(_duration_or_zero), _duration_out, _or_schema(0)]
AutoDuration = Annotated[float | None, BeforeValidator(_duration_or("auto")), _or_word("auto"), _or_schema("auto")]
HedgeDelay = Annotated[float | str, PlainValidator(_hedge_delay), PlainSerializer(_delay_text, return_type=str), _delay_schema]
Unbounded = Annotated[float | None, BeforeValidator(_duration_or("none")), _or_word("none"), _or_schema("none")]
Size = Annotated[int, BeforeValidator(_size), PlainSerializer(size_text, return_type=str), WithJsonSchema(_text(_SIZE, "64KiB", "1MiB"))]
Share = Annotated[float, BeforeValidator(_share), _share_out, WithJsonSchema(_text(_SHARE, "50%"))]
Objective = Annotated[float, BeforeValidator(_objective), _share_out, WithJsonSchema(_text(_SHARE, "99.9%"))]
CallRate = Annotated[Rate, BeforeValidator(_rate), PlainSerializer(str, return_type=str), WithJsonSchema(_text(_RATE, "10 per 60s"))]
# fmt: on
