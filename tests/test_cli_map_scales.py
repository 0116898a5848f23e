"""Maps keep their own resolution: through every verb, each block of values is one that lies on the copied pixel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import texsynth as api
from conftest import QUICK, Draw, Picture, Refused, Texsynth, array
from pictures import bytes_of, spots, white
from texsynth.image import picture as image

Places = dict[str, np.ndarray]  # of a saved field
FIELD = ("--save-field", *QUICK)


def places(stem: str) -> Places:
    """Where each pixel was copied from."""
    return dict(np.load(f"{stem}_field.npz"))


def check_blocks(stem: str, name: str, scale: int, *maps: np.ndarray, corner: tuple[int, int] = (0, 0)) -> None:
    """Every scale x scale block of a written map is that of the source pixel, mirrored where its copy is.

    maps: the whole map of each exemplar. corner: the (y, x) of the crop of the exemplars.
    """
    made, field = array(f"{stem}_{name}.png"), places(stem)
    height, width = field["y"].shape
    assert made.shape[:2] == (scale * height, scale * width)
    for y, x in np.ndindex(height, width):
        top, left = scale * (int(field["y"][y, x]) + corner[0]), scale * (int(field["x"][y, x]) + corner[1])
        source = maps[field["exemplar"][y, x]][top : top + scale, left : left + scale].squeeze(-1)
        mirrored = field["copies"][field["copy"][y, x]] == "flip-x"
        block = made[scale * y : scale * (y + 1), scale * x : scale * (x + 1)]
        assert np.array_equal(block, source[:, ::-1] if mirrored else source), (y, x)


@pytest.fixture
def heights(picture: Picture) -> np.ndarray:
    """a.png of 16 x 12 pixels, and h.png, a 16-bit map twice as large."""
    picture("a.png", (12, 16))
    return picture("h.png", (24, 32), channels=1, dtype="uint16")


@pytest.mark.parametrize("more", [(), ("--tile", "xy"), ("-n", "2"), ("--size", "21x17", "--crop", "3,2,9,8")])
def test_a_larger_map_is_copied_at_its_resolution(
    texsynth: Texsynth, heights: np.ndarray, more: tuple[str, ...]
) -> None:
    """Without a word, as nothing is lost."""
    ran = texsynth("synthesize", "a.png", "-o", "o.png", "--map", "h=h.png", *more, *FIELD)
    assert (ran.code, ran.err) == (0, "")
    for stem in ("o-1", "o-2") if "-n" in more else ("o",):
        check_blocks(stem, "h", 2, heights, corner=(2, 3) if "--crop" in more else (0, 0))
        assert array(f"{stem}_h.png").dtype == np.uint16


# By what it does: the command, and the rows and columns of a.png that stay.
WAYS: dict[str, tuple[tuple[str, ...], slice, slice]] = {
    "control": (("control", "--progression", "a.png", "a.png"), slice(0), slice(0)),
    "inpaint": (("inpaint", "--mask", "m.png"), slice(8, 12), slice(16)),
    "tileable": (("inpaint", "--make-tileable", "xy", "--band", "4"), slice(2, 10), slice(2, 14)),
    "extend": (("inpaint", "--extend", "1,2,3,4"), slice(12), slice(16)),
    "retarget": (("edit", "--retarget", "20x10"), slice(0), slice(0)),
    "reshuffle": (("edit", "--reshuffle"), slice(0), slice(0)),
    "move": (
        ("edit", "--mask", "m.png", "--target-mask", "t.png", "--keep-background", "--margin", "1"),
        slice(3),
        slice(16),
    ),
    "remove": (("edit", "--remove", "m.png"), slice(8, 12), slice(16)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_verb_copies_larger_maps_whole(texsynth: Texsynth, heights: np.ndarray, way: str) -> None:
    """What stays of the picture stays of the map, bit for bit."""
    image.write("m.png", image.from_array(white((12, 16), (slice(4, 8), slice(5, 9)))))
    image.write("t.png", image.from_array(white((12, 16), (slice(6, 10), slice(7, 11)))))
    (verb, *words), rows, columns = WAYS[way]
    ran = texsynth(verb, "a.png", *words, "-o", "o.png", "--map", "h=h.png", *FIELD)
    assert ran.code == 0, ran.err
    top, left = (2, 1) if way == "extend" else (0, 0)
    check_blocks("o", "h", 2, np.pad(heights, ((2 * top, 8), (2 * left, 6), (0, 0))) if top else heights)
    made = array("o_h.png")[2 * top :, 2 * left :]
    here = slice(2 * (rows.start or 0), 2 * rows.stop), slice(2 * (columns.start or 0), 2 * columns.stop)
    assert np.array_equal(made[here], heights.squeeze(-1)[here])


def test_the_maps_of_a_mosaic_and_of_a_remix(texsynth: Texsynth, picture: Picture) -> None:
    """Each map is measured by its own exemplar; a coarser one is brought to the finest by repeating its values."""
    picture("a.png", (12, 16))
    picture("b.png", (10, 10), seed=1)
    two = picture("two.png", (24, 32), channels=1), picture("too.png", (20, 20), channels=1, seed=4)
    coarse = picture("coarse.png", (5, 5), channels=1, seed=5)
    both = ("--map", "h=two.png", "--map", "h=too.png")
    assert texsynth("barycenter", "a.png", "b.png", "--mode", "mosaic", "-o", "m.png", *both, *FIELD).err == ""
    check_blocks("m", "h", 2, *two)
    words = ("synthesize", "a.png", "b.png", "-o", "o.png", "--map", "h=two.png", "--map", "h=coarse.png")
    ran = texsynth(*words, "--save-field", "-p", "steady")
    assert "the maps h are 2, 1/2 times as fine as their exemplars; all are brought to 2" in ran.err
    check_blocks("o", "h", 2, two[0], coarse.repeat(4, 0).repeat(4, 1))


def test_a_smaller_map_keeps_its_resolution_where_the_output_allows_it(texsynth: Texsynth, picture: Picture) -> None:
    """Each value is that on the pixel that the middle of its cell was copied from."""
    picture("a.png", (12, 16))
    half = picture("half.png", (6, 8), channels=1)
    words = ("synthesize", "a.png", "--map", "m=half.png", "--save-field", "-p", "steady", "-o")
    assert "half" not in texsynth(*words, "o.png", "--size", "20x14").err
    field = {name: values[1::2, 1::2] for name, values in places("o").items() if values.ndim == 2}
    assert np.array_equal(array("o_m.png"), half[field["y"] // 2, field["x"] // 2].squeeze(-1))
    ran = texsynth(*words, "odd.png", "--size", "21x14")
    assert "21x14 does not divide by 2: it is written at that size with its values repeated; 22x14 would" in ran.err
    field = places("odd")
    assert np.array_equal(array("odd_m.png"), half[field["y"] // 2, field["x"] // 2].squeeze(-1))


def test_a_grey_map_that_is_called_normal_is_copied_as_it_is(texsynth: Texsynth, heights: np.ndarray) -> None:
    """It has no second channel that could turn with a mirrored copy."""
    ran = texsynth("synthesize", "a.png", "-o", "o.png", "--map", "normal=h.png", "--save-field", "-p", "steady")
    assert ran.code == 0 and "h.png is grey, so it holds no normals" in ran.err
    check_blocks("o", "normal", 2, heights)


def test_a_photograph_on_its_side_has_maps_on_their_side(texsynth: Texsynth, heights: np.ndarray) -> None:
    """The scale is that of the picture as it is shown."""
    image.write("flat.png", image.from_array(np.ascontiguousarray(np.rot90(heights))))
    with Image.open("flat.png") as stored:
        exif = stored.getexif()
        exif[0x0112] = 6  # turn by a quarter, clockwise
        stored.save("side.png", exif=exif)
    assert texsynth("synthesize", "a.png", "-o", "o.png", "--map", "h=side.png", *FIELD).err == ""
    check_blocks("o", "h", 2, heights)


def test_batches_replays_and_python_agree(texsynth: Texsynth, heights: np.ndarray) -> None:
    for folder in ("in", "maps"):
        Path(folder).mkdir()
    Path("in/a.png").write_bytes(Path("a.png").read_bytes())
    Path("maps/a.png").write_bytes(Path("h.png").read_bytes())
    assert texsynth("synthesize", "in", "-o", "out/", "--map", "h=maps", *FIELD).code == 0
    check_blocks("out/a", "h", 2, heights)
    texsynth("synthesize", "a.png", "-o", "o.png", "--map", "h=h.png", *QUICK)
    assert texsynth("synthesize", "--from", "o.png", "-o", "again.png", "-q").code == 0
    assert Path("again_h.png").read_bytes() == Path("o_h.png").read_bytes()
    made = api.synthesize("a.png", preset="steady", maps={"h": "h.png"}).maps["h"]
    assert np.array_equal(image.to_array(made), array("o_h.png"))


def test_the_memory_of_large_maps_is_foreseen(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    """In the estimate, before a map is enlarged to go with another, and before a border is added."""
    picture("a.png")
    picture("b.png", (64, 64), seed=1)
    picture("large.png", (256, 256), channels=1)
    plans = [
        texsynth("synthesize", "a.png", "-o", "o.png", *more, "--dry-run", "--json", *QUICK).out
        for more in ((), ("--map", "h=large.png"))
    ]
    plain, mapped = (json.loads(plan)["runs"][0]["memory_bytes"] for plan in plans)
    assert mapped - plain >= 4 * 256 * 256
    small = ("--max-memory", "4M", *QUICK)
    remix = ("synthesize", "a.png", "b.png", "-o", "o.png", "--map", "h=large.png", "--map", "h=b.png")
    assert "1024x1024 needs more than" in refused(4, *remix, *small)
    wide = ("inpaint", "a.png", "--extend", "0,0,64,64", "-o", "o.png", "--map", "h=large.png")
    assert "80x80 needs more than 6 MB" in refused(4, *wide, "--max-memory", "3200k", *QUICK)


@pytest.mark.parametrize(
    ("verb", "more"), [("synthesize", ("--set", "copies=all", "-s", "64")), ("control", ("--orientation", "circle"))]
)
def test_the_solver_brings_blocks_together_as_it_does_pixels(
    texsynth: Texsynth, draw: Draw, verb: str, more: tuple[str, ...]
) -> None:
    """A map that says at each value which pixel of the exemplar it lies on says where the result comes from."""
    draw("a.png", bytes_of(spots(32, 32)))
    y, x = np.mgrid[:64, :64] // 2
    draw("p.png", (32 * y + x).astype(np.uint16))
    words = (*more, "--map", "p=p.png", "--set", "passes=[1]", "--set", "starts=1", "--save-field", "-q")
    made = texsynth(verb, "a.png", "-o", "o.png", *words)
    assert made.code == 0, made.err
    copied = np.stack(np.divmod(array("o_p.png"), 32)).astype(int)
    field = np.stack([places("o")[name].repeat(2, 0).repeat(2, 1) for name in ("y", "x")])
    reach = 0 if verb == "synthesize" else 1  # turned blocks reach into the pixels beside their own
    assert abs(copied - field).max() <= reach and (copied == field).all(0).mean() > 0.5
