"""Pairs of crops of one exemplar and its labels, for training by cross-reconstruction (Zheng et al. 2020, MSCA)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError

Place = tuple[int, int]
LEAST_CONTRAST, SHIFT = 0.5, 0.6  # of labels in other colours: contrast up to one more, shifts to half of that each way


@dataclass(frozen=True)
class Source:
    """An exemplar to learn from. image: (1, 3, H, W). labels: ids (1, 1, H, W). valid: (1, 1, H, W) floats, 0 where
    nothing may be learned from."""

    name: str
    image: Tensor
    labels: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Change:
    """Other colours: contrast times what they were, around grey, and a shift (3,)."""

    contrast: float
    shift: Tensor

    def __call__(self, colours: Tensor) -> Tensor:
        """Of colours (n, 3, ...) in [0, 1]."""
        shift = self.shift.to(colours).view(1, 3, *[1] * (colours.ndim - 2))
        return ((colours - 0.5) * self.contrast + 0.5 + shift).clamp(0, 1)


@dataclass(frozen=True)
class Pair:
    """Two crops, first and second in a batch of two: image (2, 3, s, s), labels (2, 1, s, s), valid (2, 1, s, s).
    changes: by label, where its colours are not those of the exemplar."""

    image: Tensor
    labels: Tensor
    valid: Tensor
    changes: Mapping[int, Change] = field(default_factory=dict)


def check(sources: Sequence[Source], crop: int, least: int) -> None:
    """Raises InputError where two separate crops do not fit into an exemplar. least: what crops may be."""
    for source in sources:
        h, w = source.image.shape[2:]
        fits = min(min(h, w), max(h, w) // 2)
        if fits < crop:
            told = f"{source.name} is {w}x{h}, which has no room for two separate crops of {crop}x{crop}"
            smaller = f"--set crop={fits} fits, or " if fits >= least else ""
            raise InputError(f"{told}; {smaller}give a larger exemplar")


def separate(size: tuple[int, int], crop: int, rng: torch.Generator) -> tuple[Place, Place]:
    """The upper left corners of two crops that have no pixel in common: they are apart along one axis, drawn among
    those that have the room, and anywhere along the other."""
    axes = [axis for axis, side in enumerate(size) if side >= 2 * crop]
    axis = axes[_integer(len(axes), rng)]
    before, after = sorted(_integer(size[axis] - 2 * crop + 1, rng) for _ in range(2))
    along = [before, after + crop]
    if _integer(2, rng):
        along.reverse()
    across = [_integer(size[1 - axis] - crop + 1, rng) for _ in range(2)]
    first, second = ((a, b) if axis == 0 else (b, a) for a, b in zip(along, across, strict=True))
    return first, second


def anywhere(size: tuple[int, int], crop: int, rng: torch.Generator) -> tuple[Place, Place]:
    """The upper left corners of two crops that may share pixels."""
    first, second = ((_integer(size[0] - crop + 1, rng), _integer(size[1] - crop + 1, rng)) for _ in range(2))
    return first, second


def cut(source: Source, places: Sequence[Place], side: int, crop: int) -> Pair:
    """Crops of a side at these places, resized to `crop`: colours smoothly, labels by the nearest."""
    image, labels, valid = (
        torch.cat([x[:, :, y : y + side, x0 : x0 + side] for y, x0 in places])
        for x in (source.image, source.labels, source.valid)
    )
    if side != crop:
        image = F.interpolate(image, (crop, crop), mode="bilinear", antialias=True).clamp(0, 1)
        labels, valid = (F.interpolate(x, (crop, crop), mode="nearest-exact") for x in (labels, valid))
    return Pair(image, labels, valid)


def middle(source: Source, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Its picture, labels and valid pixels, at most `side` pixels each way."""
    h, w = source.image.shape[2:]
    top, left = max(0, h - side) // 2, max(0, w - side) // 2
    image, labels, valid = (
        x[:, :, top : top + side, left : left + side] for x in (source.image, source.labels, source.valid)
    )
    return image, labels, valid


def best(candidates: Sequence[Pair]) -> Pair:
    """The pair that teaches most: whose crops are valid, and have the same labels, and several of them."""
    return max(candidates, key=lambda pair: float(pair.valid.mean()) ** 2 * _common(pair.labels))


def moved(pair: Pair, flips: bool, turns: bool, rng: torch.Generator) -> Pair:
    """Both crops and their maps flipped and turned alike, by chance."""
    flip = flips and bool(_integer(2, rng))
    quarters = _integer(4, rng) if turns else 0

    def of(x: Tensor) -> Tensor:
        return (x.flip(3) if flip else x).rot90(quarters, (2, 3))

    return Pair(of(pair.image), of(pair.labels), of(pair.valid))


def recoloured(pair: Pair, rng: torch.Generator) -> Pair:
    """Every label in other colours by chance, the same in both crops: only the other crop tells which."""
    image, changes = pair.image, {}
    for label in pair.labels.unique().tolist():
        contrast, shift = LEAST_CONTRAST + torch.rand((), generator=rng), torch.rand(3, generator=rng) - 0.5
        changes[int(label)] = Change(float(contrast), shift * SHIFT)
        image = torch.where(pair.labels == label, changes[int(label)](pair.image), image)
    return replace(pair, image=image, changes=changes)


def _common(labels: Tensor) -> float:
    """How much of their labels two maps (2, 1, h, w) share: the roots of the lesser share of each label, summed, so
    that two labels count more than one."""
    ids = labels.unique()
    shares = torch.stack([(labels == label).float().mean((1, 2, 3)) for label in ids])
    return float(shares.amin(1).sqrt().sum())


def _integer(bound: int, rng: torch.Generator) -> int:
    return int(torch.randint(bound, (), generator=rng))
