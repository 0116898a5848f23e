"""The studio as a person has it: its own process, and its page in a browser that is told of whatever goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browsing

ROOT = Path(__file__).parent.parent
WAIT = 60_000  # milliseconds until something that must happen has not
# A digest of what a pane shows, after its next frame.
SEEN = """async (canvas) => {
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  return String(new Uint32Array(await crypto.subtle.digest("SHA-256", data)));
}"""
HEARS = """([kind, state]) => {
  const at = heard.findIndex((of, i) => i >= past && of.kind === kind && of.state === state);
  if (at >= 0) past = at + 1;
  return at >= 0;
}"""
FETCHED = """async () => {
  const answer = await fetch(heard.findLast((said) => said.shown).shown);
  return btoa(String.fromCharCode(...new Uint8Array(await answer.arrayBuffer())));
}"""
# Before the scripts of the page: its log tells what its policy refuses, `heard` is all that the server says of runs.
BEFORE = """
document.addEventListener("securitypolicyviolation", (event) => console.error("refused:", event.blockedURI));
window.heard = [];
window.past = 0; // how many of it have been waited for
window.EventSource = class extends EventSource {
  constructor(...words) {
    super(...words);
    this.addEventListener("run", (event) => heard.push(JSON.parse(event.data)));
  }
};
"""


@contextmanager
def served(folder: Path, *words: str) -> Iterator[str]:
    """A studio that is started in a folder; gives its address. It ends by Ctrl-C, with code 0 and no error."""
    command = [sys.executable, "-m", "texsynth", "studio", *words, "--no-browser", "--threads", "1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TEXSYNTH_OFFLINE": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            assert (process.returncode, out) == (0, "") and "rror" not in err, f"{process.returncode}: {out}{err}"
        finally:
            process.kill()


@contextmanager
def browser() -> Iterator[Any]:
    """A context of Chromium, where pages may be opened. Where there is none, the test is skipped."""
    with browsing.driven(*browsing.SOFTWARE) as chromium:
        context = chromium.new_context(reduced_motion="reduce")
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(BEFORE)
        context.set_default_timeout(WAIT)
        yield context


class Tab:
    """A page of the studio.

    page: of Playwright.
    wrong: what its log says, what it could not load or what is not of this studio, and what its policy refused.
    """

    def __init__(self, context: Any, address: str, width: int = 1280, height: int = 860) -> None:
        self.wrong: list[str] = []
        self._address = address
        self.page = context.new_page()
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._follow)
        self.page.on("response", self._answered)
        self.page.on("requestfailed", self._failed)
        self.page.goto(address)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and "GL Driver Message (OpenGL, Performance" not in message.text:
            self.wrong.append(f"{message.type}: {message.text}")

    def _follow(self, request: Any) -> None:
        if not request.url.startswith((self._address, f"blob:{self._address.split('/')[0]}")):
            self.wrong.append(f"asks elsewhere: {request.url}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status}: {response.url}")

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # which is that of what the page itself gives up
            self.wrong.append(f"failed: {request.url}: {request.failure}")

    def close(self) -> None:
        """Leave the page; raises AssertionError where anything was wrong on it."""
        self.page.close()
        assert not self.wrong, self.wrong

    def open(self, name: str) -> None:
        """Open a picture of the folder by the dialog."""
        self.page.click("#open")
        self.page.click(f"#open-list button[value='{name}']")
        self.has(name)

    def has(self, name: str) -> None:
        """Wait until a picture is open."""
        self.page.wait_for_function(f"() => document.getElementById('save-name').value === '{Path(name).stem}_studio'")

    def drag(self, pane: str, *places: tuple[float, float], done: bool = True) -> None:
        """Draw over places, in pixels of the screen from the middle of a pane; done: and let go."""
        view = self.page.locator(f"#{pane} .view")
        view.wait_for()
        box = view.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse = self.page.mouse
        for number, (x, y) in enumerate(places):
            mouse.move(middle[0] + x, middle[1] + y, steps=4 if number else 1)
            if number == 0:
                mouse.down()
        if done:
            mouse.up()

    def shown(self, kind: str) -> str:
        """A digest of what the pane of the result shows, once that is a "Draft" or a "Final"."""
        self.page.locator("#caption", has_text=kind).wait_for()
        return str(self.page.locator("#result .view").evaluate(SEEN))

    def picture(self) -> str:
        """The last picture that the server has shown, as a file in base64."""
        return str(self.page.evaluate(FETCHED))

    def final(self) -> str:
        """Ask for the final picture, and what is shown then."""
        self.page.click("#run")
        return self.shown("Final")

    def hears(self, kind: str, state: str) -> None:
        """Wait until the server says this of a run, after all that was waited for before."""
        self.page.wait_for_function(HEARS, arg=[kind, state])

    def reach(self, selector: str) -> None:
        """Go to a control by the keyboard."""
        for _ in range(150):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"the keyboard does not reach {selector}")


@contextmanager
def opened(context: Any, address: str, width: int = 1280, height: int = 860) -> Iterator[Tab]:
    """A page for a while, on which nothing may go wrong; what it says at the end is printed, for tests that fail."""
    tab = Tab(context, address, width, height)
    yield tab
    print(tab.page.inner_text("#status"), tab.page.inner_text("#caption"), *tab.wrong, sep="\n")
    tab.close()
