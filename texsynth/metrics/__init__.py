"""Metrics, one a file; the file's name is the key that users name.

Each compares an output with its exemplar and says of itself what the number means. Features come from outside, so that
one network serves all metrics.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor

from texsynth.features import Extract


class MetricModule(Protocol):
    """A file in metrics/.

    RANGE: the least and the greatest value, None where there is no limit. NEEDS: the features it looks at and their
    layers. DESCRIPTION: one line. measure: images are (1, 3, H, W) in [0, 1]; extract is of the features it needs, None
    where it needs none; raises InputError where an image is too small.
    """

    LOWER_IS_BETTER: bool
    RANGE: tuple[float, float | None]
    NEEDS: Mapping[str, tuple[str, ...]]
    DESCRIPTION: str

    def measure(self, exemplar: Tensor, output: Tensor, extract: Extract | None, rng: torch.Generator) -> float: ...


def names() -> list[str]:
    """The registry is the directory listing."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def metric(name: str) -> MetricModule:
    """The metric module of that name."""
    return cast(MetricModule, importlib.import_module(f"texsynth.metrics.{name}"))
