"""Fresh pieces over the seams of a quilt, and the closed cuts round them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fields import atlas_of
from pictures import generator, noise, spots
from texsynth.field.atlas import Atlas
from texsynth.field.contrast import evened
from texsynth.field.quilt import Blocks, Quilt, QuiltRules, largest_blocks, lay, prior_of, standing_price
from texsynth.field.quilting import path
from texsynth.field.recut import closed_cuts, recut, recut_quilt, rings, seams

FREE = QuiltRules(spread=0.0, proportion=0.0, tries=8)
USUAL = QuiltRules(spread=0.1, proportion=0.1, tries=8)
NO_BORDERS = torch.zeros(1, 4, dtype=torch.bool)


def total(canvas: Quilt, blocks: Blocks) -> float:
    """What all seams of a canvas cost."""
    return float(seams(blocks, canvas.index.view(canvas.h, canvas.w), canvas.wraps).sum())


def blocks_of(atlas: Atlas, side: int) -> Blocks:
    blocks = largest_blocks(atlas, side, 0.5, generator())
    assert blocks is not None
    return blocks


def frame(side: int, inset: int, thickness: int) -> Tensor:
    """A closed square of ones, (side, side), as far inside as `inset`."""
    out = F.pad(torch.ones(side - 2 * inset, side - 2 * inset), (inset,) * 4)
    inner = inset + thickness
    return out - F.pad(torch.ones(side - 2 * inner, side - 2 * inner), (inner,) * 4)


def test_a_path_pays_for_steps_aside() -> None:
    """Against every path there is: a step aside costs the error that it leads to once more."""
    error = noise(4, 4, 4, seed=2)
    at, cost = path(error, slope=1.0)
    for number in range(4):
        price = {}
        for columns in itertools.product(range(4), repeat=4):
            if all(abs(a - b) <= 1 for a, b in itertools.pairwise(columns)):
                aside = [0] + [abs(a - b) for a, b in itertools.pairwise(columns)]
                price[columns] = sum(float(error[number, r, c]) * (1 + aside[r]) for r, c in enumerate(columns))
        assert min(price, key=lambda columns: price[columns]) == tuple(at[number].tolist())
        assert min(price.values()) == pytest.approx(float(cost[number]), abs=1e-5)


@pytest.mark.parametrize("inset", [2, 4])
def test_a_cut_follows_a_closed_line_of_agreement(inset: int) -> None:
    """Where new and old agree on a frame alone, the cut runs in it: all of the inside is new, none of the outside."""
    gap = (1 - frame(20, inset, 3)).flatten()[None, None]
    inside, cost = closed_cuts(gap, torch.zeros(1, 400), NO_BORDERS, rings(20, gap.device))
    kept, middle = inside.view(20, 20), 20 - 2 * (inset + 3)
    assert float(cost) < 1e-4
    assert kept[inset + 3 : -inset - 3, inset + 3 : -inset - 3].sum() == middle**2
    assert kept.sum() == kept[inset:-inset, inset:-inset].sum()


def test_a_cut_goes_round_old_seams_where_these_cost_more() -> None:
    """A costly seam near the border widens a cut that would else be as small as it can be."""
    gap, seam = torch.full((1, 1, 400), 0.1), torch.zeros(1, 400)
    small = closed_cuts(gap, seam, NO_BORDERS, rings(20, gap.device))[0].view(20, 20)
    seam.view(20, 20)[3, 8:12] = 50.0
    large = closed_cuts(gap, seam, NO_BORDERS, rings(20, gap.device))[0].view(20, 20)
    assert small.sum() < 40
    assert large[3, 8:12].all()
    assert not large[16:].any()


def test_a_cut_is_free_where_the_canvas_ends() -> None:
    """A piece at the left border reaches it for nothing."""
    gap, seam = torch.full((1, 1, 400), 0.1), torch.full((1, 400), 0.02)
    seam.view(20, 20)[:, 10:] = 0
    inside, _ = closed_cuts(gap, seam, torch.tensor([[True, False, False, False]]), rings(20, gap.device))
    assert inside.view(20, 20)[6:14, 0].all()


@pytest.mark.parametrize("tile", [(False, True), (True, True)])
def test_recutting_makes_seams_cheaper(tile: tuple[bool, bool]) -> None:
    """By a tenth at least, on average over two quilts, also across a border that wraps; all pixels stay valid."""
    valid = torch.ones(1, 1, 40, 48, dtype=torch.bool)
    valid[:, :, 12, 18] = False
    atlas = atlas_of(spots(40, 48), valid=valid)
    blocks, before, after = blocks_of(atlas, 14), 0.0, 0.0
    for seed in range(2):
        canvas = lay(blocks, (56, 64), tile, FREE, generator(seed))
        before += total(canvas, blocks)
        recut(canvas, blocks, FREE, 8, generator(seed))
        after += total(canvas, blocks)
        assert atlas.valid[canvas.index].all()
    assert after < 0.9 * before


@pytest.mark.parametrize("tile", [(False, True), (False, False)])
def test_no_round_makes_seams_dearer(tile: tuple[bool, bool]) -> None:
    """Where nothing but seams counts. A piece at one border that is undone leaves what lies at the other as it is."""
    blocks = blocks_of(atlas_of(noise(1, 3, 32, 32)), 10)
    canvas = lay(blocks, (48, 48), tile, FREE, generator())
    costs = [total(canvas, blocks)]
    for seed in range(24):
        recut(canvas, blocks, FREE, 1, generator(seed))
        costs.append(total(canvas, blocks))
    assert all(b <= a + 1e-3 for a, b in itertools.pairwise(costs))
    assert costs[-1] < costs[0]


def test_more_rounds_do_not_count_use_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where proportions cannot be had, the potential of eight times the rounds ends about as high."""
    monkeypatch.setattr("texsynth.field.recut.ROUNDS_OF_ASCENT", 4)
    blocks = blocks_of(atlas_of(spots(32, 40)), 12)
    rise = []
    for rounds in (4, 32):
        canvas = lay(blocks, (40, 40), (False, False), USUAL, generator())
        before = canvas.psi.clone()
        recut(canvas, blocks, USUAL, rounds, generator())
        rise.append(float((canvas.psi - before).abs().mean()))
    assert 0 < rise[1] < 2 * rise[0]


def test_what_stands_is_priced_as_what_is_to_be_laid() -> None:
    """Use, potential and steers of a whole block cost the same, up to where use is looked up."""
    atlas = atlas_of(spots(40, 40))
    blocks = blocks_of(atlas, 12)
    canvas = lay(blocks, (48, 48), (False, False), USUAL, generator())
    rules = replace(USUAL, steers=(lambda index, y, x: (atlas.split(index)[2] - x).abs() / 40 + 0 * y,))
    top, numbers = torch.tensor([[8, 4], [20, 30]]), torch.tensor([3, 200])
    index = blocks.corners[numbers][:, None] + blocks.inner
    wanted = prior_of(canvas, blocks, top, rules).gather(1, numbers[:, None])[:, 0]
    assert torch.allclose(standing_price(canvas, blocks, top, index, rules), wanted, rtol=0.2)


def test_long_exemplars_are_recut_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pieces are so many that a quilt alone takes as long as several others."""
    done: list[int] = []

    def counted(*words: Any) -> None:
        done.append(words[3])

    monkeypatch.setattr("texsynth.field.recut.recut", counted)
    monkeypatch.setattr("texsynth.field.recut.MOST_BLOCKS", 100)
    for exemplar, size in (((24, 24), 40), ((8, 64), 16), ((8, 64), 40)):
        blocks = blocks_of(atlas_of(noise(1, 3, *exemplar)), 6)
        recut_quilt(blocks, (size, size), (False, False), FREE, 24, generator())
    assert done == [24, 18, 0]


def test_faint_structure_counts_for_more_and_none_for_less() -> None:
    """Noise of which one half has a tenth of the other's contrast: twice that at least; its mean and the other stay."""
    image = noise(1, 3, 32, 64)
    image[..., 32:] = 0.5 + 0.1 * (image[..., 32:] - 0.5)
    atlas = atlas_of(image)
    before, after = (atlas.picture(t)[0, :, 4:36, 4:68] for t in (atlas.colours / atlas.deviation, evened(atlas)))
    strong, faint = (after[..., part].std() / before[..., part].std() for part in (slice(24), slice(40, 64)))
    assert float(faint) > 2
    assert float(strong) == pytest.approx(1.0, abs=0.05)
    moved = after[..., 40:].mean((1, 2)) - before[..., 40:].mean((1, 2))
    assert float((moved - moved.mean()).abs().max()) < 0.05


def test_an_even_exemplar_stays_even() -> None:
    atlas = atlas_of(torch.full((1, 3, 16, 16), 0.3))
    assert float(evened(atlas).abs().max()) < 1e-2
