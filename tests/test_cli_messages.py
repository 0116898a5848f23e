"""What a command says while it runs, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import QUICK, Picture, Refused, Texsynth, array
from texsynth.cli import messages
from texsynth.cli.messages import Tick
from texsynth.image import picture as image
from texsynth.job import Job
from texsynth.runs import run
from texsynth.runs.clock import Clock
from texsynth.task import Canvas, Event, Preset

pytestmark = pytest.mark.usefixtures("exemplar")

SYNTH = ("synthesize", "a.png", "-o", "o.png")


def test_quiet_default_and_verbose(texsynth: Texsynth) -> None:
    said = {
        flag: texsynth(*SYNTH, "--force", "-p", "steady", *([flag] if flag else [])).err for flag in ("-q", "", "-v")
    }
    assert said["-q"] == ""
    lines = [re.fullmatch(r"texsynth: o.png: (\d+)%, (level \d), loss .*", line) for line in said[""].splitlines()]
    assert [line and line[2] for line in lines] == ["level 1", "level 0"]
    assert 0 < int((lines[0] or "00")[1]) < int((lines[1] or "00")[1]) <= 100
    assert "preset steady on cpu" in said["-v"] and "steady at level 1" in said["-v"]


def test_progress_none_leaves_the_notices(texsynth: Texsynth) -> None:
    Path("o-1.png").write_bytes(b"")
    words = (*SYNTH, "-n", 2, "--skip-existing", "-p", "steady", "--progress", "none")
    assert texsynth(*words).err == "texsynth: o-1.png is kept\n"


def test_progress_as_json_lines(texsynth: Texsynth) -> None:
    ran = texsynth(*SYNTH, "-p", "steady", "--progress", "jsonl", "-v")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    steps = [line for line in lines if line["event"] == "step"]
    assert {line["event"] for line in lines} == {"step", "part", "note"}
    assert [(s["level"], s["step"], s["steps"]) for s in steps] == [(1, 1, 2), (1, 2, 2), (0, 1, 1)]
    done = [line["done"] for line in lines if line["event"] != "note"]
    assert done == sorted(done) and 0 < steps[-1]["done"] < 1 and steps[-1]["seconds_left"] >= 0
    last = lines[-1]
    assert (last["event"], last["output"], last["done"], last["seconds_left"]) == ("part", "o.png", 1, 0)
    assert steps[0].keys() >= {"stage", "levels", "loss", "output", "seconds_left"}


def test_a_bar_on_a_terminal(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich draws on anything that says it is a terminal; colours go when NO_COLOR is set."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colourful = texsynth(*SYNTH, "-p", "steady", "-v").err
    assert "level 0 step 1/1 loss 0.2500" in colourful
    assert "texsynth: preset steady on cpu" in colourful and "\x1b[3" in colourful
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in texsynth(*SYNTH, "-p", "steady", "--force").err


def test_time_left_is_what_the_run_says_or_told_by_the_share_done() -> None:
    event = Event("field", 0, 1, 1, 4, 0.5, 0.25, Canvas(torch.zeros(1, 3, 8, 8)), 12.5)
    assert messages.remaining(messages.of_synthesis(event), time.perf_counter() - 10) == 12.5
    tick = Tick(0.25, {}, "")
    assert messages.remaining(tick, time.perf_counter() - 10) == pytest.approx(30, abs=0.5)
    resumed = replace(tick, begun=0.15)  # 10 % of the work in 10 s
    assert messages.remaining(resumed, time.perf_counter() - 10) == pytest.approx(75, abs=0.5)


@pytest.mark.parametrize("slower", [(3, 3, 3), (0.5, 0.5, 0.5), (1.2, 1.6, 1.6), (1, 0.75, 0.7)])
def test_time_left_is_true_within_a_factor_from_a_tenth_on(
    monkeypatch: pytest.MonkeyPatch, slower: Sequence[float]
) -> None:
    """On a machine that is slower or faster than its estimates say, and where they are wrong about some parts."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    parts = (10.0, 60.0, 10.0)
    whole = sum(part * factor for part, factor in zip(parts, slower, strict=True))
    clock = Clock(parts)
    said: list[float] = []
    for part, factor in zip(parts, slower, strict=True):
        clock.next()
        for step in range(20):
            now += part * factor / 20
            done, left = clock.tell((step + 1) / 20)
            said.append(done)
            if 0.12 * whole < now < 0.98 * whole:
                assert 1 / 1.5 < left / (whole - now) < 1.5, (now / whole, left, whole - now)
    assert said == sorted(said) and said[-1] == pytest.approx(1)


def test_a_run_that_goes_on_is_measured_by_what_it_does_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = Clock([100.0, 100.0, 10.0, 100.0])
    clock.skip(2)
    clock.next()
    now = 20.0
    clock.next(0.5)
    now = 70.0  # twice as slow as estimated
    done, left = clock.tell(0.75)
    assert done == pytest.approx(285 / 310) and left == pytest.approx(50, rel=0.15)


def test_ctrl_c_saves_the_picture_so_far_at_full_size(texsynth: Texsynth, picture: Picture) -> None:
    exemplar = picture("a.png", (24, 24))
    ran = texsynth(*SYNTH, "--set", "fail=interrupt", "--map", "m=a.png", *QUICK)
    assert (ran.code, ran.out) == (130, "o.png\n")
    assert ran.err == "texsynth: interrupted: the picture so far is o.png\n"
    made = image.to_array(image.read("o.png"))
    assert made.shape == (48, 48, 3)
    assert {tuple(c) for c in made.reshape(-1, 3)} <= {tuple(c) for c in exemplar.reshape(-1, 3)}
    assert np.array_equal(made, image.to_array(image.read("o_m.png")))
    assert (image.read_metadata("o.png") or {})["interrupted"] is True


def test_ctrl_c_before_there_is_a_picture(texsynth: Texsynth) -> None:
    ran = texsynth(*SYNTH, "--set", "fail=at once", *QUICK)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == "texsynth: interrupted: there was no picture yet to save\n"
    assert not Path("o.png").exists()


def test_ctrl_c_ends_a_batch_and_its_json(texsynth: Texsynth, picture: Picture) -> None:
    for name in ("in/a.png", "in/b.png"):
        picture(name)
    ran = texsynth("synthesize", "in", "-o", "out/", "--set", "fail=interrupt", "--keep-going", "--json", *QUICK)
    told = json.loads(ran.out)
    assert ran.code == 130 and told["interrupted"] is True
    assert [(made["image"], made["interrupted"]) for made in told["runs"]] == [("out/a.png", True)]


def test_ctrl_c_while_picking_keeps_the_best_so_far(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seeds = run.run, []

    def stopped_at_the_second(job: Job, preset: Preset, seed: int, *rest: Any) -> run.Result:
        seeds.append(seed)
        if len(seeds) == 2:
            raise KeyboardInterrupt
        return real(job, preset, seed, *rest)

    monkeypatch.setattr(run, "run", stopped_at_the_second)
    words = (*SYNTH, "-n", 3, "--pick", "best", "--update", *QUICK)
    ran = texsynth(*words)
    assert (ran.code, ran.out, seeds) == (130, "o.png\n", [0, 1])
    stored = image.read_metadata("o.png") or {}
    assert (stored["seed"], stored["interrupted"]) == (0, True)
    again = texsynth(*words)  # two of three candidates were never seen
    assert (again.code, again.out) == (0, "o.png\n")


def test_an_interrupted_picture_is_redone_by_update(texsynth: Texsynth) -> None:
    texsynth(*SYNTH, "--set", "fail=interrupt", *QUICK)
    assert texsynth(*SYNTH, "--update", *QUICK).out == "o.png\n"


def test_a_method_without_a_field_says_what_it_cannot_give(texsynth: Texsynth, refused: Refused) -> None:
    words = (*SYNTH, "-p", "afloat")
    said = refused(2, *words, "--map", "m=a.png")
    assert "--map m: preset afloat copies nothing" in said and "guided-correspondence can" in said
    assert "--save-field: preset afloat" in refused(2, *words, "--save-field")
    assert texsynth(*words).out == "o.png\n"
    assert sorted(p.name for p in Path().iterdir()) == ["a.png", "o.png"]
    assert np.abs(array("o.png").astype(int) - 128).max() <= 1


def test_colours_that_move_after_the_copy_are_told_of(texsynth: Texsynth, picture: Picture) -> None:
    """The picture is the last stage's, and the maps are the field's."""
    height = picture("h.png", channels=1)
    Path("both.yaml").write_text("description: x\nstages: [{method: steady}, {method: afloat}]\n")
    ran = texsynth(*SYNTH, "-p", "both.yaml", "--map", "height=h.png")
    assert ran.code == 0 and "moves the colours" in ran.err and len(np.unique(array("o.png"))) == 1
    assert set(np.unique(array("o_height.png"))) <= set(np.unique(height))
    assert len(np.unique(array("o_height.png"))) > 10
