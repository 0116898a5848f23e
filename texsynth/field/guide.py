"""What steers a field beside its colours: a goal for every output pixel, in the terms of a table of source pixels.

The guide terms of guided correspondence (Zhou et al. 2023), each as coordinates whose squared distance is its price, so
all of them are one table and one subtraction. A layout (a rough picture of the result) is such a guide too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features.windows import fit
from texsynth.field.atlas import Atlas, build_atlas, reflect, turn_guide
from texsynth.field.blocks import Blocks
from texsynth.field.quilt import Steer
from texsynth.field.space import describe
from texsynth.task import Guide, Task

PATCH, COMPONENTS = 5, 8  # of the windows in which a layout is compared
SAMPLES = 64  # pixels of a block at which its guides are compared


@dataclass(frozen=True)
class Guiding:
    """table: (N, G) of source pixels; goal: (h, w, G) of output pixels, strength: (h, w, G) how much each counts there.
    Squared distances are prices, in variances."""

    table: Tensor
    goal: Tensor
    strength: Tensor

    def at(self, some: Tensor) -> Guiding:
        """The guides of some output pixels, (n,) flat."""
        return Guiding(self.table, self.goal.flatten(0, 1)[some], self.strength.flatten(0, 1)[some])

    def among(self, some: Tensor) -> Guiding:
        """The guides of some of those again."""
        return Guiding(self.table, self.goal[some], self.strength[some])

    def price(self, index: Tensor) -> Tensor:
        """What it costs to copy these source pixels, one for each goal."""
        return ((self.table[index] - self.goal).square_() * self.strength).sum(-1)

    def fitting(self, draws: Tensor) -> list[Tensor]:
        """Of each half of the drawn source pixels the one that fits each goal (n, G) best: two times (n,)."""
        return [some[torch.cdist(self.goal, self.table[some]).argmin(1)] for some in draws.chunk(2)]


def encode(guides: tuple[Guide, ...], atlas: Atlas) -> Guiding | None:
    """All guides of a task at this level as one table and one goal; None without guides."""
    return joined([_one(guide, atlas) for guide in guides if guide.weight > 0])


def joined(some: Sequence[Guiding | None]) -> Guiding | None:
    """Guides side by side: their prices add up."""
    parts = [part for part in some if part is not None]
    if not parts:
        return None
    return Guiding(*(torch.cat(each, -1) for each in zip(*((p.table, p.goal, p.strength) for p in parts), strict=True)))


def _one(guide: Guide, atlas: Atlas) -> Guiding:
    """One guide. Progression: the mean squared difference of its channels. Labels: 1 where they differ. Direction: the
    squared sine of the angle between them, so that the sign does not matter."""
    device = atlas.colours.device
    planes = []
    for values in guide.sources:
        for copy in atlas.copies:
            turned = turn_guide(values.to(device), copy, guide.distance)
            wide = reflect(turned, atlas.margin)
            planes.append(F.pad(wide, (0, atlas.row - wide.shape[3], 0, atlas.rows - wide.shape[2])))
    table = torch.cat(planes).permute(0, 2, 3, 1).reshape(len(atlas.valid), -1)
    goal = guide.target.to(device)[0].permute(1, 2, 0)
    if guide.distance == "direction":
        table, goal = (_doubled(v) * 0.5 for v in (table, goal))
    elif guide.distance == "l0":
        known = torch.cat([table.flatten(), goal.flatten()]).unique()
        table, goal = ((v == known).float() * 0.5**0.5 for v in (table, goal))
    else:
        table, goal = (v / v.shape[-1] ** 0.5 for v in (table, goal))
    strength = torch.ones_like(goal) if guide.strength is None else guide.strength.to(goal)[0, 0, :, :, None]
    return Guiding(table, goal, guide.weight * strength.expand_as(goal))


def _doubled(vectors: Tensor) -> Tensor:
    """(..., 2) as (x, y) -> the unit vector of twice its angle, the same for both signs."""
    x, y = vectors[..., 0], vectors[..., 1]
    return torch.stack([x * x - y * y, 2 * x * y], -1)


def along(picture: Tensor, atlas: Atlas, task: Task, weight: float, rng: torch.Generator) -> Guiding:
    """Follow a rough picture (1, 3, h, w) of the output: windows of it against those of equally rough sources."""
    coarse = max(1.0, task.size[0] / picture.shape[2])
    rough = replace(task, exemplars=tuple(replace(e, image=_blurred(e.image, coarse)) for e in task.exemplars))
    other = build_atlas(rough, atlas.copies, atlas.margin)
    margin = 2 * (PATCH // 2)
    planes = other.picture(other.colours)
    images = [p[None, :, : h + margin, : w + margin] for p, (h, w) in zip(planes, other.shapes, strict=True)]
    basis = fit(images, PATCH, COMPONENTS, rng)
    fitted = F.interpolate(picture.to(task.device), task.size, mode="bilinear", antialias=coarse == 1.0)
    goal = basis.describe(F.pad(fitted, (PATCH // 2,) * 4, mode="replicate")).view(*task.size, -1)
    return Guiding(describe(other, basis, atlas.valid), goal, torch.full_like(goal, weight))


def _blurred(image: Tensor, factor: float) -> Tensor:
    """Reduced and enlarged again: the detail that a picture `factor` times smaller can hold."""
    if factor <= 1:
        return image
    size = [max(1, round(n / factor)) for n in image.shape[2:]]
    small = F.interpolate(image, size, mode="bilinear", antialias=True)
    return F.interpolate(small, image.shape[2:], mode="bilinear")


def steer(guiding: Guiding, blocks: Blocks) -> Steer:
    """The price of putting a block somewhere: its mean over some of the block's pixels."""
    side = blocks.side
    spacing = max(1, round(side / SAMPLES**0.5))
    inner = blocks.inner.view(side, side)[spacing // 2 :: spacing, spacing // 2 :: spacing]
    span = torch.arange(side, device=inner.device)[spacing // 2 :: spacing]
    h, w = guiding.goal.shape[:2]
    known = guiding.table[blocks.corners[:, None] + inner.flatten()].flatten(1)  # (n, samples * G)
    squares = known.square()

    def price(_: Tensor, y: Tensor, x: Tensor) -> Tensor:
        rows, columns = (y + span).clamp(max=h - 1), (x + span).clamp(max=w - 1)
        here = rows[:, :, None], columns[:, None, :]
        goal, strength = guiding.goal[here].flatten(1), guiding.strength[here].flatten(1)  # (B, samples * G)
        distance = (
            strength @ squares.T - 2 * (goal * strength) @ known.T + (goal.square() * strength).sum(1, keepdim=True)
        )
        return distance.clamp(min=0) / inner.numel()

    return price
