"""The figure scripts: each runs at its smallest and writes what it promises; what is missing is told, not hidden."""

from __future__ import annotations

import csv
import importlib
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from networks import random_vgg
from pictures import noise
from texsynth.errors import UsageError
from texsynth.metrics import copy_rate, transport
from texsynth.patches import matches

FOLDER = Path(__file__).parent.parent / "benchmarks" / "figures"

everything, figure, sheet = (importlib.import_module(name) for name in ("everything", "figure", "sheet"))
SHARED = {"figure", "sheet", "rows", "material", "learning", "everything"}
NEURAL = ("stages", "matching")  # figures of nothing but what looks through VGG-19
FEWER = {
    "stages": {"COUNTS": 2, "PARTS": 2, "SEEDS": 2},
    "stability": {"SEEDS": 2},
    "orientation": {"WORDS": ("circle",)},
}
NO_VERDICT = ("exemplar", "exemplars", "picture", "method", "result")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights but those given, metrics that look at few patches, and figures with fewer pictures of a kind."""
    monkeypatch.delenv("TEXSYNTH_WEIGHTS", raising=False)
    for module, name in ((transport, "PATCHES"), (copy_rate, "PATCHES"), (matches, "OUTPUT_WINDOWS")):
        monkeypatch.setattr(module, name, 24)
    monkeypatch.setattr(matches, "WINDOW", 7)
    for figure_name, values in FEWER.items():
        for name, value in values.items():
            monkeypatch.setattr(script(figure_name), name, value)


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", everything.FIGURES)
def test_every_figure_writes_a_sheet_and_a_table(name: str, tmp_path: Path) -> None:
    given = ["--weights", str(random_vgg(tmp_path / "vgg19.safetensors"))] if name in NEURAL else []
    done = script(name).main(["--budget", "smallest", "-o", str(tmp_path), *given])
    assert [path.name for path in done.files] == [f"{name}.png", f"{name}.md", f"{name}.csv"]
    with Image.open(done.files[0]) as picture:
        assert min(picture.size) > 100
        some = np.asarray(picture.convert("RGB"))[::3, ::3].reshape(-1, 3)
        assert len(np.unique(some @ (1 << 16, 1 << 8, 1))) > 50
    table, text = rows(done.files[2]), done.files[1].read_text("utf-8")
    assert len(table) >= 2
    values = [row[key] for row in table for key in row if key not in NO_VERDICT and row[key]]
    assert len(values) >= 2 * len(table) and all(math.isfinite(float(value)) for value in values)
    assert all(row["result"] in text for row in table)
    assert all(line in text and "weights" in line for line in done.skipped if "--budget" not in line)


def test_every_script_is_in_the_list() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*everything.FIGURES, *SHARED}


def test_weights_fill_the_missing_columns_and_places(tmp_path: Path) -> None:
    network = random_vgg(tmp_path / "vgg19.safetensors")
    done = script("grid").main(["--budget", "smallest", "--weights", str(network), "-o", str(tmp_path)])
    table = rows(done.files[2])
    assert [row["result"] for row in table] == list(script("grid").WAYS)
    assert all(float(row["gram_distance"]) > 0 for row in table)
    assert done.skipped == ()


def test_a_layer_beyond_the_weights_is_told(tmp_path: Path) -> None:
    network = random_vgg(tmp_path / "vgg19.safetensors")
    options = figure.options("x", "X.", ["--budget", "paper", "--weights", str(network)])
    lack, _ = figure.lacking("guided-correspondence-paper", {}, options)
    assert lack == "needs relu4_1, and vgg19.safetensors stops at relu3_4"
    assert figure.lacking("gram", {}, options) == ("", True)
    assert figure.lacking("ot", {}, options) == ("", False)


@pytest.mark.parametrize("name", everything.FIGURES)
def test_a_folder_without_the_pictures_skips_the_figure(name: str, tmp_path: Path) -> None:
    done = script(name).main(["--budget", "smallest", "--exemplars", str(tmp_path), "-o", str(tmp_path / "out")])
    assert done.files == () and len(done.skipped) == 1 and "the folder has" in done.skipped[0]
    assert not (tmp_path / "out").exists()


def test_pictures_of_a_folder_are_told_from_their_maps(tmp_path: Path) -> None:
    material = script("material")
    for name in ("rust.png", "rust_map.png", "oak.jpg", "target_1.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in material.named(tmp_path)] == ["oak.jpg", "rust.png"]
    assert material.beside(tmp_path / "rust.png", "_map") == tmp_path / "rust_map.png"
    assert material.beside(tmp_path / "oak.jpg", "_map") is None


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--exemplars: .*nowhere is no folder"):
        figure.options("x", "X.", ["--exemplars", str(tmp_path / "nowhere")])


@pytest.mark.parametrize(("fails", "code"), [(False, 0), (True, 1)])
def test_the_summary_lists_made_skipped_and_failed(
    fails: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Skips are no failure."""
    made = figure.Outcome("grid", (Path("figures/grid/grid.png"),), ("gram: needs vgg19 weights",))
    bad = everything.Done("labels", None, "it broke", 1.0)
    outcomes = {"grid": everything.Done("grid", made, "", 2.0), "labels": bad}
    monkeypatch.setattr(everything, "FIGURES", ("grid", "labels") if fails else ("grid",))
    monkeypatch.setattr(everything, "run", lambda name, _: outcomes[name])
    assert everything.main([]) == code
    said = capsys.readouterr().out
    assert "grid: figures/grid/grid.png (2 s)" in said
    assert "gram: needs vgg19 weights (grid)" in said
    assert ("labels: it broke" in said) == fails
    assert all(line in said for line in everything.ABSENT)


def test_a_failing_figure_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise UsageError("no good")

    monkeypatch.setattr(script("grid"), "main", broken)
    done = everything.run("grid", [])
    assert (done.outcome, done.error) == (None, "no good")


def test_a_table_shows_directions_and_what_is_missing() -> None:
    made = sheet.Table(("exemplar", "s", "transport", "labels", "use"), (("a", 12.345, 0.12345, None, 0.0),))
    assert made.markdown().splitlines() == [
        "| exemplar | s | transport ↓ | labels ↑ | use ↓ |",
        "| --- | --- | --- | --- | --- |",
        "| a | 12.3 | 0.123 | - | 0 |",
    ]
    assert made.csv() == "exemplar,s,transport,labels,use\na,12.345,0.12345,,0.0\n"


def test_means_are_taken_over_exemplars() -> None:
    made = sheet.Table(
        ("exemplar", "result", "s"), (("a", "gram", 1.0), ("a", "ot", 5.0), ("b", "gram", 3.0), ("b", "ot", None))
    )
    assert script("uncontrolled").with_means(made).rows[4:] == (("mean", "gram", 2.0), ("mean", "ot", 5.0))


def test_a_sheet_shows_pictures_as_they_are_and_keeps_places() -> None:
    picture = (noise(1, 3, 120, 130) * 255).round() / 255
    drawn = np.asarray(sheet.lay_out([[sheet.Cell(picture, "one"), sheet.Cell(None, "two", "why not")]]))
    gap = sheet.GAP
    wanted = (picture[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    assert np.array_equal(drawn[gap : gap + 120, gap : gap + 130], wanted)
    place = drawn[gap : gap + 120, 2 * gap + 130 : 2 * gap + 260]
    assert (place == sheet.VOID[0]).all(2).mean() > 0.8 and not (place == sheet.VOID[0]).all()


def test_long_rows_go_on_below() -> None:
    row = [sheet.Cell(noise(1, 3, 120, 120), str(number)) for number in range(6)]
    wide, folded = (sheet.lay_out([row], columns) for columns in (6, 3))
    assert folded.width < 0.6 * wide.width and folded.height > 1.9 * wide.height - 2 * sheet.GAP
