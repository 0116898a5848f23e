"""Which parts of a plane become the corners and the bands of a set: plain ones, which differ from each other.

They are cut out along the borders of the windows that tiles have in the plane. These are covered in every tile, so
nothing that a band shows comes back inside a tile, and in a regular texture all of them are in step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor

from texsynth.image.salience import salience
from texsynth.tiles.board import Box, Cuts, TileFrame, part
from texsynth.tiles.sets import Strip, TileSet

AGAIN = 4.0  # the price of a part that shows nothing but what others show, in mean saliences
LOUDEST = 0.5  # the share of the loudest quarter of its pixels beside their mean
Place = tuple[int, int]  # (y, x) of a corner in a plane


@dataclass(frozen=True)
class Offered:
    """Where in a plane each part of a set may be cut out: corners, and the starts of edges that run across and down."""

    corners: Mapping[int, Sequence[Place]]
    across: Mapping[Strip, Sequence[Place]]
    down: Mapping[Strip, Sequence[Place]]


def everywhere(tiles: TileSet, frame: TileFrame, size: tuple[int, int]) -> Offered:
    """All corners and edges of windows inside a plane of (height, width), whatever their colours."""
    (height, width), b = frame.size, frame.border
    rows, columns = range(0, size[0] + 1, height), range(0, size[1] + 1, width)
    inner_rows, inner_columns = (
        [n for n in lines if b <= n <= last - b] for lines, last in zip((rows, columns), size, strict=True)
    )
    colours = {colour for strip in (*tiles.across, *tiles.down) for colour in (strip.start, strip.end)}
    across = list(product(inner_rows, columns[:-1]))
    down = list(product(rows[:-1], inner_columns))
    corners = dict.fromkeys(sorted(colours), tuple(product(inner_rows, inner_columns)))
    return Offered(corners, dict.fromkeys(tiles.across, across), dict.fromkeys(tiles.down, down))


def plain(frame: TileFrame, offered: Offered, image: Tensor, sources: Tensor | None) -> Cuts:
    """Where corners and bands are cut out of a plane, of all places that are offered.

    image: (1, 3, h, w) in [0, 1], the plane. sources: (h, w) int64, the pixel of the exemplars that each of its pixels
    was copied from; None where nobody knows.
    """
    shown = salience(image)[0]
    used = None if sources is None else torch.zeros(int(sources.max()) + 1, dtype=torch.bool)

    def best(boxes: Sequence[Box]) -> Box:
        prices = []
        for box in boxes:
            values = part(shown, box).flatten()
            loudest = values.topk(max(1, len(values) // 4)).values.mean()
            price = float((1 - LOUDEST) * values.mean() + LOUDEST * loudest)
            again = 0.0 if used is None or sources is None else float(used[part(sources, box)].float().mean())
            prices.append(price + AGAIN * again)
        chosen = boxes[min(range(len(boxes)), key=prices.__getitem__)]
        if used is not None and sources is not None:
            used[part(sources, chosen).flatten()] = True
        return chosen

    def chosen(places: Sequence[Place], taken: list[Place], box: Callable[[Place], Box]) -> Box:
        free = [place for place in places if place not in taken] or places
        boxes = [box(place) for place in free]
        cut = best(boxes)
        taken.append(free[boxes.index(cut)])
        return cut

    taken: tuple[list[Place], ...] = ([], [], [])
    corners = {c: chosen(p, taken[0], partial(_patch, frame)) for c, p in offered.corners.items()}
    across = {s: chosen(p, taken[1], partial(_middle, frame, True)) for s, p in offered.across.items()}
    down = {s: chosen(p, taken[2], partial(_middle, frame, False)) for s, p in offered.down.items()}
    return Cuts(corners, across, down)


def _patch(frame: TileFrame, corner: Place) -> Box:
    """The patch round a corner of a plane."""
    return corner[0] - frame.border, corner[1] - frame.border, frame.patch, frame.patch


def _middle(frame: TileFrame, across: bool, corner: Place) -> Box:
    """The middle of the band along an edge from a corner of a plane."""
    top, left, height, width = frame.middle(across)
    return corner[0] - frame.border + top, corner[1] - frame.border + left, height, width
