"""PNG. All depths are decoded by libpng, because Pillow reads 16-bit RGB as 8-bit. They are compressed by libdeflate,
in a third of the time that libpng takes, and no worse."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from texsynth.image.codecs import tags
from texsynth.image.codecs.base import (
    MAX_ICC,
    CodecError,
    Decoded,
    Format,
    Header,
    Opened,
    check_frames,
    read_exif,
    size_of,
    starts_with,
)
from texsynth.image.codecs.tags import Tags

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
WRITTEN = {1: 0, 2: 4, 3: 2, 4: 6}  # the kind of colour by the number of channels
LEVEL = 6  # of compression: files as small as those of libpng
LONGEST = 1 << 30  # bytes of a chunk of samples
FILTERED = 1 << 18  # bytes that are filtered at once, so that they stay in the processor's cache
DRAWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # chunks that the decoder needs
SAYING = (b"IHDR", b"tRNS", b"acTL", b"iCCP", b"eXIf", b"pHYs", *(kind for kind, _ in tags.CHUNKS.values()))
MAX_CHUNKS = 2**20
MAX_CHUNK = 2**24  # bytes of a chunk that says something about the picture; a larger one is left out
TRUNCATED = "truncated PNG, export or copy the file again (it ends too early)"


def chunks(handle: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Chunks up to IEND as (type, position of the body, its length); CodecError when the file ends before IEND."""
    size, position = size_of(handle), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > size:
            break
        handle.seek(position)
        length, kind = struct.unpack(">I4s", handle.read(8))
        if position + 12 + length > size:
            break
        yield kind, position + 8, length
        if kind == b"IEND":
            return
        position += 12 + length
    raise CodecError(TRUNCATED)


def text(handle: BinaryIO, keyword: str) -> str | None:
    """The value of the first tEXt chunk named `keyword`, or None; no pixel is read."""
    prefix = keyword.encode("latin-1") + b"\0"
    for kind, position, length in chunks(handle):
        if kind == b"tEXt" and len(prefix) <= length <= MAX_CHUNK:
            handle.seek(position)
            body = handle.read(length)
            if body.startswith(prefix):
                return body[len(prefix) :].decode("latin-1")
    return None


def _opened(handle: BinaryIO) -> Opened:
    places = list(chunks(handle))
    said: dict[bytes, bytes] = {}  # the first chunk of each kind
    for kind, position, length in places:
        if kind in SAYING and kind not in said and length <= MAX_CHUNK:
            handle.seek(position)
            body, checksum = handle.read(length), handle.read(4)
            if zlib.crc32(kind + body).to_bytes(4, "big") == checksum or kind in DRAWN:  # the decoder checks those
                said[kind] = body
    width, height, bits, colour = struct.unpack_from(">IIBB", said[b"IHDR"])
    check_frames(int.from_bytes(said.get(b"acTL", b"")[:4], "big"), "animated PNG")
    channels = COLOUR_CHANNELS[colour] + (b"tRNS" in said)
    stored = sum(length + 12 for kind, _, length in places if kind in DRAWN)
    header = Header(width, height, channels, "uint16" if bits == 16 else "uint8", 2 * stored)

    def decode() -> Decoded:
        import imagecodecs

        samples = imagecodecs.png_decode(_drawn(handle, places))
        icc, (orientation, _) = _inflated(said.get(b"iCCP", b"")), read_exif(said.get(b"eXIf", b""))
        return Decoded(samples.reshape(*samples.shape[:2], -1), icc, tags.from_chunks(said), orientation)

    return Opened(header, decode)


def _drawn(handle: BinaryIO, places: list[tuple[bytes, int, int]]) -> bytes:
    """The file without the chunks that do not change its samples, so that the decoder unpacks none of them."""
    parts = [SIGNATURE]
    for kind, position, length in places:
        if kind in DRAWN:
            handle.seek(position - 8)
            parts.append(handle.read(length + 12))
    return b"".join(parts)


def _inflated(body: bytes) -> bytes | None:
    """ICC profile of an iCCP chunk; None when absent, damaged or beyond any real profile's size."""
    inflater = zlib.decompressobj()
    with contextlib.suppress(ValueError, zlib.error):
        icc = inflater.decompress(body[body.index(b"\0") + 2 :], MAX_ICC)
        return icc if inflater.eof else None
    return None


def _encoded(samples: np.ndarray, icc: bytes | None, wanted: Tags, texts: dict[str, str]) -> bytes:
    import imagecodecs

    rows: Any = _filtered(samples)
    packed = memoryview(imagecodecs.deflate_encode(rows, level=LEVEL))
    del rows
    kind = WRITTEN[1 if samples.ndim == 2 else samples.shape[2]]
    head = struct.pack(">IIBBBBB", *samples.shape[1::-1], 8 * samples.itemsize, kind, 0, 0, 0)
    pieces: list[tuple[bytes, bytes | memoryview]] = [(b"IHDR", head)]
    pieces += [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    pieces += tags.to_chunks(wanted)
    pieces += [(b"tEXt", f"{keyword}\0{value}".encode("ascii")) for keyword, value in texts.items()]
    pieces += [(b"IDAT", packed[start : start + LONGEST]) for start in range(0, len(packed), LONGEST)]
    pieces.append((b"IEND", b""))
    content: list[bytes | memoryview] = [SIGNATURE]
    for name, body in pieces:
        checksum = zlib.crc32(body, zlib.crc32(name))
        content += [struct.pack(">I", len(body)) + name, body, struct.pack(">I", checksum)]
    return b"".join(content)


def _filtered(samples: np.ndarray) -> np.ndarray:
    """The rows (H, 1 + bytes of a row) as they are compressed: each begins with the number of its filter, by which
    0 nothing, 1 the byte to the left, 2 the one above or 3 the mean of the two has been taken from each byte.

    Each row has the filter that leaves the least sum of bytes as they are signed, after the PNG specification (section
    12.7). The fifth filter is left out: it takes longer than all others, and textures do not get smaller by it.
    """
    height, step = len(samples), samples[0, 0].nbytes
    big = np.ascontiguousarray(samples, samples.dtype.newbyteorder(">"))
    rows = big.reshape(height, -1).view(np.uint8)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    block = max(1, FILTERED // rows.shape[1])
    for start in range(0, height, block):
        here = rows[start : start + block]
        left, above = np.zeros_like(here), np.zeros_like(here)
        left[:, step:] = here[:, :-step]
        above[1:] = here[:-1]
        if start:
            above[0] = rows[start - 1]
        mean = (left >> 1) + (above >> 1) + (left & above & 1)
        choices = here, here - left, here - above, here - mean
        sums = [np.abs(choice.view(np.int8)).view(np.uint8).sum(1, dtype=np.uint32) for choice in choices]
        best = np.argmin(sums, axis=0)
        filtered[start : start + block, 0] = best
        for number, choice in enumerate(choices):
            filtered[start : start + block, 1:][best == number] = choice[best == number]
    return filtered


PNG = Format("PNG", (".png",), starts_with(SIGNATURE), _opened, _encoded, held=("uint8", "uint16"), max_side=1_000_000)
