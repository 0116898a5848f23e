"""The correspondence field: for every output pixel, the source pixel it is copied from.

Minimises the energy of guided correspondence (Zhou et al. 2023: distance of every output window to a source window,
plus a price on uneven use) over a field of pointers in place of pixels, so that colours are copied and never averaged.
A quilt of large pieces (field/quilt.py) starts the coarsest level, on the lattice of a regular exemplar
(field/lattice.py); every finer level lets the pieces slide (field/align.py) and then improves the seams pixel by
pixel (field/sweep.py).

Differs from the paper in: windows of raw pixels, no network; squared distance, not relative cosine; the occurrence
penalty is replaced by prices of transport (field/potential.py) and of near repeats (field/quilt.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.features import windows
from texsynth.field import jumps, lattice, potential
from texsynth.field.align import align
from texsynth.field.atlas import COPY_SETS, Atlas, Field, build_atlas, double
from texsynth.field.blocks import largest_blocks
from texsynth.field.guide import Guiding, along, encode, joined, steer
from texsynth.field.quilt import Rules, Steer, quilt
from texsynth.field.space import Space, describe, find_basis, nearest, surroundings
from texsynth.field.sweep import sweep
from texsynth.methods import _mending, _mosaic, _oriented
from texsynth.methods._mending import Brim
from texsynth.pyramid import octaves
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = True
RECIPES: tuple[str, ...] = ()
SEAMS = 0.5  # share of the proportion price that single pixels pay: all of it would tear objects apart
PHASE = 0.5  # price of a block that is out of step with the lattice, in variances
ANCHORED = 3.0  # the same in a hole: known pixels on its other side are in step


@dataclass(frozen=True)
class Settings:
    """Defaults of the field solver. Prices are relative to the exemplar's variance."""

    patch: int = setting(9, "side of the windows compared, odd", low=3, high=31)
    components: int = setting(24, "principal directions kept of a window", low=3, high=243)
    passes: tuple[int, ...] = setting((8, 4, 2), "passes per level, the last is the finest", low=0, high=100)
    coarsest: int = setting(64, "shorter side of the exemplar at the first level", low=8, high=256)
    finest: int = setting(0, "shorter side at the last level, 0: full size", low=0, high=4096)
    copies: str = setting("none", "flipped and turned copies as further sources", choices=tuple(COPY_SETS))
    block: float = setting(0.5, "side of the first pieces, in shorter sides", low=0.05, high=0.9)
    overlap: float = setting(0.5, "overlap of the first pieces, in their sides", low=0.1, high=0.5)
    tries: int = setting(32, "matches cut to compare, per piece", low=1, high=256)
    starts: int = setting(4, "quilts to begin with; the best is kept", low=1, high=100)
    spread: float = setting(0.1, "price of repeats near by", low=0.0, high=10.0)
    proportion: float = setting(0.1, "price that keeps the exemplar's proportions", low=0.0, high=10.0)
    occurrence: float = setting(0.0, "price of pixels used more than even", low=0.0, high=10.0)
    similar: int = setting(3, "look-alikes known per pixel", low=0, high=16)
    kappa: float = setting(2.5, "factor on the distance of jumps to look-alikes", low=1.0, high=100.0)
    mend: float = setting(1.5, "kappa inside a hole", low=1.0, high=100.0)
    align: int = setting(8, "rounds of sliding whole pieces, per level", low=0, high=100)
    lattice: str = setting("auto", "keep the step of a regular exemplar", choices=("auto", "on", "off"))
    regular: float = setting(0.25, "autocorrelation at which auto calls it regular", low=0.0, high=1.0)

    layout: tuple[float, ...] = setting(
        (1.0, 0.5, 0.2), "price of leaving the picture started from, per level", low=0.0, high=100.0
    )
    guided: float = setting(0.25, "side of the first pieces where guides steer", low=0.05, high=0.9)

    def __post_init__(self) -> None:
        if self.patch % 2 == 0:
            raise UsageError(f"patch = {self.patch}, but a window has an odd side; {self.patch + 1} is the nearest")
        if not self.passes:
            raise UsageError("passes is empty; at least one number is needed")
        if 0 < self.finest < self.coarsest:
            raise UsageError(f"finest = {self.finest} is below coarsest = {self.coarsest}")


@dataclass(frozen=True)
class Memory:
    """What a level hands to the next: its number, its atlas, its look-alikes, the potential of its source pixels, and
    the rough picture that it followed, if any."""

    level: float
    atlas: Atlas
    jumps: Tensor
    psi: Tensor
    layout: Tensor | None


def schedule(task: Task, settings: Settings) -> list[Level]:
    """Levels from about `coarsest` pixels of the exemplar's shorter side to `finest`, or full size."""
    bottom, top = octaves(task.shorter_side, settings.coarsest, settings.finest)
    last = len(settings.passes) - 1
    steps = [settings.passes[max(0, last - level)] for level in range(top, bottom - 1, -1)]
    if _oriented.direction(task) is not None:  # bent pieces never fit as they lie
        steps = [step * 3 // 2 for step in steps[:-1]] + steps[-1:]
    return [Level(top - n, step) for n, step in enumerate(steps)]


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Bring the canvas to this level (a quilt at first) and return it with the pass that improves it."""
    if _oriented.direction(task) is not None:
        return _begin_oriented(task, canvas, settings, rng, say)
    past = _coarser(task, canvas)
    if task.blend is not None:
        task = _mosaic.steered(task, past is None, rng)
    atlas = build_atlas(task, COPY_SETS[settings.copies], settings.patch // 2)
    basis = find_basis(atlas, settings.patch, settings.components, rng)
    around = _mending.brim(task, atlas)
    layout = past[1].layout if past else task.init if canvas is None else canvas.image
    rough = settings.layout[max(0, len(settings.layout) - 1 - int(level.scale))]
    parts = [
        encode(task.guides, atlas),
        along(layout, atlas, task, rough, rng) if layout is not None and rough else None,
    ]
    guiding = joined(parts)
    if past is None:
        field, described = _start(task, layout, guiding, around, atlas, basis, settings, rng, say), atlas.valid
    else:
        field = double(past[0], atlas, task.size)
        field = field if around is None else around.settle(field)
        field = align(field, settings.align, rng, None if around is None else around.known)
        used = field.index if around is None else field.index[~around.known]
        described = atlas.valid if task.guides else surroundings(atlas, used)
    if around is not None:
        atlas = around.guess(atlas, field)
        field = replace(field, atlas=atlas)
    asking = described if around is None else described | around.inside
    table = describe(atlas, basis, asking)
    if past is None:
        similar = jumps.compare(atlas, table, asking, settings.similar, rng)
    else:
        similar = jumps.refine(atlas, table, past[1].jumps, past[1].atlas, asking, described)
    space = Space(atlas, basis, table, described, similar)
    colours, psi = potential.palette(atlas), torch.zeros(atlas.homes, device=task.device)
    given = task.guides or task.blend is not None  # such maps have proportions of their own
    proportion = 0.0 if given else settings.proportion

    def step(canvas: Canvas) -> tuple[Canvas, float]:
        before, psi = canvas.field, canvas.memory.psi
        assert before is not None
        psi = potential.ascend(psi, atlas, before.index, *colours)
        price = potential.prices(atlas, before.index, psi, described, proportion * SEAMS, settings.occurrence)
        known = None if around is None else around.known
        kappa = settings.kappa if around is None else settings.mend
        after = sweep(before, space, price, kappa, guiding, rng, known)
        return Canvas(after.image(), after, Memory(task.level, atlas, similar, psi, layout)), float(after.cost.mean())

    return Canvas(field.image(), field, Memory(task.level, atlas, similar, psi, layout)), step


def _begin_oriented(
    task: Task, canvas: Canvas | None, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """The same where a guide of directions turns every window."""
    past = _coarser(task, canvas)
    if past is None:
        unused = {"copies": settings.copies != "none", "init": task.init is not None, "the stage before": bool(canvas)}
        for name in (name for name, there in unused.items() if there):
            say(f"orientation: {name} not used, windows turn along the directions from the start")
    before = None if past is None else past[0]
    field, improve = _oriented.begin(task, before, settings.patch, settings.components, settings.kappa, rng)
    none = torch.empty(0, device=task.device)

    def step(canvas: Canvas) -> tuple[Canvas, float]:
        assert canvas.field is not None
        after, psi = improve(canvas.field, canvas.memory.psi)
        return Canvas(after.image(), after, replace(canvas.memory, psi=psi)), float(after.cost.mean())

    psi = torch.zeros(field.atlas.homes, device=task.device)
    return Canvas(field.image(), field, Memory(task.level, field.atlas, none, psi, None)), step


def _coarser(task: Task, canvas: Canvas | None) -> tuple[Field, Memory] | None:
    """What this method's own coarser level left, or None: at the very start, and after another stage."""
    if canvas is None or canvas.field is None or not isinstance(canvas.memory, Memory):
        return None
    return (canvas.field, canvas.memory) if canvas.memory.level == task.level + 1 else None


def _start(
    task: Task, layout: Tensor | None, guiding: Guiding | None, around: Brim | None, atlas: Atlas,
    basis: windows.Basis, settings: Settings, rng: torch.Generator, say: Say,
) -> Field:  # fmt: skip
    """The first field: along a picture where there is one, else a quilt, steered by guides and by a lattice."""
    if layout is not None:
        resized = F.interpolate(layout.to(task.device), task.size, mode="bilinear", antialias=True)
        index = nearest(atlas, basis, describe(atlas, basis, atlas.valid), resized)
        made = Field(index, torch.zeros(task.size, device=task.device), atlas, task.tile)
        return made if around is None else around.settle(made)
    in_step = around is None or not any(task.tile)  # what is known may not wrap in step
    lattice = _steer(task, atlas, around is not None, settings, say) if in_step else None
    if around is not None:
        return _mending.start(task, guiding, lattice, around, atlas, basis, settings, rng)
    block = (settings.guided if task.guides else settings.block) * task.shorter_side
    if lattice is not None:  # what the lattice keeps in step needs no large pieces, and varies more with small ones
        block *= 0.8
    blocks = largest_blocks(atlas, max(4, round(block)), settings.overlap, rng)
    if blocks is None:  # nothing but specks may be copied: no pieces to quilt
        usable = atlas.valid.nonzero()[:, 0]
        index = usable[torch.randint(len(usable), task.size, generator=rng).to(task.device)]
    else:
        guides = [lattice, None if guiding is None else steer(guiding, blocks)]
        proportion = 0.0 if task.guides else settings.proportion
        rules = Rules(settings.spread, proportion, settings.tries, tuple(guide for guide in guides if guide))
        index = quilt(atlas, blocks, task.size, task.tile, rules, settings.starts, rng)
    return Field(index, torch.zeros(task.size, device=task.device), atlas, task.tile)


def _steer(task: Task, atlas: Atlas, anchored: bool, settings: Settings, say: Say) -> Steer | None:
    """The price of leaving the exemplar's lattice, where it has one; says what was found. anchored: known pixels say
    where it lies."""
    if settings.lattice == "off":
        return None
    if len(task.exemplars) > 1 or settings.copies != "none":
        say("lattice: not looked for with several exemplars or copies")
        return None
    exemplar, valid = task.exemplars[0].image.cpu(), task.exemplars[0].valid
    found = lattice.find(exemplar, None if valid is None else valid.cpu())
    stripes = anchored and found is not None and found.height < settings.regular <= found.first
    if found is None or (settings.lattice == "auto" and found.height < settings.regular and not stripes):
        peak = "no peaks" if found is None else f"autocorrelation {found.height:.2f}"
        say(f"lattice: none ({peak})")
        return None
    say(f"lattice: {found.describe(2 ** int(task.level))}{', of which the first is kept' if stripes else ''}")
    if bent := lattice.bending(found, task.size, task.tile):
        say(f"lattice: {bent}")
    price = ANCHORED if anchored else PHASE
    return lattice.steer(found, exemplar, atlas, task.size, task.tile, price, anchored, stripes)


def needs(settings: Settings, model: Model | None = None) -> dict[str, tuple[str, ...]]:
    """No pretrained network."""
    return {}


def refuses(task: Task, settings: Settings) -> str | None:
    """Nothing."""
    return None


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs on two cores (benchmarks/field.py): 256 to 4096 pixels in, 512 to 4096 pixels out."""
    source = sum(h * w for h, w in (e.size for e in task.exemplars)) * len(COPY_SETS[settings.copies])
    pixels = task.size[0] * task.size[1]
    memory = 450e6 + 300 * source + 160 * pixels
    passes = sum(level.steps * 0.25**level.scale for level in schedule(task, settings))
    work = 0.4e-6 * settings.starts * settings.tries / 32 + 0.8e-6 * passes
    return Estimate(int(memory), 1.6 + work * pixels + 0.7e-6 * source)
