"""One pass over a field: every pixel near a seam tries its neighbours' continuations and their look-alikes.

Ashikhmin 2001 (coherence), Tong et al. 2002 (k-coherence), Lefebvre & Hoppe 2005 (all pixels at once). Pixels whose
whole window is copied in one piece already match exactly and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import native
from texsynth.field.atlas import Field
from texsynth.field.guide import Prices
from texsynth.field.space import PIXELS_DESCRIBED_AT_ONCE, Space
from texsynth.native.sums import in_lanes

PIXELS_AT_ONCE = 1 << 14  # pixels whose candidates are compared at once: stays in the cache
PIXELS_OF_A_DEVICE = 1 << 18  # the same where a launch costs as much as thousands of pixels
RANDOM_CANDIDATES = 256  # source pixels drawn per pass, of which a guided pixel tries those that fit best
MISSED_GUIDE = 0.02  # variances: a pixel that misses its guides by more is active wherever it lies
NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def sweep(
    field: Field, space: Space, prices: Prices, rng: torch.Generator | None = None, fixed: Tensor | None = None
) -> Field:
    """One pass over the active pixels of a field: those near seams, and those that miss their guides.

    rng: draws random candidates for guided pixels; none are tried without. fixed: (h, w) bool, pixels that stay as they
    are. The cost of the field that is returned is the distance of windows alone.
    """
    patch, width = space.basis.patch, field.size[1]
    wide = extend(field, patch // 2)
    # Choose the pixels to improve and the source pixels that guided ones try.
    active = near_seams(field, patch // 2 + 1)
    draws = torch.empty(0, dtype=torch.long, device=active.device)
    if prices.guiding is not None and rng is not None:
        active |= prices.guiding.price(field.index) > MISSED_GUIDE
        usable = prices.source.isfinite().nonzero()[:, 0]
        draws = usable[torch.randint(len(usable), (RANDOM_CANDIDATES,), generator=rng).to(active.device)]
    if fixed is not None:
        active &= ~fixed
    if twin := native.kernel("swept", wide, active, space.table, space.jumps, prices.source):
        guides = None if prices.guiding is None else prices.guiding.parts()
        sources = space.table, space.jumps, prices.source, prices.jump
        row, afar = space.atlas.row, fixed is not None
        index, cost = twin(wide, active, patch, row, *space.windows, *sources, guides, draws, afar)
        return Field(index, cost, field.atlas, field.tile)
    # Improve strip after strip, each from the field as it was before the pass.
    index, cost = field.index.clone(), torch.zeros_like(field.cost)
    rows = max(1, PIXELS_DESCRIBED_AT_ONCE // width)
    for top in range(0, field.size[0], rows):
        here = active[top : top + rows].flatten().nonzero()[:, 0]
        if len(here) == 0:
            continue
        strip = wide[top : top + rows + patch - 1]
        windows = space.basis.describe(space.atlas.compared[strip].permute(2, 0, 1)[None])
        strip_index, strip_cost = index[top : top + rows].view(-1), cost[top : top + rows].view(-1)
        for some in here.split(PIXELS_AT_ONCE if here.device.type == "cpu" else PIXELS_OF_A_DEVICE):
            local = prices.at(top * width + some)
            extra = [] if local.guiding is None or len(draws) == 0 else local.guiding.fitting(draws)
            if fixed is not None:
                extra += _from_afar(strip, some // width, some % width, space)
            strip_index[some], strip_cost[some] = _best_candidates(strip, windows, some, extra, space, local)
    return Field(index, cost, field.atlas, field.tile)


def _coherent(strip: Tensor, pixels: Tensor, margin: int, row: int) -> list[Tensor]:
    """What pixels within the margin of a strip copy, and what their eight neighbours continue to: nine tensors (n,)."""
    stride = strip.shape[1]
    width = stride - 2 * margin
    here, at = strip.flatten(), (pixels // width + margin) * stride + pixels % width + margin
    return [here[at], *(here[at + dy * stride + dx] - (dy * row + dx) for dy, dx in NEIGHBOURS)]


def _from_afar(strip: Tensor, y: Tensor, x: Tensor, space: Space) -> list[Tensor]:
    """What look-alikes of pixels half a window away continue to at (y, x): at the brim of a hole, of pixels outside."""
    reach, candidates = space.basis.patch // 2, []
    for dy, dx in NEIGHBOURS:
        there = space.jumps[strip[y + reach + dy * reach, x + reach + dx * reach]].long()
        continued = there - (dy * space.atlas.row + dx) * reach
        candidates += list(continued.clamp_(0, len(space.described) - 1).unbind(1))
    return candidates


def _best_candidates(
    strip: Tensor, windows: Tensor, pixels: Tensor, extra: list[Tensor], space: Space, prices: Prices
) -> tuple[Tensor, Tensor]:
    """The cheapest candidates for some `pixels` (n,) of a strip, flat, and their squared distances, both (n,): coherent
    ones (what each pixel copies now, then what its neighbours continue to), their look-alikes, and `extra` ones, (n,)
    each. Of equal ones the first is taken.

    strip: the field (h + 2m, w + 2m) round the pixels. windows: (h * w, D), their descriptors.
    """
    query, coherent = windows[pixels], _coherent(strip, pixels, space.basis.patch // 2, space.atlas.row)
    best = coherent[0].clone()
    distance = in_lanes((space.table[best] - query).square_())
    total = distance + prices.of(best)
    for candidate, untried, factor in _candidates(coherent, extra, space, prices.jump):
        if query.device.type != "cpu":  # to compare only those that are untried, a device would have to be waited for
            candidate_distance = in_lanes((space.table[candidate] - query).square_())
            candidate_total = candidate_distance * factor + prices.of(candidate)
            better = untried & (candidate_total < total)
            best, distance = torch.where(better, candidate, best), torch.where(better, candidate_distance, distance)
            total = torch.where(better, candidate_total, total)
            continue
        some = untried.nonzero()[:, 0]
        if len(some) == 0:
            continue
        candidate = candidate[some]
        candidate_distance = in_lanes((space.table[candidate] - query[some]).square_())
        candidate_total = candidate_distance * factor + prices.of(candidate, some)
        better = candidate_total < total[some]
        some = some[better]
        best[some], distance[some], total[some] = candidate[better], candidate_distance[better], candidate_total[better]
    return best, distance


def _candidates(
    coherent: list[Tensor], extra: list[Tensor], space: Space, jump: float
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """All candidates (n,), where each of them has not just been tried, (n,) bool, and the factor on its distance."""
    current = coherent[0]
    for previous, candidate in pairwise(coherent):
        yield candidate, (candidate != current) & (candidate != previous), 1.0
    for k in range(space.jumps.shape[1]):
        previous = torch.full_like(current, -1)
        for candidate in coherent:
            similar = space.jumps[candidate, k].long()
            yield similar, (similar != previous) & (similar != candidate), jump
            previous = similar
    for candidate in extra:
        yield candidate, candidate != current, jump


def beyond_border(n: int, margin: int, wraps: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """The pixels of a line of length n that stand in for -margin ... n + margin - 1, wrapped round or the pixel at the
    border, and how many pixels past them each place lies. Both (n + 2 * margin,)."""
    at = torch.arange(-margin, n + margin, device=device)
    inside = at % n if wraps else at.clamp(0, n - 1)
    return inside, torch.zeros_like(at) if wraps else at - inside


def extend(field: Field, margin: int) -> Tensor:
    """Indices (h + 2m, w + 2m): wrapped where the output tiles, else continuing the copy of the pixel at the border."""
    index, last = field.index, len(field.atlas.colours) - 1
    for dim, stride in ((0, field.atlas.row), (1, 1)):
        inside, past = beyond_border(index.shape[dim], margin, field.tile[dim], index.device)
        index = index.index_select(dim, inside) + (past[:, None] if dim == 0 else past[None, :]) * stride
    return index.clamp(0, last)


def near_seams(field: Field, radius: int) -> Tensor:
    """Which pixels lie within `radius` of a pair of neighbours that do not continue each other, (h, w) bool."""
    wide = extend(field, radius + 1)
    if twin := native.kernel("near_seams", wide, field.atlas.valid):
        near: Tensor = twin(wide, field.atlas.valid, radius, field.atlas.row)
        return near
    seam = ~field.atlas.valid[wide]
    down, right = wide[1:] != wide[:-1] + field.atlas.row, wide[:, 1:] != wide[:, :-1] + 1
    for part, apart in ((seam[1:], down), (seam[:-1], down), (seam[:, 1:], right), (seam[:, :-1], right)):
        part |= apart
    mark = seam[None, None].float()
    for kernel in ((2 * radius + 1, 1), (1, 2 * radius + 1)):
        mark = F.max_pool2d(mark, kernel, stride=1)
    return mark[0, 0, 1:-1, 1:-1] > 0
