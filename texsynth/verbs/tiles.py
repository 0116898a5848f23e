"""tiles corner, wang and blob: complete sets of tiles, which may be laid at random, or for two materials as these lie,
without a seam."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import torch

from texsynth.errors import ResourceError, UsageError
from texsynth.field import lattice
from texsynth.field.planes import Copying
from texsynth.image import load as inputs
from texsynth.image.load import Source
from texsynth.job import Input, Job, Layer
from texsynth.methods import method
from texsynth.preset import DEFAULT
from texsynth.requests import synthesize as synthesizing
from texsynth.requests.option import given, recorded
from texsynth.requests.tiles import blob, corner, wang
from texsynth.requests.tiles.common import AtlasOptions, TileOptions
from texsynth.runs import cost, record, run
from texsynth.runs.clock import Clock
from texsynth.runs.run import silent
from texsynth.task import Estimate, Period, Preset, Report, Say
from texsynth.tiles import atlas, board, matching, places, sets
from texsynth.tiles.board import IMAGE, TileFrame
from texsynth.tiles.cells import Cells
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import TileSet
from texsynth.verbs import map_weights, parse, synthesize, tile_materials, tile_steps
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.tile_checks import BLOB_TILES
from texsynth.verbs.tile_steps import Cutting, Hearing, Material, Steering
from texsynth.verbs.verb import Verb, check_use, preset_of
from texsynth.weights.pretrained import Fetching

SIZE = "256"  # of a tile, unless another is asked for
LEAST_PATCHES = 4  # windows of the method, that a side of a tile has at least
BORDER_SHARE, MARGIN_SHARE, GAP_SHARE, CORE_SHARE = 1 / 16, 1 / 7, 1 / 12, 1 / 24  # of the shorter side of a tile
NARROWEST_CORE = 4  # pixels
INSIDE = 4  # pixels that the inside of a tile keeps at least, between its seams
MOST_STRETCHED = 0.03  # of a step of a regular texture, about which nothing is said
BOARD_BYTES = 250  # of a pixel of a board, beside what its job is estimated to take
# How many times as long as they are estimated to take jobs last in sets of 16 to 81 tiles of 64 to 256 pixels, on two
# cores: that of the plane, and those of boards, of which far more is a hole than of pictures that are repaired.
PLANE_PACE, BOARD_PACE, BOARD_START = 1.4, 2.5, 0.3  # and seconds beside
# Seconds of a pixel of a tile: beside each window, where windows are matched; where bands are cut; in the viewer.
MATCHING, CUTTING, SHOWING, PREVIEW = 1.3e-9, 6e-8, 6e-8, 0.2  # and for the preview, whose size is bounded
USUAL_PATCH = 9  # pixels of the windows of a method that says nothing of them


@dataclass(frozen=True)
class TileWork:
    """A set of tiles to be made, whose inputs are read and checked.

    padding: The pixels round each tile in the atlas. cost: Of the whole command, but for its files.
    record: The resolved run, JSON-able. cells: The plane of two materials, and steering: what its tiles ask for.
    """

    request: AtlasOptions
    cutting: Cutting
    material: Material
    padding: int
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    cells: Cells | None = None
    steering: Steering | None = None

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) of a tile."""
        return self.cutting.frame.size

    @property
    def tiles(self) -> TileSet:
        """Which tiles there are."""
        return self.cutting.tiles

    @property
    def depths(self) -> dict[str, str]:
        """The depth of the picture and of each map, by name."""
        layers = {IMAGE: self.material.job.image, **self.material.job.maps}
        return {name: layer.pictures[0].depth for name, layer in layers.items()}


@dataclass(frozen=True)
class Laid:
    """The outcome: the tiles with their pictures, and the seconds that it took."""

    drawn: Drawn
    seconds: float
    notices: tuple[str, ...] = ()


def prepare(command: str, request: AtlasOptions, sources: Sequence[Source], say: Say, fetching: Fetching) -> TileWork:
    """Read and check everything; raises TexsynthErrors. `say` takes what is to be noticed about the preset."""
    tiles = set_of(request)
    asked = as_synthesis(request, sources)
    verb = Verb(command, synthesize.build)
    preset = preset_of(verb, asked)
    check_copies(command, preset)
    notices: list[str] = []
    draft = synthesize.read(asked, synthesize.sources(asked), notices.append)
    frame = frame_of(request, draft, preset)
    cutting = Cutting(tiles, frame)
    check_memory(held((Layer(draft.pictures), *draft.maps.values()), cutting), cutting, draft.memory)
    cell = cell_of(draft)
    padding = atlas.padding_of(request.padding, frame.border, cell if frame.border % cell == 0 else 1)
    notices += [remark] if (remark := atlas.remark(frame.size, padding)) else []
    notices += [broken] if (broken := _broken_steps(frame, draft)) else []
    size, seed = (tiles.rows * frame.size[0], tiles.columns * frame.size[1]), request.seed or 0
    cells = asking = None
    entries: tuple[Input, ...] = ()
    if isinstance(request, blob.Request):
        cells = Cells(tiles, frame.size, frame.border + frame.margin + 2 * frame.gap)
        materials = tile_materials.read(request.labels, draft, notices.append)
        asking, size, entries = tile_materials.wanted(materials, cells, frame, seed), cells.extent, materials.entries
    guides = () if asking is None else (asking.plane,)
    period = Period((float(frame.size[0]), float(frame.size[1]))) if cells is None else None
    values = {
        "size": f"{frame.size[1]}x{frame.size[0]}",
        request.SECTION: recorded(request, request.SECTION) | {"padding": padding, "border": frame.border},
    }
    job = synthesize.finish(draft, command, size, notices, entries, values, guides=guides, period=period)
    check_use(given(asked), job.task, preset)
    job = run.fit(job, preset, asked.weights, say, None, fetching)
    material = material_of(job, preset, request, draft)
    steering = None if asking is None else asking.steering
    whole = estimate(tile_steps.labelled(material, steering), cutting)
    check_memory(whole.memory, cutting, job.task.max_memory)
    stored = record.describe(job, preset, material.seed)
    return TileWork(
        request,
        cutting,
        material,
        padding=padding,
        cost=whole,
        record=stored,
        notices=tuple(notices),
        remarks=job.remarks,
        cells=cells,
        steering=steering,
    )


def execute(work: TileWork, report: Report = silent, say: Say = silent) -> Laid:
    """Make the tiles; KeyboardInterrupt where the work is stopped, as a part of a set is of no use."""
    start = time.perf_counter()
    material, cutting = tile_steps.labelled(work.material, work.steering), work.cutting
    heard = Hearing(report, say, clock_of(material, cutting))
    result = tile_steps.solved(material.job, material.preset, material.seed, heard)
    plane, sources = tile_steps.sheet(result, material.job), _sources(result.field)
    del result  # whose field is large
    image = inputs.matching(plane[IMAGE].pictures)[0]
    if (cells := work.cells) is None:
        windows = board.windows(cutting.tiles, cutting.frame)
        offered = places.everywhere(cutting.tiles, cutting.frame, material.job.task.size)
    else:
        windows, offered = cells.windows, cells.offered
    asked = None if work.steering is None else tile_steps.asked(cutting, plane, work.steering)
    chosen = places.plain(cutting.frame, offered, image, sources, asked)
    ready = tile_steps.bands(material, cutting, plane, chosen, work.steering, heard)
    margins = tile_steps.with_margins(cutting, plane, ready)
    if cells is None:
        windows = matching.matched(cutting.frame, windows, image, margins)
    boards = tile_steps.of_tiles(cutting, plane, windows, ready, work.steering, margins)
    del margins  # which are as large as all tiles
    drawn = tile_steps.drawn(material, cutting, boards, work.steering, heard)
    return Laid(drawn, time.perf_counter() - start)


def _sources(field: Copying | None) -> Any:
    """The pixel of the exemplars that each one of a plane was copied from, (h, w); None where nobody knows."""
    return None if field is None else field.atlas.home_of(field.part(0, field.size[0]).index).cpu().clamp(min=0)


def set_of(request: AtlasOptions) -> TileSet:
    """The set that a request asks for, which tile_checks has let through."""
    if isinstance(request, blob.Request):
        return sets.blob() if request.tiles == max(BLOB_TILES) else sets.marching()
    if isinstance(request, corner.Request):
        return sets.corner(request.colours)
    assert isinstance(request, wang.Request)
    return sets.wang(request.colours, request.colours**4 if request.tiles is None else request.tiles)


def as_synthesis(request: TileOptions, sources: Sequence[Source]) -> synthesizing.Request:
    """The request that asks for a plane of the texture, by what both have in common."""
    theirs = {field.name for field in fields(synthesizing.Request)}
    shared = {f.name: getattr(request, f.name) for f in fields(request) if f.name in theirs}
    return synthesizing.Request(**{**shared, "exemplars": list(sources), "output": None})


def check_copies(command: str, preset: Preset) -> None:
    """Refuse presets that copy nothing, whose tiles could not have their borders in common; UsageError."""
    if not all(method(stage.method).COPIES for stage in preset.stages[-1:]):
        why = f"preset {preset.name} does not copy pixels in the end, so no borders could be equal"
        raise UsageError(f"{command}: {why}; --preset {DEFAULT} copies")


def frame_of(request: AtlasOptions, draft: Draft, preset: Preset) -> TileFrame:
    """The measures of the tiles; raises UsageError for tiles that are too small."""
    shorter = draft.exemplars[0].size
    size = parse.size(SIZE if request.size is None else request.size, (min(shorter), min(shorter)))
    patch, shortest = patch_of(preset), min(size)
    if shortest < LEAST_PATCHES * patch:
        least = f"{LEAST_PATCHES * patch}, {LEAST_PATCHES} windows of preset {preset.name}"
        raise UsageError(f"--size {size[1]}x{size[0]}: a tile has at least {least}, on each side")
    border = max(patch, round(shortest * BORDER_SHARE))
    # A border of whole values of coarse maps lets these keep their resolution.
    cell = cell_of(draft)
    wider = -(-border // cell) * cell
    border = wider if shortest >= LEAST_PATCHES * wider else border
    room = shortest - 2 * border - INSIDE
    margin = min(round(shortest * MARGIN_SHARE), room // 5)
    gap = min(round(shortest * GAP_SHARE), (room - 2 * margin) // 4)
    core = min(2 * gap, 2 * margin, max(NARROWEST_CORE, 2 * round(shortest * CORE_SHARE / 2)))
    return TileFrame(size, border, margin, gap, core)


def _broken_steps(frame: TileFrame, draft: Draft) -> str:
    """What to say where a regular texture is stretched a lot, so that tiles hold whole steps of it; "" for nothing."""
    grid = lattice.regular(draft.exemplars[0].image) if len(draft.exemplars) == 1 else None
    if grid is None:
        return ""
    change = float((torch.linalg.inv(grid.vectors) @ grid.bent(frame.size, (True, True)) - torch.eye(2)).abs().max())
    down, along = lattice.steps(grid)
    if change <= MOST_STRETCHED or down is None or along is None:
        return ""
    # The nearest numbers of whole steps, as many pixels as these have in the mean.
    height, width = (round(max(1, round(side / s)) * s) for side, s in zip(frame.size, (down, along), strict=True))
    return (
        f"{draft.exemplars[0].name}: the texture repeats every {along:.1f}x{down:.1f} px, and is stretched by up to "
        f"{100 * change:.0f} % so that tiles hold whole steps; --size {width}x{height} holds them as they are"
    )


def cell_of(draft: Draft) -> int:
    """The pixels of the picture that one of the coarsest map is."""
    return math.lcm(*(layer.scale.denominator for layer in draft.maps.values()))


def patch_of(preset: Preset) -> int:
    """The side of the windows that the methods of a preset compare."""
    return max(getattr(stage.settings, "patch", USUAL_PATCH) for stage in preset.stages)


def material_of(job: Job, preset: Preset, request: AtlasOptions, draft: Draft) -> Material:
    """What all steps copy from, by the job of the plane."""
    weights = map_weights.weights(draft.maps, request.map_weight, None)
    scales: dict[str, Fraction] = {name: layer.scale for name, layer in job.maps.items()}
    plane = tile_steps.whole_scales(job)
    return Material(plane, preset, request.seed or 0, weights, scales, patch_of(preset))


def estimate(material: Material, cutting: Cutting) -> Estimate:
    """The memory and the seconds of all steps together."""
    jobs = [material.job, *tile_steps.planned(material, cutting, next(iter(material.job.task.guides), None))]
    each = [run.estimate(job, material.preset) for job in jobs]
    layers = material.job.image, *material.job.maps.values()
    largest = max(job.task.size[0] * job.task.size[1] for job in jobs[1:])
    boards = (4 * sum(layer.planes for layer in layers) + BOARD_BYTES) * largest
    plane, *filled = (one.seconds - cost.START for one in each)
    seconds = cost.START + PLANE_PACE * plane + sum(BOARD_START + BOARD_PACE * one for one in filled)
    seconds += beside(len(cutting.tiles.tiles), cutting.frame.whole, matched=not material.job.task.guides)
    return Estimate(max(one.memory for one in each) + held(layers, cutting) + boards, seconds)


def beside(count: int, size: tuple[int, int], matched: bool) -> float:
    """The seconds of what is done beside solving, of so many tiles of (height, width) with their borders."""
    pixels = count * size[0] * size[1]
    return PREVIEW + pixels * (CUTTING + SHOWING + (MATCHING * count if matched else 0.0))


def held(layers: Iterable[Layer], cutting: Cutting) -> int:
    """The bytes of the plane and of all tiles, which a set takes in any case."""
    height, width = cutting.frame.whole
    return 8 * sum(layer.planes for layer in layers) * len(cutting.tiles.tiles) * height * width


def clock_of(material: Material, cutting: Cutting) -> Clock:
    """The clock that goes through the parts of all steps."""
    jobs = [material.job, *tile_steps.planned(material, cutting, next(iter(material.job.task.guides), None))]
    return Clock([part for job in jobs for part in run.parts_of(job, material.preset, False)])


def check_memory(needed: int, cutting: Cutting, limit: int) -> None:
    """Raise ResourceError where a set needs more bytes than the limit."""
    if needed > limit:
        height, width = cutting.frame.size
        what = f"{len(cutting.tiles.tiles)} tiles of {width}x{height} need about {run.gigabytes(needed)}"
        raise ResourceError(
            f"{what}, above the limit of {run.gigabytes(limit)}; make them smaller or fewer, or raise --max-memory"
        )
