"""The jobs of inpaint and barycenter, and both as Python functions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import texsynth
from asking import asked, job_of
from conftest import Texsynth
from pictures import box, bumps, noise
from texsynth import preset
from texsynth.errors import InputError, UsageError
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.picture import Picture
from texsynth.job import Job
from texsynth.requests.option import check
from texsynth.verbs import barycenter, inpaint, parse

H, W = 18, 26
BOXES = ((3, 9, 4, 11), (0, 5, 20, 26), (17, 18, 0, 1))


def marked(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    return box(H, W, *boxes).astype(np.uint8) * 255


def job(**asked: Any) -> Job:
    picture = asked.pop("picture", Picture(noise(1, 3, H, W)))
    return job_of("inpaint", picture, **asked)


def hole(**asked: Any) -> np.ndarray:
    made = job(**asked).task.hole
    assert made is not None
    return made[0, 0].numpy()


@pytest.mark.parametrize("boxes", [boxes for n in (1, 2, 3) for boxes in itertools.combinations(BOXES, n)])
def test_the_hole_is_the_white_of_the_mask(boxes: tuple[tuple[int, int, int, int], ...]) -> None:
    mask = marked(*boxes)
    assert (hole(mask=mask) == (mask > 0)).all()
    assert (hole(mask=mask, mask_invert=True) == (mask == 0)).all()


def test_holes_of_all_kinds_unite() -> None:
    mask, extend = marked(*BOXES), (2, 3, 0, 1)
    band = hole(make_tileable="xy", band=6, extend=extend)
    grown = hole(mask=mask, extend=extend)
    assert (hole(mask=mask, make_tileable="xy", band=6, extend=extend) == (band | grown)).all()
    left, top, right, bottom = extend
    assert (grown[top : top + H, left : left + W] == (mask > 0)).all()
    assert grown.sum() == (mask > 0).sum() + (H + top + bottom) * (W + left + right) - H * W


@pytest.mark.parametrize("axes", ["x", "y", "xy"])
@pytest.mark.parametrize("band", [4, 5, 9])
def test_a_band_is_as_wide_across_the_seam_as_asked_for(axes: str, band: int) -> None:
    """Rolled by half, it is one strip (or cross) in the middle."""
    rolled = np.roll(hole(make_tileable=axes, band=band), (H // 2, W // 2), (0, 1))
    rows, columns = rolled.all(1), rolled.all(0)
    assert (rows.sum(), columns.sum()) == (band if "y" in axes else 0, band if "x" in axes else 0)
    assert (rolled == (rows[:, None] | columns)).all()
    for line in (rows, columns):
        assert np.abs(np.diff(line.astype(int))).sum() in (0, 2)


@pytest.mark.parametrize("size", [(8, 8), (8, 4000), (100, 70), (1024, 1024), (33, 47)])
def test_the_default_band_always_fits(size: tuple[int, int]) -> None:
    band = inpaint.default_band(size)
    assert band % 2 == 0
    assert inpaint.THINNEST_BAND <= band <= min(size) // 2


@pytest.mark.parametrize("tile", ["none", "x", "y", "xy"])
@pytest.mark.parametrize("axes", ["x", "y", "xy"])
def test_what_is_made_tileable_wraps_as_well_as_what_tiles(tile: str, axes: str) -> None:
    made = job(make_tileable=axes, tile=tile)
    assert made.task.tile == tuple(a or b for a, b in zip(parse.TILES[tile], parse.TILES[axes], strict=True))
    assert made.values["tile"] == tile


def test_only_opaque_known_pixels_within_the_source_mask_are_copied() -> None:
    mask, source = marked(*BOXES), marked((0, 12, 0, 20))
    alpha = torch.ones(1, 1, H, W)
    alpha[..., 10:, :] = 0.99
    made = job(picture=Picture(noise(1, 3, H, W), alpha), mask=mask, source_mask=(source,))
    valid = made.task.exemplars[0].valid
    assert valid is not None
    assert (valid[0, 0].numpy() == ((mask == 0) & (source > 0) & (alpha[0, 0].numpy() == 1))).all()


def test_with_others_the_picture_itself_is_no_source() -> None:
    others = (Picture(noise(1, 3, 9, 12, seed=1)), Picture(noise(1, 3, 30, 11, seed=2)))
    made = job(mask=marked(*BOXES), others=others)
    first, *rest = made.task.exemplars
    assert first.valid is not None and not first.valid.any()
    assert [e.size for e in rest] == [(9, 12), (30, 11)]
    assert all(e.valid is not None and e.valid.all() for e in rest)
    assert [e.role for e in made.inputs] == ["exemplar", "source", "source", "mask"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("top", [1, 40])
def test_the_solver_sees_known_pixels_and_a_guess_elsewhere(channels: int, top: int) -> None:
    """What hides in the hole, a colour of damage, reaches neither; the pictures that are copied stay as they were."""
    depth = "float32" if top > 1 else "uint8"
    before = Picture(noise(1, channels, H, W) * top, depth=depth)
    mask = marked(*BOXES)
    damaged = Picture(torch.where(torch.from_numpy(mask > 0), 0.0, before.pixels), depth=depth)
    seen = [job(picture=p, mask=mask).task.exemplars[0].image for p in (before, damaged)]
    known = torch.from_numpy(mask == 0).expand_as(seen[0])
    shown = inputs.matching((damaged,))[0]
    assert torch.equal(seen[1][known], shown[known])
    assert float(seen[1].min()) >= float(shown[known].min())
    assert float(seen[1].max()) <= float(shown[known].max())
    if top == 1:  # floats are scaled by their highest value, which may lie in the hole
        assert torch.allclose(seen[0], seen[1])
    assert torch.equal(job(picture=before, mask=mask).image.pictures[0].pixels, before.pixels)


def test_an_empty_hole_asks_for_no_source() -> None:
    clear = Picture(noise(1, 3, H, W), torch.full((1, 1, H, W), 0.5))
    made = job(picture=clear, mask=marked())
    assert made.task.hole is not None and not made.task.hole.any()
    assert made.task.exemplars[0].valid is None
    assert "comes back as it is" in made.notices[0]


def test_extended_layers_keep_what_they_held() -> None:
    height = Picture(noise(1, 1, H, W, seed=3) * 9 - 4, depth="float32")
    normal = Picture((bumps(H, W) + 1) / 2, depth="uint16")
    picture = Picture(noise(1, 3, H, W), torch.ones(1, 1, H, W), "uint16")
    made = job(picture=picture, extend="1,2,3,4", maps={"h": (height,), "normal": (normal,)})
    inside = np.s_[..., 2 : 2 + H, 1 : 1 + W]
    for layer, before in ((made.image, picture), (made.maps["h"], height), (made.maps["normal"], normal)):
        after = layer.pictures[0]
        assert after.pixels.shape[2:] == (H + 6, W + 4) == made.task.size
        assert torch.equal(after.pixels[inside], before.pixels)
        assert after.depth == before.depth
    assert (made.maps["normal"].role, made.maps["h"].role) == ("normal", "data")


def blend(**asked: Any) -> torch.Tensor:
    pictures = [Picture(noise(1, 3, 9 + n, 12, seed=n)) for n in range(asked.pop("count", 2))]
    made = job_of("barycenter", *pictures, **asked).task
    assert made.blend is not None
    assert made.blend.shape == (1, len(pictures), *made.size)
    return made.blend


MAPS = tuple(Picture(noise(1, 1, 8, 8, seed=n) - 0.3, depth="float32") for n in range(3))  # with values below 0


ASKED = ({}, {"count": 5}, {"blend": (0.3, 0.9)}, {"blend": "7,0,1e-9", "count": 3}, {"blend_map": MAPS[:1]})


@pytest.mark.parametrize("asked", [*ASKED, {"blend_map": MAPS, "count": 3}, {"steps": 7}])
def test_shares_are_from_0_up_and_add_up_to_1_at_every_pixel(asked: dict[str, Any]) -> None:
    shares = blend(**asked)
    assert float(shares.min()) >= 0
    assert torch.allclose(shares.sum(1), torch.ones(()), atol=1e-5)


def test_modes_share_their_task() -> None:
    assert torch.equal(blend(blend=(1, 3), mode="mosaic"), blend(blend=(1, 3), mode="transport"))


@pytest.mark.parametrize(("mode", "name"), preset.BARYCENTER.items())
def test_the_default_preset_of_a_mode_fits_it(mode: str, name: str) -> None:
    barycenter.check_preset(asked("barycenter", mode=mode), preset.load(name))
    with pytest.raises(UsageError, match="--mode 'x' is not one of"):
        check(asked("barycenter", mode="x"))


@pytest.fixture
def command(mixing: None, texsynth: Texsynth) -> Texsynth:  # noqa: ARG001 (for its presets)
    """The command line, with a quick default preset of barycenter."""
    return texsynth


def test_inpaint_in_python_is_the_command(command: Texsynth) -> None:
    before = image.to_array(Picture(noise(1, 3, H, W)))
    image.write("a.png", image.from_array(before))
    image.write("m.png", image.from_array(marked(*BOXES)))
    flags = ("--mask-invert", "--make-tileable", "x", "--band", 6, "--extend", "1,0,0,2", "--exact-copies", "--seed", 3)
    assert command("inpaint", "a.png", "--mask", "m.png", *flags, "-o", "o.png", "-p", "steady", "-q").code == 0
    words: dict[str, Any] = {"make_tileable": "x", "band": 6, "extend": (1, 0, 0, 2), "exact_copies": True, "seed": 3}
    made = texsynth.inpaint(before, marked(*BOXES), mask_invert=True, preset="steady", **words)
    assert (image.to_array(made.image) == image.to_array(image.read("o.png"))).all()
    assert made.record["inpaint"] == (image.read_metadata("o.png") or {})["inpaint"]


def test_barycenter_in_python_is_the_command(command: Texsynth) -> None:
    pictures = [image.to_array(Picture(noise(1, 3, 9 + n, 12, seed=n))) for n in range(2)]
    for name, values_ in zip("ab", pictures, strict=True):
        image.write(f"{name}.png", image.from_array(values_))
    assert command("barycenter", "a.png", "b.png", "--blend", "1,2", "-s", 10, "-o", "o.png", "-q").code == 0
    made = texsynth.barycenter(pictures, 10, blend=[1, 2])
    assert (image.to_array(made.image) == image.to_array(image.read("o.png"))).all()
    strip = texsynth.barycenter(pictures, steps=3)
    assert image.to_array(strip.image).shape == (9, 36, 3)
    with pytest.raises(UsageError, match="does not end by copying"):
        texsynth.barycenter(pictures, mode="mosaic", preset="mixture")
    with pytest.raises(UsageError, match="exclude each other"):
        texsynth.barycenter(pictures, blend_map=marked(), steps=3)


def test_the_functions_refuse_what_the_commands_refuse() -> None:
    picture = image.to_array(Picture(noise(1, 3, H, W)))
    with pytest.raises(UsageError, match="--flatten"):
        texsynth.inpaint(picture, marked(*BOXES), flatten=True)
    with pytest.raises(InputError, match="nothing known is left"):
        texsynth.inpaint(picture, np.full((H, W), 255, np.uint8))
    with pytest.raises(TypeError, match="'sed' is not an argument"):
        texsynth.inpaint(picture, marked(*BOXES), sed=3)  # type: ignore[call-arg]
