"""texsynth maps stereo: photographs of a rendered relief, with shadows and highlights, against the relief itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scenes
from asking import entry_of, good, record_of
from conftest import Draw, Refused, Texsynth, array
from texsynth.errors import InputError
from texsynth.image import picture as image
from texsynth.image.codecs import Tags
from texsynth.image.codecs.tags import LINEAR_GAMMA
from texsynth.image.seen import light_of
from texsynth.material import lights

EIGHT = scenes.lamps(8)
UPRIGHT = np.array([0, 0, 1])
Shoot = Callable[..., list[str]]


@pytest.fixture(scope="module")
def surface() -> scenes.Scene:
    return scenes.scene()


@pytest.fixture
def shoot(draw: Draw, surface: scenes.Scene) -> Shoot:
    """Write photographs shot_1.png and so on under lamps; gives their names."""

    def make(lamps: np.ndarray, **kind: float) -> list[str]:
        for number, lamp in enumerate(lamps, 1):
            draw(f"shot_{number}.png", surface.photograph(lamp, **kind))
        return [f"shot_{number}.png" for number in range(1, len(lamps) + 1)]

    return make


def written(lamps: np.ndarray, name: str = "lamps.txt") -> str:
    """A file of lamps, in their order."""
    Path(name).write_text("# x y z\n" + "\n".join(" ".join(f"{part:.5f}" for part in lamp) for lamp in lamps))
    return name


def off(surface: scenes.Scene, name: str = "out/shot_Normal.png") -> float:
    """The mean angle in degrees between the normals in a file and those of the surface."""
    vectors = array(name) / 65535 * 2 - 1
    cosine = (vectors * surface.normals).sum(-1) / np.linalg.norm(vectors, axis=-1)
    return float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean())


def decoded(name: str) -> np.ndarray:
    """The linear light in a file of sRGB in 16 bits."""
    values = array(name) / 65535
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def test_lamps_that_are_known_give_normals_and_colours(texsynth: Texsynth, shoot: Shoot, surface: scenes.Scene) -> None:
    """To less than 3 degrees on average, and colours to 2 % of white."""
    ran = good(texsynth("maps", "stereo", *shoot(EIGHT), "--lights", written(EIGHT), "-o", "out/", "-q"))
    assert ran.out.splitlines() == ["out/shot_BaseColor.png", "out/shot_Normal.png"]
    assert off(surface) < 1.5
    assert np.abs(decoded("out/shot_BaseColor.png") - surface.colours).mean() < 0.02


def test_shadows_and_highlights_are_left_out(texsynth: Texsynth, shoot: Shoot, surface: scenes.Scene) -> None:
    """Plain least squares of the same photographs is further off by more than a factor of three."""
    names = shoot(EIGHT)
    good(texsynth("maps", "stereo", *names, "--lights", written(EIGHT), "-o", "out/", "-q"))
    light = np.stack([(array(name) / 255.0) ** 2.2 for name in names]).mean(-1)
    plain = np.moveaxis(np.tensordot(np.linalg.pinv(EIGHT), light, 1), 0, -1)
    plain /= np.linalg.norm(plain, axis=-1, keepdims=True)
    assert 3 * off(surface) < np.degrees(np.arccos((plain * surface.normals).sum(-1).clip(-1, 1))).mean()


@pytest.mark.parametrize("heights", [(35, 55), (45,)])
def test_lamps_are_estimated(
    texsynth: Texsynth, shoot: Shoot, surface: scenes.Scene, heights: tuple[float, ...]
) -> None:
    """To less than 6 degrees on average, also where they stand in one ring whose height is assumed."""
    names = shoot(scenes.lamps(8, heights))
    ran = texsynth("maps", "stereo", *names, "-o", "out/", "--progress", "none")
    assert "equally bright, far away, over a surface that is level on the whole" in ran.err
    assert ("one ring" in ran.err) == (len(heights) == 1)
    assert off(surface) < 3.5


def test_a_base_colour_says_what_its_numbers_are(texsynth: Texsynth, shoot: Shoot) -> None:
    """Linear light in floats, sRGB in whole numbers, whatever the photographs are."""
    pytest.importorskip("OpenEXR")
    names = shoot(EIGHT[:3])
    for name in names:
        picture = image.read(name)
        linear = replace(picture, pixels=light_of(picture.pixels), depth="float32", tags=Tags(gamma=LINEAR_GAMMA))
        image.write(Path(name).with_suffix(".exr"), linear)
    lights = ("--lights", written(EIGHT[:3]), "-q")
    of_floats = [str(Path(name).with_suffix(".exr")) for name in names]
    for kind, sources in (("whole", names), ("floats", of_floats)):
        assert texsynth("maps", "stereo", *sources, *lights, "-o", f"{kind}/").code == 0
        assert texsynth("maps", "stereo", *sources, *lights, "-o", f"{kind}_linear/", "--depth", "float").code == 0
    coded, linear = (image.read(f"{kind}/shot_BaseColor.png").tags.gamma for kind in ("whole", "whole_linear"))
    assert (coded, linear) == (None, LINEAR_GAMMA)
    coded, linear = (image.read(f"{kind}/shot_BaseColor.png").tags.gamma for kind in ("floats", "floats_linear"))
    assert (coded, linear) == (None, LINEAR_GAMMA)
    one, two = (array(f"{kind}/shot_BaseColor.png").astype(int) for kind in ("whole", "floats"))
    assert np.abs(one - two).max() < 100


def test_hollows_and_bumps_can_be_exchanged(texsynth: Texsynth, shoot: Shoot) -> None:
    for folder, more in (("out/", ()), ("turned/", ("--invert",))):
        assert texsynth("maps", "stereo", *shoot(EIGHT[:6]), "-o", folder, "-q", *more).code == 0
    one, two = (array(f"{folder}/shot_Normal.png") / 65535 * 2 - 1 for folder in ("out", "turned"))
    assert np.abs(one[..., :2] + two[..., :2]).mean() < 0.05


@pytest.mark.parametrize("ball", ["mirror", "matte"])
def test_a_ball_shows_the_lamps(texsynth: Texsynth, shoot: Shoot, draw: Draw, surface: scenes.Scene, ball: str) -> None:
    """The ball stands beside the surface, which --crop takes alone."""
    names = shoot(EIGHT)
    y, x = np.mgrid[:72, :60]
    right, up = (x + 0.5 - 30) / 25, -(y + 0.5 - 30) / 25
    inside = right**2 + up**2 < 1
    normals = np.dstack([right, up, np.sqrt((1 - right**2 - up**2).clip(0))])
    for name, lamp in zip(names, EIGHT, strict=True):
        halfway = (lamp + UPRIGHT) / np.linalg.norm(lamp + UPRIGHT)
        shine = (normals @ halfway).clip(0) ** 400 if ball == "mirror" else 0.8 * (normals @ lamp).clip(0)
        coded = np.rint(255 * np.where(inside, shine, 0) ** (1 / 2.2)).astype(np.uint8)
        draw(name, np.concatenate([array(name), np.repeat(coded[..., None], 3, 2)], 1))
    words = ("--sphere", "102,30,25", "--ball", ball, "--crop", "0,0,72,72", "-o", "out/", "-q")
    entry = entry_of(texsynth, "maps", "stereo", *names, *words)
    assert np.degrees(np.arccos((np.array(entry["lamps"]) * EIGHT).sum(1).clip(-1, 1))).max() < 3
    assert off(surface) < 3


def test_a_height_comes_with_its_strength(texsynth: Texsynth, shoot: Shoot, surface: scenes.Scene) -> None:
    words = ("--lights", written(EIGHT), "-o", "out/", "-q", "--height", "--tile", "xy", "--normals", "dx")
    good(texsynth("maps", "stereo", *shoot(EIGHT), *words))
    height = array("out/shot_Height.png") / 65535 * record_of("out/shot_Height.png")["measured"]["strength"]
    assert np.corrcoef(height.ravel(), surface.height.ravel())[0, 1] > 0.97
    good(texsynth("maps", "normal", "out/shot_Height.png", "-q", "-o", "n.png"))
    vectors = array("out/shot_Normal.png") / 65535 * 2 - 1
    assert np.abs(array("n.png") / 65535 * 2 - 1 - vectors * (1, -1, 1)).mean() < 0.06


def test_lamps_are_named_in_any_order(texsynth: Texsynth, shoot: Shoot) -> None:
    names = shoot(EIGHT[:4])
    good(texsynth("maps", "stereo", *names, "--lights", written(EIGHT[:4]), "-o", "a/", "-q", "--no-metadata"))
    stored = {name: list(lamp) for name, lamp in zip(names, EIGHT, strict=False)}
    Path("lamps.json").write_text(json.dumps(stored))
    Path("named.txt").write_text("\n".join(f"{n[:-4]}, {x}, {y}, {z}" for n, (x, y, z) in reversed(stored.items())))
    for file in ("lamps.json", "named.txt"):
        good(texsynth("maps", "stereo", *names, "--lights", file, "-o", f"{file}_/", "-q", "--no-metadata"))
        for made in ("shot_Normal.png", "shot_BaseColor.png"):
            assert np.median(np.abs(array(f"{file}_/{made}").astype(int) - array(f"a/{made}"))) <= 2


def test_what_gives_no_answer_is_refused(refused: Refused, shoot: Shoot, draw: Draw) -> None:
    names = shoot(EIGHT)
    run = ("maps", "stereo", *names, "-q", "-o", "out/")
    assert "from 6 to 64 are needed" in refused(2, "maps", "stereo", *names[:5], "-o", "out/")
    lights = ("--lights", written(EIGHT[:2]))
    assert "from 3 to 64" in refused(2, "maps", "stereo", *names[:2], *lights, "-o", "out/")
    assert "2 directions for 8 photographs" in refused(3, *run, *lights)
    level = EIGHT * (1, 0, 1)
    assert "in one plane" in refused(3, *run, "--lights", written(level))
    assert "before the surface" in refused(3, *run, "--lights", written(EIGHT * (1, 1, -1)))
    for words in ("a b c", "1 2", "[" * 99, "1 2 nan"):
        Path("bad.txt").write_text(words)
        assert "bad.txt" in refused(3, *run, "--lights", "bad.txt")
    Path("bad.txt").write_bytes(bytes(range(128, 200)))
    assert "no text" in refused(3, *run, "--lights", "bad.txt")
    for sphere in ("1,2", "30,nan,10", "nan,30,10", "30,30,inf"):
        assert "--sphere" in refused(2, *run, "--sphere", sphere)
    assert "reaches outside" in refused(3, *run, "--sphere", "70,70,20")
    assert "--invert" in refused(2, *run, "--lights", written(EIGHT), "--invert")
    assert "-o" in refused(2, "maps", "stereo", *names)
    draw("shot_9.png", array("shot_1.png")[:40])
    assert "one size" in refused(3, *run, "shot_9.png")
    for name in names:
        draw(name, np.zeros((32, 32, 3), np.uint8))
    assert "black" in refused(3, *run)
    assert not Path("out").exists()


def test_a_plan_says_what_would_be_written(texsynth: Texsynth, shoot: Shoot) -> None:
    names = shoot(EIGHT[:3], noise=0.0)
    run = ("maps", "stereo", *names, "--lights", written(EIGHT[:3]), "-o", "out/", "--progress", "none")
    entry = entry_of(texsynth, *run, "--dry-run", "-q")
    assert entry["files"] == {"base_colour": "out/shot_BaseColor.png", "normal": "out/shot_Normal.png"}
    assert not Path("out").exists()
    ran = texsynth(*run)
    assert "three photographs leave nothing" in ran.err
    assert texsynth(*run).code == 2
    assert texsynth(*run, "--force", "--format", "tiff", "--depth", "float").code == 0
    assert image.read("out/shot_Normal.tif").depth == "float32"


def test_a_stem_of_two_files_names_no_photograph(tmp_path: Path) -> None:
    file = tmp_path / "lamps.txt"
    file.write_text("a.png 1 0 1\na.jpg -1 0 1\nb.png 0 1 1\nc.png 0 -1 1\n")
    with pytest.raises(InputError, match=r"says nothing of a\.tif"):
        lights.read(file, ["a.tif", "b.tif", "c.tif"])
    assert len(lights.read(file, ["a.jpg", "b.tif", "c.tif"])) == 3
