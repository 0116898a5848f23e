"""The synthesis loop: the only one. It knows no loss, layer, file or device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from texsynth.methods import method
from texsynth.task import Canvas, Event, Report, Say, Stage, Task


@dataclass(frozen=True)
class Outcome:
    """The end of a synthesis: the last canvas, if there is one yet, and whether Ctrl-C ended it early."""

    canvas: Canvas | None
    losses: tuple[tuple[str, float, int, float], ...]  # of every step, as (stage, level, step, loss)
    interrupted: bool = False


def synthesize(task: Task, stages: tuple[Stage, ...], rng: torch.Generator, report: Report, say: Say) -> Outcome:
    """Run every stage over its levels, coarse to fine. A KeyboardInterrupt ends the run with the canvas so far."""
    canvas: Canvas | None = None
    losses: list[tuple[str, float, int, float]] = []
    plan = [(s, level) for s in stages for level in method(s.method).schedule(task, s.settings)]
    work = [max(level.steps, 1) * 0.25**level.scale for _, level in plan]
    spent = 0.0
    try:
        for (stage, level), cost in zip(plan, work, strict=True):
            at_level = task.at(level.scale, level.nearest)
            canvas, step = method(stage.method).begin(at_level, canvas, level, stage.settings, rng, say)
            for index in range(level.steps):
                canvas, loss = step(canvas)
                losses.append((stage.method, level.scale, index, loss))
                done = (spent + cost * (index + 1) / level.steps) / sum(work)
                report(Event(stage.method, level.scale, len(plan), index + 1, level.steps, loss, done, canvas))
            spent += cost
    except KeyboardInterrupt:
        return Outcome(canvas, tuple(losses), interrupted=True)
    return Outcome(canvas, tuple(losses))
