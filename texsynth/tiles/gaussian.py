"""The Gaussian texture of an exemplar, and the table that turns it back.

Heitz & Neyret 2018 and Deliot & Heitz 2019: colours are taken along their principal axes, and each axis by itself is
mapped by ranks to a normal distribution, so that sums of such textures have it again and the inverse table gives the
colours' own distribution back. Rows of the table for mip levels are blurred by the variance that the level has lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.tiles.blending import TABLE_WIDTH, Gaussian, Slopes, mixed_colours, normals_of, reduced, slopes_of
from texsynth.tiles.periodic import Fade, faded
from texsynth.tiles.side_by_side import each

SIGMA = 1 / 8  # of T: its ends, where the table ends, are four deviations from the middle
REACH = 6.0  # deviations, within which the distribution is integrated
FINE = 1 << 12  # places at which it is
SAMPLES = 1 << 19  # values, at the least, that stand for those of a larger texture
NARROWEST = 0.25  # of a step of the table: the deviation by which its first row is blurred
ROUNDS = 4  # of putting right what a blend makes of colours
TRIALS = 1 << 17  # pixels that are blended to see what becomes of colours
LEAST_DEVIATION = 1e-5  # of colours: less has no direction
FLAT = 1e-2  # of the pixels: more with one value are ordered by what lies round them
TIE = 1e-7  # of a value, by which they are
BLURS = (3, 24)  # pixels: the windows whose means order equal values


def principal(colours: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (C,) of colours (1, C, H, W), and their principal axes (C, C), as columns of length 1, the longest
    first."""
    flat = colours[0].flatten(1).double()
    mean = flat.mean(1)
    if len(flat) == 1:
        return mean.float(), torch.ones(1, 1)
    centred = flat - mean[:, None]
    axes = torch.linalg.eigh(centred @ centred.T / flat.shape[1]).eigenvectors.flip(1)
    axes = axes * axes[axes.abs().argmax(0), torch.arange(len(axes))].sign()  # of either direction, one
    return mean.float(), axes.float()


def ranked(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values (H, W) as deviations of a normal distribution, by their ranks, (H, W); and the values, sorted, (H * W,).

    Where many values are equal, as in maps of 8 bits, they are ordered by the means of ever larger windows round them,
    so that flat parts become smooth slopes and no noise.
    """
    quantiles, order = values.flatten().sort(stable=True)
    if _is_flat(quantiles):
        near = sum(_mean(values.double(), radius) * 0.1**number for number, radius in enumerate(BLURS))
        order = (values.double() + TIE * near).flatten().argsort(stable=True)
    shares = (torch.arange(values.numel(), dtype=torch.float64) + 0.5) / values.numel()
    deviations = torch.empty(values.numel())
    deviations[order] = (math.sqrt(2) * torch.erfinv(2 * shares - 1)).float()
    return deviations.reshape(values.shape), quantiles


def normal_again(deviations: Tensor) -> Tensor:
    """Deviations (H, W), whose distribution is nearly normal, as such of a normal one; by some of them, where there are
    many."""
    flat = deviations.flatten()
    some = flat[:: max(1, len(flat) // SAMPLES)].sort().values
    places = torch.linspace(-REACH, REACH, FINE)
    ranks = torch.searchsorted(some, places).double() + torch.searchsorted(some, places, right=True)
    shares = (ranks / (2 * len(some))).clamp(0.5 / len(some), 1 - 0.5 / len(some))
    curve = torch.special.ndtri(shares).float()
    place = ((deviations + REACH) * ((FINE - 1) / (2 * REACH))).clamp(0, FINE - 1)
    left = place.long().clamp(max=FINE - 2)
    return torch.lerp(curve[left], curve[left + 1], place - left)


def _is_flat(quantiles: Tensor) -> bool:
    """Are there values, of these sorted ones, of which many are equal?"""
    ahead = max(1, int(FLAT * len(quantiles)))
    return bool((quantiles[ahead:] == quantiles[:-ahead]).any())


def _mean(values: Tensor, radius: int) -> Tensor:
    """The mean over a window of 2 * radius + 1 pixels a side round each of (H, W), as far as there is one."""
    for dim in (0, 1):
        size = values.shape[dim]
        sums = F.pad(values, (0, 0, 1, 0) if dim == 0 else (1, 0)).cumsum(dim)
        place = torch.arange(size)
        last, first = (place + radius + 1).clamp(max=size), (place - radius).clamp(min=0)
        count = (last - first).reshape((-1, 1) if dim == 0 else (1, -1))
        values = (sums.index_select(dim, last) - sums.index_select(dim, first)) / count
    return values


def table(quantiles: Tensor, lost: Sequence[float]) -> Tensor:
    """The table (levels, TABLE_WIDTH) of one channel: its value at each deviation from -1/2 to 1/2 over SIGMA.

    quantiles: the values, sorted. lost: the share of the variance of T that is gone at each level.
    """
    fine = torch.linspace(-REACH, REACH, FINE, dtype=torch.float64)
    place = (torch.special.ndtr(fine) * len(quantiles) - 0.5).clamp(0, len(quantiles) - 1)
    left = place.floor().long().clamp(max=max(0, len(quantiles) - 2))
    right = (left + 1).clamp(max=len(quantiles) - 1)
    share = place - left
    values = quantiles[left].double() * (1 - share) + quantiles[right].double() * share
    at = (torch.linspace(0, 1, TABLE_WIDTH, dtype=torch.float64) - 0.5) / SIGMA
    step = 1 / (TABLE_WIDTH - 1) / SIGMA
    rows = []
    for part in lost:
        sigma = max(math.sqrt(part), NARROWEST * step)
        weights = torch.exp(-0.5 * ((fine - at[:, None]) / sigma) ** 2)
        rows.append((weights @ values / weights.sum(1)).float())
    return torch.stack(rows)


def lost(deviations: Tensor) -> list[float]:
    """The share of the variance that each mip level of (H, W), which repeats, has lost where it is read between its
    pixels; 0 at the first one, whose pixels are read as they are."""
    whole = deviations[None, None]
    variance = max(float(whole.var()), 1e-12)
    levels = max(1, math.floor(math.log2(max(deviations.shape))) + 1)
    left = [1.0, *(float(_read_between(reduced(whole, level))) / variance for level in range(1, levels))]
    return [max(0.0, 1 - share) for share in left]


def _read_between(values: Tensor) -> Tensor:
    """The variance of (1, 1, H, W), with a mean of 0, at places between its pixels: the mean of that of linear sums."""
    near = values
    for dim in (2, 3):
        near = near * (2 / 3) + (near.roll(1, dim) + near.roll(-1, dim)) / 6
    return (values * near).mean()


def gaussian(colours: Tensor, how: Fade, offsets: Tensor | None = None) -> Gaussian:
    """A texture (1, C, H, W), C = 1 or 3, ready to be blended.

    how: its borders fade. offsets: (N, 2), all offsets (x, y) in its pixels at which it is drawn; None for any, which
    have nothing in common.
    """
    mean, axes = principal(colours)
    along = torch.einsum("dc,chw->dhw", axes.T, colours[0] - mean[:, None, None])
    pairs = each(ranked, along)
    deviations = torch.stack([part for part, _ in pairs])[None]
    wrapped = faded(deviations, how, common(deviations, offsets))
    if how.reach != (0, 0):
        wrapped = torch.stack(each(normal_again, wrapped[0]))[None]
    low = torch.stack([quantiles[0] for _, quantiles in pairs])
    span = torch.stack([quantiles[-1] for _, quantiles in pairs]) - low
    lows_and_spans = zip(pairs, wrapped[0], low, span, strict=True)

    def scaled(part: tuple[tuple[Tensor, Tensor], Tensor, Tensor, Tensor]) -> Tensor:
        (_, quantiles), deviations, first, width = part
        return (table(quantiles, lost(deviations)) - first) / (width if width > 0 else 1.0)

    rows = torch.stack(each(scaled, lows_and_spans))
    texture = (0.5 + SIGMA * wrapped).clamp(0, 1)
    return Gaussian(texture, rows.clamp(0, 1), common(wrapped, offsets), mean + axes @ low, axes * span)


def corrected(layer: Gaussian, colours: Tensor, sharpness: float, offsets: Tensor | None) -> Gaussian:
    """A layer whose blend has the mean and the covariances of the colours (1, C, H, W) that it was made of.

    Axes that do not correlate may depend on each other all the same, as where moss is green and stones are grey, and
    then a blend mixes them in other proportions. What it makes of them needs no picture, only some pixels; the linear
    map that puts it right with the least change (optimal transport between normal distributions) joins the axes.
    """
    samples, weights = _drawn(layer, sharpness, offsets)
    flat = colours[0].flatten(1).double()
    mean, wanted = flat.mean(1), torch.cov(flat).reshape(len(flat), len(flat))
    least, ends = LEAST_DEVIATION**2 * torch.eye(len(flat), dtype=torch.float64), (float(flat.min()), float(flat.max()))
    for _ in range(ROUNDS):  # what a file cuts off at its ends is not linear
        blended = mixed_colours(layer, samples, weights).double().clamp(*(min(ends[0], 0.0), max(ends[1], 1.0)))
        there, before = blended.mean(1), torch.cov(blended).reshape(len(flat), len(flat))
        root = _root(before + least)
        inverse = torch.linalg.inv(root)
        change = inverse @ _root(root @ (wanted + least) @ root) @ inverse
        origin = mean + change @ (layer.origin.double() - there)
        layer = replace(layer, origin=origin.float(), axes=(change @ layer.axes.double()).float())
    return layer


def _root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root


def _drawn(layer: Gaussian, sharpness: float, offsets: Tensor | None) -> tuple[Tensor, Tensor]:
    """What pixels of the plane anywhere are blended of: samples (3, C, TRIALS) with their weights (3, TRIALS)."""
    rng = torch.Generator().manual_seed(0)
    height, width = layer.texture.shape[2:]
    y, x = torch.randint(height, (TRIALS,), generator=rng), torch.randint(width, (TRIALS,), generator=rng)
    if offsets is None:
        moves = torch.stack([torch.randint(side, (3, TRIALS), generator=rng) for side in (width, height)], -1)
    else:
        moves = offsets[torch.randint(len(offsets), (3, TRIALS), generator=rng)]
    samples = layer.texture[0][:, (y + moves[..., 1]) % height, (x + moves[..., 0]) % width].movedim(1, 0)
    shares = -torch.rand(3, TRIALS, generator=rng).clamp(min=1e-9).log()  # evenly over a triangle, by their sum
    weights = (shares / shares.sum(0)) ** sharpness
    return samples, weights / weights.sum(0)


def slopes(normals: Tensor, how: Fade, offsets: Tensor | None = None) -> Slopes:
    """A normal map (1, 3, H, W) ready to be blended; see `gaussian`. Its pixels stay as they are but near borders."""
    values = slopes_of(normals)
    mean = values.mean((0, 2, 3))
    centred = values - mean[:, None, None]
    wrapped = faded(centred, how, common(centred, offsets))
    texture = torch.where(wrapped == centred, 1, 0).amin(1, keepdim=True)
    map_ = torch.where(texture == 1, normals, normals_of(wrapped + mean[:, None, None]))
    return Slopes(map_, mean, common(wrapped, offsets))


def common(values: Tensor, offsets: Tensor | None) -> Tensor:
    """The share (C,) of the variance of (1, C, H, W) with a mean of 0 that is the same, on average, at two of the
    offsets (N, 2) in pixels (x, y)."""
    if offsets is None:
        return torch.zeros(values.shape[1])
    spectrum = torch.fft.rfft2(values[0])
    correlation = torch.fft.irfft2(spectrum * spectrum.conj(), s=values.shape[2:])
    alike = correlation[:, offsets[:, 1], offsets[:, 0]].mean(1) / correlation[:, 0, 0].clamp(min=1e-12)
    shares: Tensor = alike.clamp(0, 1)
    return shares
