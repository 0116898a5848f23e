"""A start for the field: large coherent pieces, quilted at the coarsest level.

Efros & Freeman 2001 ("Image Quilting"), with the squared differences to what is painted computed for all source
positions at once (Kwatra et al. 2003, "Graphcut Textures"). Differs from the papers in: the few best matches are
compared by the cost of their actual cut; a source region that has been used much, above all near by, costs more; all
four sides are cut, so the canvas may wrap; of several quilts the one with the cheapest cuts is kept, or fresh pieces
mend the seams of a single one (field/recut.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import native
from texsynth.field import quilting
from texsynth.field.atlas import LONG, Atlas, count_copies
from texsynth.field.potential import ascend_by, excess, palette
from texsynth.field.rarity import Landmarks
from texsynth.field.search import BlockSpectra, BlockTable, prepare
from texsynth.field.space import draw
from texsynth.native.sums import in_lanes

# (atlas index, canvas y, canvas x), broadcast together -> price of that pairing: how a lattice steers the start. For a
# block, that is the pairing of the pixel in its middle.
Steer = Callable[[Tensor, Tensor, Tensor], Tensor]
BLOCKS_AT_ONCE = 32  # placed by one product: bounds the memory
LARGEST_TABLE = 8192  # blocks: of more a sample is taken, so that memory does not depend on the exemplar
TABLE_VALUES = 3 << 24  # colours of blocks: the same for large ones, of a finer first level
SMALLEST_BLOCK = 4  # pixels
MOST_BLOCKS = 2048  # of a long exemplar, that are laid in all quilts together, where one does not need more
LOOKUPS = 32  # places, on each side of a block, at which the use of a long exemplar is looked up
PRICE_OF_REPEAT = 3.0  # of one copy too many of a block in which all is rare, in variances
MOST_FOR_REPEATS = 0.4  # variances: where pieces without a landmark fit worse by more, it comes back


@dataclass(frozen=True)
class Blocks:
    """All source blocks of one size. Use is counted in square cells of source pixels.

    side, overlap, cell: in pixels.
    corners: (n,), the flat index of each block's top-left pixel.
    inner: (side^2,), the offsets of a block's pixels from its corner.
    colours: (N, C), what is compared: that of the atlas in standard deviations, or with its contrast evened out.
    planes: (C, N), the same by channel.
    search: what they are compared by.
    cells: (homes,), the cell of each pixel of the exemplars.
    sites, site_cells: (n, m), pixels of the exemplars spread over each block, and their cells.
    centred: (m,), the weights of these pixels, most in the middle, which cuts will hardly take away; they sum to 1.
    sample: are these only some of the exemplar's blocks?
    """

    atlas: Atlas
    side: int
    overlap: int
    cell: int
    corners: Tensor
    inner: Tensor
    colours: Tensor
    planes: Tensor
    search: BlockTable | BlockSpectra
    cells: Tensor
    sites: Tensor
    site_cells: Tensor
    centred: Tensor
    sample: bool


@dataclass(frozen=True)
class QuiltRules:
    """What the choice of a block weighs beside its cuts, in units of the exemplar's variance.

    spread: the price of a region in even use.
    proportion: the price of one unit of the potential.
    tries: how many of the best matches are cut to compare.
    steers: prices by position (of a lattice, of guides).
    starts: how many quilts are made, of which the best is kept.
    landmarks: the rare places, which are to come back seldom; None where all are wanted in proportion.
    """

    spread: float
    proportion: float
    tries: int
    steers: tuple[Steer, ...] = ()
    starts: int = 1
    landmarks: Landmarks | None = None

    @property
    def wanted(self) -> Tensor | None:
        """The wanted use of the exemplars' pixels, (homes,), with a mean of 1; None for even use."""
        return None if self.landmarks is None else self.landmarks.wanted


@dataclass(frozen=True)
class CellPrices:
    """What a block made of one source cell alone costs at B places, each (B, cells), in variances.

    use: for the copies of that cell near by; None where they are free.
    repeats: for being a copy too many where the cell is rare; None where nothing is.
    """

    use: Tensor | None
    repeats: Tensor | None


@dataclass
class Quilt:
    """A canvas of h * w pixels while it is being quilted, flattened.

    index, painted: (h * w,), the atlas pixel that each pixel copies, and bool, whether it has one yet.
    psi: (homes,), the potential.
    cost: of all cuts so far, per pixel.
    copies: (homes,) int64, how often each pixel of the exemplars is painted.
    """

    h: int
    w: int
    wraps: tuple[bool, bool]
    atlas: Atlas
    index: Tensor
    painted: Tensor
    psi: Tensor
    cost: float = 0.0
    copies: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.copies = count_copies(self.atlas, self.index[self.painted])

    def paint(self, at: Tensor, pixels: Tensor) -> None:
        """Copy the atlas pixels (n,) to the pixels `at` (n,) of the canvas."""
        # Where a block is larger than a canvas that wraps, it comes to some pixels twice; one of its pixels stays.
        number, last = torch.arange(len(at), device=at.device), torch.empty_like(self.index)
        last[at] = number
        once = last[at] == number
        at, pixels = at[once], pixels[once]
        covered = self.index[at][self.painted[at]]
        self.copies += count_copies(self.atlas, pixels) - count_copies(self.atlas, covered)
        self.index[at], self.painted[at] = pixels, True


def largest_blocks(
    atlas: Atlas,
    side: int,
    overlap: float,
    rng: torch.Generator,
    colours: Tensor | None = None,
    most: int = LARGEST_TABLE,
) -> Blocks | None:
    """Blocks of `side` pixels that lie on valid pixels only; the side is halved until there are some, and below
    SMALLEST_BLOCK the result is None. overlap: a share of the side. colours: (N, C), what is compared; None for what
    the atlas is compared by, in standard deviations. most: blocks, of which large ones are fewer."""
    taken = atlas.picture(~atlas.valid[:, None]).float()
    while side >= SMALLEST_BLOCK:
        broken = F.max_pool2d(F.max_pool2d(taken, (side, 1), stride=1), (1, side), stride=1)
        plane, _, y, x = (broken < 0.5).nonzero(as_tuple=True)
        if len(plane) > 0:
            share = min(1.0, max(0.25, LONG / atlas.elongation))  # small pieces are compared very often
            values = atlas.compared.shape[1] * side**2
            count = min(round(share * most), TABLE_VALUES * most // LARGEST_TABLE // values)
            corners = draw((plane * atlas.rows + y) * atlas.row + x, count, rng)
            colours = (atlas.compared / atlas.deviation if colours is None else colours).contiguous()
            return _cut_out(atlas, side, max(2, round(side * overlap)), corners, colours, len(plane) > len(corners))
        side //= 2
    return None


def _cut_out(atlas: Atlas, side: int, overlap: int, corners: Tensor, colours: Tensor, sample: bool) -> Blocks:
    span = torch.arange(side, device=corners.device)
    inner = (span[:, None] * atlas.row + span).flatten()
    search = prepare(atlas, colours, corners, inner)
    cell = max(2, round(min(min(size) for size in atlas.exemplars) / 16))
    cells, first = _cells(atlas, cell), min(cell, side) // 2
    spacing = max(cell, side // 4) if atlas.is_long else cell
    spread = inner.view(side, side)[first::spacing, first::spacing].flatten()
    sites = atlas.home[corners[:, None] + spread]
    fall = torch.sin(torch.pi * (span[first::spacing] + 0.5) / side).square()
    centred = F.normalize((fall[:, None] * fall).flatten(), p=1, dim=0)
    looked_up = sites, cells[sites], centred
    return Blocks(
        atlas, side, overlap, cell, corners, inner, colours, colours.T.contiguous(), search, cells, *looked_up, sample
    )


def _cells(atlas: Atlas, cell: int) -> Tensor:
    """The number of the cell of each un-copied source pixel, (homes,), one exemplar after the other."""
    out, start = [], 0
    for h, w in atlas.exemplars:
        y, x = torch.arange(h) // cell, torch.arange(w) // cell
        out.append((start + y[:, None] * (int(x[-1]) + 1) + x).flatten())
        start = int(out[-1][-1]) + 1
    return torch.cat(out).to(atlas.home.device)


def quilt(
    blocks: Blocks, size: tuple[int, int], tile: tuple[bool, bool], rules: QuiltRules, rng: torch.Generator
) -> Tensor:
    """The best of several quilts: a flat atlas index per pixel of a canvas of `size`, (h, w)."""
    starts, blocks_of_one = rules.starts, size[0] * size[1] // (blocks.side - blocks.overlap) ** 2
    if blocks.atlas.is_long:  # whose blocks are so small that many are laid, which makes quilts alike in cost
        starts = min(starts, max(1, MOST_BLOCKS // max(1, blocks_of_one)))
    best = min((lay(blocks, size, tile, rules, rng) for _ in range(starts)), key=lambda canvas: canvas.cost)
    return best.index.view(best.h, best.w)[: size[0], : size[1]].contiguous()


def lay(
    blocks: Blocks, size: tuple[int, int], tile: tuple[bool, bool], rules: QuiltRules, rng: torch.Generator
) -> Quilt:
    """Cover a canvas of at least `size`, block after block, in raster order; the potential rises along the way."""
    atlas, device, steps = blocks.atlas, blocks.corners.device, (blocks.side, blocks.overlap)
    h, w = (quilting.covered_length(length, wraps, *steps) for length, wraps in zip(size, tile, strict=True))
    empty = torch.zeros(h * w, dtype=torch.long, device=device)
    canvas = Quilt(h, w, tile, atlas, empty, empty.bool(), torch.zeros(atlas.homes, device=device))
    rise = ascent(atlas, rules)
    ys, xs = (quilting.starts_along(length, wraps, *steps) for length, wraps in zip((h, w), tile, strict=True))
    for number, wave in enumerate(quilting.waves(ys, xs, lag=2, fewest=6)):
        if number > 0:
            canvas.psi = rise(canvas)
        for top in torch.tensor(wave, device=device).split(BLOCKS_AT_ONCE):
            _place(canvas, blocks, top, rules, rng)
    canvas.cost += quilting.PRICE_OF_UNEVENNESS * float(excess(atlas, canvas.index, rules.wanted).abs().mean())
    return canvas


def ascent(atlas: Atlas, rules: QuiltRules) -> Callable[[Quilt], Tensor]:
    """The step by which the potential of a quilt rises with the use of what is painted: quilt -> (homes,)."""
    colours = palette(atlas, rules.wanted)
    return lambda canvas: ascend_by(canvas.psi, atlas, canvas.copies, *colours, rules.wanted)


def _place(canvas: Quilt, blocks: Blocks, top: Tensor, rules: QuiltRules, rng: torch.Generator) -> None:
    """Put one block at each of `top` (B, 2), none of which touch each other."""
    side, cells = blocks.side, cells_of(canvas, top, blocks.side)
    old, mask = canvas.index[cells], canvas.painted[cells]
    # Compare all blocks, and cut the best of them.
    prior = prior_of(canvas, blocks, top, rules)
    best = quilting.shortlist(mismatch(blocks, old, mask) + prior, rules.tries, rng)  # (B, T)
    borders = quilting.at_borders(top, side, (canvas.h, canvas.w), canvas.wraps)
    price = prior.gather(1, best)
    pieces = quilting.Candidates(blocks.planes, blocks.corners[best], blocks.inner, old, price, borders)
    pick, keep, cost = quilting.cheapest_cuts(pieces, mask, blocks.overlap)
    # Paint the cheapest.
    paint = ~keep
    canvas.paint(cells[paint], pieces.pixels(pick)[paint])
    canvas.cost += float(cost.gather(1, pick[:, None]).mean()) * len(top) * side**2 / canvas.index.numel()


def prior_of(canvas: Quilt, blocks: Blocks, top: Tensor, rules: QuiltRules, near: CellPrices | None = None) -> Tensor:
    """The price of every block at every place before anything is matched, (B, n). near: what `cell_prices` says of
    these places, where that is at hand."""
    near = near or cell_prices(canvas, blocks, top, rules)
    prior = torch.zeros(len(top), len(blocks.corners), device=top.device)
    even = torch.full_like(blocks.centred, 1 / len(blocks.centred))
    if near.use is not None:
        prior += sums_of_sites(near.use, blocks.site_cells, even)
    if near.repeats is not None:
        prior += _limited(sums_of_sites(near.repeats, blocks.site_cells, blocks.centred))
    prior += rules.proportion * sums_of_sites(canvas.psi[None], blocks.sites, even)
    middle = blocks.side // 2
    at = blocks.corners[None] + blocks.inner[middle * (blocks.side + 1)]
    for steer in rules.steers:
        prior += steer(at, top[:, None, 0] + middle, top[:, None, 1] + middle)
    return prior


def sums_of_sites(values: Tensor, sites: Tensor, weight: Tensor) -> Tensor:
    """The sums over the `sites` of each block, (n, m), of the `values` there, (B, K), times the `weight` of each site,
    (m,): (B, n)."""
    values = values.contiguous()
    if twin := native.kernel("sums_of_sites", values, sites, weight):
        sums: Tensor = twin(values, sites, weight)
        return sums
    return torch.stack([in_lanes(row[sites] * weight) for row in values])


def standing_price(
    canvas: Quilt, blocks: Blocks, top: Tensor, index: Tensor, rules: QuiltRules, near: CellPrices | None = None
) -> Tensor:
    """The price of the atlas pixels `index` (B, side^2) at the places of blocks, (B,), as `prior_of` has it. The steers
    must be such as price single pixels."""
    near = near or cell_prices(canvas, blocks, top, rules)
    home, span = blocks.atlas.home[index], torch.arange(blocks.side, device=top.device)
    cells, price = blocks.cells[home], rules.proportion * canvas.psi[home].mean(1)
    if near.use is not None:
        price += near.use.gather(1, cells).mean(1)
    if near.repeats is not None:
        price += _limited(near.repeats.gather(1, cells).mean(1))
    y, x = (at.flatten() for at in torch.meshgrid(span, span, indexing="ij"))
    for steer in rules.steers:
        price += steer(index, top[:, :1] + y, top[:, 1:] + x).mean(1)
    return price


def mismatch(blocks: Blocks, old: Tensor, weight: Tensor) -> Tensor:
    """The mean squared difference of every source block to the atlas pixels `old` (B, side^2), where these have a
    `weight` (B, side^2), or one that is the same for all, (1, side^2): (B, n)."""
    weight, colours = weight.float(), blocks.colours[old]
    weighted = colours * weight[..., None]
    error = blocks.search.errors(weighted, weight) + (weighted * colours).sum((1, 2))[:, None]
    return error.clamp(min=0) / weight.sum(1, keepdim=True).clamp(min=1)


def cell_prices(canvas: Quilt, blocks: Blocks, top: Tensor, rules: QuiltRules) -> CellPrices:
    """What the canvas as it is makes of source cells at each of `top` (B, 2)."""
    if rules.spread == 0:
        return CellPrices(None, None)
    near, room = _copies_near(canvas, blocks, top)
    use = rules.spread * near * near.shape[1] / room
    if rules.landmarks is None:
        return CellPrices(use, None)
    size = torch.bincount(blocks.cells).float()
    rare, wanted = (
        torch.zeros_like(size).scatter_add_(0, blocks.cells, values) / size
        for values in (rules.landmarks.rarity, rules.landmarks.copies)
    )
    # Count the copies anywhere but where the block itself would lie.
    here = cells_of(canvas, top, blocks.side)
    copies = torch.zeros_like(size).scatter_add_(0, blocks.cells, canvas.copies.float()).repeat(len(top), 1)
    copies.scatter_add_(1, blocks.cells[blocks.atlas.home[canvas.index[here]]], -canvas.painted[here].float())
    return CellPrices(use, PRICE_OF_REPEAT * rare * (near + (copies / size + 1 - wanted).clamp(min=0)))


def _limited(repeats: Tensor) -> Tensor:
    """The price of repeats, nearly as it is while it is low, but never above MOST_FOR_REPEATS."""
    return -MOST_FOR_REPEATS * torch.expm1(-repeats / MOST_FOR_REPEATS)


def _copies_near(canvas: Quilt, blocks: Blocks, top: Tensor) -> tuple[Tensor, Tensor]:
    """How many copies of each source cell lie near each of `top` already, (B, cells), and the most that the canvas has
    room for near it, (B, 1). A copy counts by a Gaussian of its distance (sigma: half the exemplar), and not at all
    where the block itself would lie."""
    reach, spacing = _reach(blocks)
    offset = torch.arange(-reach, reach + 1, spacing, device=top.device)
    fade = torch.exp(-0.5 * (offset / (0.5 * reach)) ** 2)
    at = [top[:, axis, None] + blocks.side // 2 + offset for axis in (0, 1)]
    lengths = zip(at, (canvas.h, canvas.w), canvas.wraps, strict=True)
    down, across = (((a >= 0) & (a < n) | wrap) * fade for a, n, wrap in lengths)
    inside = offset.abs() <= blocks.side // 2
    weight = down[:, :, None] * across[:, None, :] * ~(inside[:, None] & inside)
    where = (at[0] % canvas.h)[:, :, None] * canvas.w + (at[1] % canvas.w)[:, None, :]
    weight = (weight * canvas.painted[where]).flatten(1)
    count = int(blocks.cells[-1]) + 1
    near = torch.zeros(len(top), count, device=top.device)
    near.scatter_add_(1, blocks.cells[blocks.atlas.home[canvas.index[where]]].flatten(1), weight)
    return near, weight.sum(1, keepdim=True).clamp(min=len(offset))


def _reach(blocks: Blocks) -> tuple[int, int]:
    """How far use counts, and at what spacing it is looked up, in pixels: as far as the largest exemplar is long, and
    in every cell. The work grows with the square of that, so for a long exemplar both go by its area."""
    height, width = max(blocks.atlas.exemplars, key=max)
    if not blocks.atlas.is_long:
        return max(height, width), blocks.cell
    reach = round(2 * (height * width) ** 0.5)
    return reach, max(blocks.cell, reach // LOOKUPS)


def cells_of(canvas: Quilt, top: Tensor, side: int) -> Tensor:
    """Flat canvas cells (B, side^2) of the blocks at `top` (B, 2)."""
    span = torch.arange(side, device=top.device)
    rows, cols = (top[:, :1] + span) % canvas.h, (top[:, 1:] + span) % canvas.w
    return (rows[:, :, None] * canvas.w + cols[:, None, :]).flatten(1)
