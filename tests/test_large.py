"""Runs above the working size, through the command line: solved reduced, magnified, written by rows."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from asking import job_of, record_of
from conftest import Draw, Refused, Texsynth, array, palette
from pictures import spots
from texsynth import preset
from texsynth.field import pictures
from texsynth.field.magnify import levels
from texsynth.field.planes import Copying
from texsynth.image import pixels
from texsynth.job import Job
from texsynth.runs import cost, finish, run, state, stop
from texsynth.weights.pretrained import Fetching

SIDE = 96
ONE = ("--threads", 1, "-q")


@pytest.fixture(autouse=True)
def small_working_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is above 64 x 64 pixels is large, also in strips of few rows."""
    monkeypatch.setattr(levels, "WORKING_PIXELS", 64 * 64)
    monkeypatch.setattr(levels, "SMALLEST_EXEMPLAR", 24)
    monkeypatch.setattr(pixels, "PIXELS_AT_ONCE", 1000)


@pytest.fixture
def texture(draw: Draw) -> np.ndarray:
    """a.png, spots of which every pixel has a colour of its own, nearly."""
    values = (spots(SIDE, SIDE)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    return draw("a.png", values)


@pytest.fixture
def places(draw: Draw) -> np.ndarray:
    """p.png, which numbers the pixels of a.png."""
    return draw("p.png", np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE))


def test_every_pixel_is_a_copy_and_maps_follow(texsynth: Texsynth, texture: np.ndarray, places: np.ndarray) -> None:
    fine = np.kron(places, np.ones((2, 2), np.uint16))
    fine[1::2] = 60000  # only the upper values of each block number it
    from texsynth.image import picture as image

    image.write("f.png", image.from_array(fine))
    words = ("synthesize", "a.png", "-s", "250x201", "--map", "p=p.png", "--map", "f=f.png", "--exact-copies", *ONE)
    said = texsynth(*words[:-1], "-v", "-o", "o.png")
    assert said.code == 0, said.err
    assert "magnified 4 times" in said.err
    out, where, twice = array("o.png"), array("o_p.png"), array("o_f.png")
    assert out.shape == (201, 250, 3) and twice.shape == (402, 500)
    assert (out == texture.reshape(-1, 3)[where]).all()
    assert (twice[::2, ::2] == where).all() and (twice[1::2] == 60000).all()
    right = where[:, 1:] == where[:, :-1] + 1
    assert right.mean() > 0.7  # pieces, not noise


def test_the_same_run_makes_the_same_bytes_and_repeats(
    texsynth: Texsynth, texture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    del texture
    texsynth("synthesize", "a.png", "-s", 200, "--tile", "xy", "--seed", 3, *ONE, "-o", "o.png")
    monkeypatch.setattr(pixels, "PIXELS_AT_ONCE", 1 << 20)
    assert texsynth("synthesize", "a.png", "--from", "o.png", *ONE, "-o", "again.png").code == 0
    assert Path("o.png").read_bytes() == Path("again.png").read_bytes()
    edges = np.abs(array("o.png").astype(int) - np.roll(array("o.png"), 1, 1)).mean((0, 2))
    assert edges[0] < 3 * edges.mean()


def test_pixels_outside_a_hole_stay(texsynth: Texsynth, texture: np.ndarray, draw: Draw) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[30:52, 40:70] = 255
    draw("m.png", mask)
    texsynth("inpaint", "a.png", "--mask", "m.png", *ONE, "-o", "o.png")
    out = array("o.png")
    assert (out[mask == 0] == texture[mask == 0]).all()
    assert (out[mask > 0] != texture[mask > 0]).any()
    texsynth("inpaint", "a.png", "--make-tileable", "xy", "--band", 16, *ONE, "-o", "t.png")
    assert (array("t.png")[8:-8, 8:-8] == texture[8:-8, 8:-8]).all()
    texsynth("inpaint", "a.png", "--extend", "0,0,20,10", *ONE, "-o", "e.png")
    wide = array("e.png")
    assert wide.shape == (SIDE + 10, SIDE + 20, 3) and (wide[:SIDE, :SIDE] == texture).all()


def test_a_large_exemplar_makes_a_small_picture(texsynth: Texsynth, texture: np.ndarray) -> None:
    texsynth("synthesize", "a.png", "-s", 40, "--exact-copies", *ONE, "-o", "o.png")
    assert palette(array("o.png")) <= palette(texture) and array("o.png").shape == (40, 40, 3)


def test_labels_are_followed_to_the_pixel(texsynth: Texsynth, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is drawn of the field is drawn by rows."""
    drawn: list[int] = []

    def plane_picture(field: Copying) -> Tensor:
        drawn.append(field.size[0])
        return plane(field)

    plane = pictures.plane_picture
    monkeypatch.setattr(pictures, "plane_picture", plane_picture)
    left = np.arange(SIDE)[None, :] < SIDE // 2
    noise = np.random.default_rng(0).integers(0, 90, (SIDE, SIDE))
    draw("a.png", np.where(left, noise, 255 - noise).astype(np.uint8))
    draw("l.png", np.where(np.broadcast_to(left, (SIDE, SIDE)), 0, 255).astype(np.uint8))
    y, x = np.mgrid[:150, :150]
    inside = (y - 75) ** 2 + (x - 75) ** 2 < 50**2
    draw("t.png", np.where(inside, 255, 0).astype(np.uint8))
    words = ("--labels", "l.png", "t.png", "-s", 150, "--exact-copies", "--save-guides", "g")
    texsynth("control", "a.png", *words, *ONE, "-o", "o.png")
    assert ((array("o.png") > 127) == inside).mean() > 0.99
    assert array("g/copies.png").shape == (150, 150, 3) and max(drawn) < 10


def test_ctrl_c_while_seams_are_mended_leaves_the_whole_picture(
    texsynth: Texsynth, texture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    del texture

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(levels, "slide", interrupted)
    assert texsynth("synthesize", "a.png", "-s", 200, *ONE, "-o", "o.png").code == 130
    assert array("o.png").shape == (200, 200, 3) and record_of("o.png")["interrupted"] is True


@pytest.mark.parametrize("work", [(finish, "correction"), (state, "keep_raised")], ids=["tone", "checkpoint"])
def test_ctrl_c_between_the_levels_leaves_the_whole_picture(
    texsynth: Texsynth, texture: np.ndarray, monkeypatch: pytest.MonkeyPatch, work: tuple[Any, str]
) -> None:
    del texture
    does = getattr(*work)

    def stopped(*words: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return does(*words)

    monkeypatch.setattr(*work, stopped)
    assert texsynth("synthesize", "a.png", "-s", 200, *ONE, "-o", "o.png").code == 130
    assert array("o.png").shape == (200, 200, 3) and record_of("o.png")["interrupted"] is True
    assert not stop.asked()


def test_memory_that_cannot_be_kept_is_refused(refused: Refused, texture: np.ndarray) -> None:
    del texture
    line = refused(4, "synthesize", "a.png", "-s", 50000, "--max-memory", "500M", "-o", "o.png")
    assert "50000x50000 needs about" in line


def test_all_that_is_written_beside_a_picture(texsynth: Texsynth, texture: np.ndarray, places: np.ndarray) -> None:
    del texture
    words = ("-s", 150, "--tile", "x", "--map", "p=p.png", "--exact-copies", "--save-field", "--report", "r.html", *ONE)
    assert texsynth("synthesize", "a.png", *words, "-n", 2, "--pick", "best", "-o", "o.png").code == 0
    with np.load("o_field.npz") as field:
        assert (places[field["y"], field["x"]] == array("o_p.png")).all()
    assert array("o_coordinates.png").shape[:2] == (150, 150)
    assert "150 x 150 pixels" in Path("r.html").read_text("utf-8")
    ran = texsynth("inpaint", "a.png", "--make-tileable", "x", "--check", "--preview", "--threads", 1, "-o", "t.png")
    assert ran.code == 0 and "t.png: unchanged true" in ran.err
    assert array("t_preview.png").shape == (2 * SIDE, 2 * SIDE, 3)


@pytest.mark.usefixtures("texture")
def test_a_format_that_is_encoded_as_a_whole_counts(
    texsynth: Texsynth, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "ENCODED", {"JPEG": 1 << 20})
    words = ("synthesize", "a.png", "-s", 200, "--dry-run", *ONE)
    for where in (("-o", "o.jpg"), ("-o", "-", "--format", "jpeg")):
        line = refused(4, *(word for word in words if word != "--dry-run"), *where)
        assert "JPEG is encoded as a whole, and 200x200 needs about 39" in line and "write .png or .tif" in line
    assert texsynth(*words, "-o", "o.png").code == 0


@pytest.mark.usefixtures("texsynth", "texture")
def test_an_estimate_at_another_size_is_that_of_a_run_of_that_size() -> None:
    """Such as that of a size that is said to fit: it may be reduced less, and its solver then takes more."""

    chosen = preset.load(preset.DEFAULT)

    def job(side: int) -> Job:
        return run.fit(job_of("synthesize", "a.png", size=side), chosen, None, run.silent, None, Fetching(print))

    large = job(500)
    for side in (260, 128, 100):
        assert run.estimate(large, chosen, (side, side)) == run.estimate(job(side), chosen)


def test_a_run_that_was_magnified_is_applied_to_a_larger_original(
    texsynth: Texsynth, refused: Refused, texture: np.ndarray, draw: Draw
) -> None:
    """From the field that was solved for it, as the picture shows."""
    small = texture.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean((1, 3))
    draw("s.png", small.round().astype(np.uint8))
    texsynth("synthesize", "s.png", "-s", 100, *ONE, "-o", "o.png")
    words = ("synthesize", "a.png", "--from", "o.png", "-o", "p.png")
    assert refused(4, *words, "--max-memory", "150M").endswith("of 150 MB; raise --max-memory\n")
    said = texsynth(*words, "-v", "--threads", 1)
    assert said.code == 0 and "solved at 50x50, then magnified 4 times" in said.err
    again = array("p.png").reshape(100, 2, 100, 2, 3).mean((1, 3))
    assert np.abs(again - array("o.png")).mean() < 20


def test_what_is_small_is_solved_whole(
    texsynth: Texsynth, texture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    del texture
    monkeypatch.setattr(levels, "WORKING_PIXELS", SIDE * SIDE)
    assert "magnified" not in texsynth("synthesize", "a.png", "-s", SIDE, "--threads", 1, "-v", "-o", "o.png").err
    assert torch.get_num_threads() == 1
