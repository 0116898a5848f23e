"""The steps by which the pictures of a set of tiles come about; each solves a job of its own.

First a plane, as large as all tiles together; then the bands that tiles have in common; then every tile, whose border
is settled by then, from its window of the plane (Lagae & Dutré 2006 cut tiles out along the same lines).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import holes
from texsynth.image import load as inputs
from texsynth.image.picture import Picture
from texsynth.job import Job, Layer
from texsynth.material import matching
from texsynth.runs import machine, run
from texsynth.runs.clock import Clock
from texsynth.runs.run import Result
from texsynth.task import Exemplar, Guide, Preset, Report, Say
from texsynth.tiles import board, quilting
from texsynth.tiles.board import IMAGE, Bands, Box, Cuts, Patchwork, Sheet, TileFrame
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.labels import firmness
from texsynth.tiles.places import AskedLabels
from texsynth.tiles.quilting import ShownPlane
from texsynth.tiles.sets import Strip, TileSet
from texsynth.verbs import map_weights

MOST = 1200  # pixels a side of a board on which tiles are solved together: bounds the memory
LABELS = "labels of materials"  # the name of their map; no other map can have it
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
    tiles: What each tile asks for, (1, 1, height + 2 border, width + 2 border); tiles with the same strip ask for the
        same along it.
    slack: Pixels on both sides of an outline within which it may lie.
    """

    guide: Guide
    tiles: tuple[Tensor, ...]
    slack: int


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


def labelled(material: Material, steering: Steering | None) -> Material:
    """The same, where labels steer, with a map of these among the others, so that they are known of all that is made of
    it; `drawn` leaves it out."""
    if steering is None:
        return material
    layer = Layer(tuple(map(Picture, steering.guide.sources)), "labels")
    job = replace(material.job, maps={**material.job.maps, LABELS: layer})
    weights, scales = {**material.weights, LABELS: 0.0}, {**material.scales, LABELS: Fraction(1)}
    return replace(material, job=job, weights=weights, scales=scales)


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


def solved(job: Job, preset: Preset, seed: int, heard: Hearing) -> Result:
    """Run one of the jobs; KeyboardInterrupt where it was stopped."""
    result = run.run(job, preset, seed, heard.report, heard.say, clock=heard.clock)
    heard.clock.next()
    machine.give_memory_back()  # what is kept of one job lies between what the next one needs
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def sheet(result: Result, like: Job) -> dict[str, Layer]:
    """What a run made, as one sheet."""
    maps = {name: replace(like.maps[name], pictures=(picture,)) for name, picture in result.maps.items()}
    return {IMAGE: Layer((result.image,)), **maps}


def filling(material: Material, canvas: Sheet, seams: tuple[Tensor, Tensor], shift: Tensor, guide: Guide | None) -> Job:
    """The job that fills the seams of a sheet from the exemplars.

    seams: The hole, and the part of it that is made anew in any case, both (1, 1, h, w) bool; of the sheet nothing is
    copied but the rest of it. shift: As of a period.
    """
    hole, core = seams
    job = material.job
    layers = {IMAGE: job.image, **job.maps}
    layers = {name: replace(each, pictures=(*canvas[name].pictures, *each.pictures)) for name, each in layers.items()}
    first = layers[IMAGE].pictures[0]
    pictures = (replace(first, pixels=holes.smooth(first.pixels, core)), *job.image.pictures)
    images, before = inputs.matching(pictures), job.task.exemplars
    usable = [hole & ~core, *(_usable(exemplar) for exemplar in before)]
    names = ("the tiles", *(exemplar.name for exemplar in before))
    exemplars = tuple(map(Exemplar, names, images, usable))
    image, maps = layers.pop(IMAGE), layers
    exemplars = matching.with_maps(exemplars, map_weights.weighed(maps, material.weights))
    task = replace(job.task, exemplars=exemplars, size=(hole.shape[2], hole.shape[3]), tile=(False, False))
    period = None if task.period is None else replace(task.period, shift=shift)
    task = replace(task, init=None, hole=hole, core=core, guides=() if guide is None else (guide,), period=period)
    return replace(job, task=task, image=image, maps=maps, match_tone=False, reduced=None)


def _usable(exemplar: Exemplar) -> Tensor:
    return torch.ones(1, 1, *exemplar.size, dtype=torch.bool) if exemplar.valid is None else exemplar.valid


@dataclass(frozen=True)
class TileBoard:
    """Parts that are solved together, with what each asks for of the guide, (1, C, height, width); the (top, left) of
    each, and the (height, width) of all."""

    parts: Sequence[tuple[Patchwork, Tensor | None]]
    places: Sequence[tuple[int, int]]
    size: tuple[int, int]

    @property
    def laid(self) -> list[Patchwork]:
        """The parts, where they lie."""
        return [board.moved(each, at) for (each, _), at in zip(self.parts, self.places, strict=True)]

    @property
    def hole(self) -> Tensor:
        """What may be filled, (1, 1, h, w) bool."""
        return board.uncovered(self.size, [box for each in self.laid for box in each.stays])

    @property
    def core(self) -> Tensor:
        """What is filled in any case, (1, 1, h, w) bool."""
        core = torch.ones(1, 1, *self.size, dtype=torch.bool)
        for (each, _), at in zip(self.parts, self.places, strict=True):
            board.part(core, (*at, *each.size)).copy_(each.core)
        return core

    def canvas(self) -> dict[str, Layer]:
        """All pieces."""
        return board.assembled(self.size, [piece for each in self.laid for piece in each.pieces])

    @property
    def shift(self) -> Tensor:
        """How much further (down, along) than here each pixel lies from a corner of its tile, (1, 2, h, w)."""
        shift = torch.zeros(1, 2, *self.size)
        for (each, _), at in zip(self.parts, self.places, strict=True):
            before = torch.tensor([place + each.before for place in at])
            board.part(shift, (*at, *each.size)).copy_(-before.view(1, 2, 1, 1).expand(1, 2, *each.size))
        return shift

    def guide(self, steering: Steering | None, canvas: Sheet) -> Guide | None:
        """The guide of all parts. canvas: what is there, with the labels of it."""
        if steering is None:
            return None
        target = torch.zeros(1, steering.tiles[0].shape[1], *self.size)
        for (each, asked), at in zip(self.parts, self.places, strict=True):
            if asked is not None:
                board.part(target, (*at, *each.size)).copy_(asked)
        firm = firmness(target, steering.slack)
        there = canvas[LABELS].pictures[0].pixels
        return replace(steering.guide, target=target, strength=firm, sources=(there, *steering.guide.sources))


def _boards(parts: Sequence[tuple[Patchwork, Tensor | None]], apart: int) -> list[TileBoard]:
    """Parts on as few boards as hold them, `apart` pixels from each other."""
    boards, rest = [], list(parts)
    spaces = [(height + apart, width + apart) for height, width in (each.size for each, _ in parts)]
    # About square, as the levels of the solver go by the shorter side.
    side = max(math.isqrt(sum(h * w for h, w in spaces)), *(w for _, w in spaces)) + apart
    for places in board.spread([each.size for each, _ in parts], apart, (MOST, min(MOST, side))):
        some, rest = rest[: len(places)], rest[len(places) :]
        boards.append(TileBoard(some, places, board.extent([each.size for each, _ in some], places, apart)))
    return boards


def _filled(material: Material, boards: Sequence[TileBoard], steering: Steering | None, heard: Hearing) -> list[Sheet]:
    """The parts of boards with their seams filled, in order."""
    sheets: list[Sheet] = []
    preset = unbalanced(material.preset)
    for each in boards:
        canvas = each.canvas()
        job = filling(material, canvas, (each.hole, each.core), each.shift, each.guide(steering, canvas))
        result = sheet(solved(job, preset, material.seed, heard), job)
        sheets += [board.cut(result, (*at, *item.size)) for (item, _), at in zip(each.parts, each.places, strict=True)]
    return sheets


def bands(
    material: Material, cutting: Cutting, plane: Sheet, places: Cuts, steering: Steering | None, heard: Hearing
) -> Bands:
    """The bands of all strips, cut out of the plane, with the patches of their corners."""
    shown = quilting.shown_plane(inputs.matching(plane[IMAGE].pictures)[0])
    boards = _of_bands(material, cutting, plane, places, steering, shown)
    strips = cutting.strips
    ready = dict(zip(strips, _filled(material, boards, steering, heard), strict=True))
    across, down = ({strip: ready[strip, way] for strip, way in strips if way is flat} for flat in (True, False))
    return Bands(across, down)


def _of_bands(
    material: Material,
    cutting: Cutting,
    plane: Sheet,
    places: Cuts,
    steering: Steering | None,
    shown: ShownPlane | None,
) -> list[TileBoard]:
    boards = []
    for way in (True, False):  # apart, as bands of both ways fill a board badly
        parts = []
        for strip in cutting.tiles.across if way else cutting.tiles.down:
            asked = None if steering is None else _asked(cutting, strip, way, steering)
            joints = quilting.of_band(cutting.frame, places, strip, way, shown)
            parts.append((board.band(cutting.frame, plane, places, strip, way, joints), asked))
        boards += _boards(parts, APART * material.patch)
    return boards


def asked(cutting: Cutting, plane: Sheet, steering: Steering) -> AskedLabels:
    """What the corners and the strips of a set ask for, beside what a plane shows."""
    side = cutting.frame.breadth + 2 * cutting.frame.margin
    corners = {colour: torch.full((side, side), float(colour)) for colour in range(cutting.tiles.colours)}
    strips = {strip: _asked(cutting, *strip, steering)[0, 0] for strip in cutting.strips}
    across, down = ({strip: strips[strip, way] for strip, way in strips if way is flat} for flat in (True, False))
    return AskedLabels(plane[LABELS].pictures[0].pixels[0, 0], corners, across, down)


def _asked(cutting: Cutting, strip: Strip, across: bool, steering: Steering) -> Tensor:
    """What the guide asks for along a strip: what any tile that has it asks for there; beyond it goes on so."""
    (height, width), broad, margin = cutting.frame.size, cutting.frame.breadth, cutting.frame.margin
    for kind, asked in zip(cutting.tiles.tiles, steering.tiles, strict=True):
        if strip in ((kind.north, kind.south) if across else (kind.west, kind.east)):
            first = strip == (kind.north if across else kind.west)
            top, left = (0 if first or not across else height), (0 if first or across else width)
            box = (top, left, *((broad, width + broad) if across else (height + broad, broad)))
            return F.pad(board.part(asked, box), (margin,) * 4, mode="replicate")
    raise KeyError(strip)


def drawn(
    material: Material,
    cutting: Cutting,
    boards: Sequence[TileBoard],
    steering: Steering | None,
    heard: Hearing,
) -> Drawn:
    """The pictures of all tiles, whose boards `of_tiles` makes, with the rings between bands and insides filled."""
    sheets = _filled(material, boards, steering, heard)
    layers = {name: replace(sheets[0][name], pictures=tuple(s[name].pictures[0] for s in sheets)) for name in sheets[0]}
    shown, frame = layers.pop(IMAGE), cutting.frame
    layers.pop(LABELS, None)
    fitted = {
        name: board.own_resolution(layer, material.scales[name], frame.size, frame.border)
        for name, layer in layers.items()
    }
    return Drawn(cutting.tiles, frame.size, frame.border, shown, fitted)


def with_margins(cutting: Cutting, plane: Sheet, ready: Bands) -> list[Tensor]:
    """The bands of each tile with their margins, (1, 3, height, width) in [0, 1]; inside, anything is shown."""
    window = board.windows(cutting.tiles, cutting.frame)[0]
    shown = Bands(*({strip: _image_of(each) for strip, each in way.items()} for way in (ready.across, ready.down)))
    tiles = []
    for number in range(len(cutting.tiles.tiles)):
        whole = quilting.of_tile(cutting.frame, window, None)
        part = board.tile(cutting.frame, cutting.tiles, number, _image_of(plane), window, shown, whole)
        tiles.append(inputs.matching(board.assembled(part.size, part.pieces)[IMAGE].pictures)[0])
    return tiles


def _image_of(whole: Sheet) -> Sheet:
    return {IMAGE: whole[IMAGE]}


def of_tiles(
    cutting: Cutting,
    plane: Sheet,
    windows: Sequence[Box],
    ready: Bands,
    steering: Steering | None,
    margins: Sequence[Tensor] | None,
) -> list[TileBoard]:
    """The boards of tiles: bands round their windows of the plane.

    margins: The bands of each tile as `with_margins` has them; None where these and the plane are not there yet.
    """
    parts = []
    shown = None if margins is None else quilting.shown_plane(inputs.matching(plane[IMAGE].pictures)[0])
    for number, window in enumerate(windows):
        asked = None if steering is None else steering.tiles[number]
        joint = quilting.of_tile(cutting.frame, window, shown, None if margins is None else margins[number])
        parts.append((board.tile(cutting.frame, cutting.tiles, number, plane, window, ready, joint), asked))
    return _boards(parts, 0)


def planned(material: Material, cutting: Cutting, guide: Guide | None) -> list[Job]:
    """The jobs of the steps after the plane, with pictures that are not there yet."""
    frame, nowhere, nothing = cutting.frame, (0, 0), dict[str, Layer]()
    across, down = ([strip for strip, way in cutting.strips if way is flat] for flat in (True, False))
    colours = {colour for strip in (*across, *down) for colour in (strip.start, strip.end)}
    places = Cuts(dict.fromkeys(colours, nowhere), dict.fromkeys(across, nowhere), dict.fromkeys(down, nowhere))
    empty = Bands(dict.fromkeys(across, nothing), dict.fromkeys(down, nothing))
    boards = _of_bands(material, cutting, nothing, places, None, None)
    boards += of_tiles(cutting, nothing, board.windows(cutting.tiles, frame), empty, None, None)
    return [_outlined(material, each.hole, each.core, guide) for each in boards]


def _outlined(material: Material, hole: Tensor, core: Tensor, guide: Guide | None) -> Job:
    """A job as `filling` makes it, of which all but the hole is left out that only the solver looks at."""
    job, size = material.job, (hole.shape[2], hole.shape[3])
    exemplar = job.task.exemplars[0]
    further = None if exemplar.further is None else torch.zeros(1).expand(1, exemplar.further.shape[1], *size)
    canvas = replace(exemplar, image=torch.zeros(1).expand(1, 3, *size), valid=None, further=further)
    guides = () if guide is None else (replace(guide, target=torch.zeros(1).expand(1, guide.target.shape[1], *size)),)
    task = replace(job.task, exemplars=(canvas, *job.task.exemplars), size=size, tile=(False, False), init=None)
    task = replace(task, hole=hole, core=core, guides=guides)
    return replace(job, task=task, match_tone=False, reduced=None)
