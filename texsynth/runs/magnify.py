"""Runs that are too large to be solved whole: solved at a reduced size, and carried up from there.

What a level above the working size takes does not depend on the method, and what grows with the size lies on the
disk, so a budget of memory that holds the working size holds any run (field/magnify).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from texsynth.errors import InputError
from texsynth.field import tone
from texsynth.field.atlas import Field, build_atlas, enlarge
from texsynth.field.magnify import levels, light
from texsynth.field.magnify.levels import Rung, Seams
from texsynth.field.planes import Copying
from texsynth.image import scratch
from texsynth.image.picture import size_in_memory
from texsynth.job import Job, Reduced
from texsynth.methods import method
from texsynth.runs import cost, finish, loop, machine, state, stop
from texsynth.runs.checkpoint import Keeper
from texsynth.runs.clock import Clock
from texsynth.runs.finish import Finished, Tone
from texsynth.runs.loop import Outcome
from texsynth.task import Canvas, Estimate, Event, Preset, Report, Say, Stage, Task

STAGE = "magnify"
SOLVED = 20  # bytes of a pixel of the solved field: its pointers, and the correction of its colours
AT_ONCE = 200 << 20  # bytes of what is worked out for some rows at a time
CARRYING, READING = 1.2e-7, 8e-8  # seconds of a pixel of the output and of the exemplars
DRAWING = 0.35  # of what the pixels of the output take, that is left for the end
BY_ROWS = 0.7  # of what a sample takes to write, where files are compressed in parallel
UNTOUCHED = Seams(9, 0, 0)


def reduced(job: Job, preset: Preset) -> Reduced | None:
    """The run that a job is magnified from; None where it is solved at its own size, because it is small enough, or its
    last method says nothing of how seams are mended. Raises InputError where one was asked for all the same."""
    if job.reduced is not None:
        if _seams(preset.stages[-1], job.task) is None:
            why = "its last method copies no pixels, or turns them freely"
            raise InputError(f"--from: a run of preset {preset.name} cannot be applied to a larger original: {why}")
        small = replace(job.reduced.task, weights=job.task.weights, model=job.task.model)
        if job.reduced.field is None and (halvings := levels.halvings(small)):  # which was magnified itself
            return Reduced(small.at(halvings), job.reduced.factor * 2**halvings)
        return replace(job.reduced, task=small)
    if _seams(preset.stages[-1], job.task) is None or not (halvings := levels.halvings(job.task)):
        return None
    return Reduced(job.task.at(halvings), 2**halvings)


def resized(small: Reduced, job: Job, size: tuple[int, int]) -> Reduced | None:
    """The run that `job`, which is magnified from `small`, would be magnified from at another size (height, width);
    its output still has that of the job's own. None where it would be solved at that size."""
    halvings = levels.halvings(replace(job.task, size=size))
    if 2**halvings == small.factor:
        return small
    return Reduced(job.task.at(halvings), 2**halvings) if halvings else None


def estimate(job: Job, small: Reduced, solver: Estimate, size: tuple[int, int]) -> Estimate:
    """What a run of `size` (height, width) takes beside what all runs do, whose reduced run takes `solver`: at its
    peak the memory of the one or of the other, and the seconds of both. Fitted to whole runs on two cores."""
    pixels, reduced = size[0] * size[1], small.task.size[0] * small.task.size[1]
    source = sum(h * w for h, w in (exemplar.size for exemplar in job.task.exemplars))
    arrays = [3 * source, source, 4 * pixels, pixels // small.factor**2 * 4]  # the sheet; pointers of two levels
    held = sum(size for size in arrays if not scratch.is_large(size)) + SOLVED * reduced + AT_ONCE
    held += sum(8 * source for guide in job.task.guides if guide.weight > 0)
    layers = (job.image, *job.maps.values())
    held += max(sum(map(size_in_memory, layer.pictures)) for layer in layers)  # whose pixels are read from anywhere
    job = replace(job, task=replace(job.task, size=size))
    more = sum(seconds(job, small, False)) - (1 - BY_ROWS) * cost.writing(job, size)  # which run.estimate counts
    return Estimate(max(solver.memory, held), solver.seconds + more + DRAWING * CARRYING * pixels + READING * source)


def seconds(job: Job, small: Reduced, is_written: bool) -> list[float]:
    """What evening out the tone of the solved field, each step up, looking for light in detail, and drawing the result
    while it is written take."""
    pixels, steps, fine = job.task.size[0] * job.task.size[1], levels.rungs(small.factor), _has_fine_light(job)
    shares = [0.25**rung.level for rung in steps]
    rungs = [(1 - DRAWING) * CARRYING * pixels * share / sum(shares) for share in shares]
    solved = cost.evening(small.task) if job.match_tone and not fine else 0.0
    usual = int(cost.USUAL_SEAMS * small.task.size[0] * small.task.size[1]) * small.factor
    written = DRAWING * CARRYING * pixels + BY_ROWS * cost.writing(job, job.task.size) if is_written else 0.0
    return [solved, *rungs, cost.evening(small.task, usual) if fine else 0.0, written]


def _seams(stage: Stage, task: Task) -> Seams | None:
    """How a method wants seams to be mended above the working size; it says so by `seams(task, settings)`."""
    says: Callable[[Task, Any], Seams | None] | None = getattr(method(stage.method), "seams", None)
    return None if says is None else says(task, stage.settings)


def solve(
    small: Reduced, preset: Preset, rng: torch.Generator, report: Report, say: Say, keeper: Keeper, clock: Clock
) -> tuple[Field, Outcome]:
    """The field of the reduced run, and how it came about; KeyboardInterrupt where there is none yet."""
    if small.field is not None:
        return _given(small.field, small.task), Outcome(None, ())
    size = "{1}x{0}".format(*small.task.size)
    say(f"solved at {size}, then magnified {small.factor} times")
    outcome = loop.synthesize(small.task, preset.stages, rng, report, say, keeper, clock)
    if outcome.canvas is None or not isinstance(outcome.canvas.field, Field):
        raise KeyboardInterrupt
    solved = enlarge(outcome.canvas.field, small.task)
    return solved, replace(outcome, canvas=replace(outcome.canvas, memory=None))  # which nothing needs any more


def magnify(
    solved: Field,
    outcome: Outcome,
    small: Reduced,
    job: Job,
    preset: Preset,
    rng: torch.Generator,
    report: Report,
    say: Say,
    keeper: Keeper,
    clock: Clock,
) -> tuple[Finished, Outcome]:
    """Carry a solved field up to the size of the job; Ctrl-C leaves out what is left to mend."""
    seams, steps = _seams(preset.stages[-1], small.task) or UNTOUCHED, levels.rungs(small.factor)
    begun = outcome.canvas
    canvas = begun if begun is not None and begun.field is solved else Canvas(solved.image(), solved)
    outcome = replace(outcome, canvas=None)
    exemplars = tuple(replace(exemplar, further=None, vectors=0) for exemplar in job.task.exemplars)
    task = replace(job.task, exemplars=exemplars, init=None, weights={}, model=None)
    fine = _has_fine_light(job)
    clock.next(seconds=cost.evening(small.task, tone.seams(solved)) if job.match_tone and not fine else 0.0)
    with stop.later():
        field = coarse = levels.pointers(solved)
        even = (
            Tone(finish.correction(solved, small.task), coarse, small.factor) if job.match_tone and not fine else None
        )
        first, above = state.load_raised(
            keeper, lambda number: task.at(steps[number].level), solved.copies, seams.patch // 2, rng
        )
        field = above or field
        del solved, above
        machine.give_memory_back()
    clock.skip(first)
    for number, rung in islice(enumerate(steps), first, None):
        outcome = replace(outcome, interrupted=outcome.interrupted or stop.asked())
        seams = UNTOUCHED if outcome.interrupted else seams

        def progress(share: float, rung: Rung = rung, number: int = number) -> None:
            where = STAGE, rung.level, len(steps), number + 1, len(steps), 0.0
            done, left = clock.tell(share)
            report(Event(*where, done, canvas, left))

        clock.next()
        try:
            field = levels.raised(field, task.at(rung.level), rung, seams, rng, progress)
        except KeyboardInterrupt:
            outcome = replace(outcome, interrupted=True)
            with stop.later():
                field = levels.raised(field, task.at(rung.level), rung, UNTOUCHED, rng, lambda _: None)
        if not outcome.interrupted:
            with stop.later():
                state.keep_raised(keeper, number + 1, field, begun, [loss for *_, loss in outcome.losses], rng)
    clock.next()
    if fine:
        atlas = build_atlas(task, field.atlas.copies, field.atlas.margin)
        even = Tone(light.correction(field, coarse, atlas, small.factor), coarse, small.factor)
    finished = finish.magnified(field, even, job)
    if finished.tone is not None:
        finish.tell(finished.tone, say)
    return finished, outcome


def _has_fine_light(job: Job) -> bool:
    """Is light looked for at the seams of the full size? So it is where all exemplars are of working size; what they
    show is too small else to be told from light when they are halved. Holes and guides know their sources' pixels only
    at the size that is solved."""
    task = job.task
    pixels = sum(h * w for h, w in (exemplar.size for exemplar in task.exemplars))
    steered = task.hole is not None or task.start is not None or any(guide.weight > 0 for guide in task.guides)
    return job.match_tone and pixels <= levels.WORKING_PIXELS and not steered


def _given(field: Copying, task: Task) -> Field:
    """A field that was read, with the pixels that it copies."""
    atlas = build_atlas(task, field.atlas.copies, field.atlas.margin)
    index = field.part(0, field.size[0]).index
    return Field(index, torch.zeros(field.size), atlas, task.tile)
