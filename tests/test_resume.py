"""Long runs keep a checkpoint, and --resume goes on from it: the same bytes as if they had never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Picture, Refused, Texsynth
from texsynth.field.magnify import levels
from texsynth.image import picture as image
from texsynth.image.files import sweep
from texsynth.runs import checkpoint
from texsynth.runs.checkpoint import Keeper

KEPT = "o.png.part.npz"
SYNTH = ("synthesize", "a.png", "-o", "o.png", "-s", "56")
ADAM = (*SYNTH, "-p", "ot", "--set", "steps=[4,3]", "--set", "coarsest=20", "--set", "margin=2")
LBFGS = (*SYNTH, "-p", "gram-windows", "--set", "steps=[4,3]", "--set", "coarsest=20", "--set", "history=2")
MIXED = (*SYNTH, "-p", "layout+field", "--set", "steps=[3,2]", "--set", "optimise.coarsest=20", "--map", "m=a.png")
FILES = ("o.png", "o_m.png")
HALVES = """
import os, signal, sys
from texsynth.cli import main
from texsynth.runs import checkpoint, finish
checkpoint.LONG_RUN = checkpoint.PAUSE = 0
finish.whole = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def long(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is a long one, and every step worth a checkpoint."""
    picture("a.png", (40, 40))
    monkeypatch.setattr(checkpoint, "LONG_RUN", 0.0)
    monkeypatch.setattr(checkpoint, "PAUSE", 0.0)


@pytest.fixture
def stopped(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command that gets Ctrl-C after so many checkpoints; gives what it says."""

    def run(command: Sequence[object], after: int) -> str:
        keep, count = Keeper.keep, [0]

        def counting(keeper: Keeper, *words: object) -> None:
            keep(keeper, *words)  # type: ignore[arg-type]
            count[0] += 1
            if count[0] == after:
                signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(Keeper, "keep", counting)
            ran = texsynth(*command)
        assert ran.code == 130, ran
        return ran.err

    return run


def kept_record() -> dict[str, Any]:
    """The record in the checkpoint."""
    return dict(json.loads(np.load(KEPT)["about.json"])["record"])


def contents() -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in FILES if Path(name).exists()}


@pytest.mark.parametrize(
    ("command", "after"),
    [(ADAM, 2), (ADAM, 4), (LBFGS, 3), (LBFGS, 6), (MIXED, 3)],
)
def test_the_same_bytes_as_an_undisturbed_run(
    texsynth: Texsynth, stopped: Callable[..., str], command: Sequence[str], after: int
) -> None:
    assert texsynth(*command).code == 0 and not Path(KEPT).exists()
    undisturbed = contents()
    for name in undisturbed:
        Path(name).unlink()
    said = stopped(command, after)
    assert said.endswith(f"texsynth: interrupted: the picture so far is o.png; --resume goes on from {KEPT}\n")
    assert (image.read_metadata("o.png") or {})["interrupted"] is True
    sweep([Path.cwd()])
    ran = texsynth(*command, "--resume")
    assert (ran.code, ran.out, contents()) == (0, "o.png\n", undisturbed), ran.err
    assert not Path(KEPT).exists()


def test_a_killed_run_of_the_field_goes_on_at_its_end(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    texsynth(*SYNTH, "-o", "whole.png")
    command = [sys.executable, "-c", HALVES, *SYNTH, "--threads", "1"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", KEPT, "whole.png"]
    from texsynth.methods import field

    monkeypatch.setattr(field, "begin", None)  # which nothing has to do any more
    assert texsynth(*SYNTH, "--resume").code == 0
    assert Path("o.png").read_bytes() == Path("whole.png").read_bytes()


@pytest.mark.parametrize("after", [1, 2])
def test_a_magnified_run_goes_on_after_its_solution_and_after_each_level(
    texsynth: Texsynth, stopped: Callable[..., str], picture: Picture, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(levels, "WORKING_PIXELS", 40**2)
    picture("b.png", (256, 256))
    command = ("synthesize", "b.png", "-o", "o.png", "-s", "100x130", "--map", "m=b.png", "--set", "copies=rotations")
    assert texsynth(*command).code == 0
    undisturbed = contents()
    for name in undisturbed:
        Path(name).unlink()
    stopped(command, after)
    assert checkpoint.load(Path(KEPT), kept_record()).where == (("solve", "1", "0"), ("raised", "1"))[after - 1]
    assert texsynth(*command, "--resume").code == 0 and contents() == undisturbed


def test_a_run_that_goes_on_can_be_stopped_again(texsynth: Texsynth, stopped: Callable[..., str]) -> None:
    texsynth(*LBFGS, "-o", "whole.png")
    stopped(LBFGS, 2)
    stopped((*LBFGS, "--resume"), 2)
    assert texsynth(*LBFGS, "--resume").code == 0
    assert Path("o.png").read_bytes() == Path("whole.png").read_bytes()


def test_without_a_checkpoint_it_starts_anew(texsynth: Texsynth, refused: Refused, stopped: Callable[..., str]) -> None:
    stopped(ADAM, 1)
    Path(KEPT).unlink()
    ran = texsynth(*ADAM, "--resume")
    assert ran.code == 0 and "texsynth: o.png starts anew: it has no checkpoint\n" in ran.err
    assert "interrupted" not in (image.read_metadata("o.png") or {})
    finished = Path("o.png").read_bytes()
    assert "o.png exists" in refused(2, *ADAM, "--resume")  # what is finished is not replaced
    assert Path("o.png").read_bytes() == finished


def test_other_settings_and_inputs_are_refused(
    texsynth: Texsynth, refused: Refused, stopped: Callable[..., str], picture: Picture
) -> None:
    stopped(ADAM, 1)
    Path("o.png").unlink()
    kept = Path(KEPT).read_bytes()
    assert "seed is 0 there and 1 here" in refused(2, *ADAM, "--resume", "--seed", "1")
    assert "size is '56x56' there and '57x57' here" in refused(2, *ADAM, "--resume", "-s", "57")
    assert "preset.stages.0.start is 'auto' there and 'mean' here" in refused(
        2, *ADAM, "--resume", "--set", "start=mean"
    )
    picture("a.png", (40, 40), seed=1)
    assert "inputs.exemplar has other contents" in refused(2, *ADAM, "--resume")
    assert f"{KEPT} exists; --force starts anew, --resume goes on" in refused(2, *ADAM)
    assert Path(KEPT).read_bytes() == kept and not Path("o.png").exists()
    assert texsynth(*ADAM, "--force").code == 0 and not Path(KEPT).exists()


def test_what_makes_no_sense_is_refused(refused: Refused) -> None:
    assert "--pick best makes none" in refused(2, *ADAM, "--resume", "-n", "2", "--pick", "best")
    assert "-o - makes none" in refused(2, *ADAM, "-o", "-", "--resume")


def test_another_picture_is_left_alone(refused: Refused, stopped: Callable[..., str], picture: Picture) -> None:
    stopped(ADAM, 1)
    Path("o.png").unlink()
    picture("o.png")
    before = Path("o.png").read_bytes()
    assert "o.png exists" in refused(2, *ADAM, "--resume")
    assert Path("o.png").read_bytes() == before


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "text", "folder", "nan", "shape", "type", "missing", "memory", "place", "where"]
)
def test_a_damaged_checkpoint(refused: Refused, stopped: Callable[..., str], damage: str) -> None:
    stopped(LBFGS, 3)
    path = Path(KEPT)
    content = path.read_bytes()
    changes: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
        "nan": lambda a: np.full_like(a, np.nan),
        "shape": lambda a: a[:, :, 1:],
        "type": lambda a: a.astype(np.float64),
        "missing": lambda _: None,
    }
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        with zipfile.ZipFile(path) as archive:
            at = archive.getinfo("memory.pixels.npy").header_offset + 500
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    elif damage == "text":
        path.write_text("no zip")
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in kept.files if name != "about.json"}
            about = kept["about.json"].decode()
        where = {"place": '["solve", "99", "0"]', "where": '["solve"]'}.get(damage, '["solve", "0", "3"]')
        if damage == "memory":
            del arrays["memory.optimiser.d"]
        if damage in changes:
            changed = changes[damage](arrays.pop("memory.pixels"))
            arrays |= {} if changed is None else {"memory.pixels": changed}
        np.savez(path, **arrays)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("about.json", about.replace('["solve", "0", "3"]', where))
    Path("o.png").unlink()
    code = 2 if damage == "folder" else 3
    assert KEPT in refused(code, *LBFGS, "--resume")


def test_a_batch_goes_on_where_it_stopped(texsynth: Texsynth, stopped: Callable[..., str], picture: Picture) -> None:
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        picture(name, (40, 40), seed=ord(name[3]))
    command = ("synthesize", "in", *LBFGS[4:])
    texsynth(*command, "-o", "whole/")
    stopped((*command, "-o", "out/"), 9)
    assert {path.name for path in Path("out").glob("*.p*")} == {"a.png", "b.png", "b.png.part.npz"}
    ran = texsynth(*command, "-o", "out/", "--resume", "--skip-existing")
    assert ran.code == 0 and "out/a.png is kept" in ran.err
    for path in Path("whole").glob("*.png"):
        assert Path("out", path.name).read_bytes() == path.read_bytes()


def test_short_runs_keep_nothing(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "LONG_RUN", 600.0)
    written: list[object] = []
    monkeypatch.setattr(checkpoint, "_write", lambda *words: written.append(words))
    assert texsynth(*ADAM).code == 0 and not written


def test_a_full_disk_ends_no_run(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    ran = texsynth(*ADAM)
    assert ran.code == 0 and ran.err.count("no checkpoint is kept: o.png.part.npz: cannot be written") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "o.png"]
