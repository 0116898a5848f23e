"""The tone of copies, through the command line: light without steps, patterns and maps untouched, exact copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asking import record_of
from conftest import Draw, Texsynth, array

SIDE = 48


def diagonal(low: float, high: float) -> np.ndarray:
    """A sky that grows brighter down and to the right, grey, from `low` to `high`."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return low + (high - low) * (y + x) / (2 * SIDE - 2)


def largest_step(picture: np.ndarray) -> float:
    """The largest difference between pixels side by side, in levels of 255."""
    values = picture.astype(float) / np.iinfo(picture.dtype).max * 255
    return float(max(np.abs(np.diff(values, axis=axis)).max() for axis in (0, 1)))


def test_a_ramp_at_twice_its_size_has_no_steps(texsynth: Texsynth, draw: Draw) -> None:
    """In its own depth; the record and -v say by how much colours moved; maps and exact copies are what they were."""
    exemplar = draw("a.png", diagonal(26000, 42000).round().astype(np.uint16))
    draw("h.png", np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE))
    words = ("synthesize", "a.png", "--quality", "draft", "--map", "h=h.png", "--threads", 1, "--progress", "none")
    said = texsynth(*words, "-o", "o.png", "-v").err
    texsynth(*words, "-o", "e.png", "--exact-copies", "-q")
    evened, exact = array("o.png"), array("e.png")
    assert largest_step(exact) > 10 and largest_step(evened) <= 3 * largest_step(exemplar) + 1
    assert evened.dtype == np.uint16 and len(np.unique(evened)) > 256
    assert evened.min() >= exemplar.min() and evened.max() <= exemplar.max()
    assert Path("o_h.png").read_bytes() == Path("e_h.png").read_bytes()
    assert (exact == exemplar.flatten()[array("e_h.png")]).all()
    moved = np.abs(evened.astype(float) - exact) / 65535
    amount = record_of("o.png")["tone"]
    assert np.allclose([amount["largest"], amount["mean"]], [moved.max(), moved.mean()], atol=1e-4)
    assert f"tone: evened out by {amount['mean']:.2%} of the range, at most {amount['largest']:.1%}\n" in said
    assert "tone" not in record_of("e.png") and record_of("e.png")["exact_copies"] is True


def test_a_pattern_of_two_tones_is_copied_as_it_is(texsynth: Texsynth, draw: Draw) -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    dots = (y % 12 - 6) ** 2 + (x % 12 - 6) ** 2 < 14
    draw("a.png", np.where(dots, 140, 120).astype(np.uint8))
    words = ("synthesize", "a.png", "--quality", "draft", "--threads", 1)
    assert "tone: nothing to even out\n" in texsynth(*words, "-o", "o.png", "-v").err
    assert record_of("o.png")["tone"] == {"largest": 0, "mean": 0}
    assert set(np.unique(array("o.png"))) == {120, 140}


def test_a_tileable_picture_keeps_its_pixels_and_wraps_in_one_light(texsynth: Texsynth, draw: Draw) -> None:
    before = draw("a.png", diagonal(100, 160).round().astype(np.uint8))
    texsynth("inpaint", "a.png", "--make-tileable", "x", "--band", 16, "-o", "o.png", "-q", "--threads", 1)
    after = array("o.png").astype(float)
    assert (after[:, 8:-8] == before[:, 8:-8]).all()
    assert np.abs(after[:, 0] - after[:, -1]).max() < 0.4 * np.abs(before[:, 0].astype(float) - before[:, -1]).max()
