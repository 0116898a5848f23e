"""Which parts of a plane become the corners and the bands of a set: plain ones, which differ from each other.

They are cut out along the borders of the windows that tiles have in the plane. These are covered in every tile, so
nothing that a band shows comes back inside a tile, and in a regular texture all of them are in step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, TypeVar

import torch
from torch import Tensor

from texsynth.image.salience import salience
from texsynth.tiles.board import Box, Cuts, TileFrame, part, seams
from texsynth.tiles.sets import Strip, TileSet

AGAIN = 4.0  # the price of a part that shows nothing but what others show, in mean saliences
UNUSUAL = 4.0  # the price of a mean colour that is as far from that of the plane as its pixels are
LOUDEST = 0.5  # the share of the loudest quarter of its pixels beside their mean
Key = TypeVar("Key")
MISSED = 30.0  # the price of pixels of another material than was asked for, in mean saliences
Place = tuple[int, int]  # (y, x) of a corner in a plane


@dataclass(frozen=True)
class Offered:
    """Where in a plane each part of a set may be cut out: corners, and the starts of edges that run across and down."""

    corners: Mapping[int, Sequence[Place]]
    across: Mapping[Strip, Sequence[Place]]
    down: Mapping[Strip, Sequence[Place]]


def everywhere(tiles: TileSet, frame: TileFrame, size: tuple[int, int]) -> Offered:
    """All corners and edges of windows inside a plane of (height, width), whatever their colours."""
    down, along = frame.size
    rows, columns = range(down, size[0], down), range(along, size[1], along)
    colours = sorted({colour for tile in tiles.tiles for colour in tile.corners})
    return Offered(
        {key: list(product(rows, columns)) for key in colours},
        {key: list(product(rows, range(0, size[1], along))) for key in tiles.across},
        {key: list(product(range(0, size[0], down), columns)) for key in tiles.down},
    )


@dataclass(frozen=True)
class AskedLabels:
    """What a plane shows, and each part of a set asks for.

    labels: (h, w), those of the plane. corners, across, down: what patches and bands ask for with their margins, (h, w)
    each.
    """

    labels: Tensor
    corners: Mapping[int, Tensor]
    across: Mapping[Strip, Tensor]
    down: Mapping[Strip, Tensor]


def plain(
    frame: TileFrame, offered: Offered, image: Tensor, sources: Tensor | None, asked: AskedLabels | None = None
) -> Cuts:
    """Where corners and bands are cut out of a plane, of all places that are offered.

    image: (1, 3, h, w) in [0, 1], the plane. sources: (h, w) int64, the pixel of the exemplars that each of its pixels
    was copied from; None where nobody knows. asked: The labels that steer; None for none.
    """
    choice, b, (down, along) = _Choice(image, sources), frame.border, frame.size
    reach, nothing = b + frame.margin, dict[Any, Tensor]()
    wanted = (asked.corners, asked.across, asked.down) if asked else (nothing,) * 3

    def missed(wanted: Mapping[Key, Tensor], key: Key, place: Place) -> float:
        if asked is None:
            return 0.0
        there = part(asked.labels, (place[0] - reach, place[1] - reach, *wanted[key].shape))
        return MISSED * float((there != wanted[key]).float().mean())

    corners = choice.best(offered.corners, (-b, -b, 2 * b, 2 * b), partial(missed, wanted[0]))
    at_corners = Cuts(corners, {}, {})

    def joined(across: bool) -> Callable[[Strip, Place], float]:
        def price(strip: Strip, place: Place) -> float:
            apart = choice.mismatch(seams(frame, at_corners, strip, across, place))
            return apart + missed(wanted[1 if across else 2], strip, place)

        return price

    flat = choice.best(offered.across, (-b, b, 2 * b, along - 2 * b), joined(True))
    return Cuts(corners, flat, choice.best(offered.down, (b, -b, down - 2 * b, 2 * b), joined(False)))


class _Choice:
    """Chooses plain parts one after the other, and remembers what they show. image, sources: as in `plain`."""

    def __init__(self, image: Tensor, sources: Tensor | None) -> None:
        self._image, self._shown, self._sources = image[0], salience(image)[0], sources
        self._mean, self._variance = self._image.mean((1, 2)), float(self._image.var((1, 2)).sum()) + 1e-6
        self._used = torch.zeros(0 if sources is None else int(sources.max()) + 1, dtype=torch.bool)

    def best(
        self,
        offered: Mapping[Key, Sequence[Place]],
        box: Box,
        further: Callable[[Key, Place], float] = lambda _key, _place: 0.0,
    ) -> dict[Key, Place]:
        """For each key the best of its places, of which each is taken once unless there are fewer. box: what is shown
        of a place, from there on. further: A price beside that of what is shown."""
        chosen: dict[Key, Place] = {}
        for key, places in offered.items():
            rest = [place for place in places if place not in chosen.values()] or list(places)
            prices = [self._price(_at(box, place)) + further(key, place) for place in rest]
            chosen[key] = rest[prices.index(min(prices))]
            if self._sources is not None:
                self._used[part(self._sources, _at(box, chosen[key])).flatten()] = True
        return chosen

    def mismatch(self, pairs: Sequence[tuple[Box, Box]]) -> float:
        """The mean squared difference between what boxes show, in variances of the plane."""
        off = [(part(self._image, one) - part(self._image, other)).square().sum(0).mean() for one, other in pairs]
        return float(sum(off)) / len(off) / self._variance

    def _price(self, box: Box) -> float:
        values = part(self._shown, box).flatten()
        loudest = values.topk(max(1, len(values) // 4)).values.mean()
        again = 0.0 if self._sources is None else float(self._used[part(self._sources, box)].float().mean())
        unusual = float((part(self._image, box).mean((1, 2)) - self._mean).square().sum()) / self._variance
        return float((1 - LOUDEST) * values.mean() + LOUDEST * loudest) + AGAIN * again + UNUSUAL * unusual


def _at(box: Box, place: Place) -> Box:
    return box[0] + place[0], box[1] + place[1], *box[2:]
