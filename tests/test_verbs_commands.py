"""What inpaint, edit, barycenter and propagate share as commands: usage, inputs, records, dry runs, examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asking import record_of
from conftest import QUICK, Draw, Picture, Texsynth
from pictures import white
from texsynth.correspondence import dense
from texsynth.image import picture as image

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def scene(mixing: None, picture: Picture, draw: Draw, texsynth: Texsynth) -> None:  # noqa: ARG001 (for its folder)
    """Three pictures, the masks m.png and t.png, and a default of barycenter that mixes."""
    Path("pointed.yaml").write_text("method: pointed\n")
    for name in "abc":
        picture(f"{name}.png")
    draw("m.png", white((16, 16), np.s_[:4, :4]))
    draw("t.png", white((16, 16), np.s_[8:12, 8:12]))


M = ("a.png", "--mask", "m.png")
T = ("a.png", "--make-tileable", "x")
INPAINT = [
    ((), "needs an input picture, or --from"),
    (("a.png",), "nothing says what of a.png to fill: give --mask MASK, --make-tileable x, y or xy, --extend"),
    ((*M, "-s", "32"), "--size 32: inpaint keeps the picture's size; --extend"),
    ((*M, "--flatten"), "--flatten: inpaint leaves known pixels as they are"),
    ((*M, "--crop", "0,0,8,8", "--exemplar", "a.png"), "--crop and --exemplar exclude each other"),
    ((*T, "--mask-invert"), "--mask-invert needs --mask"),
    ((*M, "--band", "6"), "--band needs --make-tileable"),
    (("a.png", "--make-tileable", "none"), "--make-tileable 'none' is not one of x, y, xy"),
    (("a.png", "--make-tileable", "z"), "--make-tileable 'z' is not one of x, y, xy"),
    ((*T, "--band", "3"), "--band 3: 4 to 8 pixels are possible"),
    ((*T, "--band", "9"), "--band 9: 4 to 8 pixels are possible"),
    (("a.png", "--extend", "1,2,3"), "--extend '1,2,3' is not L,T,R,B"),
    (("a.png", "--extend", "1,2,3,x"), "--extend '1,2,3,x' is not L,T,R,B"),
    (("a.png", "--extend", "1,2,3,1.5"), "is not L,T,R,B in whole pixels"),
    (("a.png", "--extend", "0,0,0,0"), "numbers from 0 up are needed, and one above 0"),
    (("a.png", "--extend=-1,0,0,9"), "numbers from 0 up are needed"),
    ((*M, "--source-mask", "m.png", "--source-mask", "m.png"), "--source-mask: 2 given for 1"),
    ((*M, "--exemplar", "a.png", "--map", "h=m.png"), "--map h: 1 given for 2"),
    ((*M, "--grow=-1"), "--grow -1: a number of pixels from 0 up is needed"),
    ((*T, "--grow", "2"), "--grow 2: there is no mask and nothing transparent to grow"),
    ((*M, "--preview"), "--preview shows the seams of --make-tileable"),
    ((*M, "--tile", "z"), "--tile 'z'"),
    ((*M, "--map", "h=m.png", "-p", "afloat"), "copies nothing"),
    ((*M, "--masc", "m.png"), "did you mean --mask?"),
    ((*M, "-o", "a.png"), "a.png is an input of this command"),
    ((*M, "-o", "m.png", "--force"), "m.png is an input of this command"),
]
MOVE = (*M, "--target-mask", "t.png")
EDIT = [
    ((), "needs an input picture, or --from"),
    (("a.png",), "nothing says what to edit: give --mask SRC --target-mask TGT, --retarget WxH, --reshuffle or"),
    (("a.png", "a.png", "--reshuffle"), "edit takes one IMAGE, and 2 were given"),
    ((*MOVE, "--reshuffle"), "--mask and --reshuffle exclude each other"),
    ((*MOVE, "--remove", "m.png"), "--mask and --remove exclude each other"),
    (("a.png", "--retarget", "2x", "--reshuffle"), "--retarget and --reshuffle exclude each other"),
    (("a.png", "--mask", "m.png"), "--mask needs --target-mask TGT"),
    (("a.png", "--target-mask", "t.png"), "--target-mask needs --mask SRC"),
    ((*MOVE, "--grow", "2"), "--grow needs --remove; leave it out"),
    (("a.png", "--reshuffle", "--warp", "affine"), "--warp needs --mask; leave it out"),
    (("a.png", "--remove", "m.png", "--keep-background"), "--keep-background needs --mask; leave it out"),
    (("a.png", "--retarget", "2x", "--labels-weight", "0"), "--labels-weight needs --mask"),
    ((*MOVE, "--margin", "4"), "--margin needs --keep-background"),
    ((*MOVE, "--keep-background", "--margin=-1"), "--margin -1: a number of pixels from 0 up is needed"),
    (("a.png", "--remove", "m.png", "--grow=-1"), "--grow -1: a number of pixels from 0 up is needed"),
    ((*MOVE, "--labels-weight=-1"), "--labels-weight -1.0: a number from 0 up is needed"),
    ((*MOVE, "--labels-weight", "nan"), "--labels-weight nan is not a finite number"),
    ((*MOVE, "--warp", "bend"), "--warp 'bend' is not one of affine, similarity, thin-plate"),
    (("a.png", "--retarget", "wide"), "--retarget 'wide' is not a size; write WxH"),
    (("a.png", "--retarget", "4x4"), "--retarget 4x4 makes 4x4; each side needs at least 8 pixels"),
    ((*MOVE, "-s", "64"), "--size 64: edit keeps the picture's size; --retarget WxH changes it"),
    ((*MOVE, "--keep-background", "--flatten"), "--flatten: pixels outside the edit stay as they are"),
    (("a.png", "--remove", "m.png", "--flatten"), "--flatten: pixels outside the edit stay as they are"),
    (
        (*MOVE, "--copies", "some", "-p", "pointed.yaml"),
        "copies = 'some', but it is one of none, flips, rotations, all",
    ),
    ((*MOVE, "--copies", "flips"), "unknown setting 'copies'"),
    ((*MOVE, "--class", "goldfish"), "--class: preset steady uses no classifier; --preset edit-neural does"),
    (
        (*MOVE, "--class", "goldfsh"),
        "--class 'goldfsh': no class of ImageNet is called that; did you mean goldfish",
    ),
    ((*MOVE, "--class", "1000"), "--class 1000: classes are numbered from 0 to 999"),
    ((*MOVE, "--map", "h=m.png", "-p", "afloat"), "copies nothing"),
    ((*MOVE, "--targetmask", "m.png"), "did you mean --target-mask?"),
    ((*MOVE, "-o", "t.png", "--force"), "t.png is an input of this command"),
    (("a.png", "--remove", "m.png", "-o", "m.png", "--force"), "m.png is an input of this command"),
]
AB = ("a.png", "b.png")
BARYCENTER = [
    ((), "needs an input picture, or --from"),
    (("a.png",), "barycenter needs two exemplars or more, and 1 given"),
    ((*AB, "--blend", "0.5"), "--blend 0.5: 1 given for 2 exemplars"),
    ((*AB, "--blend", "1,1,1"), "--blend 1,1,1: 3 given for 2 exemplars"),
    ((*AB, "--blend", "1,-0.5"), "--blend 1,-0.5: numbers from 0 up are needed"),
    ((*AB, "--blend", "-1,2"), "--blend -1,2: numbers from 0 up are needed"),
    ((*AB, "--blend", "nan,1"), "numbers from 0 up"),
    ((*AB, "--blend", "inf,1"), "numbers from 0 up"),
    ((*AB, "--blend", "1e308,1e308"), "numbers from 0 up"),
    ((*AB, "--blend", "0,0"), "and one above 0"),
    ((*AB, "--blend", "a,b"), "--blend 'a,b' is not W0,W1,..., for example 0.5,0.5"),
    ((*AB, "--blend", ""), "--blend '' is not W0,W1"),
    ((*AB, "--blend", "1,1", "--blend-map", "a.png"), "--blend and --blend-map exclude each other"),
    ((*AB, "--blend", "1,1", "--steps", "3"), "--blend and --steps exclude each other"),
    ((*AB, "--blend-map", "a.png", "--steps", "3"), "--blend-map and --steps exclude each other"),
    ((*AB, "c.png", "--steps", "3"), "--steps goes from one exemplar to another, and 3 were given"),
    ((*AB, "--steps", "1"), "--steps 1: at least 2 are needed"),
    ((*AB, "--steps", "x"), "--steps"),
    ((*AB, "--blend-map", "a.png", "--blend-map", "b.png"), "2 given for 2 exemplars; give it once, black for"),
    ((*AB, "c.png", "--blend-map", "a.png"), "1 given for 3 exemplars; give it once for each, in order"),
    ((*AB, "--mode", "mosiac"), "--mode 'mosiac' is not one of transport, mosaic"),
    ((*AB, "-s", "4"), "--size 4"),
    ((*AB, "-o", "out/"), "-o out/: a barycenter is one picture of several exemplars"),
    ((*AB, "-o", "."), "-o .: a barycenter is one picture"),
    ((".", "-o", "o.png"), ". is a folder; name the pictures of one barycenter"),
    ((*AB, "--source-mask", "a.png"), "--source-mask: 1 given for 2"),
    ((*AB, "--blend-map", "a.png", "-o", "a.png", "--force"), "a.png is an input of this command"),
]


USAGE = {"inpaint": INPAINT, "edit": EDIT, "barycenter": BARYCENTER}


@pytest.mark.parametrize(
    ("verb", "words", "said"), [(verb, *case) for verb, cases in USAGE.items() for case in cases], ids=str
)
def test_usage(refused: Refused, verb: str, words: tuple[str, ...], said: str) -> None:
    before = sorted(Path().rglob("*"))
    assert said in refused(2, verb, *words, *([] if "-p" in words or verb == "barycenter" else ["-p", "steady"]))
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        *(("inpaint", *T, flag, "bad.png") for flag in ("--mask", "--exemplar", "--source-mask", "--init")),
        ("edit", "a.png", "--mask", "bad.png", "--target-mask", "t.png"),
        ("edit", *M, "--target-mask", "bad.png"),
        ("edit", "a.png", "--remove", "bad.png"),
        ("barycenter", "a.png", "bad.png"),
        ("barycenter", *AB, "--blend-map", "bad.png"),
    ],
)
@pytest.mark.parametrize("kind", ["missing", "text"])
def test_inputs(refused: Refused, words: tuple[str, ...], kind: str) -> None:
    if kind == "text":
        Path("bad.png").write_text("no picture")
    assert "bad.png: " in refused(3, *words, "-o", "o.png", *(() if words[0] == "barycenter" else QUICK))
    assert not Path("o.png").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("inpaint", "a.png", "--extend", "0,0,0,99999999", *QUICK),
        ("barycenter", *AB, "-s", "99999999"),
        ("barycenter", *AB, "--steps", "99999999999"),
    ],
)
def test_too_large_a_canvas_is_refused_before_it_is_made(refused: Refused, words: tuple[str, ...]) -> None:
    assert "MB that are left" in refused(4, *words, "-o", "o.png")


@pytest.mark.parametrize(
    ("words", "planned"),
    [
        (("inpaint", "a.png", "--extend", "0,0,6,0"), "o.png: 22x16, preset steady, seed 0"),
        (("edit", "a.png", "--retarget", "30x10"), "o.png: 30x10, preset steady, seed 0"),
    ],
)
def test_a_dry_run_writes_nothing(texsynth: Texsynth, words: tuple[str, ...], planned: str) -> None:
    before = sorted(Path().rglob("*"))
    assert texsynth(*words, "-o", "o.png", "--dry-run", *QUICK).out.startswith(planned)
    assert sorted(Path().rglob("*")) == before


RUNS = {"inpaint": (*T, *QUICK), "edit": ("a.png", "--reshuffle", *QUICK), "barycenter": (*AB, "-q")}
DAMAGED: dict[str, list[dict[str, object]]] = {
    "inpaint": [{"band": "x"}, {"extend": 3}, {"grow": "x"}, {"mask_invert": "yes"}, {"make_tileable": ["x"]}],
    "edit": [{"margin": "x"}, {"warp": 3}, {"reshuffle": "yes"}],
    "barycenter": [{"blend": "0.5,0.5"}, {"steps": "3"}, {"mode": 3}],
}


@pytest.mark.parametrize(
    ("verb", "held", "said"),
    [
        *((verb, held, "damaged") for verb, records in DAMAGED.items() for held in (None, "x", [], *records)),
        ("inpaint", {"make_tileable": "q"}, "--make-tileable 'q'"),
        ("inpaint", {"extend": "q"}, "--extend 'q'"),
        ("edit", {}, "nothing says what to edit"),
        ("edit", {"retarget": "q"}, "--retarget 'q' is not a size"),
        ("edit", {"reshuffle": True, "warp": "affine"}, "--warp needs --mask"),
        ("barycenter", {"mode": "x"}, "its record is damaged"),
        ("barycenter", {"blend": ["x", 1]}, "--blend 'x,1' is not W0,W1"),
        ("barycenter", {"blend": [None, 1]}, "--blend 'None,1' is not W0,W1"),
        ("barycenter", {"blend": [1]}, "1 given for 2 exemplars"),
        ("barycenter", {"blend": [1, 1], "steps": 3}, "--blend and --steps exclude each other"),
    ],
)
def test_a_damaged_record(texsynth: Texsynth, refused: Refused, verb: str, held: object, said: str) -> None:
    assert texsynth(verb, *RUNS[verb], "-o", "o.png").code == 0
    stored = {**record_of("o.png"), verb: held}
    image.write("o.png", image.read("o.png"), metadata=stored)
    assert said in refused(3, verb, "--from", "o.png", "-o", "p.png")


@pytest.mark.parametrize(
    ("verb", "other", "count"),
    [("inpaint", "guide", 3), ("edit", "guide", 4), ("barycenter", "guide", 3), ("propagate", "synthesize", 2)],
)
def test_help_ends_with_examples_that_run(
    texsynth: Texsynth,
    examples: Callable[[str], list[list[str]]],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    other: str,
    count: int,
) -> None:
    monkeypatch.setattr(dense, "MOST_PIXELS", 1 << 12)  # quicker
    commands = examples(verb)
    assert {words[1] for words in commands} == {verb, other}
    assert sum(words[1] == verb for words in commands) == count
    for words in commands:
        steady = words[1] in ("inpaint", "edit", "synthesize") or "mosaic" in words
        small = () if words[1] == verb else ("-s", "64")
        ran = texsynth(*words[1:], *small, *(QUICK if steady else () if words[1] == "guide" else ("-q",)))
        assert (ran.code, ran.err) == (0, ""), ran
