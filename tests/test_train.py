"""texsynth train: the loop, checkpoints, resuming, what is written and what is refused; and --model."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Draw, Picture, Texsynth, array
from texsynth.cli import main
from texsynth.errors import TexsynthError
from texsynth.training import recipes
from texsynth.weights import trained as model
from training import FOLDER, same, stop_after, stored

Refused = Callable[..., str]
EASY = ("train", "easy", "a.png", "-o", "m.safetensors", "-q")


@pytest.fixture(autouse=True)
def exemplar(picture: Picture) -> np.ndarray:
    return picture("a.png")


def history() -> list[dict[str, str]]:
    return list(csv.DictReader((FOLDER / "course.csv").read_text().splitlines()))


def test_a_training_leaves_a_model_and_its_history(texsynth: Texsynth) -> None:
    ran = texsynth(*EASY)
    assert (ran.code, ran.out, ran.err) == (0, "m.safetensors\n", "")
    read = model.read(Path("m.safetensors"))
    assert read.recipe == "easy"
    assert read.settings["steps"] == 6
    assert read.tensors.keys() == {"colour", "seen"}
    assert [entry["name"] for entry in read.facts["inputs"]] == ["a.png"]
    assert str(Path.cwd()) not in json.dumps(read.facts)
    rows = history()
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [bool(row["metric"]) for row in rows] == [False, True] * 3
    assert sorted(path.name for path in (FOLDER / "samples").iterdir()) == ["0000002.png", "0000004.png", "0000006.png"]
    page = (FOLDER / "course.html").read_text()
    assert page.count("<svg") == 2  # the metric and the loss
    assert "a.png" in page


def test_the_best_network_is_kept_not_the_last(texsynth: Texsynth) -> None:
    """With a rate this high the colour swings past what it is to be."""
    assert texsynth(*EASY, "--set", "rate=0.5", "--steps", 5, "--set", "checks=5").code == 0
    metrics = [float(row["metric"]) for row in history()]
    facts = model.read(Path("m.safetensors")).facts
    assert facts["value"] == min(metrics) < metrics[-1]
    assert facts["step"] == 1 + metrics.index(min(metrics))
    assert int(model.read(Path("m.safetensors")).tensors["seen"]) == facts["step"]


def test_the_same_seed_trains_the_same_network(texsynth: Texsynth) -> None:
    files = []
    for seed in (3, 3, 4):
        assert texsynth(*EASY, "--seed", seed, "--force").code == 0
        files.append(Path("m.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize("at", [1, 2, 3, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(
    texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    assert texsynth(*EASY).code == 0
    whole, written = stored(), Path("m.safetensors").read_bytes()
    Path("m.safetensors").unlink()

    with monkeypatch.context() as patch:
        stop_after(at, patch)
        ran = texsynth(*EASY, "--force")
    assert ran.code == 130
    assert f"step {at} of 6 is kept" in ran.err
    assert stored().state.step == at
    assert Path("m.safetensors").exists() == (at >= 2)
    assert texsynth(*EASY, "--resume").code == 0
    assert same(stored().parts, whole.parts)
    assert Path("m.safetensors").read_bytes() == written


def test_ctrl_c_ends_between_two_steps(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    original = recipes.recipe("easy").build

    def build(*given: Any) -> Any:
        training = original(*given)

        def step(number: int) -> Any:
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            return training.step(number)

        return replace(training, step=step)

    monkeypatch.setattr(recipes.recipe("easy"), "build", build)
    ran = texsynth(*EASY)
    assert ran.code == 130
    assert ran.err.splitlines()[-1].startswith("texsynth: interrupted: step 3 of 6 is kept")
    assert ran.out == "m.safetensors\n"  # of the check at step 2
    assert stored().state.step == 3


def test_more_steps_go_on_from_a_finished_run(texsynth: Texsynth) -> None:
    assert texsynth(*EASY).code == 0
    assert texsynth(*EASY, "--resume", "--steps", 9).code == 0
    assert stored().state.step == 9
    assert texsynth(*EASY, "--resume").code == 0  # all is done
    assert stored().state.step == 9


def test_a_loss_that_is_lost_ends_the_run_and_leaves_the_checkpoint(refused: Refused, texsynth: Texsynth) -> None:
    assert "diverged at step 5; try a lower rate" in refused(1, *EASY, "--set", "fail=5")
    assert stored().state.step == 4
    assert not Path("m.safetensors").exists()
    assert texsynth(*EASY, "--resume").code == 1


def test_several_exemplars_presets_and_settings(texsynth: Texsynth, picture: Picture) -> None:
    for seed, name in enumerate(("in/a.png", "in/b.png")):
        picture(name, seed=seed)
    ran = texsynth("train", "easy", "in", "-p", "easy-slow", "--steps", 2, "--set", "checks=1", "--json", "-q")
    result = json.loads(ran.out)
    assert (result["status"], result["model"], result["folder"]) == ("done", "a_easy.safetensors", "a_easy_training")
    assert (result["preset"], result["steps"], result["best_step"], result["interrupted"]) == ("easy-slow", 2, 2, False)
    read = model.read(Path("a_easy.safetensors"))
    assert read.settings["rate"] == 0.01
    assert [entry["name"] for entry in read.facts["inputs"]] == ["a.png", "b.png"]


def test_progress_by_line_and_by_json(texsynth: Texsynth) -> None:
    lines = texsynth(*EASY[:-1], "--progress", "jsonl").err.splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step"]
    assert [event["step"] for event in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[-1]["done"] == 1
    assert [("sliced" in event) for event in steps] == [False, True] * 3
    plain = [line for line in texsynth(*EASY[:-1], "--force").err.splitlines() if "%" in line]
    assert [line.split(", loss")[0] for line in plain] == [
        f"texsynth: m.safetensors: {share}%, step {step}" for share, step in ((33, 2), (67, 4), (100, 6))
    ]


def test_a_dry_run_writes_nothing(texsynth: Texsynth) -> None:
    ran = texsynth(*EASY, "--dry-run")
    assert ran.out.startswith("m.safetensors: preset easy, 6 steps, about ")
    assert ran.out.endswith("B and 0 minutes on two cores\n")
    assert not FOLDER.exists()


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (2, ("train", "esy", "a.png"), "there is no recipe 'esy'; did you mean easy?"),
        (2, ("train", "easy", "a.png", "-p", "ot"), "there is no preset 'ot'"),
        (2, ("train", "easy", "a.png", "--set", "rat=1"), "did you mean rate?"),
        (2, ("train", "easy", "a.png", "-o", "m.png"), "call it m.safetensors"),
        (2, ("train", "easy", "a.png", "-o", "none/m.safetensors"), "no folder none"),
        (2, ("train", "easy", "a.png", "--weights", "a.png"), "needs none; leave the flag out"),
        (2, ("train", "easy", "a.png", "--crop", "9,9,9,9"), "reaches outside"),
        (3, ("train", "easy", "b.png"), "b.png"),
        (5, (*EASY, "--resume"), "there is no m_training/checkpoint.pt; leave the flag out"),
        (4, ("train", "easy", "a.png", "--max-memory", "50M"), "above the limit of 50 MB"),
        (2, ("synthesize", "a.png", "-p", "easy"), "there is no preset 'easy'"),
        (5, ("synthesize", "a.png", "-m", "painted"), "make one with `texsynth train easy EXEMPLAR"),
        (5, ("synthesize", "a.png", "--model", "m.safetensors"), "m.safetensors does not exist"),
        (5, ("synthesize", "a.png", "--model", "a.png"), "is no model of `texsynth train`"),
    ],
)
def test_what_is_refused(refused: Refused, code: int, words: tuple[str, ...], reason: str) -> None:
    assert reason in refused(code, *words)
    assert not FOLDER.exists()


def test_what_exists_is_not_overwritten(refused: Refused, texsynth: Texsynth) -> None:
    assert texsynth(*EASY).code == 0
    before = Path("m.safetensors").read_bytes()
    assert "--force starts anew, --resume goes on" in refused(2, *EASY)
    Path("m.safetensors").unlink()
    assert "checkpoint.pt exists" in refused(2, *EASY)
    assert texsynth(*EASY, "--force").code == 0
    assert Path("m.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (2, ("--set", "rate=0.2"), "rate is another one than the checkpoint's"),
        (2, ("-p", "easy-slow"), "rate is another one than the checkpoint's"),
        (2, ("--seed", 7), "--seed is 0 in the checkpoint"),
        (2, ("--crop", "0,0,8,8"), "--crop is None in the checkpoint"),
        (3, ("b.png",), "trained on other inputs (a.png)"),
    ],
)
def test_a_run_goes_on_only_as_it_began(
    refused: Refused, texsynth: Texsynth, picture: Picture, code: int, words: tuple[str, ...], reason: str
) -> None:
    picture("b.png", seed=1)
    assert texsynth(*EASY, "--seed", 0).code == 0
    assert reason in refused(code, *EASY, "--resume", *words)


def test_a_damaged_checkpoint_is_told(refused: Refused, texsynth: Texsynth) -> None:
    assert texsynth(*EASY).code == 0
    path = FOLDER / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-200])
    assert "is damaged; leave the flag out" in refused(5, *EASY, "--resume")


def test_a_model_is_all_that_synthesis_needs(texsynth: Texsynth, exemplar: np.ndarray) -> None:
    assert texsynth(*EASY, "--set", "rate=0.05", "--steps", 60).code == 0
    assert texsynth("synthesize", "a.png", "--model", "m.safetensors", "-o", "o.png", "-s", 24, "-q").code == 0
    output = array("o.png")
    assert output.shape == (24, 24, 3)
    assert abs(output.mean((0, 1)) - exemplar.mean((0, 1))).max() < 12
    assert texsynth("synthesize", "a.png", "--from", "o.png", "-o", "again.png", "-q").code == 0  # finds the model
    assert Path("again.png").read_bytes() == Path("o.png").read_bytes()


def test_a_model_that_changed_is_told_when_a_run_is_repeated(refused: Refused, texsynth: Texsynth) -> None:
    assert texsynth(*EASY).code == 0
    assert texsynth("synthesize", "a.png", "--model", "m.safetensors", "-o", "o.png", "-q").code == 0
    assert texsynth(*EASY, "--seed", 1, "--force").code == 0
    assert "m.safetensors has changed" in refused(3, "synthesize", "a.png", "--from", "o.png", "-o", "p.png")
    words = ("synthesize", "a.png", "--from", "o.png", "--model", "m.safetensors", "-o", "p.png")
    assert "give that file with --model" in refused(3, *words)


def test_a_method_refuses_what_it_cannot_do(refused: Refused, texsynth: Texsynth, draw: Draw) -> None:
    draw("mask.png", np.eye(16, dtype=np.uint8) * 255)
    assert texsynth(*EASY).code == 0
    said = refused(2, "inpaint", "a.png", "--mask", "mask.png", "--model", "m.safetensors")
    assert "preset painted (method painted) paints no holes" in said


def test_a_model_of_another_recipe_is_refused(refused: Refused, texsynth: Texsynth) -> None:
    assert texsynth(*EASY).code == 0
    read = model.read(Path("m.safetensors"))
    model.write(Path("n.safetensors"), "hard", read.settings, read.tensors, read.facts)
    for words in ((), ("-m", "painted")):
        said = refused(5, "synthesize", "a.png", "--model", "n.safetensors", *words)
        assert "of recipe 'hard', which this version" in said


def test_a_model_file_comes_back_as_it_was(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.randn(2, 3), "b": torch.arange(4)}
    model.write(tmp_path / "m.safetensors", "easy", {"steps": 3}, tensors, {"inputs": []})
    read = model.read(tmp_path / "m.safetensors")
    assert same(dict(read.tensors), tensors)
    assert (read.recipe, read.settings, read.facts) == ("easy", {"steps": 3}, {"inputs": []})
    assert read.name == "m.safetensors"
    broken = (tmp_path / "m.safetensors").read_bytes()[:-4]
    (tmp_path / "n.safetensors").write_bytes(broken)
    with pytest.raises(TexsynthError, match="is damaged"):
        model.read(tmp_path / "n.safetensors")
    tensors["a.weight"][0, 0] = float("nan")
    model.write(tmp_path / "m.safetensors", "easy", {}, tensors, {})
    with pytest.raises(TexsynthError, match=r"a\.weight holds values that are not finite"):
        model.read(tmp_path / "m.safetensors")


def test_help_lists_the_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    words = capsys.readouterr().out.replace("\n", " ")
    assert all(name in words for name in ("--resume", "--steps"))


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (("--labels", "l.png"), [{"name": "labels", "distance": "l0", "palette": [[255, 0, 0], [0, 0, 255]]}]),
        (("--progression", "p.png"), [{"name": "progression", "distance": "l2", "palette": None}]),
        (("--progression", "auto"), [{"name": "progression", "distance": "l2", "palette": None}]),
        (("--orientation", "auto"), [{"name": "orientation", "distance": "direction", "palette": None}]),
        (("--labels", "maps"), [{"name": "labels", "distance": "l0", "palette": [[255, 0, 0], [0, 0, 255]]}]),
    ],
)
def test_maps_come_with_the_exemplars(
    texsynth: Texsynth, draw: Draw, words: tuple[str, ...], facts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model knows the colours of its labels; resuming asks for the same maps."""
    monkeypatch.setattr(recipes.recipe("easy"), "GUIDES", ("labels", "progression", "orientation"))
    halves = np.zeros((16, 16, 3), np.uint8)
    halves[:10, :, 0], halves[10:, :, 2] = 255, 255
    for name in ("l.png", "maps/a.png"):
        draw(name, halves)
    draw("p.png", np.tile(np.arange(16, dtype=np.uint8) * 16, (16, 1)))
    assert texsynth(*EASY, *words).code == 0
    assert model.read(Path("m.safetensors")).facts["guides"] == facts
    assert texsynth(*EASY, *words, "--resume", "--steps", 8).code == 0
    assert texsynth(*EASY, "--progression", "a.png", "--resume").code in (2, 3)


def test_maps_that_a_recipe_does_not_take(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--labels: recipe easy takes no maps" in refused(2, *EASY, "--labels", "a.png")
    monkeypatch.setattr(recipes.recipe("easy"), "GUIDES", ("labels",))
    assert "needs --labels MAP" in refused(2, *EASY)
    assert "takes --labels; leave" in refused(2, *EASY, "--labels", "a.png", "--progression", "a.png")
    assert "2 given for 1 exemplar(s)" in refused(2, *EASY, "--labels", "a.png", "--labels", "a.png")


def test_the_api_trains_as_the_command_line_does(texsynth: Texsynth, exemplar: np.ndarray) -> None:
    import texsynth as api

    assert texsynth(*EASY, "--seed", 3).code == 0
    written = Path("m.safetensors").read_bytes()
    steps: list[int] = []
    done = api.train(
        "easy", "a.png", "m.safetensors", seed=3, force=True, progress=lambda event: steps.append(event.step)
    )
    assert Path("m.safetensors").read_bytes() == written
    assert (done.model, done.state.step, done.interrupted) == (Path("m.safetensors"), 6, False)
    assert steps == [1, 2, 3, 4, 5, 6]
    stopped = api.train("easy", [exemplar], "n.safetensors", stop=lambda: True, settings={"rate": 0.2})
    assert (stopped.model, stopped.state.step, stopped.interrupted) == (None, 1, True)
    more = api.train("easy", [exemplar], "n.safetensors", resume=True)
    assert (more.state.step, more.interrupted) == (6, False)
    result = api.synthesize("a.png", 24, model="m.safetensors")
    assert result.image.pixels.shape == (1, 3, 24, 24)
    assert result.record["preset"]["name"] == "painted"
