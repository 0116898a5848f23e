"""`texsynth control`: what its maps and flags do, by a method that obeys nothing else; its files, records, mistakes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Draw, Picture, Ran, Refused, Texsynth, array
from texsynth.guidance import labels, orientation, progression
from texsynth.image import picture as image

OBEY = ("-p", "obedient", "-q")
RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def ramp(height: int = 16, width: int = 16, down: bool = False) -> np.ndarray:
    """Grey from black to white, to the right or down."""
    line = np.linspace(0, 255, height if down else width).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(line[:, None] if down else line, (height, width)))


def halves(*colours: tuple[int, int, int], side: int = 16) -> np.ndarray:
    """Upright bands of plain colours."""
    bands = np.array(colours, np.uint8)[np.arange(side) * len(colours) // side]
    return np.ascontiguousarray(np.broadcast_to(bands, (side, side, 3)))


@pytest.fixture(autouse=True)
def rust(draw: Draw) -> None:
    """An exemplar that is its own progression, to the right; and a target that goes down."""
    draw("down.png", ramp(24, 20, down=True))
    draw("right.png", ramp())
    draw("a.png", np.stack([ramp(), ramp(down=True), ramp() // 2], 2))


def run(texsynth: Texsynth, *words: object) -> Ran:
    ran = texsynth("control", *words, *OBEY)
    assert ran.code == 0, ran
    return ran


def told(texsynth: Texsynth, *words: object) -> dict[str, Any]:
    """The record of the run, and what is said of it."""
    entry: dict[str, Any] = json.loads(run(texsynth, *words, "--json").out)["runs"][0]
    return entry


PROGRESS = ("a.png", "--progression", "right.png", "down.png", "-o", "o.png")


def followed(name: str = "o.png") -> np.ndarray:
    """The progression of a result, read off its red channel."""
    return array(name)[..., 0].astype(int)


@pytest.mark.parametrize("flags", [(), ("--reverse",)])
def test_progression_goes_where_the_target_says_at_its_size(texsynth: Texsynth, flags: tuple[str, ...]) -> None:
    run(texsynth, *PROGRESS, *flags)
    target = ramp(24, 20, down=True).astype(int)
    assert followed() == pytest.approx(255 - target if flags else target, abs=9)


def test_distance_transform_grows_from_the_dark(texsynth: Texsynth, draw: Draw) -> None:
    shape = np.zeros((17, 17, 3), np.uint8)
    shape[4:13, 4:13] = (255, 255, 0)
    draw("shape.png", shape)
    run(texsynth, "a.png", "--progression", "right.png", "shape.png", "-o", "o.png", "--distance-transform")
    made = followed()
    assert made[8, 8] == made.max() == 255 and (made[:4] == 0).all()
    assert (np.diff(made[8, 3:9]) > 0).all() and (np.diff(made[8, 8:14]) < 0).all()


def test_what_the_source_cannot_show_is_said_or_stretched(texsynth: Texsynth, draw: Draw) -> None:
    draw("narrow.png", ramp() // 2 + 64)
    words = ("control", "a.png", "--progression", "narrow.png", "down.png", "-p", "obedient", "-o")
    ran = texsynth(*words, "o.png")
    assert "down.png: 50 % of its pixels are outside the exemplar's range (0.25 to 0.75); --match-range" in ran.err
    assert np.isin(followed(), (0, 255)).mean() > 0.5
    ran = texsynth(*words, "p.png", "--match-range")
    assert "outside" not in ran.err and np.isin(followed("p.png"), (0, 255)).mean() < 0.15


def test_match_histogram_spreads_values_as_the_exemplar_has_them(texsynth: Texsynth, draw: Draw) -> None:
    draw("dark.png", ramp(16, 16, down=True) // 16)
    run(texsynth, "a.png", "--progression", "right.png", "dark.png", "-o", "o.png", "--match-histogram")
    assert followed() == pytest.approx(ramp(down=True).astype(int), abs=17)


def test_that_values_are_scarce_is_said_once_and_no_more_with_their_histogram_matched(
    texsynth: Texsynth, draw: Draw
) -> None:
    grey = ramp(64, 64) // 2 + 127
    grey[:6, :6] = 0  # 0.9 % of the exemplar
    draw("a.png", np.stack([grey] * 3, 2))
    draw("spot.png", grey)
    draw("half.png", np.where(ramp(32, 32) < 128, 0, 200).astype(np.uint8))
    words = ("control", "a.png", "--progression", "spot.png", "half.png", "-o", "o.png", "-p", "obedient")
    said = "half.png: 50 % of it asks for what 0.88 % of the exemplar has"
    assert texsynth(*words).err.count(said) == 1
    assert "asks for" not in texsynth(*words, "--match-histogram", "--force").err


def test_refine_depends_on_the_seed_and_keeps_the_drift(texsynth: Texsynth, picture: Picture) -> None:
    picture("grain.png", channels=1)
    words = ("a.png", "--progression", "grain.png", "down.png", "--save-guides")
    for name, seed, flags in (("p", 3, ()), ("q", 3, ("--refine",)), ("r", 3, ("--refine",)), ("s", 4, ("--refine",))):
        run(texsynth, *words, name, "--seed", seed, "-o", f"{name}.png", *flags)
    maps = {name: array(f"{name}/progression_target.png").astype(float) for name in "pqrs"}
    assert (maps["q"] == maps["r"]).all() and (maps["q"] != maps["s"]).any()
    assert np.diff(maps["q"], axis=1).std() > 1000 > np.diff(maps["p"], axis=1).std()
    assert maps["q"][16:].mean() > maps["q"][:8].mean()


def test_a_source_is_estimated_and_that_is_said(texsynth: Texsynth, draw: Draw) -> None:
    draw("a.png", np.stack([ramp(32, 32)] * 3, 2))
    draw("t.png", ramp(32, 32, down=True))
    words = ("control", "a.png", "--progression", "auto", "t.png", "-o", "o.png", "-p", "obedient")
    ran = texsynth(*words, "--save-guides", "g")
    assert "a.png: progression estimated from brightness" in ran.err
    found = array("g/progression_source.png").astype(float)
    assert (np.diff(found[16]) >= 0).all() and found[16, -1] > found[16, 0] + 50000
    assert followed()[24:].mean() > followed()[:8].mean() + 100


def test_a_colourful_progression_is_compared_in_colour(texsynth: Texsynth, draw: Draw) -> None:
    """The greys of both halves are the same; only their colours differ."""
    draw("a.png", halves((200, 10, 20), (20, 10, 200)))
    draw("s.png", halves((150, 0, 0), (0, 0, 150)))
    draw("t.png", halves((0, 0, 150), (150, 0, 0)))
    run(texsynth, "a.png", "--progression", "s.png", "t.png", "-o", "o.png")
    assert (array("o.png") == halves((20, 10, 200), (200, 10, 20))).all()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_maps_are_read_in_their_depth(texsynth: Texsynth, draw: Draw, dtype: str) -> None:
    """Steps too fine for 8 bits, or values far beyond 1, still steer."""
    draw("a.png", np.stack([ramp()] * 3, 2))
    unit = np.arange(16, dtype=np.float32)
    values = (20000 + unit * 90).astype(np.uint16) if dtype == "uint16" else unit * 3 - 5
    draw("s.tif", np.ascontiguousarray(np.broadcast_to(values, (16, 16))))
    draw("t.tif", np.ascontiguousarray(np.broadcast_to(values[:, None], (16, 16))))
    run(texsynth, "a.png", "--progression", "s.tif", "t.tif", "-o", "o.png")
    assert (followed() == ramp(down=True)).all()


def fibres(side: int = 64) -> np.ndarray:
    """Stripes that run across in the upper half and down in the lower; a little red tells the halves apart."""
    wave = (128 + 100 * np.sin(np.arange(side) * 1.3)).astype(np.uint8)
    out = np.zeros((side, side, 3), np.uint8)
    out[: side // 2, :, 1] = wave[: side // 2, None]
    out[side // 2 :, :, 1] = wave[None]
    out[side // 2 :, :, 0] = 5
    return out


@pytest.mark.parametrize("extractor", [(), ("--orientation-extractor", "histogram")])
@pytest.mark.parametrize(("degrees", "red"), [(0, 0), (90, 5), (180, 0)])
def test_a_built_in_orientation_needs_no_map_of_the_exemplar(
    texsynth: Texsynth, draw: Draw, extractor: tuple[str, ...], degrees: int, red: int
) -> None:
    draw("a.png", fibres())
    run(texsynth, "a.png", "--orientation", f"angle:{degrees}", "-o", "o.png", "-s", 32, *extractor)
    assert (array("o.png")[..., 0] == red).mean() > 0.95


def test_orientation_without_a_map_doubles_the_exemplar(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png", (16, 20))
    run(texsynth, "a.png", "--orientation", "angle:30", "-o", "o.png")
    assert array("o.png").shape[:2] == (32, 40)


@pytest.mark.parametrize("kind", ["npy", "png"])
def test_fields_from_files_may_point_either_way(texsynth: Texsynth, draw: Draw, kind: str) -> None:
    draw("a.png", halves(RED, GREEN))
    field = np.zeros((2, 16, 16), np.float32)
    field[0, :, :8], field[1, :, 8:] = -1, 1  # across, then down
    target = np.zeros((2, 16, 16), np.float32)
    target[1, :, :8], target[0, :, 8:] = -2, 3
    for name, values in (("s", field), ("t", target)):
        np.save(f"{name}.npy", values)
        unit = values / np.abs(values).max()
        draw(f"{name}.png", ((np.dstack([*unit, np.zeros((16, 16))]) + 1) / 2 * 65535).astype(np.uint16))
    words = ("--orientation", f"t.{kind}", "--source-orientation", f"s.{kind}")
    entry = told(texsynth, "a.png", *words, "-o", "o.png")
    assert (array("o.png") == halves(GREEN, RED)).all()
    inputs = {entry["role"]: entry["name"] for entry in entry["record"]["inputs"][1:]}
    assert inputs == {"orientation-source": f"s.{kind}", "orientation-target": f"t.{kind}"}


def test_a_file_wins_over_a_built_in_word(refused: Refused, picture: Picture) -> None:
    picture("a.png")
    Path("circle").write_text("no picture")
    assert "circle" in refused(3, "control", "a.png", "--orientation", "circle", "-o", "o.png")


def test_labels_are_painted_by_numbers(texsynth: Texsynth, draw: Draw) -> None:
    """With colours of one's own, noise of JPEG, and any size."""
    exemplar = draw("a.png", np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    draw("s.jpg", halves((150, 150, 160), (46, 139, 40), side=32))
    draw("t.png", halves((46, 139, 40), (150, 150, 160), side=24))
    run(texsynth, "a.png", "--labels", "s.jpg", "t.png", "-o", "o.png")
    made = array("o.png")
    assert made.shape == (24, 24, 3)
    left, right = ({tuple(c) for c in part.reshape(-1, 3)} for part in (exemplar[:, :16], exemplar[:, 16:]))
    assert {tuple(c) for c in made[:, :12].reshape(-1, 3)} <= right
    assert {tuple(c) for c in made[:, 12:].reshape(-1, 3)} <= left


def test_one_exemplar_for_each_label(texsynth: Texsynth, draw: Draw) -> None:
    for name, colour in (("grass", (1, 2, 3)), ("rock", (4, 5, 6)), ("sand", (7, 8, 9))):
        draw(f"{name}.png", halves(colour))
    draw("map.png", halves((0x96, 0x96, 0xA0), GREEN, BLUE, GREEN))
    pairs = ("green=grass.png", "9696a0=rock.png", "#0000ff=sand.png", "green=grass.png")
    words = [word for pair in pairs for word in ("--label-exemplar", pair)]
    entry = told(texsynth, *words, "--label-map", "map.png", "-o", "o.png", "--save-guides", "g")
    assert (array("o.png") == halves((4, 5, 6), (1, 2, 3), (7, 8, 9), (1, 2, 3))).all()
    assert entry["record"]["guides"]["label_colours"] == ["#008000", "#9696a0", "#0000ff", "#008000"]
    assert (array("g/labels_source-2.png") == (0x96, 0x96, 0xA0)).all()
    run(texsynth, "--from", "o.png", "-o", "p.png")
    assert Path("p.png").read_bytes() == Path("o.png").read_bytes()
    assert run(texsynth, *words, "--label-map", "map.png").out == "grass_control.png\n"


def test_guides_combine_by_their_weights(texsynth: Texsynth, draw: Draw) -> None:
    """The progression wants the right, the label the left; whichever weighs more is met."""
    draw("white.png", np.full((16, 16), 255, np.uint8))
    draw("s.png", halves(RED, BLUE))
    draw("t.png", halves(RED))
    words = ("a.png", "--progression", "right.png", "white.png", "--labels", "s.png", "t.png", "-o")
    run(texsynth, *words, "p.png", "--progression-weight", 50, "--labels-weight", 1)
    run(texsynth, *words, "l.png", "--progression-weight", 1, "--labels-weight", 50)
    assert (followed("p.png") == 255).all() and (followed("l.png") == ramp()[0, 7]).all()
    entry = told(texsynth, *words, "o.png", "--orientation", "angle:0", "--orientation-weight", 0.5)
    weights = {"progression_weight": 10.0, "orientation_weight": 0.5, "labels_weight": 10.0}
    assert entry["record"]["guides"].items() >= weights.items()


@pytest.mark.parametrize(("size", "shape"), [("30x20", (20, 30)), ("2x", (48, 40)), ("16", (16, 16))])
def test_a_size_stretches_the_map(texsynth: Texsynth, size: str, shape: tuple[int, int]) -> None:
    ran = texsynth("control", *PROGRESS, "-s", size, "-p", "obedient")
    assert array("o.png").shape[:2] == shape
    assert ("down.png is 20x24, stretched" in ran.err) == (size != "2x")
    assert (np.diff(followed()[:, 0]) >= 0).all()


def test_a_source_map_of_another_size_is_stretched_and_cropped_with_the_exemplar(texsynth: Texsynth) -> None:
    image.write("big.png", image.from_array(ramp(32, 64)))
    words = ("a.png", "--progression", "big.png", "down.png", "--crop", "8,0,8,16", "-o", "o.png")
    ran = texsynth("control", *words, "-p", "obedient", "--save-guides", "g")
    assert "big.png is 64x32, stretched to 16x16" in ran.err
    half = array("g/progression_source.png")
    assert half.shape == (16, 8) and half.min() > 65535 * 0.5 and followed().min() >= ramp()[0, 8]


def test_a_weight_map_goes_with_every_guide(texsynth: Texsynth, draw: Draw) -> None:
    draw("w.png", ramp(8, 8))
    entry = told(texsynth, *PROGRESS, "--guide-weight-map", "w.png", "--save-guides", "g")
    assert entry["record"]["inputs"][-1]["role"] == "guide-weight-map"
    assert array("g/guide_weight.png").shape == (24, 20)
    draw("w.png", np.zeros((8, 8), np.uint8))
    ran = texsynth("control", *PROGRESS, "--guide-weight-map", "w.png", "-p", "obedient", "--force")
    assert "w.png is black everywhere" in ran.err


def test_a_constant_target_is_said(texsynth: Texsynth, draw: Draw) -> None:
    draw("grey.png", np.full((16, 16), 128, np.uint8))
    ran = texsynth("control", "a.png", "--progression", "right.png", "grey.png", "-o", "o.png", "-p", "obedient")
    assert "grey.png is the same everywhere" in ran.err and len(np.unique(followed())) == 1


def test_a_remix_takes_its_maps_from_a_folder(texsynth: Texsynth, refused: Refused, draw: Draw) -> None:
    """One exemplar is all dark in the map, the other all bright: neither alone could be steered by."""
    for name, level in (("clean", 0), ("old", 255)):
        draw(f"{name}.png", np.full((16, 16, 3), level // 5, np.uint8))
        draw(f"maps/{name}.png", np.full((16, 16), level, np.uint8))
    draw("t.png", halves((0, 0, 0), (255, 255, 255)))
    words = ("clean.png", "old.png", "--progression", "maps", "t.png", "-o", "o.png")
    run(texsynth, *words)
    assert (array("o.png") == halves((0, 0, 0), (51, 51, 51))).all()
    run(texsynth, "--from", "o.png", "-o", "p.png", "--progression", "maps", "t.png")
    line = refused(2, "control", "clean.png", "old.png", "--progression", "maps/old.png", "t.png", "-o", "q.png")
    assert "1 given for 2 exemplar(s); name a folder" in line
    Path("maps/clean.png").unlink()
    assert "--progression maps: this folder holds no picture named clean" in refused(3, "control", *words[:-1], "r.png")


def test_several_exemplars_are_mixed_by_their_shares(texsynth: Texsynth, refused: Refused, draw: Draw) -> None:
    for name, level in (("dark", 0), ("bright", 200)):
        draw(f"{name}.png", np.full((16, 16, 3), level, np.uint8))
        draw(f"maps/{name}.png", halves((0, 0, 0), (255, 255, 255)))
    draw("t.png", halves((0, 0, 0), (255, 255, 255)))
    words = ("control", "dark.png", "bright.png", "--labels", "maps", "t.png", "-p", "mixture", "-q")
    assert texsynth(*words, "--blend", "1,3", "-o", "o.png").code == 0
    assert (array("o.png") == 150).all()
    assert texsynth(*words, "--blend-map", "t.png", "-o", "m.png").code == 0
    assert (array("m.png") == halves((0, 0, 0), (200, 200, 200))).all()
    for name in ("o", "m"):
        again = ("control", "dark.png", "bright.png", "--labels", "maps", "t.png", "--from", f"{name}.png")
        assert texsynth(*again, "-o", f"{name}2.png", "-q").code == 0
        assert Path(f"{name}2.png").read_bytes() == Path(f"{name}.png").read_bytes()
    assert "exclude each other" in refused(2, *words, "--blend", "1,1", "--blend-map", "t.png")
    assert "t.png is an input" in refused(2, *words, "--blend-map", "t.png", "-o", "t.png", "--force")


def test_a_batch_pairs_maps_by_stem(texsynth: Texsynth, draw: Draw) -> None:
    for name in "xy":
        draw(f"in/{name}.png", np.stack([ramp()] * 3, 2))
        draw(f"src/{name}.png", ramp())
        draw(f"tgt/{name}.png", ramp(down=name == "y"))
        Path("dir").mkdir(exist_ok=True)
        np.save(f"dir/{name}.npy", np.ones((2, 16, 16)))
    words = ("in", "--progression", "src", "tgt", "--orientation", "dir", "--orientation-weight", 0, "-o", "out/")
    ran = run(texsynth, *words, "--save-guides", "g")
    assert ran.out.split() == ["out/x.png", "out/y.png"] and (followed("out/x.png") == ramp()).all()
    assert (followed("out/y.png") == ramp(down=True)).all()
    assert {path.name[:2] for path in Path("g").iterdir()} == {"x_", "y_"}
    assert Path("g/x_orientation_target_strokes.png").exists()


DRAWN = {
    *(f"{kind}_{end}" for kind in ("progression", "orientation", "labels") for end in ("source", "target")),
    *("orientation_source_strokes", "orientation_target_strokes", "guide_weight", "copies"),
}


@pytest.fixture
def everything(draw: Draw) -> tuple[object, ...]:
    """A command line with every kind of guide, in a folder of its own."""
    for name in ("a", "right", "down"):
        Path("in").mkdir(exist_ok=True)
        Path(f"{name}.png").rename(f"in/{name}.png")
    draw("in/s.png", halves(RED, BLUE))
    draw("in/t.png", halves(BLUE, RED))
    draw("in/w.png", ramp())
    np.save("in/flow.npy", np.ones((2, 10, 10)))
    return (
        *("in/a.png", "--progression", "in/right.png", "in/down.png", "--refine", "--seed", 5),
        *("--orientation", "in/flow.npy", "--source-orientation", "in/flow.npy", "--orientation-weight", 2),
        *("--labels", "in/s.png", "in/t.png", "--labels-weight", 7, "--guide-weight-map", "in/w.png"),
        *("--reverse", "--match-range", "--match-histogram", "-s", "24x30"),
    )


def test_save_guides_draws_what_was_used(texsynth: Texsynth, everything: tuple[object, ...]) -> None:
    entry = told(texsynth, *everything, "-o", "o.png", "--save-guides", "new/seen")
    files = {key.partition(":")[2]: file for key, file in entry["files"].items() if key.startswith("guide:")}
    assert set(files) == DRAWN
    assert files == {name: str(Path(f"new/seen/{name}.png")) for name in DRAWN}
    for name, file in files.items():
        assert array(file).shape[:2] == ((16, 16) if "source" in name else (30, 24)), name
    assert {tuple(c) for c in array(files["labels_target"]).reshape(-1, 3)} == {RED, BLUE}
    assert array(files["progression_target"]).dtype == np.uint16


def test_variations_draw_their_own(texsynth: Texsynth, everything: tuple[object, ...]) -> None:
    run(texsynth, *everything, "-o", "o.png", "-n", 2, "--save-guides", "g")
    assert {path.name for path in Path("g").iterdir()} == {f"o-{n}_{name}.png" for n in (1, 2) for name in DRAWN}
    run(texsynth, *everything, "-o", "best.png", "-n", 2, "--pick", "best", "--save-guides", "h")
    assert {path.stem for path in Path("h").iterdir()} == DRAWN


def test_drawings_are_not_overwritten(texsynth: Texsynth, refused: Refused, everything: tuple[object, ...]) -> None:
    Path("g").mkdir()
    Path("g/copies.png").write_text("mine")
    words = ("control", *everything, *OBEY)
    assert "copies.png exists" in refused(2, *words, "-o", "o.png", "--save-guides", "g")
    assert Path("g/copies.png").read_text() == "mine"
    assert texsynth(*words, "-o", "o.png", "--save-guides", "g", "--force").code == 0
    assert array("g/copies.png").shape == (30, 24, 3)
    Path("h").mkdir()
    line = refused(2, *words, "-o", "h/labels_target.png", "--save-guides", "h")
    assert "labels_target.png is the name of two files" in line
    Path("file").write_text("")
    assert "cannot be made" in refused(2, *words, "-o", "p.png", "--save-guides", "file/g")
    Path("in/right.png").rename("in/labels_target.png")
    again = [str(word).replace("right", "labels_target") for word in words]
    assert "is an input" in refused(2, *again, "-o", "p.png", "--save-guides", "in", "--force")
    assert not Path("p.png").exists()


@pytest.fixture
def repeated(texsynth: Texsynth, everything: tuple[object, ...]) -> Path:
    run(texsynth, *everything, "-o", "in/o.png", "--tile", "x", "--map", "m=in/w.png")
    return Path("in/o.png")


def test_the_same_run_writes_the_same_bytes(texsynth: Texsynth, repeated: Path) -> None:
    run(texsynth, "--from", repeated, "-o", "p.png")
    assert Path("p.png").read_bytes() == repeated.read_bytes()
    assert Path("p_m.png").read_bytes() == Path("in/o_m.png").read_bytes()


def test_the_refinement_of_a_variation_is_repeated(texsynth: Texsynth, picture: Picture) -> None:
    """All variations share the target that the first seed refined."""
    picture("grain.png", channels=1)
    words = ("a.png", "--progression", "grain.png", "down.png", "--refine", "--seed", 4, "-p", "steady", "-q")
    texsynth("control", *words, "-n", 2, "-o", "o.png")
    texsynth("control", "--from", "o-2.png", "-o", "p.png", "-q")
    assert Path("p.png").read_bytes() == Path("o-2.png").read_bytes()
    for seed, refined in ((9, 9), (4, 4)):
        entry = told(texsynth, "--from", "o-2.png", "-o", f"{seed}.png", "--seed", seed)
        assert (entry["record"]["seed"], entry["record"]["guides"]["refine"]) == (seed, refined)


def test_words_are_repeated_too(texsynth: Texsynth) -> None:
    words = ("--progression", "auto", "down.png", "--orientation", "s-curve", "--orientation-extractor", "histogram")
    before = told(texsynth, "a.png", *words, "-o", "o.png")["record"]["guides"]
    assert (before["progression"], before["orientation"]) == (["auto"], "s-curve")
    assert before["orientation_extractor"] == "histogram"
    run(texsynth, "--from", "o.png", "-o", "p.png")
    assert Path("p.png").read_bytes() == Path("o.png").read_bytes()


def test_flags_override_what_is_repeated(texsynth: Texsynth, repeated: Path, draw: Draw) -> None:
    before = image.read_metadata(repeated) or {}
    draw("in/new.png", ramp())
    flags = ("--progression", "in/new.png", "in/new.png", "--labels-weight", 1, "--orientation", "circle")
    words = ("--from", repeated, "-o", "in/p.png", *flags, "--orientation-extractor", "tensor")
    after = told(texsynth, *words)["record"]
    roles = {e["role"]: e["name"] for e in after["inputs"]}
    assert (roles["progression-source"], roles["labels-target"]) == ("new.png", "t.png")
    assert not {"orientation-source", "orientation-target"} & set(roles)
    assert (after["guides"]["orientation"], after["guides"]["labels_weight"]) == ("circle", 1)
    same = ("progression_weight", "reverse", "match_range", "match_histogram", "refine", "orientation_weight")
    assert {k: after["guides"][k] for k in same} == {k: before["guides"][k] for k in same}
    words = ("--from", "in/p.png", "-o", "q.png", "--source-orientation", "in/flow.npy")
    last = told(texsynth, *words)["record"]["guides"]
    assert (last["orientation"], last["orientation_extractor"]) == ("circle", None)


def test_a_preset_that_follows_no_guide_does_not_drop_what_is_repeated(texsynth: Texsynth, refused: Refused) -> None:
    run(texsynth, *PROGRESS)
    said = refused(2, "control", "--from", "o.png", "-o", "p.png", "-p", "ot")
    assert "--progression: preset ot makes nothing of it" in said and not Path("p.png").exists()


def test_one_kind_of_labels_replaces_the_other(texsynth: Texsynth, draw: Draw) -> None:
    draw("a.png", halves(RED, BLUE))
    draw("t.png", halves(BLUE, RED))
    run(texsynth, "a.png", "--labels", "a.png", "t.png", "-o", "painted.png")
    draw("blue.png", halves(BLUE))
    apart = ("--label-exemplar", "blue=a.png", "--label-map", "blue.png")
    record = told(texsynth, "--from", "painted.png", *apart, "-o", "apart.png")["record"]
    assert record["guides"]["label_colours"] == ["#0000ff"]
    run(texsynth, "--from", "apart.png", "--labels", "a.png", "t.png", "-o", "again.png")
    assert (array("again.png") == array("painted.png")).all()
    draw("other.png", halves(BLUE, side=24))
    run(texsynth, "--from", "apart.png", "--label-map", "other.png", "-o", "new.png")
    names = [e["name"] for e in (image.read_metadata("new.png") or {})["inputs"]]
    assert names == ["a.png", "other.png"]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "damaged"),
        ("x", "damaged"),
        ({"progression_weight": "x"}, "damaged"),
        ({"progression": 3}, "damaged"),
        ({"progression": [5]}, "names 1 maps where its guides need 0"),
        ({"progression": [None, None]}, "names 1 maps where its guides need 2"),
        ({"orientation": None}, "names 0 maps where its guides need 1"),
        ({"labels_weight": 1.0, "label_colours": [5]}, "names 0 maps where its guides need 1"),
    ],
)
def test_a_damaged_record(texsynth: Texsynth, refused: Refused, held: object, said: str) -> None:
    run(texsynth, *PROGRESS)
    stored = {**(image.read_metadata("o.png") or {}), "guides": held}
    image.write("o.png", image.read("o.png"), metadata=stored)
    assert said in refused(3, "control", "--from", "o.png", "-o", "p.png")


def test_changed_maps_and_records_of_other_verbs(
    texsynth: Texsynth, refused: Refused, repeated: Path, draw: Draw
) -> None:
    draw("in/w.png", ramp(down=True))
    assert "in/w.png has changed" in refused(3, "control", "--from", repeated, "-o", "p.png")
    texsynth("synthesize", "in/a.png", "-o", "s.png", "-p", "steady", "-q")
    assert "made by `texsynth synthesize`" in refused(3, "control", "--from", "s.png", "-o", "p.png")
    assert "made by `texsynth control`" in refused(3, "synthesize", "--from", repeated, "-o", "p.png")


def test_a_dry_run_writes_nothing(texsynth: Texsynth) -> None:
    before = sorted(Path().rglob("*"))
    ran = run(texsynth, *PROGRESS, "--save-guides", "g", "--report", "r.html", "--dry-run")
    assert ran.out.startswith("o.png: 20x24, preset obedient, seed 0")
    assert sorted(Path().rglob("*")) == before


def test_update_redoes_what_a_changed_guide_changes(texsynth: Texsynth, draw: Draw) -> None:
    words = (*PROGRESS, "--update", "--save-guides", "g")
    made = [run(texsynth, *words).out for _ in range(2)]
    made += [run(texsynth, *words, "--progression-weight", 3).out for _ in range(2)]
    draw("down.png", ramp(24, 20))
    made += [run(texsynth, *words, "--progression-weight", 3).out for _ in range(2)]
    Path("g/copies.png").unlink()
    made += [run(texsynth, *words, "--progression-weight", 3).out for _ in range(2)]
    assert made == ["o.png\n", ""] * 4


def test_a_picture_that_is_kept_is_not_drawn(texsynth: Texsynth) -> None:
    Path("o.png").write_bytes(b"mine")
    run(texsynth, *PROGRESS, "--skip-existing", "--save-guides", "g")
    assert Path("o.png").read_bytes() == b"mine" and not Path("g").exists()


def test_a_method_without_a_field_draws_no_copies(texsynth: Texsynth) -> None:
    ran = texsynth("control", *PROGRESS, "-p", "afloat", "-q", "--save-guides", "g")
    assert ran.code == 0
    assert {path.stem for path in Path("g").iterdir()} == {"progression_source", "progression_target"}


def test_maps_follow_and_the_report_shows_every_guide(texsynth: Texsynth, everything: tuple[object, ...]) -> None:
    run(texsynth, *everything, "-o", "o.png", "--map", "twin=in/a.png", "--report", "r.html", "--tile", "y")
    assert (array("o_twin.png") == array("o.png")).all()
    page = Path("r.html").read_text("utf-8")
    for name in DRAWN - {"copies"}:
        assert f"Guide: {name.replace('_', ' ')} <small>" in page
    assert page.index("Exemplar:") < page.index("Guide:") < page.index("Result <small>")
    assert "Where it comes from" in page


P = ("--progression", "right.png", "down.png")
C = ("--orientation", "circle")
L = ("--labels", "s.png", "t.png")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "needs an input picture, or --from"),
        (("a.png",), "control needs a guide: --progression SRC TGT, --orientation TGT or --labels SRC TGT"),
        (("a.png", "-p", "obedient", "--progression", "right.png"), "'--progression' requires 2 arguments"),
        (("a.png", "--progression", "right.png", "-s", "32"), "--progression takes two files, SRC and TGT, and got"),
        (("a.png", "--labels", "right.png", "--tile", "x"), "--labels takes two files, SRC and TGT, and got '--tile'"),
        (("a.png", *P, "--progression-weight", "-1"), "--progression-weight -1.0: a number from 0 up"),
        *[(("a.png", *P, "--progression-weight", text), f"--progression-weight {text}") for text in ("nan", "inf")],
        (("a.png", *P, "--progression-weight", "x"), "--progression-weight"),
        (("a.png", *P, "--orientation-weight", "0"), "--orientation-weight needs --orientation"),
        (("a.png", *P, "--labels-weight", "1"), "--labels-weight needs --labels"),
        (("a.png", *P, "--source-orientation", "s.npy"), "--source-orientation needs --orientation"),
        (("a.png", *P, "--orientation-extractor", "tensor"), "--orientation-extractor needs --orientation"),
        (("a.png", *C, "--progression-weight", "1"), "needs --progression"),
        *[
            (("a.png", *C, f"--{tool}"), f"--{tool} needs --progression")
            for tool in ("reverse", "refine", "match-range", "match-histogram", "distance-transform")
        ],
        (("a.png", "--orientation", "cirle"), "did you mean circle?"),
        (("a.png", "--orientation", "angle:x"), "number of degrees"),
        (("a.png", *C, "--orientation-extractor", "hog"), "tensor, histogram"),
        (("a.png", *C, "--orientation-extractor", "tensor", "--source-orientation", "s"), "exclude each other"),
        (("a.png", "--label-map", "t.png"), "--label-map needs --label-exemplar"),
        (("--label-exemplar", "red=a.png"), "--label-exemplar needs --label-map"),
        (("--label-exemplar", "red=a.png", "--label-map", "t.png", *L), "exclude each other"),
        (("a.png", "--label-exemplar", "red=a.png", "--label-map", "t.png"), "leave EXEMPLAR out"),
        (("--label-exemplar", "red", "--label-map", "t.png"), "is not COLOUR=FILE"),
        (("--label-exemplar", "rde=a.png", "--label-map", "t.png"), "'rde' is no colour; write RRGGBB"),
        (("a.png", "right.png", *P), "--progression: 1 given for 2 exemplar(s); name a folder"),
        (("a.png", "right.png", "--progression", "auto", "down.png", "--refine"), "one exemplar"),
        (("a.png", *P, "--distance-transform", "-s", "4"), "--size 4"),
        (("a.png", "--progression", "right.png", "black.png", "--distance-transform"), "black.png: distance transform"),
        (("a.png", *P, "--map", "m=a.png", "-p", "afloat"), "copies nothing"),
    ],
)
def test_usage(refused: Refused, draw: Draw, words: tuple[str, ...], said: str) -> None:
    draw("black.png", np.zeros((16, 16), np.uint8))
    before = sorted(Path().rglob("*"))
    assert said in refused(2, "control", *words, *([] if "-p" in words else ["-p", "obedient"]))
    assert sorted(Path().rglob("*")) == before


def test_labels_that_no_exemplar_has_are_named(refused: Refused, draw: Draw) -> None:
    draw("s.png", halves(RED, BLUE))
    draw("t.png", halves(RED, GREEN, BLUE, RED))
    words = ("control", "a.png", "--labels", "s.png", "t.png", "-o", "o.png")
    assert "the target's label #008000 (25 %) is not in the exemplar" in refused(3, *words)
    one_colour = ("control", "--label-exemplar", "red=a.png", "--label-map", "s.png", "-o", "o.png")
    assert "the target's label #0000ff" in refused(3, *one_colour)
    draw("noise.png", np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    assert "noise.png: a label picture has" in refused(
        3, "control", "a.png", "--labels", "noise.png", "s.png", *words[-2:]
    )
    draw("t.png", halves(RED, BLUE))
    mask = np.zeros((16, 16), np.uint8)
    mask[:, :6] = 255
    draw("m.png", mask)
    draw("w.png", halves(RED, RED, BLUE))
    words = ("control", "a.png", "--labels", "w.png", "t.png", "-o", "o.png", "--source-mask", "m.png")
    assert "w.png: the same everywhere" in refused(3, *words)


@pytest.mark.parametrize("role", ["s", "t"])
@pytest.mark.parametrize("guide", ["progression", "orientation", "labels", "guide-weight-map"])
@pytest.mark.parametrize("kind", ["missing", "text", "array"])
def test_inputs(refused: Refused, draw: Draw, role: str, guide: str, kind: str) -> None:
    name = f"{role}.npy" if (guide, kind) == ("orientation", "array") else f"{role}.png"
    good = "r.png"
    draw("r.png", halves(RED, BLUE))
    if kind != "missing":
        Path(name).write_bytes(b"no picture")
    pair = {"s": (name, good), "t": (good, name)}[role]
    words: tuple[str, ...] = (f"--{guide}", *pair)
    if guide == "orientation":
        words = ("--orientation", pair[1], "--source-orientation", pair[0])
    elif guide == "guide-weight-map":
        words = ("--guide-weight-map", name, "--labels", good, good)
    assert f"{name}: " in refused(3, "control", "a.png", *words, "-o", "o.png")
    assert not Path("o.png").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full((2, 8, 8), np.nan), "NaN"),
        (np.zeros((2, 8, 8)), "every vector is zero"),
        (np.ones((3, 8, 8)), "(2, height, width)"),
        (np.ones((2, 8)), "(2, height, width)"),
        (np.ones((2, 0, 8)), "(2, height, width)"),
        (np.ones((2, 8, 8), complex), "real numbers"),
        (np.full((2, 8, 8), None), "is no array as numpy.save writes it"),
    ],
)
@pytest.mark.parametrize("source", [True, False])
def test_fields_that_are_none(refused: Refused, values: np.ndarray, said: str, source: bool) -> None:
    np.save("bad.npy", values)
    words = ("circle", "--source-orientation", "bad.npy") if source else ("bad.npy",)
    line = refused(3, "control", "a.png", "--orientation", *words, "-o", "o.png")
    assert "bad.npy: " in line and said in line


def test_maps_that_say_nothing(refused: Refused, draw: Draw) -> None:
    draw("flat.png", np.full((16, 16, 3), 99, np.uint8))
    draw("one.png", halves(RED))
    words = ("control", "a.png", "-o", "o.png")
    line = "flat.png: the same everywhere, nothing to steer by"
    assert line in refused(3, *words, "--progression", "flat.png", "down.png")
    assert "one.png: the same everywhere" in refused(3, *words, "--labels", "one.png", "one.png")
    assert "direction picture is grey" in refused(3, *words, "--orientation", "flat.png")
    flat = ("control", "flat.png", "-o", "o.png", "--progression", "auto", "down.png")
    assert "flat.png: progression: the picture looks the same" in refused(3, *flat)
    draw("tiny.png", ramp(4, 6))
    assert "tiny.png is 6x4, too small" in refused(3, *words, "--progression", "right.png", "tiny.png")
    Path("folder").mkdir()
    draw("folder/b.png", ramp())
    assert "holds no picture named a" in refused(3, *words, "--progression", "right.png", "folder")


def test_label_exemplars_make_one_picture(refused: Refused, draw: Draw) -> None:
    draw("a.png", halves(RED))
    draw("b.png", halves(BLUE))
    words = ("--label-exemplar", "red=a.png", "--label-exemplar", "blue=b.png", "--label-map", "a.png")
    assert "--label-exemplar: 2 given for 1 exemplar(s)" in refused(2, "control", *words, "-o", "out/")


def test_help_ends_with_examples_that_run(texsynth: Texsynth, examples: Callable[[str], list[list[str]]]) -> None:
    commands = examples("control")
    shown = texsynth("control", "--help").out
    assert "─ Guides ─" in shown
    for name, kind in {"progression": progression, "orientation": orientation, "labels": labels}.items():
        assert re.search(rf"--{name}-weight .*Default: {kind.WEIGHT:g}\.", shown)
    assert {words[1] for words in commands} == {"guide", "control"}
    assert sum(words[1] == "control" for words in commands) == 4
    for words in commands:
        quick = ("-p", "steady", "-q", "--force") if words[1] == "control" else ("-s", "64")
        ran = texsynth(*words[1:], *quick)
        assert (ran.code, ran.err) == (0, ""), ran
