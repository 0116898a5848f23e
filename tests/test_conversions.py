"""texsynth maps: maps of a material made out of each other, against surfaces whose answer a formula gives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from asking import entry_of, good, record_of
from conftest import Draw, Refused, Texsynth, array
from texsynth.image import picture as image

SIDE = 64
NORMAL = ("maps", "normal", "waves_height.png", "-q", "--force", "-o", "n.png")


def waves(side: int = SIDE) -> np.ndarray:
    """Heights in [0, 1] of a surface that repeats, of no more than 6 waves a side (side, side)."""
    y, x = np.mgrid[:side, :side] * (2 * math.pi / side)
    values = np.sin(2 * x + 3 * y) + 0.6 * np.cos(5 * x - y) + 0.4 * np.sin(6 * y) + 0.3 * np.cos(4 * x)
    return (values - values.min()) / (values.max() - values.min())


def sixteen(values: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as samples of 16 bits."""
    return np.rint(values * 65535).astype(np.uint16)


def vectors(name: str, is_down: bool = False) -> np.ndarray:
    """The normals in a file, (H, W, 3), y up."""
    values = array(name) / (255 if array(name).dtype == np.uint8 else 65535) * 2 - 1
    return values * (1, -1 if is_down else 1, 1)


def degrees(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """The angles between normals (H, W, 3) of about unit length."""
    cosine = (one * two).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(two, axis=-1)
    return np.degrees(np.arccos(cosine.clip(-1, 1)))


def slanted(right: float, up: float) -> np.ndarray:
    """The normal of a plane that rises by so much for a pixel to the right, and for one up."""
    normal = np.array([-right, -up, 1.0])
    return normal / np.linalg.norm(normal)


@pytest.fixture
def surfaces(draw: Draw) -> None:
    """waves_height.png, which repeats, and plane.png, which rises by 1/2 pixel to the right and 1/4 up the picture for
    a strength of 64 pixels."""
    draw("waves_height.png", sixteen(waves()))
    y, x = np.mgrid[:32, :32]
    draw("plane.png", sixteen((0.5 * x + 0.25 * (31 - y)) / 64))


@pytest.mark.usefixtures("surfaces")
def test_a_plane_has_its_normal_everywhere(texsynth: Texsynth) -> None:
    good(texsynth("maps", "normal", "plane.png", "-q", "-o", "n.png", "--strength", 64))
    assert array("n.png").dtype == np.uint16
    assert degrees(vectors("n.png"), slanted(0.5, 0.25)).max() < 0.1


@pytest.mark.usefixtures("surfaces")
def test_green_points_down_where_it_is_asked_to(texsynth: Texsynth) -> None:
    good(texsynth("maps", "normal", "plane.png", "-q", "-o", "n.png", "--strength", 64, "--normals", "dx"))
    assert degrees(vectors("n.png", is_down=True), slanted(0.5, 0.25)).max() < 0.1


@pytest.mark.usefixtures("surfaces")
def test_a_surface_that_repeats_gives_normals_that_do(texsynth: Texsynth, draw: Draw) -> None:
    good(texsynth(*NORMAL, "--strength", 5, "--tile", "xy"))
    one = vectors("n.png")
    draw("waves_height.png", np.tile(array("waves_height.png"), (3, 3)))
    good(texsynth(*NORMAL, "--strength", 5))
    assert np.abs(vectors("n.png")[SIDE : 2 * SIDE, SIDE : 2 * SIDE] - one).max() < 1e-4


@pytest.mark.usefixtures("surfaces")
def test_depths_and_names(texsynth: Texsynth) -> None:
    ran = good(texsynth("maps", "normal", "waves_height.png", "-q", "--depth", 8))
    assert ran.out == "waves_normal.png\n"
    assert array("waves_normal.png").dtype == np.uint8
    good(texsynth(*NORMAL[:-1], "n.tif", "--depth", "float"))
    assert array("n.tif").dtype == np.float32


@pytest.mark.usefixtures("surfaces")
def test_a_folder_becomes_one(texsynth: Texsynth) -> None:
    Path("in").mkdir()
    for name in ("Wall_Height.png", "plain.tif"):
        image.write(Path("in") / name, image.read("plane.png"))
    words = ("maps", "normal", "in", "-o", "out/", "-q")
    jobs = good(texsynth(*words, "--list-jobs")).out.splitlines()
    assert jobs[0].startswith("texsynth maps normal in/Wall_Height.png")
    good(texsynth(*words))
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "Wall_Normal.png", "plain_normal.tif", "plain_normal.tif.json", "results.jsonl",
    ]  # fmt: skip
    assert texsynth(*words).code == 2
    kept = texsynth(*words[:-1], "--update", "--progress", "none")
    assert kept.err.count("is kept") == 2


@pytest.mark.usefixtures("surfaces")
def test_a_plan_and_the_record_say_the_same(texsynth: Texsynth) -> None:
    planned = entry_of(texsynth, *NORMAL, "--dry-run")
    assert not Path("n.png").exists()
    assert planned["memory_bytes"] > 0
    good(texsynth(*NORMAL))
    assert record_of("n.png") == planned["record"]
    assert record_of("n.png")["maps"] == {"strength": 2.0, "normals": "gl", "tile": "none", "depth": "16"}


@pytest.mark.usefixtures("surfaces")
def test_what_is_no_height_is_refused(texsynth: Texsynth, refused: Refused, draw: Draw) -> None:
    draw("colours.png", np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    assert "has colours" in refused(3, "maps", "normal", "colours.png", "-q", "-o", "o.png")
    assert "--max-memory" in refused(4, *NORMAL, "--max-memory", "1M")
    assert "a folder to go to" in refused(2, "maps", "normal", "plane.png", "waves_height.png", "-o", "o.png")
    draw("eight.png", np.zeros((16, 16), np.uint8))
    assert "8 bits" in texsynth("maps", "normal", "eight.png", "-o", "o.png").err
