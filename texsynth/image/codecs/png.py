"""PNG. All depths are decoded by libpng, because Pillow reads 16-bit RGB as 8-bit. They are compressed by libdeflate,
in a third of the time that libpng takes, and no worse."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
    read_exif,
    size_of,
    starts_with,
)
from texsynth.image.codecs.tags import Tags

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
WRITTEN = {1: 0, 2: 4, 3: 2, 4: 6}  # the kind of colour by the number of channels
LEVEL = 6  # of compression: files as small as those of libpng
FAST_LEVEL = 3  # of zlib, by rows: as fast as the other, and files 1 to 4 percent larger
PIECE, AT_ONCE = 1 << 20, 1 << 22  # bytes that are compressed by one thread, and of the rows that are drawn at once
ADLER = 65521  # the greatest prime number of 16 bits, by which Adler-32 counts
WINDOW = 1 << 15  # bytes before a piece that its compression looks back on
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
    shape = (*samples.shape, 1)[:3]
    pieces: list[tuple[bytes, bytes | memoryview]] = [*_opening(shape, samples.itemsize, icc, wanted, texts)]
    pieces += [(b"IDAT", packed[start : start + LONGEST]) for start in range(0, len(packed), LONGEST)]
    pieces.append((b"IEND", b""))
    content = [part for name, body in pieces for part in _chunk(name, body)]
    return b"".join([SIGNATURE, *content])


def _opening(
    shape: tuple[int, ...], itemsize: int, icc: bytes | None, wanted: Tags, texts: dict[str, str]
) -> list[tuple[bytes, bytes]]:
    """The chunks before the samples (H, W, C), of so many bytes each."""
    height, width, channels = shape
    pieces = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * itemsize, WRITTEN[channels], 0, 0, 0))]
    pieces += [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    pieces += tags.to_chunks(wanted)
    return pieces + [(b"tEXt", f"{keyword}\0{value}".encode("ascii")) for keyword, value in texts.items()]


def _chunk(name: bytes, body: bytes | memoryview) -> tuple[bytes, bytes | memoryview, bytes]:
    """The parts of a chunk, with its length and its checksum."""
    return struct.pack(">I", len(body)) + name, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def _streamed(
    file: IO[bytes], rows: Rows, icc: bytes | None, wanted: Tags, texts: dict[str, str], threads: int
) -> None:
    file.write(SIGNATURE)
    for name, body in _opening(rows.shape, np.dtype(rows.depth).itemsize, icc, wanted, texts):
        file.writelines(_chunk(name, body))
    for packed in _packed(rows, threads):
        file.writelines(_chunk(b"IDAT", packed))
    file.writelines(_chunk(b"IEND", b""))


def _packed(rows: Rows, threads: int) -> Iterator[bytes]:
    """Filtered rows as one zlib stream, in pieces that are compressed side by side, as pigz does it: each begins where
    a byte begins, and knows the bytes before it. Their borders lie at the same rows for any number of threads."""
    height, line = rows.shape[0], 1 + rows.row_bytes
    count, lead = max(1, PIECE // line), 1 + -(-WINDOW // line)
    step = count * max(1, AT_ONCE // (count * line))
    before = np.empty((0, *rows.shape[1:]), rows.depth)
    waiting: list[Future[tuple[bytes, int, int]]] = []
    checksum = 1
    yield b"\x78\x9c"
    with ThreadPoolExecutor(threads) as pool:
        for top in range(0, height + step, step):  # a step behind, so that rows are drawn while others are packed
            done, waiting = waiting, []
            if top < height:
                block = np.concatenate([before, rows.draw(top, min(top + step, height))])
                end = top - len(before) + len(block)
                for at in range(len(before), len(block), count):
                    part, final = block[max(0, at - lead) : at + count], end == height and at + count >= len(block)
                    waiting.append(pool.submit(_piece, part, min(at, lead), lead - 1, final))
                before = block[-lead:].copy()
            for packed, size, sum_ in (each.result() for each in done):
                checksum = _joined(checksum, sum_, size)
                yield packed
    yield checksum.to_bytes(4, "big")


def _piece(samples: np.ndarray, lead: int, window: int, final: bool) -> tuple[bytes, int, int]:
    """Rows compressed, the bytes that they were, and the Adler-32 of those; after `lead` rows that are there for the
    filter, and of which the last, `window` at most, are looked back on. Is it the final piece?"""
    filtered = _filtered(samples[..., 0] if samples.shape[2] == 1 else samples)
    behind, rest = filtered[max(0, lead - window) : lead].tobytes()[-WINDOW:], filtered[lead:].data
    squeezer = zlib.compressobj(FAST_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=behind)
    packed = squeezer.compress(rest) + squeezer.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)
    return packed, rest.nbytes, zlib.adler32(rest)


def _joined(first: int, second: int, size: int) -> int:
    """The Adler-32 of bytes by those of its two parts, of which the second has `size` (zlib, adler32_combine)."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + ((first & 0xFFFF) - 1) * size
    return high % ADLER << 16 | low % ADLER


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


PNG = Format("PNG", (".png",), starts_with(SIGNATURE), _opened, _encoded, _streamed, ("uint8", "uint16"), 1_000_000)
