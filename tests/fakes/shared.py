"""What the methods for tests have in common: no settings, one level, no network, every task; and holes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from texsynth.task import Estimate, Level


@dataclass(frozen=True)
class Settings:
    pass


def schedule(_, settings):
    return [Level(0, 1)]


def needs(settings, model=None):
    return {}


def refuses(task, settings):
    return None


def estimate(task, settings):
    pixels = task.size[0] * task.size[1]
    return Estimate((100 << 20) + 1000 * pixels, 1e-5 * pixels)


def hold(task, atlas, index):
    """The pointers of a field whose pixels outside the hole are those of the first exemplar at the same place."""
    if task.hole is None:
        return index
    y, x = torch.meshgrid(*map(torch.arange, task.size), indexing="ij")
    return torch.where(task.hole[0, 0], index, atlas.join(torch.zeros_like(y), y, x))
