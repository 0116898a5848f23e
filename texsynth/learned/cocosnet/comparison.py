"""How a model of `train cocosnet` describes pictures, for a verb that compares them (Zhang et al. 2020)."""

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
from texsynth.learned.cocosnet import network
from texsynth.learned.cocosnet.network import CELL, Shape
from texsynth.learned.shared import conditions, loading
from texsynth.pyramid import shrink
from texsynth.weights.trained import Model

RECIPE = "cocosnet"
Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class LabelMap:
    """The label map of a picture: ids (1, 1, H, W) as a model numbers them, and the map's own colours (K, 3)."""

    ids: Tensor
    colours: Tensor


def read(path: Path, user: str) -> tuple[Model, Input]:
    """A model that compares pictures, and its entry in the record; raises WeightsError, and UsageError, with the words
    for what uses it (`user`), for a model of another recipe."""
    trained = loading.read(path)
    if trained.recipe != RECIPE:
        raise UsageError(f"--model: {trained.name} is of recipe {trained.recipe}; {user} uses {RECIPE}")
    return trained, Input("model", trained.name, trained.sha256)


def read_labels(
    source: Source | None,
    role: str,
    size: Size,
    trained: Model | None,
    memory: int,
    note: Note,
    first: LabelMap | None = None,
) -> tuple[LabelMap | None, tuple[Input, ...]]:
    """The label map of a picture of `size`, and its entry in the record; nothing without a map or a model. A target's
    map repeats the colours of the source's, `first`. Reading it may take `memory` bytes. Raises InputError and
    ResourceError, and UsageError for labels unknown to the model.
    """
    if source is None or trained is None:
        return None, ()
    if not loading.shaped(Shape, trained).labelled:
        raise UsageError(f"--labels: {trained.name} was trained to do without those of pictures; leave them out")
    layer = maps.read(source, role, memory)
    name, drawn = layer.entry.name, maps.rgb(layer.picture)
    # Number the labels by the map's own colours, and then as the model does.
    with maps.about(name):
        colours = label_tools.palette([drawn]) if first is None else label_tools.shared(first.colours, drawn)
    ids = label_tools.ids(drawn, colours)
    (guide,) = trained.facts["guides"]
    if why := conditions.unknown([ids], colours, guide["palette"]):
        raise UsageError(f"{name}: {trained.name} {why}")
    whole = inputs.stretched(Picture(ids), size, "labels", name, note).pixels
    return LabelMap(conditions.renumbered(whole, colours, guide["palette"]), colours), (layer.entry,)


def describe(
    trained: Model, pictures: tuple[Tensor, Tensor], labels: tuple[LabelMap | None, LabelMap | None],
    levels: Sequence[int], rng: torch.Generator,
) -> tuple[list[Tensor], list[Tensor]]:  # fmt: skip
    """The descriptors of a source and a target (1, 3, H, W) in [0, 1] at these levels, both reduced as sources of that
    size were in training; raises WeightsError for a damaged model."""
    factor = scale(trained, (pictures[0].shape[2], pictures[0].shape[3]))
    level, cells = math.log2(factor), []
    for image, drawn in zip(pictures, labels, strict=True):
        ids = None if drawn is None else shrink(drawn.ids, level, nearest=True)
        cells.append(network.describe(trained, shrink(image, level), ids, image.device))
    return descriptors.learned(pictures, (cells[0], cells[1]), CELL * factor, levels, rng)


def scale(trained: Model, size: Size) -> float:
    """How many times larger a source of `size` is than it would have been in training: 1 or more."""
    side = trained.settings["side"]
    return max(1.0, min(size) / side) if side else 1.0


def memory(trained: Model, size: Size, factor: float) -> int:
    """The peak bytes that `describe` adds for a picture, fitted to runs at 512 and 1024 pixels."""
    shape = loading.shaped(Shape, trained)
    count = shape.descriptor * shape.window**2
    return int((50 << 20) + size[0] * size[1] / factor**2 * max(20 * shape.adaptor, 12 * count / CELL**2))
