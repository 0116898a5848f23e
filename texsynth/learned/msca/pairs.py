"""Pairs of crops of one exemplar and its labels, for training by cross-reconstruction (Zheng et al. 2020, MSCA)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.learned.shared.chance import integer
from texsynth.task import Exemplar

Place = tuple[int, int]
LOWEST_CONTRAST = 0.5  # of a label in other colours; the highest is one more
SHIFT_RANGE = 0.6  # of the shifts of a label's colours, half of it each way


@dataclass(frozen=True)
class ColourChange:
    """A change of colours: a contrast, which multiplies their distances from grey, and a shift (3,)."""

    contrast: float
    shift: Tensor

    def __call__(self, colours: Tensor) -> Tensor:
        """The changed colours of (n, 3, ...) in [0, 1]."""
        shift = self.shift.to(colours).view(1, 3, *[1] * (colours.ndim - 2))
        return ((colours - 0.5) * self.contrast + 0.5 + shift).clamp(0, 1)


@dataclass(frozen=True)
class LabelledPictures:
    """An exemplar, or two crops of one: pictures (n, 3, h, w) and the ids of their labels (n, 1, h, w).

    valid: (n, 1, h, w) floats, 0 where nothing may be learned from.
    changes: for each label that has other colours than in the exemplar, their change.
    """

    image: Tensor
    labels: Tensor
    valid: Tensor
    changes: Mapping[int, ColourChange] = field(default_factory=dict)


def check(exemplars: Sequence[Exemplar], crop: int, smallest: int) -> None:
    """Raise InputError where two separate crops do not fit into an exemplar. smallest: the smallest crop to offer."""
    for exemplar in exemplars:
        h, w = exemplar.size
        largest = min(min(h, w), max(h, w) // 2)
        if largest < crop:
            problem = f"{exemplar.name} is {w}x{h}, which has no room for two separate crops of {crop}x{crop}"
            smaller = f"--set crop={largest} fits, or " if largest >= smallest else ""
            raise InputError(f"{problem}; {smaller}give a larger exemplar")


def separate(size: tuple[int, int], crop: int, rng: torch.Generator) -> tuple[Place, Place]:
    """The upper left corners of two crops that have no pixel in common: apart along one axis, drawn among those that
    have the room, and anywhere along the other."""
    axes = [axis for axis, side in enumerate(size) if side >= 2 * crop]
    axis = axes[integer(len(axes), rng)]
    before, after = sorted(integer(size[axis] - 2 * crop + 1, rng) for _ in range(2))
    along = [before, after + crop]
    if integer(2, rng):
        along.reverse()
    across = [integer(size[1 - axis] - crop + 1, rng) for _ in range(2)]
    first, second = ((a, b) if axis == 0 else (b, a) for a, b in zip(along, across, strict=True))
    return first, second


def anywhere(size: tuple[int, int], crop: int, rng: torch.Generator) -> tuple[Place, Place]:
    """The upper left corners of two crops that may share pixels."""
    first, second = ((integer(size[0] - crop + 1, rng), integer(size[1] - crop + 1, rng)) for _ in range(2))
    return first, second


def cut(exemplar: LabelledPictures, places: Sequence[Place], side: int, crop: int) -> LabelledPictures:
    """Crops of a side at these places, resized to `crop`: colours smoothly, labels by the nearest."""
    image, labels, valid = (
        torch.cat([x[:, :, y : y + side, x0 : x0 + side] for y, x0 in places])
        for x in (exemplar.image, exemplar.labels, exemplar.valid)
    )
    if side != crop:
        image = F.interpolate(image, (crop, crop), mode="bilinear", antialias=True).clamp(0, 1)
        labels, valid = (F.interpolate(x, (crop, crop), mode="nearest-exact") for x in (labels, valid))
    return LabelledPictures(image, labels, valid)


def best(candidates: Sequence[LabelledPictures]) -> LabelledPictures:
    """The pair that teaches most: whose crops are valid, and have the same labels, and several of them."""
    return max(candidates, key=lambda pair: float(pair.valid.mean()) ** 2 * _common(pair.labels))


def moved(pair: LabelledPictures, flips: bool, turns: bool, rng: torch.Generator) -> LabelledPictures:
    """Both crops and their maps flipped and turned alike, at random."""
    flip = flips and bool(integer(2, rng))
    quarters = integer(4, rng) if turns else 0

    def of(x: Tensor) -> Tensor:
        return (x.flip(3) if flip else x).rot90(quarters, (2, 3))

    return LabelledPictures(of(pair.image), of(pair.labels), of(pair.valid))


def recoloured(pair: LabelledPictures, rng: torch.Generator) -> LabelledPictures:
    """Every label in random other colours, the same in both crops, so that only the other crop shows which."""
    image, changes = pair.image, {}
    for label in pair.labels.unique().tolist():
        contrast, shift = LOWEST_CONTRAST + torch.rand((), generator=rng), torch.rand(3, generator=rng) - 0.5
        changes[int(label)] = ColourChange(float(contrast), shift * SHIFT_RANGE)
        image = torch.where(pair.labels == label, changes[int(label)](pair.image), image)
    return replace(pair, image=image, changes=changes)


def _common(labels: Tensor) -> float:
    """How much of their labels two maps (2, 1, h, w) share: the roots of the lesser share of each label, summed, so
    that two labels count more than one."""
    ids = labels.unique()
    shares = torch.stack([(labels == label).float().mean((1, 2, 3)) for label in ids])
    return float(shares.amin(1).sqrt().sum())
