"""`texsynth evaluate`: its table, JSON, CSV and page, what each flag changes, and every mistake on one line."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import Draw, Ran, Refused, Texsynth
from networks import random_vgg
from pages import Balance
from pictures import bytes_of, noise, spots
from texsynth import metrics
from texsynth.image import picture as image
from texsynth.metrics import Pair, transport
from texsynth.report import evaluation
from texsynth.weights import pretrained

CHEAP = ("nn_pixel", "repetition")
ONLY = tuple(word for name in CHEAP for word in ("--metric", name))
FREE = [name for name in metrics.names() if not metrics.metric(name).about.needs]
BOUND = [name for name in metrics.names() if metrics.metric(name).about.needs]


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few patches for transport, which takes as long as the cube of their number; no weights but what a test gives."""
    monkeypatch.setattr(transport, "PATCHES", 100)
    monkeypatch.delenv("TEXSYNTH_WEIGHTS", raising=False)
    monkeypatch.setattr(pretrained, "cache", lambda: tmp_path / "cache")


@pytest.fixture(autouse=True)
def pictures(draw: Draw, tmp_path: Path) -> None:
    """An exemplar, a near copy, another texture, a 16-bit ramp and a level direction as maps."""
    draw("a.png", bytes_of(spots(48, 48)))
    draw("near.png", bytes_of((spots(48, 48) + noise(1, 3, 48, 48) / 9).clamp(0, 1)))
    draw("far.png", bytes_of(spots(48, 56, seed=5)))
    draw("ramp.png", np.broadcast_to(np.linspace(0, 65535, 48).astype(np.uint16), (48, 48)))
    np.save(tmp_path / "angle.npy", np.stack([np.ones((48, 48), np.float32), np.zeros((48, 48), np.float32)]))


def table(ran: Ran) -> list[list[str]]:
    assert ran.code == 0, ran
    return [line.split("\t") for line in ran.out.splitlines()]


def told(texsynth: Texsynth, *words: object) -> dict[str, Any]:
    ran = texsynth("evaluate", *words, "--json", "-q")
    assert (ran.code, ran.err) == (0, ""), ran
    found: dict[str, Any] = json.loads(ran.out)
    return found


# ---- what is printed ----


def test_a_line_for_each_output_and_a_column_for_each_metric(texsynth: Texsynth) -> None:
    ran = texsynth("evaluate", "a.png", "near.png", "far.png", "a.png")
    head, *lines = table(ran)
    of_tiles = {"tile_borders", "tile_repetition", "blend_error"}
    applied = set(FREE) - of_tiles - {"labels", "orientation", "progression", "seam", "min_patch_colour"}
    assert head[:2] == ["exemplar", "output"] and set(head[2:]) == applied
    assert [line[:2] for line in lines] == [["a.png", name] for name in ("near.png", "far.png", "a.png")]
    itself = dict(zip(head, lines[2], strict=True))
    assert itself["nn_pixel"] == itself["sliced"] == itself["repetition"] == "0"
    assert itself["copy_rate"] == "1"


def test_what_is_left_out_is_said_once_with_its_reason(texsynth: Texsynth) -> None:
    ran = texsynth("evaluate", "a.png", "near.png", "far.png")
    said = [line for line in ran.err.splitlines() if "left out" in line]
    assert len(said) == 1
    assert all(said[0].count(name) >= 1 for name in (*BOUND, "seam", "labels", "min_patch_colour"))
    assert "needs vgg19 weights" in said[0] and "does not wrap" in said[0] and "64x64 is needed" in said[0]
    verbose = texsynth("evaluate", "a.png", "near.png", "-v").err
    assert "texsynth: left out: seam: the output does not wrap; it compares" in verbose
    quiet = texsynth("evaluate", "a.png", "near.png", "-q")
    assert quiet.err == "" and len(table(quiet)) == 2


def test_only_the_metrics_that_are_named_run_in_their_order(texsynth: Texsynth) -> None:
    ran = texsynth("evaluate", "a.png", "near.png", "--metric", "use", "--metric", "nn_pixel", "--metric", "use")
    assert table(ran)[0] == ["exemplar", "output", "use", "nn_pixel"] and ran.err == ""


def test_same_seed_same_numbers(texsynth: Texsynth) -> None:
    runs = {seed: texsynth("evaluate", "a.png", "far.png", "--metric", "sliced", "--seed", seed).out for seed in (0, 1)}
    assert runs[0] != runs[1]
    both = table(texsynth("evaluate", "a.png", "far.png", "--metric", "use", "--metric", "sliced", "--threads", 1))
    assert both[1][3] == runs[0].split()[-1], "no metric's chance hangs on another"


def test_json_is_one_object(texsynth: Texsynth) -> None:
    found = told(texsynth, "a.png", "near.png", "far.png", "--metric", "nn_pixel", "--metric", "copy_rate")
    assert found["verb"] == "evaluate"
    described = found["metrics"]["copy_rate"]
    assert described["lower_is_better"] is None and described["range"] == [0, 1]
    assert described["description"] == metrics.metric("copy_rate").about.description
    assert [(r["exemplar"], r["output"], r["tile"]) for r in found["results"]] == [
        ("a.png", "near.png", "none"),
        ("a.png", "far.png", "none"),
    ]
    scores = [result["scores"] for result in found["results"]]
    for name in ("nn_pixel", "copy_rate"):
        assert found["mean"][name] == pytest.approx((scores[0][name] + scores[1][name]) / 2)
    assert found["means"] == {".": found["mean"]}


def test_details_are_the_parts_of_scores(texsynth: Texsynth) -> None:
    words = ("a.png", "a.png", "--progression", "ramp.png", "ramp.png", "--metric", "progression")
    assert "details" not in told(texsynth, *words)["results"][0]
    result = told(texsynth, *words, "--details")["results"][0]
    assert result["details"]["progression"]["correlation"] == pytest.approx(1, abs=0.02)
    assert result["details"]["progression"]["difference"] == result["scores"]["progression"]


@pytest.mark.parametrize("width", [50, 200])
def test_on_a_terminal_the_best_is_bold(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    words = ("evaluate", "a.png", "far.png", "a.png", "--metric", "sliced", "--metric", "nn_pixel")
    out = texsynth(*words, "--metric", "copy_rate", "--metric", "repetition", "-q").out
    plain = re.sub(r"\x1b\[[\d;]*m", "", out)
    assert max(map(len, plain.splitlines())) <= width
    assert plain.count("output") == {50: 2, 200: 1}[width], "what does not fit is put below"
    for head in ("sliced ↓", "pixel ↓", "repetition ↓", "rate"):
        assert head in plain
    far, itself = ([line for line in out.splitlines() if name in line] for name in (" far.png", " a.png"))
    assert not any("\x1b[1m" in line for line in far)
    assert sum(line.count("\x1b[1m") for line in itself) == 3, "copy_rate has no better end"


# ---- folders ----


@pytest.fixture
def folders(draw: Draw) -> None:
    """exemplars/: brick, brick-2, lone. ours/: brick-1, brick-2, stranger. theirs/: brick."""
    for number, name in enumerate(("brick.jpg", "brick-2.png", "lone.png")):
        draw(f"exemplars/{name}", bytes_of(spots(32, 32, seed=number)))
    for number, name in enumerate(("ours/brick-1.png", "ours/brick-2.png", "ours/stranger.png", "theirs/brick.png")):
        draw(name, bytes_of(spots(32, 40, seed=10 + number)))


@pytest.mark.usefixtures("folders")
def test_outputs_of_folders_are_paired_by_stem(texsynth: Texsynth) -> None:
    ran = texsynth("evaluate", "exemplars", "ours", "theirs", *ONLY, "--csv", "s.csv")
    head, *lines = table(ran)
    assert [line[:2] for line in lines] == [
        ["exemplars/brick-2.png", "ours/brick-2.png"],
        ["exemplars/brick.jpg", "ours/brick-1.png"],
        ["exemplars/brick.jpg", "theirs/brick.png"],
        ["mean", "ours"],
        ["mean", "theirs"],
    ]
    values = [float(line[head.index("nn_pixel")]) for line in lines]
    assert values[3] == pytest.approx((values[0] + values[1]) / 2, rel=1e-3)
    assert values[4] == values[2] and "no exemplar has the stem of ours/stranger.png" in ran.err
    assert "no output was found of exemplars/lone.png" in ran.err
    assert "3 of 3: theirs/brick.png" in ran.err
    rows = list(csv.reader(io.StringIO(Path("s.csv").read_text("utf-8"))))
    assert [row[:2] for row in rows] == [head[:2], *(line[:2] for line in lines)]
    assert float(rows[1][2]) == pytest.approx(values[0], rel=1e-3)
    means = told(texsynth, "exemplars", "ours", "theirs", *ONLY)["means"]
    assert means["ours"]["nn_pixel"] == pytest.approx(values[3], rel=1e-3)


@pytest.mark.usefixtures("folders")
def test_globs_and_folders_stand_for_their_pictures(texsynth: Texsynth) -> None:
    for words in (["ours"], ["ours/*.png"]):
        lines = table(texsynth("evaluate", "exemplars/lone.png", *words, *ONLY))[1:]
        assert [line[1] for line in lines] == ["ours/brick-1.png", "ours/brick-2.png", "ours/stranger.png"]
    lines = table(texsynth("evaluate", "exemplars/lone.png", "exemplars", *ONLY))[1:]
    assert [line[1] for line in lines] == ["exemplars/brick-2.png", "exemplars/brick.jpg"], "not the exemplar itself"


# ---- weights ----


def test_weights_that_score_are_told(texsynth: Texsynth) -> None:
    random_vgg(Path("vgg19.safetensors"), ("relu1_2",))
    found = told(texsynth, "a.png", "near.png", "--metric", "sifid", "--weights", "vgg19.safetensors")
    read = pretrained.read(Path("vgg19.safetensors"), "vgg19", {})
    assert found["results"][0]["weights"] == {"vgg19": {"name": read.name, "sha256": read.sha256}}
    assert found["metrics"]["sifid"]["weights"] == [{"name": read.name, "sha256": read.sha256}]
    assert found["results"][0]["scores"]["sifid"] > 0


def test_all_runs_what_the_weights_that_are_here_reach(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "fetch", lambda *_: pytest.fail("nothing is fetched for --metric all"))
    found = told(texsynth, "a.png", "near.png", "--metric", "all")
    assert not set(BOUND) & set(found["metrics"])
    assert "vgg19 weights are not here" in found["left_out"]["sifid"]
    random_vgg(Path("vgg19.safetensors"), ("relu1_2",))
    found = told(texsynth, "a.png", "near.png", "--metric", "all", "--weights", "vgg19.safetensors")
    assert set(BOUND) & set(found["metrics"]) == {"nn_conv1", "sifid"}
    assert "vgg19.safetensors lacks relu" in found["left_out"]["gram_distance"]
    assert found["metrics"].keys() >= {"use", "sliced"}


def test_a_metric_that_is_named_fetches_its_weights(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(network: str, say: Callable[[str], None]) -> Path:
        asked.append(network)
        say(f"getting {network}")
        return random_vgg(Path("fetched.safetensors"), ("relu1_2",))

    monkeypatch.setattr(pretrained, "fetch", fetch)
    ran = texsynth("evaluate", "a.png", "near.png", "--metric", "sifid")
    assert (ran.code, asked) == (0, ["vgg19"]) and "getting vgg19" in ran.err
    assert texsynth("evaluate", "a.png", "nowhere.png", "--metric", "sifid").code == 3
    assert asked == ["vgg19"], "names are checked first"


def test_several_outputs_have_a_diversity(texsynth: Texsynth, refused: Refused) -> None:
    random_vgg(Path("vgg19.safetensors"))
    words = ("--metric", "diversity_po", "--weights", "vgg19.safetensors")
    alike = told(texsynth, "a.png", "near.png", "near.png", *words)["results"]
    different = told(texsynth, "a.png", "near.png", "a.png", *words)["results"]
    assert alike[0]["scores"]["diversity_po"] == 0 < different[0]["scores"]["diversity_po"]
    assert "at least two" in refused(3, "evaluate", "a.png", "near.png", *words)


# ---- what outputs were to be ----


def carry(name: str, record: dict[str, Any]) -> None:
    image.write(name, image.from_array(bytes_of(spots(48, 48, seed=2))), metadata=record)


@pytest.mark.parametrize(
    ("record", "words", "tile"),
    [
        ({}, (), "none"),
        ({"tile": "xy"}, (), "xy"),
        ({"tile": "x", "inpaint": {"make_tileable": "y"}}, (), "xy"),
        ({"tile": 3, "inpaint": None}, (), "none"),
        ({"tile": "xy"}, ("--tile", "none"), "none"),
        ({}, ("--tile", "y"), "y"),
    ],
)
def test_a_tile_is_told_by_its_record_or_by_the_flag(
    texsynth: Texsynth, record: dict[str, Any], words: tuple[str, ...], tile: str
) -> None:
    carry("t.png", record)
    found = told(texsynth, "a.png", "t.png", *words)
    assert found["results"][0]["tile"] == tile and ("seam" in found["metrics"]) == (tile != "none")


def test_guides_are_compared_with_what_was_made(texsynth: Texsynth, draw: Draw) -> None:
    draw("fall.png", np.broadcast_to(np.linspace(65535, 0, 48).astype(np.uint16), (48, 48)))
    halves = np.zeros((48, 48, 3), np.uint8)
    halves[:, 24:] = 255
    draw("halves.png", halves)

    def score(metric: str, *words: object) -> float:
        return float(told(texsynth, "a.png", "a.png", "--metric", metric, *words)["results"][0]["scores"][metric])

    assert score("progression", "--progression", "ramp.png", "ramp.png") < 0.02
    assert score("progression", "--progression", "ramp.png", "fall.png") > 0.3
    assert score("labels", "--labels", "halves.png", "halves.png") > 0.97
    lines = np.broadcast_to((np.arange(48) % 8 < 4)[:, None, None] * np.uint8(255), (48, 48, 3))
    draw("a.png", np.ascontiguousarray(lines))
    level = score("orientation", "--orientation", "angle:0")
    assert level < 5 < 85 < score("orientation", "--orientation", "angle:90", "--source-orientation", "angle.npy")


def test_maps_in_a_folder_belong_to_the_exemplar_of_their_stem(texsynth: Texsynth, draw: Draw) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 48).astype(np.uint8), (48, 48))
    for number, name in enumerate("ab"):
        for folder in ("in", "out"):
            draw(f"{folder}/{name}.png", bytes_of(spots(48, 48, seed=number)))
        draw(f"maps/{name}.png", np.ascontiguousarray(ramp if number else ramp.T))
    found = told(texsynth, "in", "out", "--metric", "progression", "--progression", "maps", "maps")
    assert all(result["scores"]["progression"] < 0.02 for result in found["results"])


# ---- files ----


def test_the_page_needs_nothing_else_and_shows_everything(texsynth: Texsynth) -> None:
    record = {"verb": "synthesize", "tile": "xy", "seed": 41, "losses": [["field", 0, n, 1 / n] for n in range(1, 9)]}
    carry("<b>made.png", record)
    random_vgg(Path("vgg19.safetensors"), ("relu1_2",))
    ran = texsynth(
        *("evaluate", "a.png", "<b>made.png", "near.png", *ONLY, "--metric", "sifid", "--metric", "seam"),
        *("--weights", "vgg19.safetensors", "--report", "p.html", "-q"),
    )
    assert ran.code == 0, ran
    text = Path("p.html").read_text("utf-8")
    reader = Balance(text)
    assert reader.open == []
    assert all(link.startswith(("data:image/png;base64,", "#output")) for link in reader.links)
    assert "url(" not in text and "<b>" not in text
    sizes = [Image.open(io.BytesIO(base64.b64decode(d))).size for d in re.findall(r"base64,([\w+/=]+)", text)]
    assert sizes == [(48, 48)] * 5, "the exemplar, and two outputs with their sources"
    assert text.count('href="#output0"') == text.count('href="#output1"') == 4, "2 x 2, without a second copy"
    assert "wraps in xy" in text and "not said to wrap" in text
    assert "<th>seed</th><td>41</td>" in text and text.count("<svg") == 5, "a curve of losses, and no table of them"
    assert "<th>losses" not in text and "nn_pixel ↓" in text and text.count("<strong>") >= 2
    assert pretrained.read(Path("vgg19.safetensors"), "vgg19", {}).sha256 in text
    assert "seam: no score for 1 of 2 outputs" in text


@pytest.mark.parametrize("losses", [None, 3, [1], [["a", 0, 1]], [["a", 0, "x", 1.0]], [{"a": 1}]])
def test_a_record_with_odd_losses_has_no_curve(texsynth: Texsynth, losses: Any) -> None:
    carry("made.png", {"losses": losses})
    assert texsynth("evaluate", "a.png", "made.png", *ONLY, "--report", "p.html").code == 0
    assert 'class="curve"' not in Path("p.html").read_text("utf-8")


@pytest.mark.parametrize(("outputs", "exemplars"), [(1, 1), (3, 1), (40, 40), (2000, 300)])
def test_pages_stay_small_whatever_is_on_them(outputs: int, exemplars: int) -> None:
    shown = min(outputs, evaluation.PICTURED)
    side = evaluation.longest(outputs, exemplars)
    worst = Pair(noise(1, 3, 96, 96), noise(1, 3, 96, 96, seed=1))
    shot = evaluation.shot(worst, min(side, 96), 0)  # noise is the worst case at any size
    scale = (side / min(side, 96)) ** 2 * 4 / 3
    least = min(exemplars, shown)
    assert scale * (least * len(shot.exemplar) + shown * (len(shot.output) + len(shot.sources))) < 2_300_000
    assert side >= 32


def test_more_outputs_than_are_pictured_have_their_scores(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PICTURED", 1)
    texsynth("evaluate", "a.png", "near.png", "far.png", *ONLY, "--report", "p.html")
    text = Path("p.html").read_text("utf-8")
    assert text.count("<image ") == 1 and "<td>far.png</td>" in text and "pictures of the first 1 outputs only" in text


def test_the_sources_of_a_copy_are_its_places() -> None:
    """Red rises with x, green with y; a picture of the exemplar's right half is redder from its start."""
    picture = spots(48, 64)
    found = evaluation.sources_picture(Pair(picture, picture[:, :, :, 32:]), torch.Generator())[0]
    middle = found[:, 8:-8, 8:-8]
    columns, rows = (torch.arange(n, dtype=torch.float32) for n in (32, 48))
    assert (middle[0] - ((columns + 32 - 4) / 55)[8:-8]).abs().max() < 1e-5
    assert (middle[1] - ((rows - 4) / 39)[8:-8, None]).abs().max() < 1e-5


def test_files_are_whole_and_kept_unless_forced(texsynth: Texsynth, refused: Refused) -> None:
    words = ("evaluate", "a.png", "near.png", *ONLY, "--csv", "s.csv", "--report", "p.html", "-q")
    for file in ("s.csv", "p.html"):
        Path(file).write_text("mine")
        assert f"{file} exists; --force overwrites it" in refused(2, *words)
        assert Path(file).read_text() == "mine"
        Path(file).unlink()
        Path("p.html" if file == "s.csv" else "s.csv").unlink(missing_ok=True)
    Path("s.csv").write_text("mine")
    assert texsynth(*words, "--force").code == 0
    assert Path("s.csv").read_text().startswith("exemplar,output,nn_pixel")
    assert not list(Path().glob(".*part"))


# ---- mistakes ----

GIVEN = ("a.png", "near.png")


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, ("a.png",), "missing argument"),
        (2, (*GIVEN, "--metric", "nn_pixle"), "there is no metric 'nn_pixle'; did you mean nn_pixel?"),
        (2, (*GIVEN, "--metric", "zzz"), "known are blend_error, copy_rate"),
        (2, (*GIVEN, "--tile", "z"), "--tile 'z' is not one of none, x, y, xy"),
        (2, (*GIVEN, "--device", "tpu"), "--device 'tpu' is not one of"),
        (2, (*GIVEN, "--threads", "0"), "threads"),
        (2, (*GIVEN, "--seed", "-1"), "seed"),
        (2, (*GIVEN, "-q", "-v"), "exclude each other"),
        (2, (*GIVEN, "--weights", "w.safetensors"), "--weights: none of these metrics needs any"),
        (2, (*GIVEN, "--source-orientation", "angle.npy"), "needs --orientation"),
        (2, (*GIVEN, "--progression", "ramp.png", "--json"), "--progression takes two files"),
        (2, (*GIVEN, "--csv", "none/s.csv"), "there is no folder none"),
        (2, (*GIVEN, "--csv", "."), "is a folder"),
        (2, (*GIVEN, "--csv", "near.png", "--force"), "near.png is an input of this command"),
        (2, (*GIVEN, "--report", "x.html", "--csv", "x.html"), "name one file"),
        (3, ("a.png", "nowhere.png"), "nowhere.png: no such file"),
        (3, ("nowhere.png", "a.png"), "nowhere.png: no such file"),
        (3, ("a.png", "none*.png"), "none*.png matches no file"),
        (3, ("a.png", "text.png"), "text.png"),
        (3, ("empty", "near.png"), "holds no pictures"),
        (3, ("twins", "near.png"), "have one stem"),
        (3, ("others", "near.png"), "no output has the stem of an exemplar"),
        (3, ("alone/a.png", "alone"), "no other picture"),
        (3, (*GIVEN, "--metric", "min_patch_colour"), "near.png: min_patch_colour: the exemplar is 48x48"),
        (3, (*GIVEN, "--metric", "seam"), "near.png: seam: the output does not wrap"),
        (3, (*GIVEN, "--metric", "labels"), "near.png: labels: no labels map was given"),
        (3, (*GIVEN, "--progression", "none.png", "ramp.png"), "none.png: no such file"),
        (5, (*GIVEN, "--metric", "sifid", "--weights", "none.pth"), "none.pth does not exist"),
        (5, (*GIVEN, "--metric", "sifid", "--weights", "text.png"), "is no weights file"),
    ],
)
def test_mistakes_are_one_line(refused: Refused, draw: Draw, code: int, words: tuple[str, ...], said: str) -> None:
    Path("text.png").write_text("no picture, and no weights")
    Path("empty").mkdir()
    for name in ("twins/a.png", "twins/a.jpg", "others/b.png", "alone/a.png"):
        draw(name, bytes_of(noise(1, 3, 16, 16)))
    assert said in refused(code, "evaluate", *words).replace("Missing", "missing")
    assert not Path("s.csv").exists()


def test_a_page_that_cannot_be_written_is_a_line(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert "s.csv: cannot be written (No space left" in refused(4, "evaluate", *GIVEN, *ONLY, "--csv", "s.csv")


def test_help_and_completion_load_no_torch(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys\nfrom texsynth.cli import main\nfrom texsynth.requests.evaluate import METRICS\n"
        "main(['evaluate', '--help'])\nassert 'nn_pixel' in METRICS\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    monkeypatch.setenv("COLUMNS", "120")
    shown = texsynth("evaluate", "--help").out
    assert all(name in shown for name in metrics.names())
    assert shown.split("Examples:")[1].count("texsynth evaluate") == 4
