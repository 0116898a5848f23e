"""The steps by which the pictures of a set of tiles come about; each solves a job of its own.

First a plane, as large as all tiles together; then the bands that tiles have in common; then every tile, whose border
is settled by then, from its window of the plane (Lagae & Dutré 2006 cut tiles out along the same lines).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from texsynth.image import holes
from texsynth.image import load as inputs
from texsynth.job import Job, Layer
from texsynth.material import matching
from texsynth.runs import run
from texsynth.runs.clock import Clock
from texsynth.runs.run import Result
from texsynth.task import Exemplar, Guide, Preset, Report, Say
from texsynth.tiles import board
from texsynth.tiles.board import IMAGE, Bands, Box, Cuts, Piece, Sheet, TileFrame
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import Strip, TileSet
from texsynth.verbs import map_weights

MOST = 2048  # pixels a side of a board on which tiles are solved together
APART = 2  # windows of a method between parts of a board that are solved together


@dataclass(frozen=True)
class Material:
    """What all steps of a set copy from.

    job: That of the plane, whose maps are at whole multiples of its resolution. weights: How much each map counts.
    scales: The resolution of each map beside the picture, which it has again in the end.
    patch: The side of the windows that the method compares.
    """

    job: Job
    preset: Preset
    seed: int
    weights: Mapping[str, float]
    scales: Mapping[str, Fraction]
    patch: int


@dataclass(frozen=True)
class Steering:
    """The guide of the steps after the plane.

    guide: Its name, weight, distance and palette, and its maps of the exemplars; its target is not looked at.
    tiles: What each tile asks for, (1, C, height + 2 border, width + 2 border); tiles with the same strip ask for the
        same along it.
    """

    guide: Guide
    tiles: tuple[Tensor, ...]


@dataclass(frozen=True)
class Cutting:
    """A set of tiles, and the measures of each."""

    tiles: TileSet
    frame: TileFrame

    @property
    def strips(self) -> list[tuple[Strip, bool]]:
        """All strips, those from left to right first, which are marked."""
        return [(strip, True) for strip in self.tiles.across] + [(strip, False) for strip in self.tiles.down]


@dataclass(frozen=True)
class Hearing:
    """Who hears of the work: of its steps and of what was chosen; the clock goes through the parts of all steps."""

    report: Report
    say: Say
    clock: Clock


def whole_scales(job: Job) -> Job:
    """A job whose coarse maps stay at the resolution of the picture, at which their values are repeated."""
    maps = {name: replace(layer, scale=Fraction(layer.scale.numerator)) for name, layer in job.maps.items()}
    return replace(job, maps=maps)


def unbalanced(preset: Preset) -> Preset:
    """A preset for filling holes. What lies round a hole says which colours belong into it, and most of a set is no
    hole, so the proportions of the whole say nothing."""
    stages = [
        replace(stage, settings=replace(stage.settings, proportion=0.0))
        if hasattr(stage.settings, "proportion")
        else stage
        for stage in preset.stages
    ]
    return replace(preset, stages=tuple(stages))


def solved(job: Job, preset: Preset, seed: int, talk: Hearing) -> Result:
    """Run one of the jobs; KeyboardInterrupt where it was stopped."""
    result = run.run(job, preset, seed, talk.report, talk.say, clock=talk.clock)
    talk.clock.next()
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def sheet(result: Result, like: Job) -> dict[str, Layer]:
    """What a run made, as one sheet."""
    maps = {name: replace(like.maps[name], pictures=(picture,)) for name, picture in result.maps.items()}
    return {IMAGE: Layer((result.image,)), **maps}


def filling(material: Material, canvas: Sheet, hole: Tensor, guide: Guide | None) -> Job:
    """The job that fills a hole (1, 1, h, w) bool in a sheet from the exemplars; nothing of the sheet is copied."""
    job = material.job
    layers = {IMAGE: job.image, **job.maps}
    layers = {name: replace(each, pictures=(*canvas[name].pictures, *each.pictures)) for name, each in layers.items()}
    first = layers[IMAGE].pictures[0]
    pictures = (replace(first, pixels=holes.smooth(first.pixels, hole)), *job.image.pictures)
    images, before = inputs.matching(pictures), job.task.exemplars
    usable = [torch.zeros_like(hole), *(_usable(exemplar) for exemplar in before)]
    names = ("the tiles", *(exemplar.name for exemplar in before))
    exemplars = tuple(map(Exemplar, names, images, usable))
    image, maps = layers.pop(IMAGE), layers
    exemplars = matching.with_maps(exemplars, map_weights.weighed(maps, material.weights))
    task = replace(job.task, exemplars=exemplars, size=(hole.shape[2], hole.shape[3]), tile=(False, False))
    task = replace(task, init=None, hole=hole, core=hole, guides=() if guide is None else (guide,))
    return replace(job, task=task, image=image, maps=maps, reduced=None)


def _usable(exemplar: Exemplar) -> Tensor:
    return torch.ones(1, 1, *exemplar.size, dtype=torch.bool) if exemplar.valid is None else exemplar.valid


@dataclass(frozen=True)
class _Part:
    """Something that is solved on a board with others: its (height, width), the pieces in it, and what it asks for of
    the guide, (1, C, height, width)."""

    size: tuple[int, int]
    pieces: Sequence[Piece]
    asked: Tensor | None


@dataclass(frozen=True)
class _Board:
    """Parts that are solved together, the (top, left) of each, and the (height, width) of all."""

    parts: Sequence[_Part]
    places: Sequence[tuple[int, int]]
    size: tuple[int, int]

    @property
    def pieces(self) -> list[Piece]:
        """All pieces, where they lie on the board."""
        each = zip(self.parts, self.places, strict=True)
        return [piece for item, at in each for piece in board.moved(item.pieces, at)]

    @property
    def hole(self) -> Tensor:
        """What is to be filled, (1, 1, h, w) bool."""
        return board.holes(self.size, self.pieces)

    def guide(self, steering: Steering | None) -> Guide | None:
        """The guide of all parts."""
        if steering is None:
            return None
        target = torch.zeros(1, steering.tiles[0].shape[1], *self.size)
        for item, at in zip(self.parts, self.places, strict=True):
            if item.asked is not None:
                board.part(target, (*at, *item.size)).copy_(item.asked)
        return replace(steering.guide, target=target, sources=(target, *steering.guide.sources))


def _boards(parts: Sequence[_Part], apart: int) -> list[_Board]:
    """Parts on as few boards as hold them, `apart` pixels from each other."""
    boards, rest = [], list(parts)
    for places in board.spread([each.size for each in parts], apart, MOST):
        some, rest = rest[: len(places)], rest[len(places) :]
        boards.append(_Board(some, places, board.extent([each.size for each in some], places, apart)))
    return boards


def _filled(material: Material, boards: Sequence[_Board], steering: Steering | None, talk: Hearing) -> list[Sheet]:
    """The parts of boards with their holes filled, in order."""
    sheets: list[Sheet] = []
    preset = unbalanced(material.preset)
    for each in boards:
        job = filling(material, board.assembled(each.size, each.pieces), each.hole, each.guide(steering))
        result = sheet(solved(job, preset, material.seed, talk), job)
        sheets += [board.cut(result, (*at, *item.size)) for item, at in zip(each.parts, each.places, strict=True)]
    return sheets


def bands(
    material: Material, cutting: Cutting, plane: Sheet, places: Cuts, steering: Steering | None, talk: Hearing
) -> Bands:
    """The bands of all strips, cut out of the plane, with the patches of their corners."""
    boards = _of_bands(material, cutting, plane, places, steering)
    strips = cutting.strips
    ready = dict(zip(strips, _filled(material, boards, steering, talk), strict=True))
    across, down = ({strip: ready[strip, way] for strip, way in strips if way is flat} for flat in (True, False))
    return Bands(across, down)


def _of_bands(
    material: Material, cutting: Cutting, plane: Sheet, places: Cuts, steering: Steering | None
) -> list[_Board]:
    parts = []
    for strip, across in cutting.strips:
        asked = None if steering is None else _asked(cutting, strip, across, steering)
        pieces = board.pieces_of_band(cutting.frame, plane, places, strip, across)
        parts.append(_Part(cutting.frame.band(across), pieces, asked))
    return _boards(parts, APART * material.patch)


def _asked(cutting: Cutting, strip: Strip, across: bool, steering: Steering) -> Tensor:
    """What the guide asks for along a strip: what any tile that has it asks for there."""
    north, east, south, west = cutting.frame.sides()
    for tile, asked in zip(cutting.tiles.tiles, steering.tiles, strict=True):
        if strip == (tile.north if across else tile.west):
            return board.part(asked, north if across else west)
        if strip == (tile.south if across else tile.east):
            return board.part(asked, south if across else east)
    raise KeyError(strip)


def drawn(
    material: Material,
    cutting: Cutting,
    plane: Sheet,
    windows: Sequence[Box],
    ready: Bands,
    steering: Steering | None,
    talk: Hearing,
) -> Drawn:
    """The pictures of all tiles: bands round their windows of the plane, and the rings between them filled."""
    boards = _of_tiles(cutting, plane, windows, ready, steering)
    sheets = _filled(material, boards, steering, talk)
    layers = {name: replace(sheets[0][name], pictures=tuple(s[name].pictures[0] for s in sheets)) for name in plane}
    image, frame = layers.pop(IMAGE), cutting.frame
    fitted = {
        name: board.own_resolution(layer, material.scales[name], frame.size, frame.border)
        for name, layer in layers.items()
    }
    return Drawn(cutting.tiles, frame.size, frame.border, image, fitted)


def _of_tiles(
    cutting: Cutting, plane: Sheet, windows: Sequence[Box], ready: Bands, steering: Steering | None
) -> list[_Board]:
    parts = []
    for number, window in enumerate(windows):
        asked = None if steering is None else steering.tiles[number]
        pieces = board.pieces_of_tile(cutting.frame, cutting.tiles, number, plane, window, ready)
        parts.append(_Part(cutting.frame.whole, pieces, asked))
    return _boards(parts, 0)


def planned(material: Material, cutting: Cutting, guide: Guide | None) -> list[Job]:
    """The jobs of the steps after the plane, with pictures that are not there yet."""
    nowhere: Box = (0, 0, 0, 0)
    strips = {way: {strip: nowhere for strip, flat in cutting.strips if flat is way} for way in (True, False)}
    colours = {colour for strip, _ in cutting.strips for colour in (strip.start, strip.end)}
    side = cutting.frame.patch
    sized = {way: {strip: cutting.frame.middle(way) for strip in strips[way]} for way in (True, False)}
    places = Cuts(dict.fromkeys(colours, (0, 0, side, side)), sized[True], sized[False])
    nothing: Sheet = {}
    empty = Bands(dict.fromkeys(strips[True], nothing), dict.fromkeys(strips[False], nothing))
    windows = board.windows(cutting.tiles, cutting.frame)
    boards = _of_bands(material, cutting, nothing, places, None)
    boards += _of_tiles(cutting, nothing, windows, empty, None)
    return [_outlined(material, each.hole, guide) for each in boards]


def _outlined(material: Material, hole: Tensor, guide: Guide | None) -> Job:
    """A job as `filling` makes it, of which all but the hole is left out that only the solver looks at."""
    job, size = material.job, (hole.shape[2], hole.shape[3])
    exemplar = job.task.exemplars[0]
    further = None if exemplar.further is None else torch.zeros(1).expand(1, exemplar.further.shape[1], *size)
    canvas = replace(exemplar, image=torch.zeros(1).expand(1, 3, *size), valid=None, further=further)
    guides = () if guide is None else (replace(guide, target=torch.zeros(1).expand(1, guide.target.shape[1], *size)),)
    task = replace(job.task, exemplars=(canvas, *job.task.exemplars), size=size, tile=(False, False), init=None)
    return replace(job, task=replace(task, hole=hole, core=hole, guides=guides), reduced=None)
