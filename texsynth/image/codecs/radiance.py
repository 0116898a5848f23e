"""Radiance HDR, by imagecodecs: RGB floats of a common exponent."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from texsynth.image.codecs.base import CodecError, Decoded, Format, Header, Opened, size_of, starts_with
from texsynth.image.codecs.tags import LINEAR_GAMMA, Tags

LONGEST_HEADER = 1 << 16
SIZE = re.compile(rb"([-+])([XY]) (\d{1,9}) ([-+])([XY]) (\d{1,9})\Z")


def _opened(handle: BinaryIO) -> Opened:
    handle.seek(0)
    lines, _, _ = handle.read(LONGEST_HEADER).partition(b"\n\n")
    start = len(lines) + 2
    handle.seek(start)
    line = handle.readline(64)
    match = SIZE.match(line.strip())
    if match is None or match[2] == match[5]:
        raise CodecError("damaged or truncated HDR, export or copy the file again (its header says no size)")
    if b"FORMAT=32-bit_rle_rgbe" not in lines.split(b"\n"):
        raise CodecError("HDR of a kind that is not 32-bit_rle_rgbe; convert it to that")
    rows, row = int(match[3]), int(match[6])  # as they are stored
    upright = match[2] == b"Y"
    width, height = (row, rows) if upright else (rows, row)
    header = Header(width, height, 3, "float32", 2 * size_of(handle) + 12 * width * height)

    def decode() -> Decoded:
        import imagecodecs

        handle.seek(start + len(line))
        # The decoder reads no other order of rows than this.
        head = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {rows} +X {row}\n".encode("ascii")
        samples: np.ndarray = imagecodecs.rgbe_decode(head + handle.read())
        # Turn rows that go up and pixels that go left.
        samples = samples[:: 1 if match[1] == (b"-" if upright else b"+") else -1]
        samples = samples[:, :: 1 if match[4] == (b"+" if upright else b"-") else -1]
        return Decoded(samples if upright else samples.swapaxes(0, 1), tags=Tags(gamma=LINEAR_GAMMA))

    return Opened(header, decode)


def _encoded(samples: np.ndarray, _: bytes | None, __: Tags, ___: dict[str, str]) -> bytes:
    import imagecodecs

    colours = samples if samples.ndim == 3 else np.repeat(samples[..., None], 3, axis=2)
    return bytes(imagecodecs.rgbe_encode(np.ascontiguousarray(colours)))


HDR = Format(
    "HDR",
    (".hdr",),
    starts_with(b"#?RADIANCE", b"#?RGBE"),
    _opened,
    _encoded,
    held=("float32",),
    has_alpha=False,
    has_profile=False,
    is_linear=True,
    loss="HDR holds 8 bits of each value under one exponent, and none below 0",
    max_side=65_535,
)
