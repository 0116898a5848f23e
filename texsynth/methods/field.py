"""The correspondence field: for every output pixel, the source pixel it is copied from.

Minimises the energy of guided correspondence (Zhou et al. 2023: distance of every output window to a source window,
plus a price on uneven use) over a field of pointers in place of pixels, so that colours are copied and never averaged.
A quilt of large pieces (field/quilt.py) starts the coarsest level, on the lattice of a regular exemplar
(field/lattice.py), also of one that is bent (field/bend.py), with rare places less often than in proportion
(field/rarity.py), and fresh pieces mend its seams (field/recut.py). In a hole pieces continue what is left
(field/fill.py), or cells where only bits of a regular picture are (field/cells.py). Every finer level lets the pieces
slide (field/align.py) and then improves the seams pixel by pixel (field/sweep.py).

Differs from the paper in: windows of raw pixels, no network; squared distance, not relative cosine; the occurrence
penalty is replaced by prices of transport (field/potential.py) and of near repeats (field/quilt.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features.windows import Basis
from texsynth.field import bend, cells, drift, lattice, potential, rarity
from texsynth.field.align import align
from texsynth.field.atlas import LONG, Atlas, Field, build_atlas, double, with_copies_in_use
from texsynth.field.contrast import evened
from texsynth.field.drift import Drift
from texsynth.field.fill import Gap, fill, plain, thickness
from texsynth.field.guide import Guiding, Prices, encode, follow_layout, joined, steer
from texsynth.field.lattice import Lattice
from texsynth.field.magnify.levels import Seams
from texsynth.field.processor import at_hand
from texsynth.field.quilt import LARGEST_TABLE, Blocks, QuiltRules, Steer, largest_blocks, quilt
from texsynth.field.rarity import Landmarks
from texsynth.field.recut import recut_field, recut_quilt
from texsynth.field.space import Space, describe, find_basis, finer_look_alikes, look_alikes, nearest, surroundings
from texsynth.field.sweep import sweep
from texsynth.methods import STAGE_BEFORE, _mosaic, _oriented, _turned
from texsynth.methods._field_plan import HOLE_PIECE_MINIMUM, lattice_of_bits, rounds_of
from texsynth.methods._field_plan import estimate as estimate
from texsynth.methods._field_plan import schedule as schedule
from texsynth.methods._field_plan import seconds as seconds
from texsynth.methods._field_settings import Settings as Settings
from texsynth.methods._placement import Placement, place
from texsynth.pyramid import octaves
from texsynth.task import Canvas, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = True
JUMPS_REACH = 6  # pixels round those that a hole uses, which have look-alikes, where copies of the picture are many
RECIPES: tuple[str, ...] = ()
SEAM_SHARE = 0.5  # of the price of proportions, for single pixels: all of it would tear objects apart
PHASE_PRICE = 0.5  # of a block that is out of step with the lattice, in variances
PHASE_PRICE_BENT = 1.0  # the same of a bent exemplar, whose pieces fit less well where they are in step
PHASE_PRICE_IN_HOLE = 3.0  # the same in a hole: the pixels on its other side are in step
LANDMARK_SIDE = 64  # pixels of the exemplar's shorter side, about, where landmarks are looked for
LATTICE_BLOCK = 0.8  # the share of their usual size that blocks on a lattice have: smaller ones vary more
SCARCE_JUMP = 2.4  # further factor on jumps where guides ask for what is scarce: they would repeat single pixels
HOLE_PIECES = (1.5, 1.0, 0.7)  # sides of the pieces that are tried in a hole, in its thicknesses
HOLE_PIECE_OVERLAP = 0.25  # the share of such a piece that decides how well it fits
CUT_OVERLAP = 0.4  # the same where the border of a piece is cut
WHOLE_RUNS = 1.2  # the factor on that of jumps in a hole, where a picture of another size shall keep its objects
PLAIN_PRICE = 3.0  # of a piece of mean salience in new space, in variances
PLAIN_SIDE = 0.15  # of the exemplar's shorter side, that pieces in new space have at most: plain parts are small
TURNED_TABLE = 4096  # pieces that are compared first, where turned copies are many; the best then slide
HOLE_TRIAL_PASSES = 2  # of the solver, before the starts in a hole are compared
LARGEST_SHARE = 0.9  # of the shorter side of a long exemplar, that its first pieces have
MAGNIFIED_ROUNDS = 4  # of sliding pieces where a field is magnified: more gain nothing there
MAGNIFIED_PASSES = 2  # as many as at the finest level, since there is nothing to try but what neighbours continue to
LONG_EXEMPLAR = 8  # times as long as wide: repeats near by are then free, since their price grows with the length


@dataclass(frozen=True)
class FieldMemory:
    """What a level hands to the next."""

    level: float
    atlas: Atlas
    lookalikes: Tensor  # (N, similar), of each source pixel
    psi: Tensor  # (homes,), the potential of the source pixels
    layout: Tensor | None  # (1, 3, h, w), the rough picture that the field follows
    drifts: tuple[Drift, ...] = ()  # the labels that change slowly inside
    rare: Landmarks | None = None  # the rare places; None for even use
    depth: int = 0  # how many levels are coarser


@dataclass(frozen=True)
class Groundwork:
    """What the first field of a run is laid on: the task at its coarsest level, and all that steers it there."""

    task: Task
    atlas: Atlas
    basis: Basis
    guiding: Guiding | None
    placement: Placement | None
    settings: Settings
    rng: torch.Generator
    say: Say

    def field(self, index: Tensor) -> Field:
        """The field of these pointers (h, w), whose cost has not been measured."""
        return Field(index, torch.zeros(self.task.size, device=self.atlas.home.device), self.atlas, self.task.tile)

    def rules(self, blocks: Blocks, lattice: Steer | None, spread: float, proportion: float, tries: int) -> QuiltRules:
        """The rules of laying blocks, with the prices of the lattice and of the guides."""
        prices = (lattice, None if self.guiding is None else steer(self.guiding, blocks))
        return QuiltRules(spread, proportion, tries, tuple(filter(None, prices)), self.settings.starts)

    def blocks(self, share: float) -> Blocks | None:
        """Pieces with `share` of the side of the first ones."""
        settings, task = self.settings, self.task
        side = share * _first_side(task, settings.guided if task.guides else settings.block)
        return largest_blocks(self.atlas, max(4, round(side)), settings.overlap, self.rng, evened(self.atlas))

    def landmarks(self) -> Landmarks | None:
        """The rare places; None where all are wanted in proportion, or guides or known pixels say what comes where."""
        if self.guiding is not None or self.placement is not None:
            return None
        # What makes a landmark shows in windows that are large beside the exemplar.
        coarser, atlas, basis = octaves(self.task.shorter_side, LANDMARK_SIDE, 0)[1], self.atlas, self.basis
        task = self.task.at(coarser)
        if coarser > 0:
            atlas = build_atlas(task, atlas.copies, atlas.margin)
            basis = find_basis(atlas, basis.patch, len(basis.kernel), self.rng)
        rare = rarity.find(atlas, basis, task.size[0] * task.size[1], self.settings.landmarks, self.rng)
        return rarity.finer(rare, atlas, self.atlas) if coarser > 0 else rare

    def specks(self) -> Tensor:
        """Single source pixels at random, (h, w), where nothing larger may be copied."""
        usable = self.atlas.valid.nonzero()[:, 0]
        return usable[torch.randint(len(usable), self.task.size, generator=self.rng).to(usable.device)]


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Bring the canvas to this level (a quilt at first) and return it with the pass that improves it."""
    if _oriented.direction(task) is not None:
        return _begin_oriented(task, canvas, settings, rng, say)
    coarser = _coarser(task, canvas)
    task = task if task.blend is None else _mosaic.steered(task, coarser is None, rng)
    layout = coarser[1].layout if coarser else task.init if canvas is None else canvas.image
    copies = coarser[0].copies if coarser else _turned.chosen(task, settings.copies, layout is not None)
    turned = len(copies) > 1 and settings.copies == _turned.AUTO
    atlas = build_atlas(task, copies, settings.patch // 2)
    basis = find_basis(atlas, settings.patch, settings.components, rng)
    placement = place(task, atlas)
    fixed = None if placement is None else placement.fixed
    followed = _followed(layout, atlas, task, level, settings, rng)
    drifts = _drifts(task, coarser, layout, say)
    guiding = joined([encode(task.guides, atlas), drift.follow_drifts(drifts, task, atlas), followed])
    # Bring the field to this level.
    ground = Groundwork(task, atlas, basis, guiding, placement, settings, rng, say)
    if coarser is None:
        rare, depth = ground.landmarks(), 0
        field = _started(ground, layout, rare, turned)
        atlas, placement = field.atlas, place(task, field.atlas)  # of the copies, those in use
    else:
        rare, depth = rarity.finer(coarser[1].rare, coarser[1].atlas, atlas), coarser[1].depth + 1
        field = _raised(ground, coarser[0], rare, depth)
    used = field.index if fixed is None else field.index[~fixed]
    described = surroundings(atlas, used) if turned or not (coarser is None or task.guides) else atlas.valid
    if placement is not None:
        atlas = placement.fill_sources(atlas, field)
        field = replace(field, atlas=atlas)
    asking = described if placement is None else described | placement.inside
    space = _space(ground, atlas, described, asking, coarser, used if turned else None)
    wanted = None if rare is None else rare.wanted
    colours, psi = potential.palette(atlas, wanted), torch.zeros(atlas.homes, device=task.device)
    use = None if guiding is None else guiding.use  # else maps have their own proportions
    proportion = 0.0 if use is None and (task.guides or task.blend is not None) else settings.proportion
    lean, kappa = _jumps(task, settings, placement, use is not None)

    def step(canvas: Canvas) -> tuple[Canvas, float]:
        before, psi = canvas.field, canvas.memory.psi
        assert isinstance(before, Field)
        psi = potential.balance(psi, atlas, before.index, use, *colours, wanted)
        price = potential.prices(atlas, before.index, psi, described, proportion * SEAM_SHARE, settings.occurrence)
        after = sweep(before, space, Prices(price + lean, kappa, guiding), rng, fixed)
        return Canvas(after.image(), after, replace(canvas.memory, psi=psi)), float(after.cost.mean())

    memory = FieldMemory(task.level, atlas, space.jumps, psi, layout, drifts, rare, depth)
    return Canvas(field.image(), field, memory), step


def _space(
    ground: Groundwork,
    atlas: Atlas,
    described: Tensor,
    asking: Tensor,
    coarser: tuple[Field, FieldMemory] | None,
    used: Tensor | None,
) -> Space:
    """The windows that the passes of a level compare, and the look-alikes of the pixels that are `asking`; of turned
    copies, of those near the ones `used`, among what is `described`."""
    table = describe(atlas, ground.basis, asking)
    if used is not None:
        asking = surroundings(atlas, used, JUMPS_REACH)
    if coarser is None:
        among = None if used is None else described
        lookalikes = look_alikes(atlas, table, asking, ground.settings.similar, ground.rng, among)
    else:
        lookalikes = finer_look_alikes(atlas, table, coarser[1].lookalikes, coarser[1].atlas, asking, described)
    return Space(atlas, ground.basis, table, described, lookalikes)


def _followed(
    layout: Tensor | None, atlas: Atlas, task: Task, level: Level, settings: Settings, rng: torch.Generator
) -> Guiding | None:
    """The guide of the picture that the field follows; None without one, and where leaving it costs nothing."""
    price = settings.layout[max(0, len(settings.layout) - 1 - int(level.scale))]
    return follow_layout(layout, atlas, task, price, rng) if layout is not None and price else None


def _drifts(
    task: Task, coarser: tuple[Field, FieldMemory] | None, layout: Tensor | None, say: Say
) -> tuple[Drift, ...]:
    """The labels that change slowly inside, where no picture says what comes where; the user is told about them."""
    if coarser is not None:
        return drift.finer(coarser[1].drifts)
    drifts = drift.find(task) if layout is None else ()
    if drifts:
        say(drift.describe(drifts, task))
    return drifts


def _jumps(task: Task, settings: Settings, placement: Placement | None, scarce: bool) -> tuple[Tensor | float, float]:
    """What places cost where a hole is filled, and the factor on jumps: more where guides ask for what is scarce."""
    firmer = SCARCE_JUMP if scarce else 1.0
    if placement is None:
        return 0.0, settings.kappa * firmer
    return placement.lean, settings.mend * (WHOLE_RUNS if _is_resized(task) else 1) * firmer


def _begin_oriented(
    task: Task, canvas: Canvas | None, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Do as `begin` does where a guide of directions turns every window."""
    coarser = _coarser(task, canvas)
    if coarser is None and canvas is not None:
        say("orientation: the stage before is not used, windows turn along the directions from the start")
    before = None if coarser is None else coarser[0]
    field, improve = _oriented.begin(task, before, settings, rng)
    none = torch.empty(0, device=task.device)

    def step(canvas: Canvas) -> tuple[Canvas, float]:
        assert isinstance(canvas.field, Field)
        after, psi = improve(canvas.field, canvas.memory.psi)
        return Canvas(after.image(), after, replace(canvas.memory, psi=psi)), float(after.cost.mean())

    psi = torch.zeros(field.atlas.homes, device=task.device)
    return Canvas(field.image(), field, FieldMemory(task.level, field.atlas, none, psi, None)), step


def _coarser(task: Task, canvas: Canvas | None) -> tuple[Field, FieldMemory] | None:
    """The field and the memory of this method's coarser level; None at the very start, and after another stage."""
    if canvas is None or not isinstance(canvas.field, Field) or not isinstance(canvas.memory, FieldMemory):
        return None
    return (canvas.field, canvas.memory) if canvas.memory.level == task.level + 1 else None


def _started(ground: Groundwork, layout: Tensor | None, landmarks: Landmarks | None, turned: bool) -> Field:
    """The first field, of the `turned` copies those that it uses."""
    field = _start(ground, layout, landmarks)
    if not turned:
        return field
    ground.say("copies: lines bend round the hole, so turned and mirrored copies are sources, too")
    return with_copies_in_use(field, ground.task)


def _start(ground: Groundwork, layout: Tensor | None, landmarks: Landmarks | None) -> Field:
    """The first field: along a picture where there is one, else from pieces, steered by guides and by a lattice."""
    task, atlas, placement = ground.task, ground.atlas, ground.placement
    if layout is not None:
        resized = F.interpolate(layout.to(task.device), task.size, mode="bilinear", antialias=True)
        by_colours, basis = atlas.colours_alone, ground.basis
        if by_colours is not atlas:
            basis = find_basis(by_colours, basis.patch, len(basis.kernel), ground.rng)
        field = ground.field(nearest(by_colours, basis, describe(by_colours, basis, atlas.valid), resized))
        return field if placement is None else placement.hold(field)
    if placement is not None and (bits := lattice_of_bits(task, ground.settings)) is not None:
        ground.say(f"lattice: {bits.describe(2 ** int(task.level))}; what is left of it is copied cell by cell")
        return ground.field(_from_other_cells(ground, placement, bits))
    # The pixels outside a hole may not wrap in step, and those of a picture of another size are where they fit.
    in_step = placement is None or not (any(task.tile) or _is_resized(task))
    hand = at_hand(ground)
    lattice = _lattice_price(hand) if in_step else None
    if placement is not None:
        return _fill(ground, placement, lattice)
    return ground.field(_quilt(hand, lattice, at_hand(landmarks)).to(task.device))


def _quilt(ground: Groundwork, lattice: Steer | None, landmarks: Landmarks | None) -> Tensor:
    """The pointers (h, w) of a quilt of large pieces."""
    task, settings = ground.task, ground.settings
    blocks = ground.blocks(1.0 if lattice is None else LATTICE_BLOCK)
    if blocks is None:
        return ground.specks()
    proportion = 0.0 if task.guides else settings.proportion
    rules = ground.rules(blocks, lattice, settings.spread, proportion, settings.tries)
    rules = replace(rules, landmarks=landmarks)
    rounds = rounds_of(settings, 0)
    if ground.guiding is not None or rounds == 0:
        return quilt(blocks, task.size, task.tile, rules, ground.rng)
    return recut_quilt(blocks, task.size, task.tile, rules, rounds, ground.rng)


def _raised(ground: Groundwork, coarse: Field, landmarks: Landmarks | None, depth: int) -> Field:
    """A coarse field at the level of `ground`, its pieces in their best places. Where nothing steers it, its seams are
    recut, with pieces of as many pixels as those of the coarsest level. depth: how many levels are coarser."""
    settings, placement, field = ground.settings, ground.placement, double(coarse, ground.atlas, ground.task.size)
    if placement is not None:
        return align(placement.hold(field), settings.align, ground.rng, placement.fixed)
    field = align(field, settings.align, ground.rng)
    rounds = 0 if ground.guiding is not None else rounds_of(settings, depth)
    if not rounds:
        return field
    hand = at_hand(ground)
    lattice = _lattice_price(hand)
    blocks = hand.blocks(0.5**depth * (1.0 if lattice is None else LATTICE_BLOCK))
    if blocks is None:
        return field
    rules = hand.rules(blocks, lattice, settings.spread, settings.proportion, settings.tries)
    rules = replace(rules, landmarks=at_hand(landmarks))
    index = recut_field(blocks, at_hand(field), rules, rounds, ground.rng)
    return replace(field, index=index.to(field.index.device))


def _first_side(task: Task, share: float) -> float:
    """The side of the first pieces in pixels: `share` of the exemplar's shorter side, but up to LARGEST_SHARE of it
    where it is so long that pieces would else be small beside its area."""
    short = task.shorter_side
    middle = min(math.sqrt(h * w) for h, w in (exemplar.size for exemplar in task.exemplars))
    return min(share * max(short, middle / math.sqrt(LONG)), max(share, LARGEST_SHARE) * short)


def _fill(ground: Groundwork, placement: Placement, lattice: Steer | None) -> Field:
    """The field with pieces where it has no source yet: the best of several, by the cost that a few passes leave."""
    task, atlas, settings, rng = ground.task, ground.atlas, ground.settings, ground.rng
    hole, best, resized, hand = ~placement.placed, ground.field(placement.places), _is_resized(task), at_hand(ground)
    if not hole.any():
        return best
    table = describe(atlas, ground.basis, atlas.valid)
    asking, compared = atlas.valid, LARGEST_TABLE
    if len(atlas.copies) > 1 and settings.copies == _turned.AUTO:  # of so many a few are enough to compare starts
        asking, compared = surroundings(atlas, placement.places[~placement.fixed], JUMPS_REACH), TURNED_TABLE
    lookalikes = look_alikes(atlas, table, asking, settings.similar, rng)
    space = Space(atlas, ground.basis, table, atlas.valid, lookalikes)
    price = torch.where(atlas.valid, placement.lean, torch.inf)
    # Lay pieces of several sizes, and keep the cheapest field.
    soft = placement.soft if placement.soft.any() else None
    gap = Gap(placement.places, hole, placement.context, task.tile, soft)
    overlap, tries = (HOLE_PIECE_OVERLAP, 1) if soft is None else (CUT_OVERLAP, settings.tries)
    hole_thickness = thickness(~placement.fixed if soft is not None else hole, task.tile)
    length = max(max(size) for size in atlas.exemplars)
    spread = 0.0 if resized or length > LONG_EXEMPLAR * task.shorter_side else settings.spread
    lowest = torch.inf
    for number in range(settings.starts):
        wanted = round(hole_thickness * HOLE_PIECES[number % len(HOLE_PIECES)])
        most = round(task.shorter_side * (PLAIN_SIDE if resized else 0.5))
        side = min(*task.size, max(HOLE_PIECE_MINIMUM, min(most, wanted)))
        blocks = largest_blocks(hand.atlas, side, overlap, rng, most=compared)
        if blocks is None:
            index = torch.where(placement.placed, placement.places, ground.specks())
        else:
            steered = plain(blocks, PLAIN_PRICE) if resized else lattice  # new space is where nothing is shown
            rules = hand.rules(blocks, steered, spread, 0.0, tries)
            index = fill(at_hand(gap), blocks, rules, rng).to(task.device)
        field = ground.field(index)
        for _ in range(HOLE_TRIAL_PASSES):
            field = sweep(field, space, Prices(price, settings.mend, ground.guiding), rng, placement.fixed)
        if float(field.cost.sum()) < lowest:
            best, lowest = field, float(field.cost.sum())
    return best


def _is_resized(task: Task) -> bool:
    """Does a picture of another size start the field, so that all of it is moved?"""
    return task.start is not None and task.size != task.exemplars[0].size


def _from_other_cells(ground: Groundwork, placement: Placement, grid: Lattice) -> Tensor:
    """The pointers (h, w) of a hole in a regular picture to the nearest pixels that are whole steps away."""
    atlas = ground.atlas
    first = torch.zeros(ground.task.size, dtype=torch.long, device=atlas.home.device)
    left = placement.fixed & atlas.valid[placement.places]
    places, none = cells.equivalents(grid, left.cpu(), ~placement.placed.cpu())
    return torch.where(none.to(first.device), ground.specks(), atlas.join(first, *places.to(first.device)))


def _lattice_price(ground: Groundwork) -> Steer | None:
    """The price of leaving the exemplar's lattice, if it has one; the user is told about it."""
    task, settings, say = ground.task, ground.settings, ground.say
    if settings.lattice == "off":
        return None
    of_parts = task.period is not None and task.period.shift is not None
    sources = task.exemplars[1:] if of_parts else task.exemplars
    if len(sources) > 1 or len(ground.atlas.copies) > 1:
        say("lattice: not looked for with several exemplars or copies")
        return None
    exemplar, valid = sources[0].image.cpu(), sources[0].valid
    valid = None if of_parts and valid is not None and bool(valid.all()) else valid
    grid = lattice.find(exemplar, None if valid is None else valid.cpu())
    # The pixels outside the hole say where the lattice lies, or else its period.
    anchored = ground.placement is not None and not of_parts
    if grid is not None and not anchored and valid is None:
        grid = bend.straightened(grid, exemplar)
    stripes = anchored and grid is not None and grid.height < settings.regular <= grid.first
    clear = grid is not None and (grid.height >= settings.regular or grid.drift is not None or stripes)
    if grid is None or (settings.lattice == "auto" and not clear):
        peak = "no peaks" if grid is None else f"autocorrelation {grid.height:.2f}"
        say(f"lattice: none ({peak})")
        return None
    say(f"lattice: {grid.describe(2 ** int(task.level))}{', of which the first is kept' if stripes else ''}")
    if of_parts and task.period is not None:
        return lattice.steer_parts(grid, exemplar, ground.atlas, task.period, PHASE_PRICE_IN_HOLE)
    size, tile = (task.size, task.tile) if task.period is None else (task.period.size, (True, True))
    if bent := lattice.bending(grid, size, tile):
        say(f"lattice: {bent}")
    price = PHASE_PRICE_IN_HOLE if anchored else PHASE_PRICE if grid.drift is None else PHASE_PRICE_BENT
    step = lattice.InStep(price, anchored, stripes)
    return lattice.steer(grid, exemplar, ground.atlas, size, tile, step)


def needs(settings: Settings, model: Model | None = None) -> dict[str, tuple[str, ...]]:
    """The field needs no pretrained network."""
    return {}


def seams(task: Task, settings: Settings) -> Seams | None:
    """How seams are mended where a field is magnified; None where windows turn, which magnification does not do."""
    if _oriented.direction(task) is not None:
        return None
    return Seams(settings.patch, min(settings.align, MAGNIFIED_ROUNDS), MAGNIFIED_PASSES * settings.passes[-1])


def refuses(task: Task, settings: Settings) -> str | None:
    """Refuse copies where windows turn by any angle."""
    if _turned.are_asked_for(settings.copies) and _oriented.direction(task) is not None:
        return f"turns windows along directions, and takes no copies beside; leave copies={settings.copies} out"
    return None


def unused(task: Task, settings: Settings) -> frozenset[str]:
    """Where windows turn along directions: what starts, weighs or limits these."""
    turning = _oriented.direction(task)
    if turning is None:
        return frozenset()
    others = any(guide.weight > 0 for guide in task.guides if guide is not turning)
    return frozenset({STAGE_BEFORE, "init", "orientation_weight"} | (set() if others else {"guide_weight_map"}))
