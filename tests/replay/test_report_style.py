"""The colours of columns: seen on their ground, and told apart by people who see fewer of them."""

from __future__ import annotations

import math
import re
from itertools import combinations
from pathlib import Path

import pytest

import sidecar.replay.report as room
from sidecar.replay.report.plot import COLOURS

STYLE = (Path(room.__file__).parent / "style.css").read_text()
LIGHT, DARK = STYLE.split("@media (prefers-color-scheme: dark)")
SIGHT = {  # linear RGB as it is seen: Machado, Oliveira and Fernandes, "A physiologically-based model", 2009, severity 1
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
FAR = 25.0  # CIE76: from about 2 on a difference is seen at all, side by side


def colour(scheme, name):
    digits = re.search(rf"--{name}: #(\w+);", scheme)[1]
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    values = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return tuple(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values)


def lightness(rgb):
    return sum(part * value for part, value in zip((0.2126, 0.7152, 0.0722), rgb, strict=True))


def lab(rgb):
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = (max(sum(part * value for part, value in zip(row, rgb, strict=True)), 0.0) for row in rows)
    scaled = (value / white for value, white in zip(xyz, (0.9505, 1.0, 1.089), strict=True))
    x, y, z = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(rgb, sight):
    return lab([sum(part * value for part, value in zip(row, rgb, strict=True)) for row in sight])


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_line_stands_out_from_its_ground(scheme):
    ground = lightness(colour(scheme, "card"))
    for number in range(COLOURS):
        line = lightness(colour(scheme, f"c{number}"))
        assert (max(line, ground) + 0.05) / (min(line, ground) + 0.05) >= 3.0, number


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
def test_no_two_columns_look_alike(scheme, sight):
    colours = [seen(colour(scheme, f"c{number}"), SIGHT[sight]) for number in range(COLOURS)]
    assert min(math.dist(one, other) for one, other in combinations(colours, 2)) >= FAR


def test_no_two_columns_have_the_same_dash():
    dashes = re.findall(r"\.c\d { --c: var\(--c(\d)\); --dash: ([^;]*); }", STYLE)
    assert [number for number, _ in dashes] == [str(number) for number in range(COLOURS)]
    assert len({dash for _, dash in dashes}) == COLOURS
