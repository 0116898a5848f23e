"""Guides of a field: a goal for every output pixel, and the price of source pixels that miss it.

The guide terms of guided correspondence (Zhou et al. 2023), each written as coordinates whose squared distance is its
price, so that all guides are one table and one subtraction. A layout, a rough picture of the result, is such a guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas, build_atlas, spread
from texsynth.field.quilt import Blocks, Steer
from texsynth.field.space import describe, find_basis
from texsynth.guidance import scarcity
from texsynth.image.rows import interpolated
from texsynth.native.sums import add_in_turn, in_turn
from texsynth.task import Guide, Task

LAYOUT_PATCH, LAYOUT_COMPONENTS = 5, 8  # side and principal directions of the windows in which a layout is compared
GOALS_AT_ONCE = 2048  # that are compared with all draws: stays in the cache
PIXELS_OF_A_BLOCK = 64  # pixels of a block at which its guides are compared


@dataclass(frozen=True)
class Guiding:
    """All guides of a level, as G coordinates whose weighted squared distances are prices, in variances.

    table: (N, G), the coordinates of the source pixels.
    goal, strength: (h, w, G), those that each output pixel asks for, and how much each counts there.
    use: (N,), how often each source pixel is used, relative to even use, where all goals are met. None where no goal
        asks for what the source hardly has.
    """

    table: Tensor
    goal: Tensor
    strength: Tensor
    use: Tensor | None = None

    def at(self, pixels: Tensor) -> Guiding:
        """The guides of some output pixels only, (n,) flat: goal and strength become (n, G)."""
        return replace(self, goal=self.goal.flatten(0, 1)[pixels], strength=self.strength.flatten(0, 1)[pixels])

    def price(self, index: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """The price of copying the source pixels `index` (...) for each goal (..., G), or for the `rows` of them."""
        return in_turn((self.table[index] - self.goal[rows]).square_() * self.strength[rows])

    def fitting(self, draws: Tensor) -> list[Tensor]:
        """Of each half of the source pixels `draws` the one whose coordinates are nearest to each goal (n, G), of equal
        ones the first: two tensors (n,)."""
        best = []
        for half in draws.chunk(2):
            picks = []
            for goals in self.goal.split(GOALS_AT_ONCE):
                apart = zip(goals.T[:, :, None], self.table[half].T[:, None], strict=True)
                picks.append(add_in_turn((goal - value).square_() for goal, value in apart).argmin(1))
            best.append(half[torch.cat(picks)])
        return best

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Table, goal and strength as the native core takes them."""
        return self.table.contiguous(), self.goal.contiguous(), self.strength.contiguous()


@dataclass(frozen=True)
class Prices:
    """What a candidate costs beside the squared distance of windows, in variances of the exemplar.

    source: (N,), the price of copying each source pixel, infinite where it may not be copied.
    jump: the factor on the distance of candidates that do not continue a neighbour, 1 or more (kappa).
    """

    source: Tensor
    jump: float
    guiding: Guiding | None = None

    def at(self, pixels: Tensor) -> Prices:
        """The prices at some output pixels only, (n,) flat."""
        return self if self.guiding is None else replace(self, guiding=self.guiding.at(pixels))

    def of(self, index: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """The price (m,) of copying the source pixels `index` (m,) to the chosen pixels, or to the `rows` of them."""
        price = self.source[index]
        return price if self.guiding is None else price + self.guiding.price(index, rows)


def encode(guides: tuple[Guide, ...], atlas: Atlas) -> Guiding | None:
    """All guides of a task at this level as one table and one goal; None without guides."""
    return joined([_coordinates(guide, atlas) for guide in guides if guide.weight > 0])


def joined(guidings: Sequence[Guiding | None]) -> Guiding | None:
    """Guides side by side, so that their prices add up; None without any."""
    some = [part for part in guidings if part is not None]
    parts = [(part.table, part.goal, part.strength) for part in some]
    uses = [part.use for part in some if part.use is not None]
    if not parts:
        return None
    table, goal, strength = (torch.cat(each, -1) for each in zip(*parts, strict=True))
    return Guiding(table, goal, strength, torch.stack(uses).mean(0) if uses else None)


def _coordinates(guide: Guide, atlas: Atlas) -> Guiding:
    """One guide as coordinates: the price of a progression is the mean squared difference of its channels, that of
    labels is 1 where they differ, and that of directions is the squared sine of the angle between them."""
    table = spread(guide.sources, atlas, guide.distance)
    goal = guide.target.to(atlas.colours.device)[0].permute(1, 2, 0)
    if guide.distance == "direction":
        table, goal = (doubled(v) * 0.5 for v in (table, goal))
    elif guide.distance == "l0":
        labels = torch.cat([table.flatten(), goal.flatten()]).unique()
        table, goal = ((v == labels).float() * 0.5**0.5 for v in (table, goal))
    else:
        return _by_value(guide, table, goal, atlas)
    return Guiding(table, goal, guide.weight * _strength(guide, goal))


def _strength(guide: Guide, goal: Tensor) -> Tensor:
    """The share of its weight that a guide has at each pixel, as (h, w, G) like its `goal`."""
    share = torch.ones_like(goal) if guide.strength is None else guide.strength.to(goal)[0, 0, :, :, None]
    return share.expand_as(goal)


def _by_value(guide: Guide, table: Tensor, goal: Tensor, atlas: Atlas) -> Guiding:
    """A guide of values, as `table` (N, C) and `goal` (h, w, C); where it asks for what the source hardly has, what is
    near counts as well (guidance/scarcity.py)."""
    strength = guide.weight * _strength(guide, goal) / goal.shape[-1]
    shares = [scarcity.compare(table[atlas.valid, c], goal[..., c]) for c in range(goal.shape[-1])]
    if not any(each.asked[0] for each in shares):
        return Guiding(table, goal, strength)
    channels = list(zip(table.unbind(-1), goal.unbind(-1), shares, strict=True))
    use = torch.stack([scarcity.use(values, each) for values, _, each in channels]).mean(0)
    wide = [scarcity.widen(*each) for each in channels]
    table, goal, weight = (torch.stack(each, -1) for each in zip(*wide, strict=True))
    return Guiding(table, goal, strength * weight, use)


def doubled(vectors: Tensor) -> Tensor:
    """Vectors (..., 2) as (x, y) -> the unit vectors of twice their angle, which are the same for both signs."""
    x, y = vectors[..., 0], vectors[..., 1]
    return torch.stack([x * x - y * y, 2 * x * y], -1)


def follow_layout(picture: Tensor, atlas: Atlas, task: Task, weight: float, rng: torch.Generator) -> Guiding:
    """The guide of a layout, a rough picture (1, 3, h, w) of the output of `task`: its windows are compared with those
    of sources that are blurred until they are as rough as it is."""
    coarse = max(1.0, task.size[0] / picture.shape[2])
    blurred = (replace(e, image=_blurred(e.image, coarse), further=None, vectors=0) for e in task.exemplars)
    rough = replace(task, exemplars=tuple(blurred))
    rough_atlas = build_atlas(rough, atlas.copies, atlas.margin)
    basis = find_basis(rough_atlas, LAYOUT_PATCH, LAYOUT_COMPONENTS, rng)
    fitted = F.interpolate(picture.to(task.device), task.size, mode="bilinear", antialias=coarse == 1.0)
    goal = basis.describe(F.pad(fitted, (LAYOUT_PATCH // 2,) * 4, mode="replicate")).view(*task.size, -1)
    return Guiding(describe(rough_atlas, basis, atlas.valid), goal, torch.full_like(goal, weight))


def _blurred(image: Tensor, factor: float) -> Tensor:
    """The picture reduced and enlarged again, to the detail that one `factor` times smaller can hold."""
    if factor <= 1:
        return image
    size = [max(1, round(n / factor)) for n in image.shape[2:]]
    small = F.interpolate(image, size, mode="bilinear", antialias=True)
    return interpolated(small, image.shape[2:])


def steer(guiding: Guiding, blocks: Blocks) -> Steer:
    """The price of putting a block somewhere: the mean price of some of its pixels."""
    spacing = max(1, round(blocks.side / PIXELS_OF_A_BLOCK**0.5))
    span = torch.arange(spacing // 2, blocks.side, spacing, device=blocks.inner.device)
    from_middle = span - blocks.side // 2
    inner = blocks.inner.view(blocks.side, blocks.side)[span][:, span]
    h, w = guiding.goal.shape[:2]
    values = guiding.table[blocks.corners[:, None] + inner.flatten()].flatten(1)  # (n, samples * G)
    squares = values.square()

    def price(_: Tensor, y: Tensor, x: Tensor) -> Tensor:
        rows, columns = (y + from_middle).clamp(max=h - 1), (x + from_middle).clamp(max=w - 1)
        here = rows[:, :, None], columns[:, None, :]
        goal, strength = guiding.goal[here].flatten(1), guiding.strength[here].flatten(1)  # (B, samples * G)
        return mean_prices(values, squares, goal, strength, inner.numel())

    return price


def mean_prices(values: Tensor, squares: Tensor, goal: Tensor, strength: Tensor, samples: int) -> Tensor:
    """The mean price over `samples` pixels of n pieces, with the coordinates `values` (n, F) and their `squares`, at B
    places, with `goal` and `strength` (B, F): (B, n), multiplied out to two products."""
    price = strength @ squares.T - 2 * (goal * strength) @ values.T + (goal.square() * strength).sum(1, keepdim=True)
    return price.clamp(min=0) / samples
