"""The native core gives the same bytes as the tensor operations, and is not missed where it is not built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import Texsynth, array
from fields import atlas_of, scattered
from pictures import generator, noise, spots
from texsynth import native
from texsynth.cli import doctor, main
from texsynth.field.align import align
from texsynth.field.atlas import Atlas, Field
from texsynth.field.guide import Guiding, Prices
from texsynth.field.quilting import path
from texsynth.field.space import Space, describe, find_basis, look_alikes
from texsynth.field.sweep import near_seams, sweep
from texsynth.image import picture as image
from texsynth.native.sums import in_lanes, in_turn

built = pytest.mark.skipif(native.core() is None, reason=f"the native core is {native.describe()}")
TILES = [(False, False), (True, False), (False, True), (True, True)]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[Any]]:
    """What a function gives with the native core in one thread and in three, and without it."""

    def run(function: Callable[[], Any]) -> list[Any]:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(function())
        torch.set_num_threads(1)
        with monkeypatch.context() as patch:
            patch.setattr(native, "core", lambda: None)
            return [*results, function()]

    return run


def same(fields: list[Field]) -> bool:
    return all(torch.equal(fields[0].index, f.index) and torch.equal(fields[0].cost, f.cost) for f in fields[1:])


def errors(kind: str, shape: tuple[int, ...], wall: float) -> Tensor:
    """Errors of a kind that is hard to tell apart, or at the limits of what there is."""
    values = noise(*shape, seed=3)
    if kind == "ties":
        return (values * 3).floor()
    if kind == "walls":
        return torch.where(values < 0.5, wall, values)
    return values - 0.1 if kind == "below nothing" else values


@built
@pytest.mark.parametrize("kind", ["any", "ties", "walls", "below nothing"])
@pytest.mark.parametrize("slope", [0.0, 0.7])
def test_paths(kind: str, slope: float, both: Callable[..., list[Any]]) -> None:
    for shape in ((70, 24, 9), (200, 7, 16), (3, 1, 5), (5, 6, 1), (1, 1, 1), (0, 4, 4), (4, 9, 2)):
        one, *others = both(lambda shape=shape: path(errors(kind, shape, 1e30 if slope else torch.inf), slope))
        for other in others:
            assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]), shape


def test_a_path_of_nothing_is_refused_by_both(both: Callable[..., list[Any]]) -> None:
    def refused() -> bool:
        with pytest.raises((ValueError, IndexError, RuntimeError)):
            path(torch.zeros(2, 3, 0))
        return True

    assert all(both(refused))


def space_of(atlas: Atlas, components: int, ties: bool = False) -> Space:
    """A space whose descriptors are such that candidates often cost the same."""
    basis = find_basis(atlas, 5, components, generator())
    table = describe(atlas, basis, atlas.valid)
    table = (table * 2).round() if ties else table
    return Space(atlas, basis, table, atlas.valid, look_alikes(atlas, table, atlas.valid, 3, generator()))


@built
@pytest.mark.parametrize(("components", "ties"), [(24, False), (5, False), (11, True)])
@pytest.mark.parametrize("tile", TILES)
def test_passes(components: int, ties: bool, tile: tuple[bool, bool], both: Callable[..., list[Any]]) -> None:
    """On pieces and on single pixels; some pixels may not be copied."""
    valid = noise(1, 1, 24, 30, seed=2) > 0.03
    atlas = atlas_of(spots(24, 30), spots(24, 30, 5), valid=valid)
    space = space_of(atlas, components, ties)
    price = torch.where(atlas.valid, (noise(len(atlas.valid)) * 4).round() / 8 - 0.2, torch.inf)
    field = scattered(atlas, (40, 33), tile=tile)
    for _ in range(2):
        results = both(lambda field=field: sweep(field, space, Prices(price, 1.5)))
        assert same(results) and not torch.equal(results[0].index, field.index)
        field = results[0]


@built
@pytest.mark.parametrize("goals", [1, 9])
def test_passes_along_guides_and_beside_what_is_fixed(goals: int, both: Callable[..., list[Any]]) -> None:
    atlas = atlas_of(spots(24, 30))
    space, n = space_of(atlas, 24), len(atlas.valid)
    values = (noise(n, goals, seed=1) * 3).round()
    strength = noise(40, 33, 1, seed=6).expand(-1, -1, goals)
    guiding = Guiding(values, noise(40, 33, goals, seed=4), strength)
    prices = Prices(torch.where(atlas.valid, 0.0, torch.inf), 2.0, guiding)
    fixed = noise(40, 33, seed=9) < 0.2
    for still in (None, fixed):
        results = both(lambda still=still: sweep(scattered(atlas, (40, 33)), space, prices, generator(), still))
        assert same(results)


@built
@pytest.mark.parametrize("size", [(30, 41), (1, 17), (9, 1)])
@pytest.mark.parametrize("tile", TILES)
def test_what_lies_near_seams(size: tuple[int, int], tile: tuple[bool, bool], both: Callable[..., list[Any]]) -> None:
    """Of a field with a few seams, of one of nothing but seams, and of one with none."""
    atlas = atlas_of(spots(44, 48), valid=noise(1, 1, 44, 48) > 0.001)
    whole = scattered(atlas, size, tile=tile)
    rows, columns = (torch.arange(n) for n in size)
    index = atlas.join(torch.tensor(0), rows[:, None] % 31, columns.expand(*size))
    for field in (whole, replace(whole, index=index), replace(whole, index=index % 7 + index)):
        for radius in (1, 5):
            one, *others = both(lambda field=field, radius=radius: near_seams(field, radius))
            assert all(torch.equal(one, other) for other in others)


@built
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("levels", [1000, 2])
def test_sliding(tile: tuple[bool, bool], levels: int, both: Callable[..., list[Any]]) -> None:
    """Of pieces of many sizes, also where many shifts cost the same."""
    atlas = atlas_of((spots(30, 30) * levels).round() / levels)
    coarse = scattered(atlas, (9, 8), tile=tile).index
    rows, columns = torch.arange(36), torch.arange(32)
    plane, y, x = atlas.split(coarse.repeat_interleave(4, 0).repeat_interleave(4, 1))
    index = atlas.join(plane, y + rows[:, None] % 4, x + columns % 4)
    field = replace(scattered(atlas, (36, 32), tile=tile), index=index)
    results = both(lambda: align(field, 3, generator()))
    assert same(results) and not torch.equal(results[0].index, index)


def test_sums_are_those_of_any_order_but_for_rounding() -> None:
    for count in (1, 3, 8, 11, 24, 75):
        values = noise(6, count)
        assert torch.allclose(in_lanes(values), values.sum(1)) and torch.allclose(in_turn(values), values.sum(1))
    assert in_lanes(torch.zeros(0, 24)).shape == (0,)


@built
def test_a_whole_picture(texsynth: Texsynth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image.write(tmp_path / "a.png", image.Picture(spots(48, 40)))
    names = []
    for name in ("with", "without"):
        names.append(str(tmp_path / f"{name}.png"))
        assert texsynth("synthesize", "a.png", "-o", names[-1], "-s", "96x80", "--tile", "x").code == 0
        monkeypatch.setattr(native, "core", lambda: None)
    assert (array(names[0]) == array(names[1])).all()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And everything works without it; the doctor says so."""
    monkeypatch.setenv(native.SWITCH, "0")
    native.loaded.cache_clear()
    try:
        assert native.kernel("path", torch.zeros(1, 1, 1)) is None
        monkeypatch.setattr(doctor, "trial", lambda: None)
        assert main(["doctor"]) == 0
        assert "native core  switched off by TEXSYNTH_NATIVE=0" in capsys.readouterr().out
    finally:
        native.loaded.cache_clear()


@built
def test_it_takes_only_what_it_can_read() -> None:
    plain = torch.zeros(2, 3, 4)
    assert native.kernel("path", plain) is not None
    for other in (plain.double(), plain.transpose(0, 1), plain.to("meta"), plain.clone().requires_grad_()):
        assert native.kernel("path", other) is None
