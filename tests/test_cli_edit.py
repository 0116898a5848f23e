"""`texsynth edit`: four ways to edit, their flags, files, records and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import entry_of, record_of, same_bytes
from conftest import QUICK, Draw, Picture, Texsynth, array, palette
from networks import random_resnet50
from pictures import bumps, bytes_of, white

Refused = Callable[..., str]
SIZE = (20, 24)
WAS, WILL = np.s_[3:9, 2:9], np.s_[9:18, 10:22]


blot = partial(white, SIZE)


@pytest.fixture
def scene(picture: Picture, draw: Draw, texsynth: Texsynth) -> np.ndarray:  # noqa: ARG001 (for its folder)
    """a.png, every pixel of it in a colour of its own, its masks m.png and t.png, and presets that copy as told."""
    draw("m.png", blot(WAS))
    draw("t.png", blot(WILL))
    Path("pointed.yaml").write_text("method: pointed\n")
    return picture("a.png", SIZE)


MOVE = ("a.png", "--mask", "m.png", "--target-mask", "t.png")
POINTED = ("-p", "pointed.yaml")
EXACT = "--exact-copies"


def run(texsynth: Texsynth, *words: object) -> dict[str, Any]:
    return entry_of(texsynth, "edit", *words, "-q", *([] if "-p" in words or "--from" in words else ["-p", "steady"]))


def sources(made: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where each pixel was copied from, (h, w, 2)."""
    where = {tuple(c): yx for c, yx in zip(before.reshape(-1, 3), np.ndindex(before.shape[:2]), strict=True)}
    return np.array([where[tuple(c)] for c in made.reshape(-1, 3)]).reshape(*made.shape[:2], 2)


@pytest.mark.parametrize("flags", ["", "--warp similarity", "--warp affine", "--warp thin-plate"])
def test_the_object_appears_in_its_new_shape(texsynth: Texsynth, scene: np.ndarray, flags: str) -> None:
    entry = run(texsynth, *MOVE, *flags.split(), EXACT, *POINTED, "-o", "o.png")
    y, x = sources(array("o.png"), scene)[WILL].reshape(-1, 2).T
    assert (blot(WAS)[y, x] > 0).all()
    rest = (blot(WAS, WILL)) == 0
    assert (array("o.png")[rest] == scene[rest]).all()
    assert entry["record"]["edit"]["warp"] == (flags.removeprefix("--warp ") or "affine")


def test_the_guide_alone_sends_the_object_there(texsynth: Texsynth, scene: np.ndarray) -> None:
    run(texsynth, *MOVE, EXACT, "-p", "obedient", "-o", "o.png")
    y, x = sources(array("o.png"), scene).reshape(-1, 2).T
    assert ((blot(WAS)[y, x] > 0) == (blot(WILL).flatten() > 0)).all()


@pytest.mark.usefixtures("scene")
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_kept_background_and_its_maps_do_not_change_at_all(
    texsynth: Texsynth, picture: Picture, draw: Draw, dtype: str
) -> None:
    """With a method that puts random pixels wherever it may."""
    before = picture("a.png", SIZE, dtype=dtype)
    height = picture("h.png", SIZE, 1, "uint16", 1).squeeze()
    normal = draw("n.png", bytes_of((bumps(*SIZE) + 1) / 2))
    words = ("--keep-background", "--margin", 1, "--map", "h=h.png", "--map", "normal=n.png")
    entry = run(texsynth, *MOVE, *words, "--exact-copies", "-o", "o.png")
    hole = blot(np.s_[2:10, 1:10], np.s_[8:19, 9:23]) > 0
    for name, values in (("o.png", before), (entry["files"]["h"], height), (entry["files"]["normal"], normal)):
        made = array(name)
        assert made.dtype == values.dtype
        assert (made[~hole] == values[~hole]).all()
        assert (made != values)[hole].any()
    assert set(array("o_h.png").flatten()) <= set(height.flatten())
    own = entry["record"]["edit"]
    assert (own["keep_background"], own["margin"], entry["record"]["exact_copies"]) == (True, 1, True)


def test_maps_follow_the_object(texsynth: Texsynth, scene: np.ndarray, picture: Picture) -> None:
    height = picture("h.png", SIZE, 1, "uint16", 1).squeeze()
    run(texsynth, *MOVE, "--map", "h=h.png", EXACT, *POINTED, "-o", "o.png")
    y, x = np.moveaxis(sources(array("o.png"), scene), 2, 0)
    assert (array("o_h.png") == height[y, x]).all()


def test_label_maps_move_several_objects(texsynth: Texsynth, scene: np.ndarray, draw: Draw) -> None:
    """And what the target lacks goes, which is told."""
    was = np.zeros((*SIZE, 3), np.uint8)
    was[2:8, 2:8], was[12:18, 2:8], was[2:8, 14:20] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    will = np.zeros_like(was)
    will[12:18, 14:20], will[2:8, 2:8] = (255, 0, 0), (0, 255, 0)
    draw("l.png", was)
    draw("k.png", will)
    ran = texsynth("edit", "a.png", "--mask", "l.png", "--target-mask", "k.png", EXACT, *POINTED, "-o", "o.png")
    assert "k.png has no #0000ff: the object #0000ff of l.png goes" in ran.err
    made = array("o.png")
    assert (made[12:18, 14:20] == scene[2:8, 2:8]).all()
    assert (made[2:8, 2:8] == scene[12:18, 2:8]).all()


@pytest.mark.parametrize(("word", "size"), [("30x10", (10, 30)), ("2x", (40, 48)), ("16", (16, 16))])
def test_retarget_changes_the_size(texsynth: Texsynth, scene: np.ndarray, word: str, size: tuple[int, int]) -> None:
    entry = run(texsynth, "a.png", "--retarget", word, EXACT, *POINTED, "-o", "o.png")
    found = sources(array("o.png"), scene)
    assert found.shape[:2] == size
    whole = (np.diff(found[:, :, 1], axis=1) == 1).mean(), (np.diff(found[:, :, 0], axis=0) == 1).mean()
    assert min(whole) > 0.75  # runs of the picture, and few seams
    assert (found[0, 0].tolist(), found[-1, -1].tolist()) == ([0, 0], [SIZE[0] - 1, SIZE[1] - 1])
    assert (entry["record"]["size"], entry["record"]["edit"]["retarget"]) == (f"{size[1]}x{size[0]}", word)


def test_reshuffle_is_another_arrangement_for_each_seed(texsynth: Texsynth, scene: np.ndarray) -> None:
    ran = texsynth("edit", "a.png", "--reshuffle", "-n", 2, "-o", "o.png", EXACT, *QUICK)
    assert ran.out.split() == ["o-1.png", "o-2.png"]
    one, other = array("o-1.png"), array("o-2.png")
    assert one.shape == other.shape == scene.shape
    assert (one != other).any() and palette(one) <= palette(scene)


@pytest.mark.parametrize("grow", [0, 2])
def test_what_is_removed_is_filled_and_nothing_else_moves(texsynth: Texsynth, scene: np.ndarray, grow: int) -> None:
    entry = run(texsynth, "a.png", "--remove", "m.png", *(["--grow", grow] if grow else []), "-o", "o.png")
    hole = blot(np.s_[3 - grow : 9 + grow, 2 - grow : 9 + grow]) > 0
    made = array("o.png")
    assert (made[~hole] == scene[~hole]).all()
    assert (made[hole] != scene[hole]).any()
    assert (entry["record"]["verb"], entry["record"]["edit"]["grow"]) == ("edit", grow)
    assert [e["role"] for e in entry["record"]["inputs"]] == ["exemplar", "remove"]


@pytest.mark.usefixtures("scene")
@pytest.mark.parametrize("where", ["flag", "set"])
def test_copies_are_a_setting_of_the_preset(texsynth: Texsynth, where: str) -> None:
    words = ("--copies", "flips") if where == "flag" else ("--set", "copies=flips")
    entry = run(texsynth, *MOVE, *words, *POINTED, "-o", "o.png")
    assert entry["record"]["preset"]["stages"][0]["copies"] == "flips"
    again = run(texsynth, "--from", "o.png", "-o", "p.png")
    assert again["record"] == entry["record"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a random ResNet-50."""
    return random_resnet50(tmp_path_factory.mktemp("weights") / "resnet.safetensors")


CLASSIFYING = "{loss: classification, features: resnet50, layers: [logits]}"
MATCHING = "{loss: correspondence, features: windows, layers: [full], patch: 5}"


@pytest.mark.usefixtures("scene")
@pytest.mark.parametrize("given", ["goldfish", "Goldfish", "1"])
def test_a_class_reaches_every_stage_that_looks_at_one(texsynth: Texsynth, classifier: Path, given: str) -> None:
    """By number or by name; and it is repeated."""
    stage = f"- {{method: optimise, scales: [1.0], steps: [1], objectives: [{CLASSIFYING}]}}\n"
    Path("two.yaml").write_text(f"stages:\n- method: steady\n{stage}{stage}")
    words = (*MOVE, "--class", given, "-p", "two.yaml", "--weights", classifier, "-o", "o.png")
    record = run(texsynth, *words, "--dry-run")["record"]
    assert [s["objectives"][0]["target"] for s in record["preset"]["stages"][1:]] == [1, 1]
    if given == "1":
        run(texsynth, *words)
        again = run(texsynth, "--from", "o.png", "--weights", classifier, "-o", "p.png", "--dry-run")
        assert again["record"] == record


@pytest.mark.parametrize("before", ["", "- method: pointed\n"], ids=["alone", "after the field"])
def test_an_edit_by_gradient_starts_from_the_object(
    texsynth: Texsynth, scene: np.ndarray, classifier: Path, before: str
) -> None:
    """With a classifier, the label guide and a background that is kept."""
    stage = f"{{method: optimise, scales: [1.0], steps: [2], objectives: [{MATCHING}, {CLASSIFYING}]}}"
    Path("neural.yaml").write_text(f"stages:\n{before}- {stage}\n")
    for rate, name in ((0.00001, "start.png"), (0.01, "o.png")):  # the first is too slow to be seen
        words = ("--keep-background", "--margin", 1, "--set", f"rate={rate:f}", "-p", "neural.yaml")
        run(texsynth, *MOVE, *words, "--weights", classifier, "-o", name)
    start, made = array("start.png").astype(int), array("o.png").astype(int)
    hole = blot(np.s_[2:10, 1:10], np.s_[8:19, 9:23]) > 0
    assert (made[~hole] == scene[~hole]).all()
    assert palette(array("start.png")[WILL]) <= palette(scene[WAS])
    moved = np.abs(made - start)[hole]
    assert 0 < moved.mean() < 0.03 * 255  # two steps of 0.01


@pytest.mark.usefixtures("scene")
def test_a_folder_is_edited_with_the_masks_of_its_stems(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    for seed, name in enumerate("xy"):
        picture(f"in/{name}.png", SIZE, seed=seed)
        draw(f"was/{name}.png", blot(np.s_[seed : seed + 6, 2:8]))
    words = ("--mask", "was", "--target-mask", "t.png", EXACT, *POINTED, "-q")
    ran = texsynth("edit", "in", *words, "-o", "out/")
    assert ran.out.split() == ["out/x.png", "out/y.png"]
    for name in "xy":
        assert palette(array(f"out/{name}.png")[WILL]) <= palette(array(f"in/{name}.png")[array(f"was/{name}.png") > 0])
    Path("was/y.png").unlink()
    ran = texsynth("edit", "in", *words, "-o", "more/", "--keep-going")
    assert (ran.code, ran.out) == (6, "more/x.png\n")
    assert "--mask was: this folder holds no picture named y" in ran.err


@pytest.fixture
def edited(texsynth: Texsynth, scene: np.ndarray, picture: Picture) -> Path:  # noqa: ARG001 (for its files)
    """Made with every option of a move, of files in another folder."""
    picture("h.png", SIZE, 1, "uint16")
    Path("in").mkdir()
    for name in ("a.png", "m.png", "t.png", "h.png"):
        Path(name).rename(f"in/{name}")
    words = ("--mask", "in/m.png", "--target-mask", "in/t.png", "--warp", "affine", "--labels-weight", 4)
    words += ("--keep-background", "--margin", 3, "--exact-copies", "--seed", 4, "--map", "h=in/h.png")
    run(texsynth, "in/a.png", *words, "-o", "in/o.png")
    return Path("in/o.png")


def test_the_same_run_writes_the_same_bytes(texsynth: Texsynth, edited: Path) -> None:
    run(texsynth, "--from", edited, "-o", "p.png")
    assert same_bytes("p.png", edited) and same_bytes("p_h.png", "in/o_h.png")


def test_flags_override_what_is_repeated(texsynth: Texsynth, edited: Path, draw: Draw) -> None:
    """A new target keeps the old source."""
    assert record_of(edited)["exact_copies"]
    before = record_of(edited)["edit"]
    wanted = {"warp": "affine", "labels_weight": 4, "keep_background": True, "margin": 3}
    assert {k: v for k, v in before.items() if v is not None} == {**wanted, "reshuffle": False}
    draw("in/n.png", blot(np.s_[:5, 12:20]))
    after = run(texsynth, "--from", edited, "-o", "p.png", "--target-mask", "in/n.png", "--margin", 2)["record"]
    assert after["edit"] == {**before, "margin": 2} and after["exact_copies"]
    assert [e["name"] for e in after["inputs"]][1:4] == ["h.png", "m.png", "n.png"]


@pytest.mark.parametrize("words", [["--reshuffle"], ["--retarget", "2x"], ["--remove", "in/m.png"]])
def test_another_way_leaves_the_options_of_the_first_behind(texsynth: Texsynth, edited: Path, words: list[str]) -> None:
    after = run(texsynth, "--from", edited, "-o", "p.png", *words)["record"]
    assert after["edit"]["warp"] is None and after["edit"]["margin"] is None
    assert not [e for e in after["inputs"] if e["role"] in ("mask", "target-mask")]
    assert after["seed"] == 4


@pytest.mark.usefixtures("scene")
@pytest.mark.parametrize("words", ["--retarget 30x16", "--retarget 125%x75%", "--reshuffle", "--remove m.png --grow 1"])
def test_every_way_is_repeated(texsynth: Texsynth, words: str) -> None:
    run(texsynth, "a.png", *words.split(), "-o", "o.png")
    run(texsynth, "--from", "o.png", "-o", "p.png")
    assert same_bytes("o.png", "p.png")


@pytest.mark.usefixtures("scene")
def test_check_stands_in_json(texsynth: Texsynth) -> None:
    entry = run(texsynth, *MOVE, "--keep-background", "--check", "--exact-copies", "-o", "o.png")
    assert entry["check"]["unchanged"] is True
    assert 0 < entry["check"]["changed"] < 1
    assert run(texsynth, *MOVE, "-o", "p.png")["check"] is None
