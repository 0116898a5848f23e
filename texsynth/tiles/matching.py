"""Which window of a plane goes into which tile: the one that continues the bands of the tile best.

Bands are settled before. Every window goes to one tile, so nothing of the plane is shown by two of them, and is moved
by as much as leaves the insides of all of them apart (Cohen et al. 2003 look for the best cut between samples; here the
best sample is looked for first).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.tiles.board import Box, TileFrame, part

REDUCED = 4  # times, that pictures are reduced which are compared
MOST_ROUNDS = 20  # of exchanging windows


def matched(frame: TileFrame, windows: Sequence[Box], image: Tensor, tiles: Sequence[Tensor]) -> list[Box]:
    """The window of each tile.

    windows: (top, left, height, width) in the plane. image: (1, 3, h, w) in [0, 1], the plane. tiles: (1, 3, height,
    width) each, with the border of the tile and the margins of its bands.
    """
    reach = (frame.border + frame.margin) // REDUCED
    rim = _reduced(_rim(frame).float()) == 1
    size = [side + 2 * reach for side in rim.shape[2:]]
    templates = torch.cat([_reduced(tile) for tile in tiles]) * rim
    padded = F.pad(image, (frame.border + REDUCED * reach,) * 4, mode="replicate")
    around = torch.cat([_around(frame, window, padded, reach) for window in windows])
    moves = 2 * reach + 1

    def slid(template: Tensor, over: Tensor) -> Tensor:
        """The sums of the products of (n, C, h, w) with what has this spectrum, at all places where it lies inside."""
        product = over * torch.fft.rfft2(template, s=size).conj()
        sums: Tensor = torch.fft.irfft2(product.sum(1), s=size)
        return sums[:, :moves, :moves]

    of_plane = slid(rim.float(), torch.fft.rfft2(around.square().sum(1, keepdim=True)))
    spectrum = torch.fft.rfft2(around)
    allowed = torch.stack([_allowed(frame, window, image, reach) for window in windows])
    costs, at = [], []
    for template in templates:
        off = template.square().sum() - 2 * slid(template[None], spectrum) + of_plane
        least = off.masked_fill(~allowed, torch.inf).flatten(1).min(1)
        costs.append(least.values)
        at.append(least.indices)
    chosen = _assigned(torch.stack(costs).tolist())
    places = []
    for number, window in enumerate(chosen):
        down, along = divmod(int(at[number][window]), moves)
        top, left = windows[window][:2]
        places.append((top + REDUCED * (down - reach), left + REDUCED * (along - reach), *frame.size))
    return places


def _reduced(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, REDUCED)


def _rim(frame: TileFrame) -> Tensor:
    """Where a tile with its border shows the margins of its bands, (1, 1, height, width) bool."""
    (height, width), rim = frame.whole, torch.zeros(1, 1, *frame.whole, dtype=torch.bool)
    for reach, value in ((frame.breadth, True), (frame.breadth + frame.margin, False)):
        part(rim, (reach, reach, height - 2 * reach, width - 2 * reach)).fill_(value)
    return rim


def _around(frame: TileFrame, window: Box, padded: Tensor, reach: int) -> Tensor:
    """What a plane, that is padded by as much, shows round a window, reduced."""
    height, width = (side + 2 * REDUCED * reach for side in frame.whole)
    return _reduced(part(padded, (window[0], window[1], height, width)))[..., : height // REDUCED, : width // REDUCED]


def _allowed(frame: TileFrame, window: Box, image: Tensor, reach: int) -> Tensor:
    """To which places a window may be moved, so that what a tile can show of it stays in the plane."""
    inner, fits = frame.border, []
    for start, side, whole in zip(window[:2], frame.size, image.shape[2:], strict=True):
        first = start + REDUCED * torch.arange(-reach, reach + 1) + inner
        fits.append((first >= 0) & (first + side - 2 * inner <= whole))
    return fits[0][:, None] & fits[1]


def _assigned(costs: list[list[float]]) -> list[int]:
    """A window for each tile, by the cost of each pair: the cheapest first, and then exchanged while that helps."""
    count = len(costs)
    chosen = [-1] * count
    for _, tile, window in sorted((costs[t][w], t, w) for t in range(count) for w in range(len(costs[t]))):
        if chosen[tile] < 0 and window not in chosen:
            chosen[tile] = window
    for _ in range(MOST_ROUNDS):
        before = list(chosen)
        for one in range(count):
            for other in range(one):
                a, b = chosen[one], chosen[other]
                if costs[one][b] + costs[other][a] < costs[one][a] + costs[other][b]:
                    chosen[one], chosen[other] = b, a
        if chosen == before:
            break
    return chosen
