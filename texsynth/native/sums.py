"""Sums in a stated order, so that the tensor operations and the native core round alike (native/core.hpp).

PyTorch's own order goes by the width of the processor's vectors. On other devices it is kept where it is the same in
every run, and else sums are counted in whole numbers, which have one result in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

LANES = 8
UNIT = 2.0**-20  # what is counted


def in_lanes(values: Tensor) -> Tensor:
    """The sums of the rows of (n, D), (n,): LANES sums of every LANES-th value, then the second half of them is added
    to the first, until one is left."""
    if values.device.type != "cpu":
        return values.sum(1)
    if values.shape[1] % LANES:
        values = F.pad(values, (0, -values.shape[1] % LANES))
    sums = values[:, :LANES]
    for start in range(LANES, values.shape[1], LANES):
        sums = sums + values[:, start : start + LANES]
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]


def in_turn(values: Tensor) -> Tensor:
    """The sums of the few values in the last dimension of (..., D), D > 0, one after the other, (...)."""
    if values.device.type != "cpu":
        return values.sum(-1)
    return add_in_turn(values.unbind(-1))


def add_in_turn(values: Iterable[Tensor]) -> Tensor:
    """The sum of some tensors of one shape, at least one, one after the other."""
    return reduce(torch.add, values)


def running(rows: Tensor) -> Tensor:
    """The running sums along the rows of (n, w)."""
    return rows.cumsum(1) if rows.device.type == "cpu" else _counted(rows).cumsum(1) * UNIT


def add_at(sums: Tensor, at: Tensor, values: Tensor) -> None:
    """Add values (n, D) to the rows `at` (n,) of sums (count, D), in place."""
    if sums.device.type == "cpu":
        sums.index_add_(0, at, values)
    else:
        whole = torch.zeros(sums.shape, dtype=torch.long, device=sums.device)
        sums += whole.index_add_(0, at, _counted(values)) * UNIT


def _counted(values: Tensor) -> Tensor:
    return (values / UNIT).round().long()
