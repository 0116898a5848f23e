"""One pass over a field: every pixel near a seam tries its neighbours' continuations and their look-alikes.

Ashikhmin 2001 (coherence), Tong et al. 2002 (k-coherence), Lefebvre & Hoppe 2005 (all pixels at once). Pixels whose
whole window is copied in one piece already match exactly and are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Field
from texsynth.field.guide import Guiding
from texsynth.field.space import STRIP, Space

CHUNK = 1 << 14  # pixels whose candidates are compared at once: stays in the cache
DRAWS = 256  # source pixels drawn per pass, of which a guided pixel tries the fitting ones
UNMET = 0.02  # variances: a guide missed by more makes its pixel try others
NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def sweep(
    field: Field,
    space: Space,
    price: Tensor,
    kappa: float,
    guiding: Guiding | None = None,
    rng: torch.Generator | None = None,
    known: Tensor | None = None,
) -> Field:
    """One pass. price: (N,) of copying from each source pixel, infinite where that is not allowed; kappa: factor on the
    distance of jumps; guiding: what else each pixel should come from; pixels that could do better by it are tried too;
    known: (h, w) bool, pixels that stay.
    Distances are relative to the variance of the exemplar's windows."""
    index, cost = field.index.clone(), torch.zeros_like(field.cost)
    patch = space.basis.patch
    wide = extend(field, patch // 2)
    active = near_seams(field, patch // 2 + 1)
    draws = torch.empty(0, dtype=torch.long, device=index.device)
    if guiding is not None and rng is not None:
        active |= guiding.price(index) > UNMET
        usable = price.isfinite().nonzero()[:, 0]
        draws = usable[torch.randint(len(usable), (DRAWS,), generator=rng).to(index.device)]
    if known is not None:
        active &= ~known
    rows = max(1, STRIP // field.size[1])
    for top in range(0, field.size[0], rows):
        here = active[top : top + rows].flatten().nonzero()[:, 0]
        if len(here) == 0:
            continue
        strip = wide[top : top + rows + patch - 1]
        windows = space.basis.describe(space.atlas.colours[strip].permute(2, 0, 1)[None])
        flat = index[top : top + rows].view(-1), cost[top : top + rows].view(-1)
        inner = strip[
            patch // 2 - 1 : strip.shape[0] - patch // 2 + 1, patch // 2 - 1 : strip.shape[1] - patch // 2 + 1
        ]
        around = [
            inner[1 + dy : inner.shape[0] - 1 + dy, 1 + dx : inner.shape[1] - 1 + dx].flatten()
            - (dy * space.atlas.row + dx)
            for dy, dx in NEIGHBOURS
        ]
        for some in here.split(CHUNK):
            guides = None if guiding is None else guiding.at(top * field.size[1] + some)
            priced = partial(_price, price, guides)
            fresh = [] if guides is None or len(draws) == 0 else guides.fitting(draws)
            if known is not None:
                fresh += _from_afar(strip, some // field.size[1], some % field.size[1], space)
            flat[0][some], flat[1][some] = _choose(
                windows[some], flat[0][some], [a[some] for a in around], fresh, space, priced, kappa
            )
    return Field(index, cost, field.atlas, field.tile)


def _from_afar(strip: Tensor, y: Tensor, x: Tensor, space: Space) -> list[Tensor]:
    """What look-alikes of pixels half a window away continue to: at the brim of a hole those see what is known."""
    reach, out = space.basis.patch // 2, []
    for dy, dx in NEIGHBOURS:
        there = space.jumps[strip[y + reach + dy * reach, x + reach + dx * reach]].long()
        continued = there - (dy * space.atlas.row + dx) * reach
        out += list(continued.clamp_(0, len(space.described) - 1).unbind(1))
    return out


def _price(price: Tensor, guides: Guiding | None, candidate: Tensor, some: Tensor) -> Tensor:
    """What it costs pixels `some` of a chunk to copy `candidate`, beside the distance of windows: (n,)."""
    return price[candidate] if guides is None else price[candidate] + guides.among(some).price(candidate)


def _choose(
    query: Tensor,
    own: Tensor,
    around: list[Tensor],
    fresh: list[Tensor],
    space: Space,
    priced: Callable[[Tensor, Tensor], Tensor],
    kappa: float,
) -> tuple[Tensor, Tensor]:
    """The best of own, coherent, similar and fresh source pixels for (n, D) windows: (n,) indices, (n,) distances."""
    best = own.clone()
    distance = (space.table[own] - query).square_().sum(1)
    everyone = torch.arange(len(own), device=own.device)
    total = distance + priced(own, everyone)

    def attempt(candidate: Tensor, new: Tensor, factor: float) -> None:
        some = new.nonzero()[:, 0]
        if len(some) == 0:
            return
        candidate = candidate[some]
        d = (space.table[candidate] - query[some]).square_().sum(1)
        t = d * factor + priced(candidate, some)
        better = t < total[some]
        some = some[better]
        best[some], distance[some], total[some] = candidate[better], d[better], t[better]

    before = own
    for candidate in around:
        attempt(candidate, (candidate != own) & (candidate != before), 1.0)
        before = candidate
    for k in range(space.jumps.shape[1]):
        before = torch.full_like(own, -1)
        for candidate in [own, *around]:
            jump = space.jumps[candidate, k].long()
            attempt(jump, (jump != before) & (jump != candidate), kappa)
            before = jump
    for candidate in fresh:
        attempt(candidate, candidate != own, kappa)
    return best, distance


def extend(field: Field, margin: int) -> Tensor:
    """(h + 2m, w + 2m) indices: wrapped where the output tiles, else continuing the border pixel's own copy."""
    index, last = field.index, len(field.atlas.colours) - 1
    for dim, wraps, stride in ((0, field.tile[0], field.atlas.row), (1, field.tile[1], 1)):
        n = index.shape[dim]
        at = torch.arange(-margin, n + margin, device=index.device)
        inside = at % n if wraps else at.clamp(0, n - 1)
        beyond = torch.zeros_like(at) if wraps else (at - inside) * stride
        index = index.index_select(dim, inside) + (beyond[:, None] if dim == 0 else beyond[None, :])
    return index.clamp(0, last)


def near_seams(field: Field, radius: int) -> Tensor:
    """Which pixels lie within `radius` of a pair of neighbours that do not continue each other, (h, w) bool."""
    wide = extend(field, radius + 1)
    seam = torch.zeros(wide.shape, dtype=torch.bool, device=wide.device)
    down, right = wide[1:] != wide[:-1] + field.atlas.row, wide[:, 1:] != wide[:, :-1] + 1
    seam[1:] |= down
    seam[:-1] |= down
    seam[:, 1:] |= right
    seam[:, :-1] |= right
    seam |= ~field.atlas.valid[wide]
    mark = seam[None, None].float()
    for kernel in ((2 * radius + 1, 1), (1, 2 * radius + 1)):
        mark = F.max_pool2d(mark, kernel, stride=1)
    return mark[0, 0, 1:-1, 1:-1] > 0
