"""TGA. Its pixels are unpacked by Pillow, which would misread palettes and the alpha of 16 and 32 bits."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from texsynth.image.codecs.base import CodecError, Decoded, Format, Header, Opened, size_of, spread, straight
from texsynth.image.codecs.tags import Tags

HEADER = struct.Struct("<BBB HHB HHHH BB")
FOOTER = b"TRUEVISION-XFILE.\0"  # of files of version 2
PALETTE, COLOUR, GREY, PACKED = 1, 2, 3, 8  # kinds; the last is added to the others
DEPTHS = {PALETTE: (8, 16), COLOUR: (15, 16, 24, 32), GREY: (8, 16)}
RIGHT_TO_LEFT, TOP_DOWN, INTERLEAVED = 0x10, 0x20, 0xC0
ALPHA_BITS = 0x0F
# What stands in place of an alpha: nothing; nothing unless it varies; an alpha, or one that colours were multiplied by.
NONE, MAYBE, STRAIGHT, PREMULTIPLIED = "none", "maybe", "straight", "premultiplied"
ALPHAS = {b"\3": STRAIGHT, b"\4": PREMULTIPLIED}  # by the byte of an extension
SHORT = "truncated TGA, export or copy the file again (pixels are missing)"


@dataclass(frozen=True)
class Targa:
    """The header of a TGA.

    colours: The first entry of the palette, their number and the bits of each.
    bits: Those of a pixel.
    """

    identifier: int
    kind: int
    packed: bool
    colours: tuple[int, int, int]
    width: int
    height: int
    bits: int
    flags: int


def _header(head: bytes) -> Targa | None:
    """The header, where it can be one."""
    if len(head) < HEADER.size:
        return None
    identifier, mapped, kind, first, count, depth, _, _, width, height, bits, flags = HEADER.unpack_from(head)
    packed, kind = bool(kind & PACKED), kind & ~PACKED
    sound = kind in DEPTHS and bits in DEPTHS[kind] and width and height and not flags & INTERLEAVED
    if not sound or mapped not in (0, 1) or (kind == PALETTE and not (mapped and count)):
        return None
    if mapped and depth not in (15, 16, 24, 32):
        return None
    return Targa(identifier, kind, packed, (first, count, depth) if mapped else (0, 0, 0), width, height, bits, flags)


def _alpha(handle: BinaryIO, targa: Targa) -> str:
    """What the fourth channel, or the sixteenth bit, is: by the extension of version 2, or else by the header."""
    size = size_of(handle)
    if size >= HEADER.size + 26:
        handle.seek(size - 26)
        footer = handle.read(26)
        extension = int.from_bytes(footer[:4], "little")
        if footer[8:] == FOOTER and 0 < extension < size - 494:
            handle.seek(extension + 494)
            return ALPHAS.get(handle.read(1), NONE)
    if targa.flags & ALPHA_BITS:
        return STRAIGHT
    return MAYBE if 32 in (targa.bits, targa.colours[2]) else NONE


def _opened(handle: BinaryIO) -> Opened:
    handle.seek(0)
    targa = _header(handle.read(HEADER.size))
    if targa is None:
        raise CodecError("damaged TGA, export or copy the file again (its header is none)")
    bits = targa.colours[2] if targa.kind == PALETTE else targa.bits
    alpha = _alpha(handle, targa)
    coloured = 4 if bits in (16, 32) and alpha != NONE else 3
    channels = targa.bits // 8 if targa.kind == GREY else coloured
    # Bytes as they are stored, places in a palette, colours.
    working = 2 * size_of(handle) + (12 if targa.bits in (24, 32) else 24) * targa.width * targa.height
    header = Header(targa.width, targa.height, channels, "uint8", working)

    def decode() -> Decoded:
        samples = _samples(handle, targa)[:: 1 if targa.flags & TOP_DOWN else -1]
        samples = samples[:, :: -1 if targa.flags & RIGHT_TO_LEFT else 1]
        if targa.kind == GREY:
            return Decoded(samples)
        if samples.shape[2] == 4 and (alpha == NONE or (alpha == MAYBE and np.ptp(samples[..., 3]) == 0)):
            samples = samples[..., :3]
        return Decoded(straight(samples) if alpha == PREMULTIPLIED and samples.shape[2] == 4 else samples)

    return Opened(header, decode)


def _samples(handle: BinaryIO, targa: Targa) -> np.ndarray:
    """(H, W, C) grey, RGB or RGB with whatever stands in place of an alpha, in the order of the file."""
    first, count, depth = targa.colours
    handle.seek(HEADER.size + targa.identifier)
    table = handle.read(count * ((depth + 7) // 8))
    stored = _unpacked(handle.read(), targa)
    if targa.kind == GREY:
        return stored
    if targa.kind == COLOUR:
        return _colours(stored, targa.bits)
    if len(table) < count * ((depth + 7) // 8):
        raise CodecError(SHORT)
    colours: np.ndarray = _colours(np.frombuffer(table, np.uint8).reshape(1, count, -1), depth)[0]
    places = stored.astype(np.int32)
    places = (places[..., 0] if targa.bits == 8 else places[..., 0] + 256 * places[..., 1]) - first
    if places.min() < 0 or places.max() >= count:
        raise CodecError("damaged TGA, export or copy the file again (a colour is not in its palette)")
    return colours[places]


def _unpacked(body: bytes, targa: Targa) -> np.ndarray:
    """The bytes of each pixel, (H, W, bytes)."""
    from PIL import Image

    size = (targa.bits + 7) // 8
    if targa.packed:
        mode = ("L", "LA", "RGB", "RGBA")[size - 1]  # any with as many bytes
        # As one row, because runs may go on from row to row.
        picture = Image.frombytes(mode, (targa.width * targa.height, 1), body, "tga_rle", mode, 1, 8 * size)
        return np.asarray(picture).reshape(targa.height, targa.width, size)
    count = targa.width * targa.height * size
    if len(body) < count:
        raise CodecError(SHORT)
    return np.frombuffer(body, np.uint8, count).reshape(targa.height, targa.width, size)


def _colours(stored: np.ndarray, bits: int) -> np.ndarray:
    """(H, W, 3 or 4) of pixels as they are stored: blue first, or five bits a channel and one for alpha."""
    if bits == 24:
        return stored[..., ::-1]
    if bits == 32:
        return stored[..., [2, 1, 0, 3]]
    values = stored[..., 0].astype(np.uint16) | stored[..., 1].astype(np.uint16) << 8
    channels = [spread(values >> shift & 31, 5) for shift in (10, 5, 0)]
    if bits == 16:
        channels.append((values >> 15).astype(np.uint8) * np.uint8(255))
    return np.stack(channels, axis=-1)


def _encoded(samples: np.ndarray, _: bytes | None, __: Tags, ___: dict[str, str]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(samples).save(out, "TGA", compression="tga_rle")
    return out.getvalue()


TGA = Format(
    "TGA",
    (".tga",),
    lambda head: _header(head) is not None,
    _opened,
    _encoded,
    has_profile=False,
    max_side=65_535,
    by_suffix=True,
)
