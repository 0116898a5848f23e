"""What every method promises the loop and the presets, whatever it does: one test over all of methods/."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch
from torch import Tensor

import builders
from builders import ignore
from pictures import noise
from texsynth import methods, preset, settings
from texsynth.field import atlas
from texsynth.runs.loop import Outcome
from texsynth.task import Canvas, Estimate, Event, Exemplar, Level, Report, Stage, Task

NAMES = methods.names()
ALONE = [name for name in NAMES if not methods.method(name).RECIPES]  # the others need a model: tests/test_recipes.py
every = pytest.mark.parametrize("name", NAMES)
alone = pytest.mark.parametrize("name", ALONE)


def task(size: tuple[int, int] = (32, 32), tile: tuple[bool, bool] = (False, False)) -> Task:
    return Task((Exemplar("a", noise(1, 3, 24, 28)),), size, tile)


def run(name: str, asked: Task, stages: int = 1, seed: int = 0, report: Report = ignore) -> Outcome:
    stage = Stage(name, methods.method(name).Settings())
    return builders.run(asked, *(stage,) * stages, seed=seed, report=report)


@every
def test_a_method_has_what_the_loop_uses(name: str) -> None:
    method = methods.method(name)
    for part in ("schedule", "begin", "needs", "refuses", "estimate"):
        assert callable(getattr(method, part)), f"methods/{name}.py has no {part}"
    wanted = ["task", "canvas", "level", "settings", "rng", "say"]
    assert list(inspect.signature(method.begin).parameters) == wanted


@every
def test_settings_are_frozen_and_explained(name: str) -> None:
    """Defaults for all, each with words for the help; and a shipped preset uses the method."""
    chosen = methods.method(name).Settings()
    for row in settings.show(chosen):
        assert row["help"], f"methods/{name}.py: {row['name']} has no help"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(chosen, row["name"], row["value"])
    used = {stage["method"] for shipped in preset.names() for stage in preset.read(shipped)["stages"]}
    assert name in used


@alone
def test_a_schedule_ends_at_full_size(name: str) -> None:
    method = methods.method(name)
    levels = method.schedule(task(), method.Settings())
    assert all(isinstance(level, Level) and level.scale >= 0 and level.steps >= 0 for level in levels)
    scales = [level.scale for level in levels]
    assert scales[-1] == 0 and scales == sorted(scales, reverse=True)


def assert_sound(canvas: Canvas | None, size: tuple[int, int]) -> Tensor:
    assert canvas is not None
    assert (canvas.image.shape, canvas.image.dtype) == ((1, 3, *size), torch.float32)
    assert float(canvas.image.min()) >= 0 and float(canvas.image.max()) <= 1  # nor NaN
    if canvas.field is not None:
        assert torch.equal(canvas.image, canvas.field.image())
        assert canvas.field.atlas.valid[canvas.field.index].all()
    return canvas.image


@alone
@pytest.mark.parametrize("tile", [(False, False), (True, True)])
def test_it_runs(name: str, tile: tuple[bool, bool]) -> None:
    events: list[Event] = []
    outcome = run(name, task((32, 36), tile), report=events.append)
    assert_sound(outcome.canvas, (32, 36))
    assert not outcome.interrupted and len(outcome.losses) == len(events) > 0
    assert all(isinstance(loss[3], float) for loss in outcome.losses)


@alone
def test_chance_comes_from_the_seed_only(name: str) -> None:
    first = assert_sound(run(name, task()).canvas, (32, 32))
    torch.rand(5)  # chance from elsewhere
    again = assert_sound(run(name, task()).canvas, (32, 32))
    assert torch.equal(first, again)
    assert not torch.equal(first, assert_sound(run(name, task(), seed=1).canvas, (32, 32)))


@alone
@pytest.mark.parametrize("side", [24, 96])
def test_it_goes_on_from_a_previous_stage(name: str, side: int) -> None:
    """`begin` may get a finished canvas, of a stage before: it is improved, not taken for one of half the size.

    Measured on the field of a method that keeps one: it still takes from as much of the exemplar.
    """
    asked = Task((Exemplar("a", noise(1, 3, side, side)),), (2 * side, 2 * side))
    canvases = [run(name, asked, stages).canvas for stages in (1, 2)]
    images = [assert_sound(canvas, asked.size) for canvas in canvases]
    used = [len(atlas.usage(c.field.atlas, c.field.index).nonzero()) for c in canvases if c and c.field]
    assert not used or used[1] > 0.8 * used[0]
    blurred = [torch.nn.functional.avg_pool2d(image.mean(1, keepdim=True), 4).flatten() for image in images]
    assert float(torch.corrcoef(torch.stack(blurred))[0, 1]) > 0.5


@alone
def test_ctrl_c_at_once_leaves_a_canvas_or_none(name: str) -> None:
    def interrupt(_: Event) -> None:
        raise KeyboardInterrupt

    outcome = run(name, task(), report=interrupt)
    assert (outcome.interrupted, len(outcome.losses)) == (True, 1) and outcome.canvas is not None


@alone
def test_the_estimate_is_of_this_world(name: str) -> None:
    method = methods.method(name)
    small, large = (method.estimate(task((n, n)), method.Settings()) for n in (32, 2048))
    assert isinstance(small, Estimate)
    assert 0 < small.memory < large.memory and 0 < small.seconds < large.seconds
