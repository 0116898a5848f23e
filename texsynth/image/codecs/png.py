"""PNG. All depths are decoded by libpng, because Pillow reads 16-bit RGB as 8-bit. They are compressed by libdeflate,
in a third of the time that libpng takes, and no worse."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, BinaryIO

import numpy as np

from texsynth.image.codecs import tags
from texsynth.image.codecs.base import (
    MAX_ICC,
    CodecError,
    Decoded,
    Format,
    Header,
    Opened,
    Rows,
    check_frames,
    gathered,
    read_exif,
    size_of,
    starts_with,
)
from texsynth.image.codecs.scanlines import AT_ONCE, SIGNATURE, chunk, filtered, header, packed_rows, unpacked_rows
from texsynth.image.codecs.tags import Tags

COLOUR_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
PALETTE = 3  # the kind of colour
LEVEL = 6  # of compression: files as small as those of libpng
LONGEST = 1 << 30  # bytes of a chunk of samples
DRAWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # chunks that the decoder needs
SAYING = (b"IHDR", b"tRNS", b"acTL", b"iCCP", b"eXIf", b"pHYs", *(kind for kind, _ in tags.CHUNKS.values()))
BLOCK = 1 << 20  # bytes that are read at a time
UNPACKING = 8 * AT_ONCE  # bytes, of rows on their way
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
    width, height, bits, colour, *_, interlaced = struct.unpack_from(">IIBBBBB", said[b"IHDR"])
    check_frames(int.from_bytes(said.get(b"acTL", b"")[:4], "big"), "animated PNG")
    channels = COLOUR_CHANNELS[colour] + (b"tRNS" in said)
    stored = sum(length + 12 for kind, _, length in places if kind in DRAWN)
    by_rows = bits >= 8 and colour != PALETTE and b"tRNS" not in said and not interlaced
    depth, working = "uint16" if bits == 16 else "uint8", UNPACKING if by_rows else None
    about = Header(width, height, channels, depth, 2 * stored, working)

    def decode() -> Decoded:
        import imagecodecs

        shape = height, width, channels
        if about.in_rows:
            samples = gathered(shape, depth, unpacked_rows(_stored(handle, places), shape, bits // 8))
        else:
            samples = imagecodecs.png_decode(_drawn(handle, places))
        icc, (orientation, _) = _inflated(said.get(b"iCCP", b"")), read_exif(said.get(b"eXIf", b""))
        return Decoded(samples.reshape(*samples.shape[:2], -1), icc, tags.from_chunks(said), orientation)

    return Opened(about, decode)


def _drawn(handle: BinaryIO, places: list[tuple[bytes, int, int]]) -> bytes:
    """The file without the chunks that do not change its samples, so that the decoder unpacks none of them."""
    parts = [SIGNATURE]
    for kind, position, length in places:
        if kind in DRAWN:
            handle.seek(position - 8)
            parts.append(handle.read(length + 12))
    return b"".join(parts)


def _stored(handle: BinaryIO, places: list[tuple[bytes, int, int]]) -> Iterator[bytes]:
    """The compressed samples, in blocks; CodecError where a chunk of them is damaged."""
    for kind, position, length in places:
        if kind != b"IDAT":
            continue
        handle.seek(position)
        checksum = zlib.crc32(kind)
        while length:
            block = handle.read(min(length, BLOCK))
            checksum, length = zlib.crc32(block, checksum), length - len(block)
            if not block:
                raise CodecError(TRUNCATED)
            yield block
        if handle.read(4) != checksum.to_bytes(4, "big"):
            raise CodecError("damaged PNG, export or copy the file again (a checksum is wrong)")


def _inflated(body: bytes) -> bytes | None:
    """ICC profile of an iCCP chunk; None when absent, damaged or beyond any real profile's size."""
    inflater = zlib.decompressobj()
    with contextlib.suppress(ValueError, zlib.error):
        icc = inflater.decompress(body[body.index(b"\0") + 2 :], MAX_ICC)
        return icc if inflater.eof else None
    return None


def _encoded(samples: np.ndarray, icc: bytes | None, wanted: Tags, texts: dict[str, str]) -> bytes:
    import imagecodecs

    rows: Any = filtered(samples)
    packed = memoryview(imagecodecs.deflate_encode(rows, level=LEVEL))
    del rows
    shape = (*samples.shape, 1)[:3]
    pieces: list[tuple[bytes, bytes | memoryview]] = [*_opening(shape, samples.itemsize, icc, wanted, texts)]
    pieces += [(b"IDAT", packed[start : start + LONGEST]) for start in range(0, len(packed), LONGEST)]
    pieces.append((b"IEND", b""))
    content = [part for name, body in pieces for part in chunk(name, body)]
    return b"".join([SIGNATURE, *content])


def _opening(
    shape: tuple[int, ...], itemsize: int, icc: bytes | None, wanted: Tags, texts: dict[str, str]
) -> list[tuple[bytes, bytes]]:
    """The chunks before the samples (H, W, C), of so many bytes each."""
    height, width, channels = shape
    pieces = [(b"IHDR", header(width, height, channels, itemsize))]
    pieces += [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    pieces += tags.to_chunks(wanted)
    return pieces + [(b"tEXt", f"{keyword}\0{value}".encode("ascii")) for keyword, value in texts.items()]


def _streamed(
    file: IO[bytes], rows: Rows, icc: bytes | None, wanted: Tags, texts: dict[str, str], threads: int
) -> None:
    file.write(SIGNATURE)
    for name, body in _opening(rows.shape, np.dtype(rows.depth).itemsize, icc, wanted, texts):
        file.writelines(chunk(name, body))
    for packed in packed_rows(rows, threads):
        file.writelines(chunk(b"IDAT", packed))
    file.writelines(chunk(b"IEND", b""))


PNG = Format(
    "PNG", (".png",), starts_with(SIGNATURE), _opened, _encoded, _streamed, ("uint8", "uint16"), max_side=1_000_000
)
