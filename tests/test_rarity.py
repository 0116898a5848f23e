"""Rare places of an exemplar come back seldom, common ones in proportion."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import texsynth
from fields import atlas_of
from networks import measured
from pictures import bytes_of, generator, noise, spots
from texsynth.errors import UsageError
from texsynth.field import rarity
from texsynth.field.atlas import Atlas
from texsynth.field.potential import excess
from texsynth.field.quilt import QuiltRules, largest_blocks, quilt
from texsynth.field.space import find_basis
from texsynth.metrics import Pair

HERE = (slice(12, 24), slice(20, 32))  # where the landmark lies


def landmark(side: int = 64) -> Tensor:
    """Fine grain with one disc, unlike all else, (1, 3, side, side)."""
    image = 0.35 + 0.3 * noise(1, 3, side, side)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    disc = (y - 17.5).square() + (x - 25.5).square() < 25
    return torch.where(disc, torch.tensor([1.0, 0.1, 0.1]).view(1, 3, 1, 1), image)


def landmarks(atlas: Atlas, pixels: int, setting: str = "rare") -> rarity.Landmarks | None:
    return rarity.find(atlas, find_basis(atlas, 9, 24, generator()), pixels, setting, generator())


def shown(image: Tensor) -> Tensor:
    """How many pixels of the disc a picture (1, 3, h, w) shows, as a number of discs."""
    red = (image[:, 0] > 0.9) & (image[:, 1] < 0.2)
    return red.sum() / 81


@pytest.mark.parametrize("copies", ["none", "flips"])
def test_what_nothing_else_resembles_is_rare(copies: str) -> None:
    """A flipped copy of a place is no other place."""
    atlas = atlas_of(landmark(), copies=copies)
    result = landmarks(atlas, 4 * 64 * 64)
    assert result is not None
    rare, wanted = result.rarity.view(64, 64), result.copies.view(64, 64)
    assert rare[HERE].mean() > 0.5
    assert rare[30:].mean() < 0.1
    assert wanted[17, 25] == pytest.approx(1, abs=0.3)
    assert wanted[30:].mean() == pytest.approx(4, abs=0.3)
    assert float(result.wanted.mean()) == pytest.approx(1)


def test_what_comes_again_elsewhere_is_common() -> None:
    """Two discs far apart: neither is rare."""
    image = landmark()
    image[..., 36:60, 36:60] = image[..., 6:30, 14:38]
    assert landmarks(atlas_of(image), 4 * 64 * 64) is None


@pytest.mark.parametrize("image", [torch.full((1, 3, 32, 32), 0.5), spots(12, 12), noise(1, 3, 6, 40)])
def test_where_nothing_can_be_compared_nothing_is_rare(image: Tensor) -> None:
    """A constant picture, and pictures too small for windows that are not each other's neighbourhood."""
    assert landmarks(atlas_of(image), 4096) is None


def test_the_settings_of_landmarks() -> None:
    atlas = atlas_of(landmark())
    rare, once = (landmarks(atlas, 16 * 64 * 64, setting) for setting in ("rare", "once"))
    assert landmarks(atlas, 16 * 64 * 64, "keep") is None
    assert rare is not None and once is not None
    assert (once.copies <= rare.copies).all() and once.copies.min() == pytest.approx(1)
    smaller = landmarks(atlas, 24 * 24)
    assert smaller is not None and (smaller.copies == 1).all()


def test_pixels_that_may_not_be_copied_are_not_wanted() -> None:
    valid = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    valid[..., :10] = False
    atlas = atlas_of(landmark(), valid=valid)
    result = landmarks(atlas, 4 * 64 * 64)
    assert result is not None
    assert not result.copies.view(64, 64)[:, :10].any()
    assert float(result.wanted[atlas.home[atlas.valid]].mean()) == pytest.approx(1)


def test_landmarks_of_a_finer_level() -> None:
    coarse, fine = atlas_of(spots(8, 6), spots(5, 7)), atlas_of(spots(16, 12), spots(10, 13))
    values = torch.arange(coarse.homes).float()
    finer = rarity.finer(rarity.Landmarks(values / coarse.homes, values + 1, values), coarse, fine)
    assert finer is not None and torch.equal(finer.wanted[: 16 * 12].view(16, 12)[::2, ::2].flatten(), values[: 8 * 6])
    assert len(finer.wanted) == fine.homes and finer.wanted[-1] == values[-1]
    assert torch.equal(finer.copies, finer.wanted + 1)
    assert torch.allclose(finer.rarity, finer.wanted / coarse.homes)
    assert rarity.finer(None, coarse, fine) is None


def test_landmarks_of_a_fine_first_level_come_back_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked for at half of its resolution, and wanted as often at its own: four discs in proportion."""
    monkeypatch.setattr("texsynth.methods.field.LANDMARK_SIDE", 32)
    quick = {"recuts": [4], "tries": 8, "passes": [0], "similar": 0}
    discs = []
    for setting in ("keep", "rare"):
        results = [
            texsynth.synthesize(bytes_of(landmark()), 128, seed=seed, settings=quick | {"landmarks": setting})
            for seed in range(3)
        ]
        discs.append(sum(float(shown(result.image.pixels)) for result in results) / 3)
    assert discs[0] > 2.5
    assert discs[1] < 0.7 * discs[0]


def test_the_potential_falls_short_of_the_wanted_use() -> None:
    atlas = atlas_of(landmark())
    wanted = torch.ones(64 * 64)
    wanted[: 32 * 64] = 0.5
    wanted[32 * 64 :] = 1.5
    over = excess(atlas, atlas.valid.nonzero()[:, 0], wanted).view(64, 64)
    assert float(over[:12].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(over[-12:].mean()) == pytest.approx(-0.5, abs=0.01)


def test_a_quilt_repeats_a_landmark_less() -> None:
    """How many discs there are at four times the area, on average over two quilts."""
    atlas, counts = atlas_of(landmark()), []
    blocks = largest_blocks(atlas, 32, 0.5, generator())
    assert blocks is not None
    for marks in (None, landmarks(atlas, 4 * 64 * 64)):
        rules = QuiltRules(0.1, 0.1, 4, landmarks=marks)
        quilts = [quilt(blocks, (128, 128), (False, False), rules, generator(seed)) for seed in range(2)]
        counts.append(sum(float(shown(atlas.colours[index].permute(2, 0, 1)[None])) for index in quilts) / 2)
    assert counts[1] < 0.75 * counts[0], counts


def repeated(output: Tensor) -> float:
    return measured("landmarks", Pair(landmark(), output))


def test_the_metric_counts_what_is_rare_beyond_the_first() -> None:
    image = landmark()
    plain = 0.35 + 0.3 * noise(1, 3, 64, 64, seed=1)
    one_of_four = torch.cat([torch.cat([image, plain], 3), torch.cat([plain, plain], 3)], 2)
    assert repeated(image) < 0.1
    assert repeated(one_of_four) < 0.5
    assert repeated(image.repeat(1, 1, 2, 2)) == pytest.approx(3, abs=0.6)
    assert measured("landmarks", Pair(torch.full((1, 3, 64, 64), 0.5), plain)) == 0


def test_a_setting_that_is_none() -> None:
    with pytest.raises(UsageError, match="keep"):
        texsynth.synthesize(bytes_of(landmark()), 128, settings={"landmarks": "often"})
