"""`texsynth propagate`: what it leaves alone, every flag, every mistake on one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import texsynth as api
from asking import entry_of, good, record_of, same_bytes
from conftest import Draw, Texsynth, array
from networks import random_vgg
from pictures import bytes_of, noise, spots
from texsynth.api import propagate
from texsynth.errors import UsageError
from texsynth.image import picture as image
from texsynth.image.picture import Picture
from texsynth.verbs import propagate as verb
from texsynth.weights import pretrained

Refused = Callable[..., str]
SIDE = 40
GIVEN = ("propagate", "a.png", "layer.png", "b.png", "-o", "o.png", "-q")


def paint(side: int = SIDE) -> np.ndarray:
    """Blue on the upper left quarter, half of it sheer; elsewhere a colour that nobody should ever see."""
    layer = np.full((side, side, 4), (255, 0, 255, 0), np.uint8)
    layer[: side // 2, : side // 2] = (20, 40, 220, 255)
    layer[: side // 4, : side // 2, 3] = 128
    return layer


@pytest.fixture(autouse=True)
def pictures(draw: Draw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A source, its layer, and a target that is the source rolled by 10 and 7 pixels; no weights but given ones."""
    source = bytes_of(spots(SIDE, SIDE))
    draw("a.png", source)
    draw("b.png", np.roll(source, (10, 7), (0, 1)))
    draw("layer.png", paint())
    monkeypatch.delenv("TEXSYNTH_WEIGHTS", raising=False)
    monkeypatch.setattr(pretrained, "cache", lambda: tmp_path / "cache")


# ---- light ----


def test_light_can_be_kept_or_matched(texsynth: Texsynth, draw: Draw) -> None:
    draw("dark.png", (array("b.png") * 0.4).astype(np.uint8))
    run = ("propagate", "a.png", "layer.png", "dark.png", "-q", "--force", "-o", "o.png")
    far = entry_of(texsynth, *run, "--light", "keep")
    assert not far["relit"]
    for light in ("match", "auto"):
        entry = entry_of(texsynth, *run, "--light", light)
        assert entry["relit"] and entry["distance"] < far["distance"] / 2
    assert not entry_of(texsynth, *run[:3], "b.png", *run[4:])["relit"]
    assert entry_of(texsynth, *run[:3], "b.png", *run[4:], "--light", "match")["relit"]


# ---- what comes out ----


def test_source_as_target_gives_the_layer_back(texsynth: Texsynth) -> None:
    good(texsynth("propagate", "a.png", "layer.png", "a.png", "-o", "o.png", "-q", "--save-layer", "--save-warp"))
    warped, layer = array("o_layer.png"), paint()
    assert np.array_equal(warped[..., 3], layer[..., 3])
    seen = layer[..., 3] > 0
    assert np.array_equal(warped[seen], layer[seen])
    assert np.array_equal(array("o_warp.png"), array("a.png"))


def test_the_layer_follows_what_it_was_painted_on(texsynth: Texsynth) -> None:
    good(texsynth(*GIVEN, "--save-layer"))
    expected = np.roll(paint()[..., 3], (10, 7), (0, 1)) > 0
    found = array("o_layer.png")[..., 3] > 0
    assert (expected == found).mean() > 0.95


def test_untouched_pixels_stay_bit_for_bit_and_hidden_colours_hidden(texsynth: Texsynth) -> None:
    good(texsynth(*GIVEN, "--save-layer"))
    clear = array("o_layer.png")[..., 3] == 0
    assert 0.3 < clear.mean() < 0.95
    assert np.array_equal(array("o.png")[clear], array("b.png")[clear])
    covered = array("o_layer.png")[~clear][:, :3].astype(int)
    assert abs(covered - (20, 40, 220)).max() <= 2, "the layer's colour, unmixed with those under transparent pixels"


def test_depth_alpha_and_size_of_the_target_stay(texsynth: Texsynth, draw: Draw) -> None:
    target = np.concatenate([spots(30, 52)[0].permute(1, 2, 0).numpy(), noise(30, 52, 1).numpy()], 2)
    deep = draw("deep.png", (target * 65535).astype(np.uint16))
    good(texsynth("propagate", "a.png", "layer.png", "deep.png", "-o", "o.png", "-q"))
    made = array("o.png")
    assert made.dtype == np.uint16 and made.shape == (30, 52, 4)
    assert np.array_equal(made[..., 3], deep[..., 3])
    draw("high.tif", target[..., :3] * 3)
    good(texsynth("propagate", "a.png", "layer.png", "high.tif", "-o", "h.tif", "-q", "--blend", "screen"))
    assert array("h.tif").dtype == np.float32
    assert (array("h.tif") >= target[..., :3] * 3 - 1e-6).all(), "screen never darkens, beyond 1 neither"


def test_grey_targets_stay_grey_unless_the_layer_is_coloured(texsynth: Texsynth, draw: Draw) -> None:
    draw("grey.png", array("b.png")[..., 0])
    ran = texsynth("propagate", "a.png", "layer.png", "grey.png", "-o", "c.png", "--progress", "none")
    assert ran.code == 0 and ran.err == "texsynth: grey.png is grey; the layer's colours make it RGB\n"
    assert array("c.png").shape == (SIDE, SIDE, 3)
    draw("plain.png", np.concatenate([paint()[..., :1].repeat(3, 2), paint()[..., 3:]], 2))
    good(texsynth("propagate", "a.png", "plain.png", "grey.png", "-o", "g.png", "-q"))
    assert array("g.png").shape == (SIDE, SIDE)


@pytest.mark.parametrize(
    ("blend", "expected"),
    [
        ("normal", lambda t, c, a: t * (1 - a) + c * a),
        ("multiply", lambda t, c, a: t * (1 - a) + t * c * a),
        ("screen", lambda t, c, a: t * (1 - a) + (1 - (1 - t) * (1 - c)) * a),
    ],
)
@pytest.mark.parametrize("strength", [1, 0.4])
def test_blends_are_those_of_paint_programs(
    texsynth: Texsynth, blend: str, expected: Callable[..., np.ndarray], strength: float
) -> None:
    words = ("propagate", "a.png", "layer.png", "a.png", "-o", "o.png", "-q")
    good(texsynth(*words, "--blend", blend, "--strength", strength))
    layer = paint() / 255
    wanted = expected(array("a.png") / 255, layer[..., :3], layer[..., 3:] * strength)
    assert abs(array("o.png") / 255 - wanted).max() <= 1.01 / 255


def test_strength_zero_changes_nothing_and_leaves_the_saved_layer(texsynth: Texsynth) -> None:
    good(texsynth(*GIVEN, "--strength", 0, "--save-layer"))
    assert np.array_equal(array("o.png"), array("b.png"))
    assert array("o_layer.png")[..., 3].max() == 255


@pytest.mark.parametrize(("blend", "neutral"), [("multiply", 255), ("screen", 0)])
def test_a_layer_without_alpha_covers_all_but_its_neutral_colour(
    texsynth: Texsynth, draw: Draw, blend: str, neutral: int
) -> None:
    flat = np.full((SIDE, SIDE, 3), neutral, np.uint8)
    flat[:20, :20] = (90, 120, 200)
    draw("flat.png", flat)
    alpha = np.where((flat != neutral).any(2), 255, 0).astype(np.uint8)
    draw("with.png", np.dstack([flat, alpha]))
    for name in ("flat", "with"):
        good(texsynth("propagate", "a.png", f"{name}.png", "b.png", "-o", f"o_{name}.png", "-q", "--blend", blend))
    assert np.array_equal(array("o_flat.png"), array("o_with.png"))
    assert not np.array_equal(array("o_flat.png"), array("b.png"))


def test_a_layer_of_another_size_is_stretched_and_a_bent_one_told(texsynth: Texsynth, draw: Draw) -> None:
    draw("twice.png", paint(2 * SIDE))
    ran = texsynth("propagate", "a.png", "twice.png", "a.png", "-o", "o.png", "--save-layer", "--progress", "none")
    assert "twice.png is 80x80, stretched to 40x40; what is painted on it is interpolated" in ran.err
    layer = array("o_layer.png").astype(int)
    assert abs(layer[..., 3] - paint()[..., 3]).mean() < 4
    seen = layer[..., 3] > 8
    assert abs(layer[seen][:, :3] - (20, 40, 220)).max() <= 3, "transparent pixels lend no colour to edges"
    draw("wide.png", np.ascontiguousarray(np.repeat(paint(), 2, 1)))
    ran = texsynth("propagate", "a.png", "wide.png", "a.png", "-o", "w.png", "--progress", "none")
    assert "wide.png is 80x40, stretched to 40x40: the aspect differs by 100 %" in ran.err


def test_floats_of_source_and_layer_are_saved_as_16_bits(texsynth: Texsynth, draw: Draw) -> None:
    draw("f.tif", spots(SIDE, SIDE)[0].permute(1, 2, 0).numpy())
    draw("l.tif", (paint() / 255).astype(np.float32))
    good(texsynth("propagate", "f.tif", "l.tif", "b.png", "-o", "o.png", "-q", "--save-layer", "--save-warp"))
    assert array("o_layer.png").dtype == array("o_warp.png").dtype == np.uint16


def test_same_seed_same_picture_whatever_else_is_in_the_batch(texsynth: Texsynth, draw: Draw) -> None:
    draw("c.png", bytes_of(spots(36, 44, seed=4)))
    run = ("propagate", "a.png", "layer.png")
    good(texsynth(*run, "c.png", "-o", "alone.png", "-q", "--seed", 5, "--threads", 1, "--device", "cpu"))
    good(texsynth(*run, "b.png", "c.png", "-o", "out/", "-q", "--seed", 5))
    assert same_bytes("alone.png", "out/c.png")
    assert entry_of(texsynth, *run, "c.png", "-o", "other.png", "-q", "--seed", 6)["seed"] == 6


def test_coherence_is_passed_on(texsynth: Texsynth, draw: Draw) -> None:
    draw("c.png", bytes_of(spots(SIDE, SIDE, seed=4)))
    run = ("propagate", "a.png", "layer.png", "c.png", "-o", "o.png", "-q", "--force")
    near, far = (entry_of(texsynth, *run, "--coherence", value)["distance"] for value in (0, 5))
    assert near < far, "what is kept together fits less"


# ---- files, messages, batches ----


def test_several_targets_go_to_a_folder_with_their_files(texsynth: Texsynth, draw: Draw) -> None:
    draw("in/x.jpg", array("b.png"))
    draw("in/y.tif", array("b.png"))
    ran = good(texsynth("propagate", "a.png", "layer.png", "in/", "-o", "out/", "-q", "--save-layer", "--save-warp"))
    assert ran.out.splitlines() == ["out/x.png", "out/y.tif"]
    names = {path.name for path in Path("out").iterdir()}
    assert names == {
        "x.png",
        "y.tif",
        "x_layer.png",
        "x_warp.png",
        "y_layer.png",
        "y_warp.png",
        "y.tif.json",
        "results.jsonl",
    }
    good(texsynth("propagate", "a.png", "layer.png", "in/*.tif", "-o", "one.png", "-q", "--no-metadata"))
    assert image.read_metadata("one.png") is None


def test_the_default_name_and_the_record(texsynth: Texsynth) -> None:
    words = ("propagate", "a.png", "layer.png", "b.png", "-q", "--blend", "screen")
    assert good(texsynth(*words)).out == "b_propagate.png\n"
    record = record_of("b_propagate.png")
    assert (record["verb"], record["propagate"]["blend"], record["seed"]) == ("propagate", "screen", 0)
    names = {e["role"]: e["name"] for e in record["inputs"]}
    assert names == {"source": "a.png", "layer": "layer.png", "target": "b.png"}


def test_json_tells_files_cover_and_distance(texsynth: Texsynth) -> None:
    document = json.loads(good(texsynth(*GIVEN, "--save-layer", "--json")).out)
    (entry,) = document.pop("runs")
    assert document == {"verb": "propagate", "failed": [], "left_out": [], "interrupted": False}
    assert (entry["status"], entry["files"]) == ("done", {"layer": "o_layer.png", "image": "o.png"})
    covered = (array("o_layer.png")[..., 3] > 0).mean()
    assert entry["covered"] == pytest.approx(covered, abs=1e-3)
    assert 0 <= entry["distance"] < 0.5
    assert entry["record"] == image.read_metadata("o.png")


def test_progress_and_verbosity(texsynth: Texsynth) -> None:
    assert good(texsynth(*GIVEN[:-1])).out == "o.png\n"
    said = texsynth(*GIVEN[:-1], "--force", "-v").err
    assert "texsynth: o.png: " in said and "% covered, distance" in said
    lines = [json.loads(line) for line in texsynth(*GIVEN, "--force", "--progress", "jsonl").err.splitlines()]
    assert {line["event"] for line in lines} == {"step"} and lines[-1]["done"] == 1
    assert [line["step"] for line in lines] == list(range(1, lines[0]["steps"] + 1))


def test_a_dry_run_writes_nothing(texsynth: Texsynth) -> None:
    before = set(Path().iterdir())
    ran = good(texsynth(*GIVEN[:-2], "out/", "--dry-run"))
    assert ran.out.startswith("out/b.png: 40x40, normal by windows, about ")
    entry = entry_of(texsynth, *GIVEN, "--dry-run")
    assert entry["status"] == "planned" and entry["memory_bytes"] > 0 and entry["seconds"] > 0
    assert set(Path().iterdir()) == before


def test_what_exists_is_refused_kept_redone_or_updated(texsynth: Texsynth, refused: Refused) -> None:
    good(texsynth(*GIVEN))
    made = Path("o.png").read_bytes()
    assert "o.png exists; --force overwrites it" in refused(2, *GIVEN)
    Path("new_warp.png").write_bytes(b"")
    assert "new_warp.png exists" in refused(2, *GIVEN[:-3], "-o", "new.png", "-q", "--save-warp")
    assert texsynth(*GIVEN[:-1], "--skip-existing").err == "texsynth: o.png is kept\n"
    assert texsynth(*GIVEN[:-1], "--update").err == "texsynth: o.png is kept\n"
    assert entry_of(texsynth, *GIVEN, "--update", "--strength", 0.5)["status"] == "done"
    assert Path("o.png").read_bytes() != made
    good(texsynth(*GIVEN, "--force"))
    assert Path("o.png").read_bytes() == made


def test_a_batch_stops_or_goes_on_after_a_failure(texsynth: Texsynth, refused: Refused) -> None:
    Path("bad.png").write_bytes(b"no picture")
    run = ("propagate", "a.png", "layer.png", "bad.png", "b.png", "-o", "out/", "-q")
    assert "bad.png" in refused(3, *run)
    ran = texsynth(*run, "--keep-going")
    assert (ran.code, ran.out) == (6, "out/b.png\n")
    assert ran.err.count("\n") == 2 and "1 of 2 inputs failed" in ran.err


def test_ctrl_c_leaves_what_is_finished(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    execute = verb.execute

    def stop(work: verb.Work, *rest: Any) -> verb.Propagated:
        if work.record["inputs"][-1]["name"] == "b.png":
            raise KeyboardInterrupt
        return execute(work, *rest)

    monkeypatch.setattr(verb, "execute", stop)
    ran = texsynth("propagate", "a.png", "layer.png", "a.png", "b.png", "-o", "out/", "-q")
    assert (ran.code, ran.out) == (130, "out/a.png\n")
    assert ran.err == "texsynth: interrupted: 1 of 2 targets are written\n"


# ---- features with weights ----


def test_vgg19_takes_its_weights_and_stops_without(texsynth: Texsynth, refused: Refused, tmp_path: Path) -> None:
    file = random_vgg(tmp_path / "vgg19.safetensors", ("relu3_2",))
    words = ("propagate", "a.png", "layer.png", "a.png", "-o", "o.png", "-q", "--features", "vgg19")
    entry = entry_of(texsynth, *words, "--weights", file, "--save-layer")
    assert "weights:vgg19" in {read["role"] for read in entry["record"]["inputs"]}
    assert np.array_equal(array("o_layer.png")[..., 3], paint()[..., 3])
    short = random_vgg(tmp_path / "short.safetensors", ("relu2_1",))
    assert "lacks relu" in refused(5, *words, "--weights", short, "--force")
    assert "does not exist" in refused(5, *words, "--weights", "none.safetensors", "--force")
    assert "--features windows needs none" in refused(2, *GIVEN, "--weights", file, "--force")


# ---- mistakes ----


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, ("--blend", "multply"), "did you mean multiply?"),
        (2, ("--features", "vgg16"), "did you mean vgg19?"),
        (2, ("--light", "on"), "known are auto, keep, match"),
        (2, ("--strength", "1.5"), "--strength 1.5 is not from 0"),
        (2, ("--strength", "nan"), "--strength nan is not a finite number"),
        (2, ("--coherence", "-1"), "--coherence -1 is not a number from 0 up"),
        (2, ("--force", "--skip-existing"), "exclude each other"),
        (2, ("--device", "tpu"), "--device 'tpu' is not one of"),
        (2, ("--max-memory", "lots"), "is not an amount of memory"),
        (4, ("--max-memory", "1M"), "above the limit of 1 MB"),
        (2, ("--progress", "loud"), "is not one of"),
        (2, ("-o", "layer.png", "--force"), "layer.png is an input of this command"),
        (2, ("-o", "o.xyz"), "cannot write .xyz"),
        (2, ("a.png",), "2 targets need a folder to go to"),
        (3, ("-o", "x/", "no*.png"), "matches no file"),
    ],
)
def test_every_mistake_is_one_line(refused: Refused, code: int, words: tuple[str, ...], said: str) -> None:
    assert said in refused(code, *GIVEN, *words)


def test_names_that_collide_are_refused(refused: Refused, draw: Draw) -> None:
    draw("b_warp.png", array("b.png"))
    line = refused(2, *GIVEN[:4], "b_warp.png", "-o", "out/", "--save-warp")
    assert "b_warp.png is the name of two files to write" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.png", "opaque.png", "b.png"), "opaque.png has no alpha to tell where it covers"),
        (("a.png", "empty.png", "b.png"), "empty.png is transparent everywhere"),
        (("a.png", "white.png", "b.png", "--blend", "multiply"), "white.png is white everywhere"),
        (("tiny.png", "layer.png", "b.png"), "tiny.png: exemplar is 4x4"),
        (("a.png", "layer.png", "tiny.png"), "tiny.png"),
        (("none.png", "layer.png", "b.png"), "none.png: no such file"),
        (("a.png", "none.png", "b.png"), "none.png: no such file"),
        (("a.png", "layer.png", "none.png"), "none.png: no such file"),
    ],
)
def test_pictures_that_cannot_be_used(
    texsynth: Texsynth, refused: Refused, draw: Draw, words: tuple[str, ...], said: str
) -> None:
    draw("opaque.png", paint()[..., :3])
    draw("empty.png", np.zeros((SIDE, SIDE, 4), np.uint8))
    draw("white.png", np.full((SIDE, SIDE, 3), 255, np.uint8))
    draw("tiny.png", np.zeros((4, 4, 3), np.uint8))
    assert said in refused(3, "propagate", *words, "-o", "o.png")
    ran = texsynth("propagate", *words, "-o", "o.png", "--debug")
    assert ran.code == 3 and said in ran.err and "Traceback" in ran.err


# ---- Python ----


def test_the_api_speaks_the_same_words(texsynth: Texsynth) -> None:
    assert api.propagate is propagate
    good(texsynth(*GIVEN, "--save-layer", "--save-warp", "--strength", 0.7))
    made = propagate("a.png", paint(), Picture(image.read("b.png").pixels), strength=0.7, warp=True, threads=1)
    for name, picture in {"o.png": made.image, "o_layer.png": made.layer, "o_warp.png": made.warp}.items():
        assert picture is not None and np.array_equal(image.to_array(picture), array(name))
    assert propagate("a.png", "layer.png", "b.png").warp is None
    with pytest.raises(UsageError, match="did you mean screen"):
        propagate("a.png", "layer.png", "b.png", blend="scren")
