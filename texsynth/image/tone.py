"""Tone: a smooth change of colours after which parts that come from several places meet without a visible step.

This is Poisson image editing (Pérez et al. 2003) with soft constraints. The change x of every pixel minimises

    E(x) = sum over neighbours   w (x_b - x_a - d)^2       how much it shall grow from a pixel to the next one
         + sum over pixels       h x^2                     it fades where nothing asks for it

so that it is smooth where d = 0, and has sharp steps where parts meet. The equations are solved by multigrid on cells
(Wesseling 1988, "Cell-centered multigrid for interface problems": residuals are added up, corrections interpolated
linearly), in a fixed number of cycles, time and memory that grow with the pixels.

Differs from the paper in: a large d is rather a fault of shape than one of tone, so it hardly counts (`confidence`); no
change is larger than LARGEST_CHANGE; and it fades, so that no colour bleeds far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import native
from texsynth.image.rows import interpolated

LARGEST_CHANGE = 0.25  # of a colour in [0, 1]
USUAL_STEP = 0.08  # of tone; larger differences are likelier faults of shape
FIXED = 1e6  # the price of a change where there shall be none
CYCLES = 3  # leave an error of a seventh of a level of 255 at the most where the prices are even
UNEVEN_CYCLES = 8  # the same beside pixels that must not change, and between uneven weights
SWEEPS = 2  # of damped Jacobi before and after each coarser correction
DAMPING = 0.8
COARSEST_SIDE, COARSEST_SWEEPS = 4, 40
SETTLED = 0.0015  # the most that a sweep still moves a cell in the end; cycles that leave more have not come near
DIGITS = 3  # of the length of a correction, so that it does not depend on the order of sums


@dataclass(frozen=True)
class Equations:
    """One level of the equations.

    weights: for the y and the x axis, w between each cell and the next one, (1, 1, h, w); 0 in the last row or column
        of an axis that does not wrap. hold: (1, 1, h, w), h of each cell.
    """

    weights: tuple[Tensor, Tensor]
    hold: Tensor

    @property
    def step(self) -> Tensor:
        """The share of its residual by which a sweep moves a cell, (1, 1, h, w)."""
        pulls = [weight + weight.roll(1, dim) for dim, weight in enumerate(self.weights, 2)]
        return DAMPING / (self.hold + pulls[0] + pulls[1]).clamp_min(1e-12)

    def coarser(self) -> Equations:
        """The equations of cells of 2 x 2: the last row or column of an odd number is a cell of its own."""
        y, x = (_even(weight) for weight in self.weights)
        down = (y[:, :, 1::2, 0::2] + y[:, :, 1::2, 1::2]) / 2
        right = (x[:, :, 0::2, 1::2] + x[:, :, 1::2, 1::2]) / 2
        return Equations((down, right), _sums(self.hold))

    def residual(self, x: Tensor, goal: Tensor) -> Tensor:
        """By how much the equations are missed, (1, C, h, w)."""
        rest = goal - self.hold * x
        for dim, weight in enumerate(self.weights, 2):
            flow = x.roll(-1, dim).sub_(x).mul_(weight)
            rest.add_(flow).sub_(flow.roll(1, dim))
        return rest


def confidence(lack: Tensor, weight: Tensor | float = 1.0, doubt: Tensor | float = 0.0) -> Tensor:
    """The weight w of wanted differences of tone (n, C, ...): (n, 1, ...).

    weight: w of a difference of 0. doubt: what else speaks against a difference, 1 for as much as a USUAL_STEP does.
    """
    return weight / (1 + lack.square().mean(1, keepdim=True) / USUAL_STEP**2 + doubt) ** 2


def seam_correction(steps: Sequence[tuple[Tensor, Tensor]], hold: Tensor, tile: tuple[bool, bool]) -> Tensor:
    """What to add to cells so that they meet, (1, 3, h, w).

    steps: for the y and the x axis, by how much the change shall grow from each cell to the next one, (1, 3, h, w), and
    the weight of that, (1, 1, h, w); 0 in the last row or column of an axis that does not wrap. hold: (1, 1, h, w), the
    price h of a change. tile: whether the cells wrap in (y, x).
    """
    (down, first), (right, second) = steps
    goal = torch.zeros_like(down)
    for dim, flow in ((2, first * down), (3, second * right)):
        goal += flow.roll(1, dim) - flow
    return change(Equations((first, second), hold), goal, tile, UNEVEN_CYCLES)


def change(grid: Equations, goal: Tensor, tile: tuple[bool, bool], cycles: int = CYCLES) -> Tensor:
    """The x (1, C, h, w) that minimises E, kept within LARGEST_CHANGE.

    goal: (1, C, h, w), in each pixel the sum of w d from the pixels before it, less that to the pixels after it. tile:
    whether the picture wraps in (y, x).
    """
    grids, goals = [grid], [goal]
    while min(grids[-1].hold.shape[2:]) > COARSEST_SIDE:
        grids.append(grids[-1].coarser())
        goals.append(_sums(goals[-1]))
    x = _solved(grids, goals, tile, cycles, measured=False)
    if float((grid.residual(x, goal) * grid.step).abs().max()) > SETTLED:
        x = _solved(grids, goals, tile, UNEVEN_CYCLES, measured=True)
    return x.clamp_(-LARGEST_CHANGE, LARGEST_CHANGE)


def _solved(
    grids: Sequence[Equations], goals: Sequence[Tensor], tile: tuple[bool, bool], cycles: int, measured: bool
) -> Tensor:
    """The x of the finest of these grids, after so many cycles there and one at each coarser one; see `_cycle`."""
    x = torch.zeros_like(goals[-1])
    for level in reversed(range(len(grids))):
        if level < len(grids) - 1:
            x = _finer(x, goals[level].shape[2:], tile)
            x = x * (grids[level].hold < FIXED) if measured else x
        for _ in range(1 if level else cycles):
            x = _cycle(grids[level:], x, goals[level], tile, measured)
    return x


def _cycle(
    grids: Sequence[Equations], x: Tensor, goal: Tensor, tile: tuple[bool, bool], measured: bool = False
) -> Tensor:
    """A better x, by one V-cycle from the finest of these grids down and back.

    measured: Is each correction taken as far as E falls along it? Else it is taken as it is, which leads away from the
    minimum where many thin parts may change and all between them must not.
    """
    grid, step = grids[0], grids[0].step
    if len(grids) == 1:
        return _swept(grid, step, x, goal, COARSEST_SWEEPS)
    x = _swept(grid, step, x, goal, SWEEPS)
    missed = grid.residual(x, goal)
    rest = _sums(missed)
    better = _finer(_cycle(grids[1:], torch.zeros_like(rest), rest, tile, measured), goal.shape[2:], tile)
    if measured:
        better = better * (grid.hold < FIXED)
        better = better * _length(grid, better, missed)
    return _swept(grid, step, x + better, goal, SWEEPS)


def _length(grid: Equations, correction: Tensor, missed: Tensor) -> Tensor:
    """How far E falls along a correction (1, C, h, w) of each channel, in its own lengths: (1, C, 1, 1).

    missed: (1, C, h, w), the residual before it.
    """
    pull = -grid.residual(correction, torch.zeros_like(correction))
    fall, rise = ((correction * each).cpu().double().sum((2, 3), keepdim=True) for each in (missed, pull))
    return (fall / rise.clamp_min(1e-12)).round(decimals=DIGITS).to(correction)


def _swept(grid: Equations, step: Tensor, x: Tensor, goal: Tensor, sweeps: int) -> Tensor:
    parts = [part.contiguous() for part in (*grid.weights, grid.hold, step, x, goal)]
    if twin := native.kernel("relaxed", *parts):
        better: Tensor = twin(*parts, sweeps)
        return better
    for _ in range(sweeps):
        x = grid.residual(x, goal).mul_(step).add_(x)
    return x


def _even(values: Tensor) -> Tensor:
    """Values (1, C, h, w) with the last row and column twice where their number is odd."""
    for dim in (2, 3):
        if values.shape[dim] % 2:
            values = torch.cat([values, values.narrow(dim, values.shape[dim] - 1, 1)], dim)
    return values


def _sums(values: Tensor) -> Tensor:
    """The sums of cells of 2 x 2, (1, C, h, w) -> (1, C, ceil(h / 2), ceil(w / 2))."""
    h, w = values.shape[2:]
    if h % 2 or w % 2:
        values = F.pad(values, (0, w % 2, 0, h % 2))
    rows = values[:, :, 0::2] + values[:, :, 1::2]
    return rows[..., 0::2] + rows[..., 1::2]


def _finer(x: Tensor, size: Sequence[int], tile: tuple[bool, bool]) -> Tensor:
    """Cells interpolated to a grid twice as fine, of `size` (h, w)."""
    for dim, wraps in enumerate(tile, 2):
        first, last = x.narrow(dim, 0, 1), x.narrow(dim, x.shape[dim] - 1, 1)
        x = torch.cat([last, x, first] if wraps else [first, x, last], dim)
    return interpolated(x, [2 * side for side in x.shape[2:]])[:, :, 2 : 2 + size[0], 2 : 2 + size[1]]
