"""Runs that are too large to be solved whole: solved at a reduced size, and carried up from there.

What a level above the working size takes does not depend on the method, so a budget of memory that holds the working
size and the pointers of the output holds any run (field/magnify).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from texsynth.field.atlas import Field, build_atlas, enlarge
from texsynth.field.magnify import levels
from texsynth.field.magnify.levels import Rung, Seams
from texsynth.field.planes import Copying
from texsynth.job import Job, Reduced
from texsynth.methods import method
from texsynth.runs import finish, loop, stop
from texsynth.runs.checkpoint import Keeper
from texsynth.runs.finish import Finished, Tone
from texsynth.runs.loop import Outcome
from texsynth.task import Canvas, Event, Preset, Report, Say, Stage, Task

STAGE = "magnify"
UNTOUCHED = Seams(9, 0, 0)


def reduced(job: Job, preset: Preset) -> Reduced | None:
    """The run that a job is magnified from; None where it is solved at its own size, because it is small enough, or its
    last method says nothing of how seams are mended."""
    if job.reduced is not None:
        return job.reduced
    if _seams(preset.stages[-1], job.task) is None or not (halvings := levels.halvings(job.task)):
        return None
    return Reduced(job.task.at(halvings), 2**halvings)


def _seams(stage: Stage, task: Task) -> Seams | None:
    """How a method wants seams to be mended above the working size; it says so by `seams(task, settings)`."""
    says: Callable[[Task, Any], Seams | None] | None = getattr(method(stage.method), "seams", None)
    return None if says is None else says(task, stage.settings)


def solve(
    small: Reduced, preset: Preset, rng: torch.Generator, report: Report, say: Say, keeper: Keeper | None = None
) -> tuple[Field, Outcome]:
    """The field of the reduced run, and how it came about; KeyboardInterrupt where there is none yet."""
    if small.field is not None:
        return _given(small.field, small.task), Outcome(None, ())
    size = "{1}x{0}".format(*small.task.size)
    say(f"solved at {size}, then magnified {small.factor} times")
    outcome = loop.synthesize(small.task, preset.stages, rng, report, say, keeper)
    if outcome.canvas is None or not isinstance(outcome.canvas.field, Field):
        raise KeyboardInterrupt
    return enlarge(outcome.canvas.field, small.task), outcome


def magnify(
    solved: Field,
    outcome: Outcome,
    small: Reduced,
    job: Job,
    preset: Preset,
    rng: torch.Generator,
    report: Report,
    say: Say,
) -> tuple[Finished, Outcome]:
    """Carry a solved field up to the size of the job; Ctrl-C leaves out what is left to mend."""
    even = None
    field = coarse = levels.pointers(solved)
    if job.match_tone:
        even = Tone(finish.correction(solved, small.task, say), coarse, small.factor)
    seams, steps = _seams(preset.stages[-1], small.task) or UNTOUCHED, levels.rungs(small.factor)
    canvas = Canvas(solved.image(), solved)
    del solved
    outcome = replace(outcome, canvas=None)
    task = replace(job.task, init=None, weights={}, model=None)
    for number, rung in enumerate(steps):
        seams = UNTOUCHED if outcome.interrupted else seams

        def progress(done: float, rung: Rung = rung, number: int = number) -> None:
            share = (number + done) / len(steps)
            report(Event(STAGE, rung.level, len(steps), number + 1, len(steps), 0.0, share, canvas))

        try:
            field = levels.raised(field, task.at(rung.level), rung, seams, rng, progress)
        except KeyboardInterrupt:
            outcome = replace(outcome, interrupted=True)
            with stop.later():
                field = levels.raised(field, task.at(rung.level), rung, UNTOUCHED, rng, lambda _: None)
    return finish.magnified(field, even, job), outcome


def _given(field: Copying, task: Task) -> Field:
    """A field that was read, with the pixels that it copies."""
    atlas = build_atlas(task, field.atlas.copies, field.atlas.margin)
    index = field.part(0, field.size[0]).index
    return Field(index, torch.zeros(field.size), atlas, task.tile)
