"""texsynth guide: every kind writes its map, and every mistake is one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import Picture, Refused, Texsynth, array
from texsynth.image import picture as image

DRAWN = ("perlin", "radial", "linear", "stripes")


@pytest.mark.parametrize("kind", DRAWN)
def test_a_drawn_map_is_16_bit_grey_over_the_full_range(texsynth: Texsynth, kind: str) -> None:
    ran = texsynth("guide", kind, "-o", "map.png", "-s", "40x24")
    assert (ran.code, ran.out, ran.err) == (0, "map.png\n", "")
    drawn = array("map.png")
    assert (drawn.shape, drawn.dtype) == ((24, 40), np.uint16)
    assert (drawn.min(), drawn.max()) == (0, 65535)
    texsynth("guide", kind, "-o", "turned.png", "-s", "40x24", "--invert")
    assert abs(drawn.astype(int) + array("turned.png") - 65535).max() <= 1


@pytest.mark.parametrize("kind", DRAWN)
def test_the_smallest_map_needs_no_option(texsynth: Texsynth, kind: str) -> None:
    assert texsynth("guide", kind, "-o", "map.png", "-s", 8).code == 0


def test_options_reach_the_map(texsynth: Texsynth) -> None:
    changes = ((), ("--period", 20), ("--octaves", 1), ("--seed", 7), ("--tile", "xy"))
    for name, words in zip("abcde", changes, strict=True):
        assert texsynth("guide", "perlin", "-o", f"{name}.png", "-s", 48, *words).code == 0
    assert len({Path(f"{name}.png").read_bytes() for name in "abcde"}) == 5
    assert texsynth("guide", "linear", "-o", "down.png", "-s", 16, "--angle", 90).code == 0
    assert (np.diff(array("down.png").astype(int), axis=0) > 0).all()
    assert texsynth("guide", "radial", "-o", "spot.png", "-s", 16, "--centre", "0.03,0.97").code == 0
    assert np.unravel_index(array("spot.png").argmax(), (16, 16)) == (15, 0)
    assert texsynth("guide", "stripes", "-o", "hard.png", "-s", 16, "--period", 8, "--soft", 0).code == 0
    assert np.isin(array("hard.png") // 16384, (0, 3)).mean() > 0.7


def test_the_period_follows_the_size(texsynth: Texsynth) -> None:
    for size in (32, 64):
        texsynth("guide", "stripes", "-o", f"{size}.png", "-s", size)
    small, large = (array(f"{size}.png")[:, 0].astype(float) for size in (32, 64))
    assert np.abs(np.fft.rfft(small - small.mean())).argmax() == np.abs(np.fft.rfft(large - large.mean())).argmax() == 8


@pytest.mark.parametrize("name", ["circle", "spiral", "s-curve", "angle:45"])
def test_a_direction_is_written_as_numbers_or_as_a_picture(texsynth: Texsynth, name: str) -> None:
    ran = texsynth("guide", "direction", name, "-o", "field.npy", "-s", "32x20", "--strokes", "strokes.png")
    assert (ran.code, ran.out, ran.err) == (0, "field.npy\nstrokes.png\n", "")
    field = np.load("field.npy")
    assert (field.shape, field.dtype) == ((2, 20, 32), np.float32)
    assert np.linalg.norm(field, axis=0) == pytest.approx(1, abs=1e-5)
    assert array("strokes.png").shape == (20, 32, 3)
    assert texsynth("guide", "direction", name, "-o", "field.png", "-s", "32x20").code == 0
    drawn = array("field.png")[..., :2].transpose(2, 0, 1) / 65535 * 2 - 1
    assert drawn == pytest.approx(field, abs=1e-4)


def stripes(name: str) -> None:
    """A picture of stripes that run down the screen, brighter to the right."""
    columns = 120 + 60 * np.sin(np.arange(48) * 1.2) + np.arange(48)
    image.write(name, image.from_array(np.broadcast_to(columns[None, :, None], (40, 48, 3)).astype(np.uint8)))


@pytest.mark.parametrize("words", [(), ("--histogram",), ("--sigma", 4)])
def test_a_direction_is_read_out_of_a_picture(texsynth: Texsynth, words: tuple[object, ...]) -> None:
    stripes("photo.png")
    ran = texsynth("guide", "orientation", "photo.png", "-o", "field.npy", "--strokes", "over.png", *words)
    assert (ran.code, ran.out) == (0, "field.npy\nover.png\n")
    assert ran.err.startswith("texsynth: mean coherence ")
    field = np.load("field.npy")
    assert field.shape == (2, 40, 48) and np.abs(field[1]) == pytest.approx(1, abs=0.01)


def test_a_progression_is_read_out_of_a_picture(texsynth: Texsynth) -> None:
    stripes("photo.png")
    ran = texsynth("guide", "progression", "photo.png", "-o", "map.png")
    assert (ran.code, ran.out) == (0, "map.png\n")
    assert ran.err.startswith("texsynth: progression estimated from brightness")
    found = array("map.png")
    assert (found.shape, found.dtype) == ((40, 48), np.uint16)
    assert found[:, -8:].mean() > found[:, :8].mean() + 20000


@pytest.mark.parametrize("words", [("perlin",), ("direction", "circle"), ("progression", "a.png")])
def test_what_exists_is_kept_without_force(
    texsynth: Texsynth, refused: Refused, picture: Picture, words: tuple[str, ...]
) -> None:
    picture("a.png")
    Path("b.png").write_text("mine")
    size = () if "a.png" in words else ("-s", 16)
    assert "b.png exists; --force overwrites it" in refused(2, "guide", *words, "-o", "b.png", *size)
    assert Path("b.png").read_text() == "mine"
    assert texsynth("guide", *words, "-o", "b.png", *size, "--force").code == 0
    assert len(array("b.png")) == 16


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prelin", "-o", "o.png"), "perlin"),
        (("perlin",), "--output"),
        (("perlin", "-o", "o.npy"), "nearest: .png"),
        (("perlin", "-o", "none/o.png"), "no folder"),
        (("perlin", "-o", "o.png", "-s", "2x"), "no picture here to multiply"),
        (("perlin", "-o", "o.png", "-s", "150%"), "no picture here to multiply"),
        (("perlin", "-o", "o.png", "-s", "4"), "at least 8"),
        (("perlin", "-o", "o.png", "-s", "99999x99999"), "at most"),
        (("perlin", "-o", "o.png", "--period", "1"), "--period 1"),
        (("perlin", "-o", "o.png", "--octaves", "0"), "--octaves"),
        (("perlin", "-o", "o.png", "--seed", "-1"), "--seed"),
        (("perlin", "-o", "o.png", "--tile", "z"), "none, x, y, xy"),
        (("radial", "-o", "o.png", "--centre", "middle"), "--centre"),
        (("radial", "-o", "o.png", "--centre", "nan,0"), "--centre"),
        (("linear", "-o", "o.png", "--angle", "nan"), "--angle"),
        (("stripes", "-o", "o.png", "--soft", "2"), "--soft"),
        (("direction", "cirle", "-o", "o.npy"), "did you mean circle?"),
        (("direction", "flow.npy", "-o", "o.npy"), "not built in"),
        (("direction", "angle:abc", "-o", "o.npy"), "number of degrees"),
        (("direction", "circle", "-o", "o.xyz"), "nearest: .png"),
        (("direction", "circle", "-o", "none/o.npy"), "folder"),
        (("direction", "circle", "-o", "o.png", "--strokes", "o.png"), "two names"),
        (("direction", "circle", "-o", "o.npy", "--strokes", "o2.npy"), "nearest: .png"),
        (("orientation", "a.png", "-o", "a.png", "--force"), "is an input"),
        (("orientation", "a.png", "-o", "o.npy", "--strokes", "a.png", "--force"), "is an input"),
        (("orientation", "a.png", "-o", "o.npy", "--histogram", "--sigma", "3"), "exclude each other"),
        (("orientation", "a.png", "-o", "o.npy", "--sigma", "nan"), "--sigma"),
        (("progression", "a.png", "-o", "a.png", "--force"), "is an input"),
    ],
)
def test_usage(refused: Refused, picture: Picture, words: tuple[str, ...], said: str) -> None:
    before = picture("a.png")
    assert said in refused(2, "guide", *words)
    assert [path.name for path in Path().iterdir()] == ["a.png"]
    assert np.array_equal(array("a.png"), before)


@pytest.mark.parametrize("kind", ["orientation", "progression"])
def test_inputs(refused: Refused, picture: Picture, kind: str) -> None:
    picture("small.png", (4, 64))
    assert "8x8" in refused(3, "guide", kind, "small.png", "-o", "o.png")
    assert "none.png" in refused(3, "guide", kind, "none.png", "-o", "o.png")
    image.write("flat.png", image.from_array(np.full((16, 16, 3), 90, np.uint8)))
    if kind == "progression":
        assert "the same everywhere" in refused(3, "guide", kind, "flat.png", "-o", "o.png")
    assert not Path("o.png").exists()


def test_loss_of_depth_is_said(texsynth: Texsynth) -> None:
    ran = texsynth("guide", "linear", "-o", "o.jpg", "-s", 16)
    assert (ran.code, ran.out) == (0, "o.jpg\n") and "uint16 stored as uint8" in ran.err


def test_help_shows_every_kind_and_an_example_for_each(texsynth: Texsynth) -> None:
    assert texsynth("guide").out == texsynth("guide", "--help").out
    for kind in (*DRAWN, "direction", "orientation", "progression"):
        assert kind in texsynth("guide", "--help").out
        assert f"texsynth guide {kind}" in texsynth("guide", kind, "--help").out


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys\nfrom texsynth.cli import main\nmain(['guide', 'perlin', '--help'])\n"
        "assert not {'torch', 'numpy', 'noise'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("kind", ["perlin", "radial"])
def test_hard_maps_are_black_and_white_in_even_parts(texsynth: Texsynth, kind: str) -> None:
    texsynth("guide", kind, "-o", "soft.png", "-s", "40x24")
    texsynth("guide", kind, "-o", "hard.png", "-s", "40x24", "--hard")
    soft, hard = array("soft.png"), array("hard.png")
    assert set(np.unique(hard)) == {0, 65535} and np.array_equal(hard > 0, soft > 32767.5)
