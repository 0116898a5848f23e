"""One run of a verb that makes pictures, from its request to its job."""

from __future__ import annotations

import importlib
from typing import Any, cast

from texsynth.job import Job
from texsynth.requests.shared import PictureOptions
from texsynth.task import Preset, Say
from texsynth.verbs.sets import with_maps
from texsynth.verbs.verb import Verb, preset_of, ready
from texsynth.weights.pretrained import Fetching


def called(name: str) -> Verb:
    """The verb of that name."""
    module: Any = importlib.import_module(f"texsynth.verbs.{name}")
    return cast(Verb, module.VERB)


def prepared(name: str, request: PictureOptions, note: Say, say: Say, fetching: Fetching) -> tuple[Job, Preset]:
    """The job of a request that makes one picture, and its preset; raises TexsynthErrors.

    note: is told what is to be noticed about the preset; say: which maps were found, and what is to be noticed about
    the job. fetching: what becomes of weights that are missing.
    """
    verb = called(name)
    preset = preset_of(verb, request)
    request, lines = with_maps(request)
    for line in lines:
        say(line)
    job = ready(verb, request.of(request.inputs()), preset, note, fetching)
    for notice in job.notices:
        say(notice)
    return job, preset
