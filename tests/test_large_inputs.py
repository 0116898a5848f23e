"""Inputs that are read and checked a few rows at a time make the same pictures as those that are taken whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from conftest import Draw, Texsynth
from texsynth.image import rows, scratch

QUICK = ("-p", "steady", "-q", "-o", "o.png")
SIDE = 64  # every halving of which is even
CALLS = {
    "tileable": ("inpaint", "a.png", "--make-tileable", "xy"),
    "a grey one": ("inpaint", "grey.png", "--make-tileable", "x"),
    "a hole": ("inpaint", "a.png", "--mask", "mask.png", "--grow", "2"),
    "a hole in red": ("inpaint", "a.png", "--mask", "red.png"),
    "a hole in strokes": ("inpaint", "a.png", "--mask", "strokes.png"),
    "a soft hole": ("inpaint", "a.png", "--mask", "soft.png"),
    "dark greys": ("inpaint", "a.png", "--mask", "dark.png"),
    "transparent": ("inpaint", "clear.png"),
    "extended": ("inpaint", "clear.png", "--extend", "8,24,0,8", "--map", "height=fine.png"),
    "it wraps": ("inpaint", "mirrored.png", "--mask", "mask.png", "--tile", "y"),
    "transparent exemplar": ("synthesize", "clear.png", "-s", "40"),
    "transparent texture": ("synthesize", "clear.png", "-s", "40", "--alpha", "keep"),
    "maps": ("synthesize", "a.png", "-s", "40", "--map", "height=fine.png", "--map", "normal=coarse.png"),
    "stretched maps": ("synthesize", "a.png", "-s", "40", "--map", "normal=odd.png", "--source-mask", "soft.png"),
    "beyond 1": ("synthesize", "bright.tif", "a.png", "-s", "40"),
}  # fmt: skip


@pytest.fixture
def inputs(draw: Draw) -> None:
    """Pictures and masks of all kinds."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:SIDE, :SIDE]
    box = (down > 20) & (down < 41) & (across > 12) & (across < 30)
    colours = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    draw("a.png", colours)
    draw("grey.png", colours[..., 0])
    draw("mirrored.png", np.vstack([colours[:32], colours[31::-1]]))
    draw("mask.png", box.astype(np.uint8) * 255)
    draw("dark.png", box.astype(np.uint8) * 40 + 30)
    draw("red.png", np.where(box[..., None], np.uint8([255, 0, 0]), np.uint8(255)))
    draw("strokes.png", np.dstack([np.zeros((SIDE, SIDE, 3), np.uint8), box * np.uint8(230)]))
    draw("soft.png", np.clip(300 - 8 * np.hypot(down - 30, across - 28), 0, 255).astype(np.uint8))
    clear = np.where(box, rng.integers(0, 2, (SIDE, SIDE)) * 60, 255).astype(np.uint8)
    draw("clear.png", np.dstack([colours, clear]))
    draw("fine.png", rng.integers(0, 65536, (2 * SIDE, 2 * SIDE)).astype(np.uint16))
    draw("coarse.png", colours[::4, ::4])
    draw("odd.png", colours[:50, :50])
    draw("bright.tif", (colours / 100 - 0.2).astype(np.float32))


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("call", CALLS)
def test_strips_do_not_show(call: str, texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written(texsynth, call)
    monkeypatch.setattr(rows, "WHOLE", 100)
    monkeypatch.setattr(rows, "STRIP", 6 * SIDE)
    with scratch.beside(Path(), 4000):
        after = written(texsynth, call)
    assert after == before
    assert len(before) > 1


def written(texsynth: Texsynth, call: str) -> dict[str, str]:
    """What a call says, and the digests of the files that it writes."""
    ran = texsynth(*CALLS[call], *QUICK, "--force", "--no-metadata")
    assert ran.code == 0, ran
    return {"said": ran.err} | {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in Path().glob("o*")}
