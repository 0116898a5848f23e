"""Which parts of a plane become the corners and the bands of a set: plain ones, which differ from each other.

They are cut out along the borders of the windows that tiles have in the plane. These are covered in every tile, so
nothing that a band shows comes back inside a tile, and in a regular texture all of them are in step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from texsynth.image.salience import salience
from texsynth.tiles.board import Box, Cuts, TileFrame, part
from texsynth.tiles.sets import TileSet

AGAIN = 4.0  # the price of a part that shows nothing but what others show, in mean saliences
LOUDEST = 0.5  # the share of the loudest quarter of its pixels beside their mean


def plain(tiles: TileSet, frame: TileFrame, image: Tensor, sources: Tensor | None) -> Cuts:
    """Where corners and bands are cut out of a plane.

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

    strips = [(strip, True) for strip in tiles.across] + [(strip, False) for strip in tiles.down]
    colours = sorted({colour for strip, _ in strips for colour in (strip.start, strip.end)})
    size = (int(image.shape[2]), int(image.shape[3]))
    corners = _corners(frame, size)
    edges = {across: _edges(frame, size, across) for across in (True, False)}
    at_corners = {}
    for colour in colours:
        at_corners[colour] = best(corners)
        corners = [box for box in corners if box != at_corners[colour]] or corners
    bands = {}
    for strip, way in strips:
        bands[strip, way] = best(edges[way])
        edges[way] = [box for box in edges[way] if box != bands[strip, way]] or edges[way]
    across, down = ({strip: bands[strip, way] for strip, way in strips if way is flat} for flat in (True, False))
    return Cuts(at_corners, across, down)


def _corners(frame: TileFrame, size: tuple[int, int]) -> list[Box]:
    """The patches round all corners of windows inside a plane of (height, width)."""
    (height, width), b, side = frame.size, frame.border, frame.patch
    rows, columns = range(height, size[0] - b + 1, height), range(width, size[1] - b + 1, width)
    return [(y - b, x - b, side, side) for y, x in product(rows, columns)]


def _edges(frame: TileFrame, size: tuple[int, int], across: bool) -> list[Box]:
    """The middles of bands along all edges between windows in a plane of (height, width)."""
    (height, width), b = frame.size, frame.border
    top, left, h, w = frame.middle(across)
    rows = range(height if across else 0, size[0] - (b if across else height) + 1, height)
    columns = range(0 if across else width, size[1] - (width if across else b) + 1, width)
    return [(y - b + top, x - b + left, h, w) for y, x in product(rows, columns)]
