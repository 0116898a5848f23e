"""`texsynth capture`: what a photograph of a drawn surface gives back, what its maps do, every mistake on one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import texsynth as api
from asking import entry_of, good, record_of
from conftest import Draw, Refused, Texsynth, array
from texsynth.image import picture as image
from texsynth.image.codecs.tags import Tags
from texsynth.material import frame as frames
from texsynth.material import regular

Places = tuple[np.ndarray, np.ndarray]
CORNERS = ((20.0, 14.0), (148.0, 26.0), (156.0, 118.0), (8.0, 106.0))
QUAD = ",".join(f"{value:g}" for corner in CORNERS for value in corner)
SIZE = (96, 132)  # of the surface, (height, width)
PHOTO = (128, 168)


def surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The colours of a smooth drawn surface at places in its pixels, (..., 3) in [0, 1]."""
    red, green = 0.5 + 0.4 * np.sin(x / 5) * np.cos(y / 7), 0.5 + 0.4 * np.cos((x + y) / 9)
    return np.stack([red, green, 0.2 + 0.6 * x / SIZE[1]], -1)


def middles(size: tuple[int, int]) -> Places:
    """The places (x, y) of the middles of all pixels."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return x, y


def on_surface(size: tuple[int, int] = PHOTO, times: float = 1.0) -> Places:
    """The places on the surface that the pixels of the photograph, or of a map so many times as fine, show."""
    matrix = np.linalg.inv(frames.of_corners(CORNERS, SIZE).matrix.numpy())
    x, y = middles(size)
    seen = np.stack([x / times, y / times, np.ones_like(x)], -1) @ matrix.T
    return seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]


def deep(values: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as 16 bits."""
    rounded: np.ndarray = (values.clip(0, 1) * 65535).round().astype(np.uint16)
    return rounded


def inner(values: np.ndarray) -> np.ndarray:
    """A picture without its borders, where the photograph may end."""
    return values[4:-4, 4:-4].astype(float) / 65535


# ---- four corners ----


def test_the_perspective_of_a_drawn_surface_is_undone(texsynth: Texsynth, draw: Draw) -> None:
    draw("a.png", deep(surface(*on_surface())))
    good(texsynth("capture", "a.png", "--quad", QUAD, "--size", "132x96", "-o", "o.png", "-q"))
    made = array("o.png")
    assert made.shape == (*SIZE, 3) and made.dtype == np.uint16
    assert abs(inner(made) - inner(deep(surface(*middles(SIZE))))).max() < 0.01


def test_by_default_sides_keep_their_mean_lengths(texsynth: Texsynth, draw: Draw) -> None:
    draw("a.png", deep(surface(*on_surface())))
    entry = entry_of(texsynth, "capture", "a.png", "--quad", QUAD, "-o", "o.png", "-q")
    lengths = [math.dist(CORNERS[n], CORNERS[(n + 1) % 4]) for n in range(4)]
    assert entry["size"] == f"{round((lengths[0] + lengths[2]) / 2)}x{round((lengths[1] + lengths[3]) / 2)}"
    twice = entry_of(texsynth, "capture", "a.png", "--quad", QUAD, "--size", "2x", "-o", "t.png", "-q")
    assert [int(n) for n in twice["size"].split("x")] == [2 * int(n) for n in entry["size"].split("x")]


@pytest.mark.parametrize("times", [2, 3, 8])
def test_what_is_reduced_is_the_mean_of_its_area(texsynth: Texsynth, draw: Draw, times: int) -> None:
    noise = draw("a.png", np.random.default_rng(0).integers(0, 65536, (96, 144, 3), np.uint16))
    size = f"{144 // times}x{96 // times}"
    good(texsynth("capture", "a.png", "--quad", "0,0,144,0,144,96,0,96", "--size", size, "-o", "o.png", "-q"))
    means = noise.reshape(96 // times, times, 144 // times, times, 3).mean((1, 3))
    assert abs(array("o.png") - means).max() <= 1


def test_fine_stripes_far_away_become_grey_and_not_coarse_stripes(texsynth: Texsynth, draw: Draw) -> None:
    draw("a.png", np.tile(np.array([[0], [255]], np.uint8), (60, 120)))
    good(texsynth("capture", "a.png", "--quad", "0,0,120,0,120,120,0,120", "--size", "35x35", "-o", "o.png", "-q"))
    assert array("o.png").astype(float).std() < 20, "without means it is that of a square wave, about 100"


def test_corners_in_another_order_turn_the_picture_exactly(
    texsynth: Texsynth, picture: Callable[..., np.ndarray]
) -> None:
    before = picture("a.png", (20, 30))
    good(texsynth("capture", "a.png", "--quad", "30,0,30,20,0,20,0,0", "-o", "o.png", "-q"))
    assert np.array_equal(array("o.png"), np.rot90(before))


def test_the_true_shape_follows_from_the_vanishing_points(texsynth: Texsynth, draw: Draw) -> None:
    tilt, pan = 0.5, 0.4
    about_x = np.array([[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]])
    about_y = np.array([[math.cos(pan), 0, math.sin(pan)], [0, 1, 0], [-math.sin(pan), 0, math.cos(pan)]])
    sheet = np.array([[-1.5, -1, 0], [1.5, -1, 0], [1.5, 1, 0], [-1.5, 1, 0]]) @ (about_x @ about_y).T + (0.2, 0.1, 5)
    seen = sheet[:, :2] / sheet[:, 2:] * 240 + (150, 120)
    draw("a.png", np.random.default_rng(0).integers(0, 256, (240, 300, 3), np.uint8))
    quad = ",".join(f"{value:.4f}" for value in seen.flatten())
    shapes = {}
    for way in ((), ("--aspect", "auto"), ("--aspect", "3:2")):
        entry = entry_of(texsynth, "capture", "a.png", "--quad", quad, *way, "-o", "o.png", "-q", "--force")
        width, height = map(int, entry["size"].split("x"))
        shapes[way[-1:]] = width / height
    assert abs(shapes["auto",] - 1.5) < 0.02 and abs(shapes["3:2",] - 1.5) < 0.02 < abs(shapes[()] - 1.5)
    ran = texsynth("capture", "a.png", "--quad", "0,0,90,0,90,80,0,80", "--aspect", "auto", "-o", "p.png")
    assert "too near to parallel" in ran.err and array("p.png").shape == (80, 90, 3)


def test_transparent_pixels_lend_no_colour(texsynth: Texsynth, draw: Draw) -> None:
    values = np.zeros((40, 40, 4), np.uint8)
    values[..., 0] = 255  # red where nobody sees it
    values[:, 20:] = (0, 0, 200, 255)
    draw("a.png", values)
    good(texsynth("capture", "a.png", "--quad", "1,3,38,0,40,36,4,40", "--size", "23x25", "-o", "o.png", "-q"))
    made = array("o.png")
    assert made[made[..., 3] > 0][:, 0].max() == 0 and 0 < (made[..., 3] == 0).mean() < 1


@pytest.mark.parametrize(
    ("quad", "words"),
    [
        ("1,2,3", "is not eight numbers"),
        ("0,0,9,0,9,9,0,nan", "is not eight numbers"),
        ("0,0,9,0,9,9,0,1e999", "is not eight numbers"),
        ("0,0,20,0,0,20,20,20", "sides cross each other"),
        ("0,0,0,20,20,20,20,0", "goes round counter-clockwise"),
        ("0,0,10,0,20,0,0,20", "lie on a line"),
        ("5,5,5,5,5,5,5,5", "lie on a line"),
        ("0,0,20,0,6,6,0,20", "points inward"),
        ("0,0,40,0,20,20,0,20", "the corner 40,0 lies outside a.png, which is 24x24"),
        ("0,0,5,0,5,5,0,5", "marks 5x5 pixels; at least 8"),
    ],
)
def test_corners_that_are_none_are_refused(
    refused: Refused, picture: Callable[..., np.ndarray], quad: str, words: str
) -> None:
    picture("a.png", (24, 24))
    assert words in refused(2, "capture", "a.png", f"--quad={quad}", "-o", "o.png")
    assert not Path("o.png").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "nothing to do; give one of --quad"),
        ("--crop 0,0,8,8 --size 20", "--size is that of what --quad marks"),
        ("--quad 0,0,24,0,24,24,0,24 --size 20x10 --aspect 2:1", "--size 20x10 has an aspect of its own"),
        ("--quad 0,0,24,0,24,24,0,24 --aspect 2", "is not W:H"),
        ("--quad 0,0,24,0,24,24,0,24 --aspect 1:0", "is not W:H"),
        (
            "--quad 0,0,20,0,20,20,0,20 --crop 10,10,12,8",
            "reaches outside what is straightened of a.png, which is 20x20",
        ),
        ("--crop 0,0,8,8 --texel 5", "is not the size of a pixel"),
        ("--crop 0,0,8,8 --map normal=a.png --map normal=a.png", "2 given for one photograph"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    refused: Refused, picture: Callable[..., np.ndarray], more: str, words: str
) -> None:
    picture("a.png", (24, 24))
    assert words in refused(2, "capture", "a.png", "-o", "o.png", *more.split())


# ---- lattices ----


def bricks(x: np.ndarray, y: np.ndarray, over: float) -> np.ndarray:
    """The colours of a wall of bricks of 36 x 14 pixels at places on it, (..., 3); each row begins `over` bricks beside
    the one before."""
    row = np.floor(y / 14)
    along = x / 36 + over * row
    brick = np.floor(along)
    inside = ((along - brick) * 36 > 2) & (y - row * 14 > 2)
    shade = 0.2 * np.modf(np.abs(np.sin(12.9898 * row + 78.233 * brick) * 4375.85))[0]
    return np.where(inside[..., None], np.stack([0.45 + shade, 0.25 + shade / 2, 0.2 + 0 * shade], -1), 0.7)


def wall(size: tuple[int, int], matrix: np.ndarray, over: float = 0.5) -> np.ndarray:
    """A photograph of the wall, of 8 bits; `matrix` takes places on it (x, y, 1) to those of the photograph."""
    x, y = middles((3 * size[0], 3 * size[1]))
    at = np.stack([x / 3, y / 3, np.ones_like(x)], -1) @ np.linalg.inv(matrix).T
    fine = bricks(at[..., 0] / at[..., 2], at[..., 1] / at[..., 2], over)
    shot: np.ndarray = (fine.reshape(size[0], 3, size[1], 3, 3).mean((1, 3)) * 255).round().astype(np.uint8)
    return shot


def camera(size: tuple[int, int], degrees: float, tilt: tuple[float, float]) -> np.ndarray:
    """The matrix of a wall that is turned clockwise and tilted around the middle of a photograph."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    middle = np.array([[1, 0, size[1] / 2], [0, 1, size[0] / 2], [0, 0, 1]])
    made: np.ndarray = middle @ turn @ np.array([[1, 0, 0], [0, 1, 0], [*tilt, 1]])
    return made


@pytest.mark.parametrize(
    ("degrees", "tilt", "over"), [(3, (0, 0), 0.5), (-12, (0, 0), 1 / 3), (6, (4e-4, 8e-4), 0.5), (0, (-8e-4, 5e-4), 0)]
)
def test_rows_and_columns_are_level_to_half_a_degree(degrees: float, tilt: tuple[float, float], over: float) -> None:
    size = (160, 210)
    matrix = camera(size, degrees, tilt)
    lattice = regular.measured(image.from_array(wall(size, matrix, over)))
    assert lattice is not None and abs(lattice.turned - degrees) < 0.5
    to_wall = np.linalg.inv(matrix) @ lattice.frame.matrix.numpy()
    height, width = lattice.frame.size
    assert height * width > 0.6 * size[0] * size[1]
    for x, y in ((0, 0), (width, 0), (width, height), (0, height)):
        ends = np.array([[x, x + 1, x], [y, y, y + 1], [1, 1, 1]])
        here, along, down = ((to_wall @ ends)[:2] / (to_wall @ ends)[2]).T
        for step, axis in ((along - here, 0.0), (down - here, 90.0)):
            assert abs(math.degrees(math.atan2(step[1], step[0])) - axis) < 0.5


def test_a_wall_straightens_itself(texsynth: Texsynth, draw: Draw) -> None:
    size = (120, 160)
    draw("a.png", wall(size, camera(size, -5, (0, 0))))
    draw("h.png", np.zeros((240, 320), np.uint8))
    words = ("--map", "h=h.png", "-o", "o.png", "--progress", "none")
    ran = texsynth("capture", "a.png", "--straighten", "lattice", *words)
    assert ran.code == 0 and "its rows were turned by 5.0 degrees counter-clockwise" in ran.err
    height, width = array("o.png").shape[:2]
    assert array("o_h.png").shape == (2 * height, 2 * width)
    rows = array("o.png")[..., 2].astype(float).mean(1)  # where rows are level, joints and bricks do not mix
    assert rows.max() - rows.min() > 90


def test_what_has_no_rows_is_refused(refused: Refused, draw: Draw) -> None:
    draw("a.png", np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8))
    line = refused(3, "capture", "a.png", "--straighten", "lattice", "-o", "o.png")
    assert "a.png: its rows and columns cannot be told" in line and "with --quad" in line
    both = ("--straighten", "lattice", "--quad", "0,0,96,0,96,96,0,96")
    assert "exclude each other" in refused(2, "capture", "a.png", *both, "-o", "o.png")


# ---- maps ----


def normals_on(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit vectors of a drawn surface at places on it, (..., 3), x right, y up."""
    tilted = np.stack([0.5 * np.sin(x / 11), 0.5 * np.cos(y / 13), np.ones_like(x)], -1)
    unit: np.ndarray = tilted / np.linalg.norm(tilted, axis=-1, keepdims=True)
    return unit


@pytest.mark.parametrize("convention", ["gl", "dx"])
def test_normals_turn_with_the_surface(texsynth: Texsynth, draw: Draw, convention: str) -> None:
    angle = math.radians(20)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])  # (x, y), y down
    corners = (np.array([[-40, -30], [40, -30], [40, 30], [-40, 30]]) @ turn.T + (60, 60)).tolist()
    x, y = middles((120, 120))
    back = np.stack([x - 60, y - 60], -1) @ turn + (40, 30)
    vectors = normals_on(back[..., 0], back[..., 1])
    up = np.array([1, -1, 1])
    vectors = vectors * up  # y down, to turn
    vectors[..., :2] = vectors[..., :2] @ turn.T
    flip = up if convention == "gl" else np.ones(3)
    draw("n.png", deep((vectors * flip + 1) / 2))
    draw("a.png", np.zeros((120, 120, 3), np.uint8))
    quad = ",".join(f"{value:.6f}" for corner in corners for value in corner)
    name = "normal" if convention == "gl" else "normal_dx"
    good(texsynth("capture", "a.png", "--quad", quad, "--map", f"{name}=n.png", "-o", "o.png", "-q"))
    wanted = normals_on(*middles((60, 80))) * (1 if convention == "gl" else up)
    got = inner(array(f"o_{name}.png")) * 2 - 1
    off = np.degrees(np.arccos((got * wanted[4:-4, 4:-4]).sum(-1).clip(-1, 1)))
    assert off.max() < 0.5 and abs(np.linalg.norm(got, axis=-1) - 1).max() < 1e-3


def test_normals_of_two_parts_keep_their_lengths(texsynth: Texsynth, draw: Draw) -> None:
    """As BC5 saves them, with one blue for all: nothing is known of the third part."""
    flat = np.full((60, 60, 3), 128, np.uint8)
    flat[..., 0], flat[::20, :, 0] = 168, 88
    draw("n.png", flat)
    draw("a.png", np.zeros((60, 60, 3), np.uint8))
    good(texsynth("capture", "a.png", "--quad", "0,0,60,0,60,60,0,60", "--map", "normal=n.png", "-o", "o.png", "-q"))
    assert np.abs(array("o_normal.png").astype(int) - flat).max() <= 1


def test_maps_keep_their_own_resolution_and_labels_their_values(texsynth: Texsynth, draw: Draw) -> None:
    draw("a.png", deep(surface(*on_surface())))
    fine = tuple(2 * side for side in PHOTO)
    x, y = on_surface((fine[0], fine[1]), 2.0)
    draw("h.png", deep(surface(x, y))[..., 0])
    labels = np.where(x[::4, ::4] > 60, 200, 7).astype(np.uint8)
    draw("l.png", labels)
    words = ("--map", "height=h.png", "--map", "labels=l.png")
    good(texsynth("capture", "a.png", "--quad", QUAD, "--size", "132x96", *words, "-o", "o.png", "-q"))
    height = array("o_height.png")
    assert height.shape == (192, 264)
    x, y = middles((192, 264))
    assert abs(inner(height) - inner(deep(surface(x / 2, y / 2))[..., 0])).max() < 0.01
    assert array("o_labels.png").shape == (48, 66)
    assert set(np.unique(array("o_labels.png"))) == {7, 200}


def test_maps_that_are_numbers_say_nothing_of_colours(texsynth: Texsynth, draw: Draw) -> None:
    shot = deep(surface(*on_surface()))
    draw("wall_BaseColor.png", shot)
    draw("wall_Roughness.png", shot[..., 0].copy())
    for name in ("wall_BaseColor.png", "wall_Roughness.png"):
        image.write(name, replace(image.read(name), tags=Tags(srgb=b"\0")))
    good(texsynth("capture", "wall_BaseColor.png", "--quad", QUAD, "-q", "-o", "o.png"))
    assert [image.read(name).tags.srgb for name in ("o.png", "o_Roughness.png")] == [b"\0", None]


def test_a_set_is_captured_as_one(texsynth: Texsynth, draw: Draw) -> None:
    shot = deep(surface(*on_surface()))
    draw("in/wall_BaseColor.png", shot)
    draw("in/wall_Roughness.png", shot[::2, ::2, 0].copy())
    good(texsynth("capture", "in", "--quad", QUAD, "-q", "-o", "out/"))
    assert {path.name for path in Path("out").glob("*.png")} == {"wall_BaseColor.png", "wall_Roughness.png"}
    assert array("out/wall_Roughness.png").shape[0] * 2 == array("out/wall_BaseColor.png").shape[0]
    good(texsynth("capture", "in/wall_BaseColor.png", "--quad", QUAD, "-q", "--maps", "none", "-o", "o.png"))
    assert not list(Path().glob("*oughness*"))


def test_alpha_of_a_packed_map_is_a_value_of_its_own(texsynth: Texsynth, draw: Draw) -> None:
    """It does not weigh the others: these stay where it is 0."""
    shot = draw("a.png", deep(surface(*on_surface())))
    packed = np.full((*shot.shape[:2], 4), 100, np.uint8)
    packed[::3, :, 3], packed[:, ::2, 3], packed[: len(packed) // 2, :, 1] = 0, 255, 50
    packed[:, :40, 3] = 0
    draw("m.png", packed)
    good(texsynth("capture", "a.png", "--quad", QUAD, "--map", "maskmap=m.png", "-q", "-o", "o.png"))
    got = array("o_maskmap.png")
    assert (got[..., 0] == 100).all() and set(np.unique(got[..., 1])) >= {50, 100}
    assert got[..., 3].min() == 0 and got[..., 3].max() > 200


def test_maps_that_cannot_be_of_the_photograph_are_refused(
    texsynth: Texsynth, refused: Refused, picture: Callable[..., np.ndarray]
) -> None:
    picture("a.png", (24, 24))
    picture("bent.png", (24, 27))
    picture("wide.png", (24, 48))
    words = ("capture", "a.png", "--crop", "0,0,16,16", "-o", "o.png")
    assert "aspect differs by 100 %" in refused(3, *words, "--map", "h=wide.png")
    assert "a.png: is no normal map" in refused(3, *words, "--map", "normal=a.png")
    ran = texsynth(*words, "--map", "h=bent.png")
    assert ran.code == 0 and "bent.png is 27x24 beside a.png of 24x24: the aspect differs by 12 %" in ran.err


# ---- light, crops, the size of a pixel ----


def test_crops_are_exact_and_come_after_straightening(texsynth: Texsynth, draw: Draw) -> None:
    before = draw("a.png", deep(surface(*on_surface())))
    draw("h.png", before[::2, ::2, 0].copy())
    good(texsynth("capture", "a.png", "--crop", "10,20,60,40", "--map", "h=h.png", "-o", "c.png", "-q"))
    assert np.array_equal(array("c.png"), before[20:60, 10:70])
    assert np.array_equal(array("c_h.png"), before[20:60:2, 10:70:2, 0])
    run = ("capture", "a.png", "--quad", QUAD, "--size", "132x96", "-q", "-o")
    good(texsynth(*run, "whole.png"))
    good(texsynth(*run, "part.png", "--crop", "30,20,50,40"))
    assert np.abs(array("whole.png")[20:60, 30:80].astype(int) - array("part.png")).max() <= 2


def test_slow_light_is_evened_out_on_demand(texsynth: Texsynth, draw: Draw) -> None:
    ramp = np.tile(np.linspace(60, 200, 64).astype(np.uint8), (64, 1))
    draw("a.png", ramp)
    ran = texsynth("capture", "a.png", "--flatten", "-o", "o.png")
    assert "flatten: evened out light" in ran.err
    assert array("o.png").shape == (64, 64) and np.ptp(array("o.png").astype(int)) < 0.3 * np.ptp(ramp.astype(int))


def test_the_size_of_a_pixel_is_told_and_an_old_one_forgotten(texsynth: Texsynth, draw: Draw) -> None:
    values = torch.rand(1, 3, 40, 40)
    tags = image.codecs.Tags(density=image.codecs.tags.density(2835, 2835, Fraction(1)))
    image.write("a.png", image.Picture(values, tags=tags))
    draw("h.png", np.zeros((80, 80), np.uint8))
    square = ("capture", "a.png", "--quad", "0,0,40,0,40,40,0,40", "-q")
    good(texsynth(*square, "-o", "o.png"))
    assert image.read("o.png").tags.density is None
    good(texsynth(*square, "--texel", "0.5mm", "--map", "h=h.png", "-o", "t.png"))
    assert image.read("t.png").tags.density.x == 2000 and image.read("t_h.png").tags.density.x == 4000
    assert record_of("t.png")["capture"]["texel"] == "0.5mm"


def stones(size: tuple[int, int]) -> np.ndarray:
    """A drawn ground of many small stones of similar brightness, (h, w, 3) in [0, 1]."""
    rng = np.random.default_rng(3)
    x, y = middles(size)
    middle = rng.random((600, 2)) * (size[1], size[0])
    nearest = ((x[..., None] - middle[:, 0]) ** 2 + (y[..., None] - middle[:, 1]) ** 2).argmin(-1)
    shade = 0.45 + 0.12 * rng.random(600)[nearest] + 0.03 * rng.random(size)
    ground: np.ndarray = np.stack([shade, 0.9 * shade, 0.8 * shade], -1)
    return ground


def shaded(ground: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A picture of 8 bits under light (h, w) of red, green and blue, times what it was in linear light."""
    linear = np.where(ground <= 0.04045, ground / 12.92, ((ground + 0.055) / 1.055) ** 2.4)
    linear = linear * (light[..., None] + (1 - light[..., None]) * (0.36, 0.39, 0.46))
    shot: np.ndarray = (
        np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    ).round()
    return shot.astype(np.uint8)


@pytest.mark.parametrize("softness", [1.0, 8.0])
def test_a_shadow_is_lightened_and_its_texture_stays(texsynth: Texsynth, draw: Draw, softness: float) -> None:
    ground, (x, y) = stones((140, 160)), middles((140, 160))
    light = 1 / (1 + np.exp((90 - x - 0.3 * y) / softness))
    lit = shaded(ground, np.ones_like(light)).astype(float)
    draw("a.png", shaded(ground, light))
    ran = texsynth("capture", "a.png", "--delight", "-o", "o.png")
    assert ran.code == 0 and "delight: lightened a shadow on " in ran.err
    before, after = (array(name).astype(float) for name in ("a.png", "o.png"))
    dark = light < 0.02
    assert abs(before[dark] - lit[dark]).mean() > 40 and abs(after[dark] - lit[dark]).mean() < 6
    assert abs(after - lit).mean() < 0.25 * abs(before - lit).mean()
    far = light > 0.999
    assert (after == before)[far].mean() > 0.8 and abs(after - before)[far].mean() < 2
    assert np.corrcoef(after[dark][:, 1], lit[dark][:, 1])[0, 1] > 0.97


def test_what_is_no_shadow_is_left_alone(texsynth: Texsynth, draw: Draw) -> None:
    ground, (x, _) = stones((140, 160)), middles((140, 160))
    full = np.ones((140, 160))
    pictures = {
        "even": shaded(ground, full),
        "tar": shaded(np.where(x[..., None] < 60, 0.5 * ground * (0.6, 1.1, 1.3), ground), full),  # of another colour
        "flat": shaded(np.where(x[..., None] < 60, 0.3, ground), full),  # without the pattern
        "grey": shaded(ground, full)[..., 0],
        "plain": np.full((30, 30, 3), 90, np.uint8),
    }
    for name, values in pictures.items():
        draw(f"{name}.png", values)
        ran = texsynth("capture", f"{name}.png", "--delight", "-o", f"o_{name}.png")
        assert ran.code == 0 and "delight: no shadow can be told from the material (" in ran.err, (name, ran.err)
        assert np.array_equal(array(f"o_{name}.png"), values)


# ---- files, batches, Python ----


def test_several_photographs_go_to_a_folder_with_maps_of_their_stems(
    texsynth: Texsynth, refused: Refused, draw: Draw
) -> None:
    shot = deep(surface(*on_surface()))
    for name in ("x", "y"):
        draw(f"in/{name}.png", shot)
        draw(f"maps/{name}.png", shot[..., 0].copy())
    run = ("capture", "in", "--quad", QUAD, "-q")
    assert "need a folder" in refused(2, "capture", "in/x.png", "in/y.png", "--quad", QUAD, "-o", "o.png")
    assert "give a folder of maps" in refused(2, *run, "--map", "h=maps/x.png", "-o", "out/")
    ran = good(texsynth(*run, "--map", "h=maps", "-o", "out/"))
    assert ran.out.splitlines() == ["out/x.png", "out/y.png"]
    assert {path.name for path in Path("out").glob("*.png")} == {"x.png", "y.png", "x_h.png", "y_h.png"}
    (Path("in") / "z.png").write_bytes(b"no picture")
    assert texsynth(*run, "-o", "out/", "--skip-existing", "--keep-going").code == 6


def test_a_dry_run_writes_nothing_and_says_the_size(texsynth: Texsynth, draw: Draw) -> None:
    draw("a.png", deep(surface(*on_surface())))
    run = ("capture", "a.png", "--quad", QUAD, "--size", "132x96", "-o", "o.png", "-q")
    ran = good(texsynth(*run, "--dry-run"))
    assert ran.out.startswith("o.png: 132x96, about ") and not Path("o.png").exists()
    good(texsynth(*run))
    before = Path("o.png").read_bytes()
    assert texsynth(*run).code == 2
    good(texsynth(*run, "--force"))
    assert Path("o.png").read_bytes() == before


def test_python_gives_the_same(texsynth: Texsynth, draw: Draw) -> None:
    shot = draw("a.png", deep(surface(*on_surface())))
    good(texsynth("capture", "a.png", "--quad", QUAD, "-o", "o.png", "-q"))
    quad: Any = [value for corner in CORNERS for value in corner]
    result = api.capture(shot, quad=quad, maps={"detail": "a.png"})
    assert np.array_equal(image.to_array(result.image), array("o.png"))
    assert set(result.layers) == {"detail"}


def test_examples_in_the_help_run(texsynth: Texsynth, examples: Callable[[str], list[list[str]]]) -> None:
    commands = examples("capture")
    assert commands
    for words in commands:
        good(texsynth(*words[1:], "-q"))
