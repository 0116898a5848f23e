"""TIFF, by tifffile."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

import numpy as np

from texsynth.image import scratch
from texsynth.image.codecs import ink
from texsynth.image.codecs.base import (
    MAX_ICC,
    MAX_PIXELS,
    ORIENTATION,
    CodecError,
    Decoded,
    Format,
    Header,
    Opened,
    Rows,
    check_frames,
    resolution,
    size_of,
    starts_with,
    straight,
)
from texsynth.image.codecs.tags import Tags, to_rationals

ICC, INK_SET = 34675, 332  # tags
MINISWHITE, MINISBLACK, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
COLOURS = {SEPARATED: "CMYK", YCBCR: "YCbCr", 4: "mask", 8: "Lab", 9: "Lab", 10: "Lab", 32844: "LogL", 32845: "LogLuv"}
JPEGS = (7, 33007, 34892)
# Compressions that know no size of their own: none, three of fax, LZW, deflate twice, PackBits, LZMA and Zstandard.
PLAIN = (1, 2, 3, 4, 5, 8, 32946, 32773, 34925, 50000)
CMYK = 1  # the ink set that is not named by ink
SEGMENT_LISTS = (273, 279, 324, 325)  # tags of strips and tiles, which tifffile reads as a whole
MOST_SEGMENTS, SEGMENT_BYTES = 1 << 20, 200  # how many there may be, and what each takes
MOST_PAGES = 64
BLOCK = 1 << 24  # bytes that are read at a time
JPEG_HEAD = 1 << 16  # bytes of a JPEG in which its size stands
JPEG_BLOCK = 16  # pixels by which one may exceed its tile
TILE = 256  # pixels of a side of the tiles that are written
CLASSIC = (1 << 32) - (1 << 25)  # bytes of samples above which it is a BigTIFF: what does not shrink must fit, too


def _opened(handle: BinaryIO) -> Opened:
    import tifffile

    _check_directories(handle)
    handle.seek(0)
    tif = tifffile.TiffFile(handle)
    # Reduced copies and masks belong to a page; they are not pages of their own.
    pages: list[Any] = [page for page in cast("list[Any]", tif.pages) if not page.is_reduced and not page.is_mask]
    check_frames(len(pages), "multi-page TIFF")
    page: Any = pages[0]
    tile = page.tilewidth, page.tilelength * page.tiledepth
    if tile[0] * tile[1] > MAX_PIXELS:  # a tile is decoded whole
        raise CodecError(f"has tiles of {tile[0]}x{tile[1]}; at most {MAX_PIXELS} pixels are allowed, scale it down")
    _check(page)
    _check_segments(page, tif.filehandle)
    header = _header(page)

    def decode() -> Decoded:
        orientation, profile = (page.tags.valueof(code) for code in (ORIENTATION, ICC))
        icc = bytes(profile) if profile and len(profile) <= MAX_ICC else None
        samples = _by_rows(page) if header.in_rows else _samples(page)
        if page.photometric == SEPARATED:
            samples, icc = ink.to_rgb(samples, icc), None
        return Decoded(samples, icc, Tags(density=resolution(page.tags.valueof)), orientation)

    return Opened(header, decode)


def _check_directories(handle: BinaryIO) -> None:
    """CodecError for more pages, or more strips or tiles of one, than tifffile should be made to list."""
    size = size_of(handle)
    handle.seek(0)
    head = handle.read(16)
    order, large = "<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+")
    number, entry, link = ("Q", "HHQ8x", "Q") if large else ("H", "HHI4x", "I")
    (place,) = struct.unpack_from(order + link, head, 8 if large else 4)
    for count in range(MOST_PAGES + 1):
        if not place or place + 8 > size:  # where tifffile stops, too
            return
        handle.seek(place)
        (entries,) = struct.unpack(order + number, handle.read(struct.calcsize(order + number)))
        if entries > 4096 or count == MOST_PAGES:
            break
        body = handle.read(entries * struct.calcsize(order + entry))
        for code, _, values in struct.iter_unpack(order + entry, body):
            if code in SEGMENT_LISTS and values > MOST_SEGMENTS:
                raise CodecError(
                    f"TIFF of {values} strips or tiles; at most {MOST_SEGMENTS} are allowed; use larger ones"
                )
        (place,) = struct.unpack(order + link, handle.read(struct.calcsize(order + link)))
    raise CodecError(f"TIFF of more than {MOST_PAGES} pages, or damaged; one page is allowed, export the one you want")


def _header(page: Any) -> Header:
    """What a checked page needs: its samples as they are stored and as they come out, and what is decoded at once."""
    bits, name = page.bitspersample, str(page.dtype)
    depth = name if name in ("float16", "float32") else "uint16" if bits == 16 else "uint8"
    channels = 3 if page.photometric in (PALETTE, SEPARATED) else page.samplesperpixel
    pixels = page.imagewidth * page.imagelength
    stored = pixels * page.samplesperpixel * page.dtype.itemsize
    tile = page.tilewidth * page.tilelength * page.samplesperpixel * page.dtype.itemsize
    # Division by alpha is done in doubles, inks are mixed in 32 bits; a palette is looked up in 16.
    wide = {PALETTE: 12, SEPARATED: 48}.get(page.photometric, 0) + (24 * channels if 1 in page.extrasamples else 0)
    segments = len(page.databytecounts)
    working = stored + wide * pixels + 2 * tile + sum(page.databytecounts) + SEGMENT_BYTES * segments
    by_rows = 2 * tile + 2 * BLOCK + SEGMENT_BYTES * segments if _is_plain(page) else None
    return Header(page.imagewidth, page.imagelength * page.imagedepth, channels, depth, working, by_rows)


def _is_plain(page: Any) -> bool:
    """Are the samples of a page what it stores, so that they need not be there as a whole?"""
    plain = page.bitspersample >= 8 and 1 not in page.extrasamples
    plain = plain and page.photometric in (MINISBLACK, RGB, YCBCR)
    return plain and (not page.is_contiguous or (page.predictor == 1 and page.fillorder == 1))


def _check(page: Any) -> None:
    """CodecError for samples, colours, channels or a compression that are not supported."""
    bits, name, channels = page.bitspersample, str(page.dtype), page.samplesperpixel
    floating = name in ("float16", "float32") and bits in (16, 32)
    if not floating and not (name in ("bool", "uint8", "uint16") and bits in (1, 2, 4, 8, 16)):
        allowed = "1, 2, 4, 8 and 16-bit unsigned, float16 and float32"
        raise CodecError(f"TIFF with {bits}-bit {name} samples; allowed: {allowed}; convert it to those")
    if page.imagedepth != 1 or not 1 <= channels <= 4:
        raise CodecError(f"TIFF of {channels} channels, depth {page.imagedepth}; allowed: 1 to 4, depth 1")
    kinds = {MINISBLACK, RGB} if floating else {MINISWHITE, MINISBLACK, RGB}
    if page.compression in JPEGS:
        kinds.add(YCBCR)  # the JPEG decoder turns it into RGB
    elif channels == 4 and bits in (8, 16) and page.tags.valueof(INK_SET, default=CMYK) == CMYK and not floating:
        kinds.add(SEPARATED)
    if channels == 1 and not floating:
        kinds.add(PALETTE)
    if page.photometric not in kinds:
        kind = COLOURS.get(page.photometric, str(page.photometric))
        raise CodecError(f"TIFF with {kind} colour; allowed: grey, RGB, palette and plain CMYK; convert it to RGB")
    if page.compression not in (*PLAIN, *JPEGS):
        name = getattr(page.compression, "name", page.compression)
        raise CodecError(f"TIFF with compression {name}; allowed are none, LZW, deflate, JPEG and others; use one")


def _check_segments(page: Any, file: Any) -> None:
    """CodecError for strips or tiles that are missing, or hold a JPEG that is larger than they are."""
    segments, size = list(zip(page.dataoffsets, page.databytecounts, strict=True)), file.size
    # tifffile would fill missing strips or tiles with zeros.
    short = not page.is_contiguous and len(segments) < np.prod(page.chunked)
    if short or not segments or any(not o or not n or o + n > size for o, n in segments):
        raise CodecError("truncated TIFF, export or copy the file again (pixels are missing)")
    allowed = (page.tilewidth or page.imagewidth) + JPEG_BLOCK, (page.tilelength or page.rowsperstrip) + JPEG_BLOCK
    for offset, count in segments if page.compression in JPEGS else ():
        file.seek(offset)
        width, height = _jpeg_size(file.read(min(count, JPEG_HEAD)))
        if width > allowed[0] or height > allowed[1]:
            raise CodecError(f"damaged TIFF, export or copy the file again (it holds a JPEG of {width}x{height})")


def _jpeg_size(head: bytes) -> tuple[int, int]:
    """The width and height of a JPEG, by its frame header; (0, 0) without one."""
    place = 2
    while place + 9 <= len(head) and head[place] == 0xFF:
        marker = head[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, place + 5)
            return width, height
        place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
    return 0, 0


def _samples(page: Any) -> np.ndarray:
    """(H, W, C) samples of a checked page: palette looked up, bits spread to 8, alpha straight."""
    stored: np.ndarray = page.asarray(squeeze=False)  # (planes, 1, H, W, C)
    samples = stored[0, 0] if len(stored) == 1 else np.moveaxis(stored[:, 0, :, :, 0], 0, -1)
    if page.photometric == PALETTE:
        samples = np.moveaxis(_palette(page.colormap)[:, samples[..., 0]], 0, -1)
    elif page.bitspersample < 8:
        samples = samples.astype(np.uint8) * np.uint8(255 // (2**page.bitspersample - 1))
    if page.photometric == MINISWHITE:
        samples = samples.copy()
        samples[..., 0] = np.iinfo(samples.dtype).max - samples[..., 0]
    return straight(samples) if 1 in page.extrasamples and samples.shape[2] in (2, 4) else samples


def _by_rows(page: Any) -> np.ndarray:
    """(H, W, C) samples of a plain page, in scratch, of which there are only ever some in memory."""
    stored, waiting = scratch.empty(page.shaped, page.dtype), 0
    if page.is_contiguous:
        flat, file = stored.reshape(-1), page.parent.filehandle
        file.seek(page.dataoffsets[0])
        for start in range(0, flat.size, step := BLOCK // stored.itemsize):
            part = flat[start : start + step]
            part[...] = file.read_array(page.parent.byteorder + page.dtype.char, len(part))
            scratch.release(part)
    else:
        for values, (plane, depth, top, left, _), (_, height, width, _) in page.segments(
            maxworkers=1, buffersize=BLOCK
        ):
            part = stored[plane, depth, top : top + height, left : left + width]
            part[...] = page.nodata if values is None else values[0, : part.shape[0], : part.shape[1]]
            if (waiting := waiting + part.nbytes) > BLOCK:  # which is not quick for a single tile
                scratch.release(stored)
                waiting = 0
    return stored[0, 0] if len(stored) == 1 else np.moveaxis(stored[:, 0, :, :, 0], 0, -1)


def _palette(colours: np.ndarray) -> np.ndarray:
    """8-bit colours (3, N) of a palette, which is stored in 16 bits; some programs store bytes all the same."""
    return (colours if colours.max() < 256 else colours >> 8).astype(np.uint8)


def _encoded(samples: np.ndarray, icc: bytes | None, tags: Tags, _: dict[str, str]) -> bytes:
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, samples, **_options((*samples.shape, 1)[2], icc, tags))
    return out.getvalue()


def _streamed(file: IO[bytes], rows: Rows, icc: bytes | None, tags: Tags, _: dict[str, str], threads: int) -> None:
    import tifffile

    options = _options(rows.shape[2], icc, tags)
    options |= {"shape": rows.shape if rows.shape[2] > 1 else rows.shape[:2], "dtype": rows.depth}
    options |= {"tile": (TILE, TILE), "maxworkers": threads, "buffersize": TILE * rows.row_bytes}
    named = tifffile.FileHandle(file, name="picture.tif")  # since a temporary file may have none
    tifffile.imwrite(named, _tiles(rows), bigtiff=rows.nbytes > CLASSIC, **options)


def _tiles(rows: Rows) -> Iterator[np.ndarray]:
    """Tiles from left to right and from the top; those at the borders are smaller."""
    height, width, channels = rows.shape
    for top in range(0, height, TILE):
        samples = rows.draw(top, min(top + TILE, height))
        samples = samples[..., 0] if channels == 1 else samples
        for left in range(0, width, TILE):
            yield samples[:, left : left + TILE]


def _options(channels: int, icc: bytes | None, tags: Tags) -> dict[str, Any]:
    """What tifffile is told of samples of so many channels."""
    options: dict[str, Any] = {} if channels == 1 else {"planarconfig": "contig"}
    if channels in (2, 4):
        options["extrasamples"] = ("unassalpha",)
    colour = "rgb" if channels > 2 else "minisblack"
    options |= {"photometric": colour, "compression": "zlib", "predictor": True, "iccprofile": icc, "metadata": None}
    if tags.density is not None:
        options["resolution"], options["resolutionunit"] = to_rationals(tags.density)
    return options


TIFF = Format(
    "TIFF",
    (".tif", ".tiff"),
    starts_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    _opened,
    _encoded,
    _streamed,
    held=("uint8", "uint16", "float16", "float32"),
)
