"""Pages in a browser without network, for tests of what their scripts do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-breakpad"),
    *("--disable-background-networking", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
SOFTWARE = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing")

# Before the page's own script: what goes wrong is kept, and frames come when the probe wants them.
WATCH = """<script>
const wrong = [], frames = [];
addEventListener("error", (event) => wrong.push(String(event.message)));
addEventListener("unhandledrejection", (event) => wrong.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => wrong.push(event.blockedURI));
window.requestAnimationFrame = (frame) => frames.push(frame);
function loaded() {
  return performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !/^data:/.test(name));
}
</script>"""


def watched(text: str, probe: str) -> str:
    """A page that is watched from its start on, and probed by markup at its end."""
    return text.replace("<style>", WATCH + "<style>", 1).replace("</body>", probe + "</body>")


def browser() -> str:
    """The path of a browser. Where there is none, the test is skipped."""
    path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"there is no browser here: {', '.join(BROWSERS)}")
    return path


@contextmanager
def driven(*flags: str) -> Iterator[Any]:
    """Chromium as Playwright drives it. Where either is missing, the test is skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright, which drives the browser, is not installed")
    with api.sync_playwright() as tools:
        words = ["--no-sandbox", "--disable-dev-shm-usage", *flags]
        chromium = tools.chromium.launch(executable_path=browser(), args=words)
        yield chromium
        chromium.close()


def opened(page: Path, *flags: str) -> tuple[dict[str, Any], str]:
    """Open a page: what stands in its <pre id="probe"> at last, as JSON, and what the console said. Where there is no
    browser, the test is skipped."""
    profile = page.parent / "profile"
    words = [*FLAGS, *flags, f"--user-data-dir={profile}", "--window-size=500,400"]
    command = [browser(), *words, "--dump-dom", page.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    shutil.rmtree(profile, ignore_errors=True)
    probe = re.search(r'<pre id="probe">(.+?)</pre>', ran.stdout)
    assert probe is not None, ran.stderr
    said = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    console = "\n".join(line for line in said if "GL Driver Message (OpenGL, Performance" not in line)  # of the probe
    return json.loads(unescape(probe[1])), console
