"""Label maps: palettes of clean, soft-edged and noisy pictures, ids, absent labels, agreement."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pictures import noise
from texsynth.errors import InputError
from texsynth.guidance import labels

# The third is what the first two make where they meet: a soft edge must not be taken for it.
COLOURS = torch.tensor([[200, 30, 30], [30, 40, 200], [115, 35, 115], [90, 200, 60]]) / 255


def regions(side: int = 96) -> Tensor:
    """Discs of 1 and 2 and a band of 3 on 0, as ids (side, side)."""
    y, x = torch.meshgrid(*[(torch.arange(side) + 0.5) / side] * 2, indexing="ij")
    found = torch.zeros(side, side, dtype=torch.long)
    found[(x - 0.3) ** 2 + (y - 0.35) ** 2 < 0.06] = 1
    found[(x - 0.75) ** 2 + (y - 0.6) ** 2 < 0.03] = 2
    found[y > 0.85] = 3
    return found


def painted(ids: Tensor, colours: Tensor = COLOURS) -> Tensor:
    return colours[ids].permute(2, 0, 1).unsqueeze(0)


def soft(side: int = 96) -> Tensor:
    """The regions with anti-aliased edges."""
    return F.avg_pool2d(painted(regions(4 * side)), 4)


def jpeg(picture: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray((picture[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).unsqueeze(0) / 255


def same_colours(found: Tensor, wanted: Tensor, tolerance: float) -> bool:
    return len(found) == len(wanted) and float(torch.cdist(wanted, found).min(1).values.max()) <= tolerance


def in_order(found: Tensor, colours: Tensor) -> Tensor:
    """Ids of a palette as ids of COLOURS."""
    return torch.cdist(colours, COLOURS).argmin(1)[found[0, 0].long()]


def test_a_clean_picture_has_its_exact_colours_commonest_first() -> None:
    found = labels.palette([painted(regions())])
    assert same_colours(found, COLOURS, 1e-6)
    ids = labels.ids(painted(regions()), found)
    assert torch.equal(in_order(ids, found), regions())
    counts = ids.long().flatten().bincount()
    assert bool((counts.diff() <= 0).all())


def test_clean_colours_may_be_next_to_each_other() -> None:
    shades = torch.tensor([[k, k, k] for k in range(4)]) / 255
    found = labels.palette([painted(regions(), shades)])
    assert same_colours(found, shades, 1e-6)
    assert len(labels.ids(painted(regions(), shades), found).unique()) == 4


def test_clean_lines_are_labels() -> None:
    ids = regions()
    ids[:, 20] = 3
    ids[30, :] = 3
    found = labels.palette([painted(ids)])
    assert torch.equal(in_order(labels.ids(painted(ids), found), found), ids)


@pytest.mark.parametrize("quality", [None, 95, 75, 40])
def test_soft_edges_and_jpeg_noise_make_no_labels(quality: int | None) -> None:
    picture = soft() if quality is None else jpeg(soft(), quality)
    found = labels.palette([picture])
    assert same_colours(found, COLOURS, 14 / 255)
    ids = in_order(labels.ids(picture, found), found)
    truth = regions(384)[2::4, 2::4]
    assert float((ids == truth).float().mean()) > 0.98

    def rim(found: Tensor) -> int:
        """Pixels of the third label that are nowhere near its own disc."""
        own = F.max_pool2d((truth == 2).float()[None, None], 5, 1, 2)[0, 0] > 0
        return int(((found == 2) & ~own).sum())

    assert rim(ids) < 0.1 * rim(in_order(torch.cdist(picture[0].permute(1, 2, 0), found).argmin(2)[None, None], found))


@pytest.mark.parametrize("drawn", [painted(regions()), soft(), jpeg(soft(), 60)], ids=["clean", "soft", "noisy"])
def test_strips_change_nothing(drawn: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = labels.palette([drawn])
    whole = labels.ids(drawn, colours)
    monkeypatch.setattr(labels, "PIXELS_OF_A_STRIP", 500)
    monkeypatch.setattr(labels, "PIXELS_OF_A_CHUNK", 100)
    assert torch.equal(labels.palette([drawn]), colours)
    assert torch.equal(labels.ids(drawn, colours), whole)


def test_pictures_share_one_palette() -> None:
    left, right = painted(torch.zeros(16, 16, dtype=torch.long)), painted(torch.full((16, 16), 3))
    assert same_colours(labels.palette([left, right]), COLOURS[[0, 3]], 1e-6)
    assert same_colours(labels.palette([left]), COLOURS[[0]], 1e-6)


def test_what_is_no_label_picture_is_refused() -> None:
    many = torch.linspace(0, 1, 256).repeat_interleave(4).expand(1, 3, 16, 1024)
    for picture in (many, noise(1, 3, 64, 64)):
        with pytest.raises(InputError, match=r"flat colours, and 1 to 64 are allowed"):
            labels.palette([picture])


def test_specks_of_noise_go_to_what_is_around_them() -> None:
    picture = painted(regions())
    picture[:, :, 5, 5] = COLOURS[3]
    picture[:, :, 50, 10] = torch.tensor([1.0, 1.0, 1.0])  # no label, so the picture is not clean
    assert torch.equal(labels.ids(picture, COLOURS)[0, 0].long(), regions())


def test_a_targets_near_colours_are_the_sources_and_others_are_added() -> None:
    target = painted(regions(), (COLOURS + 0.02).clamp(0, 1))
    assert torch.equal(labels.shared(COLOURS, target), COLOURS)
    assert same_colours(labels.shared(COLOURS[:3], target), torch.cat([COLOURS[:3], COLOURS[3:] + 0.02]), 3 / 255)


def test_alike_source_colours_do_not_swallow_another() -> None:
    shades = torch.tensor([[k, k, k] for k in range(4)]) / 255
    assert len(labels.shared(shades[:3], painted(regions(), shades))) == 4


@pytest.mark.parametrize("quality", [None, 60])
def test_a_label_absent_from_the_exemplar_is_named(quality: int | None) -> None:
    source, target = painted(regions().clamp(max=1)), painted(regions())
    target = target if quality is None else jpeg(target, quality)
    colours = labels.shared(labels.palette([source]), target)
    maps = [labels.ids(p, colours) for p in (source, target)]
    labels.check([maps[0], maps[1]], maps[1], colours)
    with pytest.raises(InputError) as error:
        labels.check(maps[:1], maps[1], colours)
    text = str(error.value)
    absent, present = text.split("is not in the exemplar")
    assert all(f"#{word}" in present for word in ("c81e1e", "1e28c8"))
    assert absent.count("%") == 2 and "\n" not in text
    if quality is None:
        assert "#5ac83c (15 %), #732373 (9.4 %)" in absent


def test_a_long_list_of_labels_is_cut() -> None:
    colours = noise(20, 3)
    source = torch.arange(19).float().view(1, 1, 1, -1)
    with pytest.raises(InputError, match="and 11 more"):
        labels.check([source], torch.full((1, 1, 2, 2), 19.0), colours)


def test_agreement_may_leave_out_the_boundaries() -> None:
    target = torch.zeros(1, 1, 12, 12)
    target[..., 6:] = 1
    result = target.clone()
    result[..., 6] = 0  # the boundary is one pixel off
    result[..., 0, 0] = 1
    assert labels.agreement(target, target) == 1
    assert labels.agreement(result, target) == pytest.approx(1 - 13 / 144)
    assert labels.agreement(result, target, away=1) == pytest.approx(1 - 1 / 120)
    assert labels.agreement(result, target, away=20) != labels.agreement(result, target, away=20)  # nothing is left
