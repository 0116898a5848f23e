"""Which files a command writes, keeps and refuses: existing output, batches, what stdout and stderr carry."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import QUICK, Draw, Picture, Refused, Texsynth
from pictures import white
from texsynth.image import picture as image
from texsynth.runs import cost

pytestmark = pytest.mark.usefixtures("exemplar")

SYNTH = ("synthesize", "a.png", "-o", "o.png")


def test_existing_output_is_refused_before_work(texsynth: Texsynth, refused: Refused) -> None:
    Path("o.png").write_bytes(b"mine")
    assert "o.png exists; --force" in refused(2, *SYNTH, *QUICK)
    assert Path("o.png").read_bytes() == b"mine" and texsynth(*SYNTH, "--force", *QUICK).code == 0
    assert image.read("o.png").width == 32


@pytest.mark.parametrize("name", ["o_m.png", "o_field.npz", "o_plane.png"])
def test_existing_maps_and_fields_are_refused(texsynth: Texsynth, refused: Refused, name: str) -> None:
    Path(name).write_bytes(b"mine")
    words = (*SYNTH, "--map", "m=a.png", "--save-field", *QUICK)
    assert f"{name} exists" in refused(2, *words) and Path(name).read_bytes() == b"mine"
    assert not Path("o.png").exists() and texsynth(*words, "--force").code == 0
    assert Path(name).read_bytes() != b"mine"


def test_variations_that_exist_are_refused(refused: Refused) -> None:
    Path("o-2.png").write_bytes(b"mine")
    assert "o-2.png exists" in refused(2, *SYNTH, "-n", 2)


def test_an_input_is_never_overwritten(refused: Refused, picture: Picture) -> None:
    assert "is an input" in refused(2, "synthesize", "a.png", "-o", "../" + Path.cwd().name + "/a.png", "--force")
    assert "is an input" in refused(2, "synthesize", "a.png", "-o", "./", "--force")
    picture("o_m.png")
    picture("maps/a_m.png")
    Path("maps/a.png").write_bytes(Path("a.png").read_bytes())
    for out, maps in (("o.png", "m=o_m.png"), ("o_m.png", "m=o_m.png"), ("maps/a.png", "m=maps")):
        assert "is an input" in refused(2, "synthesize", "a.png", "-o", out, "--map", maps, "--force", *QUICK)


def test_skip_existing(texsynth: Texsynth) -> None:
    Path("o-1.png").write_bytes(b"mine")
    ran = texsynth(*SYNTH, "-n", 2, "--skip-existing", "-p", "steady")
    assert (ran.code, ran.out) == (0, "o-2.png\n") and "o-1.png is kept" in ran.err
    assert Path("o-1.png").read_bytes() == b"mine"
    again = texsynth(*SYNTH, "-n", 2, "--skip-existing", "--json", *QUICK)
    assert [made["status"] for made in json.loads(again.out)["runs"]] == ["kept", "kept"]


def test_update_redoes_what_changed_and_nothing_else(texsynth: Texsynth, picture: Picture) -> None:
    picture("m.png")
    base = (*SYNTH, "--update", "--map", "m=m.png", *QUICK)
    made = [texsynth(*base).out, texsynth(*base).out]
    made += [texsynth(*base, *change).out for change in ((), ("--seed", 1), ("--seed", 1), ("--set", "patch=7"))]
    assert made == ["o.png\n", "", "", "o.png\n", "", "o.png\n"]
    texsynth(*base)
    picture("m.png", seed=9)
    assert texsynth(*base).out == "o.png\n" and texsynth(*base).out == ""
    Path("o_m.png").unlink()
    assert texsynth(*base).out == "o.png\n"
    Path("o.png").write_bytes(b"damaged")
    assert texsynth(*base).out == "o.png\n"


def test_update_knows_a_picked_variation(texsynth: Texsynth) -> None:
    base = (*SYNTH, "--update", "--pick", "best", *QUICK)
    assert [texsynth(*base, "-n", n).out for n in (3, 3, 4)] == ["o.png\n", "", "o.png\n"]


@pytest.mark.parametrize("pair", [("--force", "--update"), ("--skip-existing", "--force"), ("-q", "-v")])
def test_flags_that_exclude_each_other(refused: Refused, pair: tuple[str, str]) -> None:
    assert "exclude each other" in refused(2, "synthesize", "a.png", *pair)


def test_a_folder_is_done_one_by_one(texsynth: Texsynth, picture: Picture) -> None:
    for name in ("in/a.png", "in/b.jpg", "in/c.tif", "in/d.webp"):
        picture(name)
    Path("in/notes.txt").write_text("no picture")
    ran = texsynth("synthesize", "in", "-o", "new/deep/", *QUICK)
    assert ran.out.split() == [f"new/deep/{name}" for name in ("a.png", "b.png", "c.tif", "d.png")]
    assert image.read("new/deep/c.tif").width == 32


def test_files_and_globs_into_an_existing_folder(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    for name in ("a1.png", "a2.png", "b.png", "[c].png"):
        picture(name)
    Path("out").mkdir()
    ran = texsynth("synthesize", "a?.png", "[c].png", "-o", "out", *QUICK)
    assert ran.out.split() == ["out/a1.png", "out/a2.png", "out/[c].png"]
    assert "matches no file" in refused(3, "synthesize", "z*.png", "-o", "out")


def test_names_that_collide_are_kept_apart(texsynth: Texsynth, picture: Picture) -> None:
    for name in ("a.png", "a.jpg", "sub/a.png", "sub/a.webp"):
        picture(name)
    ran = texsynth("synthesize", "a.png", "a.jpg", "sub", "-o", "out/", "-p", "steady")
    assert ran.out.split() == ["out/a.png", "out/a_jpg.png", "out/a_png.png", "out/a_webp.png"]
    assert "a.jpg is written as a_jpg.png, because a.png is taken" in ran.err
    assert len(list(Path("out").glob("*.png"))) == 4


def test_folders_need_a_folder(refused: Refused, picture: Picture) -> None:
    picture("in/a.png")
    assert "-o must name a folder too" in refused(2, "synthesize", "in", "-o", "o.png")
    assert "-o must name a folder too" in refused(2, "synthesize", "in")
    Path("file").write_text("")
    assert "cannot be made" in refused(2, "synthesize", "in", "-o", "file/")
    Path("none").mkdir()
    assert "no pictures" in refused(3, "synthesize", "none", "-o", "out/")


def test_maps_and_masks_of_a_batch_pair_by_stem(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    heights = {name: picture(f"h/{name}.png", channels=1, seed=ord(name)) for name in "ab"}
    for name in "ab":
        picture(f"in/{name}.jpg")
    texsynth("synthesize", "in", "-o", "out/", "--map", "h=h", *QUICK)
    for name in "ab":
        made = image.to_array(image.read(f"out/{name}_h.png"))
        assert set(made.flatten()) <= set(heights[name].flatten())
    draw("m/a.png", white((16, 16), np.s_[:, 5:]))
    ran = texsynth("synthesize", "in", "-o", "new/", "--source-mask", "m", *QUICK)
    assert (ran.code, ran.out) == (3, "new/a.png\n")
    assert "--source-mask m: this folder holds no picture named b" in ran.err


@pytest.mark.parametrize("words", ["in", "in/*"])
def test_every_picture_of_a_folder_is_done_or_named(
    texsynth: Texsynth, refused: Refused, picture: Picture, words: str
) -> None:
    """Hidden files, folders and what is no picture are neither."""
    picture("in/a.png")
    for name in ("b.PSD", "c.jxl", ".d.png", "e.txt", "e.json"):
        Path("in", name).write_bytes(b"")
    Path("in/f.png").symlink_to("nothing")
    Path("in/g.png").mkdir()
    ran = texsynth("synthesize", words, "-o", "out/", "-p", "steady", "--progress", "none")
    assert (ran.code, ran.out) == (0, "out/a.png\n")
    assert ran.err.splitlines()[0] == (
        "texsynth: in: b.PSD, c.jxl, f.png left out (.psd is not read; .jxl is not read; it is no file)"
    )
    told = json.loads(texsynth("synthesize", words, "-o", "new/", "--json", *QUICK).out)
    assert [each["input"] for each in told["left_out"]] == ["in/b.PSD", "in/c.jxl", "in/f.png"]
    assert told["left_out"][0]["reason"] == ".psd is not read"
    Path("in/a.png").unlink()
    assert "b.PSD" in refused(3, "synthesize", words, "-o", "out/")


def test_masks_that_are_not_read_are_named(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    picture("m/other.png")
    Path("m/a.psd").touch()
    said = refused(3, "synthesize", "a.png", "-o", "o.png", "--source-mask", "m", *QUICK)
    assert "holds no picture named a; a.psd is none that is read" in said
    picture("out/a-1.png")
    Path("out/a-2.jxl").touch()
    ran = texsynth("evaluate", "a.png", "out")
    assert ran.code == 0 and "out: a-2.jxl left out (.jxl is not read)" in ran.err


def test_a_batch_stops_or_keeps_going(texsynth: Texsynth, picture: Picture) -> None:
    for name in ("in/a.png", "in/c.png"):
        picture(name)
    Path("in/b.png").write_text("no picture")
    stopped = texsynth("synthesize", "in", "-o", "one/", *QUICK)
    assert (stopped.code, stopped.out) == (3, "one/a.png\n")
    ran = texsynth("synthesize", "in", "-o", "two/", "--keep-going", *QUICK)
    assert (ran.code, ran.out) == (6, "two/a.png\ntwo/c.png\n")
    first, last = ran.err.splitlines()
    assert first.startswith("texsynth: error: b.png: ")
    assert last == "texsynth: error: 1 of 3 inputs failed"
    told = json.loads(texsynth("synthesize", "in", "-o", "three/", "--keep-going", "--json", *QUICK).out)
    assert [made["image"] for made in told["runs"]] == ["three/a.png", "three/c.png"]
    assert [failure["input"] for failure in told["failed"]] == ["in/b.png"]


def test_json_is_one_object(texsynth: Texsynth) -> None:
    ran = texsynth(*SYNTH, "--map", "m=a.png", "--save-field", "--seed", 3, "--json", *QUICK)
    told = json.loads(ran.out)
    assert (told["verb"], told["failed"], told["interrupted"]) == ("synthesize", [], False)
    (made,) = told["runs"]
    assert made["image"] == made["files"]["image"] == "o.png"
    assert set(made["files"]) == {"image", "m", "field", "coordinates", "plane", "cost"}
    assert all(Path(file).exists() for file in made["files"].values())
    assert (made["seed"], made["loss"]) == (3, 0.25)
    assert made["record"] == image.read_metadata("o.png")


def test_dry_run_tells_and_writes_nothing(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    picture("in/a.png")
    before = sorted(Path().rglob("*"))
    ran = texsynth("synthesize", "in", "-o", "out/", "--dry-run", "-s", "100x50", "--seed", 4, *QUICK)
    assert ran.out.startswith("out/a.png: 100x50, preset steady, seed 4, device cpu, about ")
    assert ran.out.endswith(f"B and {cost.START + 0.05:.1f} s\n")
    told = json.loads(texsynth("synthesize", "in", "-o", "out/", "--dry-run", "--json", "-n", 2, *QUICK).out)
    assert [made["image"] for made in told["runs"]] == ["out/a-1.png", "out/a-2.png"]
    planned = told["runs"][1]
    assert (planned["status"], planned["record"]["seed"], planned["record"]["size"]) == ("planned", 1, "32x32")
    assert planned["memory_bytes"] > 100 << 20
    assert planned["seconds"] == pytest.approx(cost.START + 0.01, abs=0.005)
    assert sorted(Path().rglob("*")) == before
    refused(4, "synthesize", "in", "-o", "out/", "--dry-run", "--max-memory", "50M", *QUICK)


def test_a_batch_keeps_formats_whose_values_a_png_might_lose(texsynth: Texsynth, picture: Picture) -> None:
    for name in ("a.jpg", "b.tif", "c.hdr", "d.exr"):
        picture(f"in/{name}")
    texsynth("synthesize", "in", "-p", "steady", "-s", "8", "-q", "-o", "out/")
    made = sorted(path.name for path in Path("out").iterdir() if path.suffix not in (".json", ".jsonl"))
    assert made == ["a.png", "b.tif", "c.hdr", "d.exr"]


def test_a_folder_of_folders_names_them(refused: Refused, picture: Picture) -> None:
    Path("sets").mkdir()
    picture("sets/wall/wall_diff.png")
    assert "sets: holds no pictures; give one of its folders (wall)" in refused(3, "synthesize", "sets", "-o", "o/")
