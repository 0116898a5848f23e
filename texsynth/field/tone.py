"""The tone of what a field copies: pieces from places of different light meet without a visible step.

Across a seam, each side shows what the other would go on to at its place. The mean difference of the two predictions
from what is there is the step that is missing (Pérez et al. 2003, "Poisson Image Editing"); `image.tone` spreads it
smoothly over the pieces. At the brim of a hole every such step counts, as far as it is small. Elsewhere only what is
light does, so that nothing bleeds from where pieces show different things, and regular patterns stay as they are:

- windows round both places are compared by blocks: light is what the blocks agree in (their median), as far as it is
  larger than their deviation from it;
- a change of light is gradual, so the exemplar has tones between the two in windows that are as even as these;
- a picture of few colours has no light at all, and neither has one where most steps at seams are none of light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas, Field, spread
from texsynth.field.geometry import rotated
from texsynth.image.tone import CYCLES, FIXED, UNEVEN_CYCLES, Equations, change, confidence
from texsynth.task import Guide

REACH = 45.0  # pixels from a seam at which its correction is down to about a third
HOLE_REACH, LEAST_HOLE_REACH = 1 / 3, 32.0  # the same from a brim, in sides of a square picture, and in pixels
BLOCK = 7  # pixels a side; a window has three blocks each way
LEAST_BLOCKS = 3  # of the nine, that must be seen on both sides
STEP_OF_DOUBT = 1.5 / 255  # a step so small is no sure one, however well the blocks agree in it
UNSURE, SURE = 0.5, 1.5  # steps, in deviations of the blocks, that do not count at all, and that count in full
LARGE, TOO_LARGE = 0.15, 0.25  # steps that are hardly light any more, and that are none
FEW_COLOURS, MOST_PIXELS = 16, 0.9  # a picture that has no more than so many in so much of it is flat
ENOUGH = 0.3  # of what the steps at seams add up to must be light; less where exemplars are shaded smoothly
EVEN = 3 / 255  # deviation of blocks from a plane, up to which a window is shaded smoothly
LEAST_SLOPE = 0.5 / 255  # of such a plane, from block to block; it must also be half as large as the deviation
TONES = 24  # steps of each colour in which tones are counted
DETAILS = tuple(2 ** (k / 2) / 255 for k in range(14))  # up to which windows are counted together
BETWEEN = 0.1  # as many tones in the middle, beside those at either end, show a gradual change
COUNTED = 1 << 14  # about as many windows of the exemplars are looked at
JUMP, BESIDE = 0.2, 4  # change of a target over so many pixels to either side of a seam, that asks for an edge there
SAME = 1.5  # pixels by which the source of a turned copy may miss what its neighbour goes on to
SEAMS_AT_ONCE = 1 << 16  # bounds the memory

Ask = Callable[[int, tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor], None]


def correction(
    field: Field, free: Tensor | None = None, filled: Tensor | None = None, guides: Sequence[Guide] = ()
) -> Tensor:
    """What to add to the picture of a field, (1, 3, h, w), on the field's device.

    free: (1, 1, h, w) bool, the pixels that may change; None for all. filled: (1, 1, h, w) bool, those of a hole, which
    shall take the tone of the pixels beside them that may not change. guides: those that steered the field; what they
    ask for is no step of light.
    """
    size, device = field.size, field.index.device
    may = torch.ones(size, dtype=torch.bool, device=device) if free is None else free[0, 0].to(device)
    hole = torch.zeros_like(may) if filled is None else filled[0, 0].to(device) & may
    # Ask for light at the seams, and for the whole tone at the brim of a hole.
    goal = _light(field, may, hole, guides)
    weights = [torch.ones(1, 1, *size, device=device) for _ in size]
    for dim, weight in enumerate(weights):
        if not field.tile[dim]:
            weight.narrow(dim + 2, size[dim] - 1, 1).zero_()
        if hole.any():
            _ask_at_brim(field, hole, may, dim, goal, weight)
    if not goal.any():
        return goal
    # Spread it.
    far = max(LEAST_HOLE_REACH, HOLE_REACH * may.numel() ** 0.5)
    hold = torch.where(hole, 1 / far**2, torch.where(may, 1 / REACH**2, FIXED))[None, None]
    grid = Equations((weights[0], weights[1]), hold)
    return change(grid, goal, field.tile, CYCLES if free is None else UNEVEN_CYCLES) * may


def seams(field: Field) -> int:
    """How many pairs of neighbours are none in the exemplars, to the right and below."""
    return sum(len(_breaks(field, dim)[0]) for dim in (0, 1))


def _light(field: Field, free: Tensor, hole: Tensor, guides: Sequence[Guide]) -> Tensor:
    """What seams ask for, (1, 3, h, w), as `change` takes it; nothing where too few of their steps are light.

    free, hole: (h, w) bool, the pixels that may change, and those whose brim asks for more.
    """
    goal = torch.zeros(1, 3, *field.size, device=field.index.device)
    sight = Sight.of(field.atlas)
    if sight is None:
        return goal

    def ask(_: int, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], wanted: Tensor) -> None:
        _ask(goal, first, second, wanted)

    steps = ask_for_light(field, sight, ask, (free, hole), guides)
    return goal if sight.suffices(*steps) else goal.zero_()


def ask_for_light(
    field: Field, sight: Sight, ask: Ask, where: tuple[Tensor, Tensor], guides: Sequence[Guide] = ()
) -> tuple[float, float]:
    """Ask for what the seams of a field show to be light. Gives what all their steps add up to, and how much of that
    is light.

    ask: takes an axis, pixels (y, x), (n,) each, those after them along it, and by how much the change shall grow from
    these to those, (n, 3). where: (h, w) bool each, the pixels that may change, and those whose brim asks for more.
    """
    free, hole = where
    sources = [spread(guide.sources, field.atlas, guide.distance) for guide in guides]
    steps = light = 0.0
    for dim in (0, 1):
        y, x = _breaks(field, dim)
        after = _next(field, y, x, dim)
        brim = (hole[y, x] & ~free[after]) | (hole[after] & ~free[y, x])
        for part in ((free[y, x] | free[after]) & ~brim).nonzero()[:, 0].split(SEAMS_AT_ONCE):
            first, second = (y[part], x[part]), (after[0][part], after[1][part])
            a, b, usable = _compared(field, first, second, dim)
            step, sure = sight.compared(a, b)
            sure = torch.where(usable, sure, 0)
            size = step.square().mean(1).sqrt()
            whole, visible = (float(values.cpu().double().sum()) for values in (size, size * sure))  # no float64 on mps
            steps, light = steps + whole, light + visible
            for guide, source in zip(guides, sources, strict=True):
                sure *= 1 - _guided(field, guide, source, first, second)
            ask(dim, first, second, step * sure[:, None])
    return steps, light


def _guided(
    field: Field, guide: Guide, source: Tensor, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> Tensor:
    """The share (n,) in [0, 1] of the steps from the first pixels to the second ones that a guide asks for: that of
    the change in its map of the source which its target has too; across a jump of its target, and between labels, all
    of it.

    source: (N, C), what `spread` makes of the guide's maps.
    """
    there = source[field.index[second]] - source[field.index[first]]
    if guide.distance != "l2":
        return (there != 0).any(1).float() if guide.distance == "l0" else torch.zeros_like(there[:, 0])
    target = guide.target[0].to(there.device)
    here = (target[:, second[0], second[1]] - target[:, first[0], first[1]]).T
    share = (here * there).sum(1) / there.square().sum(1).clamp_min(1e-12)
    # Copies may exceed an edge that is asked for, or have it a little beside.
    (h, w), down, right = field.size, BESIDE * (first[0] != second[0]), BESIDE * (first[1] != second[1])
    before = target[:, (first[0] - down).clamp(min=0), (first[1] - right).clamp(min=0)]
    after = target[:, (second[0] + down).clamp(max=h - 1), (second[1] + right).clamp(max=w - 1)]
    edge = (after - before).T
    jump = (edge.abs().amax(1) > JUMP) & ((edge * there).sum(1) > 0)
    return torch.where(jump, 1.0, share).clamp(0, 1)


def _ask(goal: Tensor, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], wanted: Tensor) -> None:
    """Add to `goal` (1, 3, h, w) that the change shall grow by `wanted` (n, 3) from the first pixels, of which none is
    there twice, to the second ones."""
    goal[0, :, second[0], second[1]] += wanted.T
    goal[0, :, first[0], first[1]] -= wanted.T


@dataclass(frozen=True)
class BlockWindow:
    """Windows of nine blocks.

    pixels: (n, 9), those of the atlas in the middle of the blocks. inside: (n, 9) bool, which of them are in their
    plane. off: (n, 2), by how many pixels down and right windows are from where they should be; None for not at all.
    """

    pixels: Tensor
    inside: Tensor
    off: Tensor | None = None


@dataclass(frozen=True)
class Sight:
    """What is to be known of the exemplars to tell light from structure.

    means: (N, 3), the mean colour of the block round each pixel of the atlas. usable: (N,) bool, whether most of the
    block may be copied.
    counts: (len(DETAILS), TONES^3), how many windows whose blocks deviate by no more than each of DETAILS have each
        tone.
    shaded: The share of the windows that are shaded smoothly.
    """

    means: Tensor
    usable: Tensor
    counts: Tensor
    shaded: float

    @staticmethod
    def of(atlas: Atlas) -> Sight | None:
        """Look at the exemplars; None where they have no light."""
        if _is_flat(atlas):
            return None
        share = atlas.valid[:, None].float()
        blocks = F.avg_pool2d(atlas.picture(torch.cat([atlas.colours * share, share], 1)), BLOCK, 1, BLOCK // 2)
        table = blocks.permute(0, 2, 3, 1).reshape(len(share), 4)
        means, usable = table[:, :3] / table[:, 3:].clamp_min(1e-6), table[:, 3] > 0.5
        plane, y, x = atlas.split(_some(atlas))
        window = _window(atlas, plane, y, x)
        blocks = means[window.pixels[(window.inside & usable[window.pixels]).all(1)]]
        tone, detail = _tone(blocks)
        kind = torch.bucketize(detail, torch.tensor(DETAILS, device=detail.device))
        counts = torch.bincount(kind * TONES**3 + _bin(tone), minlength=(len(DETAILS) + 1) * TONES**3).float()
        counts = counts.view(len(DETAILS) + 1, -1)[:-1].cumsum(0)
        return Sight(means, usable, counts, float(_shaded(blocks).float().mean()) if len(blocks) else 0.0)

    def suffices(self, steps: float, light: float) -> bool:
        """Is enough of what all steps at seams add up to light?"""
        return light > max(0.0, ENOUGH - self.shaded) * steps

    def compared(self, first: BlockWindow, second: BlockWindow) -> tuple[Tensor, Tensor]:
        """The difference (n, 3) of windows, the first less the second, and how surely it is light, (n,) in [0, 1]."""
        both = self._seen(first) & self._seen(second)
        one, other = (self._blocks(window, both) for window in (first, second))
        apart = one - other
        step = apart.nanmedian(1).values.nan_to_num()
        deviation = 1.4826 * (apart - step[:, None]).abs().nanmedian(1).values.nan_to_num()
        count = both.sum(1)
        size = step.square().mean(1).sqrt()
        signs = size * (count / both.shape[1]).sqrt() / (deviation.square().mean(1).sqrt() + STEP_OF_DOUBT)
        sure = ((signs - UNSURE) / (SURE - UNSURE)).clamp(0, 1) * ((TOO_LARGE - size) / (TOO_LARGE - LARGE)).clamp(0, 1)
        return step, sure * (count >= LEAST_BLOCKS) * self._gradual(_tone(one), _tone(other))

    def _seen(self, window: BlockWindow) -> Tensor:
        """Which blocks of windows are of the exemplars, (n, 9) bool."""
        return window.inside & self.usable[window.pixels]

    def _blocks(self, window: BlockWindow, usable: Tensor) -> Tensor:
        """The means of the blocks of windows (n, 9, 3) at their places, NaN where they are not seen."""
        blocks = torch.where(usable[..., None], self.means[window.pixels], torch.nan)
        if window.off is None:
            return blocks
        down, right = (slope.nan_to_num() for slope in _slopes(blocks))
        by = window.off.to(blocks) / BLOCK
        return blocks - (by[:, :1] * down + by[:, 1:] * right)[:, None]

    def _gradual(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        """How surely the exemplars have the tones between two windows too, (n,) in [0, 1]."""
        (tone, detail), (other, others) = first, second
        kind = torch.bucketize(torch.maximum(detail, others), torch.tensor(DETAILS, device=tone.device))
        kind = kind.clamp(max=len(DETAILS) - 1)
        ends = torch.minimum(self.counts[kind, _bin(tone)], self.counts[kind, _bin(other)])
        return (self.counts[kind, _bin((tone + other) / 2)] / (BETWEEN * ends).clamp_min(1)).clamp(max=1)


def _is_flat(atlas: Atlas) -> bool:
    """Do a few colours make up most of what may be copied?"""
    some = atlas.colours[_some(atlas)]
    counts = some.unique(dim=0, return_counts=True)[1].sort(descending=True).values
    return bool(counts[:FEW_COLOURS].sum() >= MOST_PIXELS * len(some))


def _some(atlas: Atlas) -> Tensor:
    """Pixels (n,) that may be copied, spread over the exemplars; about COUNTED of them where there are more."""
    usable = atlas.valid.nonzero()[:, 0]
    return usable[:: max(1, len(usable) // COUNTED)]


def _window(atlas: Atlas, plane: Tensor, y: Tensor, x: Tensor, angle: Tensor | None = None) -> BlockWindow:
    """The windows round pixels (n,), turned by `angle` (n,)."""
    steps = torch.arange(-BLOCK, BLOCK + 1, BLOCK, device=y.device)
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).view(1, 9, 2)
    if angle is not None:
        offsets = rotated(-angle[:, None], offsets.float().expand(len(y), -1, -1)).round().long()
    ys, xs = y[:, None] + offsets[..., 0], x[:, None] + offsets[..., 1]
    h, w = torch.tensor(atlas.shapes, device=y.device)[plane].T[..., None]
    inside = (ys >= 0) & (xs >= 0) & (ys < h) & (xs < w)
    return BlockWindow(atlas.join(plane[:, None].expand_as(ys), ys, xs), inside)


def _two_windows(
    atlas: Atlas, first: Tensor, second: Tensor, angles: tuple[Tensor | None, Tensor | None]
) -> tuple[BlockWindow, BlockWindow]:
    """The windows round the pixels `first` and `second` (n,), which are to be compared.

    Near a border both are moved inwards alike. Where this cannot be, as the pixels are at opposite borders, each is
    moved alone, and remembers by how much.
    """
    reach = BLOCK + BLOCK // 2
    planes, centres, limits = [], [], []
    for pixels in (first, second):
        plane, y, x = atlas.split(pixels)
        last = torch.tensor(atlas.shapes, device=y.device)[plane] - 1
        low = torch.minimum(torch.full_like(last, reach), last // 2)
        planes.append(plane)
        centres.append(torch.stack([y, x], 1))
        limits.append((low, last - low))
    one, other = (centre.clamp(*limit) - centre for centre, limit in zip(centres, limits, strict=True))
    together = torch.where(one * other < 0, 0, torch.where(one.abs() > other.abs(), one, other))
    windows = []
    for plane, centre, limit, angle in zip(planes, centres, limits, angles, strict=True):
        wanted = centre + together
        place = wanted.clamp(*limit)
        windows.append(replace(_window(atlas, plane, place[:, 0], place[:, 1], angle), off=place - wanted))
    return windows[0], windows[1]


def _tone(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (n, 3) of windows of blocks (n, 9, 3), NaN where they cannot be seen, and their deviation, (n,)."""
    tone = blocks.nanmean(1)
    return tone.nan_to_num(), (blocks - tone[:, None]).square().nanmean((1, 2)).sqrt().nan_to_num()


def _slopes(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the plane nearest to windows of blocks (n, 9, 3) grows from block to block, down and right: (n, 3)
    each."""
    square = blocks.view(-1, 3, 3, 3)
    return (square[:, 2] - square[:, 0]).mean(1) / 2, (square[:, :, 2] - square[:, :, 0]).mean(1) / 2


def _shaded(blocks: Tensor) -> Tensor:
    """Which windows of blocks (n, 9, 3) a plane describes: (n,) bool."""
    down, right = _slopes(blocks)
    at = torch.arange(-1.0, 2.0, device=blocks.device)
    plane = at[:, None, None] * down[:, None, None] + at[:, None] * right[:, None, None]
    apart = blocks - blocks.mean(1, keepdim=True) - plane.flatten(1, 2)
    rest = (apart.square().sum(1).mean(1) / 6).sqrt()
    slope = (down.square() + right.square()).mean(1).sqrt()
    return (rest < EVEN) & (slope > LEAST_SLOPE) & (slope > rest / 2)


def _bin(tone: Tensor) -> Tensor:
    """The number of the tone (n, 3) among all that are counted, (n,)."""
    y, u, v = (tone * TONES).long().clamp(0, TONES - 1).unbind(1)
    return (y * TONES + u) * TONES + v


def _compared(
    field: Field, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], dim: int
) -> tuple[BlockWindow, BlockWindow, Tensor]:
    """The windows to compare across seams from the first pixels to the second ones, and whether there are any: what the
    first one's source goes on to, beside the second one, or else the first one beside what is before the second one's
    source."""
    atlas, a, b = field.atlas, field.index[first], field.index[second]
    onward, inside = _shifted(field, first, dim, 1)
    backward, before = _shifted(field, second, dim, -1)
    angles = (None, None) if field.angle is None else (field.angle[first], field.angle[second])
    one, other = torch.where(inside, onward, a), torch.where(inside, b, backward)
    return *_two_windows(atlas, one, other, angles), inside | before


def _shifted(field: Field, at: tuple[Tensor, Tensor], dim: int, by: int) -> tuple[Tensor, Tensor]:
    """The source pixels (n,) that are `by` further along an axis of the output than those of the pixels `at`, as the
    copy shows it, and whether they may be copied."""
    atlas, index = field.atlas, field.index[at]
    if field.place is None or field.angle is None:
        there = index + by * (atlas.row if dim == 0 else 1)
        return there.clamp(0, len(atlas.valid) - 1), atlas.valid[there.clamp(0, len(atlas.valid) - 1)]
    offset = torch.zeros(len(index), 2, device=index.device)
    offset[:, dim] = by
    y, x = (field.place[at] + rotated(-field.angle[at], offset)).round().long().unbind(1)
    there = atlas.join(atlas.split(index)[0], y, x)
    _, exact_y, exact_x = atlas.split(there)
    return there, atlas.valid[there] & (exact_y == y) & (exact_x == x)


def _breaks(field: Field, dim: int) -> tuple[Tensor, Tensor]:
    """The (y, x), (n,) each, of pixels whose source does not go on into that of the next one along an axis."""
    index = field.index
    if field.place is None or field.angle is None:
        breaks = index.roll(-1, dim) != index + (field.atlas.row if dim == 0 else 1)
    else:
        offset = torch.zeros(2, device=index.device)
        offset[dim] = 1
        onward = field.place + rotated(-field.angle, offset.expand_as(field.place))
        breaks = ((field.place.roll(-1, dim) - onward).abs().amax(-1) > SAME) | _other_plane(field, dim)
    if not field.tile[dim]:
        breaks.narrow(dim, field.size[dim] - 1, 1).fill_(False)
    y, x = breaks.nonzero(as_tuple=True)
    return y, x


def _other_plane(field: Field, dim: int) -> Tensor:
    """Which pixels (h, w) come from another plane than the next one along an axis."""
    plane = field.atlas.split(field.index)[0]
    return plane != plane.roll(-1, dim)


def _next(field: Field, y: Tensor, x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The (y, x) of the pixels after these along an axis; the first ones are after the last."""
    return ((y + 1) % field.size[0], x) if dim == 0 else (y, (x + 1) % field.size[1])


def _ask_at_brim(field: Field, hole: Tensor, free: Tensor, dim: int, goal: Tensor, weight: Tensor) -> None:
    """Ask for the whole step that is missing between pixels of a hole and fixed ones along an axis, by its size: adds
    to `goal` (1, 3, h, w), and changes the `weight` (1, 1, h, w) of these pairs.

    hole, free: (h, w) bool.
    """
    pairs = (hole & ~free.roll(-1, dim)) | (~free & hole.roll(-1, dim))
    if not field.tile[dim]:
        pairs.narrow(dim, field.size[dim] - 1, 1).fill_(False)
    y, x = pairs.nonzero(as_tuple=True)
    first, second = (y, x), _next(field, y, x, dim)
    colours, ahead = field.atlas.colours, hole[second]  # ahead: is the second one inside?
    onward, inside = _shifted(field, first, dim, 1)
    backward, before = _shifted(field, second, dim, -1)
    # Compare the fixed pixel with what the source of the copy goes on to.
    lack = torch.where(ahead[:, None], colours[field.index[first]] - colours[backward], 0)
    lack = torch.where(ahead[:, None], lack, colours[onward] - colours[field.index[second]])
    trust = torch.where(torch.where(ahead, before, inside), confidence(lack)[:, 0], 0)
    weight[0, 0, y, x] = trust
    _ask(goal, first, second, trust[:, None] * lack)
