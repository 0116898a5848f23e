"""Light made one across the seams of a warp, and blocks that take what is beside them (CoCosNet)."""

from __future__ import annotations

import torch
from torch import Tensor

from pictures import generator, noise
from texsynth.learned.cocosnet.places import grid, placed, taken
from texsynth.learned.cocosnet.tone import levelled

HERE = torch.device("cpu")


def ones(h: int, w: int) -> Tensor:
    """One label everywhere."""
    return torch.ones(1, 1, h, w)


def halves(jump: int) -> tuple[Tensor, Tensor]:
    """A sky that brightens to the right, and places that are its own on the left and `jump` columns on on the right."""
    colours = torch.linspace(0.5, 0.6, 64).expand(1, 3, 16, 64).contiguous()
    places = grid((16, 32), HERE)
    places[:, 1, :, 16:] += jump
    return colours, places


def steps(image: Tensor) -> Tensor:
    """How much brighter each column is than the one before."""
    return image.mean((0, 1, 2)).diff()


def test_no_seam_is_left_where_a_smooth_picture_jumps() -> None:
    colours, places = halves(24)
    before = taken(colours, places)
    after = before + levelled(places, colours, ones(16, 32))
    assert float(steps(before)[15]) > 20 * float(steps(before)[3])
    assert float(steps(after)[15]) < 2 * float(steps(colours)[0])
    assert float((after - before).abs().max()) < 0.1


def test_what_goes_on_is_left_alone() -> None:
    colours, places = halves(0)
    assert not levelled(places, colours, ones(16, 32)).any()


def test_no_light_passes_between_labels() -> None:
    colours, places = halves(24)
    labels = torch.zeros(1, 2, 16, 32)
    labels[:, 0, :, :16], labels[:, 1, :, 16:] = 1, 1
    assert float(levelled(places, colours, labels).abs().max()) < 1e-6


def test_faults_of_shape_hardly_count() -> None:
    """A jump ten times as large as light could be moves next to nothing."""
    colours, places = halves(24)
    colours = (colours - 0.55) * 16
    assert float(levelled(places, colours, ones(16, 32)).abs().max()) < 0.1


def test_a_target_that_wraps_has_no_seam_at_its_border() -> None:
    colours, places = halves(0)
    lights = [levelled(places, colours, ones(16, 32), (False, wraps)) for wraps in (False, True)]
    open_, wrapped = (taken(colours, places) + light for light in lights)
    ends = [float((each[..., 0] - each[..., -1]).abs().mean()) for each in (open_, wrapped)]
    assert ends[1] < 0.25 * ends[0]


def test_blocks_meet_where_it_is_seen_least() -> None:
    """Two blocks under one label: the second takes some of the first's cells, and the meeting shows less for it."""
    colours = noise(1, 3, 40, 24, seed=2)
    flat = torch.ones(1, 4, 1, 1) / 2
    found = placed(flat.expand(1, 4, 16, 32), flat.expand(1, 4, 40, 24), colours, 0.5, generator(), blocks=(16,))
    apart = (found - grid((16, 32), HERE))[0]
    assert len(apart.flatten(1).unique(dim=1).T) >= 2
    border = (apart[:, :, 15] - apart[:, :, 16]).abs().sum(0) > 0
    assert not bool(border.all())  # the path leaves the straight border of the blocks


def test_rough_places_keep_their_light() -> None:
    """Their differences are the texture's; summed along many seams they would drift."""
    colours, places = 0.5 + 0.2 * (noise(1, 3, 32, 32, seed=4) - 0.5), grid((32, 32), HERE)
    places = places.flatten(2)[:, :, torch.randperm(32 * 32, generator=generator())].view(1, 2, 32, 32)
    assert float(levelled(places, colours, ones(32, 32)).abs().max()) < 0.02
