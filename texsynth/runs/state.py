"""The state of a run between two steps as plain arrays, and back: what `runs.checkpoint` keeps.

A field is stored as its pointers; the pixels that they point at follow from the task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from texsynth.field.atlas import Field, build_atlas
from texsynth.field.magnify.sheet import Pointers
from texsynth.field.planes import COPIES, laid_out
from texsynth.image import scratch
from texsynth.image.strips import spans
from texsynth.methods import method
from texsynth.runs.checkpoint import Keeper, Kept
from texsynth.task import Canvas, Level, Stage, Task

SOLVE, RAISED = "solve", "raised"  # the first words of where a run is: in the loop, or above it
Plan = Sequence[tuple[Stage, Level]]


@dataclass(frozen=True)
class LoopState:
    """Where the loop is.

    number: of the level in the plan at which it goes on. steps: those that are done there.
    losses: of all steps so far. rng: the state of the generator; None at the very start.
    """

    number: int = 0
    steps: int = 0
    canvas: Canvas | None = None
    losses: tuple[float, ...] = field(default=())
    rng: Tensor | None = None


def keep(keeper: Keeper, plan: Plan, state: LoopState) -> None:
    """Keep a state that has a canvas, unless its method cannot say what it remembers; at the end of a level its number
    is that of the next one."""
    canvas, before = state.canvas, state.number - (state.steps == 0)
    if canvas is None or state.rng is None or not keeper.is_long:
        return
    stage, _ = plan[before]
    module = method(stage.method)
    memory = module.store(canvas.memory, state.steps > 0) if hasattr(module, "store") else None
    last = state.steps == 0 and (len(plan) == state.number or plan[state.number][0].method != stage.method)
    if memory is None and not (last and module.COPIES):  # whose next stage takes what the canvas shows
        return
    arrays = _canvas_tensors(canvas, state.losses, state.rng)
    arrays |= {f"memory.{name}": values for name, values in (memory or {}).items()}
    keeper.keep((SOLVE, str(state.number), str(state.steps)), arrays)


def load(keeper: Keeper, task: Task, plan: Plan) -> LoopState:
    """Where to go on: at what the keeper has of the loop, at its end where that has been left behind, else at the very
    start. Raises InputError where that does not fit the plan."""
    kept = keeper.kept
    if kept is None:
        return LoopState()
    try:
        number, steps = (len(plan), 0) if kept.where[0] == RAISED else map(int, kept.where[1:])
        return _loaded(kept, task, plan, number, steps)
    except (ValueError, LookupError, RuntimeError):
        raise kept.damaged() from None


def keep_raised(
    keeper: Keeper,
    number: int,
    field: Pointers,
    solved: Canvas | None,
    losses: Sequence[float],
    rng: torch.Generator,
) -> None:
    """Keep a field that has been carried up so many steps, with what the loop has made, unless the field was given."""
    before = {} if solved is None else _canvas_tensors(solved, losses, rng.get_state())
    keeper.keep((RAISED, str(number)), {**before, "raised": field.index, "rng": rng.get_state()})


def load_raised(
    keeper: Keeper, task_of: Callable[[int], Task], copies: Sequence[str], margin: int, rng: torch.Generator
) -> tuple[int, Pointers | None]:
    """How many steps up have been done, and the field there; the generator is set to what it was. Raises InputError for
    a field that points at nothing. task_of: the task that the step of a number leads to, or LookupError."""
    kept = keeper.kept
    if kept is None or kept.where[0] != RAISED:
        return 0, None
    try:
        number = int(kept.where[1])
        if number < 1:
            raise ValueError
        task = task_of(number - 1)
        planes = laid_out([exemplar.size for exemplar in task.exemplars], copies, margin)
        array = kept.array("raised", np.int32, task.size, 0, planes.pixels - 1, scratch.empty)
        field = Pointers(torch.from_numpy(array), planes, task.tile)
        for top, bottom in spans(task.size):
            index = field.part(top, bottom).index
            if not torch.equal(planes.join(*planes.split(index)), index):
                raise ValueError
        rng.set_state(kept.tensor("rng", torch.uint8, (None,)))
        return number, field
    except (ValueError, LookupError, RuntimeError):
        raise kept.damaged() from None


def losses(kept: Kept) -> tuple[float, ...]:
    """The losses of all steps so far."""
    return tuple(kept.tensor("losses", torch.float64, (None,)).tolist())


def _loaded(kept: Kept, task: Task, plan: Plan, number: int, steps: int) -> LoopState:
    before = number - (steps == 0)
    stage, level = plan[before]
    if before < 0 or not 0 <= steps < max(1, level.steps):
        raise ValueError
    at_level = task.at(level.scale, level.nearest)
    image = kept.tensor("image", torch.float32, (1, 3, *at_level.size)).to(task.device)
    memory = None
    module = method(stage.method)
    inner = replace(kept, prefix="memory.")
    if hasattr(module, "restore") and inner.names:
        memory = module.restore(inner, at_level, stage.settings, steps > 0)
    shown = {name: kept.tensor(f"shown.{name}", torch.float32, (1, 3, None, None)) for name in _shown(kept)}
    copying = [level for stage, level in plan[: before + 1] if method(stage.method).COPIES]
    there = _field(kept, task, copying[-1]) if copying and "field.index" in kept.names else None
    state = LoopState(
        number, steps, Canvas(image, there, memory, shown), losses(kept), kept.tensor("rng", torch.uint8, (None,))
    )
    if len(state.losses) != sum(level.steps for _, level in plan[:number]) + steps:
        raise ValueError
    torch.Generator().set_state(state.rng)  # type: ignore[arg-type]
    return state


def _canvas_tensors(canvas: Canvas, losses: Sequence[float], rng: Tensor) -> dict[str, Tensor]:
    """A canvas without what its method remembers."""
    tensors = {"image": canvas.image, "rng": rng, "losses": torch.tensor(losses, dtype=torch.float64)}
    if isinstance(canvas.field, Field):
        tensors |= _field_tensors(canvas.field)
    return tensors | {f"shown.{name}": picture for name, picture in canvas.shown.items()}


def _shown(kept: Kept) -> list[str]:
    return sorted(name.removeprefix("shown.") for name in kept.names if name.startswith("shown."))


def _field_tensors(field: Field) -> dict[str, Tensor]:
    """The pointers of a field with what belongs to them."""
    copies = torch.tensor([list(COPIES).index(name) for name in field.copies])
    tensors = {"index": field.index, "cost": field.cost, "copies": copies, "margin": torch.tensor(field.atlas.margin)}
    if field.place is not None and field.angle is not None:
        tensors |= {"place": field.place, "angle": field.angle}
    return {f"field.{name}": values for name, values in tensors.items()}


def _field(kept: Kept, task: Task, level: Level) -> Field:
    """The field that a stage ended with at a level, its last one."""
    inner, at_level = replace(kept, prefix="field."), task.at(level.scale, level.nearest)
    size, device = at_level.size, task.device
    copies = [list(COPIES)[n] for n in inner.tensor("copies", torch.int64, (None,), 0, len(COPIES) - 1).tolist()]
    if not copies or len(set(copies)) < len(copies):
        raise ValueError
    margin = int(inner.tensor("margin", torch.int64, (), 0, 64))
    atlas = build_atlas(at_level, copies, margin)
    index = inner.tensor("index", torch.int64, size, 0, len(atlas.home) - 1).to(device)
    if not bool((atlas.home[index] >= 0).all()):
        raise ValueError
    cost = inner.tensor("cost", torch.float32, size).to(device)
    if "place" not in inner.names:
        return Field(index, cost, atlas, task.tile)
    place = inner.tensor("place", torch.float32, (*size, 2)).to(device)
    if float((place - torch.stack(atlas.split(index)[1:], -1)).abs().max()) > 1:
        raise ValueError
    return Field(index, cost, atlas, task.tile, place, inner.tensor("angle", torch.float32, size).to(device))
