"""Numbers that look random but follow from a place, the same in Python and in every shader that goes with tiles.

All steps are those of unsigned integers of 32 bits, so that no rounding can differ: the place times large odd numbers,
and two rounds of shifting and multiplying, which mix all bits.
"""

from __future__ import annotations

from torch import Tensor

ACROSS, DOWN, START = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D  # odd, so that no bit is lost
FIRST, SECOND = 0x7FEB352D, 0x846CA68B
WORD = 0xFFFFFFFF  # numbers are taken modulo 2^32


def mixed(x: Tensor, y: Tensor, seed: int) -> Tensor:
    """A number in [0, 2^32) for each place (x, y) of whole numbers, int64 of any sign and shape."""
    number = _times(x, ACROSS) ^ _times(y, DOWN) ^ (seed * START & WORD)
    number = _times(number ^ (number >> 16), FIRST)
    number = _times(number ^ (number >> 15), SECOND)
    return number ^ (number >> 16)


def _times(number: Tensor, factor: int) -> Tensor:
    """The product modulo 2^32; the factor in halves, so that no step leaves 64 bits."""
    number = number & WORD
    return (number * (factor & 0xFFFF) + ((number * (factor >> 16) & 0xFFFF) << 16)) & WORD
