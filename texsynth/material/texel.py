"""The size of a pixel of a material, a texel: from words to metres, and to the resolution that files keep."""

from __future__ import annotations

import re
from fractions import Fraction

from texsynth.errors import UsageError, shown
from texsynth.image.codecs.tags import INCH, Density

UNITS = {
    "um": Fraction(1, 1_000_000),
    "mm": Fraction(1, 1000),
    "cm": Fraction(1, 100),
    "m": Fraction(1),
    "in": INCH,
}  # in metres
SMALLEST, LARGEST = Fraction(1, 1_000_000_000), Fraction(10_000)  # metres
LONGEST = 40  # characters
WORDS = re.compile(r"(\d+\.?\d*|\.\d+)\s*([a-z]+)", re.ASCII)


def parse(text: str, flag: str = "--texel") -> Fraction:
    """ "0.5mm" -> the side of a pixel in metres; UsageError."""
    match = WORDS.fullmatch(text.strip().lower()) if isinstance(text, str) and len(text) <= LONGEST else None
    if match is None or match[2] not in UNITS:
        units = ", ".join(UNITS)
        raise UsageError(f"{flag} {shown(text)} is not the size of a pixel; write a number and one of {units}: 0.5mm")
    side = Fraction(match[1]) * UNITS[match[2]]
    if not SMALLEST <= side <= LARGEST:
        raise UsageError(f"{flag} {shown(text)}: a pixel has from 0.001um to 10000m; write for example 0.5mm")
    return side


def words(side: Fraction) -> str:
    """What `parse` reads as a side in metres, to twelve decimals of the largest unit in which it is 1 or more:
    1/400 -> "2.5mm"."""
    name = next((unit for unit in ("m", "cm", "mm") if side >= UNITS[unit]), "um")
    number = f"{float(side / UNITS[name]):.12f}".rstrip("0").rstrip(".")
    return f"{number}{name}"


def density(side: Fraction) -> Density:
    """The resolution of pixels of this side, in metres."""
    return Density(1 / side, 1 / side)
