"""How well a texture is suited to histogram-preserving blending: do windows of the blended plane look like its own?

Blending keeps the colours of a texture and mixes its shapes, which shows where shapes are large, or keep to rows. Two
errors tell: the mean distance of windows of the blended plane to the nearest ones of the exemplar, over that of the
exemplar's own windows to others of it; and how much the contrasts within small windows have changed, which grow where
one object shows through another. Both measures are our own; their limits were set by eye on photographs of materials.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features.windows import fit
from texsynth.pyramid import shrink

SIDE = 256  # pixels of the shorter side of the exemplar, at most
MOST_PIXELS = 2 * SIDE**2  # of a long one
PLANES = 2  # times the exemplar, that a side of the blended plane has
PATCH, COMPONENTS = 13, 24  # of windows, at half that size
QUERIES, KEYS = 1024, 1 << 13
SMALLEST = 4 * PATCH  # pixels of a side, with which windows can be compared
CONTRAST_WINDOW = 5  # pixels
CONTRASTS, RANGE = 200, (0.005, 0.995)  # quantiles that are compared, and the first and the last of them
LEAST_CONTRAST = 1e-3  # of values in [0, 1]
# The limits of both errors, above which a plane is not what an artist would take
MOST_ASTRAY, MOST_ASTRAY_IN_STEP = 1.02, 1.15  # of the distances; regular exemplars are more like themselves
MOST_CHANGED = 0.12  # of the contrasts, as the mean difference of their logarithms
CLEARLY_BETTER = 0.9  # of the error with free offsets, up to which that in step shows that rows count
DIGITS = 2  # of an error that count

Bake = Callable[[Tensor], Tensor]  # the blended plane (1, 3, h, w) of an exemplar (1, 3, H, W)


@dataclass(frozen=True)
class Suitability:
    """How well a texture is suited to blending.

    plain, in_step: the error with free offsets, and with those in steps of the lattice, if it has one; 1 is the limit.
    cut: Is it regular, and drawn with free offsets all the same? These are out of step by construction, which windows
        that are smaller than a cell do not see.
    """

    plain: float
    in_step: float | None = None
    cut: bool = False

    @property
    def fits(self) -> bool:
        """Would an artist take the plane?"""
        return not self.cut and (self.plain <= 1 or self.needs_lattice)

    @property
    def needs_lattice(self) -> bool:
        """Does it fit with offsets in steps of its lattice, and clearly better so?"""
        return self.in_step is not None and self.in_step <= min(1, CLEARLY_BETTER * self.plain)

    @property
    def sentence(self) -> str:
        """What to know of it, on one line."""
        if self.cut and self.plain <= 1:
            why = f"free offsets cut the rows of a regular texture (error {self.plain:.2f}, which sees no rows)"
            return f"does not fit: {why}; draw it in steps of its lattice, or use `texsynth tiles corner`"
        if self.needs_lattice:
            return f"fits with lattice offsets: rows stay rows (error {self.in_step:.2f}, 1 is the limit)"
        if self.fits:
            return f"fits: blended shapes look like those of the exemplar (error {self.plain:.2f}, 1 is the limit)"
        error = min(error for error in (self.plain, self.in_step) if error is not None)
        why = "large objects ghost" if self.in_step is None else "large objects ghost, in step or not"
        return f"does not fit: {why} (error {error:.2f}, 1 is the limit); use `texsynth tiles corner`"


def score(image: Tensor, plain: Bake, in_step: Bake | None = None) -> Suitability:
    """That of an exemplar (1, 3, H, W) in [0, 1], of any size.

    plain, in_step: bake a plane of it about PLANES times as large, with free offsets and with those in steps of its
    lattice, if it has one. They get the exemplar at the reduced size at which all is compared.
    """
    small = reduced(image)
    regular = None if in_step is None else error(small, in_step(small), in_step=True)
    return Suitability(error(small, plain(small)), regular)


def reduced(image: Tensor) -> Tensor:
    """The exemplar at the size at which it is compared."""
    return shrink(image, _level(image))


def scale(image: Tensor) -> float:
    """How many times as fine as the image that is, at most 1."""
    return 2 ** -_level(image)


def alike(image: Tensor, plane: Tensor) -> tuple[Tensor, Tensor]:
    """An exemplar and a part of a plane of it, of the same scale, as `error` compares them."""
    high, wide = (PLANES * side for side in image.shape[2:])
    return reduced(image), shrink(plane[:, :, :high, :wide], _level(image))


def _level(image: Tensor) -> float:
    height, width = image.shape[2:]
    return max(0.0, math.log2(min(height, width) / SIDE), math.log2(height * width / MOST_PIXELS) / 2)


def error(exemplar: Tensor, plane: Tensor, in_step: bool = False) -> float:
    """The error of a blended plane (1, 3, h, w) of an exemplar (1, 3, H, W), both `reduced` by as much; 1 is the limit.

    Pictures with a side below SMALLEST, whose windows say nothing, have only their contrasts compared.
    """
    changed = contrast_change(exemplar, plane) / MOST_CHANGED
    halves = [shrink(picture, 1) for picture in (exemplar, plane)]
    if min(side for half in halves for side in half.shape[2:]) < SMALLEST:
        return round(changed, DIGITS)
    return round(max(changed, astray(*halves) / (MOST_ASTRAY_IN_STEP if in_step else MOST_ASTRAY)), DIGITS)


def astray(exemplar: Tensor, plane: Tensor) -> float:
    """The mean distance of windows of a plane (1, 3, h, w) to the nearest ones of the exemplar (1, 3, H, W), over that
    of its own windows to the nearest ones that do not overlap them."""
    rng = torch.Generator().manual_seed(0)
    basis = fit([exemplar], PATCH, COMPONENTS, rng)
    windows, strange = basis.describe(exemplar), basis.describe(plane)
    columns = exemplar.shape[3] - PATCH + 1
    keys, queries = (torch.randperm(len(windows), generator=rng)[:most] for most in (KEYS, QUERIES))
    drawn = strange[torch.randperm(len(strange), generator=rng)[:QUERIES]]
    places, others = (torch.stack([numbers // columns, numbers % columns], 1).float() for numbers in (queries, keys))
    near = torch.cdist(places, others, p=torch.inf) < PATCH
    within, across = _nearest(windows[queries], windows[keys], near), _nearest(drawn, windows[keys])
    return float(across.mean() / within.mean().clamp(min=1e-3))


def _nearest(queries: Tensor, keys: Tensor, near: Tensor | None = None) -> Tensor:
    """The distance of each window (n, D) to the nearest key (m, D), (n,), but for those that are `near`, (n, m)."""
    squares = torch.addmm(keys.square().sum(1), queries, keys.T.contiguous(), alpha=-2)
    least = squares if near is None else squares.masked_fill_(near, torch.inf)
    distances = (least.amin(1) + queries.square().sum(1)).clamp(min=0).sqrt()
    return distances[distances.isfinite()]


def contrast_change(exemplar: Tensor, plane: Tensor) -> float:
    """How much the deviations of brightness within small windows differ between two pictures: the mean over their
    quantiles of the absolute difference of the logarithms."""
    first, second = (_contrasts(picture) for picture in (exemplar, plane))
    return float((first - second).abs().mean())


def _contrasts(image: Tensor) -> Tensor:
    """Quantiles of the logarithm of the deviation within windows of (1, C, H, W), (CONTRASTS,)."""
    grey = image.mean(1, keepdim=True).double()
    mean, square = (F.avg_pool2d(values, CONTRAST_WINDOW, 1) for values in (grey, grey.square()))
    deviation = (square - mean.square()).clamp(min=LEAST_CONTRAST**2).sqrt().flatten().sort().values
    at = torch.linspace(*RANGE, CONTRASTS, dtype=torch.float64) * (len(deviation) - 1)
    return deviation[at.round().long()].log()
