"""The inputs of a run: exemplars, maps and masks are read and brought to one size and one kind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.foreign.piped import path_of
from texsynth.image import files, rows
from texsynth.image import picture as image
from texsynth.image.picture import Picture
from texsynth.image.seen import Range, is_linear

Source: TypeAlias = "str | Path | np.ndarray[Any, Any] | Picture"
Box = tuple[int, int, int, int]  # x, y, width, height
Note = Callable[[str], None]  # takes a line for the user

# Bytes a pixel of inputs of a role, by its first word, at the peak of what comes after reading them; where there are
# two of the kind, together with the other.
IN_USE = {
    "mask": 80, "target-mask": 80, "source-mask": 40, "map": 48,
    "labels-source": 60, "labels-target": 60, "orientation-source": 72, "orientation-target": 72,
}  # fmt: skip
SOLID = 0.99  # the alpha from which on a pixel of an exemplar is material
NORMAL, NORMAL_DX = NORMALS = ("normal", "normal_dx")  # kinds of values: vectors whose green points up, or down
NOTICED_ASPECT = 0.05  # a difference in aspect above this is told to the user


@dataclass(frozen=True)
class Input:
    """One input of a run, as its record holds it."""

    role: str  # what the input is used for, such as "exemplar" or "map:height"
    name: str  # the base name of its file; "array" for an input without a file
    sha256: str  # of its file, or of its values


def load(source: Source, role: str, memory: int | None) -> tuple[Picture, Input]:
    """Read one input, which may take `memory` bytes, None for any. Arrays are (H, W) or (H, W, C); bool, uint8,
    uint16 or float in [0, 1]. Raises InputError, and ResourceError for a picture that needs more, before it is
    decoded."""
    if isinstance(source, (str, Path)):
        path = path_of(source)
        picture = image.read(path, memory, IN_USE.get(role.partition(":")[0], 0))
        return picture, Input(role, path.name, files.digest(path))
    if not isinstance(source, Picture):
        array = np.asarray(source)
        source = image.from_array(array.astype(np.uint8) * np.uint8(255) if array.dtype == np.bool_ else array)
    return source, Input(role, "array", fingerprint(source.pixels, source.alpha))


def fingerprint(pixels: Tensor, alpha: Tensor | None = None) -> str:
    """The SHA-256, in hexadecimal, of the values of a picture (1, C, H, W) and of their shape."""
    total = hashlib.sha256(str(tuple(pixels.shape)).encode())
    for values in (pixels, alpha):
        for plane in () if values is None else values[0]:
            for (strip,) in rows.strips(plane):
                total.update(strip.contiguous().view(-1).numpy().data)
    return total.hexdigest()


def load_all(sources: Sequence[Source], role: str, memory: int) -> list[tuple[Picture, Input]]:
    """Read inputs that are held together, which may take `memory` bytes; raises as `load` does."""
    loaded: list[tuple[Picture, Input]] = []
    for source in sources:
        loaded.append(load(source, role, memory))
        memory -= image.size_in_memory(loaded[-1][0])
    return loaded


def tell(loaded: Sequence[tuple[Picture, Input]], note: Note) -> None:
    """Say what was chosen of files that left a choice."""
    for picture, entry in loaded:
        if picture.remark:
            note(f"{entry.name}: {picture.remark}")


def extent(picture: Picture) -> tuple[int, int]:
    """The size of a picture, (height, width)."""
    return picture.height, picture.width


def cropped(picture: Picture, box: Box | None, name: str) -> Picture:
    """The part of a picture inside `box`; raises UsageError when the box reaches outside."""
    if box is None:
        return picture
    x, y, width, height = box
    h, w = extent(picture)
    if x + width > w or y + height > h:
        raise UsageError(f"--crop {x},{y},{width},{height} reaches outside {name}, which is {w}x{h}")
    return mapped(picture, lambda values: values[:, :, y : y + height, x : x + width])


def extended(picture: Picture, margins: tuple[int, int, int, int]) -> Picture:
    """A picture with a border of `margins` (left, top, right, bottom) pixels, black and opaque."""
    if not any(margins):
        return picture
    left, above, right, below = margins

    def framed(values: Tensor, outside: float) -> Tensor:
        channels, height, width = values.shape[1:]

        def make(top: int, bottom: int) -> Tensor:
            first, end = (min(max(row - above, 0), height) for row in (top, bottom))
            over = min(max(above - top, 0), bottom - top)
            return F.pad(
                values[:, :, first:end], (left, right, over, bottom - top - over - (end - first)), value=outside
            )

        return rows.composed((1, channels, above + height + below, left + width + right), make, values)

    alpha = None if picture.alpha is None else framed(picture.alpha, 1.0)
    return replace(picture, pixels=framed(picture.pixels, 0.0), alpha=alpha)


def stretched(
    picture: Picture, size: tuple[int, int], role: str, name: str, note: Note, consequence: str | None = None
) -> Picture:
    """A picture resized to `size` (height, width): labels by the nearest pixel, all else by area or linearly.

    role: "labels", one of NORMALS or "data", as of a layer. name: how messages name the picture. note: is told when the
    aspect changes by more than 5 %, and of every change that has a `consequence`, the end of that line.
    """
    h, w = extent(picture)
    if (h, w) == size:
        return picture
    bent = abs((w / h) / (size[1] / size[0]) - 1)
    if bent > NOTICED_ASPECT or consequence is not None:
        aspect = f": the aspect differs by {100 * bent:.0f} %" if bent > NOTICED_ASPECT else ""
        ending = "" if consequence is None else f"; {consequence}"
        note(f"{name} is {w}x{h}, stretched to {size[1]}x{size[0]}{aspect}{ending}")
    labels = role == "labels"
    mode = "nearest-exact" if labels else "bilinear"

    def resized(values: Tensor) -> Tensor:
        low, high = rows.extremes(values)  # also of results: filters may pass them
        return rows.by_planes(
            values, size, lambda plane: F.interpolate(plane, size, mode=mode, antialias=not labels).clamp_(low, high)
        )

    result = mapped(picture, resized)
    if role in NORMALS and result.channels == 3 and _varies(picture.pixels[:, 2:3]):  # else it holds two parts of three
        # Means of unit vectors are shorter than one.
        return replace(result, pixels=rows.changed(result.pixels, lambda v: (F.normalize(v * 2 - 1, dim=1) + 1) / 2))
    return result


def _varies(values: Tensor) -> bool:
    low, high = rows.extremes(values)
    return low < high


def solid(exemplar: Picture) -> Tensor:
    """The part of an exemplar that is opaque but for what lossy formats lose, (1, 1, H, W) bool."""
    if exemplar.alpha is None:
        return opaque(exemplar)
    return rows.changed(exemplar.alpha, lambda alpha: alpha >= SOLID, torch.bool)


def opaque(picture: Picture) -> Tensor:
    """The part of a picture whose alpha is full, (1, 1, H, W) bool; all of it without alpha."""
    if picture.alpha is None:
        return torch.ones_like(picture.pixels[:, :1], dtype=torch.bool)
    return rows.changed(picture.alpha, lambda alpha: alpha >= 1, torch.bool)


def alike(pictures: list[Picture], what: str, note: Note) -> tuple[Picture, ...]:
    """Pictures with as many channels as any of them, the deepest depth, and alpha if any has it; values stay.

    what: how the line for the user names them, in the plural.
    """
    depths = {p.depth for p in pictures}
    deepest = depths.pop() if len(depths) == 1 else "uint16" if depths <= {"uint8", "uint16"} else "float32"
    channels = max(p.pixels.shape[1] for p in pictures)
    alpha = any(p.alpha is not None for p in pictures)
    if len({(p.depth, p.pixels.shape[1], p.alpha is not None) for p in pictures}) > 1:
        more = " and alpha" if alpha else ""
        note(f"{what} differ in kind; the result has {channels} channel(s) of {deepest}{more}")
    if len({p.tags.colours(p.icc) for p in pictures}) > 1:
        note(f"{what} differ in what they say of their colours ({_colours(pictures)}); the first's goes to the result")

    def as_all(p: Picture) -> Picture:
        own_alpha = torch.ones(1).expand_as(p.pixels[:, :1]) if alpha and p.alpha is None else p.alpha
        return replace(p, pixels=p.pixels.expand(-1, channels, -1, -1), alpha=own_alpha, depth=deepest)

    return tuple(map(as_all, pictures))


def _colours(pictures: list[Picture]) -> str:
    """What pictures say of their colours, in short."""
    return ", ".join(dict.fromkeys(str(p.tags.colours(p.icc)[0]) for p in pictures))


def matching(pictures: tuple[Picture, ...]) -> list[Tensor]:
    """The images (1, 3, H, W) in [0, 1] that a solver compares: over middle grey, so that colours under clear pixels do
    not matter, scaled down together where floats go beyond 1, and linear ones as eyes see them."""
    highest = top(pictures)
    return [_compared(p, Range(highest, is_linear(p))) for p in pictures]


def _compared(picture: Picture, span: Range) -> Tensor:
    """The image of a picture of this range; shared where it is the picture, since nobody changes it."""
    colours, alpha = image.rgb(picture), picture.alpha
    beyond = span != Range() or rows.extremes(picture.pixels)[0] < 0
    if not beyond and alpha is None:
        return colours

    def make(top: int, bottom: int) -> Tensor:
        strip = colours[:, :, top:bottom]
        strip = span.seen(strip).clamp_(0, 1) if beyond else strip
        clear = None if alpha is None else alpha[:, :, top:bottom]
        return strip if clear is None else strip * clear + 0.5 * (1 - clear)

    sources = [colours] if alpha is None else [colours, alpha]
    return rows.composed(colours.shape, make, *sources)


def top(pictures: tuple[Picture, ...]) -> float:
    """The value of the pictures that is 1 for a solver: above 1 only for floats that go beyond 1."""
    return max(1.0, *(rows.extremes(p.pixels)[1] for p in pictures))


def range_of(pictures: tuple[Picture, ...]) -> Range:
    """How the values of pictures that are copied together lie in the range of a solver; the first says what they mean,
    as it does of the result."""
    return Range(top(pictures), is_linear(pictures[0]))


def per_exemplar(sources: Sequence[Source], exemplars: int, flag: str) -> None:
    """Check that a repeatable option is there once for each exemplar; raises UsageError."""
    if len(sources) != exemplars:
        raise UsageError(f"{flag}: {len(sources)} given for {exemplars} exemplar(s); give it once for each, in order")


def mapped(picture: Picture, change: Callable[[Tensor], Tensor]) -> Picture:
    """A picture whose colours and alpha both went through `change`."""
    alpha = None if picture.alpha is None else change(picture.alpha)
    return replace(picture, pixels=change(picture.pixels), alpha=alpha)
