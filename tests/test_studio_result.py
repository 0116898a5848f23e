"""The pane of the result and the strip of seeds: what they show to the pixel, and what they ask; without a server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from PIL import Image

import browsing
import still
from texsynth.studio import definitions

SIZE = WIDTH, HEIGHT = 64, 48
NOISE = np.random.default_rng(3).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = np.full((HEIGHT // 4, WIDTH // 4, 3), 90, np.uint8)
SET = "async (values) => (await import('./page/main.js')).studio.set(values)"
GET = "async (name) => (await import('./page/main.js')).studio.get(name)"
# The colour at a place of what is shown, of that size, when it is drawn.
COLOUR = """async ([x, y, width, height]) => {
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const canvas = document.querySelector("#result .view");
  const zoom = parseFloat(document.getElementById("zoom-full").textContent) / 100;
  const at = [canvas.width / 2 + (x - width / 2) * zoom, canvas.height / 2 + (y - height / 2) * zoom];
  return [...canvas.getContext("2d").getImageData(...at.map(Math.floor), 1, 1).data];
}"""


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class Told(still.Still):
    """A server that says of runs what it is told to say, and where each pixel comes from. asked: requests for that.
    seeds: those of which drafts were asked for. fetched: pictures."""

    def __init__(self) -> None:
        super().__init__(definitions.document(), png(GREY))
        self.pictures = {"grey": png(GREY), "one": png(NOISE[0]), "two": png(NOISE[1])}
        self.news: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.seeds: list[int] = []
        self.fetched: list[str] = []

    def answer(self, route: Any) -> None:
        url = urlparse(route.request.url)
        name = url.path.rpartition("/")[2]
        if name == "events":
            client = parse_qs(url.query)["client"][0]
            lines = [f"event: run\ndata: {json.dumps({**each, 'client': client})}\n\n" for each in self.news]
            self.news.clear()
            body = still.READY.replace("600000", "50") + "".join(lines)
            return route.fulfill(body=body, content_type="text/event-stream")
        if name == "source":
            self.asked.append(url.path.removeprefix("/T/") + "?" + url.query)
            return route.fulfill(json={"exemplar": 0, "x": 7, "y": 9, "copy": "flip-x"})
        if name in self.pictures:
            self.fetched.append(name)
            return route.fulfill(body=self.pictures[name], content_type="image/png")
        if name == "runs" and route.request.method == "POST":
            asked = json.loads(route.request.post_data)
            if asked["kind"] == "seed":
                self.seeds.append(asked["sheet"]["values"].get("seed", 0))
                return route.fulfill(status=202, json={"run": 100 + self.seeds[-1], "place": 0})
        return super().answer(route)


@pytest.fixture(scope="module")
def server() -> Told:
    return Told()


@pytest.fixture(scope="module")
def opened(server: Told) -> Iterator[Any]:
    with browsing.driven() as chromium:
        yield still.opened(chromium, server, 1280, 900)
        assert server.said == []


@pytest.fixture
def page(opened: Any) -> Any:
    """The page without a result."""
    size = {"width": WIDTH, "height": HEIGHT}
    opened.evaluate(SET, {"size": size, "result": None, "previous": None})
    opened.get_by_text("The result appears here").wait_for()
    return opened


def result(name: str, run: int = 1, **more: Any) -> dict[str, Any]:
    full = {"width": WIDTH, "height": HEIGHT, "level": 0, "final": True, "seconds": 2, "hasField": True, "maps": {}}
    return {"run": run, "kind": "final", "state": "done", "shown": f"pictures/{name}", "notices": [], **full, **more}


def caption(page: Any, text: str) -> None:
    page.locator("#caption", has_text=text).wait_for()


def colour(page: Any, x: float, y: float, times: int = 1) -> list[int]:
    return list(page.evaluate(COLOUR, [x + 0.5, y + 0.5, times * WIDTH, times * HEIGHT])[:3])


def test_a_draft_is_seen_in_the_size_of_what_it_is_a_draft_of(page: Any, server: Told) -> None:
    coarse = result("grey", final=False, kind="draft", state="draft", level=2, seconds=None)
    server.fetched.clear()
    page.evaluate(SET, {"result": coarse})
    caption(page, "Draft · 64×48 · at 1/4")
    assert colour(page, 0, 0) == colour(page, WIDTH - 1, HEIGHT - 1) == [90, 90, 90]
    zoom = page.locator("#zoom-full").inner_text()
    page.evaluate(SET, {"result": result("one")})
    caption(page, "Final · 64×48 · 2.0 s")
    assert page.locator("#zoom-full").inner_text() == zoom
    assert page.locator("#result .view").get_attribute("aria-label") == "Result: final picture, 64 by 48 pixels"
    for x, y in ((0, 0), (40, 5), (WIDTH - 1, HEIGHT - 1)):
        assert colour(page, x, y) == NOISE[0, y, x].tolist(), "pixels are seen as they are"
    assert server.fetched == ["grey", "one"], "though the canvas shows them too"


def test_pictures_are_compared_and_repeated_to_the_pixel(page: Any) -> None:
    page.evaluate(SET, {"previous": result("one"), "result": result("two", 2)})
    caption(page, "Final")
    one, two = (NOISE[:, 11, 30].astype(int)).tolist()
    assert colour(page, 30, 11) == two
    page.keyboard.down("f")
    assert (colour(page, 30, 11), page.locator("#caption").inner_text()) == (one, "The picture before")
    page.keyboard.up("f")
    assert colour(page, 30, 11) == two
    page.locator("#difference").select_option("4")
    assert colour(page, 30, 11) == [min(255, 4 * abs(a - b)) for a, b in zip(one, two, strict=True)]
    page.locator("#difference").select_option("0")
    page.locator("#tiles label").nth(1).click()
    for x, y in ((30, 11), (WIDTH - 1, 11), (WIDTH, 11), (WIDTH + 30, HEIGHT + 11)):
        assert colour(page, x, y, 2) == NOISE[1, y % HEIGHT, x % WIDTH].tolist(), "there is no seam"
    page.evaluate(SET, {"previous": result("grey", width=16, height=12)})
    page.locator("#flip:disabled").wait_for()
    page.locator("#tiles label").first.click()


def test_a_pixel_says_where_it_was_copied_from(page: Any, server: Told) -> None:
    page.evaluate(SET, {"result": result("one", 5)})
    caption(page, "Final")
    assert colour(page, 40, 20) == NOISE[0, 20, 40].tolist()
    view, zoom = page.locator("#result .view"), float(page.locator("#zoom-full").inner_text()[:-1]) / 100
    box = view.bounding_box()
    middle = {"x": box["width"] / 2, "y": box["height"] / 2}
    view.click(position={"x": middle["x"] + 8.5 * zoom, "y": middle["y"] - 3.5 * zoom})
    page.locator("#source", has_text="Pixel 40, 20 is 7, 9 of brick.png, mirrored left to right.").wait_for()
    assert page.evaluate(GET, "picked") == {"exemplar": 0, "x": 7, "y": 9, "copy": "flip-x", "at": {"x": 40, "y": 20}}
    view.press("Shift+Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#source", has_text="Pixel 32, 24 is").wait_for()
    assert server.asked == ["runs/5/source?x=40&y=20", "runs/5/source?x=32&y=24"]
    page.evaluate(SET, {"result": result("two", 6, hasField=False)})
    page.locator("#source", has_text="Pixel").wait_for(state="detached")
    assert page.evaluate(GET, "picked") is None


def test_only_maps_that_answer_to_light_are_lit(page: Any) -> None:
    maps = {"id": {"shown": "pictures/two", "role": ""}}
    page.evaluate(SET, {"result": result("one", maps=maps)})
    page.locator("#maps label", has_text="id").wait_for()
    assert page.locator("#maps label").all_inner_texts() == ["Colour", "id"]
    page.locator("#maps label").nth(1).click()
    page.get_by_role("img", name="map id, 64 by 48").wait_for()
    assert colour(page, 3, 4) == NOISE[1, 4, 3].tolist()
    page.evaluate(SET, {"result": result("one", 2, maps={**maps, "n": {"shown": "pictures/two", "role": "normal"}})})
    page.locator("#maps label", has_text="Lit").click()
    page.locator("#result .view").wait_for(state="hidden")
    page.locator("#lit-form").wait_for()
    page.evaluate(SET, {"result": result("two", 3)})
    page.locator("#result .view").wait_for()
    assert page.evaluate(GET, "shownMap") == "" and not page.locator("#maps").is_visible()


def test_what_was_there_before_a_draft_is_lit_and_what_does_not_come_is_told(page: Any, server: Told) -> None:
    """A draft has no maps, and where it is stopped nothing else comes."""
    maps = {"n": {"shown": "pictures/late", "role": "normal"}}
    server.pictures["late"] = b""
    page.evaluate(SET, {"previous": result("one", maps=maps), "result": result("grey", 2, final=False), "shownMap": ""})
    page.evaluate(SET, {"exemplar": {**still.SOURCE, "maps": maps}})
    server.fetched.clear()
    page.locator("#maps label", has_text="Lit").click()
    page.get_by_text("The map n could not be shown; choose Lit once more to try it again.").wait_for()
    assert server.fetched.count("late") == 2
    server.pictures["late"] = png(NOISE[1])
    page.locator("#maps label", has_text="Colour").click()
    page.locator("#maps label", has_text="Lit").click()
    page.locator("#lit .empty", has_text="What is made").wait_for(state="detached")
    assert server.fetched.count("late") == 3
    page.evaluate(SET, {"exemplar": still.SOURCE, "shownMap": ""})


def test_seeds_are_drafted_side_by_side_and_one_is_chosen(page: Any, server: Told) -> None:
    page.locator("#seed").fill("5")
    page.locator("#seed").press("Tab")
    page.locator("#seeds-more").click()
    seeds = page.locator("#seeds-strip [role=radio]")
    seeds.nth(3).wait_for()
    server.news += [{"run": 105 + i, "kind": "seed", "state": "done", "shown": "pictures/one"} for i in range(3)]
    server.news.append({"run": 108, "kind": "seed", "state": "cancelled"})
    page.locator("#seeds-more", has_text="Draft the others").wait_for()
    assert server.seeds == [5, 6, 7, 8]
    assert page.locator("#seeds-strip img:visible").count() == 3
    seeds.nth(0).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(GET, "seed") == 6 and page.locator("#seed").input_value() == "6"
    assert seeds.nth(1).get_attribute("aria-checked") == "true" and seeds.nth(1).evaluate(
        "(e) => e === document.activeElement"
    )
    page.evaluate(SET, {"tileable": "x"})
    seeds.first.wait_for(state="detached")
