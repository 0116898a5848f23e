"""Maps drawn by a formula: their range, their direction, and that they repeat without a seam where asked."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from texsynth.errors import UsageError
from texsynth.guidance import orientation, procedural

BOTH, NEITHER = (True, True), (False, False)
Draw = Callable[[tuple[int, int], tuple[bool, bool]], Tensor]

DRAWN: dict[str, Draw] = {
    "perlin": lambda size, tile: procedural.perlin(size, 12, octaves=2, seed=1, tile=tile),
    "perlin, wide": lambda size, tile: procedural.perlin(size, 500, octaves=1, tile=tile),
    "radial": lambda size, tile: procedural.radial(size, (0.3, 0.8), tile),
    "stripes": lambda size, tile: procedural.stripes(size, 9, 25, tile=tile),
    "stripes, wide": lambda size, tile: procedural.stripes(size, 500, 80, tile=tile),
    "linear": lambda size, tile: (
        procedural.linear(size, 200) if tile == NEITHER else procedural.radial(size, tile=tile)
    ),
}


@pytest.mark.parametrize("tile", [NEITHER, (True, False), (False, True), BOTH])
@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_maps_use_the_full_range(draw: Draw, tile: tuple[bool, bool]) -> None:
    drawn = draw((24, 33), tile)
    assert drawn.shape == (1, 1, 24, 33) and (float(drawn.min()), float(drawn.max())) == (0, 1)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_the_step_across_a_tiling_border_is_one_among_others(draw: Draw, axis: int) -> None:
    drawn = draw((40, 48), (axis == 0, axis == 1))[0, 0].movedim(axis, 0)
    steps = drawn.diff(dim=0).abs()
    across = (drawn[0] - drawn[-1]).abs()
    assert float(across.max()) <= 1.01 * float(steps.max())


def test_a_tiling_map_goes_on_as_it_begins() -> None:
    """A map of twice the size and the same number of stripes or bumps per pixel is the map twice."""
    one, two = (procedural.stripes((n, n), 8, 30, tile=BOTH) for n in (32, 64))
    assert torch.allclose(one.roll((0, 0), (2, 3)), one) and two.shape == (1, 1, 64, 64)
    wave = torch.fft.rfft2(one[0, 0] - one.mean()).abs().flatten()
    assert float(wave.max() / wave.sum()) > 0.99


def test_perlin_depends_on_the_seed_alone() -> None:
    maps = [procedural.perlin((16, 16), 8, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1]) and not torch.allclose(maps[0], maps[2])


def test_a_longer_period_and_fewer_octaves_are_smoother() -> None:
    def rough(period: float, octaves: int) -> float:
        return float(procedural.perlin((48, 48), period, octaves).diff(dim=3).abs().mean())

    assert rough(24, 1) < rough(6, 1) and rough(24, 1) < rough(24, 5)


def test_radial_falls_with_distance_from_its_centre() -> None:
    drawn = procedural.radial((21, 41), (0.25, 0.5))[0, 0]
    assert divmod(int(drawn.argmax()), 41) == (10, 10)
    assert float(drawn[10, 40]) < float(drawn[10, 30]) < float(drawn[10, 20])
    assert float(drawn[10, 15]) == pytest.approx(float(drawn[15, 10]), abs=0.02)


def test_linear_rises_along_its_angle() -> None:
    assert bool((procedural.linear((5, 9), 0).diff(dim=3) > 0).all())
    assert bool((procedural.linear((5, 9), 90).diff(dim=2) > 0).all())
    assert torch.allclose(procedural.linear((5, 9), 180), 1 - procedural.linear((5, 9), 0), atol=1e-5)


@pytest.mark.parametrize("angle", [0, 30, 90, 160])
def test_stripes_run_along_their_angle(angle: float) -> None:
    found, _ = orientation.structure(procedural.stripes((48, 48), 8, angle).expand(1, 3, 48, 48))
    wanted = orientation.built_in(f"angle:{angle}", (48, 48))
    assert wanted is not None and orientation.angle_error(found, wanted) < 1


def test_hard_stripes_are_nearly_black_and_white() -> None:
    hard, gentle = (procedural.stripes((32, 32), 16, 90, soft) for soft in (0.0, 1.0))

    def extreme(values: Tensor) -> float:
        return float(((values < 0.05) | (values > 0.95)).float().mean())

    assert extreme(hard) > 0.8 > 0.4 > extreme(gentle)
    assert hard[0, 0, 0].sub(0.5).sign().diff().count_nonzero() == 3  # two periods


@pytest.mark.parametrize("bad", [0, 1.9, -3, math.nan, math.inf])
def test_periods_are_at_least_two_pixels(bad: float) -> None:
    for draw in (procedural.perlin, procedural.stripes):
        with pytest.raises(UsageError, match="--period"):
            draw((8, 8), bad)


def test_numbers_are_finite() -> None:
    with pytest.raises(UsageError, match="--angle"):
        procedural.linear((8, 8), math.nan)
    with pytest.raises(UsageError, match="--soft"):
        procedural.stripes((8, 8), 4, soft=math.nan)
    with pytest.raises(UsageError, match="--seed"):
        procedural.perlin((8, 8), 4, seed=2**63)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "noise", None)
    with pytest.raises(UsageError, match=r'pip install "texsynth\[samples\]"'):
        procedural.perlin((8, 8), 4)
