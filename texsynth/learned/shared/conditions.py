"""Guides as what networks see: labels one-hot, directions as points on a circle, values as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.task import Guide
from texsynth.weights.trained import Model

NEAR = 40 / 255  # up to which two colours of labels are one
NAMED = 8  # labels in a message, at most


def channels(told: Mapping[str, Any]) -> int:
    """How many channels the condition of a kind of map has. told: what a model's facts say of it."""
    palette = told["palette"]
    return len(palette) if palette else {"l2": 1, "direction": 2}[told["distance"]]


def encode(values: Tensor, distance: str, labels: int = 0) -> Tensor:
    """A map (1, C, h, w) -> its condition: ids one-hot (1, labels, h, w); directions (x, y) -> cosine and sine of twice
    their angle, so that signs do not matter, (1, 2, h, w); values as their mean, (1, 1, h, w), in [-1, 1]."""
    if distance == "l0":
        return F.one_hot(values[0, 0].long(), labels).permute(2, 0, 1)[None].to(values.dtype)
    if distance == "direction":
        x, y = values[:, :1], values[:, 1:]
        return torch.cat([x * x - y * y, 2 * x * y], 1)
    return values.mean(1, keepdim=True) * 2 - 1


def of_task(guides: Sequence[Guide], maps: Sequence[Tensor], model: Model) -> Tensor:
    """The conditions of maps, one of each guide, as the network of a model was trained to see them: (1, C, h, w)."""
    parts = []
    for told in model.facts["guides"]:
        number = [guide.name for guide in guides].index(told["name"])
        guide, values = guides[number], maps[number]
        if guide.palette is not None:
            values = renumbered(values, guide.palette, told["palette"])
        parts.append(encode(values, guide.distance, len(told["palette"] or ())))
    return torch.cat(parts, 1)


def renumbered(ids: Tensor, palette: Tensor, known: Sequence[Sequence[int]]) -> Tensor:
    """Ids by the colours (K, 3) of a run -> ids by the colours, 0 to 255, that a model knows."""
    distance = torch.cdist(palette.cpu(), torch.tensor(known) / 255)
    return distance.argmin(1).to(ids)[ids.long()]


def mismatch(guides: Sequence[Guide], model: Model) -> str | None:
    """Why guides are not those that a model was trained with, as the end of a sentence about its preset, or None."""
    known = {told["name"]: told for told in model.facts.get("guides", [])}
    given = {guide.name: guide for guide in guides}
    if given.keys() != known.keys():
        wanted = " and ".join(f"--{name}" for name in known)
        return f"follows what {model.name} was trained with: {wanted}, and nothing else"
    for name, guide in given.items():
        if guide.palette is None:
            continue
        if why := unknown((*guide.sources, guide.target), guide.palette, known[name]["palette"]):
            return why
    return None


def unknown(maps: Sequence[Tensor], palette: Tensor, known: Sequence[Sequence[int]]) -> str | None:
    """That id maps of the colours (K, 3) use labels which a model does not know, as the end of a sentence, or None."""
    used = torch.cat([values.flatten() for values in maps]).long().unique().cpu()
    colours = palette.cpu()[used]
    far = torch.cdist(colours, torch.tensor(known) / 255).amin(1) > NEAR
    strange: list[list[int]] = (colours[far] * 255).round().int().tolist()
    return f"knows the labels {_hex(known)}, and not {_hex(strange)}; repaint the map" if strange else None


def _hex(colours: Sequence[Sequence[int]]) -> str:
    words = ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours[:NAMED])
    return words + (f" and {len(colours) - NAMED} more" if len(colours) > NAMED else "")
