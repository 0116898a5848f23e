"""Patches of pictures beside those of exemplars, region by region: what SPADE and MSCA learn texture by."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pictures import generator, spots
from texsynth.learned.msca.pairs import ColourChange
from texsynth.learned.shared import regions as module
from texsynth.learned.shared.copies import MappedCopy
from texsynth.learned.shared.regions import Bank, bank, regions, transport
from texsynth.task import Guide

PALETTE = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.2, 0.9], [0.2, 0.8, 0.3]])
LABELS = (Guide("labels", (), torch.zeros(1, 1, 1, 1), distance="l0", palette=PALETTE),)


def halves(h: int = 40, w: int = 44) -> Tensor:
    """Ids: 0 on the left, 1 on the right."""
    return (torch.arange(w) >= w // 2).float().expand(1, 1, h, w)


def picture() -> Tensor:
    """Dark on the left, bright on the right."""
    return spots(40, 44) * torch.tensor([0.2] * 22 + [1.0] * 22)


def bank_of(image: Tensor, ids: Tensor, valid: Tensor | None = None) -> Bank:
    return bank([MappedCopy(0, image, valid, (ids,))], LABELS, generator())


def apart(image: Tensor, ids: Tensor, patches: Bank, steps: int = 1) -> float:
    """After some steps of the potentials."""
    rng = generator()
    return [float(transport(image, ids, patches, rng)) for _ in range(steps)][-1]


def test_a_picture_is_at_no_distance_from_itself_and_from_others_it_is() -> None:
    image, ids = picture(), halves()
    same = apart(image, ids, bank_of(image, ids))
    other = apart(1 - image, ids, bank_of(image, ids))
    swapped = apart(image, 1 - ids, bank_of(image, ids))
    absent = apart(image, ids * 2, bank_of(image, ids))  # a region that no exemplar has
    assert 10 * same < min(0.5, other, swapped)
    assert absent == pytest.approx(same, abs=0.02)


def test_potentials_see_that_all_patches_are_wanted() -> None:
    """One window of a picture, over and over: its patches are all there, and the others are missed."""
    image, ids = spots(24, 24, seed=3), torch.zeros(1, 1, 24, 24)
    again = image[:, :, :12, :12].repeat(1, 1, 2, 2)
    patches = bank_of(image, ids)
    first, last = apart(again, ids, patches), apart(again, ids, patches, 60)
    assert last > 1.1 * first
    assert any(bool(held.any()) for held in patches.memory.values())


def test_a_gradient_makes_a_picture_more_like_the_exemplar() -> None:
    image, ids, rng = picture(), halves(), generator()
    patches, output = bank_of(image, ids), torch.full_like(image, 0.5).requires_grad_()
    optimiser, values = torch.optim.Adam([output], 0.05), []
    for _ in range(30):
        optimiser.zero_grad()
        value = transport(output, ids, patches, rng)
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.5 * values[0]
    left, right = output[..., :20].detach().mean(), output[..., 24:].detach().mean()
    assert float(left) < 0.3 < float(right)


def test_what_must_not_be_used_is_in_no_bank() -> None:
    image, valid = torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    image[..., 16:], valid[..., :16] = 1.0, True
    layers = bank_of(image, torch.zeros(1, 1, 32, 32), valid).layers
    assert layers and not any(region.patches.any() for layer in layers.values() for region in layer.values())


def test_a_bank_in_other_colours_is_that_of_a_picture_in_other_colours() -> None:
    """And keeps its potentials, so that they go on being learned."""
    image, ids = spots(40, 44), torch.zeros(1, 1, 40, 44)
    change, patches = ColourChange(0.5, torch.tensor([0.1, 0.0, -0.1])), bank_of(image, ids)
    moved = patches.changed({0: change})
    assert apart(change(image), ids, moved) < 0.1 * apart(change(image), ids, patches)
    assert all(moved.memory[name] is held for name, held in patches.memory.items())


def test_every_combination_of_maps_is_a_region() -> None:
    values = torch.linspace(0, 1, 44).expand(1, 1, 40, 44)
    turn = values * torch.pi
    guides = (
        *LABELS,
        Guide("progression", (), values, distance="l2"),
        Guide("orientation", (), torch.cat([turn.cos(), turn.sin()], 1), distance="direction"),
    )
    ids = regions([halves(), *(guide.target for guide in guides[1:])], guides)
    assert len(ids.unique()) > 8
    turned = replace(guides[2], target=-guides[2].target)  # a direction has no sign
    assert torch.equal(ids, regions([halves(), values, turned.target], guides))


def test_a_picture_too_smooth_is_told_beyond_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means and covariances count too, or what is half as rough as the exemplar would do."""
    image, ids = spots(40, 44), torch.zeros(1, 1, 40, 44)
    smooth = 0.5 * (image + image.mean((2, 3), keepdim=True))
    whole = apart(smooth, ids, bank_of(image, ids))
    monkeypatch.setattr(module, "MOMENT_WEIGHT", 0.0)
    assert whole > apart(smooth, ids, bank_of(image, ids)) + 0.2
