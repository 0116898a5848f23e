"""What all formats share: how a file is described before its pixels are decoded, and the strictness of the libraries.

Samples are arrays (H, W, C): 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha, with straight (not premultiplied) alpha,
in uint8, uint16, float16 or float32.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO, Any, BinaryIO, TypeAlias

import numpy as np

from texsynth.image import scratch
from texsynth.image.codecs.tags import CENTIMETRE, INCH, Density, Tags, density

MAX_PIXELS = 2**28
MAX_ICC = 2**24  # bytes, beyond any real profile
# Tags of EXIF and TIFF
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
UNITS: dict[Any, Fraction | None] = {1: None, 2: INCH, 3: CENTIMETRE}  # by the number of RESOLUTION_UNIT
_SILENT = logging.Filter("no logger has this name")
_library_lock = threading.RLock()


class CodecError(Exception):
    """Why a file cannot be decoded or encoded: one line that does not name the file."""


@dataclass(frozen=True)
class Header:
    """What a file says of its picture before any pixel is decoded.

    channels, depth: Those of the samples that come out; depth is the name of their type.
    working: The bytes that the decoder holds at its peak, beside these samples.
    by_rows: The same where it makes them some rows at a time, as it can for a large picture; None where it cannot.
    """

    width: int
    height: int
    channels: int
    depth: str
    working: int
    by_rows: int | None = None

    @property
    def in_rows(self) -> bool:
        """Are the samples made some rows at a time, and mapped from scratch?"""
        return self.by_rows is not None and scratch.is_large(self.samples)

    @property
    def samples(self) -> int:
        """The bytes of the samples."""
        return self.width * self.height * self.channels * np.dtype(self.depth).itemsize


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    samples: As it stores them, before `orientation` (of EXIF) is applied.
    icc: The ICC profile, or None.
    tags: What else it says of colours, and of resolution.
    depth: The depth of files that are made of them, where it is not that of the samples.
    remark: What was chosen, where a file left a choice.
    """

    samples: np.ndarray
    icc: bytes | None = None
    tags: Tags = field(default_factory=Tags)
    orientation: int = 1
    depth: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Opened:
    """A file whose header was read: `decode` reads the pixels, as long as the file is open."""

    header: Header
    decode: Callable[[], Decoded]


@dataclass(frozen=True)
class Rows:
    """The samples of a picture as they come, some rows at a time from its top.

    shape: (H, W, C).
    draw: Gives the rows from one to before another, (rows, W, C), in `depth`; each is asked for once, in their order.
    """

    shape: tuple[int, int, int]
    depth: str
    draw: Callable[[int, int], np.ndarray]

    @property
    def nbytes(self) -> int:
        """The bytes of all samples."""
        return self.shape[0] * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """The bytes of the samples of a row."""
        return self.shape[1] * self.shape[2] * np.dtype(self.depth).itemsize


Encoder: TypeAlias = "Callable[[np.ndarray, bytes | None, Tags, dict[str, str]], bytes]"
Streamer: TypeAlias = "Callable[[IO[bytes], Rows, bytes | None, Tags, dict[str, str], int], None]"


@dataclass(frozen=True)
class Format:
    """A file format.

    suffixes: Those of its files, in lower case.
    recognises: Do these first bytes of a file belong to the format?
    opened: Reads the header; raises CodecError for what is damaged or not supported.
    encoded: File bytes of (H, W) or (H, W, C) samples, an ICC profile, tags and ASCII texts, of which it takes what it
        can hold; None where files are only read.
    streamed: Writes rows to a file as they come, with all else as for `encoded`, by so many threads; None where the
        samples must be there as a whole.
    held: The depths that are written.
    deepened: Others that are written as these, which hold all their values.
    has_alpha: Does it hold alpha?
    has_profile: Does it hold ICC profiles?
    is_premultiplied: Are its colours multiplied by alpha?
    is_linear: Are its colours taken as linear?
    needs: The module that reads and writes it, and the extra that brings this; None where it is always there.
    loss: What it does to all pictures, for a notice; "" for nothing.
    max_side: The longest side, in pixels, that the format or its library can hold.
    by_suffix: Is it `recognises` and the suffix together that tell its files, because they have no signature?
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    opened: Callable[[BinaryIO], Opened]
    encoded: Encoder | None = None
    streamed: Streamer | None = None
    held: tuple[str, ...] = ("uint8",)
    deepened: Mapping[str, str] = field(default_factory=dict)
    has_alpha: bool = True
    has_profile: bool = True
    is_premultiplied: bool = False
    is_linear: bool = False
    needs: tuple[str, str] | None = None
    loss: str = ""
    max_side: int = MAX_PIXELS
    by_suffix: bool = False

    def __str__(self) -> str:
        return self.name


def gathered(shape: tuple[int, int, int], depth: str, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Samples (H, W, C) that come some rows at a time; in scratch where they are large."""
    samples, top = scratch.empty(shape, depth), 0
    for part in parts:
        bottom = top + len(part)
        samples[top:bottom] = part
        scratch.release(samples[top:bottom])
        top = bottom
    return samples


def starts_with(*signatures: bytes) -> Callable[[bytes], bool]:
    """Does a file start with one of these?"""
    return lambda head: head.startswith(signatures)


@contextlib.contextmanager
def strict(problem: str, passed: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Keep the libraries silent and strict, one thread at a time as that is global; what they raise is CodecError, but
    for what is `passed` on as it is."""
    from PIL import Image, ImageFile

    loggers = [logging.getLogger(name) for name in ("tifffile", "imagecodecs")]
    with _library_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        # Pillow's own limit is below MAX_PIXELS; sizes are checked before any pixel is decoded.
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        for logger in loggers:
            logger.addFilter(_SILENT)
        try:
            yield
        except (CodecError, MemoryError):
            raise
        except Exception as exc:  # each library has its own types; to the user they all mean the same
            if isinstance(exc, passed):
                raise
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise CodecError(f"{problem} ({reason})") from exc
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, truncated
            for logger in loggers:
                logger.removeFilter(_SILENT)


def check_frames(count: int, kind: str) -> None:
    """CodecError for more frames than one."""
    if count > 1:
        raise CodecError(f"{kind} with {count} frames; one is allowed, export the frame you want as PNG")


def read_exif(block: bytes) -> tuple[int, Density | None]:
    """Orientation and resolution in an EXIF block; 1 and None when absent or damaged, which is no reason to refuse the
    pixels."""
    from PIL import Image

    exif, tags = Image.Exif(), {}
    with contextlib.suppress(Exception):
        exif.load(block)
        tags = {code: exif.get(code) for code in (ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)}
    orientation = tags.get(ORIENTATION)
    return orientation if isinstance(orientation, int) else 1, resolution(tags.get)


def resolution(value: Callable[[int], Any]) -> Density | None:
    """The resolution by the tags of EXIF or TIFF, whose unit is the inch unless another is named."""
    unit = value(RESOLUTION_UNIT)
    try:
        unit = UNITS[2 if unit is None else unit]
    except (KeyError, TypeError):
        return None
    return density(value(X_RESOLUTION), value(Y_RESOLUTION), unit)


def size_of(handle: BinaryIO) -> int:
    """The bytes of a file."""
    position = handle.tell()
    size = handle.seek(0, 2)
    handle.seek(position)
    return size


def straight(samples: np.ndarray) -> np.ndarray:
    """Divide the colour by the alpha it was multiplied with; colour under zero alpha becomes 0."""
    top = np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1
    alpha = samples[..., -1:].astype(np.float64)
    colour = samples[..., :-1] * np.float64(top)
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    if samples.dtype.kind == "u":
        colour = np.rint(np.minimum(colour, top))
    return np.concatenate([colour, alpha], axis=-1).astype(samples.dtype)


def spread(values: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers of 1 to 16 bits as uint8 or uint16, the highest as the highest."""
    return scaled(values, 2**bits - 1)


def scaled(values: np.ndarray, top: int) -> np.ndarray:
    """Whole numbers from 0 to `top` as uint8, or above 255 as uint16, the highest as the highest; CodecError for
    numbers beyond."""
    depth = np.dtype(np.uint8 if top < 256 else np.uint16)
    if values.max() > top or values.min() < 0:
        raise CodecError(f"damaged picture file, export or copy it again (a value is beyond {top})")
    full = int(np.iinfo(depth).max)
    if top == full:
        return values.astype(depth, copy=False)
    table = np.rint(np.arange(top + 1) * (full / top)).astype(depth)  # which takes less memory than a division
    widened: np.ndarray = table[values]
    return widened
