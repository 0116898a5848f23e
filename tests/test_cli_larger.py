"""--from with a larger original of the recorded exemplar: the run is applied to it, and to nothing else."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from asking import entry_of, record_of, same_bytes
from conftest import QUICK, Draw, Refused, Texsynth, array
from pictures import bytes_of, noise, spots, white
from texsynth.image import picture as image

TIMES = 3
SMALL = (20, 24)
LARGE = (TIMES * SMALL[0], TIMES * SMALL[1])
APPLY = ("synthesize", "in/large.png", "--from", "in/o.png", "-o", "p.png", "-q")


def reduced(values: np.ndarray, mode: str = "area", size: tuple[int, int] = SMALL) -> np.ndarray:
    """A picture at the small size, by another program's filter."""
    whole = torch.from_numpy(values / 255).float().permute(2, 0, 1)[None]
    smooth: dict[str, Any] = {} if mode == "area" else {"antialias": True}
    return bytes_of(F.interpolate(whole, size, mode=mode, **smooth).clamp(0, 1))


@pytest.fixture
def large(draw: Draw) -> np.ndarray:
    """in/large.png, with grain that filters treat differently, and in/small.png that was made of it."""
    values = draw("in/large.png", bytes_of((spots(*LARGE) + noise(1, 1, *LARGE)) / 2))
    draw("in/small.png", reduced(values))
    return values


@pytest.fixture
def made(texsynth: Texsynth, large: np.ndarray, draw: Draw) -> np.ndarray:
    """in/o.png, of the small one, with its field and a map, at a crop of (y, x) from (2, 4) on."""
    draw("in/h.png", reduced(large)[..., 0])
    draw("in/mask.png", white(SMALL, np.s_[:, 6:]))
    draw("in/start.png", reduced(large, size=(16, 28)))
    inputs = ("--map", "h=in/h.png", "--source-mask", "in/mask.png", "--init", "in/start.png")
    words = ("-s", "28x16", "--crop", "4,2,16,14", *inputs, "--seed", 5, "--save-field", *QUICK)
    assert texsynth("synthesize", "in/small.png", "-o", "in/o.png", *words).code == 0
    return large


def carried(values: np.ndarray) -> np.ndarray:
    """What the saved field copies of a picture that is TIMES as large as its exemplar."""
    with np.load("in/o_field.npz") as file:
        (copy, y, x), names = ((file[name].astype(int) for name in ("copy", "y", "x")), file["copies"])
    inner = np.arange(LARGE[0] * LARGE[1]).reshape(LARGE)[TIMES * 2 : TIMES * 16, TIMES * 4 : TIMES * 20]
    blocks = [
        [inner[TIMES * a :][:TIMES, TIMES * b :][:, :TIMES] for a, b in zip(*row, strict=True)]
        for row in zip(y, x, strict=True)
    ]
    turned = [
        [block[:, ::-1] if names[c] == "flip-x" else block for block, c in zip(*row, strict=True)]
        for row in zip(blocks, copy, strict=True)
    ]
    return values.reshape(-1, *values.shape[2:])[np.block(turned)]


def test_the_run_is_applied_to_the_large_original(texsynth: Texsynth, made: np.ndarray, draw: Draw) -> None:
    """At the crop that was recorded, by the field beside the record, in its own detail; maps of any resolution."""
    fine = draw("in/fine.png", made[..., 1])
    entry = entry_of(texsynth, *APPLY, "--map", "h=in/fine.png", "--exact-copies")
    stored = entry["record"]
    assert [stored[key] for key in ("factor", "size", "crop", "seed")] == [TIMES, "84x48", "12,6,48,42", 5]
    names = {"exemplar": "large.png", "reduced": "small.png", "field": "o_field.npz", "map:h": "fine.png"}
    names |= {"source-mask": "mask.png", "init": "start.png"}
    assert {e["role"]: e["name"] for e in stored["inputs"]} == names
    assert np.array_equal(array("p.png"), carried(made))
    assert np.array_equal(array("p_h.png"), carried(fine))
    assert texsynth(*APPLY[:4], "-o", "q.png", "-q").code == 0
    assert array("q_h.png").shape == (16, 28), "a map of the small exemplar keeps its resolution"


@pytest.mark.usefixtures("made")
def test_without_a_field_it_is_solved_again(texsynth: Texsynth) -> None:
    """To the same picture, whose repeat needs no field; nor does one with another seed, which is another picture."""
    assert texsynth(*APPLY).code == 0
    Path("in/o_field.npz").rename("f.npz")
    for name, flags in {"s.png": (), "f.png": ("--field", "f.npz")}.items():
        assert texsynth(*APPLY[:4], "-o", name, "-q", *flags).code == 0
        assert np.array_equal(array(name), array("p.png"))
    assert "field" not in {e["role"] for e in record_of("s.png")["inputs"]}
    Path("f.npz").rename("in/o_field.npz")
    assert texsynth(*APPLY[:4], "-o", "t.png", "-q", "--seed", 6).code == 0
    assert not np.array_equal(array("t.png"), array("p.png"))
    assert "field" not in {e["role"] for e in record_of("t.png")["inputs"]}


@pytest.mark.usefixtures("large")
def test_a_saved_field_gives_the_bytes_of_a_solved_one(texsynth: Texsynth) -> None:
    """Also where pieces slide, and seams are mended, by numbers that are drawn."""
    solver = ("--set", "passes=[1]", "--set", "starts=1", "--set", "tries=2", "--set", "recuts=[1]", "-q")
    assert texsynth("synthesize", "in/small.png", "-o", "in/o.png", "-s", "30x28", "--save-field", *solver).code == 0
    assert texsynth(*APPLY).code == 0
    Path("in/o_field.npz").unlink()
    assert texsynth(*APPLY[:4], "-o", "q.png", "-q").code == 0
    assert np.array_equal(array("p.png"), array("q.png"))
    assert not np.array_equal(array("p.png")[::TIMES, ::TIMES], array("in/o.png"))


@pytest.mark.usefixtures("made")
def test_the_result_repeats_itself(texsynth: Texsynth, refused: Refused) -> None:
    """Where the large and the small exemplar, the map and the field are beside it or in the working folder."""
    assert texsynth(*APPLY[:4], "-o", "in/p.png", "-q").code == 0
    Path("in/o.png").unlink()
    assert texsynth("synthesize", "--from", "in/p.png", "-o", "q.png", "-q").code == 0
    assert same_bytes("in/p.png", "q.png")
    assert "--size" in refused(2, "synthesize", "--from", "in/p.png", "-o", "r.png", "-s", 64)
    assert texsynth("synthesize", "--from", "in/p.png", "-o", "s.png", "-q", "--seed", 6).code == 0
    assert not np.array_equal(array("s.png"), array("q.png")), "which the field would hold"
    for name in ("o_field.npz", "small.png", "large.png"):
        content = Path("in", name).read_bytes()
        Path("in", name).unlink()
        assert f"{name}, an input" in refused(3, "synthesize", "--from", "in/p.png", "-o", "r.png")
        Path("in", name).write_bytes(content)


@pytest.mark.usefixtures("made")
def test_update_and_dry_runs_know_of_it(texsynth: Texsynth) -> None:
    plan = entry_of(texsynth, *APPLY, "--dry-run")
    assert (plan["size"], plan["record"]["factor"]) == ("84x48", TIMES)
    assert not Path("p.png").exists()
    assert texsynth(*APPLY).code == 0
    assert json.loads(texsynth(*APPLY, "--update", "--json").out)["runs"][0]["status"] == "kept"
    with np.load("in/o_field.npz") as file:
        arrays = dict(file)
    np.savez("in/o_field.npz", **{**arrays, "cost": 1 + arrays["cost"]})
    assert json.loads(texsynth(*APPLY, "--update", "--json").out)["runs"][0]["status"] == "done"


@pytest.mark.usefixtures("made")
def test_a_field_of_an_earlier_picture_is_not_taken(texsynth: Texsynth, refused: Refused) -> None:
    again = ("-s", "28x16", "--crop", "4,2,16,14", "--seed", 6, "--force", *QUICK)
    assert texsynth("synthesize", "in/small.png", "-o", "in/o.png", *again).code == 0
    assert "in/o_field.npz is not the field of in/o.png" in refused(3, *APPLY)
    Path("in/o_field.npz").unlink()
    assert texsynth(*APPLY).code == 0


@pytest.mark.parametrize("kind", ["area", "bilinear", "bicubic", "jpeg", "rounded", "grey", "deep", "alpha"])
def test_any_reduction_of_the_original_is_known(texsynth: Texsynth, large: np.ndarray, draw: Draw, kind: str) -> None:
    if kind == "rounded":  # 59x71 pixels
        large = draw("in/large.png", large[:-1, :-1])
    values = reduced(large, kind if kind in ("bilinear", "bicubic") else "area")
    if kind == "grey":
        values = np.repeat(values.mean(2, keepdims=True).astype(np.uint8), 3, 2)
        draw("in/large.png", large.mean(2).round().astype(np.uint8))
    if kind == "deep":
        draw("in/large.png", large.astype(np.uint16) * 257)
    if kind == "alpha":  # of which half is no material
        draw(
            "in/large.png",
            np.dstack([large, np.where(np.arange(LARGE[1]) < LARGE[1] // 2, 0, 255)[None].repeat(LARGE[0], 0)]).astype(
                np.uint8
            ),
        )
        values = np.dstack(
            [values, np.where(np.arange(SMALL[1]) < SMALL[1] // 2, 0, 255)[None].repeat(SMALL[0], 0)]
        ).astype(np.uint8)
        values[:, : SMALL[1] // 2, :3] = 0
    name = "in/small.jpg" if kind == "jpeg" else "in/small.png"
    draw(name, values)
    assert texsynth("synthesize", name, "-o", "in/o.png", "-s", 16, *QUICK).code == 0
    assert entry_of(texsynth, *APPLY, "--dry-run")["record"]["factor"] == TIMES


@pytest.mark.parametrize("kind", ["other", "shifted", "cropped", "flipped", "darker", "uneven", "smaller", "turned"])
def test_nothing_else_is_taken_for_it(
    texsynth: Texsynth, refused: Refused, large: np.ndarray, draw: Draw, kind: str
) -> None:
    wrong = {
        "other": bytes_of(spots(*LARGE, seed=1)),
        "shifted": np.roll(large, TIMES, 1),
        "cropped": reduced(large[4:, 4:], "bicubic", LARGE),
        "flipped": large[:, ::-1],
        "darker": large // 2,
        "uneven": large[:-5],
        "smaller": bytes_of(spots(*SMALL)),
        "turned": np.rot90(large),
    }
    assert texsynth("synthesize", "in/small.png", "-o", "in/o.png", "-s", 16, *QUICK).code == 0
    draw("in/large.png", np.ascontiguousarray(wrong[kind]))
    message = refused(3, *APPLY)
    assert "large.png is not" in message
    assert ("no whole multiple" in message) == (kind in ("uneven", "smaller"))


@pytest.mark.usefixtures("made")
def test_what_does_not_go_together(texsynth: Texsynth, refused: Refused) -> None:
    field = ("--field", "in/o_field.npz")
    for flag, value in {"--size": 64, "--crop": "0,0,16,16"}.items():
        assert flag in refused(2, *APPLY, flag, value)
    for flag, value in {"--seed": 6, "--tile": "x", "-n": 2, "--set": "patch=7", "--source-mask": "in/h.png"}.items():
        assert "--field holds one run" in refused(2, *APPLY, *field, flag, value)
    for words in (("in/small.png",), ("in/small.png", "--from", "in/o.png"), ("--from", "in/o.png")):
        assert "--field belongs to --from" in refused(2, "synthesize", *words, *field, "-o", "p.png")
    assert texsynth(*APPLY, "-n", 2).code == 0, "of which each is solved"
    assert not same_bytes("p-1.png", "p-2.png")
    assert texsynth("synthesize", "in/small.png", "-o", "in/plain.png", *QUICK).code == 0
    plain = ("synthesize", "in/large.png", "-o", "q.png", "-q")
    assert "afloat cannot be applied" in refused(3, *plain, "--from", "in/plain.png", "-p", "afloat")
    Path("in/small.png").unlink()
    message = refused(3, *APPLY, "--force")
    assert "larger original of that cannot be told (small.png, an input" in message
    assert "2 were given" in refused(3, "synthesize", "in/large.png", *APPLY[1:])


def file_of(arrays: dict[str, np.ndarray], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Arrays in a zip file, with code in those of objects."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values, allow_pickle=True)
            archive.writestr(f"{name}.npy", member.getvalue())
    return file.getvalue()


HOSTILE: dict[str, tuple[Callable[[dict[str, np.ndarray]], dict[str, np.ndarray] | bytes], str]] = {
    "empty": (lambda _: b"", "is no field"),
    "another file": (lambda _: b"PK\3\4" + bytes(99), "is no field"),
    "one array": (lambda a: {"y": a["y"]}, "is no field"),
    "no copies": (lambda a: {n: v for n, v in a.items() if n != "copies"}, "is no field"),
    "an array more": (lambda a: {**a, "z": a["y"]}, "is no field"),
    "floats": (lambda a: {**a, "y": a["y"].astype(float)}, "is no field"),
    "signed": (lambda a: {**a, "x": a["x"].astype(np.int16)}, "is no field"),
    "objects": (lambda a: {**a, "exemplar": a["exemplar"].astype(object)}, "is no field"),
    "another size": (lambda a: {n: v if v.ndim < 2 else v[:5, :6] for n, v in a.items()}, "of a picture of 6x5"),
    "another shape": (lambda a: {**a, "x": a["x"][1:]}, "is no field"),
    "flat": (lambda a: {**a, "y": a["y"].ravel()}, "is no field"),
    "a bomb": (lambda a: {**a, "cost": np.zeros(1 << 20)}, "is no field"),
    "many copies": (lambda a: {**a, "copies": np.array(["none"] * 9999)}, "is no field"),
    "no such copy": (lambda a: {**a, "copies": np.array(["none", "twist"])}, "names copies as 'twist'"),
    "a copy twice": (lambda a: {**a, "copies": np.array(["none", "none"])}, "or one twice"),
    "nameless": (lambda a: {**a, "copies": np.array([], "<U4")}, "names no copy"),
    "no letters": (lambda a: {**a, "copies": np.full(2, 2**32 - 1, np.uint32).view("<U1")}, "is no field"),
    "exemplars": (lambda a: {**a, "exemplar": a["exemplar"] + 1}, "than 1 exemplar(s) in 2 copies"),
    "copies": (lambda a: {**a, "copy": a["copy"] + 1}, "than 1 exemplar(s) in 2 copies"),
    "below": (lambda a: {**a, "y": a["y"] + np.uint64(14)}, "outside the exemplar, which is 16x14"),
    "far": (lambda a: {**a, "x": a["x"] - np.uint64(2**63)}, "outside the exemplar, which is 16x14"),
}  # fmt: skip


@pytest.mark.usefixtures("made")
def test_a_field_may_come_from_anywhere(texsynth: Texsynth, refused: Refused) -> None:
    with np.load("in/o_field.npz") as file:
        arrays = {name: file[name] for name in file.files}
    for name, (change, words) in HOSTILE.items():
        content = change({n: v.copy() for n, v in arrays.items()})
        Path("f.npz").write_bytes(content if isinstance(content, bytes) else file_of(content))
        message = refused(3, *APPLY, "--field", "f.npz")
        assert message.startswith("texsynth: error: --field f.npz: it"), name
        assert words in message, (name, message)
    Path("f.npz").write_bytes(file_of({n: v for n, v in arrays.items() if n != "cost"}))
    assert texsynth(*APPLY, "--field", "f.npz", "--dry-run").code == 0, "as those of large pictures are"
    Path("f.npz").write_bytes(file_of(arrays, zipfile.ZIP_BZIP2))
    assert "is no field" in refused(3, *APPLY, "--field", "f.npz")
    Path("f.npz").write_bytes(file_of(arrays)[:-400])
    assert "is no field" in refused(3, *APPLY, "--field", "f.npz")
    assert "no such file" in refused(3, *APPLY, "--field", "gone.npz")


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    "change",
    [
        {"factor": 7},
        {"factor": 2},
        {"factor": "3"},
        {"factor": 1},
        {"crop": "13,6,48,42"},
        {"size": "85x48"},
        {"factor": 3, "inputs": ["exemplar"]},
    ],
)
def test_a_damaged_record(texsynth: Texsynth, refused: Refused, change: dict[str, Any]) -> None:
    assert texsynth(*APPLY[:4], "-o", "in/p.png", "-q").code == 0
    stored = record_of("in/p.png") | change
    stored["inputs"] = [e for e in record_of("in/p.png")["inputs"] if "inputs" not in change or e["role"] == "exemplar"]
    image.write("in/p.png", image.read("in/p.png"), metadata=stored)
    refused(3, "synthesize", "--from", "in/p.png", "-o", "q.png")
