"""Transparent parts of exemplars: no material by default, part of the texture with `--alpha keep`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asking import record_of
from conftest import QUICK, Draw, Refused, Texsynth, array, palette

SIDE = 32
LEFT_OUT = "a.png: its transparent parts, {} %, are left out; --alpha keep copies them as part of the texture"


@pytest.fixture
def scan(draw: Draw) -> np.ndarray:
    """a.png: a material whose left quarter is transparent, and half transparent beside that."""
    values = np.random.default_rng(0).integers(0, 250, (SIDE, SIDE, 4), dtype=np.uint8)
    values[..., 3] = 255
    values[:, :8] = (255, 0, 255, 0)
    values[:, 8:10] = (255, 0, 255, 128)
    return draw("a.png", values)


def made(texsynth: Texsynth, *words: object) -> tuple[np.ndarray, str]:
    ran = texsynth(*words, "-o", "o.png", "--force", "-p", "steady", "--exact-copies")
    assert ran.code == 0, ran
    return array("o.png"), ran.err


@pytest.mark.parametrize("verb", ["synthesize", "control", "barycenter", "edit"])
def test_transparent_parts_are_no_material(texsynth: Texsynth, scan: np.ndarray, draw: Draw, verb: str) -> None:
    draw("b.png", np.full((SIDE, SIDE, 3), 7, np.uint8))
    words = {
        "synthesize": ("a.png", "-s", 40),
        "control": ("a.png", "--orientation", "angle:0", "-s", 40),
        "barycenter": ("a.png", "b.png", "--mode", "mosaic"),
        "edit": ("a.png", "--reshuffle", "--alpha", "auto"),
    }
    result, said = made(texsynth, verb, *words[verb])
    assert LEFT_OUT.format("31.2") in said
    assert result.shape[2:] == (3,) and not palette(result) & {(255, 0, 255)}
    assert palette(result) <= palette(scan[:, 10:, :3]) | {(7, 7, 7)} and len(palette(result)) > 20
    stored = record_of("o.png")
    assert (stored if verb != "edit" else stored["edit"])["alpha"] == "auto"
    texsynth(verb, "--from", "o.png", "-o", "p.png", "-q")
    assert Path("p.png").read_bytes() == Path("o.png").read_bytes()


@pytest.mark.parametrize("words", [("synthesize", "a.png", "--alpha", "keep"), ("edit", "a.png", "--reshuffle")])
def test_kept_alpha_is_copied_with_the_colours(texsynth: Texsynth, scan: np.ndarray, words: tuple[str, ...]) -> None:
    result, said = made(texsynth, *words)
    assert "left out" not in said
    assert palette(result) <= palette(scan) and 0 in result[..., 3]


@pytest.mark.usefixtures("scan")
def test_records_of_before_keep_alpha(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not say; and what they made had it."""
    made(texsynth, "synthesize", "a.png", "--alpha", "keep")
    record = record_of("o.png")
    del record["alpha"]
    monkeypatch.setattr("texsynth.image.picture.read_metadata", lambda _: record)
    ran = texsynth("synthesize", "--from", "o.png", "-o", "p.png", "--json", "-q")
    assert json.loads(ran.out)["runs"][0]["record"]["alpha"] == "keep"
    assert (array("p.png") == array("o.png")).all()


def test_opaque_exemplars_keep_their_channel_and_their_record(texsynth: Texsynth, scan: np.ndarray, draw: Draw) -> None:
    scan[..., 3] = 255
    draw("a.png", scan)
    result, said = made(texsynth, "synthesize", "a.png")
    assert result.shape[2:] == (4,) and "alpha" not in said and "alpha" not in record_of("o.png")


def test_lossy_alpha_is_opaque(texsynth: Texsynth, scan: np.ndarray, draw: Draw) -> None:
    scan[..., 3] = np.random.default_rng(1).integers(253, 256, (SIDE, SIDE))
    draw("a.png", scan)
    assert "left out" not in made(texsynth, "synthesize", "a.png")[1]


def test_too_little_material_is_refused(refused: Refused, scan: np.ndarray, draw: Draw) -> None:
    scan[..., 3] = np.indices((SIDE, SIDE)).sum(0) // 3 % 2 * 255
    draw("a.png", scan)
    line = refused(3, "synthesize", "a.png", "-o", "o.png", *QUICK)
    assert "no 8x8 pixels are opaque to copy from; --alpha keep takes its transparency as part of the texture" in line


def test_a_source_mask_takes_more_away(texsynth: Texsynth, refused: Refused, scan: np.ndarray, draw: Draw) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, :20] = 255
    draw("m.png", mask)
    result, _ = made(texsynth, "synthesize", "a.png", "--source-mask", "m.png")
    assert palette(result) <= palette(scan[:, 10:20, :3])
    mask[:, 8:] = 0
    draw("m.png", mask)
    words = ("synthesize", "a.png", "--source-mask", "m.png", "-o", "p.png", *QUICK)
    assert "m.png: the mask leaves only transparent parts" in refused(3, *words)


def test_others_of_a_repair(texsynth: Texsynth, scan: np.ndarray, draw: Draw) -> None:
    """They are exemplars, too; and the picture stays without alpha."""
    before = draw("b.png", np.full((SIDE, SIDE, 3), 7, np.uint8))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[9:20, 9:20] = 255
    draw("m.png", mask)
    words = ("inpaint", "b.png", "--mask", "m.png", "--exemplar", "a.png")
    result, said = made(texsynth, *words)
    assert LEFT_OUT.format("31.2") in said and (result[mask == 0] == before[mask == 0]).all()
    assert palette(result[mask > 0]) <= palette(scan[:, 10:, :3])
    result, _ = made(texsynth, *words, "--alpha", "keep")
    assert palette(result[mask > 0]) <= palette(scan) and (result[mask == 0, :3] == before[mask == 0]).all()


def test_foliage_is_repaired_with_its_gaps(texsynth: Texsynth, refused: Refused, scan: np.ndarray, draw: Draw) -> None:
    """With --alpha keep transparent parts are no hole: the band that wraps is filled with colours and alpha."""
    scan[..., 3] = np.indices((SIDE, SIDE)).sum(0) // 3 % 2 * 255
    draw("a.png", scan)
    words = ("inpaint", "a.png", "--alpha", "keep")
    result, _ = made(texsynth, *words, "--make-tileable", "x", "--band", 8)
    assert (result[:, 6:-6] == scan[:, 6:-6]).all() and 0 in result[:, :4, 3] and palette(result) <= palette(scan)
    assert record_of("o.png")["inpaint"]["alpha"] == "keep"
    assert "nothing says what of a.png to fill" in refused(2, *words, "-o", "p.png", *QUICK)


@pytest.mark.usefixtures("scan")
def test_metrics_say_what_they_see_of_it(texsynth: Texsynth) -> None:
    ran = texsynth("evaluate", "a.png", "a.png", "--metric", "nn_pixel")
    assert ran.code == 0 and "a.png: metrics see middle grey where it is transparent" in ran.err


@pytest.mark.usefixtures("scan")
def test_what_stays_as_it_is_keeps_its_alpha(refused: Refused, draw: Draw) -> None:
    draw("m.png", np.zeros((SIDE, SIDE), np.uint8))
    words = ("--mask", "m.png", "--target-mask", "m.png", "--keep-background", "--alpha", "auto", "-o", "o.png")
    assert "--alpha auto and --keep-background exclude each other" in refused(2, "edit", "a.png", *words)
