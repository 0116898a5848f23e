"""TIFF, by tifffile."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

import numpy as np

from texsynth.image.codecs.base import (
    MAX_ICC,
    MAX_PIXELS,
    ORIENTATION,
    CodecError,
    Decoded,
    Format,
    Header,
    Opened,
    check_frames,
    resolution,
    starts_with,
    straight,
)
from texsynth.image.codecs.tags import Tags, to_rationals

ICC = 34675  # its tag
MINISWHITE, MINISBLACK, RGB, PALETTE, YCBCR, JPEG_COMPRESSED = 0, 1, 2, 3, 6, 7


def _opened(handle: BinaryIO) -> Opened:
    import tifffile

    tif = tifffile.TiffFile(handle)
    # Reduced copies and masks belong to a page; they are not pages of their own.
    pages: list[Any] = [page for page in cast("list[Any]", tif.pages) if not page.is_reduced and not page.is_mask]
    check_frames(len(pages), "multi-page TIFF")
    page: Any = pages[0]
    tile = page.tilewidth, page.tilelength * page.tiledepth
    if tile[0] * tile[1] > MAX_PIXELS:  # a tile is decoded whole
        raise CodecError(f"has tiles of {tile[0]}x{tile[1]}; at most {MAX_PIXELS} pixels are allowed, scale it down")
    _check(page, tif.filehandle.size)
    header = _header(page)

    def decode() -> Decoded:
        orientation, icc = (page.tags.valueof(code) for code in (ORIENTATION, ICC))
        fitting = bytes(icc) if icc and len(icc) <= MAX_ICC else None
        return Decoded(_samples(page), fitting, Tags(density=resolution(page.tags.valueof)), orientation)

    return Opened(header, decode)


def _header(page: Any) -> Header:
    """What a checked page needs: its samples as they are stored and as they come out, and what is decoded at once."""
    bits, name = page.bitspersample, str(page.dtype)
    depth = name if name in ("float16", "float32") else "uint16" if bits == 16 else "uint8"
    channels = 3 if page.photometric == PALETTE else page.samplesperpixel
    pixels = page.imagewidth * page.imagelength
    stored = pixels * page.samplesperpixel * page.dtype.itemsize
    tile = page.tilewidth * page.tilelength * page.samplesperpixel * page.dtype.itemsize
    # Division by alpha is done in doubles; a palette is looked up in 16 bits.
    further = 24 * pixels * channels if 1 in page.extrasamples else 6 * pixels if page.photometric == PALETTE else 0
    working = stored + further + 2 * tile + max(page.databytecounts, default=0)
    return Header(page.imagewidth, page.imagelength * page.imagedepth, channels, depth, working)


def _check(page: Any, size: int) -> None:
    """CodecError for samples, colours or channels that are not supported, or strips beyond `size` bytes."""
    bits, name, channels = page.bitspersample, str(page.dtype), page.samplesperpixel
    floating = name in ("float16", "float32") and bits in (16, 32)
    if not floating and not (name in ("bool", "uint8", "uint16") and bits in (1, 2, 4, 8, 16)):
        allowed = "1, 2, 4, 8 and 16-bit unsigned, float16 and float32"
        raise CodecError(f"TIFF with {bits}-bit {name} samples; allowed: {allowed}; convert it to those")
    if page.imagedepth != 1 or not 1 <= channels <= 4:
        raise CodecError(f"TIFF of {channels} channels, depth {page.imagedepth}; allowed: 1 to 4, depth 1")
    kinds = {MINISBLACK, RGB} if floating else {MINISWHITE, MINISBLACK, RGB}
    if page.compression == JPEG_COMPRESSED:
        kinds.add(YCBCR)  # the JPEG decoder turns it into RGB
    if channels == 1 and bits <= 8:
        kinds.add(PALETTE)
    if page.photometric not in kinds:
        kind = getattr(page.photometric, "name", page.photometric)
        raise CodecError(f"TIFF with {kind} colour; allowed: grey, RGB and 8-bit palette; convert it to RGB")
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    # tifffile would fill missing strips or tiles with zeros.
    short = not page.is_contiguous and len(segments) < np.prod(page.chunked)
    if short or not segments or any(not o or not n or o + n > size for o, n in segments):
        raise CodecError("truncated TIFF, export or copy the file again (pixels are missing)")


def _samples(page: Any) -> np.ndarray:
    """(H, W, C) samples of a checked page: palette looked up, bits spread to 8, alpha straight."""
    stored: np.ndarray = page.asarray(squeeze=False)  # (planes, 1, H, W, C)
    samples = stored[0, 0] if len(stored) == 1 else np.moveaxis(stored[:, 0, :, :, 0], 0, -1)
    if page.photometric == PALETTE:
        samples = np.moveaxis(page.colormap[:, samples[..., 0]] >> 8, 0, -1).astype(np.uint8)
    elif page.bitspersample < 8:
        samples = samples.astype(np.uint8) * np.uint8(255 // (2**page.bitspersample - 1))
    if page.photometric == MINISWHITE:
        samples = samples.copy()
        samples[..., 0] = np.iinfo(samples.dtype).max - samples[..., 0]
    return straight(samples) if 1 in page.extrasamples and samples.shape[2] in (2, 4) else samples


def _encoded(samples: np.ndarray, icc: bytes | None, tags: Tags, _: dict[str, str]) -> bytes:
    import tifffile

    options: dict[str, Any] = {"planarconfig": "contig"} if samples.ndim == 3 else {}
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        options["extrasamples"] = ("unassalpha",)
    colour, out = "rgb" if samples.shape[2:] > (2,) else "minisblack", io.BytesIO()
    options |= {"photometric": colour, "compression": "zlib", "predictor": True, "iccprofile": icc}
    if tags.density is not None:
        options["resolution"], options["resolutionunit"] = to_rationals(tags.density)
    tifffile.imwrite(out, samples, metadata=None, **options)
    return out.getvalue()


TIFF = Format(
    "TIFF",
    (".tif", ".tiff"),
    starts_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    _opened,
    _encoded,
    held=("uint8", "uint16", "float16", "float32"),
)
