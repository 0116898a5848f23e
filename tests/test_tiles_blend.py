"""Histogram-preserving blending: its files give the texture's own colours, in step where it has a lattice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from asking import good
from conftest import Draw, Picture, Refused, Texsynth, array
from pictures import bumps, bytes_of, spots
from texsynth.cli import main
from texsynth.image import picture as image
from texsynth.tiles import blendset, gaussian, steps
from texsynth.tiles.blending import ANY_PIXEL, TABLE_WIDTH, Gaussian, Grid, Slopes, bake, offsets_of, reduced, slopes_of
from texsynth.tiles.gaussian import SIGMA
from texsynth.tiles.periodic import SEAMLESS
from texsynth.tiles.suitability import Suitability

BLEND = ("tiles", "blend", "a.png", "-o", "made", "-q")
SIDE = 96
UNIFORMS = ("blend_size", "blend_seed", "blend_grid", "blend_sharpness", "blend_cells", "blend_steps")


def stored() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path("made/a_blend.json").read_text())
    return content


def pixels(name: str) -> Tensor:
    return image.read(Path("made") / name).pixels


def grid_of(content: dict[str, Any]) -> Grid:
    """What a shader has of the JSON."""
    (width, height), *rest = (content[name] for name in UNIFORMS)
    seed, side, sharpness, cells, by = rest
    return Grid((height, width), seed, side, sharpness, cells, tuple(by))


def layer_of(entry: dict[str, Any]) -> Gaussian:
    """What a shader has of a map, its files read back."""
    names = ("blend_common", "blend_origin", "blend_axes")
    common, origin, columns = (torch.tensor(entry[name]).float() for name in names)
    channels = common.numel()
    table = pixels(entry["table"])[0]
    assert table.shape == (channels, entry["blend_levels"], TABLE_WIDTH)
    return Gaussian(
        pixels(entry["gaussian"]), table, common.reshape(-1), origin.reshape(-1), columns.reshape(channels, -1).T
    )


def tinted() -> np.ndarray:
    """A texture the bright part of which is small and which does not wrap."""
    light, tints = spots(SIDE, SIDE)[:, :1] ** 3, torch.tensor([0.8, 0.6, 0.5])[:, None, None]
    return bytes_of(light * tints + 0.05 * spots(SIDE, SIDE, seed=1) + 0.1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a.png, tinted, and what blending it wrote; tests only read there."""
    folder = tmp_path_factory.mktemp("blend")
    image.write(folder / "a.png", image.from_array(tinted()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(list(BLEND)) == 0
    return folder


@pytest.fixture
def texture(made: Path, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The pixels of a.png, in whose folder the test is."""
    monkeypatch.chdir(made)
    return image.read("a.png").pixels


def test_a_blended_plane_has_the_distribution_of_its_texture(
    texsynth: Texsynth, texture: Tensor, tmp_path: Path
) -> None:
    """Mean and variance within 2 %, and the histogram within 3 % of the deviation, of files that are read back; its
    start is the preview, and nothing in it repeats as the texture would."""
    content = stored()
    plane = bake(grid_of(content), layer_of(content["image"]), (6 * SIDE, 6 * SIDE))
    preview = pixels("a_blend_preview.png")
    assert preview.shape[2:] == (4 * SIDE, 4 * SIDE)
    assert float((plane[:, :, : 4 * SIDE, : 4 * SIDE].clamp(0, 1) - preview).abs().max()) < 0.6 / 255
    rounded = (plane.clamp(0, 1) * 255).round() / 255
    for wanted, there in zip(texture[0], rounded[0], strict=True):
        assert abs(float(there.mean() / wanted.mean()) - 1) < 0.02
        assert abs(float(there.var() / wanted.var()) - 1) < 0.02
        ranks = torch.linspace(0, 1, 200)
        off = (there.flatten()[::4].quantile(ranks) - wanted.quantile(ranks)).abs().mean()
        assert float(off / wanted.std()) < 0.03
    centred = plane[0, 0] - plane[0, 0].mean()
    assert float((centred * centred.roll(SIDE, 1)).mean() / centred.var()) < 0.25
    good(texsynth(*BLEND[:-2], tmp_path, "--seed", 1, "-q"))
    assert (array(f"{tmp_path}/a_blend.png") == array("made/a_blend.png")).all()
    assert (array(f"{tmp_path}/a_blend_preview.png") != array("made/a_blend_preview.png")).mean() > 0.5


def test_mip_levels_have_the_mean_of_the_texture(texture: Tensor) -> None:
    """Rows of the table know what variance a level has lost; the first row would make the plane another colour."""
    content = stored()
    grid, layer = grid_of(content), layer_of(content["image"])
    mean = texture.mean((0, 2, 3))
    for level in (2, 3):
        side = 8 * SIDE >> level
        plane = bake(grid, layer, (side, side), level)
        assert float((plane.mean((0, 2, 3)) - mean).abs().max()) < 1 / 255
        coarse = Gaussian(reduced(layer.texture, level), layer.table, layer.common, layer.origin, layer.axes)
        unfiltered = bake(Grid((SIDE >> level,) * 2, 0, 8.0), coarse, (side, side))
        assert float((unfiltered.mean((0, 2, 3)) - mean).abs().min()) > 2 / 255


def test_the_texture_wraps_and_most_of_it_stays(texture: Tensor) -> None:
    """The borders fade into the middle; where they do not, colours nearly stay."""
    once = pixels("a_blend.png")
    for dim in (2, 3):
        across = (once.narrow(dim, 0, 1) - once.narrow(dim, SIDE - 1, 1)).abs().mean()
        before = (texture.narrow(dim, 0, 1) - texture.narrow(dim, SIDE - 1, 1)).abs().mean()
        inside = once.diff(dim=dim).abs().mean()
        assert across < SEAMLESS * inside < before
    middle = (slice(None), slice(None), slice(SIDE // 4, -SIDE // 4), slice(SIDE // 4, -SIDE // 4))
    assert float((once[middle] - texture[middle]).abs().mean()) < 5 / 255


def bricks() -> np.ndarray:
    """Bricks of 24 x 12 pixels in a running bond, each of a shade of its own, and light mortar; (80, 104, 3)."""
    y, x = np.mgrid[:80, :104]
    row, across = y // 12, x + y // 12 % 2 * 12
    shade = np.random.default_rng(0).integers(60, 130, (8, 6))[row, across // 24]
    mortar = (y % 12 < 3) | (across % 24 < 3)
    return np.where(mortar, 220, shade)[..., None].repeat(3, 2).astype(np.uint8)


def test_bricks_stay_in_their_rows(texsynth: Texsynth, draw: Draw) -> None:
    """Offsets are steps of the lattice of what whole steps leave of the texture, and mortar lines run through."""
    draw("a.png", bricks())
    ran = texsynth(*BLEND[:-1])
    assert ran.code == 0
    assert "offsets are steps of its lattice" in ran.err
    content = stored()
    assert content["blend_size"] == [96, 72]
    assert 1 < content["blend_cells"] < ANY_PIXEL
    plane = bake(grid_of(content), layer_of(content["image"]), (288, 384))[0, 0]
    lines = plane.reshape(-1, 12, 384)[:, 1]  # the middle of each line of mortar
    assert float(lines.min()) > 0.7
    assert float(plane.reshape(-1, 12, 384)[:, 7].mean()) < 0.5
    wall = image.read("a.png")
    free = blendset.prepared(wall.pixels, wall, {}, 0, steps.OFF)
    assert (free.grid.size, free.grid.cells) == ((80, 104), ANY_PIXEL)
    assert float(bake(free.grid, free.image, (288, 384))[0, 0].reshape(-1, 12, 384)[:, 1].min()) < 0.4


def test_a_regular_texture_whose_lattice_is_left_out_does_not_fit(texsynth: Texsynth, draw: Draw) -> None:
    """Whatever the error of its windows, which are smaller than a brick; and grains are none the worse for it."""
    draw("a.png", bricks())
    ran = texsynth(*BLEND, "--lattice", "off")
    assert ran.code == 0
    suited = stored()["suitability"]
    assert not suited["fits"] and suited["sentence"].startswith("does not fit")
    assert steps.is_regular(image.read("a.png").pixels) and not steps.is_regular(spots(SIDE, SIDE))
    low = Suitability(0.9, cut=True)
    assert not low.fits and low.sentence.startswith("does not fit: free offsets cut the rows of a regular texture")


def test_a_lattice_that_is_asked_for_and_not_there_is_refused(refused: Refused, draw: Draw) -> None:
    draw("a.png", bytes_of(spots(SIDE, SIDE)))
    for words in ((), ("--dry-run",), ("-s", "64")):
        said = refused(3, *BLEND, "--lattice", "on", *words)
        assert "a.png: --lattice on: it" in said and "; --lattice auto or off draws it with free offsets" in said
    assert not Path("made").exists()


def test_steps_of_a_lattice_are_whole_numbers() -> None:
    """All offsets lie on the lattice of staggered rows, to a pixel, and every brick is among them."""
    wall = torch.tensor(bricks()).permute(2, 0, 1)[None] / 255
    lattice = steps.measured(wall)
    assert not isinstance(lattice, str)
    grid = Grid(lattice.size, 0, 20.0, cells=lattice.cells, steps=lattice.steps)
    numbers = torch.arange(lattice.cells)
    x, y = offsets_of(grid, *torch.cartesian_prod(numbers, numbers).T)
    assert len(set(zip(x.tolist(), y.tolist(), strict=True))) == lattice.cells == 4 * 6
    row = ((y + 6) // 12) % 2
    off = torch.stack([(x + 12 * row) % 24, y % 12])
    assert int(torch.minimum(off, torch.tensor([[24], [12]]) - off).max()) <= 1
    assert 65535 * (ANY_PIXEL - 1) + ANY_PIXEL // 2 < 2**31  # in shaders without unsigned numbers


def test_normals_are_blended_by_their_slopes(texsynth: Texsynth, draw: Draw) -> None:
    """They wrap, keep their slopes' mean and variance, and turn with --normals-out; a grey map has one channel."""
    draw("a.png", tinted())
    vectors = bumps(SIDE, SIDE, steepness=0.6)
    draw("n.png", bytes_of((vectors + 1) / 2))
    draw("h.png", bytes_of(spots(SIDE, SIDE)[:, :1])[..., 0])
    normal = ("--map", "normal=n.png")
    good(texsynth(*BLEND, *normal, "--map", "height=h.png"))
    content = stored()
    entry = content["maps"]["normal"]
    layer = Slopes(pixels(entry["normal"]), torch.tensor(entry["blend_slopes"]), torch.tensor(entry["blend_common"]))
    plane = bake(grid_of(content), layer, (4 * SIDE, 4 * SIDE))
    lengths = (2 * plane - 1).norm(dim=1)
    assert float((lengths - 1).abs().max()) < 1e-4
    slopes = slopes_of(image.read("n.png").pixels)
    assert torch.allclose(slopes_of(plane).var((0, 2, 3)), slopes.var((0, 2, 3)), rtol=0.1)
    assert float(slopes.mean((0, 2, 3)).sub(layer.mean).abs().max()) < 1e-5
    height = layer_of(content["maps"]["height"])
    assert bake(grid_of(content), height, (16, 24)).shape == (1, 1, 16, 24)
    good(texsynth(*BLEND, *normal, "--normals-out", "dx", "--force"))
    turned = stored()["maps"]["normal"]["blend_slopes"]
    assert turned == pytest.approx([entry["blend_slopes"][0], -entry["blend_slopes"][1]])


def test_masks_stay_masks() -> None:
    """Of equal values those near to others come nearer to them, so that a blend of black and white is black and white,
    in their shares."""
    mask = (spots(SIDE, SIDE)[:, :1] > 0.6).float()
    deviations, quantiles = gaussian.ranked(mask[0, 0])
    assert abs(float(deviations.std()) - 1) < 1e-2
    jumps = deviations.diff(dim=0).abs()[mask[0, 0].diff(dim=0) == 0]
    assert float(jumps.mean()) < 0.35  # noise would have 1.1
    table = gaussian.table(quantiles, [0.0, 0.5])
    layer = Gaussian(
        (0.5 + SIGMA * deviations)[None, None], table[None], *(torch.tensor([n]) for n in (0.0, 0.0)), torch.eye(1)
    )
    plane = bake(Grid((SIDE, SIDE), 0, 30.0), layer, (4 * SIDE, 4 * SIDE))
    assert float(((plane > 0.02) & (plane < 0.98)).float().mean()) < 0.03
    assert abs(float(plane.mean() - mask.mean())) < 0.03


WRONG = {
    ("-p", "steady"): "--preset: the exemplar itself is the texture; -s N makes one of it, or leave it out",
    ("--pack", "orm"): "no such option: --pack",
    ("--names", "unity"): "no such option: --names",
    ("--mtlx",): "no such option: --mtlx",
    ("--model", "m.safetensors"): "no such option: --model",
    ("--lattice", "some"): "some",
}


@pytest.mark.usefixtures("exemplar")
@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_would_do_nothing_is_refused(refused: Refused, words: tuple[str, ...]) -> None:
    assert WRONG[words] in refused(2, *BLEND, *words)
    assert not Path("made").exists()


def test_values_above_one_are_clipped_with_a_notice(texsynth: Texsynth) -> None:
    Path("sky.pfm").write_bytes(b"PF\n16 16\n-1.0\n" + np.linspace(0, 3, 768, dtype="<f4").tobytes())
    ran = texsynth("tiles", "blend", "sky.pfm", "--dry-run")
    assert ran.code == 0
    assert ran.err == "texsynth: sky.pfm: values above 1 are clipped; scale them to 0 to 1 first to keep them\n"


def test_transparent_textures_are_refused(refused: Refused, picture: Picture, draw: Draw) -> None:
    """All of an exemplar is the texture: no part may be missing. Labels have nothing between them."""
    values = picture("b.png", channels=4)
    values[:8, :, 3], values[8:, :, 3] = 0, 255
    draw("a.png", values)
    assert "is transparent in parts, and all of it is the texture; -s N makes one without" in refused(3, *BLEND)
    assert "blending keeps no alpha" in refused(3, *BLEND, "--alpha", "keep")
