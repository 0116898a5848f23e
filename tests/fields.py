"""Atlases of source pixels and fields into them, as tests of the solver need them."""

from __future__ import annotations

import torch
from torch import Tensor

from pictures import generator, noise
from texsynth.field.atlas import COPY_SETS, Atlas, Field, build_atlas
from texsynth.task import Exemplar, Task

OPEN = (False, False)


def grid(h: int, w: int) -> tuple[Tensor, Tensor]:
    """The rows and the columns (h, w) of all pixels."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return y, x


def atlas_of(
    *images: Tensor, valid: Tensor | None = None, copies: str = "none", margin: int = 4, further: int = 0
) -> Atlas:
    """The atlas of pictures (1, 3, H, W) in a set of copies; `valid` holds for all of them. further: channels of noise
    that are compared beside the colours, of which the first two are a vector."""
    exemplars = []
    for number, image in enumerate(images):
        more = noise(1, further, *image.shape[2:], seed=90 + number) - 0.5 if further else None
        exemplars.append(Exemplar(str(number), image, valid, more, int(further > 1)))
    return build_atlas(Task(tuple(exemplars), (8, 8)), COPY_SETS[copies], margin)


def field_of(atlas: Atlas, index: Tensor, tile: tuple[bool, bool] = OPEN) -> Field:
    """The field of these pointers (h, w), without cost."""
    return Field(index, torch.zeros(index.shape), atlas, tile)


def copying(atlas: Atlas, y: Tensor, x: Tensor, tile: tuple[bool, bool] = OPEN, plane: int = 0) -> Field:
    """The field that copies the pixels (y, x), (h, w) each, of one plane."""
    return field_of(atlas, atlas.join(torch.full_like(y, plane), y, x), tile)


def whole_plane(atlas: Atlas, plane: int) -> Field:
    """The field that copies one plane from corner to corner."""
    return copying(atlas, *grid(*atlas.shapes[plane]), plane=plane)


def scattered(atlas: Atlas, size: tuple[int, int], seed: int = 0, tile: tuple[bool, bool] = OPEN) -> Field:
    """A field of random pointers at what may be copied."""
    usable = atlas.valid.nonzero()[:, 0]
    return field_of(atlas, usable[torch.randint(len(usable), size, generator=generator(seed))], tile)


def free(usable: Tensor) -> Tensor:
    """Prices (N,) of nothing for the `usable` source pixels, infinite for all others."""
    return torch.where(usable, 0.0, torch.inf)
