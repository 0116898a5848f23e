"""barycenter: a texture between two or more, or one that turns from one into another across the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.errors import UsageError
from texsynth.job import Input, Job
from texsynth.methods import method
from texsynth.preset import BARYCENTER
from texsynth.task import Preset
from texsynth.verbs import inputs, synthesize, values
from texsynth.verbs.inputs import Note, Source

SIZE = "1x"  # of the first exemplar
MODE = "transport"
ROUNDING = 1e-6  # by how much shares that add up to 1 may miss it


@dataclass(frozen=True)
class Request(synthesize.Request):
    """What was asked for, in the words of the command line. At most one of blend, blend_map and steps; without any,
    equal shares.

    blend: the share of each exemplar. blend_map: for two exemplars one map, black for the first and white for the
    second; for more, one map for each. steps: so many panels of `size` side by side, from the first exemplar to the
    second. mode: "transport", every pixel mixes all, or "mosaic", every pixel is copied from one.
    """

    blend: str | Sequence[float] | None = None
    blend_map: Sequence[Source] = ()
    steps: int | None = None
    mode: str = MODE


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    _check(request)
    notices: list[str] = []
    draft = synthesize.read(request, notices.append)
    panel = values.size(SIZE if request.size is None else request.size, draft.exemplars[0].size)
    size = panel[0], panel[1] * (request.steps or 1)
    values.room(size, 2 * len(draft.exemplars), draft.memory)
    shares = _shares(request, notices.append)
    blend, entries = _maps(request, size, notices.append)
    if blend is None:
        blend = _panels(shares, panel)
    job = synthesize.finish(draft, "barycenter", size, notices)
    own = {
        "blend": None if request.blend_map or request.steps else list(shares[0]),
        "steps": request.steps,
        "mode": request.mode,
    }
    return replace(
        job,
        task=replace(job.task, blend=blend),
        inputs=(*job.inputs, *entries),
        values={**job.values, "size": f"{panel[1]}x{panel[0]}", "barycenter": own},
    )


def check_mode(mode: str) -> None:
    """Raise UsageError for a mode that is none."""
    if mode not in BARYCENTER:
        raise UsageError(f"--mode {mode!r} is not one of {', '.join(BARYCENTER)}")


def check_preset(mode: str, preset: Preset) -> None:
    """Raise UsageError, naming a preset that fits, when `preset` cannot do what the mode asks for."""
    check_mode(mode)
    copying = [method(stage.method).COPIES for stage in preset.stages]
    if mode == "mosaic" and not copying[-1]:
        does = "does not end by copying"
    elif mode == "transport" and all(copying):
        does = "only copies, and mixes nothing"
    else:
        return
    raise UsageError(
        f"--mode {mode}: preset {preset.name} {does}; --preset {BARYCENTER[mode]} fits, or the other --mode"
    )


def _check(request: Request) -> None:
    """Refuse what contradicts itself, before anything is read."""
    count = len(request.exemplars)
    if count < 2:
        raise UsageError(f"barycenter needs two exemplars or more, and {count} given; `texsynth synthesize` takes one")
    check_mode(request.mode)
    ways = {"--blend": request.blend is not None, "--blend-map": bool(request.blend_map)}
    given = [flag for flag, is_given in {**ways, "--steps": request.steps is not None}.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
    if request.steps is not None and count != 2:
        raise UsageError(f"--steps goes from one exemplar to another, and {count} were given; give two")
    if request.steps is not None and request.steps < 2:
        raise UsageError(f"--steps {request.steps}: at least 2 are needed, the first exemplar and the second")
    maps = 1 if count == 2 else count
    if request.blend_map and len(request.blend_map) != maps:
        each = "once, black for the first and white for the second" if maps == 1 else "once for each, in order"
        raise UsageError(f"--blend-map: {len(request.blend_map)} given for {count} exemplars; give it {each}")


def _shares(request: Request, note: Note) -> list[tuple[float, ...]]:
    """The shares of the exemplars in each panel, adding up to 1; one panel unless there are steps."""
    if request.steps is not None:
        ends = [number / (request.steps - 1) for number in range(request.steps)]
        return [(1 - second, second) for second in ends]
    count = len(request.exemplars)
    if request.blend is None:
        return [(1 / count,) * count]
    given = values.shares(request.blend, count)
    if abs(sum(given) - 1) <= ROUNDING:
        return [given]
    shares = tuple(weight / sum(given) for weight in given)
    told = ",".join(f"{share:.4g}" for share in shares)
    note(f"--blend {','.join(f'{weight:g}' for weight in given)} adds up to {sum(given):g}, not 1; taken as {told}")
    return [shares]


def _panels(shares: Sequence[tuple[float, ...]], panel: tuple[int, int]) -> Tensor:
    """Panels (height, width) side by side, (1, K, h, w), the shares of each the same all over it."""
    return torch.cat([torch.tensor(each).view(1, -1, 1, 1).expand(-1, -1, *panel) for each in shares], 3)


def _maps(request: Request, size: tuple[int, int], note: Note) -> tuple[Tensor | None, list[Input]]:
    """The shares that --blend-map gives each pixel, (1, K, *size), None without one; and what was read."""
    maps, entries = [], []
    for source in request.blend_map:
        picture, entry = inputs.load(source, "blend-map")
        whole = inputs.stretched(picture, size, "data", entry.name, note)
        maps.append(whole.pixels.mean(1, keepdim=True).clamp(0, 1))
        entries.append(entry)
    if not maps:
        return None, entries
    if len(maps) == 1:
        return torch.cat([1 - maps[0], maps[0]], 1), entries
    weights = torch.cat(maps, 1)
    total = weights.sum(1, keepdim=True)
    return torch.where(total > 0, weights / total.clamp(min=1e-12), 1 / len(maps)), entries
