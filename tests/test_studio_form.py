"""The settings of the studio's page, and whether everybody can use the page; it stands still, without its server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import accessible
import browsing
import still
from texsynth.studio import definitions

BRICK = Path(__file__).parent.parent / "samples" / "brick.png"
RESULT = """async () => {
  const { studio } = await import("./page/main.js");
  const size = { width: 512, height: 512, level: 0 };
  const result = { run: 9, kind: "final", state: "done", shown: "pictures/9", maps: {}, ...size };
  studio.set({ result: { ...result, final: true, seconds: 1, hasField: true, notices: ["Its period is kept."] } });
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browsing.driven() as browser:
        yield browser


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    return definitions.document()


def sheet(page: Any, server: still.Still) -> dict[str, Any]:
    """The sheet of the next run, which follows a change."""
    for _ in range(500):
        if server.sheets:
            return server.sheets.pop(0)
        page.wait_for_timeout(10)
    raise AssertionError("the page asks for no run")


def put(page: Any, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Tab")


def test_checker_sees_what_is_wrong(chromium: Any) -> None:
    page = chromium.new_page()
    page.set_content(
        "<main><h1>A</h1><h3>deep</h3><button></button><img id=a src=x><p id=a style='color:#999'>faint</p>"
        "<input aria-label=edge style='border:1px solid #ddd'><label for=none>B</label></main>"
    )
    wrong = "\n".join(accessible.troubles(page))
    page.close()
    for what in ("no name: <button>", "no name: <img", "two have the id a", "no level above deep", "of faint"):
        assert what in wrong
    assert "an edge in INPUT" in wrong and "refers to none" in wrong and "no language" in wrong


def test_what_the_form_says_is_asked_for(chromium: Any, asked: dict[str, Any]) -> None:
    server = still.Still(asked, BRICK.read_bytes())
    page = still.opened(chromium, server, 1280, 800)
    assert sheet(page, server)["settings"] == {}
    page.get_by_text("Preset settings").click()
    put(page, "Passes", "[2, 1]")
    assert sheet(page, server)["settings"] == {"passes": "[2, 1]"}
    page.get_by_label("high", exact=True).check()
    assert sheet(page, server)["values"] == {"size": "128x96", "quality": "high"}

    put(page, "Components", "1")  # is refused here already
    assert page.get_by_label("Components", exact=True).get_attribute("aria-invalid") == "true"
    server.refuse = "patch = 4, but a window has an odd side"
    put(page, "Patch", "4")
    assert sheet(page, server)["settings"] == {"passes": "[2, 1]", "patch": "4"}
    page.wait_for_selector("#setting-patch[aria-invalid=true]")
    assert page.locator("#setting-patch-error").text_content() == server.refuse
    server.refuse = ""
    page.get_by_label("Take back: Patch", exact=True).click()
    assert sheet(page, server)["settings"] == {"passes": "[2, 1]"}
    assert page.locator("#setting-patch[aria-invalid]").count() == 0

    page.get_by_label("Preset", exact=True).select_option("layout+field")  # has neither these settings nor that quality
    after = sheet(page, server)
    assert after["settings"] == {} and after["values"] == {"size": "128x96", "preset": "layout+field"}
    assert page.get_by_label("high", exact=True).is_disabled()
    page.get_by_label("Repair", exact=True).check()
    put(page, "Extend: right", "8")
    assert sheet(page, server)["values"] == {"preset": "layout+field", "extend": "0,0,8,0"}
    assert server.said == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"]
    page.context.close()


@pytest.mark.parametrize(("size", "scheme"), [((1440, 900), "light"), ((390, 844), "dark")])
def test_everybody_can_use_the_page(chromium: Any, asked: dict[str, Any], size: tuple[int, int], scheme: str) -> None:
    server = still.Still(asked, BRICK.read_bytes())
    page = still.opened(chromium, server, *size, scheme)
    page.evaluate(RESULT)
    page.wait_for_function("document.querySelector('#caption').textContent.startsWith('Final')")
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert accessible.troubles(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").get_by_role("heading").inner_text() == "Help and keys"
    assert accessible.troubles(page) == []
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0 and server.said == []
    page.context.close()
