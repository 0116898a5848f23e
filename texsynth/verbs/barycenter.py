"""barycenter: a texture between two or more, or one that turns from one into another across the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from texsynth.errors import UsageError
from texsynth.image.load import Note, Source
from texsynth.job import Input, Job
from texsynth.methods import method
from texsynth.preset import BARYCENTER
from texsynth.task import Preset
from texsynth.verbs import blend as shares
from texsynth.verbs import parse, synthesize

SIZE = "1x"  # of the first exemplar
MODE = "transport"


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
    panel = parse.size(SIZE if request.size is None else request.size, draft.exemplars[0].size)
    size = panel[0], panel[1] * (request.steps or 1)
    parse.room(size, 2 * len(draft.exemplars), draft.memory)
    panels = _shares(request, notices.append)
    entries: list[Input] = []
    if request.blend_map:
        blend, entries = shares.mapped(request.blend_map, size, notices.append)
    else:
        blend = shares.panels(panels, panel)
    job = synthesize.finish(draft, "barycenter", size, notices)
    own = {
        "blend": None if request.blend_map or request.steps else list(panels[0]),
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
    shares.check(request.blend_map, count)


def _shares(request: Request, note: Note) -> list[tuple[float, ...]]:
    """The shares of the exemplars in each panel, adding up to 1; one panel unless there are steps."""
    if request.steps is not None:
        ends = [number / (request.steps - 1) for number in range(request.steps)]
        return [(1 - second, second) for second in ends]
    return [shares.constant(request.blend, len(request.exemplars), note)]
