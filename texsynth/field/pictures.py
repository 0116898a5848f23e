"""A correspondence field as pictures (1, 3, h, w), float32 in [0, 1] on the CPU, for the report and `--save-field`."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable

import torch
from torch import Tensor

from texsynth.field.atlas import Field, coordinates
from texsynth.field.planes import Copying
from texsynth.image.pixels import Picture
from texsynth.image.strips import Strips

# Dark blue over magenta to pale yellow: lightness rises all the way, so it reads in greyscale too.
HEAT = ((0.05, 0.03, 0.20), (0.42, 0.08, 0.43), (0.80, 0.25, 0.33), (0.98, 0.60, 0.25), (0.99, 0.97, 0.75))
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def by_rows(field: Copying, draw: Callable[[Copying], Tensor]) -> Strips:
    """A picture of a field of any size, of which `draw` makes the rows."""
    return Strips(field.size, 3, lambda top, bottom: Picture(draw(field.part(top, bottom))))


def coordinate_picture(field: Copying) -> Tensor:
    """A picture of where each pixel comes from: red is x and green is y across the exemplar, blue is the exemplar.
    Smooth areas are whole pieces of the exemplar, edges are the seams between them."""
    where = coordinates(field)
    sizes = torch.tensor(field.atlas.exemplars)[where.exemplar]
    red = where.x / (sizes[..., 1] - 1).clamp(min=1)
    green = where.y / (sizes[..., 0] - 1).clamp(min=1)
    blue = (where.exemplar + 1) / (len(field.atlas.exemplars) + 1)
    return torch.stack([red, green, blue]).unsqueeze(0).float()


def plane_picture(field: Copying) -> Tensor:
    """A picture of which exemplar, and which flipped or rotated copy of it, each pixel comes from: a colour a plane."""
    where = coordinates(field)
    plane = where.exemplar * len(field.atlas.copies) + where.copy
    return palette(len(field.atlas.exemplars) * len(field.atlas.copies))[plane].permute(2, 0, 1).unsqueeze(0)


def cost_picture(field: Field) -> Tensor:
    """A picture of how badly each pixel's window fits its source: dark fits, pale is the worst percent."""
    cost = field.cost.float().cpu()
    top = torch.quantile(cost.flatten()[:: max(1, cost.numel() // 100_000)], 0.99)
    return heat(cost / top.clamp(min=1e-6))


def palette(count: int) -> Tensor:
    """So many colours that are easy to tell apart, (count, 3); the same number is always the same colour."""
    hues = [(0.58 + number * GOLDEN_RATIO) % 1 for number in range(count)]
    return torch.tensor([colorsys.hls_to_rgb(hue, 0.55, 0.55) for hue in hues])


def heat(values: Tensor) -> Tensor:
    """Values (h, w), clipped to [0, 1], in the colours of HEAT, (1, 3, h, w)."""
    colours = torch.tensor(HEAT)
    place = values.clamp(0, 1) * (len(HEAT) - 1)
    below = place.long().clamp(max=len(HEAT) - 2)
    share = (place - below).unsqueeze(-1)
    return (colours[below] * (1 - share) + colours[below + 1] * share).permute(2, 0, 1).unsqueeze(0)
