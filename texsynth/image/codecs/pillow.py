"""JPEG, WebP, BMP and GIF, by Pillow."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np

from texsynth.image.codecs.base import (
    MAX_ICC,
    Decoded,
    Format,
    Header,
    Opened,
    check_frames,
    exif_orientation,
    size_of,
    starts_with,
)


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
    working = size_of(handle) + pixels * (9 if grey else 12)
    header = Header(picture.width, picture.height, (1 if grey else 3) + alpha, "uint8", working)

    def decode() -> Decoded:
        orientation = exif_orientation(picture.info.get("exif", b""))
        # A CMYK profile does not describe the RGB values that come out.
        icc = None if picture.mode == "CMYK" else picture.info.get("icc_profile")
        converted = picture.convert(("LA" if alpha else "L") if grey else ("RGBA" if alpha else "RGB"))
        samples = np.asarray(converted)
        fitting = icc if icc and len(icc) <= MAX_ICC else None
        return Decoded(samples.reshape(*samples.shape[:2], -1), fitting, orientation)

    return Opened(header, decode)


def _encoded(samples: np.ndarray, icc: bytes | None, name: str, **options: Any) -> bytes:
    from PIL import Image

    picture, out = Image.fromarray(samples), io.BytesIO()
    picture.save(out, name.upper(), icc_profile=icc, **options)
    return out.getvalue()


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


# Not the frames of a JPEG: phones append previews there.
JPEG = Format(
    "JPEG",
    (".jpg", ".jpeg"),
    starts_with(b"\xff\xd8\xff"),
    lambda handle: _opened(handle, "JPEG", frames=False),
    lambda samples, icc, _: _encoded(samples, icc, "JPEG", quality=95, subsampling=0),
    max_side=65_500,
)
WEBP = Format(
    "WebP",
    (".webp",),
    _is_webp,
    lambda handle: _opened(handle, "WebP", frames=True),
    # exact: keep the colour under transparent pixels
    lambda samples, icc, _: _encoded(samples, icc, "WebP", lossless=True, exact=True),
    max_side=16_383,
)
BMP = Format("BMP", (".bmp",), starts_with(b"BM"), lambda handle: _opened(handle, "BMP", frames=False))
GIF = Format("GIF", (".gif",), starts_with(b"GIF8"), lambda handle: _opened(handle, "GIF", frames=True))
