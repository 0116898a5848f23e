"""Where the lamps of photographs stand, out of the photographs alone; `lights` has those of files and balls.

Without lamps the light of a matt surface is a product of rank 3, lamps times normals, known but for a linear map
(Hayakawa 1994). Lamps of equal brightness leave a rotation of it and a mirror image; that the surface is level on the
whole leaves one angle, that its slopes are those of a height (Belhumeur et al. 1999) settles this but for the choice of
hollows or bumps, and that shadows lie low settles that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.material import relief, stereo

UNTOLD = (
    "the photographs do not tell where the lamps stand: too little of the surface is lit in all of them, or it is flat "
    "or glossy; give --lights or --sphere"
)
COLOURED = 0.2  # how far colours must lie apart, as a share of their mean, to tell highlights
LOWEST, SURE = 0.05, 0.5  # the least z of a lamp, and the least share of pixels that the lamps must explain
LEAST_PIXELS = 200  # that are lit in all photographs
MOST_PIXELS = 4000  # that the lamps are told by
ROUNDS, SETTLED = 24, 1e-3
RING = 0.03  # how near lamps may come to stand in one ring, whose height nothing tells
RING_HEIGHT = 0.7071  # the sine of the height at which such a ring is taken to stand: 45 degrees
SEEN = 0.3  # the least z of normals whose slopes count
NEAR = 4  # pixels around a shadow, above whose height on average it does not lie
SHADOWS = 0.002  # the share of shadows from which on they tell hollows from bumps


@dataclass(frozen=True)
class LampEstimate:
    """Lamps (k, 3) of unit length, x to the right, y up and z to the viewer. is_ring: do they stand in one ring, so
    that their height is assumed? told_by_shadows: do shadows tell hollows from bumps, or only an assumption?"""

    lamps: Tensor
    is_ring: bool
    told_by_shadows: bool


def estimated(colours: Tensor) -> LampEstimate:
    """The lamps of six or more photographs in linear light (k, C, H, W) of a surface that is level on the whole, under
    equally bright lamps; raises InputError where photographs do not tell them."""
    light = colours.mean(1)
    rough, is_ring = _equally_bright(_factor(light.flatten(1), _matt(colours).flatten(1)))
    bright, weights = stereo.solved(light.flatten(1), rough)
    normals = F.normalize(bright, dim=0)
    sure = (weights.sum(0) > 2.5) & (bright.norm(dim=0) > stereo.NOISE)
    normals = normals * sure
    turn = _level(normals, light.shape[1:])
    lamps, normals = rough @ turn.T, turn @ normals
    flips, by_shadows = _hollow(light, normals, lamps)
    if flips:
        lamps = lamps * torch.tensor([-1.0, -1.0, 1.0])
    if float(lamps[:, 2].amin()) < LOWEST or float(sure.float().mean()) < SURE:
        raise InputError(UNTOLD)
    return LampEstimate(lamps, is_ring, by_shadows)


def _matt(colours: Tensor) -> Tensor:
    """The light (k, H, W) without highlights, of (k, C, H, W): these are white, and so the strongest of a pixel's three
    colours less the weakest has none (Mallick et al. 2005). Nothing of a grey surface is left."""
    whole = colours.mean(0, keepdim=True)
    strongest, weakest = (end.expand(len(colours), 1, -1, -1) for end in (whole.argmax(1, True), whole.argmin(1, True)))
    return (colours.gather(1, strongest) - colours.gather(1, weakest))[:, 0]


def _factor(light: Tensor, matt: Tensor) -> Tensor:
    """Lamps (k, 3) but for a linear map, of light (k, n) and that without highlights: the best rank 3 of what has
    neither shadow nor highlight."""
    scale = light.mean(0)
    lit = (light.amin(0) > 0.15 * scale) & (scale > 4 * stereo.NOISE)
    coloured = lit & (matt.mean(0) > COLOURED * scale) & (matt.amin(0) > 0)
    columns = matt[:, coloured] if int(coloured.sum()) > max(LEAST_PIXELS, 0.2 * int(lit.sum())) else light[:, lit]
    if columns.shape[1] < LEAST_PIXELS:
        raise InputError(UNTOLD)
    columns = (columns / columns.mean(0))[:, :: -(-columns.shape[1] // MOST_PIXELS)]
    strengths, basis = torch.linalg.eigh(columns @ columns.T / columns.shape[1])
    if strengths[-3] < 1e-5 * strengths[-1]:
        raise InputError("the photographs look alike; lamps in three or more places are needed")
    lamps: Tensor = basis[:, -3:] * strengths[-3:].sqrt()
    for _ in range(ROUNDS):
        bright, weights = stereo.solved(columns, lamps)
        before, lamps = lamps, torch.stack([_lamp(*each, bright) for each in zip(columns, weights, strict=True)])
        if float((lamps - before).norm()) < SETTLED * float(lamps.norm()):
            break
    return lamps


def _lamp(light: Tensor, weights: Tensor, bright: Tensor) -> Tensor:
    """The lamp (3,) of one photograph of pixels (n,) by weighted least squares, of normals times brightness (3, n)."""
    lamp: Tensor = torch.linalg.solve((weights * bright) @ bright.T, (weights * bright) @ light)
    return lamp


def _equally_bright(lamps: Tensor) -> tuple[Tensor, bool]:
    """The lamps after the linear map that gives all of them unit length, and do they stand in a ring, to which several
    maps do that? Of these one is taken that has the ring at RING_HEIGHT."""
    x, y, z = lamps.double().unbind(1)
    squares = torch.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], 1)
    scale = squares.norm(dim=0)
    u, sizes, v = torch.linalg.svd(squares / scale, full_matrices=False)
    is_ring = bool(sizes[-1] < RING * sizes[0])
    kept = 5 if is_ring else 6
    metric = (v[:kept].T @ ((u[:, :kept].T @ torch.ones_like(x)) / sizes[:kept])) / scale
    steps = torch.linspace(-30, 30, 1201).tolist() if is_ring else [0.0]
    every = [_rectified(lamps, metric + step * v[-1] / scale) for step in steps]
    choices = [each for each in every if each is not None]
    if not choices:
        raise InputError(UNTOLD)
    return min(choices, key=lambda each: abs(_ring_height(each) - RING_HEIGHT)), is_ring


def _rectified(lamps: Tensor, metric: Tensor) -> Tensor | None:
    """The lamps (k, 3) with unit length, by the six numbers of a symmetric matrix that says what unit length is; None
    where it cannot."""
    a, b, c, d, e, f = metric.tolist()
    values, vectors = torch.linalg.eigh(torch.tensor([[a, d, e], [d, b, f], [e, f, c]], dtype=torch.double))
    if not values[0] > 0:  # no lamps of one brightness
        return None
    return F.normalize(lamps.double() @ vectors * values.sqrt(), dim=1).float()


def _ring_height(lamps: Tensor) -> float:
    """The sine of the angle at which lamps stand above the plane of their ring."""
    middle = lamps.mean(0)
    axis = torch.linalg.svd(lamps - middle, full_matrices=False)[2][-1]
    spread = (lamps @ axis - middle @ axis).abs().amax()
    return abs(float(middle @ axis)) if spread < 0.1 else 2.0


def _level(normals: Tensor, size: tuple[int, ...]) -> Tensor:
    """The matrix (3, 3) that turns normals (3, H * W), which may be mirrored and are 0 where nothing is sure, so that
    they are level on the whole and those of a height."""
    sure = normals.norm(dim=0) > 0.5
    axis = F.normalize(normals[:, sure].mean(1), dim=0)
    for _ in range(20):  # until the mean of the slopes is 0
        facing = (axis @ normals).clamp(min=SEEN)
        axis = F.normalize((normals / facing)[:, sure].mean(1), dim=0)
    side = F.normalize(torch.linalg.cross(axis, torch.eye(3)[int(axis.abs().argmin())]), dim=0)
    upright = torch.stack([side, torch.linalg.cross(axis, side), axis])
    candidates = []
    for mirror in (1.0, -1.0):
        frame = torch.diag(torch.tensor([mirror, 1.0, 1.0])) @ upright
        candidates.append(_turned(frame, normals, size))
    return min(candidates, key=lambda each: each[0])[1]


def _turned(frame: Tensor, normals: Tensor, size: tuple[int, ...]) -> tuple[float, Tensor]:
    """How far slopes are from those of a height, after the turn about the z axis for which they are nearest, and that
    turn of a frame (3, 3)."""
    x, y, z = (frame @ normals).reshape(3, *size)
    sure = z > SEEN
    right, up = -x / z.clamp(min=SEEN), -y / z.clamp(min=SEEN)
    inner = sure[1:-1, 1:-1] & sure[:-2, 1:-1] & sure[2:, 1:-1] & sure[1:-1, :-2] & sure[1:-1, 2:]

    def along(values: Tensor) -> tuple[Tensor, Tensor]:
        across = values[1:-1, 2:] - values[1:-1, :-2]
        return across[inner], (values[:-2, 1:-1] - values[2:, 1:-1])[inner]

    (right_x, right_y), (up_x, up_y) = along(right), along(up)
    # After a turn by t the curl is cos t (d right / dy - d up / dx) - sin t (d up / dy + d right / dx).
    curl, spread = right_y - up_x, up_y + right_x
    weights = torch.ones_like(curl)
    angle = 0.0
    for _ in range(8):  # steps at edges are no slopes: they count less
        products = [float((weights * one * two).sum()) for one, two in ((curl, curl), (curl, spread), (spread, spread))]
        angle = 0.5 * math.atan2(2 * products[1], products[2] - products[0])
        rest = math.cos(angle) * curl - math.sin(angle) * spread
        weights = 1 / (1 + (rest / (rest.abs().median() * 3 + 1e-6)) ** 2)
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]]
    )
    whole = (curl.square() + spread.square()).sqrt().mean()
    return float(rest.abs().mean() / whole.clamp(min=1e-9)), turn @ frame


def _hollow(light: Tensor, normals: Tensor, lamps: Tensor) -> tuple[bool, bool]:
    """Are hollows and bumps exchanged? They are where shadows lie high; where there are none, lamps are taken to stand
    above the picture's middle on the whole. And do shadows tell it?"""
    size = light.shape[1:]
    shade = (light < stereo.BLACK * light.mean(0)).float().mean(0)
    upright = stereo.unit(normals).reshape(1, 3, *size)
    height = relief.heights(upright, (False, False), torch.device("cpu"))[0, 0]
    if float(shade.mean()) < SHADOWS:
        return float(lamps[:, 1].sum()) < 0, False
    around = F.avg_pool2d(height[None, None], 2 * NEAR + 1, 1, NEAR, count_include_pad=False)[0, 0]
    return float(((height - around) * shade).mean()) > 0, True
