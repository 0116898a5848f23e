"""What masks of the kinds that people draw mark, and what is too ambiguous to mark anything."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import texsynth as texsynth_api
from conftest import Draw, Refused, Texsynth, array
from pictures import white
from texsynth.errors import InputError
from texsynth.image import masks
from texsynth.image import picture as image

SIDE = 64
RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def disc(soft: bool = True, side: int = SIDE) -> np.ndarray:
    """How much of each pixel a disc covers, (side, side) in [0, 1]; with hard edges all or nothing."""
    large = Image.new("L", (side * 8, side * 8))
    ImageDraw.Draw(large).ellipse([side * 2, side * 2.5, side * 5, side * 5.5], fill=255)
    share = np.asarray(large.resize((side, side), Image.Resampling.BOX)) / 255
    return share if soft else (share >= 0.5).astype(float)


def mixed(low: Any, high: Any, share: np.ndarray) -> np.ndarray:
    """A drawing of `high` on `low`, greys or colours, in 8 bits."""
    ground, stroke = np.broadcast_to(low, (*share.shape, np.size(high))), np.asarray(high)
    return (ground + (stroke - ground) * share[..., None]).round().astype(np.uint8).squeeze()


def with_alpha(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([colours, (alpha * 255).round().astype(np.uint8)])


def jpeg(drawing: np.ndarray) -> np.ndarray:
    with io.BytesIO() as file:
        Image.fromarray(drawing).save(file, "JPEG", quality=80)
        return np.asarray(Image.open(file))


def blurred(share: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray((share * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius)))


def read(mask: np.ndarray) -> tuple[np.ndarray, str]:
    """What a mask marks, (h, w) bool, and in which words."""
    reading = masks.understood(image.from_array(mask), "m.png")
    return masks.marked(reading.picture)[0, 0].numpy(), reading.words


PHOTOGRAPH = blurred(np.random.default_rng(1).random((SIDE, SIDE, 3)), 1)
STROKES = {
    "black and white": (mixed(0, 255, disc()), "white"),
    "0 and 1": (mixed(0, 1, disc(soft=False)), "the brighter of two levels, 1 of 255 beside 0 of 255"),
    "0 and 1 in 16 bits": (disc(soft=False).astype(np.uint16), "1 of 65535 beside 0 of 65535"),
    "0 and 255 as floats": ((disc(soft=False) * 255).astype(np.float32), "255 beside 0"),
    "half": (mixed(0, 128, disc()), "128 of 255 beside 0 of 255"),
    "light": (jpeg(mixed(200, 255, disc())), "255 of 255 beside 200 of 255"),
    "near": (jpeg(mixed(100, 150, disc())), "150 of 255 beside 100 of 255"),
    "red on white": (mixed(WHITE, RED, disc()), "red strokes on white"),
    "red on black": (mixed(BLACK, RED, disc()), "red strokes on black"),
    "red on white, JPEG": (jpeg(mixed(WHITE, RED, disc())), "red strokes on white"),
    "white on blue": (mixed(BLUE, WHITE, disc()), "white strokes on blue"),
    "pale on white": (mixed(WHITE, (255, 220, 220), disc()), "#ffdcdc strokes on white"),
    "red on a photograph": (mixed(PHOTOGRAPH, RED, disc()), "red strokes on a picture"),
    "black on transparency": (with_alpha(mixed(BLACK, BLACK, disc()), disc()), "black strokes on transparency"),
    "white on transparency": (with_alpha(mixed(WHITE, WHITE, disc()), disc()), "white strokes on transparency"),
    "a photograph on transparency": (with_alpha(PHOTOGRAPH, disc()), "strokes on transparency"),
    "faint": (with_alpha(mixed(GREEN, GREEN, disc()), 0.3 * disc()), "green strokes of at most 30 % on transparency"),
    "constant alpha": (with_alpha(mixed(BLACK, WHITE, disc()), disc() * 0 + 0.7), "white"),
}


@pytest.mark.parametrize("kind", STROKES)
def test_strokes_are_marked_whatever_their_kind(kind: str) -> None:
    drawing, words = STROKES[kind]
    marks, understood = read(drawing)
    assert words in understood
    assert (marks != (disc() >= 0.5)).mean() <= 0.004, f"{(marks != (disc() >= 0.5)).sum()} pixels differ"


def test_every_colour_but_the_background_is_marked() -> None:
    drawing = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for (x, y), colour in zip(((8, 8), (40, 8), (8, 40)), (RED, BLUE, BLACK), strict=True):
        drawing[y : y + 12, x : x + 12] = colour
    marks, words = read(drawing)
    assert (marks == (drawing != 255).any(2)).all() and words == "strokes of several colours on white"


def test_a_coloured_frame_is_not_the_background_of_white() -> None:
    drawing = np.full((SIDE, SIDE, 3), RED, np.uint8)
    drawing[6:-6, 6:-6] = 255
    assert (read(drawing)[0] == (drawing != 255).any(2)).all()


def test_a_stray_colour_turns_no_black_on_white_round() -> None:
    drawing = mixed(WHITE, BLACK, disc())
    drawing[3, 3] = RED
    assert read(drawing)[0][0, 0] and not read(drawing)[0][SIDE // 2, SIDE // 2]


RAMP = np.linspace(0, 255, SIDE).astype(np.uint8)[None].repeat(SIDE, 0)


@pytest.mark.parametrize("soft", [RAMP, jpeg(RAMP), RAMP // 17 * 17, RAMP.astype(np.uint16) * 257, blurred(disc(), 4)])
def test_soft_greys_are_split_at_half_white(soft: np.ndarray) -> None:
    assert (read(soft)[0] == (soft >= np.iinfo(soft.dtype).max / 2)).all()


@pytest.mark.parametrize(("level", "all_"), [(0, False), (255, True), (254, True)])
def test_masks_of_one_level(level: int, all_: bool) -> None:
    assert (read(np.full((16, 16), level, np.uint8))[0] == all_).all()
    assert not read(np.zeros((16, 16, 4), np.uint8))[0].any()


IDS = np.random.default_rng(0).integers(0, 8, (8, 8)).repeat(8, 0).repeat(8, 1)
AMBIGUOUS = {
    "one level": (np.full((16, 16), 128, np.uint8), "it is 128 of 255 everywhere"),
    "level 1": (np.ones((16, 16), np.uint8), "it is 1 of 255 everywhere"),
    "one colour": (np.full((16, 16, 3), RED, np.uint8), "it is red everywhere"),
    "ids": (IDS.astype(np.uint8), "it has 8 levels of grey (0 of 255, 1 of 255, 2 of 255, 3 of 255 ...)"),
    "labels": ((IDS * 30).astype(np.uint8), "it has 8 levels of grey (0 of 255, 30 of 255,"),
    "three": (np.select([RAMP < 80, RAMP < 120], [0, 128], 255).astype(np.uint8), "it has 3 levels of grey"),
    "a grey photograph": (PHOTOGRAPH[..., 0], "like a photograph"),
    "a photograph": (PHOTOGRAPH, "a picture of many colours"),
    "a dark ramp": (RAMP // 3, "soft greys from 0 of 255 to 85 of 255 only"),
    "hidden": (with_alpha(mixed(BLACK, WHITE, disc()), disc() * 0), "transparent everywhere, though"),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_what_nobody_can_tell_is_refused(kind: str) -> None:
    drawing, words = AMBIGUOUS[kind]
    with pytest.raises(InputError, match="as a mask this can mean several things") as error:
        read(drawing)
    assert words in str(error.value)


def test_ordinary_masks_are_taken_as_they_are() -> None:
    mask = image.from_array(mixed(0, 255, disc()))
    assert masks.understood(mask, "m.png").picture.pixels is mask.pixels


@pytest.fixture
def before(draw: Draw) -> np.ndarray:
    """The picture a.png, every pixel of it in a colour of its own."""
    return draw("a.png", np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


HARD = disc(soft=False)
DRAWN = {
    "m.png": mixed(0, 1, HARD),
    "n.png": mixed(WHITE, RED, HARD),
    "t.png": with_alpha(mixed(BLACK, BLACK, HARD), HARD),
}


@pytest.mark.parametrize(
    ("name", "words"), [*((name, ("inpaint", "--mask")) for name in DRAWN), ("n.png", ("edit", "--remove"))]
)
def test_commands_fill_what_is_marked_and_say_what_they_understood(
    texsynth: Texsynth, draw: Draw, before: np.ndarray, name: str, words: tuple[str, str]
) -> None:
    draw(name, DRAWN[name])
    verb, flag = words
    ran = texsynth(verb, "a.png", flag, name, "-o", "o.png", "-p", "steady", "-v")
    assert ran.code == 0 and f"{name}: {read(DRAWN[name])[1]}, {100 * HARD.mean():.3g} % marked" in ran.err
    assert ((array("o.png") != before).any(2) <= (HARD > 0)).all() and (array("o.png") != before).any()
    ran = texsynth(verb, "a.png", flag, name, "--mask-invert", "-o", "p.png", "-p", "steady")
    assert f"{name}: {100 - 100 * HARD.mean():.3g} % of the picture is to be filled; without --mask-invert" in ran.err
    assert ((array("p.png") != before).any(2) <= (HARD == 0)).all() and (array("p.png") != before).any()
    assert texsynth(verb, "--from", "p.png", "-o", "q.png", "-q").code == 0
    assert (array("q.png") == array("p.png")).all()


@pytest.mark.usefixtures("before")
def test_a_mask_that_marks_nearly_everything_is_told(texsynth: Texsynth, draw: Draw) -> None:
    draw("m.png", mixed(255, 0, HARD))
    ran = texsynth("inpaint", "a.png", "--mask", "m.png", "-o", "o.png", "-p", "steady")
    assert ran.code == 0 and f"with --mask-invert it is the other {100 * HARD.mean():.3g} %" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("inpaint", "a.png", "--mask"),
        ("synthesize", "a.png", "--source-mask"),
        ("inpaint", "a.png", "--mask", "w.png", "--source-mask"),
        ("edit", "a.png", "--remove"),
    ],
)
@pytest.mark.usefixtures("before")
def test_commands_refuse_masks_that_nobody_can_tell(refused: Refused, draw: Draw, words: tuple[str, ...]) -> None:
    draw("w.png", white((SIDE, SIDE), np.s_[:9, :9]))
    assert "a.png: as a mask this can mean several things: it is a picture" in refused(
        3, *words, "a.png", "-o", "o.png"
    )


@pytest.mark.parametrize("name", DRAWN)
def test_source_masks_are_read_alike(texsynth: Texsynth, draw: Draw, name: str) -> None:
    exemplar = draw("a.png", mixed(BLUE, GREEN, HARD))
    draw(name, DRAWN[name])
    texsynth("synthesize", "a.png", "--source-mask", name, "-o", "o.png", "-s", 32, "-p", "steady", "-q")
    assert (array("o.png") == exemplar[SIDE // 2, SIDE // 2]).all()


def moved(texsynth: Texsynth, *words: object) -> np.ndarray:
    ran = texsynth("edit", "a.png", *words, "-p", "steady", "-q", "-o", "o.png", "--force", "--keep-background")
    assert ran.code == 0, ran
    return array("o.png")


@pytest.mark.usefixtures("before")
def test_objects_of_an_edit_are_read_alike(texsynth: Texsynth, draw: Draw) -> None:
    to = np.roll(HARD, 9, 1)
    plain = {"w": mixed(0, 255, HARD), "v": mixed(0, 255, to)}
    one = {"a1": with_alpha(mixed(BLACK, BLACK, HARD), HARD), "b1": with_alpha(mixed(BLACK, BLACK, to), to)}
    low = {"a2": mixed(0, 1, HARD), "b2": mixed(0, 1, to)}
    for name, drawing in (plain | one | low).items():
        draw(f"{name}.png", drawing)
    wanted = moved(texsynth, "--mask", "w.png", "--target-mask", "v.png")
    for first, second in (one, low):
        assert (moved(texsynth, "--mask", f"{first}.png", "--target-mask", f"{second}.png") == wanted).all()
    for name, drawing in (("w", 255 - plain["w"]), ("v", 255 - plain["v"])):
        draw(f"{name}.png", drawing)
    assert (moved(texsynth, "--mask", "w.png", "--target-mask", "v.png", "--mask-invert") == wanted).all()


@pytest.mark.usefixtures("steady")
def test_arrays_of_truth_are_masks(before: np.ndarray) -> None:
    hole = HARD > 0
    result = texsynth_api.inpaint(before, hole, method="steady")
    assert ((image.to_array(result.image) != before).any(2) <= hole).all()
