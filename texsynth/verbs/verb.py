"""What a verb that makes pictures is: from a request to a checked job. No user error is possible after that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from texsynth import preset as presets
from texsynth.errors import UsageError
from texsynth.job import Job
from texsynth.methods import STAGE_BEFORE, method, unused_by
from texsynth.requests.option import Option, given
from texsynth.requests.shared import AUTO, PictureOptions
from texsynth.runs import run
from texsynth.task import Preset, Say, Task
from texsynth.weights.pretrained import Fetching


@dataclass(frozen=True)
class Verb:
    """A verb, as the command line and the Python API use it.

    name: The word that the user types.
    build: Reads and checks all inputs; raises UsageError, InputError or ResourceError.
    default_preset: The preset that runs where the user names none.
    settings: The settings of the preset that have an option of their own.
    check_preset: Raises UsageError, naming a better preset, where a preset cannot serve the request.
    joins: Is one picture made of all exemplars, so that there is no batch?
    repeats_preset: Does the preset of a recorded run still fit the request that repeats it?
    """

    name: str
    build: Callable[[Any], Job]
    default_preset: Callable[[Any], str] = lambda _: presets.DEFAULT
    settings: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    check_preset: Callable[[Any, Preset], None] = lambda _request, _preset: None
    joins: bool = False
    repeats_preset: Callable[[Any, Mapping[str, Any]], bool] = lambda _request, _record: True


def preset_of(verb: Verb, request: PictureOptions, record: Mapping[str, Any] | None = None) -> Preset:
    """The preset that a request asks for, or else that of the recorded run that it repeats; raises UsageError."""

    def resolved(options: Mapping[str, Any]) -> Preset:
        values = {**(request.settings or {}), **options}
        named = request.method or request.preset or request.quality
        if not named and record is not None and verb.repeats_preset(request, record):
            return presets.build(record["preset"]["name"], record["preset"], values)
        if named or request.model is None:
            default = verb.default_preset(request)
        else:
            from texsynth.training.preset import user_of  # and with it what trains networks

            default = user_of(request.model)
        return presets.resolve(request.method, request.preset, request.quality, values, default)

    settings = verb.settings(request)
    preset = resolved({})
    verb.check_preset(request, preset)
    return resolved(settings) if settings else preset


def ready(
    verb: Verb,
    request: PictureOptions,
    preset: Preset,
    say: Say,
    fetching: Fetching,
    chosen: Sequence[Option] | None = None,
) -> Job:
    """The job of a request, checked against its preset and the memory limit; raises TexsynthErrors.

    `say` is called with what is to be noticed about the preset; `fetching`: what becomes of weights that are missing;
    `chosen`: the options that must mean something to the preset, by default all that the request holds.
    """
    job, held = verb.build(request), given(request)
    guiding = [o for guide in job.task.guides for o in held if o.name in guide.requested]  # also those of a record
    check_use([*guiding, *(held if chosen is None else chosen)], job.task, preset)  # before weights are fetched
    if job.maps and request.find_maps == AUTO and not any(method(stage.method).COPIES for stage in preset.stages):
        names = ", ".join(job.maps)
        raise UsageError(
            f"preset {preset.name} copies nothing, so the maps {names} that were found by name cannot follow; "
            f"--maps none leaves them out, and {presets.DEFAULT} copies"
        )
    job = run.fit(job, preset, request.weights, say, request.model, fetching)
    run.check_memory(job, preset)
    return job


def check_use(chosen: Sequence[Option], task: Task, preset: Preset) -> None:
    """Refuse an option of which a preset makes nothing in this task; UsageError names one that does, if there is."""
    unused = _unused(task, preset)
    for o in (o for o in chosen if o.name in unused):
        other = o.name not in _unused(task, presets.load(presets.DEFAULT))
        fix = f"--preset {presets.DEFAULT} does" if other else "leave the flag out"
        raise UsageError(f"{o.flag}: preset {preset.name} makes nothing of it here; {fix}")


def _unused(task: Task, preset: Preset) -> frozenset[str]:
    """The names of the options of which no stage of a preset makes anything."""
    copying = [method(stage.method).COPIES for stage in preset.stages]
    ends = ({"exact_copies"} if not copying[-1] else set()) | (
        {"save_field", "map_weight"} if not any(copying) else set()
    )
    each = [unused_by(stage, task) for stage in preset.stages]
    first = max((number for number, names in enumerate(each) if STAGE_BEFORE in names), default=0)
    return frozenset.intersection(*each[first:]) | ends
