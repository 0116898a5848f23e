"""Progression maps: how far along its change of appearance a texture is, from 0 to 1, pixel by pixel.

The tools of "Neural Texture Synthesis with Guided Correspondence" (2023) that fit a target map to an exemplar's map.
Refinement differs from its released code in scaling noise by a ratio of deviations, not of variances. Also exact
Euclidean distances (Felzenszwalb and Huttenlocher 2012), and an estimate where an exemplar comes without a map: the
principal component of its local colour, spread and slope. Maps are (1, C, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError
from texsynth.guidance import kept, maps, scarcity
from texsynth.guidance.filters import blur
from texsynth.guidance.maps import Cropped, Guided, Map
from texsynth.image import load as inputs
from texsynth.image import rows
from texsynth.image.load import Input, Note, Source
from texsynth.image.seen import light_of
from texsynth.pyramid import shrink
from texsynth.requests.guides import AUTO, Progression
from texsynth.task import Guide

PYRAMID_LEVELS = 7  # of the pyramid that `refine` builds, where both maps are large enough
COARSEST_SIDE = 4  # pixels of the shorter side, below which a level has no histogram worth the name
MEASURED_SIDE = 256  # pixels of the shorter side at which appearance is measured
WINDOW_SCALES = (1 / 32, 1 / 16)  # of the shorter side: deviations of the windows that are compared
TEXTURE_SCALE = 1 / 32  # of the shorter side: what varies over less is texture
CONSTANT_VARIANCE = 1e-6  # variance of Lab / 100 at large scale, below which nothing changes
WEAK_SHARE = 0.1  # share of all variation in colour, below which large-scale change hardly shows
VALUE_STEP = 1 / 255  # values this near count as equal: half a step of 8 bits on either side
WEIGHT = 10.0  # of the guide, by default
COLOUR_RANGE = 0.02  # difference of the channels up to which a map counts as grey


def target(part: Progression, memory: int) -> Map:
    """The map of the output as it was given, which may take `memory` bytes; raises InputError and ResourceError."""
    assert part.maps is not None
    return maps.read(part.maps[1], "progression-target", memory)


def guide(part: Progression, draft: Cropped, wanted: Map | None, size: tuple[int, int], note: Note) -> Guided:
    """How far along its change of appearance each pixel is, compared by value.

    part: the options. wanted: what `target` read. size: of the output, (height, width). Raises InputError, UsageError.
    """
    assert part.maps is not None
    assert wanted is not None
    values, entries = sources(part.maps[0], draft, note)
    goal = inputs.stretched(wanted.picture, size, "data", wanted.entry.name, note).pixels
    *values, goal = _alike(_within([*values, goal]), bool(part.distance_transform))
    usable = torch.cat(maps.usable(values, draft), 2).unsqueeze(2)  # (1, C, 1, N)
    if maps.is_flat(usable):
        raise maps.flat_error(entries)
    with maps.about(wanted.entry.name):
        goal = _shaped(goal, values[0], usable, part)
    _warn(goal, usable, wanted.entry.name, note)
    weight = maps.weight_of(part.weight, WEIGHT)
    words = [AUTO if maps.is_auto(source) else None for source in part.maps[0]]
    resolved = {"progression": words, "progression_weight": weight, "refine": part.refine_seed}
    return Guided(Guide("progression", tuple(values), goal, weight), (*entries, wanted.entry), resolved)


def sources(pictures: Sequence[Source], draft: Cropped, note: Note) -> tuple[list[Tensor], list[Input]]:
    """How far along its change of appearance each pixel of each exemplar is, (1, C, H, W); AUTO estimates it."""
    out: list[Tensor] = []
    entries: list[Input] = []
    for number, (source, exemplar) in enumerate(zip(pictures, draft.exemplars, strict=True)):
        if maps.is_auto(source):
            with maps.about(exemplar.name):
                values, line = kept.once(estimate, exemplar.image)
            note(f"{exemplar.name}: {line}")
        else:
            drawn = maps.read(source, "progression-source", draft.room)
            entries.append(drawn.entry)
            values = maps.on_exemplar(drawn, draft, number, note)
        out.append(values)
    return out, entries


def reverse(values: Tensor) -> Tensor:
    """The map with its two ends exchanged."""
    return 1 - values


def distance_transform(values: Tensor) -> Tensor:
    """Distance in pixels of what is brighter than 0.5 to the nearest pixel that is not, each channel from 0 to 1.
    Raises UsageError for a channel that is all bright or all dark."""
    bright = values[0] > 0.5
    for channel in bright:
        if bool(channel.all()) or not bool(channel.any()):
            kind = "brighter than" if bool(channel.all()) else "at most"
            text = f"every pixel of the map is {kind} 0.5; draw a shape in white on black"
            raise UsageError(f"distance transform: {text}")
    channels, height, width = bright.shape
    # Down the columns first: count from the nearest dark pixel above and below. Wholly bright columns stay far.
    far = 2 * (height + width)
    down = torch.arange(height, device=values.device, dtype=torch.int).view(1, -1, 1).expand_as(bright)
    above = torch.where(bright, -far, down).cummax(1).values
    below = torch.where(bright, height + far, down).flip(1).cummin(1).values.flip(1)
    column = torch.minimum(down - above, below - down).cpu().view(-1, width)
    parts = column.split(max(1, rows.WHOLE // width))
    distance = torch.cat([_lower_envelope(part.double().square()).sqrt().to(values) for part in parts])
    distance = distance.view(channels, height, width)
    return (distance / distance.amax((1, 2), keepdim=True)).unsqueeze(0)


def match_histogram(target: Tensor, source: Tensor) -> Tensor:
    """`target` (1, C, h, w) with each channel's values put into the distribution of `source` (1, C, H, W).

    Every distinct value keeps its rank: it takes the source's value at the same middle rank, interpolated linearly.
    """
    channels = [_matched(*each) for each in zip(target.cpu().split(1, 1), source.cpu().split(1, 1), strict=True)]
    return torch.cat(channels, 1).to(target)


def _matched(target: Tensor, source: Tensor) -> Tensor:
    """One channel (1, 1, h, w) in the distribution of another (1, 1, H, W)."""
    (levels, count), (values, count_other) = _counted(target), _counted(source)
    matched = _interpolated(_ranks(count), _ranks(count_other), values)
    return rows.changed(target, lambda strip: matched[torch.searchsorted(levels, strip.contiguous())])


def stretch(target: Tensor, source: Tensor) -> Tensor:
    """`target` with the range of each channel mapped linearly onto the range of `source`; a flat channel is clamped."""
    low, high = target.amin((2, 3), keepdim=True), target.amax((2, 3), keepdim=True)
    floor, top = source.amin((2, 3), keepdim=True), source.amax((2, 3), keepdim=True)
    share = (target - low) / (high - low).clamp(min=1e-12)
    return torch.where(high > low, floor + share * (top - floor), target).clamp(floor, top)


def outside(target: Tensor, source: Tensor) -> float:
    """Share of target pixels with a channel beyond the range of the source's by more than a step of 8 bits."""
    low, high = source.amin((2, 3), keepdim=True), source.amax((2, 3), keepdim=True)
    return float(((target < low - VALUE_STEP) | (target > high + VALUE_STEP)).any(1).float().mean())


def refine(target: Tensor, source: Tensor, rng: torch.Generator) -> Tensor:
    """A smooth `target` (1, C, h, w) given the fine detail and the histogram of `source` (1, C, H, W).

    In a Laplacian pyramid the coarsest level is matched to the source's, and every finer one gets noise of the source
    level's deviation. The result has the source's histogram. rng: on the CPU.
    """
    fine, fine_source = _laplacian(target, source)
    out = match_histogram(fine[-1], fine_source[-1])
    for level, level_source in zip(fine[-2::-1], fine_source[-2::-1], strict=True):
        size = level.shape[2:]
        half = [max(1, n // 2) for n in size]
        grain = F.interpolate(torch.randn(*level.shape[:2], *half, generator=rng), size, mode="bilinear").to(level)
        scale = _deviation(level_source) / _deviation(grain).clamp(min=1e-12)
        out = _enlarged(out, level) + level + scale * grain
    return stretch(match_histogram(out, source), source)


def estimate(image: Tensor) -> tuple[Tensor, str]:
    """A progression map (1, 1, H, W) from 0 to 1 of a picture (1, 3, H, W), by its principal change of appearance.

    Means and spreads of colour (Lab) and mean slopes in windows, smoothed; their first principal component, brighter
    being higher. Also returns a line that says how much it explains and what it follows. Raises InputError for a
    picture that is the same everywhere.
    """
    shorter = min(image.shape[2:])
    size = [max(1, round(n * min(1, MEASURED_SIDE / shorter))) for n in image.shape[2:]]
    colours = _lab(F.interpolate(image, size, mode="bilinear", antialias=True))
    side = min(size)
    statistics = torch.cat([_statistics(colours, scale * side) for scale in WINDOW_SCALES], 1)
    slow = blur(statistics, TEXTURE_SCALE * side)
    centred = slow[0].flatten(1) - slow[0].flatten(1).mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh((centred @ centred.T / centred.shape[1]).double())
    if float(values[-1]) < CONSTANT_VARIANCE:
        raise InputError(
            "progression: the picture looks the same everywhere; give the exemplar's own map instead of auto"
        )
    direction = vectors[:, -1].to(centred)
    change = direction @ centred
    if float(change @ centred[0]) < 0:
        change = -change
    change = (change - change.min()) / (change.max() - change.min())
    fine = F.interpolate(change.view(1, 1, *size), image.shape[2:], mode="bilinear").clamp(0, 1)
    line = f"progression estimated from {_followed(direction)}: {100 * float(values[-1] / values.sum()):.0f} % of what"
    weak = _variance(slow[:, :3]) < WEAK_SHARE * _variance(colours)
    return fine, f"{line} changes at large scale{', but that is little in this picture' if weak else ''}"


def _statistics(colours: Tensor, sigma: float) -> Tensor:
    """Means (3) and spreads (3) of Lab, and the mean slope (1), in Gaussian windows: (1, 7, H, W)."""
    across = F.pad(colours.diff(dim=3), (0, 1))
    down = F.pad(colours.diff(dim=2), (0, 0, 0, 1))
    slope = (across**2 + down**2).sum(1, keepdim=True)
    mean = blur(colours, sigma)
    spread = (blur(colours**2, sigma) - mean**2).clamp(min=0).sqrt()
    return torch.cat([mean, spread, blur(slope, sigma).sqrt()], 1)


def _followed(direction: Tensor) -> str:
    """What a direction in the space of statistics consists of, in words, largest first; small parts are left out."""
    parts = (direction**2).view(len(WINDOW_SCALES), 7).sum(0)
    shares = {"brightness": float(parts[0]), "colour": float(parts[1:3].sum()), "roughness": float(parts[3:].sum())}
    named = [f"{name} ({100 * s:.0f} %)" for name, s in sorted(shares.items(), key=lambda i: -i[1]) if s >= 0.1]
    return ", ".join(named)


def _lab(image: Tensor) -> Tensor:
    """CIE L*a*b* / 100 of sRGB (1, 3, H, W) in [0, 1], where equal distances look about equally different."""
    to_xyz = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]]  # white is (1, 1, 1)
    xyz = torch.einsum("ij,bjhw->bihw", image.new_tensor(to_xyz), light_of(image))
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], 1)


def _variance(values: Tensor) -> float:
    return float(values.var((2, 3), correction=0).sum())


def _laplacian(*maps: Tensor) -> list[list[Tensor]]:
    """Each map as its differences between levels, fine to coarse, and the coarsest level; equally many for all."""
    smallest = min(min(m.shape[2:]) for m in maps)
    pyramids = []
    for values in maps:
        levels = [values]
        while len(levels) < PYRAMID_LEVELS and smallest >> len(levels) >= COARSEST_SIDE:
            levels.append(shrink(levels[-1], 1))
        details = (fine - _enlarged(coarse, fine) for fine, coarse in pairwise(levels))
        pyramids.append([*details, levels[-1]])
    return pyramids


def _enlarged(coarse: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(coarse, like.shape[2:], mode="bilinear")


def _deviation(values: Tensor) -> Tensor:
    return values.std((2, 3), correction=0, keepdim=True)


def _counted(values: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct values of (1, 1, H, W), in their order, and how often each is there, (n,)."""
    parts = [part.unique(return_counts=True) for part in values.flatten().split(rows.WHOLE)]
    levels, place = torch.cat([some for some, _ in parts]).unique(return_inverse=True)
    counts = torch.cat([counts for _, counts in parts])
    return levels, torch.zeros_like(levels, dtype=torch.long).index_add_(0, place, counts)


def _ranks(counts: Tensor) -> Tensor:
    """The middle rank of each distinct value, in (0, 1)."""
    counts = counts.double()
    return (counts.cumsum(0) - counts / 2) / counts.sum()


def _interpolated(at: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """The piecewise linear function through (knots, values), constant beyond its ends."""
    if len(knots) == 1:
        return values.expand(len(at))
    right = torch.searchsorted(knots, at).clamp(1, len(knots) - 1)
    share = (at - knots[right - 1]) / (knots[right] - knots[right - 1])
    return torch.lerp(values[right - 1], values[right], share.clamp(0, 1).to(values))


def _lower_envelope(heights: Tensor) -> Tensor:
    """For each row the minimum over q of heights[q] + (x - q)^2 at every x: (R, W) float64 -> (R, W). One sweep keeps
    the parabolas that are lowest somewhere and where each begins to be; all rows go together."""
    count, width = heights.shape
    row = torch.arange(count)
    vertex = torch.zeros(count, width, dtype=torch.long)
    start = torch.full((count, width), torch.inf, dtype=heights.dtype)  # vertex[k] is lowest from start[k] on
    start[:, 0] = -torch.inf
    top = torch.zeros(count, dtype=torch.long)
    for q in range(1, width):
        while True:
            last = vertex[row, top]
            crossing = (heights[:, q] + q * q - heights[row, last] - last * last) / (2 * (q - last))
            hidden = crossing <= start[row, top]
            if not hidden.any():
                break
            start[row[hidden], top[hidden]] = torch.inf
            top = top - hidden.long()
        top = top + 1
        vertex[row, top] = q
        start[row, top] = crossing
    x = torch.arange(width, dtype=heights.dtype).expand(count, width).contiguous()
    lowest = vertex.gather(1, torch.searchsorted(start, x, right=True) - 1)
    return heights.gather(1, lowest) + (x - lowest) ** 2


def _within(values: list[Tensor]) -> list[Tensor]:
    """Maps of floats beyond [0, 1] brought into it together, others as they are."""
    low, high = min(0.0, *(float(v.min()) for v in values)), max(1.0, *(float(v.max()) for v in values))
    return values if (low, high) == (0, 1) else [(v - low) / (high - low) for v in values]


def _alike(values: list[Tensor], grey: bool) -> list[Tensor]:
    """All with three channels if any is colourful, unless one is needed; else the mean of each."""
    if not grey and any(float((v.amax(1) - v.amin(1)).max()) > COLOUR_RANGE for v in values):
        return [v.expand(-1, 3, -1, -1) for v in values]
    return [v.mean(1, keepdim=True) for v in values]


def _shaped(goal: Tensor, source: Tensor, usable: Tensor, part: Progression) -> Tensor:
    """The target after the tools that were asked for. source: the map whose detail is taken."""
    if part.distance_transform:
        goal = distance_transform(goal)
    if part.reverse:
        goal = reverse(goal)
    if part.match_range:
        goal = stretch(goal, usable)
    if part.match_histogram:
        goal = match_histogram(goal, usable)
    if part.refine:
        goal = refine(goal, source, torch.Generator().manual_seed(part.refine_seed or 0))
    return goal


def _warn(goal: Tensor, usable: Tensor, name: str, note: Note) -> None:
    """Say what of a target no exemplar can follow."""
    if maps.is_flat(goal):
        note(f"{name} is the same everywhere, so all of the output gets one value")
    pairs = zip(usable.unbind(1), goal.unbind(1), strict=True)
    asked, held_share = max(scarcity.compare(have, want).asked for have, want in pairs)
    if asked:
        note(
            f"{name}: {100 * asked:.0f} % of it asks for what {100 * held_share:.2g} % of the exemplar has, so what is "
            "near counts as well; --match-histogram follows the exemplar's distribution"
        )
    if share := outside(goal, usable):
        held = f" ({float(usable.min()):.2f} to {float(usable.max()):.2f})" if usable.shape[1] == 1 else ""
        note(
            f"{name}: {100 * share:.3g} % of its pixels are outside the exemplar's range{held}; --match-range fits them"
        )
