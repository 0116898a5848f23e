"""The page of the studio without its server: its files, and answers that are always the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import texsynth

STUDIO = Path(texsynth.__file__).parent / "studio" / "page"
LIGHT = Path(texsynth.__file__).parent / "report" / "light.js"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
ADDRESS = "http://localhost/T/"  # which browsers trust as they trust the studio's own
SOURCE = {"id": "1", "name": "brick.png", "width": 64, "height": 48, "channels": 3, "depth": "8", "alpha": False}
SOURCE |= {"stem": "brick_studio", "shown": "pictures/1", "maps": {}, "notices": []}
READY = 'event: solver\ndata: {"state": "ready", "message": ""}\n\nretry: 600000\n\n'


class Still:
    """A server that makes nothing. sheets: those of the runs that the page asks for; refuse: what the next is answered;
    said: what the console said of errors."""

    def __init__(self, definitions: dict[str, Any], picture: bytes) -> None:
        self.definitions, self.picture = definitions, picture
        self.sheets: list[dict[str, Any]] = []
        self.said: list[str] = []
        self.refuse = ""

    def answer(self, route: Any) -> None:
        path = route.request.url.removeprefix(ADDRESS).partition("?")[0]
        if path in ("", "page/light.js") or path.startswith("page/"):
            file = LIGHT if path == "page/light.js" else STUDIO / (path.removeprefix("page/") or "index.html")
            return route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
        if path == "events":
            return route.fulfill(body=READY, content_type="text/event-stream")
        if path.startswith("pictures/"):
            return route.fulfill(body=self.picture, content_type="image/png")
        return self._json(route, path)

    def _json(self, route: Any, path: str) -> None:
        folder = {"folder": "here", "pictures": [{"name": "brick.png", "bytes": 9}], "opened": "brick.png"}
        answers = {"definitions": self.definitions, "folder": folder | {"largest": 9999}, "open": SOURCE}
        answers["files"] = {"id": "9", "name": "layer.png"}
        if path != "runs" or route.request.method != "POST":
            return route.fulfill(json=answers.get(path))
        self.sheets.append(json.loads(route.request.post_data)["sheet"])
        if self.refuse:
            return route.fulfill(status=400, json={"error": self.refuse})
        return route.fulfill(status=202, json={"run": 1, "place": 0})


def opened(chromium: Any, still: Still, width: int, height: int, scheme: str = "light") -> Any:
    """The page with its exemplar, in a window of this size."""
    page = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    page.on("console", lambda message: still.said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: still.said.append(str(error)))
    page.route("**/*", still.answer)
    page.goto(ADDRESS)
    page.wait_for_selector("#settings .row")
    return page
