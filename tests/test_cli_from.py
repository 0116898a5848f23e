"""--from: a picture repeats its own run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asking import entry_of, record_of, same_bytes
from conftest import QUICK, Draw, Picture, Texsynth
from pictures import white
from texsynth.image import picture as image

FLAGS = ("-s", "40x24", "--tile", "x", "--seed", 7, "--crop", "2,2,14,12", "--set", "patch=7", "--set", "passes=1,2")


@pytest.fixture
def made(texsynth: Texsynth, picture: Picture, draw: Draw) -> Path:
    """A picture made with every kind of input, moved away from its command line."""
    picture("in/a.png")
    picture("in/b.png", (20, 20), seed=1)
    for name in ("ha", "hb", "start"):
        picture(f"in/{name}.png", channels=1, seed=2)
    draw("in/mask.png", white((16, 16), np.s_[:, 5:]))
    inputs = ("--map", "h=in/ha.png", "--map", "h=in/hb.png", "--init", "in/start.png")
    masks = ("--source-mask", "in/mask.png", "--source-mask", "in/mask.png")
    ran = texsynth("synthesize", "in/a.png", "in/b.png", "-o", "in/o.png", *FLAGS, *inputs, *masks, *QUICK)
    assert ran.code == 0, ran
    return Path("in/o.png")


def test_the_same_run_writes_the_same_bytes(texsynth: Texsynth, made: Path) -> None:
    ran = texsynth("synthesize", "--from", made, "-o", "p.png", "-q")
    assert ran.out == "p.png\n"
    assert same_bytes("p.png", made)
    assert same_bytes("p_h.png", "in/o_h.png")


def test_inputs_may_lie_in_the_working_folder(texsynth: Texsynth, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Path("away/o.png").absolute()
    target.parent.mkdir()
    made.rename(target)
    monkeypatch.chdir("in")
    assert texsynth("synthesize", "--from", target, "-o", "p.png", "-q").code == 0
    assert same_bytes("p.png", target)


def test_the_right_one_of_two_files_of_a_name_is_taken(texsynth: Texsynth, made: Path, picture: Picture) -> None:
    Path("a.png").write_bytes(Path("in/a.png").read_bytes())
    picture("in/a.png", seed=9)
    assert texsynth("synthesize", "--from", made, "-o", "p.png", "-q").code == 0


def test_flags_override(texsynth: Texsynth, made: Path) -> None:
    flags = ("--seed", 8, "-s", 16, "--tile", "none", "--set", "patch=9")
    maps = ("--map", "k=in/ha.png", "--map", "k=in/hb.png")
    record = entry_of(texsynth, "synthesize", "--from", made, "-o", "p.png", "-q", *flags, *maps)["record"]
    crop = record_of(made)["crop"]
    assert [record[key] for key in ("seed", "size", "tile", "crop")] == [8, "16x16", "none", crop]
    stage = record["preset"]["stages"][0]
    assert (stage["patch"], stage["passes"]) == (9, [1, 2])
    assert {entry["role"] for entry in record["inputs"]} == {"exemplar", "map:k", "source-mask", "init"}
    record = entry_of(texsynth, "synthesize", "--from", made, "-o", "q.png", "-q", "-p", "steady")["record"]
    assert record["preset"]["stages"][0]["patch"] == 5


def test_a_preset_file_need_not_be_there_any_more(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png")
    Path("mine.yaml").write_text("method: steady\npatch: 11\n")
    texsynth("synthesize", "a.png", "-o", "o.png", "-p", "mine.yaml", "-q")
    Path("mine.yaml").unlink()
    assert texsynth("synthesize", "--from", "o.png", "-o", "p.png", "-q").code == 0
    assert same_bytes("p.png", "o.png")


def test_a_sidecar_serves_other_formats(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png")
    texsynth("synthesize", "a.png", "-o", "o.webp", "--seed", 3, *QUICK)
    assert json.loads(Path("o.webp.json").read_text())["texsynth"]["seed"] == 3
    assert texsynth("synthesize", "--from", "o.webp", "-o", "p.webp", "-q").code == 0
    assert same_bytes("p.webp.json", "o.webp.json")


def test_no_folder_of_this_machine_is_told(made: Path, tmp_path: Path) -> None:
    stored = json.dumps(record_of(made))
    assert str(tmp_path) not in stored
    assert "in/" not in stored
    assert all(set(entry) == {"role", "name", "sha256"} for entry in json.loads(stored)["inputs"])


def test_changed_inputs(refused: Callable[..., str], made: Path, picture: Picture) -> None:
    picture("in/mask.png", channels=1, seed=5)
    assert "in/mask.png has changed" in refused(3, "synthesize", "--from", made, "-o", "p.png")
    picture("other.png", seed=4)
    given = ("synthesize", "in/a.png", "other.png", "--from", made, "-o", "p.png")
    assert "other.png is not the exemplar of the recorded run" in refused(3, *given)
    assert "2 inputs as exemplar, and 1" in refused(3, "synthesize", "in/a.png", "--from", made, "-o", "p.png")
    assert "gone.png does not exist" in refused(3, "synthesize", "in/a.png", "gone.png", "--from", made, "-o", "p.png")
    assert "in is a folder" in refused(3, "synthesize", "in/a.png", "in", "--from", made, "-o", "p.png")


def test_missing_inputs(refused: Callable[..., str], made: Path) -> None:
    Path("in/b.png").unlink()
    assert "b.png, an input of the recorded run" in refused(3, "synthesize", "--from", made, "-o", "p.png")


def test_nothing_to_repeat(refused: Callable[..., str], picture: Picture) -> None:
    picture("plain.png")
    Path("text.png").write_text("no picture")
    for name, words in {"plain.png": "no texsynth record", "gone.png": "no such file", "text.png": "text.png"}.items():
        assert words in refused(3, "synthesize", "--from", name, "-o", "p.png")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verb": "evaluate"}, "made by `texsynth evaluate`"),
        ({"seed": "x"}, "damaged"),
        ({"inputs": [{"role": "exemplar"}]}, "damaged"),
        ({"preset": {"name": "x"}}, "damaged"),
        ({"preset": {"name": "x", "stages": [{"patch": 5}]}}, "damaged"),
        ({"preset": None}, "damaged"),
        ({"inputs": []}, "names no exemplar"),
    ],
)
def test_a_damaged_record(
    texsynth: Texsynth, refused: Callable[..., str], picture: Picture, change: dict[str, object], words: str
) -> None:
    picture("a.png")
    texsynth("synthesize", "a.png", "-o", "o.png", *QUICK)
    stored = {**record_of("o.png"), **change}
    image.write("o.png", image.read("o.png"), metadata=stored)
    assert words in refused(3, "synthesize", "--from", "o.png", "-o", "p.png")


def test_a_record_is_to_blame_for_what_it_lacks_and_for_no_option(
    refused: Callable[..., str], texsynth: Texsynth, picture: Picture, draw: Draw
) -> None:
    picture("a.png")
    draw("mask.png", white((16, 16), np.s_[4:8, 4:8]))
    assert texsynth("inpaint", "a.png", "--mask", "mask.png", "-o", "o.png", *QUICK).code == 0
    record = image.read_metadata("o.png") or {}
    record["inputs"] = [entry for entry in record["inputs"] if entry["role"] != "mask"]
    image.write("o.png", image.read("o.png"), metadata=record)
    again = ("inpaint", "--from", "o.png", "-o", "p.png")
    assert "its record is damaged" in refused(3, *again, "--max-memory", "2G")
    assert "--device" in refused(2, *again, "--device", "abacus")


def test_a_name_in_a_record_is_never_a_path(refused: Callable[..., str], texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png")
    texsynth("synthesize", "a.png", "-o", "o.png", *QUICK)
    stored = record_of("o.png")
    stored["inputs"][0]["name"] = "../../etc/passwd"
    image.write("o.png", image.read("o.png"), metadata=stored)
    assert "passwd, an input" in refused(3, "synthesize", "--from", "o.png", "-o", "p.png")


def test_from_writes_one_file(refused: Callable[..., str], made: Path) -> None:
    assert "not a folder" in refused(2, "synthesize", "--from", made, "-o", "out/")
