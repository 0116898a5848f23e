"""Transport of features onto a style: the four matching strategies of Optimal Textures (Risser 2020).

Features are rows. Three strategies are affine and give the rows the style's mean and covariance in one step: `pca`
through both principal square roots, `cholesky` through both triangular ones, `symmetric` by the optimal transport of
normal distributions, which moves the rows least. `cdf` moves every channel by its own quantiles; turned by random
rotations (`match`), that is sliced transport, which sees whole distributions and takes several rounds.

Differs from the released code in: quantiles are exact, by sorting, where it has histograms of 256 bins; the ridge is
1e-5 of the mean variance, where it adds 1, which takes many rounds to undo; principal axes are of centred rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RIDGE = 1e-5  # of the mean variance, so that directions in which nothing varies are not divided by
LEAST = 1e-10  # variance, for rows that are all alike
CHUNK = 1 << 16  # rows that are in float64 at a time

Match = Callable[[Tensor, Tensor], Tensor]


def cdf(target: Tensor, style: Tensor) -> Tensor:
    """Each channel of (N, C) with the quantiles of that of (M, C), in the order that it had: (N, C).

    With N = M the values are exactly the style's; otherwise its sorted values are interpolated at N even ranks.
    """
    order = target.T.sort(1).indices  # (C, N)
    known = style.T.sort(1).values  # (C, M)
    if len(target) != len(style):
        known = F.interpolate(known[None], len(target), mode="linear", align_corners=False)[0]
    made: Tensor = torch.empty_like(known).scatter_(1, order, known).T.contiguous()
    return made


def pca(target: Tensor, style: Tensor) -> Tensor:
    """(N, C) with the mean and covariance of (M, C): (N, C). Whitened and coloured along the principal axes."""
    return _affine(target, style, lambda have, want: _power(want, 0.5) @ _power(have, -0.5))


def cholesky(target: Tensor, style: Tensor) -> Tensor:
    """(N, C) with the mean and covariance of (M, C): (N, C). By triangular factors, the cheapest."""

    def factor(have: Tensor, want: Tensor) -> Tensor:
        lower, wanted = torch.linalg.cholesky(have), torch.linalg.cholesky(_ridged(want))
        made: Tensor = torch.linalg.solve_triangular(lower, wanted, upper=False, left=False)
        return made

    return _affine(target, style, factor)


def symmetric(target: Tensor, style: Tensor) -> Tensor:
    """(N, C) with the mean and covariance of (M, C): (N, C). The map that moves rows least."""

    def factor(have: Tensor, want: Tensor) -> Tensor:
        root, inverse = _power(have, 0.5), _power(have, -0.5)
        return inverse @ _power(root @ want @ root, 0.5) @ inverse

    return _affine(target, style, factor)


LINEAR: dict[str, Match] = {"pca": pca, "cholesky": cholesky, "symmetric": symmetric}
MODES = ("cdf", *LINEAR)


def match(mode: str, target: Tensor, style: Tensor, rounds: int, rng: torch.Generator) -> Tensor:
    """(N, C) matched to (M, C) by one of MODES: (N, C). rounds: of cdf, each in another random rotation; the affine
    modes reach their end in one."""
    if mode in LINEAR:
        return LINEAR[mode](target, style)
    for _ in range(rounds):
        turn = rotation(target.shape[1], rng).to(target)
        target = cdf(target @ turn, style @ turn) @ turn.T
    return target


def rotation(channels: int, rng: torch.Generator) -> Tensor:
    """An orthogonal matrix (C, C), all equally likely (Haar): the QR factor of normal numbers, its signs made one."""
    q, r = torch.linalg.qr(torch.randn(channels, channels, generator=rng, dtype=torch.float64))
    turn: Tensor = (q * r.diagonal().sign()).float()
    return turn


@dataclass(frozen=True)
class Basis:
    """The principal axes of a style: mean (C,) and orthonormal axes (C, K), the most varying first."""

    mean: Tensor
    axes: Tensor

    def project(self, rows: Tensor) -> Tensor:
        """(N, C) -> (N, K)."""
        return (rows - self.mean) @ self.axes

    def restore(self, rows: Tensor) -> Tensor:
        """(N, K) -> (N, C): what was left out is the mean."""
        return rows @ self.axes.T + self.mean


def basis(style: Tensor, share: float) -> Basis:
    """The fewest principal axes of (M, C) that hold this share, in (0, 1], of its variance."""
    mean, covariance = moments(style)
    values, vectors = torch.linalg.eigh(covariance)
    held = values.flip(0).clamp(min=0).cumsum(0)
    count = 1 + int((held < share * held[-1]).sum())
    return Basis(mean.to(style), vectors.flip(1)[:, :count].to(style))


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C,) and covariance (C, C) of (N, C), in float64: the inverse of a covariance asks for it. On the CPU where
    the device has no float64."""
    rows = rows.cpu() if rows.device.type == "mps" else rows
    mean = sum(part.double().sum(0) for part in rows.split(CHUNK)) / len(rows)
    covariance = rows.new_zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for part in rows.split(CHUNK):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred)
    return torch.as_tensor(mean), covariance / len(rows)


def _affine(target: Tensor, style: Tensor, factor: Match) -> Tensor:
    """The rows of `target` less their mean, times the factor of both covariances, plus the mean of `style`."""
    (mean, have), (goal, want) = moments(target), moments(style)
    scale = factor(_ridged(have), want)
    return (target - mean.to(target)) @ scale.T.to(target) + goal.to(target)


def _ridged(covariance: Tensor) -> Tensor:
    n = len(covariance)
    ridge = RIDGE * covariance.diagonal().sum() / n + LEAST
    return covariance + ridge * torch.eye(n, dtype=covariance.dtype, device=covariance.device)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a symmetric matrix (C, C) without negative eigenvalues but for rounding."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    power: Tensor = (vectors * values.clamp(min=0).pow(exponent)) @ vectors.T
    return power
