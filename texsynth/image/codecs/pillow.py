"""JPEG, WebP, BMP and GIF, by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from texsynth.image.codecs import ink
from texsynth.image.codecs.base import (
    MAX_ICC,
    Decoded,
    Format,
    Header,
    Opened,
    check_frames,
    gathered,
    read_exif,
    size_of,
    starts_with,
)
from texsynth.image.codecs.tags import CENTIMETRE, INCH, Density, Tags, density, to_inches

BLOCK = 1 << 22  # bytes of rows that are copied at a time
BMP_INCHES = 39.3701  # to the metre, as Pillow has it


def _opened(handle: BinaryIO, name: str, frames: bool) -> Opened:
    """A file of the format called `name`; `frames` says whether more than one of them are an animation."""
    from PIL import Image

    picture = Image.open(handle, formats=[name.upper()])
    if frames:
        check_frames(getattr(picture, "n_frames", 1), f"animated {name}")
    grey = picture.mode in ("1", "L", "LA")
    alpha = picture.has_transparency_data
    pixels = picture.width * picture.height
    # Pillow holds up to four bytes a pixel, twice while it converts, and copies rows to the array.
    bytes_a_pixel = 60 if picture.mode == "CMYK" else 9 if grey else 12
    bytes_a_pixel += 6 if picture.info.get("progressive") else 0  # coefficients of all of a JPEG
    working = size_of(handle) + pixels * bytes_a_pixel
    mode = ("LA" if alpha else "L") if grey else ("RGBA" if alpha else "RGB")
    # By rows it holds what it has decoded, and some of them.
    held = (1 if mode == "L" else 4) + (6 if picture.info.get("progressive") else 0)
    by_rows = size_of(handle) + pixels * held + 3 * BLOCK if picture.mode == mode else None
    header = Header(picture.width, picture.height, (1 if grey else 3) + alpha, "uint8", working, by_rows)

    def decode() -> Decoded:
        orientation, resolution = read_exif(picture.info.get("exif", b""))
        icc = picture.info.get("icc_profile")
        icc = icc if icc and len(icc) <= MAX_ICC else None
        tags = Tags(density=_density(picture) or resolution)
        if picture.mode == "CMYK":
            return Decoded(ink.to_rgb(np.asarray(picture), icc), None, tags, orientation)
        if header.in_rows:
            samples = gathered((header.height, header.width, header.channels), "uint8", _rows(picture, header.channels))
            return Decoded(samples, icc, tags, orientation)
        samples = np.asarray(picture if picture.mode == mode else picture.convert(mode))
        return Decoded(samples.reshape(*samples.shape[:2], -1), icc, tags, orientation)

    return Opened(header, decode)


def _rows(picture: Any, channels: int) -> Iterator[np.ndarray]:
    """The rows of a decoded picture, some at a time."""
    step = max(1, BLOCK // (picture.width * channels))
    for top in range(0, picture.height, step):
        part = np.asarray(picture.crop((0, top, picture.width, min(top + step, picture.height))))
        yield part.reshape(len(part), picture.width, channels)


def _density(picture: Any) -> Density | None:
    """The resolution that a format keeps outside EXIF."""
    if "jfif_density" in picture.info:
        x, y = picture.info["jfif_density"]
        return density(x, y, {1: INCH, 2: CENTIMETRE}.get(picture.info.get("jfif_unit")))
    if picture.format == "BMP" and "dpi" in picture.info:  # stored to the metre
        x, y = (round(value * BMP_INCHES) for value in picture.info["dpi"])
        return density(x, y, Fraction(1))
    return None


def _encoded(samples: np.ndarray, icc: bytes | None, name: str, **options: Any) -> bytes:
    from PIL import Image

    picture, out = Image.fromarray(samples), io.BytesIO()
    picture.save(out, name.upper(), icc_profile=icc, **options)
    return out.getvalue()


def _encoded_jpeg(samples: np.ndarray, icc: bytes | None, tags: Tags, _: dict[str, str]) -> bytes:
    inches = to_inches(tags.density) if tags.density is not None else None
    options: dict[str, Any] = {} if inches is None else {"dpi": inches}
    return _encoded(samples, icc, "JPEG", quality=95, subsampling=0, **options)


def _opened_webp(handle: BinaryIO) -> Opened:
    """Pillow would make room for the whole picture when it opens one, so its header is read here."""
    handle.seek(0)
    head = handle.read(30)
    kind = head[12:16]
    if kind == b"VP8X":
        alpha = bool(head[20] & 0x10)
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        sides = int.from_bytes(head[21:25], "little")
        width, height, alpha = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF), bool(sides >> 28 & 1)
    else:
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        alpha = False
    # Two canvases of four bytes a pixel beside what any format takes.
    header = Header(width, height, 3 + alpha, "uint8", size_of(handle) + 20 * width * height)

    def decode() -> Decoded:
        handle.seek(0)
        return _opened(handle, "WebP", frames=True).decode()

    return Opened(header, decode)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


# Not the frames of a JPEG: phones append previews there.
JPEG = Format(
    "JPEG",
    (".jpg", ".jpeg"),
    starts_with(b"\xff\xd8\xff"),
    lambda handle: _opened(handle, "JPEG", frames=False),
    _encoded_jpeg,
    has_alpha=False,
    max_side=65_500,
)
WEBP = Format(
    "WebP",
    (".webp",),
    _is_webp,
    _opened_webp,
    # exact: keep the colour under transparent pixels
    lambda samples, icc, _, __: _encoded(samples, icc, "WebP", lossless=True, exact=True),
    max_side=16_383,
)
BMP = Format("BMP", (".bmp",), starts_with(b"BM"), lambda handle: _opened(handle, "BMP", frames=False))
GIF = Format("GIF", (".gif",), starts_with(b"GIF8"), lambda handle: _opened(handle, "GIF", frames=True))
