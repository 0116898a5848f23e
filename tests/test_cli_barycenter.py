"""`texsynth barycenter`: shares from weights, maps and steps, by methods that obey nothing else; records, mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import entry_of, record_of, same_bytes
from conftest import Draw, Picture, Texsynth, array, palette
from texsynth.runs import check

Refused = Callable[..., str]
MIX, COPY = ("-p", "mixture", "-q"), ("-p", "obedient", "--mode", "mosaic", "-q")
COLOURS = {"a": (200, 40, 0), "b": (0, 120, 240), "c": (100, 100, 100)}


@pytest.fixture(autouse=True)
def plain(mixing: None, tmp_path: Path, draw: Draw) -> None:  # noqa: ARG001 (for its presets)
    """Exemplars of one colour and of different sizes; and a default that mixes."""
    for (name, colour), size in zip(COLOURS.items(), ((16, 20), (24, 12), (10, 10)), strict=True):
        draw(str(tmp_path / f"{name}.png"), np.full((*size, 3), colour, np.uint8))


def mixed(*shares: float) -> np.ndarray:
    """The colour that shares of the exemplars make."""
    colours = np.array(list(COLOURS.values())[: len(shares)])
    return np.array(shares) @ colours / sum(shares)


def run(texsynth: Texsynth, *words: object) -> dict[str, Any]:
    return entry_of(texsynth, "barycenter", *words)


def close(made: np.ndarray, wanted: np.ndarray) -> bool:
    return bool((np.abs(made.astype(float) - wanted) <= 1).all())


def test_by_default_equal_shares_at_the_size_of_the_first(texsynth: Texsynth) -> None:
    entry = run(texsynth, "a.png", "b.png", "c.png", "-o", "o.png", *MIX)
    assert array("o.png").shape == (16, 20, 3)
    assert close(array("o.png"), mixed(1, 1, 1))
    assert entry["record"]["barycenter"] == {"blend": [1 / 3] * 3, "steps": None, "mode": "transport"}


@pytest.mark.parametrize("shares", [(0.25, 0.75), (1, 3), (1, 0), (0, 1), (0.2, 0.3, 0.5), (5, 0, 0), (1e-30, 1e-30)])
def test_a_blend_mixes_by_its_proportions(texsynth: Texsynth, shares: tuple[float, ...]) -> None:
    """What does not add up to 1 is normalised, and only that is said."""
    names = [f"{name}.png" for name in list(COLOURS)[: len(shares)]]
    text = ",".join(map(str, shares))
    ran = texsynth("barycenter", *names, "--blend", text, "-o", "o.png", "-p", "mixture")
    assert close(array("o.png"), mixed(*shares))
    assert ("not 1; taken as" in ran.err) == (abs(sum(shares) - 1) > 1e-6)
    assert sum(record_of("o.png")["barycenter"]["blend"]) == pytest.approx(1)


def test_a_normalised_blend_is_told_and_kept(texsynth: Texsynth) -> None:
    ran = texsynth("barycenter", "a.png", "b.png", "--blend", "1,3", "-o", "o.png", "-p", "mixture")
    assert "--blend 1,3 adds up to 4, not 1; taken as 0.25,0.75" in ran.err
    ran = texsynth("barycenter", "--from", "o.png", "-o", "p.png")
    assert "adds up" not in ran.err
    assert same_bytes("p.png", "o.png")


def test_a_map_blends_two_pixel_by_pixel(texsynth: Texsynth, draw: Draw) -> None:
    """Black is the first, white the second, in the map's own depth; of another size it is stretched."""
    ramp = np.linspace(0, 65535, 20).round().astype(np.uint16)
    draw("m.png", np.ascontiguousarray(np.broadcast_to(ramp, (16, 20))))
    run(texsynth, "a.png", "b.png", "--blend-map", "m.png", "-o", "o.png", *MIX)
    share = (ramp / 65535)[None, :, None]
    assert close(array("o.png"), (1 - share) * mixed(1) + share * mixed(0, 1))
    ran = texsynth("barycenter", "a.png", "b.png", "--blend-map", "m.png", "-o", "p.png", "-s", 40, "--from", "o.png")
    assert "m.png is 20x16, stretched to 40x40" in ran.err


def test_maps_blend_more_than_two_by_their_proportions(texsynth: Texsynth, draw: Draw) -> None:
    """A pixel where all are black takes equal shares."""
    values = np.random.default_rng(0).integers(0, 256, (3, 16, 20), dtype=np.uint8)
    values[:, :4] = 0
    for name, one in zip("xyz", values, strict=True):
        draw(f"{name}.png", one)
    flags = [word for name in "xyz" for word in ("--blend-map", f"{name}.png")]
    entry = run(texsynth, "a.png", "b.png", "c.png", *flags, "-o", "o.png", *MIX)
    weights = values.astype(float) + (values.sum(0) == 0)
    wanted = np.einsum("khw,kc->hwc", weights / weights.sum(0), np.array(list(COLOURS.values())))
    assert close(array("o.png"), wanted)
    assert [e["name"] for e in entry["record"]["inputs"] if e["role"] == "blend-map"] == ["x.png", "y.png", "z.png"]
    run(texsynth, "--from", "o.png", "-o", "p.png")
    assert same_bytes("p.png", "o.png")


@pytest.mark.parametrize("steps", [2, 3, 6])
def test_steps_stand_side_by_side_from_the_first_to_the_second(texsynth: Texsynth, steps: int) -> None:
    entry = run(texsynth, "a.png", "b.png", "--steps", steps, "-s", "10x12", "-o", "o.png", *MIX)
    made = array("o.png")
    assert made.shape == (12, 10 * steps, 3)
    for number in range(steps):
        second = number / (steps - 1)
        assert close(made[:, 10 * number : 10 * number + 10], mixed(1 - second, second))
    assert (entry["record"]["size"], entry["record"]["barycenter"]["steps"]) == ("10x12", steps)
    run(texsynth, "--from", "o.png", "-o", "p.png")
    assert same_bytes("p.png", "o.png")
    ran = texsynth("barycenter", "--from", "o.png", "-o", "q.png", "--dry-run")
    assert ran.out.startswith(f"q.png: {10 * steps}x12, preset mixture")


def test_a_mosaic_copies_every_pixel_of_picture_and_maps(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    pictures = [picture("p.png", (16, 16), dtype="uint16"), picture("q.png", (12, 20), dtype="uint16", seed=1)]
    heights = [picture("hp.png", (16, 16), 1, seed=2), picture("hq.png", (12, 20), 1, seed=3)]
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 255
    draw("m.png", mask)
    words = ("p.png", "q.png", "--blend-map", "m.png", "--map", "h=hp.png", "--map", "h=hq.png", "-o", "o.png")
    run(texsynth, *words, "--exact-copies", *COPY)
    for half, before, height in zip((np.s_[:, :8], np.s_[:, 8:]), pictures, heights, strict=True):
        assert palette(array("o.png")[half]) <= palette(before)
        assert set(array("o_h.png")[half].flatten()) <= set(height.flatten())


def test_the_mode_chooses_the_default_preset(texsynth: Texsynth) -> None:
    choices = ("", "--mode transport --quality draft", "--mode mosaic", "--mode mosaic --quality draft")
    words = ("a.png", "b.png", "-q", "-o", "o.png", "--dry-run")
    names = [run(texsynth, *words, *flags.split())["record"]["preset"]["name"] for flags in choices]
    assert names == ["barycenter", "barycenter-draft", "guided-correspondence", "guided-correspondence-draft"]


def test_a_preset_must_do_what_the_mode_says(refused: Refused) -> None:
    words = ("barycenter", "a.png", "b.png", "-o", "o.png")
    line = "--mode mosaic: preset mixture does not end by copying; --preset guided-correspondence fits, or the other"
    assert f"{line} --mode" in refused(2, *words, "--mode", "mosaic", "-p", "mixture")
    line = "--mode transport: preset steady only copies, and mixes nothing; --preset barycenter fits, or the other"
    assert f"{line} --mode" in refused(2, *words, "-p", "steady")
    assert "--mode mosaic: preset field+gram does not end" in refused(2, *words, "--mode", "mosaic", "-p", "field+gram")
    assert "copies nothing, so no map" in refused(2, *words, "--map", "h=a.png", "--map", "h=b.png")


def test_another_mode_than_the_recorded_one_takes_its_own_preset(texsynth: Texsynth) -> None:
    run(texsynth, "a.png", "b.png", "--blend", "0.1,0.9", "-o", "o.png", "-q")
    words = ("--from", "o.png", "--dry-run", "-q", "-o")
    stored = run(texsynth, *words, "p.png", "--mode", "mosaic")["record"]
    assert (stored["preset"]["name"], stored["barycenter"]["blend"]) == ("guided-correspondence", [0.1, 0.9])
    run(texsynth, "a.png", "b.png", "-o", "s.png", *COPY)
    stored = run(texsynth, "--from", "s.png", "--dry-run", "-o", "p.png", "--mode", "mosaic")["record"]
    assert stored["preset"]["name"] == "obedient"


def test_one_way_to_give_shares_replaces_the_recorded_one(texsynth: Texsynth, draw: Draw) -> None:
    draw("m.png", np.zeros((16, 20), np.uint8))
    run(texsynth, "a.png", "b.png", "--blend-map", "m.png", "-s", 16, "-o", "map.png", *MIX)
    run(texsynth, "--from", "map.png", "--steps", 2, "-o", "steps.png", "-q")
    run(texsynth, "--from", "steps.png", "--blend", "0,1", "-o", "blend.png", "-q")
    assert array("steps.png").shape == (16, 32, 3)
    assert close(array("blend.png"), mixed(0, 1))
    assert array("blend.png").shape == (16, 16, 3)
    assert not [e for e in record_of("steps.png")["inputs"] if e["role"] == "blend-map"]


def test_check_stands_in_json(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "check", lambda result, job: {"width": result.image.width, "of": len(job.inputs)})
    assert run(texsynth, "a.png", "b.png", "-o", "o.png", "--check", *MIX)["check"] == {"width": 20, "of": 2}


def test_the_shared_options_reach_the_job(texsynth: Texsynth, picture: Picture) -> None:
    picture("p.png", (24, 24))
    entry = run(texsynth, "p.png", "p.png", "-o", "o.png", "--crop", "2,2,12,10", "--tile", "xy", *MIX)
    record = entry["record"]
    assert array("o.png").shape == (10, 12, 3)
    assert (record["verb"], record["tile"], record["crop"]) == ("barycenter", "xy", "2,2,12,10")
    assert texsynth("barycenter", "?.png", *MIX).out == "a_barycenter.png\n"
