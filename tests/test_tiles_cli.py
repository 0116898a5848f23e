"""The commands of texsynth tiles as a user has them: what they write and say, and what they refuse in one line."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import entry_of, good, record_of
from conftest import Draw, Picture, Refused, Texsynth, array
from pictures import bumps, bytes_of
from texsynth.api.tiles import tiles_corner
from texsynth.cli import tiles as command

TINY = ("-s", "20", "-p", "steady", "-q")
CORNER = ("tiles", "corner", "a.png", "-o", "made", *TINY)
ENDS = (".glsl", ".hlsl", ".html", ".json", ".osl", ".tres", ".tsx", "_preview.png")  # of what lies beside the atlas


def files(place: str) -> list[str]:
    return sorted(path.name for path in Path(place).iterdir())


@pytest.mark.usefixtures("exemplar")
def test_a_set_of_corner_tiles_is_written_to_a_folder(texsynth: Texsynth) -> None:
    """The atlas holds all tiles with their padding; what is written is told, with --json by name."""
    ran = good(texsynth(*CORNER))
    assert sorted(ran.out.split()) == [f"made/{name}" for name in files("made")]
    assert files("made") == sorted(f"a_corner{end}" for end in (".png", *ENDS))
    entry = entry_of(texsynth, *CORNER, "--force", "--padding", 2, "-s", "24x20")
    assert {entry["files"][name] for name in ("image", "tiles")} == {"made/a_corner.png", "made/a_corner.json"}
    assert (entry["tiles"], entry["size"], entry["padding"]) == (16, "24x20", 2)
    assert array("made/a_corner.png").shape == (4 * 24, 4 * 28, 3)
    content = json.loads(Path("made/a_corner.json").read_text())
    assert (content["kind"], content["padding"], len(content["tiles"])) == ("corner", 2, 16)
    assert record_of("made/a_corner.png") == entry["record"] == content["record"]
    good(texsynth(*CORNER, "--force", "--no-metadata"))
    assert not record_of("made/a_corner.png")
    assert "record" not in json.loads(Path("made/a_corner.json").read_text())


def test_the_maps_of_a_set_come_by_their_names(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """Of a folder, and of a base colour in it; they keep their words, or have those of an engine."""
    picture("wall/wall_BaseColor.png")
    draw("wall/wall_Normal.png", bytes_of((bumps(16, 16) + 1) / 2))
    picture("wall/wall_Roughness.png", channels=1, seed=1)
    words = ("tiles", "corner", "wall", *TINY)
    good(texsynth(*words))
    names = [f"wall_corner_{word}.png" for word in ("BaseColor", "Normal", "Roughness")]
    assert files("wall_tiles") == sorted([*names, *(f"wall_corner{end}" for end in ENDS)])
    stored = json.loads(Path("wall_tiles/wall_corner.json").read_text())
    assert {name: entry["file"] for name, entry in stored["maps"].items()} == {
        "normal": "wall_corner_Normal.png",
        "roughness": "wall_corner_Roughness.png",
    }
    assert set(array(f"wall_tiles/{names[2]}").flat) <= set(array("wall/wall_Roughness.png").flat)
    plan = ("-o", "other", "--dry-run")
    planned = entry_of(texsynth, "tiles", "corner", "wall/wall_BaseColor.png", "--names", "unreal", *plan, *TINY)
    assert planned["files"]["normal"] == "other/T_wall_corner_N.png"
    assert planned["files"]["tiles"] == "other/wall_corner.json"
    assert planned["record"]["normals_out"] == "dx"
    assert "normal" not in entry_of(texsynth, *words, "--maps", "none", *plan)["files"]
    packed = entry_of(texsynth, *words, "--pack", "orm", *plan)["files"]
    assert packed["orm"] == "other/wall_corner_orm.png"


@pytest.mark.usefixtures("exemplar")
def test_a_plan_says_what_it_needs_and_writes_nothing(texsynth: Texsynth) -> None:
    ran = good(texsynth(*CORNER, "--dry-run"))
    assert ran.out.startswith("made/a_corner.png: 16 tiles of 20x20, about ")
    assert not Path("made").exists()
    assert entry_of(texsynth, *CORNER, "--dry-run")["memory_bytes"] > 1e6


@pytest.mark.usefixtures("exemplar")
def test_files_that_exist_are_left_alone(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any of them, before any work."""
    Path("made").mkdir()
    Path("made/a_corner.tsx").write_text("mine")
    monkeypatch.setattr(command.tile_kinds.tiles, "prepare", None)
    assert "made/a_corner.tsx exists; --force overwrites it" in refused(2, *CORNER)
    assert files("made") == ["a_corner.tsx"]


@pytest.mark.usefixtures("exemplar")
def test_a_run_that_ends_early_leaves_nothing(texsynth: Texsynth, refused: Refused) -> None:
    ran = texsynth(*CORNER, "--set", "fail=interrupt")
    assert (ran.code, ran.err) == (130, "texsynth: interrupted: there was no picture yet to save\n")
    assert "out of memory" in refused(4, *CORNER, "--set", "fail=memory")
    assert not Path("made").exists()
    assert "out of memory" in refused(4, *CORNER, "-o", "made/of/a", "--set", "fail=memory")
    assert not Path("made").exists()


@pytest.mark.usefixtures("exemplar")
def test_what_was_written_when_a_run_was_stopped_is_told(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are being written are finished first."""
    sets = command.tile_kinds.SETS

    def write(*parts: Any) -> list[str]:
        signal.raise_signal(signal.SIGINT)
        return sets.write(*parts)

    monkeypatch.setattr(command.tile_kinds, "SETS", replace(sets, write=write))
    ran = texsynth(*CORNER)
    assert (ran.code, ran.err) == (130, "texsynth: interrupted: all files are written\n")
    assert len(files("made")) == len(ENDS) + 1


def test_a_blend_of_a_set_is_written_by_the_name_of_the_set(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """A folder that has no such words in its names; the sentence of the score is told, and stands in --json."""
    picture("wall/wall_BaseColor.png", (32, 32))
    draw("wall/wall_Normal.png", bytes_of((bumps(32, 32) + 1) / 2))
    picture("wall/wall_Roughness.png", (32, 32), channels=1, seed=1)
    ran = texsynth("tiles", "blend", "wall", "--json", "--progress", "none")
    entry = json.loads(ran.out)["runs"][0]
    assert entry["image"] == "wall_tiles/wall_blend.png"
    assert files("wall_tiles") == sorted(Path(path).name for path in entry["files"].values())
    assert {"normal", "roughness_gaussian", "roughness_lut", "preview", "glsl"} < entry["files"].keys()
    stored = json.loads(Path("wall_tiles/wall_blend.json").read_text())
    assert stored["suitability"] == entry["suitability"]
    assert stored["record"] == record_of("wall_tiles/wall_blend.png") == entry["record"]
    assert entry["suitability"]["sentence"] in ran.err


SHORT = ("-o", "made", "-q")
WRONG = {
    "corner a.png --colours 4": "--colours 4: corners have 2 or 3 colours; the nearest is 3",
    "wang a.png --colours 1": "--colours 1: edges have 2 or 3 colours; the nearest is 2",
    "wang a.png --tiles 13": "--tiles 13: Wang sets of 2 colours have 8, 12, 16 tiles; the nearest is 12",
    "wang a.png --tiles 8 --colours 3": "Wang sets of 3 colours have 18, 27, 36, 45, 54, 63, 72, 81 tiles",
    "blob a.png a.png --tiles 20": "--tiles 20: sets of two materials have 47 or 16 tiles; the nearest is 16",
    "blob a.png": "one exemplar is one material; give a second one, or --labels MAP",
    "blob a.png a.png --labels a.png": "--labels says where one exemplar shows both materials; leave it out",
    "blob a.png a.png a.png": "3 exemplars are 3 materials, and these tiles show two",
    "blend a.png a.png": "2 exemplars are no texture to blend; -s N makes one of them, or give one alone",
    "blend a.png --labels a.png": "no such option: --labels",
    "corner a.png -s 19": "--size 19x19: a tile has at least 20, 4 windows of preset steady, on each side",
    "corner a.png -s 20 --padding 6": "--padding 6: 0 to 5 are possible, the border that tiles",
    "corner a.png --model m.safetensors": "no such option: --model",
    "corner a.png -p afloat": "preset afloat does not copy pixels in the end, so no borders could be equal",
    "corner a.png -o made.png": "-o made.png: tiles are several files; name a folder, such as -o made/",
    "corner a.png -o a.png": "-o a.png: is a file; name a folder",
    "corner a.png -o -": "-o -: tiles are several files, and standard output holds one; name a folder",
    "corner -": "- is standard input, which `texsynth tiles corner` does not read; give a file",
    "corner in": "in holds 2 pictures, and no single set; name one of them",
    "corner a.png --map preview=a.png": "--map preview: a file of that name is written anyway",
    "corner a.png --device cuda:9x": "--device 'cuda:9x' is not one of auto, cpu, cuda, cuda:N, mps",
}


@pytest.mark.usefixtures("exemplar")
@pytest.mark.parametrize("words", WRONG)
def test_wrong_use_is_one_line(refused: Refused, picture: Picture, words: str) -> None:
    picture("in/b.png")
    picture("in/c.png")
    kind, *rest = words.split()
    assert WRONG[words] in refused(2, "tiles", kind, *SHORT, *(() if kind == "blend" else ("-p", "steady")), *rest)
    assert not Path("made").exists()


def test_depths_that_png_cannot_hold_are_told(texsynth: Texsynth) -> None:
    """Tiles are PNG, so no other format is advised."""
    Path("sky.pfm").write_bytes(b"PF\n16 16\n-1.0\n" + np.linspace(0, 1, 768, dtype="<f4").tobytes())
    ran = texsynth("tiles", "corner", "sky.pfm", "-o", "made", *TINY[:-1])
    assert "float32 stored as uint16, values clamped to [0, 1], all that PNG holds\n" in ran.err


def test_names_that_are_no_utf8_are_refused(refused: Refused, draw: Draw, picture: Picture) -> None:
    name = os.fsdecode(b"a\xff.png")
    draw(name, picture("a.png"))
    assert "the name is not UTF-8, and .tsx and .tres hold nothing else" in refused(2, "tiles", "corner", name, *TINY)


@pytest.mark.usefixtures("exemplar")
def test_functions_take_no_output() -> None:
    with pytest.raises(TypeError, match="'output' is not an argument; the shared ones are preset"):
        tiles_corner("a.png", output="x")  # type: ignore[call-arg]


@pytest.mark.usefixtures("exemplar")
def test_inputs_and_memory_have_their_codes(refused: Refused, draw: Draw) -> None:
    Path("b.png").write_bytes(b"no picture")
    assert "b.png" in refused(3, "tiles", "corner", "b.png", *TINY)
    assert "no such file" in refused(3, "tiles", "corner", "none.png", *TINY)
    for count, words in ((1, "1 label"), (3, "3 labels")):
        draw("l.png", np.repeat(np.arange(16, dtype=np.uint8) * count // 16 * 90, 16).reshape(16, 16))
        line = refused(3, "tiles", "blob", "a.png", "--labels", "l.png", *TINY)
        assert f"l.png has {words}, and these tiles show two materials" in line
    assert "--max-memory" in refused(4, *CORNER, "--max-memory", "1M")
    huge = refused(4, "tiles", "corner", "a.png", "-s", "9000", "--colours", 3, "-p", "steady")
    assert "81 tiles of 9000x9000 need about 1" in huge  # which is told before anything of that size is made
    assert "no such device" in refused(4, *CORNER, "--device", "cuda:9")
