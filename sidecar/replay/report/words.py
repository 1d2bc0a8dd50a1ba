"""Numbers and names as people read them. What comes from outside (names of files and policies) passes through ``markup`` or ``shown``."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from typing import Final

UNKNOWN: Final = "\N{EN DASH}"
GAP: Final = "\N{NARROW NO-BREAK SPACE}"
MINUS: Final = "\N{MINUS SIGN}"
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # among them what turns the direction of writing round
_SHORTENED = 34


def shown(name: str) -> str:
    """``name`` with everything that is not seen, or that changes how the rest is seen, written as its number."""
    return "".join(_numbered(each) if unicodedata.category(each) in _INVISIBLE else each for each in name)


def _numbered(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def markup(text: str) -> str:
    """``text`` as it may stand in an element or in a quoted attribute."""
    return html.escape(shown(text))


def breakable(text: str) -> str:
    """``text`` as ``markup``, to be broken where names of files have their joints rather than anywhere."""
    return re.sub(r"(?<=[/_-])|(?=\.)", "<wbr>", markup(text))


def short(name: str, most: int = _SHORTENED) -> str:
    """``name`` with its middle left out if it is longer than ``most`` characters: the end of a path tells more than its middle."""
    name = shown(name)
    if len(name) <= most:
        return name
    head = most // 3
    return f"{name[:head]}…{name[head + 1 - most :]}"


def known(value: object) -> float | None:
    """``value`` if it is a number that can be shown or drawn."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all bounds
        return None
    return number if math.isfinite(number) else None


def count(value: object) -> str:
    """A whole number, its thousands apart."""
    number = known(value)
    return UNKNOWN if number is None else f"{round(number):,}".replace(",", GAP).replace("-", MINUS)


def figures(value: float, most: int = 3) -> str:
    """``most`` significant figures, no exponent; a number with more digits before its point is shown to the unit."""
    if not value:
        return "0"
    places = max(most - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.{min(places, 9)}f}"
    return text.replace("-", MINUS)


def share(value: object) -> str:
    """A share as per cent: one figure behind the point, two close to nothing and close to all."""
    number = known(value)
    if number is None:
        return UNKNOWN
    percent = number * 100
    places = 0 if percent in {0.0, 100.0} else 2 if abs(percent) < 1 or 99 < abs(percent) < 100 else 1
    return f"{percent:.{places}f}{GAP}%".replace("-", MINUS)


def ratio(value: object) -> str:
    """Of attempts to calls: what differs is behind the point."""
    number = known(value)
    return UNKNOWN if number is None else f"{number:.3f}".replace("-", MINUS)


def seconds(value: object) -> str:
    """A duration: milliseconds below a second, the two largest units above a minute."""
    number = known(value)
    if number is None:
        return UNKNOWN
    if number < 0:
        return MINUS + seconds(-number)
    if round(number, 2) < 1:
        return f"{figures(number * 1000)}{GAP}ms" if number else f"0{GAP}s"
    if round(number) < 60:
        return f"{figures(number)}{GAP}s"
    return _long(round(number))


def exact(value: float) -> str:
    """A time that somebody has chosen, to the last figure: in milliseconds below a second, in seconds up to two minutes."""
    if value < 1:
        return f"{value * 1000:.6g}{GAP}ms"
    return f"{value:.6g}{GAP}s" if value < 120 else seconds(value)


def _long(whole: int) -> str:
    for large, name, small, under in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large}{GAP}{name}" + (f" {rest}{GAP}{under}" if rest else "")
    return f"{whole}{GAP}s"  # pragma: no cover - asked for a minute and more


def counted(number: int, one: str, more: str = "") -> str:
    """``3 calls``, ``1 call``."""
    return f"{count(number)} {one if number == 1 else more or f'{one}s'}"


def listed(parts: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
