"""Direction fields: extracted from a picture, built in, or decoded from what a user drew.

A field is (1, 2, H, W): unit vectors (x right, y down) along the stripes; a vector and its negative mean the same, so
all averaging is done on outer products. Extractors: the structure tensor (Bigun and Granlund 1987), and the histogram
of gradients of "Neural Texture Synthesis with Guided Correspondence" (2023) made circular, without which directions
near the axes are up to 10 degrees off.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError
from texsynth.foreign import regular
from texsynth.guidance import kept, maps
from texsynth.guidance.filters import blur, gaussian, separable
from texsynth.guidance.maps import Cropped, Guided, Map
from texsynth.image import load as inputs
from texsynth.image import picture as image_tools
from texsynth.image import rows
from texsynth.image.files import digest
from texsynth.image.load import Input, Note, Source
from texsynth.image.picture import Picture
from texsynth.pyramid import axis, halved, shrink, tensor_of
from texsynth.requests.guides import EXTRACTORS, Orientation
from texsynth.task import Guide

AVERAGING_SCALE = 1 / 32  # of the shorter side: the deviation over which `structure` averages
SMALLEST_DEVIATION = 2.0  # pixels, below which one stripe would be taken for a direction
ANGLE_BINS = 9
BUILT_IN = ("angle:DEG", "circle", "spiral", "s-curve")
STEEPEST_CURVE = 65.0  # degrees from the vertical that the lines of s-curve reach
SPIRAL_PITCH = 30.0  # degrees between a spiral and the circles that it crosses
LUMA = (0.299, 0.587, 0.114)
WEIGHT = 5.0  # of the guide, by default
FIELD_PIXEL = 40  # bytes a pixel while a field is decoded, at the least


def target(part: Orientation, memory: int) -> Map | None:
    """The field of the output as it was given, which may take `memory` bytes, None for a built-in one; raises
    InputError, ResourceError and UsageError."""
    assert part.target is not None
    return None if word(part.target) else read(part.target, "orientation-target", memory)


def guide(part: Orientation, draft: Cropped, wanted: Map | None, size: tuple[int, int], note: Note) -> Guided:
    """The direction of each pixel; that of an exemplar is extracted from it where no map is given.

    part: the options. wanted: what `target` read. size: of the output, (height, width). Raises InputError, UsageError.
    """
    if wanted is not None:
        goal = rows.changed(inputs.stretched(wanted.picture, size, "data", wanted.entry.name, note).pixels, axis)
    else:
        field = built_in(str(part.target), size)
        assert field is not None
        goal = field
    values, entries = sources(part.sources or (), draft, note, part.extractor)
    weight = maps.weight_of(part.weight, WEIGHT)
    resolved: dict[str, Any] = {"orientation": None if wanted else part.target, "orientation_weight": weight}
    if not part.sources:
        resolved["orientation_extractor"] = part.extractor or EXTRACTORS[0]
    steering = Guide("orientation", tuple(values), goal, weight, "direction")
    return Guided(steering, (*entries, *([wanted.entry] if wanted else [])), resolved)


def sources(
    pictures: Sequence[Source], draft: Cropped, note: Note, extractor: str | None = None
) -> tuple[list[Tensor], list[Input]]:
    """The direction of each pixel of each exemplar, (1, 2, H, W); extracted from it where no maps are given."""
    if pictures:
        drawn = [read(source, "orientation-source", draft.room) for source in pictures]
        fields = [rows.changed(maps.on_exemplar(m, draft, number, note), axis) for number, m in enumerate(drawn)]
        return fields, [m.entry for m in drawn]
    return [kept.once(_extracted, exemplar.image, extractor) for exemplar in draft.exemplars], []


def _extracted(image: Tensor, extractor: str | None) -> Tensor:
    """The directions in (1, 3, H, W), (1, 2, H, W): a large picture, which is solved at a reduced size, is reduced."""
    size, level = (image.shape[2], image.shape[3]), 0
    while halved(size[0], level) * halved(size[1], level) > rows.WHOLE:
        level += 1
    small = shrink(image, level) if level else image
    return resize(histogram(small) if extractor == "histogram" else structure(small)[0], size)


def word(source: Source) -> str | None:
    """The built-in field that is meant, None for a map; an existing file wins over a word. Raises UsageError."""
    if not isinstance(source, str) or Path(source).is_file() or built_in(source, (1, 1)) is None:
        return None
    return source


def read(source: Source, role: str, memory: int) -> Map:
    """Read a direction field: .npy or an array (2, H, W), or a picture, which may take `memory` bytes; raises
    InputError and ResourceError with its name."""
    values: Any
    if isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".npy":
        path = Path(source)
        values, entry = _array(path, memory), Input(role, path.name, digest(path))
    elif isinstance(source, np.ndarray) and (source.ndim != 3 or source.shape[2] not in (3, 4) or len(source) == 2):
        content = str(source.shape).encode() + np.ascontiguousarray(source).tobytes()
        values, entry = source, Input(role, "array", hashlib.sha256(content).hexdigest())
    else:
        picture, entry = inputs.load(source, role, memory)
        values = image_tools.rgb(picture)
    with maps.about(entry.name):
        return Map(Picture(rows.changed(decode(values), tensor_of), depth="float32"), entry)


def _array(path: Path, memory: int) -> np.ndarray[Any, Any]:
    """The array of a .npy file, never one that would run code; raises InputError, and ResourceError where it and the
    field that is made of it take more than `memory` bytes."""
    try:
        regular.opened(path).close()
        stored = np.lib.format.open_memmap(path, mode="r")
        if (need := stored.nbytes + FIELD_PIXEL * (stored.size // 2)) > memory:
            raise image_tools.too_large(path.name, "x".join(map(str, stored.shape)), need, memory)
        return np.array(stored)
    except FileNotFoundError:
        raise InputError(f"{path.name}: no such file in {path.parent}; check the path") from None
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror or error})") from None
    except (ValueError, OverflowError, SyntaxError, TokenError):
        raise InputError(f"{path.name}: is no array as numpy.save writes it, or is damaged; save it again") from None


def structure(image: Tensor, sigma: float | None = None) -> tuple[Tensor, Tensor]:
    """Directions in (1, C, H, W) by the structure tensor, and how clear they are.

    sigma: pixels of the Gaussian over which gradients are averaged, by default 1/32 of the shorter side. Returns the
    field (1, 2, H, W) and its coherence (1, 1, H, W) in [0, 1]: 0 where no direction prevails, 1 for straight stripes.
    Raises UsageError for a sigma that is no positive number.
    """
    sigma = max(SMALLEST_DEVIATION, AVERAGING_SCALE * min(image.shape[2:])) if sigma is None else sigma
    if not 0 < sigma < math.inf:
        raise UsageError(f"--sigma {sigma:g}: a finite number of pixels above 0 is needed")
    x, y, inside = _gradient(image)
    products = torch.cat([x * x, y * y, x * y]).sum(1, keepdim=True).transpose(0, 1)  # (1, 3, H, W)
    xx, yy, xy = blur(products, sigma, inside).unbind(1)
    spread = ((xx - yy) ** 2 + 4 * xy**2).sqrt()
    coherence = spread / (xx + yy + 1e-7)  # a gradient of a tenth of a grey level in 8 bits is nothing
    # Along the stripes is where the picture changes least: the other eigenvector, hence x and y exchanged.
    return axis(torch.stack([yy, xx, -xy], 1)), coherence.clamp(0, 1).unsqueeze(1)


def histogram(image: Tensor, cell: int = 16) -> Tensor:
    """Directions in (1, 3, H, W) by the paper's histogram of nine gradient directions per cell: (1, 2, H, W)."""
    luma = (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    x = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    y = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    place = torch.atan2(y, x) % math.pi * ANGLE_BINS / math.pi - 0.5  # in bins from the middle of the first
    number = torch.arange(ANGLE_BINS, device=image.device).view(1, ANGLE_BINS, 1, 1)
    apart = (place - number).abs()
    votes = (1 - torch.minimum(apart, ANGLE_BINS - apart)).clamp(min=0) * (x * x + y * y).sqrt()
    ramp = torch.arange(-cell, cell + 1, device=image.device, dtype=image.dtype)
    cone = 1 - (ramp**2 + ramp[:, None] ** 2).sqrt() / (cell * math.sqrt(2))
    height, width = image.shape[2:]
    far = (-(height - 1) % cell, -(width - 1) % cell)  # so that cells reach the last row and column
    votes = F.pad(votes, (cell, cell + far[1], cell, cell + far[0])).transpose(0, 1)
    cells = F.conv2d(votes, cone[None, None], stride=cell).transpose(0, 1)  # (1, ANGLE_BINS, rows, columns)
    centre = (number.to(image.dtype).view(1, 1, ANGLE_BINS, 1) + 0.5) * math.pi / ANGLE_BINS
    along = tensor_of(torch.cat([centre.sin(), -centre.cos()], 1))[0, :, :, 0]  # (3, ANGLE_BINS)
    tensors = torch.einsum("cb,bhw->chw", along, cells[0] ** 2).unsqueeze(0)
    size = [(n - 1) * cell + 1 for n in cells.shape[2:]]
    fine = F.interpolate(tensor_of(axis(tensors)), size, mode="bilinear", align_corners=True)
    return axis(fine[:, :, :height, :width])


def built_in(text: str, size: tuple[int, int]) -> Tensor | None:
    """The field called `text` of `size` (height, width), or None for what can only be a file's name.

    "angle:DEG" (clockwise on screen from the x axis), "circle" (round the centre), "spiral" (crossing those circles at
    a fixed angle), "s-curve" (lines that run down the picture in the shape of an S, every period of the height the
    same). Raises UsageError for an angle that is no number, and for a word that is no such name: look for files first.
    """
    height, width = size
    y = (torch.arange(height) - (height - 1) / 2)[:, None].expand(size)
    x = (torch.arange(width) - (width - 1) / 2)[None].expand(size)
    if text.startswith("angle:"):
        angle = torch.full(size, math.radians(_degrees(text)))
    elif text in ("circle", "spiral"):
        angle = torch.atan2(y, x) + math.radians(90 - (SPIRAL_PITCH if text == "spiral" else 0))
    elif text == "s-curve":
        down = (y + height / 2) / height
        angle = math.pi / 2 + math.radians(STEEPEST_CURVE) * torch.cos(2 * math.pi * down)
    elif re.fullmatch(r"[A-Za-z][\w-]*(:.*)?", text):
        near = difflib.get_close_matches(text.partition(":")[0], [name.partition(":")[0] for name in BUILT_IN], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"direction {text!r} is not one of {', '.join(BUILT_IN)}{hint}")
    else:
        return None
    return torch.stack([angle.cos(), angle.sin()]).unsqueeze(0)


def decode(values: Tensor | np.ndarray[Any, Any]) -> Tensor:
    """A field (1, 2, H, W) from an array (2, H, W) of x and y, or from a picture (1, 3, H, W) in [0, 1].

    In a picture red and green v stand for 2 v - 1. Lengths do not matter; pixels without a direction (shorter than a
    hundredth of the longest) take that of their surroundings. Raises InputError for another shape, for NaN or infinite
    values, for a grey picture, and when no pixel has a direction.
    """
    shape = tuple(values.shape)
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "fiu":
            raise InputError(f"direction array of {values.dtype}; it must hold real numbers, best float32")
        with np.errstate(over="ignore"):  # what is too large becomes infinite and is refused below
            values = torch.from_numpy(values.astype(np.float32))
    picture = len(shape) == 4
    if shape[: picture + 1] != ((1, 3) if picture else (2,)) or len(shape) not in (3, 4) or 0 in shape:
        raise InputError(f"direction array of shape {shape}; (2, height, width) is needed: x right, y down")
    if not all(torch.isfinite(strip).all() for (strip,) in rows.strips(values)):
        raise InputError("direction map holds NaN or infinite values; every pixel needs a finite x and y")
    if picture and torch.equal(values[:, 0], values[:, 1]) and torch.equal(values[:, 0], values[:, 2]):
        raise InputError("direction picture is grey; red and green must hold x and y as (v + 1) / 2")
    drawn = values if picture else values[None]
    largest = max(1e-30, *map(abs, rows.extremes(drawn)))

    def vectors(strip: Tensor) -> Tensor:
        return strip[:, :2] * 2 - 1 if picture else strip / largest

    def length_of(strip: Tensor) -> Tensor:
        length: Tensor = vectors(strip).norm(dim=1, keepdim=True)
        return length

    def products(strip: Tensor) -> Tensor:
        return tensor_of(vectors(strip) / length_of(strip).clamp(min=1e-30))

    longest = 1.0 if picture else max(float(length_of(strip).max()) for (strip,) in rows.strips(drawn))
    certain = rows.changed(drawn, lambda strip: length_of(strip) > 0.01 * longest, torch.bool)
    if not certain.any():
        raise InputError("direction map holds no direction: every vector is zero; give it x and y along the flow")
    if certain.all():
        return rows.changed(drawn, lambda strip: axis(products(strip)))
    return axis(_filled(rows.changed(drawn, products) * certain, certain.float()))


def encode(field: Tensor) -> Tensor:
    """A field (1, 2, H, W) as the picture that `decode` reads: red and green are (v + 1) / 2, blue is a half."""
    picture = torch.full_like(field[:, :1], 0.5).repeat(1, 3, 1, 1)
    picture[:, :2] = (field + 1) / 2
    return picture


def resize(field: Tensor, size: tuple[int, int]) -> Tensor:
    """A field (1, 2, H, W) at another size (height, width): outer products are averaged, so signs do not matter."""
    if tuple(field.shape[2:]) == size:
        return field
    products = rows.by_planes(
        tensor_of(field), size, lambda plane: F.interpolate(plane, size, mode="bilinear", antialias=True)
    )
    return rows.changed(products, axis)


def angle_error(one: Tensor, other: Tensor, weight: Tensor | None = None) -> float:
    """Mean angle in degrees, from 0 to 90, between two fields (1, 2, H, W); weight (1, 1, H, W) or None for the same
    everywhere."""
    cross = one[:, :1] * other[:, 1:] - one[:, 1:] * other[:, :1]
    dot = (one * other).sum(1, keepdim=True)
    angle = torch.atan2(cross.abs(), dot.abs())
    weight = torch.ones_like(angle) if weight is None else weight
    return math.degrees(float((angle * weight).sum() / weight.sum()))


def as_colour(field: Tensor) -> Tensor:
    """A picture (1, 3, H, W) of a field: the hue goes once round for half a turn, red is along the x axis."""
    return _hue(torch.atan2(field[:, 1:], field[:, :1]) / math.pi)


def strokes(field: Tensor, size: tuple[int, int], under: Tensor | None = None) -> Tensor:
    """A picture (1, 3, *size) of a field as short strokes in the hues of `as_colour`.

    under: (1, 3, H, W) to draw on, stretched to `size`; by default white.
    """
    height, width = size
    field = resize(field, size)
    pitch = max(8.0, min(size) / 28) if under is None else max(12.0, min(size) / 18)  # a picture must show between
    rows, columns = (max(1, round(n / pitch)) for n in size)
    gap = (height / rows, width / columns)
    y = torch.arange(height, device=field.device).view(-1, 1) + 0.5
    x = torch.arange(width, device=field.device).view(1, -1) + 0.5
    nearest = torch.full(size, math.inf, device=field.device)
    colour = field.new_zeros(3, height, width)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):  # the strokes of the eight cells around may reach into this one
            row = ((y / gap[0]).long() + down).expand(size)
            column = ((x / gap[1]).long() + across).expand(size)
            cy, cx = (row + 0.5) * gap[0], (column + 0.5) * gap[1]
            at = field[0, :, cy.long().clamp(0, height - 1), cx.long().clamp(0, width - 1)]
            along = (x - cx) * at[0] + (y - cy) * at[1]
            beside = (y - cy) * at[0] - (x - cx) * at[1]
            beyond = (along.abs() - 0.45 * min(gap)).clamp(min=0)
            exists = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            distance = torch.where(exists, torch.hypot(beyond, beside), math.inf)
            closer = distance < nearest
            nearest = torch.where(closer, distance, nearest)
            colour = torch.where(closer, _hue(torch.atan2(at[1], at[0])[None, None] / math.pi)[0], colour)
    cover = (0.06 * min(gap) + 0.9 - nearest).clamp(0, 1)
    if under is None:
        return (1 - cover + colour * cover).unsqueeze(0)
    colour = 0.35 + 0.65 * colour
    rim = (0.06 * min(gap) + 2.4 - nearest).clamp(0, 1)  # tells a stroke from a ground of its own colour
    ground = F.interpolate(under, size, mode="bilinear") * (1 - 0.7 * rim)
    return ground * (1 - cover) + colour * cover


def _gradient(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussian derivatives along x and y, (1, C, H, W) each, and where they see nothing but pixels, (1, 1, H, W). With
    a deviation of 0.8 pixels their ratio is the slope within 0.2 degrees for wavelengths of 4 pixels and more."""
    radius = 3
    smooth = gaussian(0.8, image, radius)
    ramp = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    slope = ramp * smooth / (ramp**2 * smooth).sum()
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    inside = torch.zeros_like(image[:, :1])
    inside[:, :, radius:-radius, radius:-radius] = 1
    if not inside.any():  # smaller than the filter: what is beyond the border counts too
        inside = torch.ones_like(inside)
    return separable(padded, smooth, slope), separable(padded, slope, smooth), inside


def _degrees(text: str) -> float:
    try:
        degrees = float(text.removeprefix("angle:"))
    except ValueError:
        degrees = math.nan
    if not math.isfinite(degrees):
        raise UsageError(f"direction {text!r}: angle: takes a number of degrees, for example angle:45")
    return degrees


def _filled(values: Tensor, certain: Tensor) -> Tensor:
    """Values (1, C, H, W) where certain (1, 1, H, W) is 1; elsewhere the mean of those around, from coarser grids."""
    if bool(certain.all()):
        return values
    total = F.avg_pool2d(torch.cat([values * certain, certain], 1), 2, ceil_mode=True, count_include_pad=False)
    share = total[:, -1:]
    coarse = _filled(total[:, :-1] / share.clamp(min=1e-12), (share > 0).float())
    around = rows.interpolated(coarse, values.shape[2:])
    return torch.where(certain > 0, values, around)


def _hue(turns: Tensor) -> Tensor:
    """Strong colours (1, 3, H, W) of hues (1, 1, H, W) in turns, the same lightness to the eye as far as RGB allows."""
    thirds = turns.new_tensor([0, 1 / 3, 2 / 3]).view(1, 3, 1, 1)
    wave = 0.5 + 0.5 * torch.cos(2 * math.pi * (turns - thirds))
    return 0.05 + 0.85 * wave
