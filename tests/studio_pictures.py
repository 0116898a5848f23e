"""The pictures of docs/guide/studio.md, as the page shows them: python tests/studio_pictures.py [FOLDER]"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import studio_page
from studio_page import ROOT, Tab

SAMPLES = ROOT / "samples"
QUALITY = 80  # of JPEG


def shoot(tab: Tab, path: Path) -> None:
    """What the page shows once it has come to rest, without the brush."""
    tab.page.mouse.move(2, 2)
    tab.page.wait_for_timeout(500)
    tab.page.screenshot(path=path, type="jpeg", quality=QUALITY)


def rust(tab: Tab) -> None:
    """A spiral of paint that has not rusted."""
    tab.page.click("#canvas [data-layer=progression] .name")
    tab.page.get_by_role("slider", name="Size").fill("60")
    turns = [(0.13 * step, 12 + 3.1 * step) for step in range(46)]
    tab.drag("canvas", *((radius * math.cos(angle), radius * math.sin(angle)) for angle, radius in turns))
    tab.shown("Draft")
    tab.shown("Final")


def bricks(tab: Tab) -> None:
    """A part of a wall that is laid anew."""
    tab.page.click("#modes label:has([value=repair])")
    tab.page.get_by_role("slider", name="Size").fill("64")
    tab.drag("canvas", (-70, -50), (0, 0), (70, -40), (40, 60))
    tab.shown("Final")


def stones(tab: Tab) -> None:
    """A material under a light from the upper left."""
    tab.shown("Final")
    tab.page.click("#maps label:has([value=lit])")
    tab.page.wait_for_timeout(500)


PICTURES: dict[str, tuple[str, Callable[[Tab], None]]] = {
    "studio": ("rust.png", rust),
    "studio_repair": ("brick.png", bricks),
    "studio_lit": ("cobble", stones),
}


def main(folder: Path) -> None:
    """Write them all."""
    with studio_page.browser() as context:
        for name, (exemplar, use) in PICTURES.items():
            with (
                studio_page.served(SAMPLES, exemplar) as address,
                studio_page.opened(context, address, 1440, 900) as tab,
            ):
                tab.page.locator("#save:enabled").wait_for()
                use(tab)
                shoot(tab, folder / f"{name}.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
