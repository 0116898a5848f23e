"""Guides as networks take them: labels one-hot, directions as points on a circle, values as they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.task import Guide
from texsynth.weights.trained import Model

SAME_COLOUR = 40 / 255  # the largest distance of two colours that are one label
CONDITION_CHANNELS = {"l2": 1, "direction": 2}  # of the conditions of values, by how these are compared
LISTED_LABELS = 8  # the most labels that a message lists


def channels(model: Model) -> int:
    """How many channels the conditions of a model's maps have together: one for each label, and those of values."""
    return sum(len(facts["palette"] or ()) or CONDITION_CHANNELS[facts["distance"]] for facts in model.facts["guides"])


def encode(values: Tensor, distance: str, labels: int = 0) -> Tensor:
    """The condition of a map (1, C, h, w).

    Ids ("l0") become one-hot (1, labels, h, w). Directions (x, y) become the cosine and sine of twice their angle, so
    that signs do not matter, (1, 2, h, w). Values ("l2") become their mean in [-1, 1], (1, 1, h, w).
    """
    if distance == "l0":
        return F.one_hot(values[0, 0].long(), labels).permute(2, 0, 1)[None].to(values.dtype)
    if distance == "direction":
        x, y = values[:, :1], values[:, 1:]
        return torch.cat([x * x - y * y, 2 * x * y], 1)
    return values.mean(1, keepdim=True) * 2 - 1


def encode_all(maps: Sequence[Tensor], guides: Sequence[Guide]) -> Tensor:
    """The conditions of maps (1, C, h, w), one of each guide, one below the other: (1, K, h, w)."""
    kinds = [(guide.distance, 0 if guide.palette is None else len(guide.palette)) for guide in guides]
    return torch.cat([encode(values, *kind) for values, kind in zip(maps, kinds, strict=True)], 1)


def of_task(guides: Sequence[Guide], maps: Sequence[Tensor], model: Model) -> Tensor:
    """The conditions of maps, one of each guide, as the network of a model was trained with them: (1, C, h, w)."""
    names = [guide.name for guide in guides]
    parts = []
    for facts in model.facts["guides"]:
        number = names.index(facts["name"])
        guide, values = guides[number], maps[number]
        if guide.palette is not None:
            values = renumbered(values, guide.palette, facts["palette"])
        parts.append(encode(values, guide.distance, len(facts["palette"] or ())))
    return torch.cat(parts, 1)


def renumbered(ids: Tensor, palette: Tensor, colours: Sequence[Sequence[int]]) -> Tensor:
    """Ids by the palette (K, 3) of a run -> ids by the colours, 0 to 255, of a model's labels; the nearest counts."""
    distance = torch.cdist(palette.cpu(), torch.tensor(colours) / 255)
    return distance.argmin(1).to(ids)[ids.long()]


def mismatch(guides: Sequence[Guide], model: Model) -> str | None:
    """Why guides are not those that a model was trained with, as the end of a sentence about its preset, or None."""
    trained = {facts["name"]: facts for facts in model.facts.get("guides", [])}
    if {guide.name for guide in guides} != trained.keys():
        flags = " and ".join(f"--{name}" for name in trained)
        return f"follows what {model.name} was trained with: {flags}, and nothing else"
    labels = [(guide, guide.palette) for guide in guides if guide.palette is not None]
    why = (unknown((*g.sources, g.target), palette, trained[g.name]["palette"]) for g, palette in labels)
    return next(filter(None, why), None)


def uneven(size: tuple[int, int], tile: tuple[bool, bool], cell: int) -> str | None:
    """That sides that tile are no multiples of a network's cell, as the end of a sentence about its preset, or None."""
    height, width = (max(1, round(n / cell)) * cell if wraps else n for n, wraps in zip(size, tile, strict=True))
    if (height, width) == size:
        return None
    return f"tiles at multiples of {cell} pixels with this model; give --size {width}x{height}"


def unknown(maps: Sequence[Tensor], palette: Tensor, colours: Sequence[Sequence[int]]) -> str | None:
    """That id maps of a palette (K, 3) use labels other than a model's colours, 0 to 255; the end of a sentence, or
    None."""
    used = palette.cpu()[torch.cat([values.flatten() for values in maps]).long().unique().cpu()]
    far = torch.cdist(used, torch.tensor(colours) / 255).amin(1) > SAME_COLOUR
    strange: list[list[int]] = (used[far] * 255).round().int().tolist()
    return f"knows the labels {_hex(colours)}, and not {_hex(strange)}; repaint the map" if strange else None


def _hex(colours: Sequence[Sequence[int]]) -> str:
    words = ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours[:LISTED_LABELS])
    return words + (f" and {len(colours) - LISTED_LABELS} more" if len(colours) > LISTED_LABELS else "")
