"""What a field of freely turned copies may copy from: windows described in the frame of their own direction.

Guided correspondence (Zhou et al. 2023) needs a rotated copy of the exemplar for every direction. Here the local
direction is the x axis of every window, of sources and output alike: one copy serves all directions, and a match meets
the direction guide by itself. A direction holds up to half a turn; a window turned by that has the same descriptor but
for the signs of some components (principal directions of point-symmetric data are even or odd).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth import native
from texsynth.field.atlas import Atlas, spread
from texsynth.field.geometry import face_away, heading, turn_between
from texsynth.field.space import draw
from texsynth.task import Guide

WINDOWS_AT_ONCE = 1 << 10  # windows described at once: stays in the cache
WINDOWS_OF_A_STRIP = 1 << 14  # windows of which the picture is enlarged at once: bounds the memory
FINER = 4  # times as many lines as the picture has that on which windows are sampled
SAMPLED_WINDOWS = 8192  # windows from which principal directions are computed


@dataclass(frozen=True)
class Frames:
    """The local directions at the source pixels (N, 2) and at the output pixels (h, w, 2), as unit vectors: x right, y
    down. The opposite vector is the same direction."""

    source: Tensor
    target: Tensor

    def facing(self, index: Tensor, target: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The turn of copies of `index` (...) where the direction is `target` (..., 2), of the two the one nearer to
        `before` (..., 2); and whether that is half a turn from frame to frame, (...)."""
        turn = turn_between(self.source[index], target)
        back = face_away(turn, before)
        return torch.where(back[..., None], -turn, turn), back


@dataclass(frozen=True)
class TurnedBasis:
    """The principal directions of round windows, each in its own frame.

    kernel: (D, S, C), the directions, for windows of S points.
    mean: (D,), the mean window on these directions.
    mirror: (D,), 1 for even directions and -1 for odd ones, whose sign changes when a window turns by half a turn.
    grid: (S, 2), the points, (y, x) from the middle.
    variance: of whole windows, the unit of distances.
    vectors: as in an atlas.
    """

    kernel: Tensor
    mean: Tensor
    mirror: Tensor
    grid: Tensor
    variance: float
    vectors: int = 0

    def describe(self, picture: Tensor, place: Tensor, turn: Tensor) -> Tensor:
        """The descriptors (n, D) of the windows of (H, W, C) at `place` (n, 2), turned by the unit vectors (n, 2)."""
        parts, kernel, mean = [], self.kernel.flatten(1).T, -self.mean.expand(WINDOWS_AT_ONCE, -1)
        for strip, turns in zip(place.split(WINDOWS_OF_A_STRIP), turn.split(WINDOWS_OF_A_STRIP), strict=True):
            fine, at = _finer(picture, strip, self.grid)
            for some, way in zip(at.split(WINDOWS_AT_ONCE), turns.split(WINDOWS_AT_ONCE), strict=True):
                windows = in_frames(sample(fine, some, way, self.grid), way, self.vectors)
                parts.append(torch.addmm(mean[: len(some)], windows.flatten(1), kernel))
        table: Tensor = torch.cat(parts) * self.variance**-0.5
        return table


@dataclass(frozen=True)
class TurnedSpace:
    """What a field of freely turned copies may copy from at one level.

    table: (N, D) float32, the descriptor of each source pixel's window in its own frame.
    described: (N,) bool, which source pixels have a descriptor and so may be copied.
    damping: of slides along what hardly changes, in squared descriptors.
    """

    atlas: Atlas
    frames: Frames
    basis: TurnedBasis
    table: Tensor
    described: Tensor
    damping: float


def margin(patch: int) -> int:
    """The padding of an atlas whose windows turn: their longest reach, and two pixels to interpolate."""
    return math.ceil(patch // 2 + 0.75) + 2


def find_frames(guide: Guide, atlas: Atlas) -> Frames:
    """The frames that a guide of directions gives to the pixels of an atlas and of the output."""
    source, target = spread(guide.sources, atlas), guide.target.to(atlas.home.device)[0]
    return Frames(heading(torch.atan2(source[:, 1], source[:, 0])), heading(torch.atan2(target[1], target[0])))


def find_basis(atlas: Atlas, frames: Frames, patch: int, components: int, rng: torch.Generator) -> TurnedBasis:
    """The principal directions of round windows, `patch` pixels across, each in its own frame and turned by half a
    turn; a Gaussian (sigma = patch / 3) weights the middle over the rim."""
    device = atlas.colours.device
    # Sample windows, each in its own frame.
    ramp = torch.arange(patch, device=device) - float(patch // 2)
    grid = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij"), -1).view(-1, 2)
    grid = grid[grid.norm(dim=1) <= patch // 2 + 0.75]
    some = draw(atlas.valid.nonzero()[:, 0], SAMPLED_WINDOWS, rng)
    fine, at = _finer(*_stacked(atlas, some), grid)
    windows = in_frames(sample(fine, at, frames.source[some], grid), frames.source[some], atlas.vectors)
    windows, signs = windows.transpose(1, 2), _signs_of_half_a_turn(atlas)  # (n, C, S), (C, 1)
    weight = torch.exp(-grid.square().sum(1) / (2 * (patch / 3) ** 2)).sqrt()
    mean = (windows.mean(0) + signs * windows.mean(0).flip(-1)) / 2
    centred = (windows - mean) * weight
    # Find the principal directions of their even and of their odd part.
    parts = []
    for sign in (1, -1):  # turning by half a turn reverses the order of the points
        rows = (centred + sign * signs * centred.flip(-1)).flatten(1) / 2
        values, vectors = torch.linalg.eigh((rows.T @ rows / len(rows)).cpu().double())  # mps has no float64
        parts.append((values, vectors, torch.full_like(values, sign)))
    # Keep the strongest of both.
    values, vectors, mirror = (torch.cat(part, -1) for part in zip(*parts, strict=True))
    top = values.argsort(descending=True)[:components]
    kernel = vectors[:, top].T.float().to(device).reshape(len(top), len(signs), -1) * weight
    middle, kernel = (kernel * mean).sum((1, 2)), kernel.transpose(1, 2).contiguous()
    variance = max(float(values.clamp(min=0).sum()), 1e-8)
    return TurnedBasis(kernel, middle, mirror[top].float().to(device), grid, variance, atlas.vectors)


def in_frames(windows: Tensor, turn: Tensor, vectors: int) -> Tensor:
    """Windows (n, S, C), of whose channels after the colours so many pairs are vectors (x, y), as they are in frames
    that are turned by the unit vectors (n, 2)."""
    if vectors == 0:
        return windows
    (cos, sin), out = turn[:, None].unbind(-1), windows.clone()
    for first in range(3, 3 + 2 * vectors, 2):
        x, y = windows[..., first], windows[..., first + 1]
        out[..., first], out[..., first + 1] = cos * x + sin * y, cos * y - sin * x
    return out


def _signs_of_half_a_turn(atlas: Atlas) -> Tensor:
    """What half a turn makes of each channel, beside moving it: -1 of vectors and 1 of all else, (C, 1)."""
    signs = torch.ones(atlas.compared.shape[1], 1, device=atlas.device)
    signs[3 : 3 + 2 * atlas.vectors] = -1
    return signs


def describe(atlas: Atlas, frames: Frames, basis: TurnedBasis, wanted: Tensor, rng: torch.Generator) -> TurnedSpace:
    """The space of the `wanted` (N,) bool source pixels, which must all be valid; others cannot be copied."""
    table = torch.zeros(len(wanted), len(basis.mean), device=wanted.device)
    some = wanted.nonzero()[:, 0]
    table[some] = basis.describe(*_stacked(atlas, some), frames.source[some])
    space = TurnedSpace(atlas, frames, basis, table, wanted, 0.0)
    down, right = slopes(space, draw(some, SAMPLED_WINDOWS, rng))
    steep = float((down.square() + right.square()).sum(1).mean())
    return replace(space, damping=max(0.1 * steep, 1e-8))


def slopes(space: TurnedSpace, index: Tensor) -> tuple[Tensor, Tensor]:
    """How descriptors change from pixel to pixel, down and right, at `index` (n,): (n, D) each, 0 beside what has no
    descriptor."""

    def slope(step: int) -> Tensor:
        ahead, behind = index + step, index - step
        both = (space.described[ahead] & space.described[behind])[:, None]
        return (aligned(space, ahead, index) - aligned(space, behind, index)) * both / 2

    return slope(space.atlas.row), slope(1)


def between(space: TurnedSpace, index: Tensor, plane: Tensor, place: Tensor) -> Tensor:
    """Descriptors (n, D) at places (n, 2) in planes (n,): the bilinear mean of those of the four pixels around, in the
    frame of the nearest pixel `index` (n,)."""
    atlas = space.atlas
    whole = place.floor()
    part, (y, x) = place - whole, whole.long().unbind(1)
    out, weight = torch.zeros_like(space.table[index]), torch.zeros_like(part[:, 0])
    for dy, along in ((0, 1 - part[:, 0]), (1, part[:, 0])):
        for dx, across in ((0, 1 - part[:, 1]), (1, part[:, 1])):
            corner = atlas.join(plane, y + dy, x + dx)
            share = along * across * space.described[corner]
            out += share[:, None] * aligned(space, corner, index)
            weight += share
    return out / weight.clamp(min=1e-6)[:, None]


def aligned(space: TurnedSpace, index: Tensor, to: Tensor) -> Tensor:
    """The descriptors (n, D) of `index` (n,), turned by half a turn where the frames of `to` (n,) face away."""
    away = face_away(space.frames.source[index], space.frames.source[to])
    return half_turned(space.table[index], away, space)


def half_turned(descriptors: Tensor, back: Tensor, space: TurnedSpace) -> Tensor:
    """The descriptors (n, D) of the same windows, turned by half a turn where `back` (n,) bool."""
    return descriptors * torch.where(back[:, None], space.basis.mirror, 1.0)


def sample(fine: Tensor, place: Tensor, turn: Tensor, grid: Tensor) -> Tensor:
    """The values (n, S, C) of a picture that was made FINER, (H, W, C), at its pixels nearest to `place` (n, 2) +
    `grid` (S, 2), turned by the unit vectors (n, 2), all in pixels of the picture as it was; beyond the border, those
    on it."""
    place, grid = place * FINER, grid * FINER
    if twin := native.kernel("turned_windows", fine, place, turn, grid):
        values: Tensor = twin(fine, place, turn, grid)
        return values
    height, width = fine.shape[:2]
    (cos, sin), (down, right) = turn[..., None].unbind(1), grid.unbind(1)
    y = (place[:, :1] + (sin * right + cos * down)).add_(0.5).clamp_(0, height - 1).long()
    x = (place[:, 1:] + (cos * right - sin * down)).add_(0.5).clamp_(0, width - 1).long()
    return fine.flatten(0, 1).index_select(0, (y * width + x).flatten()).view(*y.shape, -1)


def _finer(picture: Tensor, place: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """As much of a picture (H, W, C) as windows on `grid` (S, 2) at `place` (n, 2) see, FINER by bilinear
    interpolation, (h, w, C); and where the windows lie in this part of the picture, (n, 2)."""
    reach, rows = math.ceil(float(grid.norm(dim=1).max())) + 1, place[:, 0]
    top = max(0, int(rows.min()) - reach)
    part = picture[top : int(rows.max()) + reach + 1]
    return _enlarged(_enlarged(part, 0), 1), place - place.new_tensor([top, 0])


def _enlarged(picture: Tensor, dim: int) -> Tensor:
    """A picture (H, W, C) with FINER times as many lines along `dim`, its own among them, and mixtures between."""
    first, second = picture.narrow(dim, 0, picture.shape[dim] - 1), picture.narrow(dim, 1, picture.shape[dim] - 1)
    mixed = [first * (1 - n / FINER) + second * (n / FINER) for n in range(FINER)]
    between = torch.stack(mixed, dim + 1).flatten(dim, dim + 1)
    return torch.cat([between, picture.narrow(dim, picture.shape[dim] - 1, 1)], dim)


def _stacked(atlas: Atlas, index: Tensor) -> tuple[Tensor, Tensor]:
    """All planes above each other, (P * rows, row, C), and where the pixels `index` (n,) lie in that, (n, 2)."""
    return atlas.compared.unflatten(0, (-1, atlas.row)), torch.stack(
        [index // atlas.row, index % atlas.row], -1
    ).float()
