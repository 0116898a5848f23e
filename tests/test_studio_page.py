"""The page of the studio in a browser, with the real server and solver: what a person does, and what comes of it."""

from __future__ import annotations

import base64
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import studio_page
from conftest import array, palette
from studio_page import ROOT, Tab
from texsynth.cli import main
from texsynth.image import picture as image

SIDE = 40  # of the exemplars; the canvas is twice as large
STROKE = ((-60, -20), (60, 20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studio is started: a picture that changes, and a material, both small."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "cobble").mkdir()
    for source in (ROOT / "samples" / "rust.png", *(ROOT / "samples" / "cobble").iterdir()):
        name = "rust.png" if source.stem == "rust" else f"cobble/{source.stem}.png"
        image.write(folder / name, image.from_array(array(str(source))[:SIDE, :SIDE]))
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    pytest.importorskip("uvicorn", reason="the extra [studio] is not installed")
    with studio_page.served(folder, "cobble") as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with studio_page.browser() as context:
        yield context


@pytest.fixture
def tab(browser: Any, address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tab]:
    """The page, on which the material is open; commands run in its folder."""
    monkeypatch.chdir(folder)
    with studio_page.opened(browser, address) as tab:
        yield tab


@pytest.fixture(scope="module")
def shared(browser: Any, address: str) -> Iterator[Tab]:
    """A page on which the picture is open: to load one takes longer than most of what is done on it."""
    with studio_page.opened(browser, address) as tab:
        tab.open("rust.png")
        yield tab


@pytest.fixture
def rust(shared: Tab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Tab:
    """That page, as the test before has left it; commands run in its folder."""
    monkeypatch.chdir(folder)
    return shared


def saved(tab: Tab, name: str) -> list[str]:
    """Save by a name; gives the words of the command that is shown."""
    tab.page.fill("#save-name", name)
    tab.page.click("#save")
    tab.page.locator("#saved", has_text=f"{name}.png").wait_for()
    return shlex.split(tab.page.inner_text("#command"))


def test_strokes_steer_the_picture_that_the_command_makes(rust: Tab) -> None:
    plain, first = rust.final(), rust.picture()
    rust.page.click("#canvas [data-layer=progression] .name")
    rust.drag("canvas", *STROKE)
    drafted, painted = rust.shown("Draft"), rust.shown("Final")  # which comes when the hand rests
    assert len({plain, drafted, painted}) == 3
    # A click says where its pixel is from.
    rust.page.click("#result .view")
    rust.page.locator("#source", has_text=re.compile(r"Pixel \d+, \d+ is \d+, \d+ of rust\.png")).wait_for()
    # What is saved is what the command makes.
    words = saved(rust, "bare")
    assert words[:3] == ["texsynth", "control", "rust.png"] and Path("bare_progression.png").is_file()
    words[words.index("bare.png")] = "again.png"
    assert main([*words[1:], "-q"]) == 0 and np.array_equal(array("bare.png"), array("again.png"))
    assert image.read_metadata("bare.png") == image.read_metadata("again.png")
    rust.page.click("#copy-command")
    rust.page.locator("#saved", has_text="Copied").wait_for()
    assert rust.page.evaluate("navigator.clipboard.readText()") == rust.page.inner_text("#command")
    assert not Path("bare_2_progression.png").exists()  # as it is there already
    # A stroke that is undone leaves no trace, also in what is saved at once.
    rust.page.keyboard.press("Control+z")
    rust.shown("Before the last change")
    assert saved(rust, "undone")[:3] == ["texsynth", "synthesize", "rust.png"]
    rust.shown("Final")
    assert rust.picture() == first
    assert np.array_equal(array("undone.png"), np.asarray(Image.open(io.BytesIO(base64.b64decode(first)))))


def test_seeds_and_tiles_are_seen_side_by_side(rust: Tab) -> None:
    first = rust.final()
    rust.page.click("#tiles label:has([value='2'])")
    assert rust.shown("Final") != first
    rust.page.click("#seeds-more")
    rust.page.locator("#seeds-strip img").nth(3).wait_for()
    rust.page.click("#seeds-strip [data-seed='2']")
    rust.shown("Draft")
    rust.shown("Final")
    assert "--seed 2" in shlex.join(saved(rust, "third"))


def test_a_hole_is_filled_and_all_else_stays(rust: Tab) -> None:
    """And its layer is a file, which comes back as it was, after undo too."""
    rust.page.click("#modes label:has([value=repair])")
    rust.drag("canvas", (-20, -8), (20, 8))
    rust.shown("Draft")
    rust.shown("Final")
    saved(rust, "mended")
    changed = (array("mended.png") != array("rust.png")).any(2)
    hole = (array("mended_mask.png") > 0).any(2)
    assert changed.any() and not changed[~hole].any() and 0.02 < hole.mean() < 0.5
    first = exported(rust)
    assert np.array_equal(pixels(first) > 0, hole)
    rust.page.click("#canvas button[aria-label^=Clear]")
    rust.shown("Before the last change")
    layer = rust.page.locator("#canvas input[type=file]")
    layer.set_input_files({"name": "layer.png", "mimeType": "image/png", "buffer": first})
    assert np.array_equal(pixels(exported(rust)), pixels(first))
    for _ in range(2):
        rust.page.keyboard.press("Control+z")
    assert exported(rust) == first


def exported(tab: Tab) -> bytes:
    """The picture that the layer in hand becomes."""
    with tab.page.expect_download() as download:
        tab.page.click("#canvas button[aria-label^=Export]")
    return bytes(Path(download.value.path()).read_bytes())


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def test_a_stroke_ends_what_is_made_and_a_material_is_lit(tab: Tab) -> None:
    tab.shown("Final")
    tab.hears("final", "done")
    tab.page.click("#canvas [data-layer=labels] .name")
    for side in (0, 1):
        tab.page.locator("#canvas-size input").nth(side).fill("512")
    tab.page.click("#run")
    tab.hears("final", "started")
    tab.drag("canvas", *STROKE, done=False)
    tab.hears("final", "cancelled")
    tab.page.mouse.up()
    tab.page.locator("#status", has_text="label").wait_for()  # the exemplar has none yet
    # The final picture that is there is lit.
    tab.page.set_viewport_size({"width": 360, "height": 480})
    tab.page.click("#maps label:has([value=lit])")
    canvas = tab.page.locator("#lit-canvas")
    canvas.wait_for()  # else the keys are those of the choice of maps
    canvas.focus()
    tab.page.keyboard.press("ArrowLeft")  # by hand, from now on
    shots = [lit(canvas)]
    for _ in range(2):
        tab.page.keyboard.press("ArrowUp")
    shots.append(lit(canvas))
    assert len(palette(shots[0].reshape(-1, 3))) > 1000 and not np.array_equal(*shots)


def lit(canvas: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB"))


def test_all_is_done_by_keys(tab: Tab) -> None:
    """A picture is opened, an option set, the picture made, and saved."""
    press = tab.page.keyboard.press
    tab.reach("#open")
    press("Enter")
    tab.page.locator("#open-dialog").wait_for()
    tab.page.keyboard.type("rust")
    press("Enter")
    tab.has("rust.png")
    tab.reach("#settings [name=quality], #settings [data-flag='--quality'] input")
    press("ArrowLeft")
    press("Control+Enter")
    tab.shown("Final")
    tab.reach("#save")
    press("Enter")
    tab.page.locator("#saved", has_text="rust_studio.png").wait_for()
    assert "--quality draft" in tab.page.inner_text("#command") and Path("rust_studio.png").is_file()
