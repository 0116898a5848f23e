"""Feature transport onto a style: the four matching strategies of Optimal Textures (Risser 2020).

Features are rows. Three strategies are affine, and give the rows the mean and covariance of the style in one step:
`pca` by both principal square roots, `cholesky` by both triangular ones, `symmetric` by the optimal transport of normal
distributions, which moves the rows least. `cdf` moves every channel by its own quantiles; with random rotations
(`match`) that is sliced transport, which compares whole distributions and takes several rounds.

Differs from the released code in: quantiles are exact, by sorting, where it has histograms of 256 bins; the ridge is
1e-5 of the mean variance, where it adds 1, which takes many rounds to undo; principal axes are of centred rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RIDGE = 1e-5  # of the mean variance, so that directions without variance are not divided by
SMALLEST_VARIANCE = 1e-10  # for rows that are all alike
ROWS_IN_FLOAT64 = 1 << 16  # at a time

Match = Callable[[Tensor, Tensor], Tensor]  # rows (N, C), style (M, C) -> (N, C)


def cdf(target: Tensor, style: Tensor) -> Tensor:
    """Give each channel of (N, C) the quantiles of the same channel of (M, C), in the order that its rows had: (N, C).

    With N = M the values are exactly the style's; otherwise its sorted values are interpolated at N even ranks.
    """
    order = target.T.sort(1).indices  # (C, N)
    quantiles = style.T.sort(1).values  # (C, M)
    if len(target) != len(style):
        quantiles = F.interpolate(quantiles[None], len(target), mode="linear", align_corners=False)[0]
    matched: Tensor = torch.empty_like(quantiles).scatter_(1, order, quantiles).T.contiguous()
    return matched


def pca(target: Tensor, style: Tensor) -> Tensor:
    """Give (N, C) the mean and covariance of (M, C), by whitening and colouring along the principal axes: (N, C)."""
    return _affine(target, style, lambda have, want: _power(want, 0.5) @ _power(have, -0.5))


def cholesky(target: Tensor, style: Tensor) -> Tensor:
    """Give (N, C) the mean and covariance of (M, C), by triangular factors, the cheapest way: (N, C)."""

    def factor(have: Tensor, want: Tensor) -> Tensor:
        before, after = torch.linalg.cholesky(have), torch.linalg.cholesky(_ridged(want))
        solution: Tensor = torch.linalg.solve_triangular(before, after, upper=False, left=False)
        return solution

    return _affine(target, style, factor)


def symmetric(target: Tensor, style: Tensor) -> Tensor:
    """Give (N, C) the mean and covariance of (M, C), by the map that moves rows least: (N, C)."""

    def factor(have: Tensor, want: Tensor) -> Tensor:
        root, inverse = _power(have, 0.5), _power(have, -0.5)
        return inverse @ _power(root @ want @ root, 0.5) @ inverse

    return _affine(target, style, factor)


LINEAR: dict[str, Match] = {"pca": pca, "cholesky": cholesky, "symmetric": symmetric}
MODES = ("cdf", *LINEAR)


def match(mode: str, target: Tensor, style: Tensor, rounds: int, rng: torch.Generator) -> Tensor:
    """Match (N, C) to (M, C) by one of MODES: (N, C); cdf takes rounds, each in another random rotation."""
    if mode in LINEAR:
        return LINEAR[mode](target, style)
    for _ in range(rounds):
        turn = rotation(target.shape[1], rng).to(target)
        target = cdf(target @ turn, style @ turn) @ turn.T
    return target


def rotation(channels: int, rng: torch.Generator) -> Tensor:
    """Draw an orthogonal matrix (C, C), all equally likely (Haar): the QR factor of normal numbers, signs fixed."""
    q, r = torch.linalg.qr(torch.randn(channels, channels, generator=rng, dtype=torch.float64))
    turn: Tensor = (q * r.diagonal().sign()).float()
    return turn


@dataclass(frozen=True)
class PrincipalAxes:
    """The mean row (C,) of a style and its principal axes, orthonormal columns (C, K), the greatest variance first."""

    mean: Tensor
    axes: Tensor

    def project(self, rows: Tensor) -> Tensor:
        """(N, C) -> (N, K)."""
        return (rows - self.mean) @ self.axes

    def restore(self, rows: Tensor) -> Tensor:
        """(N, K) -> (N, C), with the mean along all axes that were left out."""
        return rows @ self.axes.T + self.mean


def principal_axes(style: Tensor, share: float) -> PrincipalAxes:
    """The fewest principal axes of (M, C) that hold this share, in (0, 1], of its variance."""
    mean, covariance = moments(style)
    values, vectors = torch.linalg.eigh(covariance)
    held = values.flip(0).clamp(min=0).cumsum(0)
    count = 1 + int((held < share * held[-1]).sum())
    return PrincipalAxes(mean.to(style), vectors.flip(1)[:, :count].to(style))


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C,) and covariance (C, C) of (N, C), in float64, as inverses need; on the CPU if the device has none."""
    rows = rows.cpu() if rows.device.type == "mps" else rows
    mean = sum(part.double().sum(0) for part in rows.split(ROWS_IN_FLOAT64)) / len(rows)
    covariance = rows.new_zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for part in rows.split(ROWS_IN_FLOAT64):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred)
    return torch.as_tensor(mean), covariance / len(rows)


def _affine(target: Tensor, style: Tensor, factor: Match) -> Tensor:
    """Centre the rows of `target`, multiply them by the factor of both covariances, and add the mean of `style`."""
    (mean, have), (goal, want) = moments(target), moments(style)
    scale = factor(_ridged(have), want)
    return (target - mean.to(target)) @ scale.T.to(target) + goal.to(target)


def _ridged(covariance: Tensor) -> Tensor:
    """Add a little variance in every direction, so that the covariance has an inverse."""
    n = len(covariance)
    ridge = RIDGE * covariance.diagonal().sum() / n + SMALLEST_VARIANCE
    return covariance + ridge * torch.eye(n, dtype=covariance.dtype, device=covariance.device)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Raise a symmetric matrix (C, C) to a power; eigenvalues that rounding made negative count as 0."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    power: Tensor = (vectors * values.clamp(min=0).pow(exponent)) @ vectors.T
    return power
