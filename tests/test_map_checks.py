"""Maps that cannot be what their names say are refused, and what may disappoint is told; real maps pass in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from conftest import Draw, Picture, Refused, Texsynth, array
from pictures import bumps, bytes_of, noise, spots
from texsynth.image import picture as image
from texsynth.image import rows

pytestmark = pytest.mark.usefixtures("exemplar")
SIDE = 16
STEADY = ("-p", "steady", "--progress", "none")
NORMAL = ("synthesize", "a.png", "-o", "o.png", "--map")


def stored(normals: torch.Tensor) -> np.ndarray:
    """Normals as a file of 8 bits holds them."""
    return bytes_of(((normals + 1) / 2).clamp(0, 1))


def black_beside(normals: torch.Tensor) -> np.ndarray:
    """A map with nothing in most of it, as between the parts of an atlas."""
    values = stored(normals)
    values[:, 4:] = 0
    return values


REAL = {
    "unit": lambda: stored(bumps(SIDE, SIDE)),
    "flat": lambda: np.full((SIDE, SIDE, 3), (128, 128, 255), np.uint8),
    "nearly flat": lambda: stored(bumps(SIDE, SIDE, 0.04)),
    "mip level": lambda: stored(F.avg_pool2d(bumps(4 * SIDE, 4 * SIDE, 3), 4)),
    "sharpened": lambda: stored(bumps(SIDE, SIDE, 0.5) * torch.tensor([1.8, 1.8, 1]).view(1, 3, 1, 1)),
    "atlas": lambda: black_beside(bumps(SIDE, SIDE)),
    "with alpha": lambda: np.dstack([stored(bumps(SIDE, SIDE)), np.full((SIDE, SIDE), 255, np.uint8)]),
    "float": lambda: ((bumps(SIDE, SIDE)[0].permute(1, 2, 0) + 1) / 2).numpy(),
}


@pytest.mark.parametrize("kind", REAL)
def test_real_normal_maps_pass(texsynth: Texsynth, draw: Draw, kind: str) -> None:
    name = "n.tif" if kind == "float" else "n.png"
    draw(name, REAL[kind]())
    ran = texsynth(*NORMAL, f"normal={name}", *STEADY)
    assert (ran.code, ran.err) == (0, "")


def test_a_compressed_normal_map_passes(texsynth: Texsynth, draw: Draw) -> None:
    draw("n.jpg", stored(bumps(SIDE, SIDE)))
    assert texsynth(*NORMAL, "normal=n.jpg", *STEADY).err == ""


@pytest.mark.parametrize("kind", ["photograph", "noise", "black", "into the surface"])
def test_what_holds_no_normals_is_refused(
    refused: Refused, draw: Draw, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all of its pixels, some rows at a time."""
    monkeypatch.setattr(rows, "WHOLE", 60)
    monkeypatch.setattr(rows, "STRIP", 40)
    values = {
        "photograph": bytes_of(spots(SIDE, SIDE, seed=1) * torch.tensor([0.9, 0.7, 0.4]).view(1, 3, 1, 1)),
        "noise": bytes_of(noise(1, 3, SIDE, SIDE)),
        "black": np.zeros((SIDE, SIDE, 3), np.uint8),
        "into the surface": stored(-bumps(SIDE, SIDE)),
    }[kind]
    draw("wall_normal.png", values)
    line = refused(3, *NORMAL, "normal=wall_normal.png", *STEADY)
    assert "wall_normal.png: is no normal map, as " in line and "--map detail=FILE" in line


def test_other_maps_may_hold_anything(texsynth: Texsynth, picture: Picture) -> None:
    picture("d.png")
    assert texsynth(*NORMAL, "detail=d.png", *STEADY).code == 0


@pytest.mark.parametrize("blue", [0, 128, 255])
@pytest.mark.parametrize("larger", [False, True])
def test_two_parts_of_normals_are_recognised_and_turn(texsynth: Texsynth, draw: Draw, blue: int, larger: bool) -> None:
    """Also where the map is stretched: blue stays, and nothing is brought to unit length."""
    values = stored(bumps(*(SIDE + 2 * larger,) * 2))
    values[..., 2] = blue
    draw("n.png", values)
    ran = texsynth(*NORMAL, "normal=n.png", *STEADY)
    assert ran.code == 0 and f"n.png: its blue is {blue / 255:g} everywhere, so it holds two parts" in ran.err
    made = array("o_normal.png")
    assert (made[..., 2] == blue).all()
    low, high = values[..., :2].min(), values[..., :2].max()
    assert min(low, 255 - high) <= made[..., :2].min() and made[..., :2].max() <= max(high, 255 - low)


def test_normals_with_signs_have_their_own_line(refused: Refused, draw: Draw) -> None:
    draw("n.tif", bumps(SIDE, SIDE)[0].permute(1, 2, 0).numpy())
    line = refused(3, *NORMAL, "normal=n.tif", *STEADY)
    assert "n.tif: its normals have signs, from -1 to 1; write them as (n + 1) / 2" in line


def test_heights_of_8_bits_are_told_of(texsynth: Texsynth, picture: Picture) -> None:
    picture("h.png", channels=1)
    picture("deep.png", channels=1, dtype="uint16")
    line = "h.png: has 8 bits, and heights of 256 steps show as terraces; 16 bits are better"
    for words, told_of in (
        ("height=h.png", True),
        ("disp=h.png", True),
        ("mine=h.png", False),
        ("height=deep.png", False),
    ):
        ran = texsynth(*NORMAL, words, "--force", *STEADY)
        assert ran.code == 0 and (line in ran.err) is told_of


def test_maps_of_another_shape_are_refused(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    """Above 50 %, in both directions; above 5 % they are stretched with a warning."""
    for name, size, differs in (("wide.png", (16, 26), 62), ("tall.png", (32, 16), 100)):
        picture(name, size, channels=1)
        line = refused(3, *NORMAL, f"d={name}", *STEADY)
        assert f"{name} is {size[1]}x{size[0]}, and a.png 16x16: the aspect differs by {differs} %" in line
    picture("near.png", (16, 24), channels=1)
    assert "the aspect differs by 50 %" in texsynth(*NORMAL, "d=near.png", *STEADY).err
    assert Path("o_d.png").is_file()


def test_stretched_normals_are_of_unit_length(texsynth: Texsynth, draw: Draw) -> None:
    draw("n.png", stored(bumps(20, 20, 3)))
    texsynth(*NORMAL, "normal=n.png", *STEADY)
    lengths = np.linalg.norm(array("o_normal.png") / 127.5 - 1, axis=2)
    assert abs(lengths - 1).max() < 0.01 and image.read("o_normal.png").width == 32
