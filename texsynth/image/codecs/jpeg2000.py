"""JPEG 2000, by imagecodecs, because Pillow reads 16-bit colours as 8-bit."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import numpy as np

from texsynth.image.codecs.base import (
    MAX_ICC,
    CodecError,
    Decoded,
    Format,
    Header,
    Opened,
    size_of,
    spread,
    starts_with,
    straight,
)
from texsynth.image.codecs.boxes import Box, boxes, content, inside
from texsynth.image.codecs.tags import Density, Tags, density

CODESTREAM = b"\xff\x4f\xff\x51"
END = b"\xff\xd9"
COLOURS = {12: "CMYK", 14: "Lab", 18: "YCbCr", 19: "e-sRGB", 20: "ROMM RGB", 24: "e-sYCC"}  # that are refused
READ = (16, 17)  # sRGB and grey
PREMULTIPLIED = 2


class Stream(NamedTuple):
    """What a codestream says of its channels."""

    width: int
    height: int
    bits: tuple[int, ...]


class Said(NamedTuple):
    """What the boxes round a codestream say. channels: How many a palette makes of it; 0 without one."""

    icc: bytes | None = None
    resolution: Density | None = None
    premultiplied: bool = False
    channels: int = 0


def _opened(handle: BinaryIO) -> Opened:
    size = size_of(handle)
    handle.seek(0)
    if handle.read(4) == CODESTREAM:
        start, end, said = 0, size, Said()
    else:
        box = next((box for box in boxes(handle, 0, size) if box.kind == b"jp2c"), None)
        if box is None:
            raise CodecError("truncated JPEG 2000, export or copy the file again (it holds no codestream)")
        start, end, said = box.start, box.end, _said(handle)
    stream = _stream(handle, start)
    handle.seek(end - 2)
    if handle.read(2) != END:  # the decoder would make up the rest
        raise CodecError("truncated JPEG 2000, export or copy the file again (it ends too early)")
    channels, bits = said.channels or len(stream.bits), stream.bits[0]
    depth = "uint8" if bits <= 8 else "uint16"
    # OpenJPEG holds 32 bits a sample, of tiles and of the whole.
    working = 2 * size + 12 * stream.width * stream.height * channels
    header = Header(stream.width, stream.height, channels, depth, working)

    def decode() -> Decoded:
        import imagecodecs

        handle.seek(0)
        stored: np.ndarray = imagecodecs.jpeg2k_decode(handle.read(), numthreads=1)
        samples = spread(stored.reshape(*stored.shape[:2], -1), bits)
        samples = straight(samples) if said.premultiplied and samples.shape[2] in (2, 4) else samples
        return Decoded(samples, said.icc, Tags(density=said.resolution))

    return Opened(header, decode)


def _stream(handle: BinaryIO, start: int) -> Stream:
    """The marker SIZ of a codestream; CodecError for channels that differ or are not supported."""
    handle.seek(start)
    head = handle.read(42)
    if head[:4] != CODESTREAM or len(head) < 42:
        raise CodecError("damaged or truncated JPEG 2000, export or copy the file again (its codestream has no size)")
    right, bottom, left, top = struct.unpack_from(">4I", head, 8)
    (count,) = struct.unpack_from(">H", head, 40)
    if not 1 <= count <= 4:
        raise CodecError(f"JPEG 2000 of {count} channels; allowed: 1 to 4")
    parts = [handle.read(3) for _ in range(count)]
    if left or top or len(set(parts)) > 1 or parts[0][1:] != b"\1\1":
        raise CodecError("JPEG 2000 with channels of different sizes or depths; save it as 8 or 16-bit RGB")
    if parts[0][0] >= 0x80 or parts[0][0] >= 16:
        kind = "signed" if parts[0][0] >= 0x80 else f"{parts[0][0] + 1}-bit"
        raise CodecError(f"JPEG 2000 with {kind} samples; allowed: 1 to 16-bit unsigned; convert it to those")
    return Stream(right - left, bottom - top, tuple(part[0] + 1 for part in parts))


def _said(handle: BinaryIO) -> Said:
    """What the header boxes of a JP2 say; CodecError for colours that are not supported."""
    said = Said()
    for box in inside(handle, b"jp2h"):
        body = content(handle, box, MAX_ICC)
        if box.kind == b"colr" and body[:1] == b"\1":
            number = int.from_bytes(body[3:7], "big")
            if number not in READ:
                raise CodecError(f"JPEG 2000 with {COLOURS.get(number, f'colour space {number}')}; convert it to RGB")
        elif box.kind == b"colr" and body[:1] in b"\2\3" and len(body) > 131:
            if body[19:23] not in (b"RGB ", b"GRAY"):
                raise CodecError("JPEG 2000 with a profile that is not for RGB or grey; convert it to RGB")
            said = said._replace(icc=body[3:])
        elif box.kind == b"cdef":
            kinds = [body[at : at + 2] for at in range(4, len(body) - 1, 6)]
            said = said._replace(premultiplied=PREMULTIPLIED.to_bytes(2, "big") in kinds)
        elif box.kind == b"pclr":
            depths = body[3 : 3 + body[2]]
            if not 1 <= len(depths) <= 4 or any(depth != 7 for depth in depths):
                raise CodecError("JPEG 2000 with a palette that is not 8-bit RGB; convert it to RGB")
            said = said._replace(channels=len(depths))
        elif box.kind == b"res ":
            said = said._replace(resolution=_resolution(handle, box))
    return said


def _resolution(handle: BinaryIO, outer: Box) -> Density | None:
    """The resolution of capture, or else of display; both are stored to the metre."""
    stored = {box.kind: content(handle, box, 10) for box in boxes(handle, outer.start, outer.end)}
    body = stored.get(b"resc", stored.get(b"resd", b""))
    if len(body) < 10:
        return None
    above, below, across, under, high, wide = struct.unpack(">4H2b", body)
    if not below or not under:
        return None
    y, x = Fraction(above, below) * Fraction(10) ** high, Fraction(across, under) * Fraction(10) ** wide
    return density(x, y, Fraction(1))


JPEG2000 = Format(
    "JPEG 2000",
    (".jp2", ".j2k", ".j2c", ".jpf", ".jpx"),
    starts_with(b"\0\0\0\x0cjP  \r\n\x87\n", CODESTREAM),
    _opened,
)
