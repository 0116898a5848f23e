"""`texsynth inpaint`: what is filled, what stays, where it is copied from; its files, records, mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import entry_of, record_of, same_bytes
from conftest import QUICK, Draw, Picture, Texsynth, array, palette
from pictures import bumps, bytes_of, white
from texsynth.image import picture as image
from texsynth.runs import check

Refused = Callable[..., str]
SIDE = 20

COPIES = (*QUICK, "--exact-copies")  # so that what is filled can be found in the picture


blot = partial(white, (SIDE, SIDE))
HOLE = blot(np.s_[6:12, 5:9], np.s_[15:16, 15:16])


def run(texsynth: Texsynth, *words: object) -> dict[str, Any]:
    return entry_of(texsynth, "inpaint", *words, *COPIES)


@pytest.fixture
def before(picture: Picture, draw: Draw) -> np.ndarray:
    """The picture a.png, and the mask m.png of its hole."""
    draw("m.png", HOLE)
    return picture("a.png", (SIDE, SIDE))


def assert_filled(made: np.ndarray, before: np.ndarray, hole: np.ndarray) -> None:
    """Outside the hole nothing moved; inside is what stands outside, copied."""
    assert (made.dtype, made.shape) == (before.dtype, before.shape)
    assert (made[~hole] == before[~hole]).all()
    assert palette(made[hole]) <= palette(before[~hole])


@pytest.mark.parametrize(
    ("channels", "dtype", "suffix"),
    [(1, "uint8", "png"), (3, "uint8", "png"), (3, "uint16", "png"), (1, "uint16", "tif"), (3, "float32", "tif")],
)
def test_the_hole_is_filled_and_nothing_else_moves(
    texsynth: Texsynth, picture: Picture, draw: Draw, channels: int, dtype: str, suffix: str
) -> None:
    before = picture(f"a.{suffix}", (SIDE, SIDE), channels, dtype).squeeze()
    draw("m.png", HOLE)
    run(texsynth, f"a.{suffix}", "--mask", "m.png", "-o", f"o.{suffix}")
    assert_filled(array(f"o.{suffix}"), before, HOLE > 0)


@pytest.mark.usefixtures("before")
def test_maps_of_every_role_follow_in_their_own_depth(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """Every pixel has a colour of its own, so the picture says which value of a map belongs where."""
    before = picture("a.png", (SIDE, SIDE), dtype="uint16")
    maps = {
        "height": picture("h.png", (SIDE, SIDE), 1, "uint16", 1).squeeze(),
        "id": picture("i.png", (SIDE, SIDE), 1, seed=2).squeeze(),
        "depth": picture("d.tif", (SIDE, SIDE), 1, "float32", 3).squeeze(),
        "normal": draw("n.png", bytes_of((bumps(SIDE, SIDE) + 1) / 2)),
    }
    files = ("h.png", "i.png", "d.tif", "n.png")
    words = [w for name, file in zip(maps, files, strict=True) for w in ("--map", f"{name}={file}")]
    entry = run(texsynth, "a.png", "--mask", "m.png", "-o", "o.png", *words)
    where = {tuple(c): yx for c, yx in zip(before.reshape(-1, 3), np.ndindex(SIDE, SIDE), strict=True)}
    made = array("o.png")
    for name, values in maps.items():
        after = array(entry["files"][name])
        assert after.dtype == values.dtype
        assert (after[HOLE == 0] == values[HOLE == 0]).all()
        if name != "normal":
            assert all(after[yx] == values[where[tuple(made[yx])]] for yx in np.ndindex(SIDE, SIDE))


@pytest.mark.parametrize(("mask", "flags"), [(np.where(HOLE > 0, 128, 127), ()), (255 - HOLE, ("--mask-invert",))])
def test_half_white_is_filled_and_black_where_the_mask_is_inverted(
    texsynth: Texsynth, before: np.ndarray, draw: Draw, mask: np.ndarray, flags: tuple[str, ...]
) -> None:
    draw("m.png", mask.astype(np.uint8))
    run(texsynth, "a.png", "--mask", "m.png", *flags, "-o", "o.png")
    assert_filled(array("o.png"), before, HOLE > 0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_is_not_opaque_is_filled(texsynth: Texsynth, picture: Picture, draw: Draw, dtype: str) -> None:
    """And opaque from then on, also when the run is repeated."""
    before = picture("a.png", (SIDE, SIDE), 4, dtype)
    top = np.iinfo(before.dtype).max
    before[..., 3] = np.where(HOLE > 0, top - 1, top)
    draw("a.png", before)
    run(texsynth, "a.png", "-o", "o.png")
    assert_filled(array("o.png"), before, HOLE > 0)
    assert (array("o.png")[..., 3] == top).all()
    run(texsynth, "--from", "o.png", "-o", "p.png")
    assert same_bytes("p.png", "o.png")


def test_a_mask_is_taken_at_its_word_whatever_the_alpha(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """Known pixels keep their alpha, and only opaque ones are copied."""
    before = picture("a.png", (SIDE, SIDE), 4)
    before[:10, :, 3] = 255
    draw("a.png", before)
    draw("m.png", HOLE)
    run(texsynth, "a.png", "--mask", "m.png", "-o", "o.png")
    made = array("o.png")
    assert_filled(made, before, HOLE > 0)
    assert (made[HOLE > 0][:, 3] == 255).all()


@pytest.mark.parametrize("kind", ["mask", "alpha", "extended", "wrapped"])
def test_a_hole_is_grown_by_some_pixels(texsynth: Texsynth, picture: Picture, draw: Draw, kind: str) -> None:
    """Across borders that wrap; what --extend adds has its own size."""
    before = picture("a.png", (SIDE, SIDE), 4 if kind == "alpha" else 3)
    mask = blot(np.s_[6:9, 0:4])
    if kind == "alpha":
        before[..., 3] = 255 - mask
        draw("a.png", before)
    draw("m.png", mask)
    words = {
        "mask": ("--mask", "m.png"),
        "alpha": (),
        "extended": ("--mask", "m.png", "--extend", "0,0,0,4"),
        "wrapped": ("--mask", "m.png", "--tile", "x"),
    }
    entry = run(texsynth, "a.png", *words[kind], "--grow", 2, "-o", "o.png")
    hole = blot(np.s_[4:11, 0:6], *([np.s_[4:11, -2:]] if kind == "wrapped" else [])) > 0
    made = array("o.png")[:SIDE]
    assert (made[~hole] == before[~hole]).all()
    assert (made != before).any(2)[hole].mean() > 0.9
    assert entry["record"]["inpaint"]["grow"] == 2


@pytest.mark.parametrize(("alpha", "grow", "told"), [(0, 0, False), (90, 0, True), (255, 0, False), (90, 2, False)])
def test_a_soft_edge_of_transparent_parts_is_told(
    texsynth: Texsynth, picture: Picture, draw: Draw, alpha: int, grow: int, told: bool
) -> None:
    before = picture("a.png", (SIDE, SIDE), 4)
    before[..., 3] = 255 - blot(np.s_[6:12, 5:9])
    before[5, 5:9, 3] = alpha
    draw("a.png", before)
    ran = texsynth("inpaint", "a.png", "--grow", grow, "-o", "o.png", "-p", "steady")
    for text in ("a.png: its transparent parts have a soft edge", "--grow 2 leaves its fringe out"):
        assert (text in ran.err) == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--make-tileable", "xy"), "every 16x16 px: --crop 0,0,64,48 holds whole steps and wraps better"),
        (("--make-tileable", "x"), "every 16 px along x: --crop 0,0,64,59 holds whole steps and wraps better"),
        (("--make-tileable", "y"), "every 16 px along y: --crop 0,0,70,48 holds whole steps and wraps better"),
        (("--make-tileable", "xy", "--crop", "3,2,60,57"), "--crop 3,2,48,48 holds whole steps"),
        (("--make-tileable", "xy", "--crop", "3,2,64,48"), None),
        (("--make-tileable", "xy", "--extend", "0,0,3,3"), None),
        (("--mask", "m.png"), None),
    ],
)
def test_a_regular_texture_that_does_not_fit_is_told_a_crop_that_does(
    texsynth: Texsynth, draw: Draw, words: tuple[str, ...], told: str | None
) -> None:
    """Bricks of 16 x 8 pixels, every other course shifted by half: whole again after two courses."""
    y, x = np.mgrid[:59, :70]
    along = (x + 8 * (y // 8 % 2)) % 16
    bricks = np.where((y % 8 < 2) | (along < 3), 210, 90) + np.random.default_rng(0).integers(-9, 9, (59, 70))
    draw("a.png", bricks.astype(np.uint8))
    draw("m.png", white((59, 70), np.s_[6:12, 5:9]))
    ran = texsynth("inpaint", "a.png", *words, "-o", "o.png", "-p", "steady")
    assert ran.code == 0
    assert ("the texture repeats" in ran.err) == (told is not None)
    assert (told or "") in ran.err


HOLES = {
    "one pixel": blot(np.s_[9:10, 9:10]),
    "a corner": blot(np.s_[:5, :7]),
    "a whole border": blot(np.s_[-3:, :]),
    "all but one pixel": 255 - blot(np.s_[3:4, 8:9]),
    "many": blot(*(np.s_[y : y + 1, x : x + 2] for y in range(0, SIDE, 3) for x in range(0, SIDE, 5))),
}


@pytest.mark.parametrize("hole", HOLES.values(), ids=list(HOLES))
def test_holes_of_any_shape(texsynth: Texsynth, before: np.ndarray, draw: Draw, hole: np.ndarray) -> None:
    draw("m.png", hole)
    entry = run(texsynth, "a.png", "--mask", "m.png", "-o", "o.png", "--set", "passes=1,1")
    assert_filled(array("o.png"), before, hole > 0)
    assert entry["record"]["size"] == f"{SIDE}x{SIDE}"


@pytest.mark.parametrize(
    ("flags", "said"), [(("--mask", "m.png"), "m.png: the mask is empty"), ((), "a.png is opaque everywhere")]
)
def test_an_empty_hole_gives_the_picture_back(
    texsynth: Texsynth, picture: Picture, draw: Draw, flags: tuple[str, ...], said: str
) -> None:
    before = picture("a.png", (SIDE, SIDE), 4, "uint16")
    if not flags:
        before[..., 3] = 65535
        draw("a.png", before)
    draw("m.png", blot())
    ran = texsynth("inpaint", "a.png", *flags, "-o", "o.png", "-p", "steady")
    assert f"{said}: the picture comes back as it is" in ran.err
    assert (array("o.png") == before).all()


def test_nothing_known_or_nothing_to_copy(texsynth: Texsynth, refused: Refused, picture: Picture, draw: Draw) -> None:
    before = picture("a.png", (SIDE, SIDE), 4)
    picture("b.png", (SIDE, SIDE))
    draw("all.png", blot(np.s_[:, :]))
    draw("m.png", HOLE)
    words = ("inpaint", "a.png", "-o", "o.png", "--mask")
    assert "a.png: all of it is to be filled, so nothing known is left" in refused(3, *words, "all.png")
    assert "nothing known is left" in refused(3, *words, "all.png", "--exemplar", "b.png")
    draw("none.png", blot())
    assert "none.png: the mask leaves nothing" in refused(3, *words, "m.png", "--source-mask", "none.png")
    before[..., 3] = np.where(HOLE > 0, 255, 254)
    draw("a.png", before)
    line = "a.png: nothing is left to copy from; opaque pixels outside the hole are needed"
    assert line in refused(3, *words, "m.png")
    words = ("inpaint", "b.png", "-o", "o.png", "--mask", "m.png")
    assert "b.png: nothing is left" in refused(3, *words, "--source-mask", "m.png")
    before[..., 3] = 0
    draw("a.png", before)
    assert "no 8x8 pixels are opaque to copy from" in refused(3, *words, "--exemplar", "a.png")
    assert texsynth(*words, *COPIES).code == 0


def test_source_mask_and_crop_hold_for_the_picture(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """The mask, stretched, and all else are cropped with it."""
    before = picture("a.png", (SIDE, 24))
    height = picture("h.png", (SIDE, 24), 1, "uint16")
    draw("m.png", np.kron(white((SIDE, 24), np.s_[8:12, 10:14]), np.ones((2, 2), np.uint8)))
    draw("s.png", white((SIDE, 24), np.s_[:, :8]))
    words = ("--mask", "m.png", "--source-mask", "s.png", "--crop", "4,2,16,14", "--map", "h=h.png")
    entry = run(texsynth, "a.png", "-o", "o.png", *words)
    made, inside = array("o.png"), before[2:16, 4:20]
    hole = white((14, 16), np.s_[6:10, 6:10]) > 0
    assert_filled(made, inside, hole)
    assert palette(made[hole]) <= palette(inside[:, :4])
    assert (array("o_h.png")[~hole] == height.squeeze()[2:16, 4:20][~hole]).all()
    assert entry["record"]["crop"] == "4,2,16,14"


def test_other_pictures_are_copied_from(texsynth: Texsynth, before: np.ndarray, picture: Picture, draw: Draw) -> None:
    others = [picture("b.png", (24, 16), seed=1), picture("c.png", (12, 12), seed=2)]
    for name, size, seed in (("ha", (SIDE, SIDE), 3), ("hb", (24, 16), 4), ("hc", (12, 12), 5)):
        picture(f"{name}.png", size, 1, "uint16", seed)
    big = blot(np.s_[2:18, 2:18])
    draw("m.png", big)
    words = ["a.png", "--mask", "m.png", "--exemplar", "b.png", "--exemplar", "c.png"]
    words += [w for name in ("ha", "hb", "hc") for w in ("--map", f"h={name}.png")]
    entry = run(texsynth, *words, "-o", "o.png")
    made = array("o.png")
    assert (made[big == 0] == before[big == 0]).all()
    filled = palette(made[big > 0])
    assert filled <= palette(others[0]) | palette(others[1])
    assert filled & palette(others[0]) and filled & palette(others[1])
    assert (array("o_h.png")[big == 0] == array("ha.png")[big == 0]).all()
    assert set(array("o_h.png")[big > 0]) <= set(array("hb.png").flatten()) | set(array("hc.png").flatten())
    roles = [(e["role"], e["name"]) for e in entry["record"]["inputs"]]
    assert roles[:3] == [("exemplar", "a.png"), ("source", "b.png"), ("source", "c.png")]
    draw("sb.png", white((24, 16), np.s_[:, :5]))
    draw("sc.png", white((12, 12), np.s_[:3, :]))
    run(texsynth, *words, "--source-mask", "sb.png", "--source-mask", "sc.png", "-o", "p.png")
    assert palette(array("p.png")[big > 0]) <= palette(others[0][:, :5]) | palette(others[1][:3])


def test_folders_of_masks_and_maps_pair_with_others(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    picture("a.png", (SIDE, SIDE))
    other = picture("b.png", (24, 16), seed=1)
    for name, size in (("a", (SIDE, SIDE)), ("b", (24, 16))):
        draw(f"masks/{name}.png", white(size, np.s_[:, :5]))
        draw(f"maps/{name}.png", np.full(size, ord(name), np.uint8))
    words = ("--mask", "masks", "--exemplar", "b.png", "--source-mask", "masks", "--map", "h=maps", "--map", "h=maps")
    run(texsynth, "a.png", *words, "-o", "o.png")
    assert palette(array("o.png")[:, :5]) <= palette(other[:, :5])
    assert set(array("o_h.png")[:, :5].flatten()) == {ord("b")}
    assert set(array("o_h.png")[:, 5:].flatten()) == {ord("a")}


@pytest.mark.parametrize(
    ("words", "refuses"),
    [
        (("--mask", "m.png", "--tile", "xy"), "x"),
        (("--mask", "m.png", "--tile", "y"), None),
        (("--mask", "m.png", "--tile", "x", "--make-tileable", "x"), None),
        (("--extend", "2,0,0,0", "--tile", "x"), None),
        (("--mask", "side.png", "--tile", "x"), None),
        (("--make-tileable", "y", "--tile", "x"), "x"),
    ],
)
def test_tile_is_refused_where_the_border_stays_and_does_not_repeat(
    texsynth: Texsynth, draw: Draw, words: tuple[str, ...], refuses: str | None
) -> None:
    """The picture gets brighter from left to right, so it repeats along y alone."""
    grain = np.random.default_rng(0).integers(0, 12, (SIDE, SIDE, 3))
    draw("a.png", (grain + np.linspace(0, 200, SIDE)[:, None]).astype(np.uint8))
    draw("m.png", HOLE)
    draw("side.png", blot(np.s_[:, :3]))
    ran = texsynth("inpaint", "a.png", *words, "-o", "o.png", "-p", "steady", "-q")
    assert ran.code == (2 if refuses else 0), ran
    assert (f"a.png does not repeat along {refuses}" in ran.err) == (refuses is not None)
    assert (f"--make-tileable {refuses} makes it repeat" in ran.err) == (refuses is not None)


@pytest.mark.parametrize("axes", ["x", "y", "xy"])
def test_make_tileable_fills_a_band_along_the_borders(texsynth: Texsynth, picture: Picture, axes: str) -> None:
    """Nothing is copied from the outermost pixels, which are made anew in any case; the rest of the band may be."""
    before = picture("a.png", (SIDE, 24))
    entry = run(texsynth, "a.png", "--make-tileable", axes, "--band", 7, "-o", "o.png", "--preview")
    hole, core = np.zeros((2, SIDE, 24), bool)
    if "y" in axes:
        hole[:3] = hole[-4:] = core[0] = core[-1] = True
    if "x" in axes:
        hole[:, :3] = hole[:, -4:] = core[:, 0] = core[:, -1] = True
    made = array("o.png")
    assert (made[~hole] == before[~hole]).all()
    assert palette(made[hole]) <= palette(before[~core])
    assert (made != before).any(2)[hole].mean() > 0.9
    assert (array("o_preview.png") == np.tile(made, (2, 2, 1))).all()
    assert entry["files"]["preview"] == "o_preview.png"


def test_a_preview_is_a_png_of_integers(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.tif", (SIDE, SIDE), 1, "float32")
    ran = texsynth("inpaint", "a.tif", "--make-tileable", "x", "-o", "o.tif", "--preview", "-p", "steady")
    assert "stored as" not in ran.err
    assert array("o_preview.png").dtype == np.uint16
    assert array("o_preview.png")[:SIDE, SIDE:] / 65535 == pytest.approx(array("o.tif"), abs=1e-5)


def test_a_folder_is_repaired_with_the_masks_of_its_stems(
    texsynth: Texsynth, refused: Refused, picture: Picture, draw: Draw
) -> None:
    for seed, name in enumerate("xy"):
        picture(f"in/{name}.png", (SIDE, SIDE), seed=seed)
        draw(f"masks/{name}.png", blot(np.s_[seed * 5 : seed * 5 + 3, 2:9]))
    ran = texsynth("inpaint", "in", "--mask", "masks", "-o", "out/", *COPIES)
    assert ran.out.split() == ["out/x.png", "out/y.png"]
    for name in "xy":
        assert_filled(array(f"out/{name}.png"), array(f"in/{name}.png"), array(f"masks/{name}.png") > 0)
    Path("masks/y.png").unlink()
    ran = texsynth("inpaint", "in", "--mask", "masks", "-o", "more/", "--keep-going", *COPIES)
    assert (ran.code, ran.out) == (6, "more/x.png\n")
    assert "--mask masks: this folder holds no picture named y" in ran.err
    assert "inpaint takes one IMAGE, and 2 were given" in refused(2, "inpaint", "in/x.png", "in/y.png", "-o", "o.png")


@pytest.fixture
def repaired(texsynth: Texsynth, picture: Picture, draw: Draw) -> Path:
    """Made with every option of its own, of files in another folder."""
    for name, size, seed in (("a", (SIDE, SIDE), 0), ("b", (24, 16), 1)):
        picture(f"in/{name}.png", size, seed=seed)
        picture(f"in/h{name}.png", size, 1, seed=seed + 5)
    draw("in/m.png", 255 - HOLE)
    draw("in/s.png", white((24, 16), np.s_[:, :5]))
    words = ("--mask", "in/m.png", "--mask-invert", "--make-tileable", "x", "--band", 6, "--extend", "2,0,0,3")
    words += ("--exemplar", "in/b.png", "--source-mask", "in/s.png", "--seed", 4, "--grow", 1)
    words += ("--map", "h=in/ha.png", "--map", "h=in/hb.png", "--init", "in/b.png")
    run(texsynth, "in/a.png", *words, "-o", "in/o.png")
    return Path("in/o.png")


def test_the_same_run_writes_the_same_bytes(texsynth: Texsynth, repaired: Path) -> None:
    run(texsynth, "--from", repaired, "-o", "p.png")
    run(texsynth, "in/a.png", "--from", repaired, "-o", "q.png", "--preview")
    assert same_bytes("p.png", "q.png", repaired) and same_bytes("p_h.png", "in/o_h.png")
    assert Path("q_preview.png").exists()


def test_flags_override_what_is_repeated(texsynth: Texsynth, repaired: Path, draw: Draw) -> None:
    before = record_of(repaired)["inpaint"]
    draw("in/n.png", HOLE[::-1])
    after = run(texsynth, "--from", repaired, "-o", "p.png", "--mask", "in/n.png", "--band", 8)["record"]
    assert after["inpaint"] == {**before, "band": 8}
    assert [e["name"] for e in after["inputs"] if e["role"] == "mask"] == ["n.png"]
    wanted = {"mask_invert": True, "make_tileable": "x", "band": 6, "extend": "2,0,0,3", "grow": 1}
    assert before == wanted and after["exact_copies"]


def test_alpha_is_repeated_too(texsynth: Texsynth, picture: Picture) -> None:
    before = picture("a.png", (SIDE, SIDE), 4)
    before[..., 3] = 255 - HOLE
    image.write("a.png", image.from_array(before))
    run(texsynth, "a.png", "-o", "o.png")
    run(texsynth, "--from", "o.png", "-o", "p.png")
    assert Path("p.png").read_bytes() == Path("o.png").read_bytes()


@pytest.mark.usefixtures("before")
def test_check_is_told_and_stands_in_json(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"seam": 1.03125, "tile_seam": None, "unchanged": True}
    monkeypatch.setattr(check, "check", lambda result, job: found if result.image.width == job.task.size[1] else {})
    words = ("inpaint", "a.png", "--make-tileable", "x", "-p", "steady", "--json", "-o")
    ran = texsynth(*words, "o.png", "--check")
    assert [line for line in ran.err.splitlines() if "%" not in line] == [
        "texsynth: o.png: seam 1.031",
        "texsynth: o.png: unchanged true",
    ]
    assert json.loads(ran.out)["runs"][0]["check"] == found
    assert json.loads(texsynth(*words, "p.png").out)["runs"][0]["check"] is None


@pytest.mark.usefixtures("before")
def test_a_preview_obeys_the_rules_of_existing_files(texsynth: Texsynth, refused: Refused) -> None:
    words = ("inpaint", "a.png", "--make-tileable", "xy", "--preview", *QUICK)
    Path("o_preview.png").write_text("mine")
    assert "o_preview.png exists" in refused(2, *words, "-o", "o.png")
    assert Path("o_preview.png").read_text() == "mine" and not Path("o.png").exists()
    assert texsynth(*words, "-o", "o.png", "--force").code == 0
    assert texsynth(*words, "-o", "o.png", "--update").out == ""
    Path("o_preview.png").unlink()
    assert texsynth(*words, "-o", "o.png", "--update").out == "o.png\n"
    assert texsynth(*words, "-o", "v.png", "-n", 2).code == 0
    assert Path("v-2_preview.png").exists()
    assert "--map preview: --preview writes" in refused(2, *words, "-o", "p.png", "--map", "preview=a.png")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.usefixtures("before")
def test_a_method_without_a_field_leaves_other_pixels_too(texsynth: Texsynth, picture: Picture, dtype: str) -> None:
    before = picture("a.png", (SIDE, SIDE), dtype=dtype)
    assert texsynth("inpaint", "a.png", "--mask", "m.png", "-o", "o.png", "-p", "afloat", "-q").code == 0
    made = array("o.png")
    assert (made[HOLE == 0] == before[HOLE == 0]).all()
    assert len(palette(made[HOLE > 0])) == 1


@pytest.mark.usefixtures("before")
def test_a_bent_mask_is_told(texsynth: Texsynth, draw: Draw) -> None:
    draw("m.png", white((40, 60), np.s_[5:15, 5:15]))
    ran = texsynth("inpaint", "a.png", "--mask", "m.png", "-o", "o.png", "-p", "steady")
    assert "m.png is 60x40, stretched to 20x20: the aspect differs by 50 %" in ran.err


@pytest.mark.usefixtures("before")
def test_too_large_for_memory_suggests_what_can_be_done(refused: Refused) -> None:
    line = refused(4, "inpaint", "a.png", "--mask", "m.png", "--max-memory", "1M", "-o", "o.png", *QUICK)
    assert "--crop" in line and "--size" not in line
