"""The two materials of a set of tiles: what shows them, and what the plane and each tile ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.guidance import labels as painted
from texsynth.guidance import maps
from texsynth.guidance.labels import WEIGHT
from texsynth.guidance.maps import Map
from texsynth.image.load import NOTICED_ASPECT, Input, Note, Source, extent
from texsynth.image.picture import Picture
from texsynth.task import Guide
from texsynth.tiles.board import TileFrame, part
from texsynth.tiles.cells import Cells
from texsynth.tiles.labels import SLACK, Edging, firmness, labels
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.tile_steps import Steering

LIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue


@dataclass(frozen=True)
class TwoMaterials:
    """What the exemplars show.

    values: The material of each pixel of each exemplar, (1, 1, H, W), 0 for the ground and 1 for what lies on it.
    colours: (2, 3) in [0, 1], with which they are painted. entries: What was read.
    """

    values: tuple[Tensor, ...]
    colours: Tensor
    entries: tuple[Input, ...] = ()


def read(source: Source | None, draft: Draft, note: Note) -> TwoMaterials:
    """The materials of two exemplars, the ground first; or those of one, by its map of labels. Raises InputError."""
    if source is None:
        values = [torch.full((1, 1, *e.size), float(number)) for number, e in enumerate(draft.exemplars)]
        return TwoMaterials(tuple(values), torch.tensor([[0.0] * 3, [1.0] * 3]))
    drawing = maps.read(source, "labels", draft.room)
    name, drawn = drawing.entry.name, maps.rgb(drawing.picture)
    _check_aspect(drawing, draft)
    with maps.about(name):
        colours = painted.palette([drawn])
    if len(colours) != 2:
        count = "1 label" if len(colours) == 1 else f"{len(colours)} labels"
        raise InputError(f"{name} has {count}, and these tiles show two materials; paint it in two")
    colours = colours[(colours @ torch.tensor(LIGHTNESS)).argsort()]
    ids = Map(Picture(painted.ids(drawn, colours)), drawing.entry)
    values = [maps.on_exemplar(ids, draft, 0, note, "labels")]
    (usable,) = maps.usable(values, draft)
    if not 0 < float(usable.mean()) < 1:
        raise InputError(f"{name}: all that may be copied is of one material; both must be there")
    return TwoMaterials(tuple(values), colours, (drawing.entry,))


def _check_aspect(drawing: Map, draft: Draft) -> None:
    """Refuse a map that is no picture of what the exemplar shows."""
    (height, width), (whole_height, whole_width) = extent(drawing.picture), draft.whole[0]
    if abs(width / height / (whole_width / whole_height) - 1) > NOTICED_ASPECT:
        name = draft.exemplars[0].name
        raise InputError(
            f"{drawing.entry.name} is {width}x{height}, of another aspect than {name}, which is "
            f"{whole_width}x{whole_height}; paint it at the size of that"
        )


@dataclass(frozen=True)
class Wanted:
    """What is asked for: the guide of the plane, and what steers the steps after it."""

    plane: Guide
    steering: Steering


def wanted(materials: TwoMaterials, cells: Cells, frame: TileFrame, seed: int) -> Wanted:
    """What a plane of cells and the tiles in it ask for."""
    each = [
        drawn[None, None] for drawn in labels(cells.tiles, frame.size, Edging(frame.border, cells.reach), seed).float()
    ]
    target = torch.zeros(1, 1, *cells.extent)
    for drawn, box in zip(each, cells.boxes, strict=True):
        part(target, box).copy_(drawn)
    slack = max(1, round(SLACK * min(frame.size)))
    firm = firmness(target, slack)
    plane = Guide("labels", materials.values, target, WEIGHT, "l0", strength=firm, palette=materials.colours)
    inner = cells.reach - frame.border
    box = (inner, inner, *frame.whole)
    small = replace(plane, target=target[:, :, :1, :1], strength=None)
    return Wanted(plane, Steering(small, tuple(part(one, box) for one in each), slack))
