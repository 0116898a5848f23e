"""The lit view of the report: its markup, its measure of relief, and what a browser without network draws of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import browsing
from asking import job_of
from pages import Balance
from texsynth import preset
from texsynth.image.picture import Picture
from texsynth.job import Job
from texsynth.report import html, view
from texsynth.runs import run
from texsynth.runs.run import Result

SIDE, DEPTH = 48, 0.08  # pixels of the tile, and its relief in widths

# After the page: the view is used as a person would, and looked at, all before the page counts as loaded.
PROBE = """<pre id="probe"></pre><script>
const view = document.getElementById("view"), canvas = view.querySelector("canvas"), shots = {};
let now = 0;
function look(name) {
  for (const frame of frames.splice(0)) frame((now += 50));
  const copy = Object.assign(document.createElement("canvas"), { width: 96, height: 48 });
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0, 96, 48);
  shots[name] = Array.from(context.getImageData(0, 0, 96, 48).data);
}
function set(name, value) {
  view.querySelector(`[name=${name}]`).value = value;
  view.querySelector(`[name=${name}]`).dispatchEvent(new Event("input", { bubbles: true }));
}
function point(x, y) {
  const box = canvas.getBoundingClientRect();
  const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
  canvas.dispatchEvent(new PointerEvent("pointermove", place));
}
function use() {
  canvas.style.width = "180px";
  set("shape", "both");
  set("tiles", "1");
  look("first");
  for (let i = 0; i < 4; i++) look("later");
  point(0.75, 0.02);
  look("above");
  point(0.75, 0.98);
  look("below");
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  look("keyed");
  set("tiles", "4");
  look("four");
  set("relief", "0");
  look("flat");
  set("shape", "plane");
  look("plane");
}
addEventListener("load", () => {
  if (view.dataset.state === "shown") use();
  const said = getComputedStyle(view.querySelector(".missing")).display !== "none";
  const probe = { shots, wrong, loaded: loaded(), said, state: view.dataset.state || "" };
  document.getElementById("probe").textContent = JSON.stringify(probe);
});
</script>"""


def dome() -> tuple[np.ndarray, np.ndarray]:
    """The height of four domes in [0, 1], and the normals with green up that belong to it, both (SIDE, SIDE, ...)."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE * 2 % 1 * 2 - 1
    height = np.sqrt(np.clip(1 - x**2 - y**2, 0.2, 1))
    down, right = np.gradient(height * DEPTH * SIDE)
    normal = np.dstack([-right, down, np.ones_like(height)])
    return (height - height.min()) / np.ptp(height), normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def layer(values: np.ndarray) -> Picture:
    return Picture(torch.as_tensor(np.atleast_3d(values), dtype=torch.float32).permute(2, 0, 1).unsqueeze(0))


@pytest.fixture(scope="module")
def made() -> tuple[Result, Job]:
    """A small run with normals, height and roughness, whose result is then that of a tile with domes."""
    height, normal = dome()
    noise = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    maps = {"normal": np.uint8(normal * 127.5 + 127.5), "height": noise[..., 0], "roughness": noise[..., 1]}
    job = job_of("synthesize", noise, size=str(SIDE), tile="xy", maps={name: [value] for name, value in maps.items()})
    layers = {"normal": layer(normal / 2 + 0.5), "height": layer(height), "roughness": layer(0.3 + 0.5 * (1 - height))}
    result = run.run(job, preset.resolve(quality="draft"), seed=1)
    return replace(result, picture=layer(np.full((SIDE, SIDE, 3), 0.55)), layers=layers), job


def pointing_down(result: Result, job: Job) -> tuple[Result, Job]:
    """The same with green down."""
    pixels = result.layers["normal"].pixels.clone()
    pixels[:, 1] = 1 - pixels[:, 1]
    maps = {**job.maps, "normal": replace(job.maps["normal"], role="normal_dx")}
    return replace(result, layers={**result.layers, "normal": Picture(pixels)}), replace(job, maps=maps)


def test_pictures_say_their_roles_and_the_page_is_whole(made: tuple[Result, Job]) -> None:
    text = html.page(*made)
    assert Balance(text).open == []
    markup = text.replace(view.SCRIPT, "")
    assert sorted(re.findall(r'data-role="(\w+)"', markup)) == ["base_colour", "height", "normal", "roughness"]
    assert "normal (green up)" in markup and "data-green" not in markup
    turned = html.page(*pointing_down(*made))
    assert "normal (green down)" in turned and 'data-role="normal" data-green="down"' in turned


def test_without_maps_that_answer_to_light_there_is_no_view(made: tuple[Result, Job]) -> None:
    result, job = made
    for layers in ({}, {"mask": result.layers["height"]}):
        text = html.page(replace(result, layers=layers), replace(job, maps=dict.fromkeys(layers, job.maps["height"])))
        assert 'id="view"' not in text and "data-role" not in text and "<script" not in text


def test_what_does_not_tile_is_shown_once_at_first(made: tuple[Result, Job]) -> None:
    result, job = made
    chosen = r'<option value="(\d)" selected>'
    assert re.findall(chosen, html.page(result, job)) == ["2"]
    fixed = replace(job, task=replace(job.task, tile=(True, False)))
    assert re.findall(chosen, html.page(result, fixed)) == ["1"]


def test_of_two_maps_of_one_role_the_first_is_shown() -> None:
    assert view.by_role(["id", "nrm", "normal", "ao"]) == {"normal": "nrm", "occlusion": "ao"}
    assert view.by_role(["opacity", "id"]) == {}


@pytest.mark.parametrize("down", [False, True])
def test_the_relief_is_that_of_the_normals(down: bool) -> None:
    height, normal = dome()
    ramp, up = layer(height).pixels, layer(normal / 2 + 0.5).pixels
    lowest = 0.2**0.5  # of the domes
    if down:
        up[:, 1] = 1 - up[:, 1]
    assert view.relief(ramp, up, down) == pytest.approx(DEPTH * (1 - lowest), rel=0.01)
    two_channels = torch.cat([up[:, :2], torch.zeros_like(ramp)], 1)
    assert view.relief(ramp, two_channels, down) == pytest.approx(DEPTH * (1 - lowest), rel=0.01)
    assert view.relief(1 - ramp, up, down) == view.USUAL, "they do not agree"
    assert view.relief(ramp, None, down) == view.relief(ramp, up[..., :20], down) == view.USUAL
    assert view.relief(0 * ramp, up, down) == view.USUAL


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], str]]:
    """Open a page in a browser without network: what the probe found, and what the console said."""

    def open_page(text: str, *flags: str) -> tuple[dict[str, Any], str]:
        page = tmp_path / "page.html"
        page.write_text(browsing.watched(text, PROBE), "utf-8")
        return browsing.opened(page, *flags)

    return open_page


def halves(shot: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Luma of what is covered on the left (the sphere) and on the right (the plane), nan elsewhere: (48, 48) each."""
    pixels = np.array(shot, float).reshape(48, 96, 4)
    luma = np.where(pixels[..., 3] > 250, pixels[..., :3].mean(-1), np.nan)
    return luma[:, :48], luma[:, 48:]


@pytest.mark.parametrize("green", ["up", "down"])
def test_a_browser_draws_a_lit_sphere_and_plane(
    made: tuple[Result, Job], browse: Callable[..., tuple[dict[str, Any], str]], green: str
) -> None:
    page = html.page(*(made if green == "up" else pointing_down(*made)))
    probe, console = browse(page, *browsing.SOFTWARE)
    assert (probe["state"], probe["said"], probe["wrong"], probe["loaded"], console) == ("shown", False, [], [], "")
    shots = {name: halves(shot) for name, shot in probe["shots"].items()}
    for sphere_or_plane in shots["first"]:
        assert 0.2 < np.isfinite(sphere_or_plane).mean() < 0.9
        assert 40 < np.nanmean(sphere_or_plane) < 230 and np.nanstd(sphere_or_plane) > 8
    assert differs(shots["first"], shots["later"]) > 0.05, "the light goes round by itself"
    assert differs(shots["above"], shots["below"]) > 10 and differs(shots["below"], shots["keyed"]) > 1
    assert differs(shots["keyed"], shots["four"]) > 3 and differs(shots["four"], shots["flat"]) > 0.5
    assert np.isfinite(np.hstack(shots["plane"])).mean() > 0.4
    upper, lower = slope_of_domes(shots["above"][1]), slope_of_domes(shots["below"][1])
    assert upper > 3 and lower < -3, "domes are bright where they face the light"


def differs(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> float:
    """The mean difference of what both show, the smaller one of sphere and plane."""
    return min(float(np.nanmean(np.abs(a - b))) for a, b in zip(one, other, strict=True))


def slope_of_domes(plane: np.ndarray) -> float:
    """By how much the upper halves of the domes are lighter than the lower ones, on the plane of one tile."""
    rows = [np.nanmean(row) for row in plane if np.isfinite(row).any()]
    steps = [half[: len(half) // 2].mean() - half[len(half) // 2 :].mean() for half in np.array_split(rows[1:-1], 2)]
    return float(np.mean(steps))


def test_a_browser_without_webgl_shows_a_line(
    made: tuple[Result, Job], browse: Callable[..., tuple[dict[str, Any], str]]
) -> None:
    probe, _ = browse(html.page(*made), "--disable-3d-apis")
    assert (probe["state"], probe["said"], probe["wrong"], probe["shots"]) == ("", True, [], {})
