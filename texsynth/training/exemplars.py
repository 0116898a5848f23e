"""Exemplars as training uses them: large enough, reduced, and cut to what a sample shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from texsynth.errors import InputError
from texsynth.metrics import metric
from texsynth.task import Exemplar, Task
from texsynth.training.recipes import Settings


def check_sizes(exemplars: Sequence[Exemplar], settings: Settings, smallest: int) -> None:
    """Raise InputError for an exemplar with a side below `smallest` pixels, or below what the metric needs."""
    needed = max(smallest, metric(settings.metric).about.smallest_side)
    for exemplar in exemplars:
        h, w = exemplar.size
        if min(h, w) < needed:
            raise InputError(f"{exemplar.name} is {w}x{h}, but at least {needed}x{needed} is needed; enlarge it")


def reduced(exemplar: Exemplar, side: int) -> Exemplar:
    """Reduce an exemplar to a shorter side of at most `side` pixels; 0 leaves it as it is."""
    short = min(exemplar.size)
    level = math.log2(short / side) if 0 < side < short else 0.0
    return Task((exemplar,), exemplar.size).at(level).exemplars[0]


def middle(values: Tensor, side: int) -> Tensor:
    """Cut the middle out of a picture or map (n, C, H, W), with sides of at most `side` pixels."""
    for dim in (2, 3):
        length = min(values.shape[dim], side)
        values = values.narrow(dim, (values.shape[dim] - length) // 2, length)
    return values
