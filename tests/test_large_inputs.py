"""Inputs that are read and checked a few rows at a time make the same pictures as those that are taken whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from conftest import Draw, Texsynth
from pictures import bumps, bytes_of
from texsynth.image import rows, scratch
from texsynth.requests.edit import Request
from texsynth.verbs import edit

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
    "stretched maps": ("synthesize", "a.png", "-s", "40", "--map", "normal=bent.png", "--source-mask", "soft.png"),
    "light": ("synthesize", "a.png", "-s", "40", "--flatten"),
    "another size": ("edit", "a.png", "--retarget", "72x56"),
    "removed": ("edit", "clear.png", "--remove", "mask.png"),
    "the histogram": ("control", "a.png", "--progression", "soft.png", "grey.png", "--match-histogram"),
    "distances": ("control", "a.png", "--progression", "mask.png", "soft.png", "--distance-transform"),
    "labels": ("control", "a.png", "--labels", "red.png", "turned.png"),
    "noisy labels": ("control", "a.png", "--labels", "red.jpg", "turned.jpg"),
    "directions": ("control", "a.png", "--orientation", "a.png", "--source-orientation", "odd.png"),
    "weights": ("control", "a.png", "--progression", "soft.png", "grey.png", "--guide-weight-map", "odd.png"),
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
    for kind in ("png", "jpg"):
        draw(f"red.{kind}", np.where(box[..., None], np.uint8([255, 0, 0]), np.uint8(255)))
        draw(f"turned.{kind}", np.where(box.T[..., None], np.uint8([255, 0, 0]), np.uint8(255)))
    draw("moved.png", box.T.astype(np.uint8) * 255)
    draw("strokes.png", np.dstack([np.zeros((SIDE, SIDE, 3), np.uint8), box * np.uint8(230)]))
    draw("soft.png", np.clip(300 - 8 * np.hypot(down - 30, across - 28), 0, 255).astype(np.uint8))
    clear = np.where(box, rng.integers(0, 2, (SIDE, SIDE)) * 60, 255).astype(np.uint8)
    draw("clear.png", np.dstack([colours, clear]))
    draw("fine.png", rng.integers(0, 65536, (2 * SIDE, 2 * SIDE)).astype(np.uint16))
    normals = bytes_of((bumps(SIDE, SIDE) + 1) / 2)
    draw("coarse.png", normals[::4, ::4])
    draw("bent.png", normals[:50, :50])
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


@pytest.mark.usefixtures("inputs")
def test_an_object_of_a_large_picture_moves_at_a_reduced_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where pixels start from is the same as at full size but for a cell of 4 x 4 pixels, and where nothing moves."""
    files = {"mask": tmp_path / "mask.png", "target_mask": tmp_path / "moved.png"}
    request = Request(exemplars=[tmp_path / "a.png"], **files)
    whole = edit.build(request).task
    monkeypatch.setattr(rows, "WHOLE", 300)
    reduced = edit.build(request).task
    assert whole.start is not None
    assert reduced.start is not None
    apart = (whole.start - reduced.start).abs().amax(1)
    both = ~apart.isnan()
    assert rows.share(both) > 0.8
    assert rows.share(apart[both] <= 4) > 0.95
    moved = ((whole.start - edit.objects.places(whole.size)).abs() > 4).any(1) & both
    assert rows.share(apart[moved] <= 4) > 0.8
    assert reduced.at(2).start.shape == (1, 2, 16, 16)


def written(texsynth: Texsynth, call: str) -> dict[str, str]:
    """What a call says, and the digests of the files that it writes."""
    ran = texsynth(*CALLS[call], *QUICK, "--force", "--no-metadata")
    assert ran.code == 0, ran
    return {"said": ran.err} | {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in Path().glob("o*")}
