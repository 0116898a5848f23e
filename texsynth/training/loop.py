"""The training loop: the only one. It knows no network, loss, file or device."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from texsynth.errors import TexsynthError
from texsynth.training.recipes import Settings, Training

LONGEST_HISTORY = 500  # rows that a run keeps beside those of its checks


@dataclass(frozen=True)
class HistoryRow:
    """A row of the history of a run: the updates so far, the losses, and the metric, None where it was not measured."""

    step: int
    losses: Mapping[str, float]
    metric: float | None = None


@dataclass(frozen=True)
class State:
    """How far a run has come.

    step: the number of updates so far.
    best, best_step: the lowest metric so far, and the step at which it was measured.
    tensors: what the model file held at that step, by name.
    """

    step: int = 0
    best: float = math.inf
    best_step: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    rows: tuple[HistoryRow, ...] = ()


@dataclass(frozen=True)
class Progress:
    """What the loop reports to an observer after every step; `step` of `steps` are done. Observers only read."""

    step: int
    steps: int
    losses: Mapping[str, float]
    metric: float | None
    best: float


Save = Callable[[State, Sequence[Tensor]], None]


def train(
    training: Training,
    settings: Settings,
    state: State,
    report: Callable[[Progress], None],
    save: Save,
    stop: Callable[[], bool],
) -> State:
    """Train from `state` to the last step, or until `stop` asks for an end between two steps.

    `save` receives the state and new samples at every check, and the state without samples when the run is stopped.
    Raises TexsynthError when a loss is no longer finite; what was saved before stays.
    """
    check_every = max(1, settings.steps // settings.checks)
    record_every = max(1, settings.steps // LONGEST_HISTORY)
    while state.step < settings.steps:
        losses = training.step(state.step)
        step = state.step + 1
        if not all(map(math.isfinite, losses.values())):
            raise TexsynthError(f"training diverged at step {step}; try a lower rate with --set rate=...")
        checked = step % check_every == 0 or step == settings.steps
        row = HistoryRow(step, losses, training.measure() if checked else None)
        rows = (*state.rows, row) if checked or step % record_every == 0 else state.rows
        state = _with_best(replace(state, step=step, rows=rows), training, row.metric)
        report(Progress(step, settings.steps, losses, row.metric, state.best))
        if checked:
            save(state, training.sample())
        elif stop():
            save(state, ())
        if stop():
            break
    return state


def _with_best(state: State, training: Training, metric: float | None) -> State:
    """Take the present tensors of the model into the state if their metric is the lowest so far."""
    if metric is None or not metric < state.best:
        return state
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in training.tensors().items()}
    return replace(state, best=metric, best_step=state.step, tensors=tensors)
