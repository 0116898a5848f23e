"""PBM, PGM, PPM and PFM, plain and raw; read here, because Pillow reads 16-bit colours as 8-bit."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from texsynth.image.codecs.base import (
    CodecError,
    Decoded,
    Format,
    Header,
    Opened,
    check_frames,
    scaled,
    size_of,
    starts_with,
)

PLAIN_BITS, PLAIN_GREY, PLAIN_RGB, BITS, GREY, RGB, FLOAT_GREY, FLOAT_RGB = (
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF"
)  # fmt: skip
KINDS = (PLAIN_BITS, PLAIN_GREY, PLAIN_RGB, BITS, GREY, RGB, FLOAT_GREY, FLOAT_RGB)
COLOURED = (PLAIN_RGB, RGB, FLOAT_RGB)
LONGEST_HEADER = 1 << 16  # bytes, comments included
SHORT = "truncated PNM, export or copy the file again (pixels are missing)"
# A number behind white space and comments.
TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([-+.\deE]+)")


def _opened(handle: BinaryIO) -> Opened:
    handle.seek(0)
    head = handle.read(LONGEST_HEADER)
    kind, numbers, position = _header(head)
    width, height, top = int(numbers[0]), int(numbers[1]), numbers[2]
    floating, channels = kind in (FLOAT_GREY, FLOAT_RGB), 3 if kind in COLOURED else 1
    if not floating and not 1 <= top <= 65535:
        raise CodecError(f"PNM with a highest value of {top:g}; allowed: 1 to 65535")
    depth = "float32" if floating else "uint8" if top < 256 else "uint16"
    plain = kind in (PLAIN_BITS, PLAIN_GREY, PLAIN_RGB)
    stored = size_of(handle) - position
    # Values of text are 64 bits wide, and comments are cut out of a copy.
    working = 3 * stored + 10 * width * height * channels if plain else 2 * stored + 2 * width * height * channels

    def decode() -> Decoded:
        handle.seek(position)
        body = handle.read()
        if plain:
            values = _plain(body, width * height * channels, kind)
        elif kind == BITS:
            values = _bits(body, width, height)
        else:
            values = _raw(body, width * height * channels, _dtype(floating, top))
        samples = values.reshape(height, width, channels)
        if floating:
            return Decoded(samples[::-1].astype(np.float32))  # rows go up
        return Decoded(scaled(samples, int(top)))

    return Opened(Header(width, height, channels, depth, working), decode)


def _header(head: bytes) -> tuple[bytes, list[float], int]:
    """The kind; width, height, and the highest value, 1 for bits, or the scale of floats; and where pixels start."""
    kind, position, numbers = head[:2], 2, list[float]()
    for _ in range(2 if kind in (PLAIN_BITS, BITS) else 3):
        match = TOKEN.match(head, position)
        if match is None or len(match[1]) > 20:
            raise CodecError("damaged or truncated PNM, export or copy the file again (its header is not whole)")
        whole = len(numbers) < 2 or kind not in (FLOAT_GREY, FLOAT_RGB)
        numbers.append(int(match[1]) if whole else float(match[1]))
        position = match.end()
    if min(numbers[:2]) < 1:
        raise CodecError("damaged PNM, export or copy the file again (it has no pixels)")
    return kind, [*numbers, 1][:3], position + 1  # one white space stands before the pixels


def _dtype(floating: bool, top: float) -> str:
    if floating:
        return "<f4" if top < 0 else ">f4"
    return ">u2" if top > 255 else "u1"


def _raw(body: bytes, count: int, dtype: str) -> np.ndarray:
    size = count * np.dtype(dtype).itemsize
    if len(body) < size:
        raise CodecError(SHORT)
    _check_end(body[size : size + 16])
    return np.frombuffer(body, dtype, count)


def _bits(body: bytes, width: int, height: int) -> np.ndarray:
    """Rows of bits, padded to bytes, in which 1 is black."""
    row = (width + 7) // 8
    if len(body) < row * height:
        raise CodecError(SHORT)
    _check_end(body[row * height : row * height + 16])
    rows = np.frombuffer(body, np.uint8, row * height).reshape(height, row)
    return 1 - np.unpackbits(rows, axis=1, count=width)


def _check_end(rest: bytes) -> None:
    check_frames(2 if rest.strip()[:2] in KINDS else 1, "PNM")


def _plain(body: bytes, count: int, kind: bytes) -> np.ndarray:
    """Values in text, of bits without anything between them."""
    text = re.sub(rb"#[^\r\n]*", b"", body) if b"#" in body else body
    if kind == PLAIN_BITS:
        digits = np.frombuffer(text.translate(None, b" \t\r\n\v\f"), np.uint8)[:count]
        values = 1 - (digits.astype(np.int64) - ord("0"))
    elif text.translate(None, b"0123456789 \t\r\n\v\f"):
        raise CodecError("damaged PNM, export or copy the file again (something in it is no number)")
    else:
        values = np.fromstring(text.decode("ascii"), np.int64, sep=" ")[:count]
    if len(values) < count:
        raise CodecError(SHORT)
    return values


PNM = Format("PNM", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), starts_with(*KINDS), _opened)
