"""The training loop: the only one. It knows no network, loss, file or device."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from texsynth.errors import TexsynthError
from texsynth.training.recipes import Settings, Training

ROWS = 500  # of the course, that a whole run keeps


@dataclass(frozen=True)
class Row:
    """The course at one step: the losses by name, and the metric where it was measured."""

    step: int
    losses: Mapping[str, float]
    metric: float | None = None


@dataclass(frozen=True)
class State:
    """How far a run is.

    step: updates made. best: the least metric so far, at step `best_step`, and what the model held then.
    """

    step: int = 0
    best: float = math.inf
    best_step: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Progress:
    """What the loop tells an observer after every step. Observers only read."""

    step: int
    steps: int
    losses: Mapping[str, float]
    metric: float | None  # where it was measured at this step
    best: float


Keep = Callable[[State, Sequence[Tensor]], None]


def train(
    training: Training,
    settings: Settings,
    state: State,
    report: Callable[[Progress], None],
    keep: Keep,
    stop: Callable[[], bool],
) -> State:
    """Train from `state` to the last step, or until `stop` asks for an end between two steps.

    keep gets the state and new samples at every check, and the state alone when stopped: what it must save. Raises
    TexsynthError when a loss is no longer finite; what was kept before stays.
    """
    every = max(1, settings.steps // settings.checks)
    told = max(1, settings.steps // ROWS)
    while state.step < settings.steps:
        losses = training.step(state.step)
        step = state.step + 1
        if not all(map(math.isfinite, losses.values())):
            raise TexsynthError(f"training diverged at step {step}; try a lower rate with --set rate=...")
        checked = step % every == 0 or step == settings.steps
        row = Row(step, losses, training.measure() if checked else None)
        rows = (*state.rows, row) if checked or step % told == 0 else state.rows
        state = _bettered(replace(state, step=step, rows=rows), training, row.metric)
        report(Progress(step, settings.steps, losses, row.metric, state.best))
        if checked:
            keep(state, training.sample())
        elif stop():
            keep(state, ())
        if stop():
            break
    return state


def _bettered(state: State, training: Training, metric: float | None) -> State:
    """The state with what the model holds now, if that is the best so far."""
    if metric is None or not metric < state.best:
        return state
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in training.tensors().items()}
    return replace(state, best=metric, best_step=state.step, tensors=tensors)
