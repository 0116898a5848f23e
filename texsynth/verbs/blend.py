"""The shares of several exemplars: the same everywhere, or by maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from texsynth.errors import UsageError
from texsynth.image.load import Note, Source
from texsynth.job import Input
from texsynth.verbs import parse, synthesize

ROUNDING = 1e-6  # by how much shares that add up to 1 may miss it


def check(maps: Sequence[Source], count: int) -> None:
    """Raise UsageError unless there is no map, or one for two exemplars, or one for each of more."""
    needed = 1 if count == 2 else count
    if maps and len(maps) != needed:
        each = "once, black for the first and white for the second" if needed == 1 else "once for each, in order"
        raise UsageError(f"--blend-map: {len(maps)} given for {count} exemplars; give it {each}")


def constant(blend: str | Sequence[float] | None, count: int, note: Note) -> tuple[float, ...]:
    """The share of each exemplar, adding up to 1; equal where none are given. Raises UsageError."""
    if blend is None:
        return (1 / count,) * count
    weights = parse.shares(blend, count)
    if abs(sum(weights) - 1) <= ROUNDING:
        return weights
    shares = tuple(weight / sum(weights) for weight in weights)
    words = ",".join(f"{share:.4g}" for share in shares)
    note(
        f"--blend {','.join(f'{weight:g}' for weight in weights)} adds up to {sum(weights):g}, not 1; taken as {words}"
    )
    return shares


def panels(shares: Sequence[tuple[float, ...]], panel: tuple[int, int]) -> Tensor:
    """Panels (height, width) side by side, (1, K, h, w), the shares of each the same all over it."""
    return torch.cat([torch.tensor(each).view(1, -1, 1, 1).expand(-1, -1, *panel) for each in shares], 3)


def mapped(maps: Sequence[Source], size: tuple[int, int], memory: int, note: Note) -> tuple[Tensor, list[Input]]:
    """The shares that maps give each pixel, (1, K, *size), and the maps' entries in the record; reading each may
    take `memory` bytes. Raises InputError and ResourceError."""
    read = [synthesize.fitted(source, "blend-map", "data", size, None, memory, note) for source in maps]
    weights = torch.cat([picture.pixels.mean(1, keepdim=True).clamp(0, 1) for picture, _ in read], 1)
    entries = [entry for _, entry in read]
    if len(maps) == 1:
        return torch.cat([1 - weights, weights], 1), entries
    total = weights.sum(1, keepdim=True)
    return torch.where(total > 0, weights / total.clamp(min=1e-12), 1 / len(maps)), entries
