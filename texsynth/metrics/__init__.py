"""Metrics, one a file; the file's name is the key that users name.

Each compares an output with its exemplar and says of itself what the number means. Features come from outside, so that
one network serves all metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.features import Extract
from texsynth.registry import METRICS
from texsynth.task import Guide


@dataclass(frozen=True)
class Pair:
    """What a metric looks at: an exemplar, an output made from it, (1, 3, H, W) in [0, 1], and what is known about it.

    others: further outputs of the same exemplar. tile: does the output wrap in (y, x)? guides: what it was steered by,
    the first of their sources on the exemplar and the targets on the output.
    """

    exemplar: Tensor
    output: Tensor
    others: tuple[Tensor, ...] = ()
    tile: tuple[bool, bool] = (False, False)
    guides: tuple[Guide, ...] = ()


class NotApplicable(InputError):  # noqa: N818 (it is no fault unless the metric was asked for)
    """A pair lacks what a metric compares: a guide, a second output, a border that wraps. The message says which."""


class MetricModule(Protocol):
    """A file in metrics/.

    LOWER_IS_BETTER: None where neither end is better, for what describes an output. RANGE: the least and the greatest
    value, None where there is no limit. NEEDS: the features it looks at and their layers. LEAST: pixels that every side
    of the exemplar and of the output has at least. DESCRIPTION: one line. measure: extract is of the features that it
    needs, None where it needs none; rng is on the CPU; raises NotApplicable where the pair lacks what is compared, and
    InputError where a picture is too small or of another size than it must be.

    A file may have `details`, of the same parameters: the parts that its value is made of, by name.
    """

    LOWER_IS_BETTER: bool | None
    RANGE: tuple[float, float | None]
    NEEDS: Mapping[str, tuple[str, ...]]
    LEAST: int
    DESCRIPTION: str

    def measure(self, pair: Pair, extract: Extract | None, rng: torch.Generator) -> float: ...


def names() -> list[str]:
    """The keys of all metrics."""
    return METRICS.names()


def metric(name: str) -> MetricModule:
    """The metric module of that name; raises KeyError."""
    return cast(MetricModule, METRICS.module(name))


def details(name: str, pair: Pair, extract: Extract | None, rng: torch.Generator) -> dict[str, float]:
    """The parts of a metric's value by name; none where it is of one piece. Raises as its `measure` does."""
    parts = getattr(metric(name), "details", None)
    return {} if parts is None else cast(dict[str, float], parts(pair, extract, rng))


def enough(name: str, pair: Pair, least: int) -> None:
    """Raise InputError where a side of the exemplar or the output has fewer than `least` pixels."""
    for which, image in (("exemplar", pair.exemplar), ("output", pair.output)):
        h, w = image.shape[2:]
        if min(h, w) < least:
            raise InputError(f"{name}: the {which} is {w}x{h}, but at least {least}x{least} is needed; enlarge it")
