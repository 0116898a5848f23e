"""Picture files to arrays and arrays to file bytes; each format is described once, in a module of this package.

A file is opened first, which reads its header and no pixel; what it would need is known then, before it is decoded.
"""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import IO, BinaryIO

import numpy as np

from texsynth.errors import ExtraError, TexsynthError
from texsynth.image import scratch
from texsynth.image.codecs.avif import AVIF as AVIF
from texsynth.image.codecs.base import MAX_PIXELS as MAX_PIXELS
from texsynth.image.codecs.base import CodecError as CodecError
from texsynth.image.codecs.base import Decoded as Decoded
from texsynth.image.codecs.base import Format as Format
from texsynth.image.codecs.base import Header as Header
from texsynth.image.codecs.base import Opened as Opened
from texsynth.image.codecs.base import Rows as Rows
from texsynth.image.codecs.base import size_of as size_of
from texsynth.image.codecs.base import strict
from texsynth.image.codecs.exr import EXR as EXR
from texsynth.image.codecs.jpeg2000 import JPEG2000 as JPEG2000
from texsynth.image.codecs.netpbm import PNM as PNM
from texsynth.image.codecs.pillow import BMP as BMP
from texsynth.image.codecs.pillow import GIF as GIF
from texsynth.image.codecs.pillow import JPEG as JPEG
from texsynth.image.codecs.pillow import WEBP as WEBP
from texsynth.image.codecs.png import PNG as PNG
from texsynth.image.codecs.radiance import HDR as HDR
from texsynth.image.codecs.tags import Tags as Tags
from texsynth.image.codecs.targa import TGA as TGA
from texsynth.image.codecs.tiff import TIFF as TIFF

PLAIN = Tags()  # of a picture that says nothing
ROWS_AT_ONCE = 1 << 18  # pixels of rows that are looked at together: bounds the memory
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
FORMATS = (PNG, JPEG, WEBP, TIFF, BMP, GIF, TGA, AVIF, JPEG2000, PNM, HDR, EXR)


def check_installed(form: Format) -> None:
    """Raise ExtraError where what reads and writes a format is not installed."""
    if form.needs is not None and not is_installed(form):
        raise ExtraError(f"{form} needs the package {form.needs[0]}; pip install 'texsynth[{form.needs[1]}]'")


def is_installed(form: Format) -> bool:
    """Is what reads and writes a format there?"""
    return form.needs is None or importlib.util.find_spec(form.needs[0]) is not None


def sniff(head: bytes, suffix: str = "") -> Format | None:
    """The format of a file that starts with `head` (18 bytes are enough) and has this suffix, or None."""
    signed = (form for form in FORMATS if not form.by_suffix and form.recognises(head))
    named = (form for form in FORMATS if form.by_suffix and suffix.lower() in form.suffixes and form.recognises(head))
    return next(signed, None) or next(named, None)


def opened(handle: BinaryIO, form: Format) -> Opened:
    """The file `handle` of format `form` with its header read. Raises CodecError for anything damaged, too large or
    unsupported, MemoryError when it does not fit."""
    with _damaged(form):
        file = form.opened(handle)
    check_size(file.header.width, file.header.height, form)
    return file


def decode(file: Opened, form: Format) -> Decoded:
    """An opened file, decoded and turned upright by its orientation; raises as `opened` does."""
    with _damaged(form):
        decoded = file.decode()
    if decoded.samples.dtype.kind == "f" and not _all_finite(decoded.samples):
        raise CodecError("holds NaN or infinite values; only finite values are allowed, replace them")
    tags = decoded.tags
    if (stored := tags.density) is not None and decoded.orientation in SIDEWAYS:
        tags = replace(tags, density=replace(stored, x=stored.y, y=stored.x))
    return replace(decoded, samples=_upright(decoded.samples, decoded.orientation), tags=tags)


def encode(form: Format, samples: np.ndarray, icc: bytes | None, text: dict[str, str], tags: Tags = PLAIN) -> bytes:
    """File bytes for `samples`, in a depth and channel count that `form` holds, with as much of `tags` as it holds, and
    ASCII `text` for PNG only; raises CodecError."""
    if form.encoded is None:
        raise CodecError(f"{form} is not written, try another format")
    samples = samples[..., 0] if samples.shape[2] == 1 else samples
    with strict(f"{form} encoder failed, try another format"):
        return form.encoded(samples, icc, tags, text)


def stream(
    form: Format, file: IO[bytes], rows: Rows, icc: bytes | None, text: dict[str, str], tags: Tags, threads: int
) -> None:
    """Write what `encode` returns to an open file, as the rows come, with so many threads: the same picture, in other
    bytes. Raises CodecError, and whatever the file and the rows raise."""
    if form.streamed is None:
        raise CodecError(f"{form} is not written by rows, try another format")
    with strict(f"{form} encoder failed, try another format", passed=(OSError, TexsynthError)):
        form.streamed(file, rows, icc, tags, text, threads)


def _all_finite(samples: np.ndarray) -> bool:
    """Is no sample NaN or infinite? By some rows at a time, as there may be many."""
    step = max(1, ROWS_AT_ONCE // samples.shape[1])
    for top in range(0, len(samples), step):
        if not np.isfinite(samples[top : top + step]).all():
            return False
        scratch.release(samples[top : top + step])
    return True


def _damaged(form: Format) -> AbstractContextManager[None]:
    return strict(f"damaged or truncated {form}, export or copy the file again", passed=(TexsynthError,))


def check_size(width: int, height: int, form: Format) -> None:
    """CodecError for a picture that is larger than is allowed, or than `form` can be."""
    if width * height > MAX_PIXELS:
        raise CodecError(f"is {width}x{height}; at most {MAX_PIXELS} pixels are allowed, scale it down")
    if max(width, height) > form.max_side:
        raise CodecError(f"is {width}x{height}; {form} can have at most {form.max_side} pixels per side, use TIFF")


def _upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation to (H, W, C); values other than 2..8 leave it as it is."""
    if orientation in SIDEWAYS:
        samples = samples.swapaxes(0, 1)
    return samples[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]
