"""Picture files made by hand, and the checks of messages about them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from texsynth.errors import InputError, TexsynthError
from texsynth.image import picture as image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]
DEPTHS = ["uint8", "uint16", "float16", "float32"]


def noise(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    """Random samples: all levels for integers, values on both sides of [0, 1] for floats."""
    rng = np.random.default_rng(7)
    if dtype.startswith("uint"):
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    values = rng.normal(0.5, 3, shape)
    if shape[-1] in (2, 4):
        values[..., -1] = rng.uniform(0, 1, shape[:-1])
    return values.astype(dtype)


def saved(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG made by hand: `rows` are unfiltered scan lines, each behind its filter byte."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refused(
    path: Path,
    *words: str,
    kind: type[TexsynthError] = InputError,
    attempt: Callable[[Path], object] = image.read,
) -> None:
    """Check that `attempt` (reading) of `path` is refused in one line with its name and all `words`."""
    with pytest.raises(kind) as caught:
        attempt(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path.name}: ")
    for word in words:
        assert word in message


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.endswith(".part"))


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that fails with this error, whatever it gets."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def array_of(path: Path) -> np.ndarray:
    """The samples of a picture file, in its own depth."""
    return image.to_array(image.read(path))
