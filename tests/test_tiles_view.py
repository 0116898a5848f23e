"""The pages on tiles and on blending: what a browser without network draws is what Python lays and bakes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import browsing
from pages import Balance
from texsynth.image import picture as image
from texsynth.image.picture import Picture
from texsynth.image.seen import light_of, srgb_of
from texsynth.job import Layer
from texsynth.report import blend as blend_pages
from texsynth.report import plane as plane_pages
from texsynth.report import tiles as tile_pages
from texsynth.report.blend import Blending
from texsynth.tiles import plane, sets
from texsynth.tiles.blending import Gaussian, Grid, Slopes, bake
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import TileSet

SIZE, BORDER, PADDING, SEED = (26, 36), 6, 4, 7  # not all borders lie between the pairs of pixels of a graphics card
WIDTH, HEIGHT = 300, 150  # of the canvas
SETS = {"corner": sets.corner(2), "wang": sets.wang(3, 81), "blob": sets.blob()}
LAID = {"wang_8": sets.wang(2, 8), "wang_18": sets.wang(3, 18), "blob": sets.blob(), "marching": sets.marching()}

# What a person does, and what is seen then; a picture of each, in the page's own pixels.
PROBE = """<script>
const shots = {}, numbers = {};
let turns = 9; // of 10 ms, before a look: more where a map is decoded meanwhile
async function look(name) {
  for (; turns > 0; turns--) {
    for (const frame of frames.splice(0)) frame(0);
    await new Promise((done) => setTimeout(done, 10));
  }
  turns = 2;
  ask();
  for (const frame of frames.splice(0)) frame(0);
  shots[name] = canvas.toDataURL();
}
const ask = () => plane.dispatchEvent(new Event("input"));
function set(name, value) {
  field(name).value = value;
  ask();
  if (name === "map") turns = 9;
}
function key(name) { canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name })); }
function wheel(halvings) { // or doublings, below 0
  const box = canvas.getBoundingClientRect(), at = { clientX: box.left, clientY: box.top };
  const deltaY = Math.sign(halvings) * Math.log(2) / 0.0015 / 2; // of the zoom, in two steps
  for (let turn = 0; turn < 2 * Math.abs(halvings); turn++)
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, ...at }));
}
async function home() { // and pixels as they are, which is further off where they are few
  key("Home");
  await look("home");
  if (field("zoom").value === "50 %") wheel(-1);
}
async function use() {
  Object.assign(plane.querySelector(".stage").style, { width: "300px", height: "150px", minHeight: 0, flex: "none" });
  await home();
  await look("both");
  set("parts", "random");
  await look("first");
  USED
}
addEventListener("load", async () => {
  const soon = () => new Promise((done) => setTimeout(done, 20));
  for (let turn = 0; turn < 200 && plane.dataset.state !== "shown"; turn++) await soon();
  try { await use(); } catch (error) { wrong.push(String(error)); }
  const said = getComputedStyle(plane.querySelector(".missing")).display !== "none";
  parent.postMessage({ page: document.title, shots, numbers, wrong, loaded: loaded(), said }, "*");
});
</script>"""
# One page after the other. The book counts as loaded when the last one has said what it saw: a frame of it is kept open
# till then.
BOOK = """<pre id="probe"></pre><iframe id="page" width="500" height="600"></iframe><iframe id="hold"></iframe><script>
const all = {}, names = NAMES, hold = document.getElementById("hold").contentDocument;
const next = () => names.length ? (document.getElementById("page").src = `${names.shift()}.html`) : hold.close();
hold.open();
setTimeout(() => hold.close(), 60000);
addEventListener("message", ({ data }) => {
  all[data.page] = data;
  document.getElementById("probe").textContent = JSON.stringify(all);
  next();
});
next();
</script>"""
USES = {
    "corner": """
  key("ArrowRight"); key("ArrowDown");
  await look("moved");
  await home();
  for (let turn = 0; turn < 9; turn++) { key("ArrowLeft"); key("ArrowUp"); }
  await look("before");
  await home();
  set("map", "normal");
  await look("normal");
  set("map", "fine");
  await look("fine");
  set("map", "lit");
  await look("lit");
  set("lamp", "315");
  await look("turned");
  set("map", "base colour");
  key("b");
  await look("borders");
  key("b");
  key("n");
  await look("another");
  set("seed", "7");
  set("parts", "plain");
  await look("plain");
  set("parts", "random");
  wheel(1);
  await look("reduced");""",
    "corner_atlas": "wheel(1); await look('reduced');",
    "blob": """
  for (const [name, other] of Object.entries(LAID)) numbers[name] = [...laying(other)(0, 0, 7)];
  for (let turn = 0; turn < 400; turn++) { key("ArrowRight"); }
  await look("far");""",
    "blend": """
  key("ArrowLeft"); key("ArrowUp");
  await look("moved");
  await home();
  set("map", "normal");
  await look("normal");
  set("map", "roughness");
  await look("roughness");
  set("map", "lit");
  await look("lit");
  set("map", "base colour");
  key("b");
  await look("borders");
  key("b");
  set("parts", "plain");
  await look("plain");
  set("parts", "random");
  wheel(1);
  await look("reduced");""",
}


# The function of tiles.glsl for those who keep the atlas, which the viewer, with its array of tiles, does not call.
ATLAS = """(() => {
  const set = JSON.parse(document.getElementById("set").textContent);
  show({
    fragment: `#define TILES_FIRST_ROW_BELOW\n${set.glsl}
      /* head */
      uniform Tiles tiles;
      uniform sampler2D atlas;
      void main() {
        vec2 at = place() / tiles.size, step = vec2(pixel, 0.0);
        ivec2 cell = ivec2(floor(at));
        int number = cornerTile(cell + corner, tiles);
        shown = tileOfAtlas(atlas, number, at - vec2(cell), step.xy / tiles.size, step.yx / tiles.size, tiles);
        shown.rgb = srgb(shown.rgb);
      }`,
    size: [set.width, set.height],
    bounds: null,
    async begin(gl, uniform) {
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.SRGB8_ALPHA8, gl.RGBA, gl.UNSIGNED_BYTE, await picture(set.maps[0].source));
      filtered(gl, gl.TEXTURE_2D, gl.CLAMP_TO_EDGE);
      gl.uniform2f(uniform("tiles.size"), set.width, set.height);
      gl.uniform1f(uniform("tiles.padding"), set.padding);
      gl.uniform2i(uniform("tiles.grid"), set.columns, set.rows);
      gl.uniform1i(uniform("tiles.colours"), set.colours);
      gl.uniform1i(uniform("tiles.seed"), 7);
    },
    draw() {},
  });
})();"""


def atlas_page(text: str) -> str:
    """The page of a set, drawn from its atlas, the first row of which is the lowest, as engines keep pictures."""
    return text.replace(tile_pages.SCRIPT, ATLAS)


def drawn(tiles: TileSet) -> Drawn:
    """Tiles of noise, corner tiles with normals and a map of twice the size."""
    rng = torch.Generator().manual_seed(3)
    sides = [side + 2 * BORDER for side in SIZE]

    def layer(channels: int, scale: int, role: str) -> Layer:
        shape = (1, channels, scale * sides[0], scale * sides[1])
        some = [torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8) / 255 for _ in tiles.tiles]
        return Layer(tuple(map(Picture, some)), role)

    base = layer(3, 1, "colour")
    if tiles != SETS["corner"]:
        return Drawn(tiles, SIZE, BORDER, base)
    return Drawn(tiles, SIZE, BORDER, base, {"normal": layer(3, 1, "normal"), "fine": layer(1, 2, "data")})


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the probe saw on the page of each set, all in one browser; "console": what it said."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {name: tile_pages.page(drawn(tiles), PADDING, name, SEED) for name, tiles in SETS.items()}
    pages |= {name: blend_pages.page(grid, blended(grid), name) for name, grid in GRIDS.items()}
    corner = tile_pages.page(drawn(sets.corner(2)), PADDING, "corner_atlas", SEED)
    pages["corner_atlas"] = atlas_page(corner)
    # The other way up than "blend".
    pages["blend_steps"] = (
        pages["blend_steps"]
        .replace('"glsl":"', '"glsl":"#define BLEND_FIRST_ROW_BELOW\\n')
        .replace("context.NONE);", "context.NONE); context.pixelStorei(context.UNPACK_FLIP_Y_WEBGL, true);")
    )
    laid = json.dumps({name: tile_pages.described(tiles) for name, tiles in LAID.items()})
    for name, text in pages.items():
        probe = PROBE.replace("USED", USES.get(name, "")).replace("LAID", laid)
        (folder / f"{name}.html").write_text(browsing.watched(text, probe), "utf-8")
    book = BOOK.replace("NAMES", json.dumps(list(pages)))
    (folder / "book.html").write_text(book, "utf-8")
    probes, console = browsing.opened(folder / "book.html", *browsing.SOFTWARE)
    found: dict[str, dict[str, Any]] = {title.split(":")[0]: probe for title, probe in probes.items()}
    assert sorted(found) == sorted(pages)
    for name, probe in found.items():
        for shown, data in probe["shots"].items():
            (file := folder / f"{name}_{shown}.png").write_bytes(base64.b64decode(data.partition(",")[2]))
            probe["shots"][shown] = file
    return {**found, "console": {"said": console}}


def shot(seen: dict[str, dict[str, Any]], page: str, name: str) -> Tensor:
    """A picture of the canvas, (3, HEIGHT, WIDTH) in [0, 1]."""
    pixels = image.read(seen[page]["shots"][name]).pixels
    assert pixels.shape[2:] == (HEIGHT, WIDTH)
    return pixels[0, :3]


def expected(tiles: TileSet, layer: str = "image", cells: tuple[int, int] = (9, 12)) -> Tensor:
    """The plane of Python, of so many cells; finer maps at their own size."""
    some = drawn(tiles)
    numbers = plane.laid(tiles, *cells, SEED)
    pixels = plane.picture(some, numbers, some.image if layer == "image" else some.maps[layer]).pixels
    return pixels[0].expand(3, -1, -1)


GRIDS = {
    "blend": Grid((48, 64), seed=SEED, side=20.0),
    "blend_steps": Grid((48, 64), seed=SEED, side=17.5, sharpness=1.5, cells=6, steps=(1, 2, 3, 1)),
}


def blended(grid: Grid) -> dict[str, Blending]:
    """Smooth noise of 8 bits with tables that bend and axes that turn; normals, and a map of twice the size."""
    rng = torch.Generator().manual_seed(4)

    def smooth(channels: int, scale: int) -> Tensor:
        height, width = (scale * side for side in grid.size)
        noise = torch.randn(1, channels, height // 4, width // 4, generator=rng)
        wide = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic")
        return (wide * 0.12 + 0.5).mul(255).round().clamp(0, 255) / 255

    def layer(channels: int, scale: int) -> Gaussian:
        bent = torch.linspace(0, 1, 256) ** torch.linspace(0.7, 1.4, channels)[:, None]
        table = torch.stack([bent, bent * 0.6 + 0.2, bent * 0.2 + 0.4], 1)
        common = torch.tensor([0.3, 0.0, 0.1])[:channels] * (grid.cells < 100)
        axes = torch.tensor([[0.5, 0.2, 0.1], [0.4, -0.2, 0.1], [0.5, 0.0, -0.2]])[:channels, :channels]
        return Gaussian(smooth(channels, scale), table, common, torch.tensor([0.2, 0.3, 0.25])[:channels], axes)

    normals = torch.cat([smooth(2, 1), torch.full((1, 1, *grid.size), 230 / 255)], 1)
    slopes = Slopes(normals, torch.tensor([0.05, -0.1]), torch.tensor([0.1, 0.2]) * (grid.cells < 100))
    plain = Picture(smooth(3, 1))
    maps = {"image": layer(3, 1), "normal": slopes, "roughness": layer(1, 2)}
    return {name: Blending(layer, Picture(normals) if name == "normal" else plain) for name, layer in maps.items()}


def differ(one: Tensor, other: Tensor) -> float:
    """By how many of 255 at the most."""
    return float((one - other).abs().max()) * 255


@pytest.mark.parametrize("name", SETS)
def test_the_page_draws_the_plane_that_python_lays(seen: dict[str, dict[str, Any]], name: str) -> None:
    page = seen[name]
    assert (page["wrong"], page["loaded"], page["said"], seen["console"]["said"]) == ([], [], False, "")
    assert differ(shot(seen, name, "first"), expected(SETS[name])[:, :HEIGHT, :WIDTH]) <= 1.01
    assert differ(shot(seen, name, "both")[..., :148], expected(SETS[name])[:, :HEIGHT, :148]) <= 1.01


def test_keys_move_the_plane_and_the_plane_has_no_end(seen: dict[str, dict[str, Any]]) -> None:
    first, moved = expected(SETS["corner"]), shot(seen, "corner", "moved")
    assert differ(moved, first[:, 60 : 60 + HEIGHT, 60 : 60 + WIDTH]) <= 1.01
    before = shot(seen, "corner", "before")[:, 20:46, :36]  # 540 pixels are 15 tiles, or 20 of them and 20 pixels
    tiles = [picture.pixels[0, :, BORDER:-BORDER, BORDER:-BORDER] for picture in drawn(SETS["corner"]).image.pictures]
    assert min(differ(tile, before) for tile in tiles) <= 1.01
    assert differ(shot(seen, "blob", "far"), shot(seen, "blob", "first")) > 50


def test_maps_are_shown_and_lit(seen: dict[str, dict[str, Any]]) -> None:
    shots = {name: shot(seen, "corner", name) for name in seen["corner"]["shots"]}
    assert differ(shots["normal"], expected(SETS["corner"], "normal")[:, :HEIGHT, :WIDTH]) <= 1.01
    fine = expected(SETS["corner"], "fine")[:, : 2 * HEIGHT, : 2 * WIDTH]
    halved = torch.nn.functional.avg_pool2d(fine, 2)
    assert differ(shots["fine"], halved) <= 1.01, "a map of twice the size lies where the image does"
    assert differ(shots["lit"], shots["first"]) > 20 and differ(shots["lit"], shots["turned"]) > 20
    changed = (shots["borders"] - shots["first"]).abs().amax(0) > 0.02
    assert changed[26].float().mean() > 0.9 and changed[13].float().mean() < 0.5
    assert differ(shots["another"], shots["first"]) > 50
    tile = drawn(SETS["corner"]).image.pictures[0].pixels[0, :, BORDER:-BORDER, BORDER:-BORDER]
    assert differ(shots["plain"], tile.repeat(1, 7, 9)[:, :HEIGHT, :WIDTH]) <= 1.01


def test_an_atlas_is_drawn_as_its_tiles_are(seen: dict[str, dict[str, Any]]) -> None:
    """Though the first row of its picture is the lowest, as engines keep pictures."""
    assert seen["corner_atlas"]["wrong"] == []
    assert differ(shot(seen, "corner_atlas", "first"), expected(SETS["corner"])[:, :HEIGHT, :WIDTH]) <= 1.01


@pytest.mark.parametrize("name", ["corner", "corner_atlas"])
def test_from_afar_the_means_of_the_plane_are_seen(seen: dict[str, dict[str, Any]], name: str) -> None:
    """Gradients are those of the plane: a line would be seen where the coordinates of the atlas jump."""
    whole = expected(SETS["corner"], cells=(12, 17))[:, : 2 * HEIGHT, : 2 * WIDTH]
    means = torch.nn.functional.avg_pool2d(light_of(whole), 2)
    assert differ(shot(seen, name, "reduced"), srgb_of(means)) < 2


@pytest.mark.parametrize("name", LAID)
def test_sets_that_need_a_map_are_laid_as_python_lays_them(seen: dict[str, dict[str, Any]], name: str) -> None:
    numbers = torch.tensor(seen["blob"]["numbers"][name]).reshape(256, 256)
    assert numbers.equal(plane.laid(LAID[name], 256, 256, SEED))


@pytest.mark.parametrize("name", GRIDS)
def test_the_page_draws_the_blend_that_python_bakes(seen: dict[str, dict[str, Any]], name: str) -> None:
    """By the file that is written for engines."""
    assert (seen[name]["wrong"], seen[name]["loaded"], seen[name]["said"]) == ([], [], False)
    baked = bake(GRIDS[name], blended(GRIDS[name])["image"].layer, (HEIGHT, WIDTH))[0].clamp(0, 1)
    assert float(baked.std()) > 0.05
    assert differ(shot(seen, name, "first"), baked) <= 1.5


def test_maps_of_a_blend_are_those_that_python_bakes(seen: dict[str, dict[str, Any]]) -> None:
    grid, maps = GRIDS["blend"], blended(GRIDS["blend"])
    normal = bake(grid, maps["normal"].layer, (HEIGHT, WIDTH))[0]
    assert differ(shot(seen, "blend", "normal"), normal) <= 1.5
    fine = bake(grid, maps["roughness"].layer, (HEIGHT, WIDTH), level=1)[0]
    assert differ(shot(seen, "blend", "roughness"), fine) <= 1.5, "of a map of twice the size the next level"
    first = shot(seen, "blend", "first")
    moved, plain = shot(seen, "blend", "moved"), shot(seen, "blend", "plain")
    assert differ(moved[:, 60:, 60:], first[:, : HEIGHT - 60, : WIDTH - 60]) <= 1.01 and differ(moved, first) > 20
    texture = maps["image"].texture.pixels[0].repeat(1, 4, 5)[:, :HEIGHT, :WIDTH]
    assert differ(plain, texture) <= 1.01
    assert differ(shot(seen, "blend", "lit"), first) > 10 and differ(shot(seen, "blend", "borders"), first) > 50
    reduced = bake(grid, maps["image"].layer, (HEIGHT // 2, WIDTH // 2), level=1)[0].clamp(0, 1)
    assert differ(shot(seen, "blend", "reduced")[:, : HEIGHT // 2, : WIDTH // 2], reduced) <= 1.5


def test_the_page_is_whole_and_says_what_it_shows() -> None:
    text = tile_pages.page(drawn(sets.corner(2)), PADDING, "a <b>", SEED)
    markup = text[: text.index("<script")] + "</body></html>"
    assert Balance(markup).open == [] and Balance(markup).links == []
    assert "a &lt;b&gt;: 16 corner tiles" in markup and "36 x 26 pixels each" in markup
    assert '<option value="lit">' in markup and '<option value="fine">' in markup


def test_no_name_ends_what_the_script_of_a_page_reads() -> None:
    plain = drawn(sets.corner(2))
    named = replace(plain, maps={"<!--<script></script>": plain.maps["fine"]})
    text = tile_pages.page(named, PADDING, "a", SEED)
    data = text[text.index('id="set">') + len('id="set">') :]
    data = data[: data.index("</script>")]
    assert "<" not in data and json.loads(data)["maps"][1]["name"] == "<!--<script></script>"


def test_a_page_on_blending_says_how_well_it_is_suited() -> None:
    text = blend_pages.page(GRIDS["blend"], blended(GRIDS["blend"]), "gravel", "fits (error 0.5, 1 is the limit)")
    markup = text[: text.index("<script")] + "</body></html>"
    assert Balance(markup).open == [] and Balance(markup).links == []
    assert "<p>64 x 48 pixels. Fits (error 0.5, 1 is the limit).</p>" in markup


def test_large_pictures_are_embedded_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Picture(torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1)))
    assert plane_pages.embedded(noise, True).note == ""
    monkeypatch.setattr(plane_pages, "LARGEST_EXACT", 96 * 96)
    lossy = plane_pages.embedded(noise, True)
    assert lossy.source.startswith("data:image/jpeg") and lossy.note == "with slight losses"
    monkeypatch.setattr(plane_pages, "LARGEST_PAGE", 96 * 96 // 2)
    assert plane_pages.embedded(noise, True, (48, 48)).note == "at 1/2 of the size and with slight losses"
    assert plane_pages.embedded(noise, True, (33, 48)).note == "with slight losses", "tiles stay whole"
