"""The words of the command line and of the Python API, read into plain values; UsageError otherwise."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch

from texsynth.errors import LONGEST_VALUE, ResourceError, UsageError, one_line, shown
from texsynth.image import rows, scratch
from texsynth.requests.machine import check_device
from texsynth.requests.machine import memory as memory

SMALLEST = 8  # pixels a side, of an output or a crop
LARGEST = 100_000_000  # pixels a side, of an output
LONGEST_WORD = 60  # characters of a size or an amount; longer ones are no such words
NUMBER = r"\d+\.?\d*|\.\d+"
TILES = {"none": (False, False), "x": (False, True), "y": (True, False), "xy": (True, True)}
PROCESS = 700 << 20  # bytes, about, of Python with PyTorch and what both load when they begin to work
SMALL_INPUTS = 128 << 20  # bytes
MASKS = 8  # bytes of a pixel of a large picture, for what is held of all of it while it is checked


def size(value: str | int, reference: tuple[int, int], flag: str = "--size") -> tuple[int, int]:
    """ "WxH", "N" (a square), or "2x", "200%" or "200%x50%" (of `reference`, (height, width)) -> (height, width)."""
    text = one_line(value, LONGEST_WORD)
    words = text.lower()
    if match := re.fullmatch(r"(\d+)x(\d+)", words):
        height, width = int(match[2]), int(match[1])
    elif match := re.fullmatch(r"\d+", words):
        height = width = int(words)
    elif (shares := _shares_of_sides(words)) is not None:
        height, width = (math.floor(side * share + 0.5) for side, share in zip(reference, shares, strict=True))
    else:
        form = "write WxH, N for a square, or a factor such as 2x or 150%"
        raise UsageError(f"{flag} {shown(text)} is not a size; {form}")
    if min(height, width) < SMALLEST:
        raise UsageError(f"{flag} {text} makes {width}x{height}; each side needs at least {SMALLEST} pixels")
    if max(height, width) > LARGEST:
        raise UsageError(f"{flag} {text} makes {width}x{height}; each side has at most {LARGEST} pixels")
    return height, width


def _shares_of_sides(words: str) -> tuple[float, float] | None:
    """ "1.5x", "150%" or "150%x100%" (width first) -> the shares of the (height, width); None for other words."""
    if match := re.fullmatch(rf"({NUMBER})x", words):
        return float(match[1]), float(match[1])
    if match := re.fullmatch(rf"({NUMBER})%(?:x({NUMBER})%)?", words):
        return float(match[2] or match[1]) / 100, float(match[1]) / 100
    return None


def crop(value: str | Sequence[int]) -> tuple[int, int, int, int]:
    """ "X,Y,W,H" -> (x, y, width, height) in pixels."""
    x, y, width, height = _four(value, "--crop", "X,Y,W,H", "0,0,128,128")
    if min(width, height) < SMALLEST or min(x, y) < 0:
        raise UsageError(f"--crop {shown(value)}: X and Y start at 0, and W and H need at least {SMALLEST} pixels each")
    return x, y, width, height


def extend(value: str | Sequence[int]) -> tuple[int, int, int, int]:
    """ "L,T,R,B" -> pixels to add at the (left, top, right, bottom)."""
    margins = _four(value, "--extend", "L,T,R,B", "0,0,128,0")
    if min(margins) < 0 or not any(margins):
        raise UsageError(
            f"--extend {shown(value)}: numbers from 0 up are needed, and one above 0; --crop makes smaller"
        )
    return margins


def _four(value: str | Sequence[int], flag: str, form: str, example: str) -> tuple[int, int, int, int]:
    try:
        first, second, third, fourth = map(int, value.split(",") if isinstance(value, str) else map(str, value))
        if max(map(abs, (first, second, third, fourth))) > LARGEST:
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise UsageError(f"{flag} {shown(value)} is not {form} in whole pixels, for example {example}") from None
    return first, second, third, fourth


def shares(value: str | Sequence[float], count: int) -> tuple[float, ...]:
    """ "0.3,0.7", `count` weights from 0 up of which one is above -> the same as numbers, whatever they add up to."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    words = one_line(value if isinstance(value, str) else ",".join(map(str, value)), LONGEST_VALUE)
    try:
        weights = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        raise UsageError(f"--blend {words!r} is not W0,W1,..., for example 0.5,0.5") from None
    if len(weights) != count:
        raise UsageError(f"--blend {words}: {len(weights)} given for {count} exemplars; give one weight for each")
    if not all(0 <= weight < math.inf for weight in weights) or not 0 < sum(weights) < math.inf:
        raise UsageError(f"--blend {words}: numbers from 0 up are needed, and one above 0")
    return weights


def tile(name: str, flag: str = "--tile", words: Sequence[str] = tuple(TILES)) -> tuple[bool, bool]:
    """ "none", "x", "y" or "xy", of which only `words` are allowed -> does the picture wrap in (y, x)?"""
    if name not in words:
        raise UsageError(f"{flag} {shown(name)} is not one of {', '.join(words)}")
    return TILES[name]


def room(size: tuple[int, int], planes: int, limit: int, name: str = "") -> None:
    """Raise ResourceError where so many planes of floats of `size` (height, width) take more than `limit` bytes; for
    use before they are made. `name` is that of their picture, for the message. Large ones are taken some rows at a time
    and solved at a reduced size: above that only masks of all pixels are held in memory."""
    pixels, large = size[0] * size[1], scratch.is_large(4 * size[0] * size[1])
    beyond = max(0, pixels - rows.WHOLE) if large else 0
    need = 4 * planes * (pixels - beyond) + MASKS * beyond
    if need > limit:
        what, there = f"{name}: " if name else "", max(0, limit) >> 20
        needs = f"{what}{size[1]}x{size[0]} needs more than {need >> 20} MB, above the {there} MB that are left"
        raise ResourceError(f"{needs}; make it smaller or raise --max-memory")


def left(limit: int) -> int:
    """The bytes of a limit that the process itself leaves for pictures; small pictures are let through, since the
    estimate of the whole run is near."""
    return max(limit - PROCESS, min(limit, SMALL_INPUTS))


def device(name: str) -> torch.device:
    """ "auto", "cpu", "cuda", "cuda:1" or "mps" -> a device of this machine; ResourceError without it."""
    devices = available()
    if name == "auto":
        return torch.device(devices[-1])
    check_device(name)
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in devices:
        raise ResourceError(f"--device {name}: this machine has no such device; it has {', '.join(devices)}")
    return torch.device(wanted)


def available() -> list[str]:
    """Devices of this machine, the one that "auto" takes last."""
    cards = [f"cuda:{i}" for i in reversed(range(torch.cuda.device_count()))]
    return ["cpu", *(["mps"] if torch.backends.mps.is_available() else []), *cards]
