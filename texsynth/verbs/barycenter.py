"""barycenter: a texture between two or more, or one that turns from one into another across the picture."""

from __future__ import annotations

from typing import Any

from texsynth.errors import UsageError
from texsynth.job import Input, Job
from texsynth.methods import method
from texsynth.preset import BARYCENTER
from texsynth.requests.barycenter import Request
from texsynth.requests.option import recorded
from texsynth.task import Preset
from texsynth.verbs import blend as shares
from texsynth.verbs import parse, synthesize
from texsynth.verbs.verb import Verb

SIZE = "1x"  # of the first exemplar
MODE = "transport"


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    _check(request)
    notices: list[str] = []
    draft = synthesize.read(request, synthesize.sources(request), notices.append)
    panel = parse.size(SIZE if request.size is None else request.size, draft.exemplars[0].size)
    size = panel[0], panel[1] * (request.steps or 1)
    parse.room(size, 2 * len(draft.exemplars), draft.room)
    entries: list[Input] = []
    values: dict[str, Any] = {"blend": None, "mode": request.mode or MODE}
    if request.blend_map:
        blend, entries = shares.mapped(request.blend_map, size, draft.room, notices.append)
    elif request.steps is not None:
        ends = [number / (request.steps - 1) for number in range(request.steps)]
        blend = shares.panels([(1 - second, second) for second in ends], panel)
    else:
        constant = shares.constant(request.blend, len(draft.exemplars), notices.append)
        blend, values["blend"] = shares.panels([constant], panel), list(constant)
    record = {"size": f"{panel[1]}x{panel[0]}", Request.SECTION: recorded(request, Request.SECTION, **values)}
    return synthesize.finish(draft, "barycenter", size, notices, entries, record, blend=blend)


def check_preset(request: Request, preset: Preset) -> None:
    """Raise UsageError, naming a preset that fits, when `preset` cannot do what the mode asks for."""
    copying = [method(stage.method).COPIES for stage in preset.stages]
    wanted = request.mode or MODE
    if wanted == "mosaic" and not copying[-1]:
        does = "does not end by copying"
    elif wanted == "transport" and all(copying):
        does = "only copies, and mixes nothing"
    else:
        return
    raise UsageError(
        f"--mode {wanted}: preset {preset.name} {does}; --preset {BARYCENTER[wanted]} fits, or the other --mode"
    )


def _check(request: Request) -> None:
    """Refuse what contradicts itself, before anything is read."""
    count = len(request.exemplars or ())
    if count < 2:
        raise UsageError(f"barycenter needs two exemplars or more, and {count} given; `texsynth synthesize` takes one")
    if request.steps is not None and count != 2:
        raise UsageError(f"--steps goes from one exemplar to another, and {count} were given; give two")
    if request.steps is not None and request.steps < 2:
        raise UsageError(f"--steps {request.steps}: at least 2 are needed, the first exemplar and the second")
    shares.check(request.blend_map or (), count)


VERB = Verb(
    "barycenter",
    build,
    default_preset=lambda request: BARYCENTER[request.mode or MODE],
    check_preset=check_preset,
    joins=True,
    repeats_preset=lambda request, record: bool(record[Request.SECTION].get("mode") == (request.mode or MODE)),
)
