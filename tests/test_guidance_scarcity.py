"""Values that a target asks for and exemplars hardly have: what changes for them, and that nothing else does."""

from __future__ import annotations

import pytest
import torch

from texsynth.field.atlas import build_atlas
from texsynth.field.guide import Guiding, encode
from texsynth.field.potential import balance, palette
from texsynth.guidance import scarcity
from texsynth.task import Exemplar, Guide, Task


def guiding(source: torch.Tensor, target: torch.Tensor) -> tuple[Guiding, Task]:
    task = Task((Exemplar("a", torch.rand(1, 3, *source.shape)),), (32, 32))
    task = Task(task.exemplars, task.size, guides=(Guide("progression", (source[None, None],), target[None, None]),))
    guide = encode(task.guides, build_atlas(task, ("none",), 0))
    assert guide is not None
    return guide, task


def source() -> torch.Tensor:
    """1.6 % are 0, another 11 % 0.2, and all others from 0.6 to 1."""
    values = torch.linspace(0.6, 1, 64 * 64).view(64, 64).clone()
    values[:8, :8] = 0
    values[8:16, :56] = 0.2
    return values


def test_scarce_values_give_way_to_near_ones_and_not_to_far_ones() -> None:
    target = torch.cat([torch.zeros(16, 32), torch.linspace(0.6, 1, 16 * 32).view(16, 32)])
    guide, _ = guiding(source(), target)
    dark, near, far = torch.tensor([0, 64 * 8, 64 * 40])
    asked = guide.at(torch.tensor([0]))
    exact, close, distant = (float(asked.price(place[None])) for place in (dark, near, far))
    assert exact == pytest.approx(0, abs=1e-5)
    assert close < 0.02 < 0.2**2 < distant and distant > (float(source()[40, 0])) ** 2


def test_nothing_changes_where_the_exemplar_has_what_is_asked_for() -> None:
    values = source()
    guide, _ = guiding(values, values[::2, ::2])
    assert guide.use is None
    assert torch.equal(guide.table[:, 0], values.flatten()) and (guide.strength == 1).all()


def test_use_under_guides_is_balanced_towards_what_they_ask_for() -> None:
    """An output that uses only one of two places of the same scarce value makes that place dearer than the other."""
    values = source()
    values[40:44, 40:44] = 0
    guide, task = guiding(values, torch.zeros(32, 32))
    atlas = build_atlas(task, ("none",), 0)
    assert guide.use is not None and float(guide.use[0]) > 10 * float(guide.use[-1])
    psi = balance(torch.zeros(atlas.homes), atlas, torch.zeros(32, 32).long(), guide.use, *palette(atlas))
    assert float(psi[0]) > 0.5 and float(psi[64 * 42 + 42]) < 0


def test_order_is_kept() -> None:
    values = torch.linspace(0, 1, 500)
    shares = scarcity.compare(torch.rand(1000, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 8))
    wide, goal, weight = scarcity.widen(values, torch.tensor([[0.0, 1.0]]), shares)
    assert (wide.diff() > 0).all() and goal.flatten().tolist() == pytest.approx([0, 1]) and (weight >= 1).all()
