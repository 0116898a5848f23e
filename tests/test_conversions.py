"""texsynth maps: maps of a material made out of each other, against surfaces whose answer a formula gives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import texsynth as api
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


def share_of_range(error: np.ndarray) -> float:
    """The root mean square of an error of heights in [0, 1], whose mean means nothing."""
    return float((error - error.mean()).std())


@pytest.mark.usefixtures("surfaces")
@pytest.mark.parametrize("tile", ["xy", "x", "none"])
def test_a_height_comes_back_from_its_normals(texsynth: Texsynth, tile: str) -> None:
    """To less than 1 % rms of its range; here of 5 pixels, from normals of 16 bits."""
    good(texsynth(*NORMAL, "--strength", 5, "--tile", tile))
    words = texsynth("maps", "height", "n.png", "-o", "h.png", "--tile", tile, "--progress", "none").err
    strength = record_of("h.png")["measured"]["strength"]
    assert f"white is {strength:g} pixels above black" in words
    assert strength == pytest.approx(5, rel=0.01)
    assert share_of_range(strength / 5 * array("h.png") / 65535 - waves()) < 0.003


@pytest.mark.usefixtures("surfaces")
@pytest.mark.parametrize("normals", ["gl", "dx"])
def test_normals_come_back_from_their_height_without_a_word(texsynth: Texsynth, normals: str) -> None:
    """Tile, strength and the direction of green are in the records."""
    good(texsynth(*NORMAL, "--strength", 5, "--tile", "xy", "--normals", normals))
    assert texsynth("maps", "height", "n.png", "-o", "h.png", "-q").code == 0
    good(texsynth("maps", "normal", "h.png", "-q", "-o", "again.png", "--normals", normals))
    assert degrees(vectors("again.png"), vectors("n.png")).max() < 0.2
    assert record_of("again.png")["maps"]["tile"] == "xy"


def test_what_is_flat_stays_flat(texsynth: Texsynth, draw: Draw) -> None:
    draw("flat.png", np.full((16, 16), 999, np.uint16))
    for command, source, out in (("normal", "flat", "n"), ("height", "n", "h"), ("normal", "h", "again")):
        assert texsynth("maps", command, f"{source}.png", "-q", "-o", f"{out}.png").code == 0
    assert np.array_equal(array("again.png"), array("n.png"))
    assert record_of("h.png")["measured"]["strength"] == 0


@pytest.mark.usefixtures("surfaces")
def test_a_name_says_where_green_points(texsynth: Texsynth) -> None:
    good(texsynth(*NORMAL[:-1], "wall_nor_dx.png", "--strength", 5, "--tile", "xy", "--normals", "dx", "--no-metadata"))
    ran = texsynth("maps", "height", "wall_nor_dx.png", "--tile", "xy", "--progress", "none")
    assert "green points down" in ran.err
    assert ran.out == "wall_height.png\n"
    assert share_of_range(array("wall_height.png") / 65535 - waves()) < 0.003


@pytest.mark.usefixtures("surfaces")
def test_the_third_part_of_normals_is_worked_out(texsynth: Texsynth, draw: Draw) -> None:
    good(texsynth(*NORMAL, "--strength", 5, "--tile", "xy"))
    saved = array("n.png")
    saved[..., 2] = 0
    draw("bc5.png", saved)
    assert "its blue is the same" in texsynth("maps", "height", "bc5.png", "-o", "h.png", "--tile", "xy").err
    assert share_of_range(array("h.png") / 65535 - waves()) < 0.003


@pytest.mark.parametrize("command", ["normal", "height", "occlusion"])
def test_a_tile_stays_a_tile(texsynth: Texsynth, draw: Draw, command: str) -> None:
    """What lies at the border is made as what lies inside: of the same map, moved round, comes the same result, moved
    round."""
    draw("a.png", sixteen(waves() + 0.3 * np.random.default_rng(1).random((SIDE, SIDE))) // 2)
    if command == "height":
        good(texsynth("maps", "normal", "a.png", "-q", "-o", "normals.png", "--tile", "xy"))
        draw("a.png", array("normals.png"))
    shift = (SIDE // 2, SIDE // 3)
    draw("moved.png", np.roll(array("a.png"), shift, (0, 1)))
    for name in ("a", "moved"):
        assert texsynth("maps", command, f"{name}.png", "-q", "-o", f"{name}_made.png", "--tile", "xy").code == 0
    one, two = (array(f"{name}_made.png").astype(int) for name in ("a", "moved"))
    assert np.abs(np.roll(one, shift, (0, 1)) - two).max() <= 2


def occlusion_of(texsynth: Texsynth, draw: Draw, pixels: np.ndarray, *words: object) -> np.ndarray:
    """The share of the sky that `maps occlusion` gives for heights in pixels, (H, W)."""
    low, high = pixels.min(), pixels.max()
    draw("h.png", sixteen((pixels - low) / ((high - low) or 1)))
    good(texsynth("maps", "occlusion", "h.png", "-q", "--force", "-o", "o.png", "--strength", high - low, *words))
    return array("o.png") / 65535


def test_a_plane_sees_all_of_the_light(texsynth: Texsynth, draw: Draw) -> None:
    """Also one that leans, but for its lower borders, beyond which the ground is taken as level."""
    assert occlusion_of(texsynth, draw, np.zeros((16, 16))).min() == 1
    y, x = np.mgrid[:32, :32]
    assert np.abs(occlusion_of(texsynth, draw, 0.5 * x - 0.2 * y)[8:-8, 8:-8] - 1).max() < 0.005


def test_a_bowl_sees_as_much_of_the_sky_as_it_is_open(texsynth: Texsynth, draw: Draw) -> None:
    """All points of a cap of depth d of a sphere of radius R see the share 1 - d / 2R, as of two points on a sphere
    each sees an equal part of the other's surroundings."""
    y, x = np.mgrid[-60:61, -60:61]
    for depth in (0.2, 0.5, 0.8):
        radius = 50.0
        rim = radius**2 - (radius * (1 - depth)) ** 2
        bowl = np.where(x**2 + y**2 < rim, radius * (1 - depth) - np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0)), 0)
        shares = occlusion_of(texsynth, draw, bowl, "--radius", 110)
        inside = x**2 + y**2 < 0.8 * rim
        assert np.abs(shares[inside] - (1 - depth / 2)).max() < 0.02
        assert shares[0].min() > 0.99


def test_a_groove_sees_the_strip_of_sky_above_it(texsynth: Texsynth, draw: Draw) -> None:
    """On the wall of a long V, half the cosine-weighted sky lies on one side, and on the other what is left up to the
    opposite edge: (1 + sin(angle of that edge to the normal)) / 2."""
    across = np.abs(np.arange(96) - 48.0)
    for slope in (0.5, 1.0, 2.0):
        depth = slope * np.minimum(across - 30, 0)
        shares = occlusion_of(texsynth, draw, np.tile(depth, (64, 1)), "--radius", 200, "--tile", "y")
        edge = np.arctan2(30 + across, -depth)  # from the upright
        expected = (1 + np.sin(edge - math.atan(slope))) / 2
        walls = (across > 2) & (across < 28)
        assert np.abs(shares[32] - expected)[walls].max() < 0.02


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
    for name in ("Wall_Height.png", "plain_height.tif"):
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
def test_of_a_set_the_height_is_taken(texsynth: Texsynth, refused: Refused) -> None:
    Path("set").mkdir()
    for name in ("wall_BaseColor.png", "wall_Height.png", "wall_mask.png"):
        image.write(Path("set") / name, image.read("plane.png"))
    ran = texsynth("maps", "normal", "set", "-o", "out/", "--progress", "none")
    assert ran.out == "out/wall_Normal.png\n"
    assert "wall_BaseColor.png, wall_mask.png left out" in ran.err
    Path("set/wall_Height.png").unlink()
    Path("set/wall_mask.png").unlink()
    assert "holds no map whose name says height" in refused(3, "maps", "normal", "set", "-o", "more/")


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
    assert "is grey" in refused(3, "maps", "height", "plane.png", "-q", "-o", "o.png")
    assert "far from unit length" in refused(3, "maps", "height", "colours.png", "-q", "-o", "o.png")
    draw("far.tif", np.full((16, 16), 1e30, np.float32))
    assert "beyond 100000" in refused(3, "maps", "occlusion", "far.tif", "-q", "-o", "o.png")
    draw("eight.png", np.zeros((16, 16), np.uint8))
    said = texsynth("maps", "normal", "eight.png", "-o", "o.png").err
    assert "8 bits" in said
    assert "white is taken as 0.5 pixels above black" in said


def test_python_makes_the_same_maps(texsynth: Texsynth, draw: Draw) -> None:
    heights = draw("waves_height.png", sixteen(waves()))
    good(texsynth(*NORMAL, "--strength", 5, "--tile", "xy"))
    made = api.maps_normal(heights, strength=5, tile="xy").image
    assert np.array_equal(image.to_array(made), array("n.png"))
    back = api.maps_height(made, tile="xy")
    assert back.measured["strength"] == pytest.approx(5, rel=0.01)
    assert api.maps_occlusion(heights, strength=5, radius=9, tile="xy").image.pixels.min() < 0.99
