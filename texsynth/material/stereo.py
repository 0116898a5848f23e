"""Photometric stereo: the normals and the colours of a surface from photographs of one view under different lamps.

A matt surface of colour r and normal n, under a distant lamp in the direction l, is as bright as r n.l (Woodham 1980);
three lamps give n and r by least squares. Shadows and highlights obey another law. So each pixel first takes the three
photographs that explain most of all (least median of squares, as in Rousseeuw 1984, here with truncated squares and
all triples), and then those photographs that agree with them, by weights that fall with the difference.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import rows

MOST_TRIPLES = 64  # that are tried
UPRIGHT = 0.3  # the least volume that three lamps span, as a share of the largest, for them to be tried
AGREES, EXACT = 0.06, 0.03  # differences, as shares of a pixel's brightness: still the same law; as good as noise
BLACK = 0.1  # as a share of a pixel's brightness: in shadow, and never one of the three
DARK, DIM = 0.3, 2.0  # what is brighter and yet darker than it should be costs so many times as much: highlights add
TIE = 0.1  # by how much the cost of all photographs must fall for three of them to count
NOISE = 0.002  # of linear light, of photographs of 8 bits
SHADED = 0.25  # what a photograph in shadow costs, as a share of one that does not agree
ROUNDS = 4
UNSURE = 2.5  # photographs: where fewer agree, nothing is told
FLATTEST = 0.15  # the least z of a normal: what is turned further away is not seen
AT_ONCE = 1 << 16  # pixels


def solved(light: Tensor, lamps: Tensor) -> tuple[Tensor, Tensor]:
    """Normals times brightness (3, n) of pixels in linear light (k, n), under lamps (k, 3) of unit length, and how much
    each photograph counts at each pixel (k, n), in [0, 1]."""
    if len(lamps) == 3:
        return torch.linalg.inv(lamps) @ light, torch.ones_like(light)
    parts = [_robust(part, lamps) for part in light.split(AT_ONCE, 1)]
    return torch.cat([part[0] for part in parts], 1), torch.cat([part[1] for part in parts], 1)


def unit(bright: Tensor) -> Tensor:
    """The unit normals (3, n) of normals times brightness; upright where nothing is seen."""
    upright = torch.zeros_like(bright)
    upright[2] = 1.0
    length = bright.norm(dim=0, keepdim=True)
    normals = torch.where(length > NOISE, bright / length.clamp(min=NOISE), upright)
    normals = torch.cat([normals[:2], normals[2:].clamp(min=FLATTEST)])
    return F.normalize(normals, dim=0)


def albedo(light: Tensor, lamps: Tensor, normals: Tensor, weights: Tensor) -> Tensor:
    """The part of the light that a surface gives back, (c, n), by pixels (k, c, n), normals (3, n) and weights (k, n)
    of the photographs."""
    facing = (lamps @ normals).clamp(min=0)
    shares = weights * facing
    return (shares[:, None] * light).sum(0) / (shares * facing).sum(0).clamp(min=1e-4)


def mended(values: Tensor, agreeing: Tensor) -> Tensor:
    """Values (1, C, H, W) in which those of pixels that fewer than UNSURE photographs agree about (1, 1, H, W) are the
    mean of their neighbours'."""

    def make(top: int, bottom: int) -> Tensor:
        part, inner = rows.around(values, top, bottom, 2)
        count, _ = rows.around(agreeing, top, bottom, 2)
        weights = torch.where(count < UNSURE, 1e-3 * count + 1e-6, count)
        near = F.avg_pool2d(part * weights, 5, 1, 2) / F.avg_pool2d(weights, 5, 1, 2)
        return torch.where(count < UNSURE, near, part)[:, :, inner]

    return rows.composed(values.shape, make, values, agreeing)


def _robust(light: Tensor, lamps: Tensor) -> tuple[Tensor, Tensor]:
    """As `solved`, of four photographs or more."""
    scale = light.mean(0)
    best = _best(light, lamps, scale)
    weights = torch.zeros_like(light)
    for _ in range(ROUNDS):
        predicted = lamps @ best
        off = (light - predicted) / (EXACT * scale + NOISE)
        weights = torch.where((predicted > 0) & (light > NOISE), 1 / (1 + off**2) ** 2, torch.zeros(()).to(light))
        best = _weighted(light, lamps, weights, best)
    return best, weights


def _triples(lamps: Tensor) -> list[tuple[int, int, int]]:
    """Threes of lamps that do not lie near one plane."""
    every = list(combinations(range(len(lamps)), 3))
    volumes = torch.linalg.det(torch.stack([lamps[list(each)] for each in every])).abs()
    wide = [each for each, volume in zip(every, volumes.tolist(), strict=True) if volume >= UPRIGHT * volumes.max()]
    return wide[:: -(-len(wide) // MOST_TRIPLES)]


def _best(light: Tensor, lamps: Tensor, scale: Tensor) -> Tensor:
    """The normals times brightness (3, n) of those three photographs that most others agree with, or of all of them
    where that explains as many."""
    tolerance = AGREES * scale + NOISE
    best: Tensor = torch.zeros(3, light.shape[1], device=light.device)
    least = torch.full_like(scale, torch.inf)
    for chosen in (list(range(len(lamps))), *map(list, _triples(lamps))):
        bright = torch.linalg.pinv(lamps[chosen]) @ light[chosen]
        predicted = lamps @ bright
        off = (light - predicted.clamp(min=0)) / tolerance
        dim = (off < 0) & (light > DARK * scale)  # too dark, and in no shadow
        off = off.square_().clamp_(max=1)
        off = torch.where(dim, DIM * off, off)
        off = torch.where(predicted <= 0, off.clamp(min=SHADED), off)  # what agrees with a shadow says little
        cost = off.sum(0) + (light[chosen] < BLACK * scale).sum(0)
        better = cost < least - TIE
        least = torch.where(better, cost, least)
        best = torch.where(better, bright, best)
    return best


def _weighted(light: Tensor, lamps: Tensor, weights: Tensor, before: Tensor) -> Tensor:
    """Weighted least squares (3, n), drawn a little to what was there before where few photographs count."""
    pull = 1e-3
    products = torch.einsum("kn,ki,kj->ijn", weights, lamps, lamps) + pull * torch.eye(3).to(lamps)[..., None]
    right = torch.einsum("kn,ki->in", weights * light, lamps) + pull * before
    first, second, third = products
    # The inverse of a symmetric matrix of 3 x 3 by cross products of its rows.
    minors = [torch.linalg.cross(*pair, dim=0) for pair in ((second, third), (third, first), (first, second))]
    determinant = (first * minors[0]).sum(0).clamp(min=1e-9)
    solution: Tensor = torch.stack([(minor * right).sum(0) for minor in minors]) / determinant
    return solution
