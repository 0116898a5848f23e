"""PNG. All depths are decoded by libpng, because Pillow reads 16-bit RGB as 8-bit."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

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
IHDR_END = 33
COLOUR_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
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

    # The room it reserves by itself forgets the byte before each row: too little for tall pictures.
    raw = samples.nbytes + len(samples)
    data = bytes(imagecodecs.png_encode(samples, out=raw + raw // 100 + 4096))
    added = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    added += tags.to_chunks(wanted)
    added += [(b"tEXt", f"{keyword}\0{value}".encode("ascii")) for keyword, value in texts.items()]
    extra = b""
    for kind, body in added:
        extra += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:IHDR_END] + extra + data[IHDR_END:]


PNG = Format("PNG", (".png",), starts_with(SIGNATURE), _opened, _encoded, held=("uint8", "uint16"), max_side=1_000_000)
