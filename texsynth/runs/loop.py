"""The synthesis loop: the only one. It knows no loss, layer, file or device."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch

from texsynth.methods import method
from texsynth.runs import state
from texsynth.runs.checkpoint import Keeper
from texsynth.runs.clock import Clock, of_levels
from texsynth.runs.state import LoopState
from texsynth.task import Canvas, Event, Report, Say, Stage, Task


@dataclass(frozen=True)
class Outcome:
    """The end of a synthesis: the last canvas, if there is one yet, and whether Ctrl-C ended it early."""

    canvas: Canvas | None
    losses: tuple[tuple[str, float, int, float], ...]  # of every step, as (stage, level, step, loss)
    interrupted: bool = False


def synthesize(
    task: Task,
    stages: tuple[Stage, ...],
    rng: torch.Generator,
    report: Report,
    say: Say,
    keeper: Keeper | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Run every stage over its levels, coarse to fine, or go on from what the keeper has of an earlier process. A
    KeyboardInterrupt ends the run with the canvas so far. The clock has two parts for each level, see `of_levels`."""
    keeper, clock = keeper or Keeper(), clock or Clock(of_levels(task, stages))
    plan = [(s, level) for s in stages for level in method(s.method).schedule(task, s.settings)]
    begun = state.load(keeper, task, plan)
    canvas, values = begun.canvas, list(begun.losses)
    clock.skip(2 * begun.number)

    def outcome(interrupted: bool) -> Outcome:
        steps = ((s.method, level.scale, index) for s, level in plan for index in range(level.steps))
        return Outcome(canvas, tuple((*step, loss) for step, loss in zip(steps, values, strict=False)), interrupted)

    try:
        if begun.rng is not None:
            rng.set_state(begun.rng)
        for number, (stage, level) in islice(enumerate(plan), begun.number, None):
            at_level = task.at(level.scale, level.nearest)
            first = begun.steps if number == begun.number else 0
            clock.next()
            canvas, step = method(stage.method).begin(at_level, canvas, level, stage.settings, rng, say)
            if first and begun.rng is not None:
                rng.set_state(begun.rng)
            clock.next(first / max(1, level.steps))
            for index in range(first, level.steps):
                canvas, loss = step(canvas)
                values.append(loss)
                where = stage.method, level.scale, len(plan), index + 1, level.steps, loss
                done, left = clock.tell((index + 1) / level.steps)
                report(Event(*where, done, canvas, left))
                if keeper.is_due and index + 1 < level.steps:
                    state.keep(keeper, plan, LoopState(number, index + 1, canvas, tuple(values), rng.get_state()))
            state.keep(keeper, plan, LoopState(number + 1, 0, canvas, tuple(values), rng.get_state()))
    except KeyboardInterrupt:
        return outcome(True)
    return outcome(False)
