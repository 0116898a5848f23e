"""The least entry of each row of a matrix of costs, again and again while what is taken off its columns changes little.

A row keeps the entries of its few best groups of columns, and the least entry of all the others as a bound. As long as
the least of the kept entries stays below that bound less the highest rise, it is the least of the row: nothing is lost,
and a sixtieth of the row is looked at. Rows of which that cannot be said have to be looked at whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth import native
from texsynth.patches.nearest import fold, row_minimum

LANES = 8  # columns of a group
KEPT = 8  # groups that a row keeps
FEWEST_COLUMNS = 4 * LANES * KEPT  # of a matrix of which a shortlist is worth while


@dataclass(frozen=True)
class Shortlist:
    """What is kept of n rows of costs, of which column lane * span + g is in group g.

    groups: the numbers of the best groups of each row, ascending, (n, KEPT) int32.
    costs: their entries, (n, LANES, KEPT).
    bound: the least of all other entries, (n,).
    """

    groups: Tensor
    costs: Tensor
    bound: Tensor

    def least(self, rows: Tensor, rise: Tensor) -> Tensor:
        """The column of the least of costs - rise in each of these rows, the first of equals: (m,).

        It is -1 where another column than the kept ones could have it. rise: (LANES * span,).
        """
        twin = native.kernel("least_of_shortlist", rows, self.groups, self.costs, self.bound, rise)
        if twin is not None:
            columns: Tensor = twin(rows, self.groups, self.costs, self.bound, rise, float(rise.max()))
            return columns
        span, groups = len(rise) // LANES, self.groups[rows].long()
        rises = rise.view(LANES, span)[:, groups].transpose(0, 1)
        least, place = (self.costs[rows] - rises).flatten(1).min(1)
        lane, group = place // KEPT, place % KEPT
        columns = lane * span + groups.gather(1, group[:, None])[:, 0]
        return columns.where(least < self.bound[rows] - rise.max(), -1)


def is_worth_while(rows: int, like: Tensor, memory: int) -> bool:
    """Of so many rows of costs like these, (columns,): where they are many, on a processor, and it fits into memory."""
    size = rows * (LANES * KEPT + KEPT + 1) * like.element_size()
    return like.device.type == "cpu" and len(like) >= FEWEST_COLUMNS and size <= memory


def shortlist(matrix: Tensor) -> Shortlist:
    """Of costs (n, LANES * span), span above KEPT."""
    twin = native.kernel("shortlist", matrix)
    if twin is not None:
        return Shortlist(*twin(matrix, LANES, KEPT))
    lanes = matrix.unflatten(1, (LANES, -1))
    values, best = lanes.amin(1).topk(KEPT + 1, largest=False)
    groups = best[:, :KEPT].sort(1).values
    costs = lanes.gather(2, groups[:, None].expand(-1, LANES, -1))
    return Shortlist(groups.int(), costs, values[:, KEPT].contiguous())


def joined(parts: Sequence[Shortlist]) -> Shortlist:
    """The rows of one after those of the other."""
    return Shortlist(*(torch.cat(fields) for fields in zip(*(vars(part).values() for part in parts), strict=True)))


def least_of_rows(costs: Tensor, rows: Tensor, rise: Tensor) -> Tensor:
    """The column of the least of costs - rise in each of these rows of a matrix (n, columns), as row_minimum has it."""
    twin = native.kernel("least_of_rows", costs, rows, rise)
    if twin is None:
        return row_minimum(costs[rows].sub_(rise))[1]
    columns: Tensor = twin(costs, rows, rise, fold(len(rise)))
    return columns
