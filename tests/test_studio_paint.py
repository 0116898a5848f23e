"""What is painted in the studio, as the verbs read it: layers, strokes and their field, undo, and pictures taken in."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import browsing
import still
import texsynth
from texsynth.guidance import labels, orientation
from texsynth.image import masks
from texsynth.image.picture import Picture
from texsynth.studio import definitions

PAGE = Path(texsynth.__file__).parent / "studio" / "page"
FLAG = "--allow-file-access-from-files"  # modules are files too
WIDTH, HEIGHT = 96, 64
PALETTE = ("#203040", "#e0a020", "#30a050")
PROBE = """
import { Stroke, flood } from "PAGE/brush.js";
import * as history from "PAGE/history.js";
import { LAYERS, Layer, trouble } from "PAGE/layers.js";
import { paletteOf } from "PAGE/reading.js";
import { Studio } from "PAGE/state.js";

const busy = document.body.appendChild(document.createElement("iframe")).contentDocument;
busy.open(); // until it is closed, the page counts as not loaded
const [width, height] = [96, 64];
const palette = ["#203040", "#e0a020", "#30a050"];
const rows = Object.fromEntries(LAYERS.texture.map((row) => [row.role, row]));
const layer = (role) => new Layer(rows[role], width, height, () => palette);
const at = (x, y, radius = 4) => ({ x, y, radius });
const studio = new Studio();
history.start(studio);

function paint(target, places, how = {}) {
  const stroke = new Stroke(target, { ink: 255, erase: false, hardness: 1, ...how });
  for (let i = 1; i < places.length; i++) stroke.line(places[i - 1], places[i]);
  if (stroke.finish()) history.keep(studio, target, stroke.rect, stroke.before);
  return target;
}
async function written(target) {
  const bytes = new Uint8Array(await (await target.blob()).arrayBuffer());
  return btoa(String.fromCharCode(...bytes));
}
const drawn = async (target) => createImageBitmap(await target.blob());

const one = paint(layer("orientation"), [at(10, 30), at(80, 30)]);
const tilted = layer("orientation");
paint(tilted, [at(0, 5), at(96, 5)]);
for (let x = -20; x < 110; x += 4) paint(tilted, [at(x, 64), at(x - 4, 64 - 4 * Math.sqrt(3))]);

const parts = paint(layer("labels"), [at(20, 20, 12), at(50, 40, 12)], { ink: 1 });
const ring = [at(60, 10, 2), at(90, 10, 2), at(90, 50, 2), at(60, 50, 2), at(60, 10, 2)];
paint(parts, ring, { ink: 2 });
const before = parts.copy();
parts.edited(flood(parts, { x: 75, y: 30 }, { ink: 2, erase: false }));
const mask = paint(layer("source_mask"), [at(30, 30, 9), at(60, 30, 9)]);
const grey = paint(layer("progression"), [at(48, 32, 20), at(48, 32, 20)], { ink: 200, hardness: 0 });

const undone = layer("source_mask");
paint(undone, [at(30, 30, 9), at(60, 30, 9)]);
const first = await written(undone);
paint(undone, [at(10, 10, 9), at(90, 60, 9)], { erase: true });
undone.resize(200, 30);
history.historyOf(studio).undo();
const resized = [undone.width, undone.height];
undone.resize(width, height);
const second = await written(undone);

const small = new history.History(() => {}, 1000);
for (let i = 0; i < 9; i++) small.push({ bytes: 300, swap() {} });

const again = layer("labels");
again.load(await drawn(parts));
const turned = layer("orientation");
turned.load(await drawn(tilted));

const source = layer("labels_source");
studio.set({ layers: new Map([["labels", parts], ["labels_source", source]]) });
const lacks = [trouble(studio)];
paint(source, [at(20, 20, 20), at(30, 20, 20)], { ink: 1 });
lacks.push(trouble(studio));
paint(source, [at(80, 50, 10), at(80, 51, 10)], { ink: 2 });
lacks.push(trouble(studio));

document.getElementById("probe").textContent = JSON.stringify({
  one: await written(one), tilted: await written(tilted), labels: await written(parts), mask: await written(mask),
  grey: await written(grey), first, second, resized, entries: small.done.length, bytes: small.bytes,
  again: await written(again), turned: await written(turned), lacks,
  palette: paletteOf(await drawn(parts), palette, true),
  filled: parts.ink[30 * width + 75], before: before.cover[30 * width + 75],
});
busy.close();
"""


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page's own modules have painted in a browser."""
    page = tmp_path_factory.mktemp("paint") / "paint.html"
    script = PROBE.replace("PAGE", PAGE.as_uri())
    page.write_text(f'<!doctype html><pre id="probe">null</pre><script type="module">{script}</script>')
    result, console = browsing.opened(page, FLAG)
    assert not console
    return result


def pixels(painted: dict[str, Any], name: str) -> np.ndarray[Any, Any]:
    """The colours (H, W, 3) of a layer's file."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(painted[name]))).convert("RGB"))


def picture(painted: dict[str, Any], name: str) -> torch.Tensor:
    """A layer's file as the verbs read it, (1, 3, H, W)."""
    return torch.from_numpy(pixels(painted, name) / np.float32(255)).permute(2, 0, 1)[None]


def degrees(painted: dict[str, Any], name: str) -> torch.Tensor:
    """The directions of a layer's file, (H, W), from 0 to 180."""
    x, y = orientation.decode(picture(painted, name))[0]
    return torch.rad2deg(torch.atan2(y, x)) % 180


def test_a_stroke_gives_its_direction_to_all_of_the_canvas(painted: dict[str, Any]) -> None:
    angles = degrees(painted, "one")
    assert angles.shape == (HEIGHT, WIDTH)
    assert float(torch.minimum(angles, 180 - angles).max()) < 1


def test_directions_turn_evenly_between_strokes(painted: dict[str, Any]) -> None:
    """From level at the top to 60 degrees at the bottom."""
    angles = degrees(painted, "tilted").median(1).values
    angles = torch.where(angles > 150, angles - 180, angles)
    assert float(angles[4].abs()) < 1 and abs(float(angles[-1]) - 60) < 1.5
    assert 20 < float(angles[HEIGHT // 2]) < 40
    assert bool((angles[1:] - angles[:-1] > -1).all()) and float((angles[1:] - angles[:-1]).max()) < 5


def test_labels_and_masks_have_exact_colours(painted: dict[str, Any]) -> None:
    """No soft edges: the reader of labels finds those of the palette, and that of masks white on black."""
    found_colours = {"#" + bytes(colour).hex() for colour in pixels(painted, "labels").reshape(-1, 3)}
    assert found_colours == set(PALETTE)
    read = labels.palette([picture(painted, "labels")])
    assert {"#" + bytes(c).hex() for c in (read * 255).round().byte().numpy()} == set(PALETTE)
    reading = masks.understood(Picture(picture(painted, "mask")), "mask.png")
    marked = masks.marked(reading.picture)[0, 0]
    assert bool(marked[30, 30:60].all()) and not bool(marked[:18].any()) and not bool(marked[42:].any())
    assert set(np.unique(pixels(painted, "mask"))) == {0, 255}


def test_a_closed_line_is_filled_to_its_border(painted: dict[str, Any]) -> None:
    assert (painted["before"], painted["filled"]) == (0, 2)
    colours = pixels(painted, "labels")
    assert bytes(colours[30, 75]).hex() == PALETTE[2][1:] and bytes(colours[58, 75]).hex() == PALETTE[0][1:]


def test_greys_fall_off_softly_from_the_value_of_the_brush(painted: dict[str, Any]) -> None:
    row = pixels(painted, "grey")[32, :, 0].astype(int)
    assert row[48] >= 195 and row[20] == row[76] == 0
    assert (np.diff(row[48:70]) <= 0).all() and np.abs(np.diff(row)).max() < 30


def test_undo_brings_back_exactly_what_was_there_at_any_size(painted: dict[str, Any]) -> None:
    assert painted["second"] == painted["first"] and painted["resized"] == [200, 30]


def test_what_can_be_undone_is_bounded(painted: dict[str, Any]) -> None:
    assert (painted["entries"], painted["bytes"]) == (3, 900)


def test_a_layer_that_is_written_and_read_is_the_same(painted: dict[str, Any]) -> None:
    assert (pixels(painted, "again") == pixels(painted, "labels")).all()
    assert set(PALETTE) <= set(painted["palette"]) and len(painted["palette"]) >= len(PALETTE)
    apart = (degrees(painted, "turned") - degrees(painted, "tilted")).abs()
    assert float(torch.minimum(apart, 180 - apart).max()) < 1.5


def test_labels_that_the_exemplar_lacks_are_told(painted: dict[str, Any]) -> None:
    nothing, one, both = painted["lacks"]
    assert "at least two" in nothing and "colour 3" in one and both == ""


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """The page with a picture of 64 x 48 pixels, without its server."""
    file = Path(__file__).parent.parent / "samples" / "brick.png"
    server = still.Still(definitions.document(), file.read_bytes())
    straight = still.SOURCE | {"id": "2", "name": "straight.png", "width": 32, "height": 32}
    with browsing.driven() as browser:
        page = still.opened(browser, server, 1500, 900)
        page.route("**/straighten", lambda route: route.fulfill(json=straight))
        yield page
        assert not server.said


def state(page: Any, words: str) -> Any:
    """What an expression of the page's state, `s`, and of its layers, `layer`, gives."""
    get = "const s = studio.all(), layer = (role) => s.layers.get(role);"
    return page.evaluate(
        f"async () => {{ const {{ studio }} = await import('./page/main.js'); {get} return {words}; }}"
    )


def drag(page: Any, pane: str, *places: tuple[float, float], button: str = "left") -> None:
    """Drag over a pane, from place to place in shares of its sides."""
    box = page.locator(f"#{pane} .stage >> visible=true").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down(button=button)
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up(button=button)


def test_a_stroke_is_painted_erased_undone_and_done_again(page: Any) -> None:
    page.click("#canvas [data-layer=progression] .name")
    drag(page, "canvas", (0.3, 0.5), (0.7, 0.5))
    covered = "layer('progression').cover.filter((c) => c > 99).length"
    whole = state(page, covered)
    assert whole > 0 and state(page, "[s.drawing, ...s.undoable]") == [False, 1, 0]
    drag(page, "canvas", (0.5, 0.45), (0.5, 0.55), button="right")
    assert 0 < state(page, covered) < whole
    page.keyboard.press("Control+z")
    assert state(page, covered) == whole
    page.keyboard.press("Control+z")
    assert state(page, "layer('progression').empty")
    page.keyboard.press("Control+Shift+Z")
    assert state(page, covered) == whole
    page.click("#modes label:has-text('Repair')")
    page.keyboard.press("Control+z")
    assert state(page, "[s.mode, layer('progression').empty]") == ["texture", True]  # what is undone is seen


def test_a_second_finger_takes_a_stroke_back_and_magnifies(page: Any) -> None:
    page.click("#canvas [data-layer=orientation] .name")
    box = page.locator("#canvas .stage").bounding_box()
    touches = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": number}
            for number, (x, y) in enumerate(places)
        ]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.4, 0.5))
    touch("touchMove", (0.5, 0.5))
    assert state(page, "[s.drawing, layer('orientation').isClear]") == [True, False]
    touch("touchStart", (0.5, 0.5), (0.6, 0.5))
    assert not state(page, "s.drawing")
    touch("touchMove", (0.3, 0.5), (0.8, 0.5))
    touch("touchEnd")
    assert state(
        page, "[layer('orientation').empty, ...layer('orientation').cover].every((c) => c === true || c === 0)"
    )
    assert page.locator("#canvas .stage[data-fitted]").count() == 0
    page.locator("#canvas .view").press("0")
    page.wait_for_selector("#canvas .stage[data-fitted]")


def test_frames_and_corners_are_moved_by_keys(page: Any) -> None:
    page.click("#exemplar [data-tool=crop]")
    page.get_by_label("Lower right of the crop").press("Shift+ArrowLeft")
    page.get_by_label("Place of the crop").press("ArrowRight")
    assert state(page, "s.crop") == [1, 0, 54, 48]
    page.get_by_role("button", name="Use all of it").click()
    page.click("#modes label:has-text('Repair')")
    page.click("#canvas [data-tool=extend]")
    page.get_by_label("Extend at the right").press("Shift+ArrowRight")
    page.get_by_label("Extend at the top").press("ArrowUp")
    assert state(page, "[s.crop, s.extend]") == [None, [0, 1, 10, 0]]
    page.get_by_label("Extend at the top").press("Shift+ArrowDown")
    assert state(page, "s.extend") == [0, 0, 10, 0]


def test_a_photograph_that_is_straightened_comes_back_with_its_layers(page: Any) -> None:
    page.click("#modes label:has-text('Texture')")
    page.click("#exemplar [data-layer=source_mask] .name")
    drag(page, "exemplar", (0.4, 0.5), (0.6, 0.5))
    page.click("#exemplar [data-tool=quad]")
    page.get_by_label("Upper left corner").press("ArrowRight")
    assert state(page, "s.quad.slice(0, 4)") == [11, 7, 54, 7]
    page.locator("#exemplar .primary").click()
    page.wait_for_function(
        "async () => (await import('./page/main.js')).studio.get('exemplar').name === 'straight.png'"
    )
    assert state(page, "[s.exemplar.width, layer('source_mask').width, layer('source_mask').empty]") == [32, 32, True]
    page.keyboard.press("Control+z")
    assert state(page, "[s.exemplar.width, layer('source_mask').width, layer('source_mask').empty]") == [64, 64, False]
    page.keyboard.press("Control+Shift+Z")
    assert state(page, "s.exemplar.name") == "straight.png"
