"""What a model of `train cocosnet` sees of pictures (Zhang et al. 2020), for a verb that compares them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from texsynth.correspondence import descriptors
from texsynth.errors import UsageError
from texsynth.guidance import labels as label_tools
from texsynth.guidance import maps
from texsynth.image import load as inputs
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input
from texsynth.learned.cocosnet import network as correspondence
from texsynth.learned.cocosnet.network import CELL, Shape
from texsynth.learned.shared import conditions, loading
from texsynth.pyramid import shrink
from texsynth.weights import trained as model
from texsynth.weights.trained import Model

RECIPE = "cocosnet"
Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class Labels:
    """The label map of a picture: ids (1, 1, H, W) as a model numbers them, and its own colours (K, 3) in [0, 1]."""

    ids: Tensor
    colours: Tensor


def read(path: Path, user: str) -> tuple[Model, Input]:
    """A model that compares pictures, and its entry in the record. user: what uses it, in words. Raises WeightsError,
    and UsageError for one of another recipe."""
    found = model.read(path)
    if found.recipe != RECIPE:
        raise UsageError(f"--model: {found.name} is of recipe {found.recipe}; {user} uses {RECIPE}")
    return found, Input("model", found.name, found.sha256)


def labels(
    source: Source | None, role: str, size: Size, known: Model | None, note: Note, first: Labels | None = None
) -> tuple[Labels | None, tuple[Input, ...]]:
    """The label map of a picture of `size`, and its entry; nothing where there is no map or no model. first: the
    source's, whose colours a target's map repeats. Raises InputError, and UsageError for labels that the model does not
    know."""
    if source is None or known is None:
        return None, ()
    if not loading.shaped(Shape, known).labelled:
        raise UsageError(f"--labels: {known.name} was trained to do without those of pictures; leave them out")
    found = maps.read(source, role)
    name, drawn = found.entry.name, maps.rgb(found.picture)
    with maps.about(name):
        colours = label_tools.palette([drawn]) if first is None else label_tools.shared(first.colours, drawn)
    own = label_tools.ids(drawn, colours)
    (told,) = known.facts["guides"]
    if why := conditions.unknown([own], colours, told["palette"]):
        raise UsageError(f"{name}: {known.name} {why}")
    whole = inputs.stretched(Picture(own), size, "labels", name, note).pixels
    return Labels(conditions.renumbered(whole, colours, told["palette"]), colours), (found.entry,)


def seen(
    known: Model,
    pictures: tuple[Tensor, Tensor],
    labels: tuple[Labels | None, Labels | None],
    levels: Sequence[int],
    rng: torch.Generator,
) -> tuple[list[Tensor], list[Tensor]]:
    """Descriptors of a source and a target (1, 3, H, W) in [0, 1] at these levels. Both are shown to the model as much
    reduced as sources of that size were in training. Raises WeightsError for a damaged model."""
    factor = scale(known, (pictures[0].shape[2], pictures[0].shape[3]))
    level, cells = math.log2(factor), []
    for image, own in zip(pictures, labels, strict=True):
        ids = None if own is None else shrink(own.ids, level, nearest=True)
        cells.append(correspondence.describe(known, shrink(image, level), ids, image.device))
    return descriptors.learned(pictures, (cells[0], cells[1]), CELL * factor, levels, rng)


def scale(known: Model, size: Size) -> float:
    """How many times larger a source of `size` is than it would have been in training: 1 or more."""
    side = known.settings["side"]
    return max(1.0, min(size) / side) if side else 1.0


def memory(known: Model, size: Size, factor: float) -> int:
    """Peak bytes of what `seen` adds to descriptors for a picture, fitted to runs at 512 and 1024 pixels."""
    shape = loading.shaped(Shape, known)
    count = shape.descriptor * shape.window**2
    return int((50 << 20) + size[0] * size[1] / factor**2 * max(20 * shape.adaptor, 12 * count / CELL**2))
