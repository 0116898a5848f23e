"""What a file says of the colours and the resolution of its picture: carried from file to file, never interpreted."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

INCH = Fraction(254, 10_000)  # of a metre
CENTIMETRE = Fraction(1, 100)
LARGEST_DENSITY = 2**31 - 1  # that a PNG can hold
ROUNDING = Fraction(1, 20)  # of a resolution that may change when it is rounded to whole pixels

# The chunks of a PNG by the field of `Tags` that holds them, in the order in which they are written, and their length.
CHUNKS = {
    "cicp": (b"cICP", 4),
    "mastering": (b"mDCV", 24),
    "light": (b"cLLI", 8),
    "srgb": (b"sRGB", 1),
    "gamma": (b"gAMA", 4),
    "primaries": (b"cHRM", 32),
}
LINEAR_GAMMA = (100_000).to_bytes(4, "big")
SRGB_GAMMA = (45455).to_bytes(4, "big")
SRGB_PRIMARIES = b"".join(value.to_bytes(4, "big") for value in (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
SRGB = ("sRGB",)  # what a picture shows that says nothing of its colours


@dataclass(frozen=True)
class Density:
    """How many pixels there are to a metre; or, where not `absolute`, only the ratio of the two."""

    x: Fraction
    y: Fraction
    absolute: bool = True


@dataclass(frozen=True)
class Tags:
    """What a file says of colours, beside an ICC profile, and of resolution.

    cicp, mastering, light, srgb, gamma, primaries: The bodies of a PNG's chunks cICP, mDCV, cLLI, sRGB, gAMA and cHRM.
    density: The resolution.
    chromaticities: Those of an EXR, as it stores them, which can be more than `primaries` holds.
    channels: What an EXR calls the channels of a picture, where that is not R, G, B or Y, and A.
    """

    cicp: bytes | None = None
    mastering: bytes | None = None
    light: bytes | None = None
    srgb: bytes | None = None
    gamma: bytes | None = None
    primaries: bytes | None = None
    density: Density | None = None
    chromaticities: bytes | None = None
    channels: tuple[str, ...] = ()

    @property
    def is_linear(self) -> bool:
        """Do they say that colours are linear light?"""
        return self.cicp is None and self.gamma == LINEAR_GAMMA

    def colours(self, icc: bytes | None) -> tuple[object, ...]:
        """What holds of the colours of a picture with this ICC profile: by the PNG specification, cICP before a profile
        before sRGB before gAMA and cHRM."""
        if self.cicp is not None:
            return "cICP", self.cicp
        if icc is not None:
            return "ICC profile", icc
        plain = self.gamma in (None, SRGB_GAMMA) and self.primaries in (None, SRGB_PRIMARIES)
        if self.srgb is not None or plain:
            return SRGB
        return "gAMA and cHRM", self.gamma, self.primaries


def from_chunks(chunks: Mapping[bytes, bytes]) -> Tags:
    """The tags in the chunks of a PNG; those of a wrong length say nothing."""
    values: dict[str, Any] = {
        name: chunks[kind] for name, (kind, length) in CHUNKS.items() if len(chunks.get(kind, b"")) == length
    }
    body = chunks.get(b"pHYs", b"")
    x, y = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    sound = len(body) == 9 and body[8] in (0, 1)
    return Tags(**values, density=density(x, y, None if body[8] == 0 else Fraction(1)) if sound else None)


def to_chunks(tags: Tags) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG that hold the tags."""
    chunks = [(CHUNKS[f.name][0], getattr(tags, f.name)) for f in fields(tags) if f.name in CHUNKS]
    if (wanted := tags.density) is not None and (whole := _whole(wanted.x, wanted.y, LARGEST_DENSITY)) is not None:
        chunks.append((b"pHYs", struct.pack(">IIB", *whole, wanted.absolute)))
    return [(kind, body) for kind, body in chunks if body is not None]


def density(x: Any, y: Any, unit: Fraction | None) -> Density | None:
    """The resolution of so many pixels to a unit in metres, None for a mere ratio. Each is a number or a (numerator,
    denominator). Nothing comes of what is not positive, absurd, or a ratio of 1."""
    try:
        values = [Fraction(*value) if isinstance(value, tuple) else Fraction(value) for value in (x, y)]
        values = [value / (unit or 1) for value in values]
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not all(0 < value <= LARGEST_DENSITY for value in values) or (unit is None and values[0] == values[1]):
        return None
    return Density(values[0], values[1], unit is not None)


def to_inches(wanted: Density) -> tuple[int, int] | None:
    """Whole pixels to the inch, as a JPEG holds them; None for what it cannot hold."""
    return _whole(wanted.x * INCH, wanted.y * INCH, 2**16 - 1) if wanted.absolute else None


def _whole(x: Fraction, y: Fraction, most: int) -> tuple[int, int] | None:
    """Two numbers of pixels, rounded; None above `most`, and where rounding makes another resolution of them: a file
    that says none is better than one that says a wrong one."""
    values = round(x), round(y)
    near = all(abs(whole / value - 1) <= ROUNDING for whole, value in zip(values, (x, y), strict=True))
    return values if near and max(values) <= most else None


def to_rationals(wanted: Density) -> tuple[tuple[tuple[int, int], tuple[int, int]], str]:
    """The rational numbers of a TIFF, and the name of their unit: the one in which they are the rounder."""
    units = {"inch": INCH, "centimeter": CENTIMETRE} if wanted.absolute else {"none": Fraction(1)}

    def scaled(unit: str) -> list[Fraction]:
        values = [value * units[unit] for value in (wanted.x, wanted.y)]
        return [value.limit_denominator(min(1 << 16, 2**31 // math.ceil(value))) for value in values]

    unit = min(units, key=lambda name: sum(value.denominator for value in scaled(name)))
    (a, b), (c, d) = (value.as_integer_ratio() for value in scaled(unit))
    return ((a, b), (c, d)), unit
