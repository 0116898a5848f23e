"""What a verb that makes pictures is: from a request to a checked job. No user error is possible after that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from texsynth import preset as presets
from texsynth.job import Job
from texsynth.requests.shared import PictureOptions
from texsynth.runs import run
from texsynth.task import Preset, Say
from texsynth.training.preset import user_of


@dataclass(frozen=True)
class Verb:
    """A verb, as the command line and the Python API use it.

    name: the word for it.
    build: reads and checks everything; raises UsageError, InputError or ResourceError.
    default_preset: the preset where none is named.
    settings: those settings of the preset that have an option of their own.
    check_preset: raises UsageError, naming one that fits, for a preset that cannot serve.
    joins: is there one picture of all exemplars, and no batch?
    repeats_preset: does the preset of a recorded run still fit the request that repeats it?
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
    own = verb.settings(request)
    verb.check_preset(request, _resolved(verb, request, record, {}))
    return _resolved(verb, request, record, own)


def ready(verb: Verb, request: PictureOptions, preset: Preset, say: Say) -> Job:
    """The job of a request, complete and checked against its preset and the memory limit; raises TexsynthErrors.

    say: told what is fetched.
    """
    job = run.fit(verb.build(request), preset, request.weights, say, request.model)
    run.check_memory(job, preset)
    return job


def _resolved(verb: Verb, request: PictureOptions, record: Mapping[str, Any] | None, own: Mapping[str, Any]) -> Preset:
    values = {**(request.settings or {}), **own}
    if request.method or request.preset or request.quality:
        default = verb.default_preset(request)
    elif record is not None and verb.repeats_preset(request, record):
        return presets.build(record["preset"]["name"], record["preset"], values)
    else:
        default = verb.default_preset(request) if request.model is None else user_of(request.model)
    return presets.resolve(request.method, request.preset, request.quality, values, default)
