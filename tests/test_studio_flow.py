"""From what was painted to runs, and from what is told of runs to results: the page's modules, without its server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import browsing
import still

BRICK = Path(__file__).parent.parent / "samples" / "brick.png"
OPTIONS = {"edit": [("warp", ["mask"]), ("grow", ["remove"]), ("preset", [])], "inpaint": [("grow", []), ("alpha", [])]}
VERBS = ("synthesize", "control", "inpaint", "edit")

SHEETS = """async (cases) => {
  const { sheetOf, wanting } = await import("./page/sheet.js");
  const { beginning } = await import("./page/state.js");
  const exemplar = { id: "E", width: 256, height: 128, maps: { normal: { id: "N" } } };
  const layer = (role) => [role.replace("!", ""), { empty: role.endsWith("!"), id: role.toUpperCase() }];
  const definitions = { verbs: cases.verbs, presets: [] };
  return cases.states.map(({ painted = [], ...state }) => {
    const all = { ...beginning(), exemplar, definitions, ...state, layers: new Map(painted.map(layer)) };
    return [sheetOf(all), wanting(all)];
  });
}"""

# What is told of three runs, and what is shown after each event: a draft that a second one drives out; its final
# picture, whose first picture is coarser than the draft; and what waits for it.
OUTCOME = """async () => {
  const { Outcome } = await import("./page/outcome.js");
  const { Studio } = await import("./page/state.js");
  const studio = new Studio();
  const outcome = new Outcome(studio);
  const told = [];
  const begin = (run, kind, key) => {
    outcome.begin({ run, kind, key, place: 0, wanted: true, whole: kind === "final" || key === "whole" });
  };
  const take = (run, state, more = {}) => {
    const shown = `pictures/${run}${state}`;
    const heard = outcome.take({ run, state, shown, width: 8, height: 8, level: 0, left: 0, seconds: 1, ...more });
    const { result, previous, message } = studio.all();
    told.push([heard, result?.shown, result?.final, previous?.shown, message?.text, outcome.open]);
  };
  begin(1, "draft", "a");
  take(1, "draft", { level: 1 });
  begin(2, "draft", "b");
  take(1, "done");
  take(2, "done");
  begin(3, "final", "b");
  const waited = outcome.finished("b");
  take(3, "draft", { level: 2, left: 33 });
  take(3, "done");
  told.push((await waited).run);
  begin(4, "final", "c");
  take(4, "draft");
  const stopped = outcome.finished("c").catch((error) => error.message);
  take(4, "failed", { error: "no memory" });
  told.push(await stopped);
  begin(5, "draft", "whole"); // what the command makes: to ask for the final picture is to wait for this one
  const same = outcome.finished("whole");
  take(5, "done", { final: true });
  told.push((await same).run);
  return told;
}"""

FORGOTTEN = """async () => {
  const { remembering } = await import("./page/flow.js");
  const { Refusal } = await import("./page/net.js");
  const { studio } = await import("./page/main.js");
  const layers = [...studio.get("layers").values()];
  layers.forEach((layer, i) => (layer.id = `layer${i}`));
  let times = 0;
  const work = async () => {
    times += 1;
    if (times % 2) throw new Refusal(410, "no longer held", ["layer1", studio.get("exemplar").id]);
    return layers.map(({ id }) => id).slice(0, 3);
  };
  const again = await remembering(studio, work);
  const bad = () => Promise.reject(new Refusal(400, "a bad sheet"));
  const other = await remembering(studio, bad).catch((error) => error.message);
  return [again, times, other, studio.get("exemplar").id];
}"""


# In place of the server's news, and of its answers about runs, of which the first that has `held` in it waits.
PRETENDED = """
  window.asked = [];
  window.EventSource = class {
    addEventListener(name, listener) {
      (window.listeners ??= {})[name] = listener;
    }
  };
  const { fetch } = window;
  window.fetch = async (path, init) => {
    if (!path.startsWith("runs")) return fetch(path, init);
    const { kind, sheet } = JSON.parse(init.body ?? "{}");
    const told = kind ? `${kind} ${sheet.values.seed}` : `${init.method} ${path.replace(/=.*/, "")}`;
    const run = window.asked.push(told);
    if (told === window.held) await new Promise((release) => (window.release = release));
    return Response.json({ run, place: 0 });
  };
"""

TELL = """async ([name, news]) => {
  const { studio } = await import("./page/main.js");
  window.listeners[name]({ data: JSON.stringify({ client: studio.get("client"), ...news }) });
  return document.getElementById("status").textContent;
}"""

SET = "async (values) => (await import('./page/main.js')).studio.set(values)"
ASKED = "(least) => window.asked.length >= least && window.asked"


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    verbs = {verb: {"summary": verb, "options": []} for verb in VERBS}
    described: dict[str, Any] = {"verbs": verbs, "presets": [], "default": "", "qualities": [], "names": {}}
    with browsing.driven() as chromium:
        opened = chromium.new_page()
        opened.route("**/*", still.Still(described, BRICK.read_bytes()).answer)
        opened.add_init_script(PRETENDED)
        opened.goto(still.ADDRESS)
        opened.wait_for_selector("#save:enabled")
        yield opened


def test_a_state_becomes_the_sheet_of_its_verb(page: Any) -> None:
    verbs = {
        verb: {"options": [{"name": name, "ways": ways} for name, ways in OPTIONS.get(verb, [])]} for verb in VERBS
    }
    options = {"warp": "affine", "grow": "2", "preset": "", "alpha": "keep", "foreign": "1"}
    texture = {"options": options, "seed": 4, "crop": [1, 2, 3, 4], "tileable": "x", "settings": {"k": "2", "gone": ""}}
    edit = {"mode": "edit", "options": options, "painted": ["mask", "target_mask", "remove", "source_mask!"]}
    states: list[dict[str, Any]] = [
        {**texture, "painted": ["progression", "labels", "labels_source", "orientation!", "source_mask", "mask"]},
        {**texture, "painted": ["progression_source", "labels_source", "guide_weight_map"]},
        {"mode": "repair", "tileable": "xy", "band": 8, "extend": [0, 1, 0, 0], "options": options},
        {"mode": "repair", "painted": ["mask!"]},
        edit,
        {**edit, "way": "remove"},
        {**edit, "way": "retarget", "size": {"width": 256, "height": 128}},
        {**edit, "way": "reshuffle", "seed": 1},
    ]
    told = page.evaluate(SHEETS, {"states": states, "verbs": verbs})
    maps = {"maps": {"normal": ["N"]}}
    plain = {"seed": 4, "crop": "1,2,3,4", "size": "512x512", "tile": "x"}
    guided = {"progression": ["auto", "PROGRESSION"], "labels": ["LABELS_SOURCE", "LABELS"]}
    expected: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
        ("control", plain, {"source_mask": ["SOURCE_MASK"], **guided}, ""),
        ("synthesize", plain, {}, ""),
        ("inpaint", {"grow": "2", "alpha": "keep", "make_tileable": "xy", "band": 8, "extend": "0,1,0,0"}, {}, ""),
        ("inpaint", {}, {}, "Paint over what is to be filled, make the picture tileable, or extend it."),
        ("edit", {"warp": "affine"}, {"mask": ["MASK"], "target_mask": ["TARGET_MASK"]}, ""),
        ("edit", {"grow": "2"}, {"remove": ["REMOVE"]}, ""),
        ("edit", {"retarget": "256x128"}, {}, "Give the picture another size."),
        ("edit", {"reshuffle": True, "seed": 1}, {}, ""),
    ]
    for (sheet, lack), (verb, values, files, wanted) in zip(told, expected, strict=True):
        settings = {"k": "2"} if verb in ("control", "synthesize") else {}
        assert sheet == {
            "verb": verb, "exemplars": ["E"], "values": values, "settings": settings, "files": {**files, **maps}
        }, json.dumps(sheet)  # fmt: skip
        assert lack == wanted


def test_only_the_newest_run_is_heard(page: Any) -> None:
    told = page.evaluate(OUTCOME)
    assert told == [
        [True, "pictures/1draft", False, None, "Drafting …", True],
        [False, "pictures/1draft", False, None, "Drafting …", True],
        [True, "pictures/2done", False, None, "Draft after 1.0 s.", False],
        [True, "pictures/2done", False, None, "Making the final picture, about 40 s left …", True],
        [True, "pictures/3done", True, None, "Final picture after 1.0 s.", False],
        3,
        [True, "pictures/4draft", False, "pictures/3done", "Making the final picture …", True],
        [True, "pictures/4failed", False, "pictures/3done", "no memory", False],
        "no memory",
        [True, "pictures/5done", True, "pictures/3done", "Final picture after 1.0 s.", False],
        5,
    ]


def test_what_the_server_has_forgotten_is_sent_again_once(page: Any) -> None:
    assert page.evaluate(FORGOTTEN) == [["layer0", None, "layer2"], 2, "a bad sheet", still.SOURCE["id"]]


def test_what_hinders_a_run_of_another_picture_is_said(page: Any) -> None:
    told = page.evaluate(
        """async () => {
          const { adopt } = await import("./page/files.js");
          const { studio } = await import("./page/main.js");
          studio.set({ mode: "repair" });
          adopt(studio, { ...studio.get("exemplar"), name: "other.png" });
          return studio.get("message").text;
        }"""
    )
    assert told == "Paint over what is to be filled, make the picture tileable, or extend it."


@pytest.fixture
def asked(page: Any) -> Any:
    """The page with a texture that was just drafted anew, of seed 1; gives what it asks for from then on."""
    page.evaluate("() => (window.asked.length = 0)")
    page.evaluate(SET, {"mode": "texture", "seed": 0})
    page.evaluate(SET, {"seed": 1, "automatic": False})
    return lambda least: page.wait_for_function(ASKED, arg=least, timeout=5000).json_value()


def test_what_ended_with_the_process_is_drafted_again_once(page: Any, asked: Any) -> None:
    def die(run: int) -> str:
        page.evaluate(TELL, ["solver", {"state": "restarted", "message": "it was killed; results are gone"}])
        status = page.evaluate(
            TELL, ["run", {"run": run, "kind": "draft", "state": "failed", "error": "it was killed"}]
        )
        return str(status)

    assert asked(1) == ["draft 1"]
    assert die(1) == "it was killed. The picture is drafted again as soon as a fresh one is ready."
    assert page.locator("#stop").is_enabled()
    page.evaluate(TELL, ["solver", {"state": "ready", "message": ""}])
    assert asked(2) == ["draft 1", "draft 1"]
    assert die(2) == "it was killed. “Make final” tries it again."
    assert page.locator("#stop").is_disabled()
    page.evaluate(TELL, ["solver", {"state": "ready", "message": ""}])
    page.evaluate(SET, {"seed": 2})
    assert asked(3) == ["draft 1", "draft 1", "draft 2"]


def test_drafts_of_seeds_are_stopped_and_told_of(page: Any, asked: Any) -> None:
    def tell(run: int, state: str, kind: str = "seed") -> str:
        news = {"run": run, "kind": kind, "state": state, "shown": f"pictures/{run}", "width": 8, "height": 8}
        return str(page.evaluate(TELL, ["run", {**news, "level": 0, "seconds": 1.0}]))

    asked(1)
    assert tell(1, "done", "draft") == "Draft after 1.0 s."
    page.evaluate("() => (window.held = 'seed 3')")
    page.locator("#seeds-more").click()
    asked(4)
    assert tell(2, "done") == "Drafts of seeds: 2 of 4 …"
    page.keyboard.press("Escape")
    assert page.locator("#stop").is_disabled()
    page.evaluate("() => window.release()")
    expected = ["draft 1", "seed 1", "seed 2", "seed 3", "DELETE runs?client", "DELETE runs/4"]
    assert asked(6) == expected
    assert tell(3, "draft") == "Stopped."
    seeds = page.locator("#seeds-strip [role=radio]")
    assert page.locator("#seeds-strip img:visible").count() == 1
    seeds.nth(1).click()  # its draft never came: that of the canvas is shown
    assert asked(7) == [*expected, "draft 2"]
    tell(7, "done", "draft")
    assert seeds.nth(1).locator("img").get_attribute("data-shown") == "pictures/7"
    assert [each.get_attribute("aria-label") for each in seeds.all()] == [
        "Seed 1", "Seed 2", "Seed 3, cancelled", "Seed 4, cancelled"
    ]  # fmt: skip


def test_a_final_picture_that_is_there_is_not_made_again(page: Any, asked: Any) -> None:
    asked(1)
    page.locator("#run").click()
    asked(2)
    news = {"run": 2, "kind": "final", "state": "done", "shown": "pictures/2", "width": 8, "height": 8}
    assert page.evaluate(TELL, ["run", {**news, "level": 0, "seconds": 1.0}]) == "Final picture after 1.0 s."
    page.locator("#run").click()
    page.get_by_text("The final picture is there already.").wait_for(timeout=5000)
    assert asked(2) == ["draft 1", "final 1"]
