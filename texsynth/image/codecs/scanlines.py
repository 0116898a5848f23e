"""The rows of a PNG as its stream holds them: filtered and compressed, a few at a time."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from texsynth.image.codecs.base import CodecError, Rows

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # the kind of colour by the number of channels
FAST_LEVEL = 3  # of zlib, by rows: as fast as libdeflate's 6, and files 1 to 4 percent larger
PIECE, AT_ONCE = 1 << 20, 1 << 22  # bytes that are compressed by one thread, and of the rows that are there at once
ADLER = 65521  # the greatest prime number of 16 bits, by which Adler-32 counts
WINDOW = 1 << 15  # bytes before a piece that its compression looks back on
FILTERED = 1 << 18  # bytes that are filtered at once, so that they stay in the processor's cache


def header(width: int, height: int, channels: int, itemsize: int) -> bytes:
    """The body of the chunk IHDR, for samples of 1 or 2 bytes."""
    return struct.pack(">IIBBBBB", width, height, 8 * itemsize, COLOURS[channels], 0, 0, 0)


def chunk(name: bytes, body: bytes | memoryview) -> tuple[bytes, bytes | memoryview, bytes]:
    """The parts of a chunk, with its length and its checksum."""
    return struct.pack(">I", len(body)) + name, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def packed_rows(rows: Rows, threads: int) -> Iterator[bytes]:
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
    lines = filtered(samples[..., 0] if samples.shape[2] == 1 else samples)
    behind, rest = lines[max(0, lead - window) : lead].tobytes()[-WINDOW:], lines[lead:].data
    squeezer = zlib.compressobj(FAST_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=behind)
    packed = squeezer.compress(rest) + squeezer.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)
    return packed, rest.nbytes, zlib.adler32(rest)


def _joined(first: int, second: int, size: int) -> int:
    """The Adler-32 of bytes by those of its two parts, of which the second has `size` (zlib, adler32_combine)."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + ((first & 0xFFFF) - 1) * size
    return high % ADLER << 16 | low % ADLER


def filtered(samples: np.ndarray) -> np.ndarray:
    """The rows (H, 1 + bytes of a row) as they are compressed: each begins with the number of its filter, by which
    0 nothing, 1 the byte to the left, 2 the one above or 3 the mean of the two has been taken from each byte.

    Each row has the filter that leaves the least sum of bytes as they are signed, after the PNG specification (section
    12.7). The fifth filter is left out: it takes longer than all others, and textures do not get smaller by it.
    """
    height, step = len(samples), samples[0, 0].nbytes
    big = np.ascontiguousarray(samples, samples.dtype.newbyteorder(">"))
    rows = big.reshape(height, -1).view(np.uint8)
    lines = np.empty((height, 1 + rows.shape[1]), np.uint8)
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
        lines[start : start + block, 0] = best
        for number, choice in enumerate(choices):
            lines[start : start + block, 1:][best == number] = choice[best == number]
    return lines


def unpacked_rows(stored: Iterator[bytes], shape: tuple[int, int, int], itemsize: int) -> Iterator[np.ndarray]:
    """Some rows after another of samples (H, W, C) of 1 or 2 bytes, by the blocks of their stream; CodecError for a
    stream that ends too early, zlib.error for a damaged one.

    The rows are taken out of the stream, and libpng undoes their filters: they are given to it as a PNG of their own,
    below the row before them.
    """
    height, width, channels = shape
    line, above, inflater, block = 1 + width * channels * itemsize, b"", zlib.decompressobj(), b""
    count = max(1, AT_ONCE // line)
    for top in range(0, height, count):
        rows, parts = min(count, height - top), [above]
        need = rows * line
        while need:
            fresh = b"" if block else next(stored, b"")
            part = inflater.decompress(block or fresh, need)
            if not (part or block or fresh):
                raise CodecError("truncated PNG, export or copy the file again (rows are missing)")
            block, need = inflater.unconsumed_tail, need - len(part)
            parts.append(part)
        samples = _unfiltered(parts, (rows + bool(above), width, channels), itemsize)[bool(above) :]
        above = b"\0" + samples[-1].astype(f">u{itemsize}").tobytes()
        yield samples
    for rest in itertools.chain([block], stored):  # to its end, where the checksums are
        if not inflater.eof:
            inflater.decompress(rest, 1)


def _unfiltered(lines: list[bytes], shape: tuple[int, int, int], itemsize: int) -> np.ndarray:
    """Samples of a picture by its filtered rows."""
    import imagecodecs

    height, width, channels = shape
    squeezer = zlib.compressobj(0)
    bodies = [squeezer.compress(part) for part in lines] + [squeezer.flush()]
    pieces = [(b"IHDR", header(width, height, channels, itemsize)), (b"IDAT", b"".join(bodies)), (b"IEND", b"")]
    content = b"".join([SIGNATURE, *(part for name, body in pieces for part in chunk(name, body))])
    return np.asarray(imagecodecs.png_decode(content)).reshape(shape)
