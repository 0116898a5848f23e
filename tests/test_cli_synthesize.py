"""`texsynth synthesize`: what the flags do to the picture and to the files beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import QUICK, Picture, Refused, Texsynth, array
from texsynth.image import picture as image

pytestmark = pytest.mark.usefixtures("exemplar")


EXACT = (*QUICK, "--exact-copies")


def colours(values: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in values.reshape(-1, values.shape[-1] if values.ndim == 3 else 1)}


def test_the_first_command(texsynth: Texsynth, picture: Picture) -> None:
    """The real thing: default preset and size; with exact copies every pixel is one of the exemplar's."""
    exemplar = picture("a.png", (32, 32))
    ran = texsynth("synthesize", "a.png", "-o", "out.png", "--exact-copies")
    assert (ran.code, ran.out) == (0, "out.png\n") and array("out.png").shape == (64, 64, 3)
    assert colours(array("out.png")) <= colours(exemplar)


def test_without_o_the_output_is_named_after_input_and_verb(texsynth: Texsynth, picture: Picture) -> None:
    picture("sub/a.png")
    assert texsynth("synthesize", "sub/a.png", *QUICK).out == "a_synthesize.png\n"
    assert Path("a_synthesize.png").exists()


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        *(("20x12", (12, 20)), ("24", (24, 24)), ("2x", (40, 32)), ("0.5x", (10, 8)), ("1.5X", (30, 24))),
        *(("150%", (30, 24)), ("62.5%", (13, 10)), ("200%x50%", (10, 32))),
    ],
)
def test_size(texsynth: Texsynth, picture: Picture, size: str, shape: tuple[int, int]) -> None:
    picture("a.png", (20, 16))
    assert texsynth("synthesize", "a.png", "-o", "out.png", "-s", size, *QUICK).code == 0
    assert array("out.png").shape[:2] == shape


@pytest.mark.parametrize(
    "size", ["", "big", "0", "7", "20x7", "20x-20", "-5", "0.1x", "20*20", "x", "%", "40%", "150%x2x", "1e9%"]
)
def test_a_size_that_is_none(refused: Refused, size: str) -> None:
    assert "--size" in refused(2, "synthesize", "a.png", "-o", "out.png", f"--size={size}")


@pytest.mark.parametrize(
    ("channels", "dtype", "suffix"),
    [
        (1, "uint8", "png"),
        (1, "uint16", "png"),
        (2, "uint16", "png"),
        (3, "uint16", "png"),
        (4, "uint8", "png"),
        (4, "uint16", "tif"),
        (3, "float32", "tif"),
        (1, "float16", "tif"),
    ],
)
def test_pixels_are_copied_exactly_in_their_own_depth(
    texsynth: Texsynth, picture: Picture, channels: int, dtype: str, suffix: str
) -> None:
    exemplar = picture(f"a.{suffix}", channels=channels, dtype=dtype)
    assert texsynth("synthesize", f"a.{suffix}", "-o", f"out.{suffix}", "--alpha", "keep", *EXACT).code == 0
    made = array(f"out.{suffix}")
    assert made.dtype == exemplar.dtype and made.shape[2:] == exemplar.squeeze().shape[2:]
    assert colours(made) <= colours(exemplar.squeeze()) and len(colours(made)) > 20


def test_floats_beyond_one_are_copied_as_they_are(texsynth: Texsynth, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32) * 40
    image.write(tmp_path / "a.tif", image.from_array(values))
    assert texsynth("synthesize", "a.tif", "-o", "out.tif", *EXACT).code == 0
    assert colours(array("out.tif")) <= colours(values) and array("out.tif").max() > 10


def test_a_loss_of_depth_is_said(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png", dtype="uint16")
    ran = texsynth("synthesize", "a.png", "-o", "out.jpg", "-p", "steady")
    assert "uint16 stored as uint8" in ran.err


def test_remix_copies_from_all_and_widens_to_the_deepest(texsynth: Texsynth, picture: Picture) -> None:
    grey = picture("grey.png", channels=1)
    deep = picture("deep.png", (20, 24), channels=4, dtype="uint16", seed=1)
    words = ("grey.png", "deep.png", "-o", "out.png", "-s", "48", "-p", "steady", "--alpha", "keep", "--exact-copies")
    ran = texsynth("synthesize", *words)
    assert "the exemplars differ in kind; the result has 3 channel(s) of uint16 and alpha" in ran.err
    wide = np.concatenate([grey.astype(np.uint16).repeat(3, axis=2) * 257, np.full((16, 16, 1), 65535)], axis=2)
    made = colours(array("out.png"))
    assert made <= colours(wide) | colours(deep) and made & colours(wide) and made & colours(deep)


def test_tile_reaches_the_run(texsynth: Texsynth) -> None:
    entries = [
        json.loads(texsynth("synthesize", "a.png", "-o", f"{tile}.png", "--tile", tile, "--json", *QUICK).out)
        for tile in ("none", "x", "y", "xy")
    ]
    assert [entry["runs"][0]["record"]["tile"] for entry in entries] == ["none", "x", "y", "xy"]


def test_source_mask(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    exemplar = picture("a.png")
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 128  # just above half
    mask[:, :8] = 127
    image.write("m.png", image.from_array(mask))
    texsynth("synthesize", "a.png", "-o", "o.png", "--source-mask", "m.png", *QUICK)
    assert colours(array("o.png")) <= colours(exemplar[:, 8:])
    image.write("black.png", image.from_array(mask * 0))
    words = ("synthesize", "a.png", "-o", "p.png", "--source-mask")
    assert "leaves nothing to copy" in refused(3, *words, "black.png")
    assert "leaves nothing to copy from inside the crop" in refused(3, *words, "m.png", "--crop", "0,0,8,8")


def test_crop_cuts_exemplar_maps_and_mask_alike(texsynth: Texsynth, picture: Picture) -> None:
    exemplar = picture("a.png", (20, 24))
    height = picture("h.png", (20, 24), channels=1)
    mask = np.zeros((20, 24), np.uint8)
    mask[8:] = 255
    image.write("m.png", image.from_array(mask))
    crop = ("--crop", "10,4,12,16", "--source-mask", "m.png")
    texsynth("synthesize", "a.png", "-o", "o.png", "--map", "h=h.png", *crop, *QUICK)
    assert array("o.png").shape == (32, 24, 3)
    assert colours(array("o.png")) <= colours(exemplar[8:20, 10:22])
    assert set(array("o_h.png").flatten()) <= set(height[8:20, 10:22].flatten())


@pytest.mark.parametrize("crop", ["0,0,17,16", "0,1,16,16", "-1,0,8,8", "0,0,7,8", "0,0,8", "a,b,c,d", "0,0,8.5,8", ""])
def test_a_crop_that_is_none(refused: Refused, crop: str) -> None:
    assert "--crop" in refused(2, "synthesize", "a.png", "-o", "o.png", f"--crop={crop}")


def test_hidden_colours_do_not_matter(texsynth: Texsynth, tmp_path: Path) -> None:
    """Two exemplars that differ only where they are fully transparent are matched alike."""
    values = np.random.default_rng(0).integers(0, 255, (24, 24, 4), dtype=np.uint8)
    values[..., 3] = 255
    values[4:12, 4:12, 3] = 0
    other = values.copy()
    other[4:12, 4:12, :3] = 255
    fields = []
    for name, pixels in (("a", values), ("b", other)):
        image.write(tmp_path / f"{name}.png", image.from_array(pixels))
        texsynth(
            "synthesize",
            f"{name}.png",
            "-o",
            f"o{name}.png",
            "--quality",
            "draft",
            "-q",
            "--save-field",
            "--alpha",
            "keep",
        )
        field = np.load(f"o{name}_field.npz")
        fields.append([field[key].tolist() for key in ("copy", "y", "x")])
    assert fields[0] == fields[1]
    assert 0 in array("oa.png")[..., 3]  # transparent pixels are copied too


def test_init_is_read_and_recorded(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    picture("start.png", (10, 30))
    ran = texsynth("synthesize", "a.png", "-o", "o.png", "--init", "start.png", "--json", "-p", "steady")
    assert "start.png is 30x10, stretched to 32x32" in ran.err
    assert json.loads(ran.out)["runs"][0]["record"]["inputs"][-1]["role"] == "init"
    refused(3, "synthesize", "a.png", "-o", "p.png", "--init", "nothing.png")


def test_flatten_evens_out_a_vignette_and_says_so(texsynth: Texsynth, tmp_path: Path) -> None:
    light = np.linspace(0.4, 1, 64)[None, :, None]
    values = (light * np.random.default_rng(0).uniform(0.5, 0.9, (64, 64, 1)) * 255).astype(np.uint8)
    image.write(tmp_path / "a.png", image.from_array(values))
    plain = texsynth("synthesize", "a.png", "-o", "plain.png", "-p", "steady", "--save-field")
    even = texsynth("synthesize", "a.png", "-o", "even.png", "-p", "steady", "--flatten", "--save-field")
    assert "a.png:" in even.err and "a.png:" not in plain.err

    def slope(name: str) -> float:
        """How much brighter pixels from the right of the exemplar are than those from its left."""
        x, made = np.load(f"{name}_field.npz")["x"], array(f"{name}.png").astype(float)
        return float(made[x > 40].mean() - made[x < 24].mean())

    assert array("even.png").ndim == 2 and abs(slope("even")) < 0.3 * slope("plain")


def test_seeds(texsynth: Texsynth) -> None:
    for name, seed in (("o", 3), ("p", 3), ("q", 4)):
        texsynth("synthesize", "a.png", "-o", f"{name}.png", "--seed", seed, *QUICK)
    assert Path("o.png").read_bytes() == Path("p.png").read_bytes()
    assert (array("o.png") != array("q.png")).any()


def test_variations_have_their_own_seeds_and_names(texsynth: Texsynth) -> None:
    ran = texsynth("synthesize", "a.png", "-o", "o.png", "-n", 3, "--seed", 5, *QUICK)
    assert ran.out == "o-1.png\no-2.png\no-3.png\n"
    seeds = [(image.read_metadata(f"o-{n}.png") or {})["seed"] for n in (1, 2, 3)]
    assert seeds == [5, 6, 7] and not Path("o.png").exists()
    texsynth("synthesize", "a.png", "-o", "six.png", "--seed", 6, *QUICK)
    assert Path("six.png").read_bytes() == Path("o-2.png").read_bytes()


def test_pick_keeps_the_best(texsynth: Texsynth) -> None:
    words = ("synthesize", "a.png", "-n", 4, "--json", *QUICK)
    every = json.loads(texsynth(*words, "-o", "o.png").out)["runs"]
    best = json.loads(texsynth(*words, "-o", "best.png", "--pick", "best").out)["runs"]
    assert len({run["score"] for run in every}) == 4
    wanted = min(every, key=lambda run: run["score"])
    assert [(run["seed"], run["score"]) for run in best] == [(wanted["seed"], wanted["score"])]
    assert (array("best.png") == array(wanted["image"])).all() and not list(Path().glob("best-*"))


def test_metadata_may_be_left_out(texsynth: Texsynth) -> None:
    texsynth("synthesize", "a.png", "-o", "o.png", "--no-metadata", *QUICK)
    texsynth("synthesize", "a.png", "-o", "o.jpg", "--no-metadata", *QUICK)
    assert image.read_metadata("o.png") is None and not list(Path().glob("*.json"))


def test_report(texsynth: Texsynth, refused: Refused) -> None:
    texsynth("synthesize", "a.png", "-o", "o.png", "--report", "r.html", *QUICK)
    assert "<html" in Path("r.html").read_text("utf-8").lower()
    words = ("synthesize", "a.png", "-o", "p.png", "-n", 2, *QUICK, "--report")
    texsynth(*words, "s.html")
    assert Path("s_p-1.html").exists() and Path("s_p-2.html").exists()
    assert "r.html exists" in refused(2, "synthesize", "a.png", "-o", "q.png", "--report", "r.html")
    assert "no folder" in refused(2, "synthesize", "a.png", "-o", "q.png", "--report", "no/r.html")
