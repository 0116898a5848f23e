"""A reader of HTML pages, for tests that a page is whole and needs no other file."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"img", "meta", "br", "input", "path", "circle", "image", "use"}


class Balance(HTMLParser):
    """Fails on a tag that is closed but was not open; `open` must be empty at the end; `links`: what it refers to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag
