"""Requests and jobs for tests, by the names of the options."""

from __future__ import annotations

import importlib
from typing import Any

from texsynth.job import Job
from texsynth.requests.option import check, made


def asked(verb: str, *exemplars: Any, **values: Any) -> Any:
    """The request of a verb for exemplars, on the processor unless told otherwise."""
    kind = importlib.import_module(f"texsynth.requests.{verb}").Request
    own = {"exemplars": list(exemplars)} if exemplars else {}
    return made(kind, {"device": "cpu", **own, **values})


def job_of(verb: str, *exemplars: Any, **values: Any) -> Job:
    """The job of a verb for exemplars."""
    build = importlib.import_module(f"texsynth.verbs.{verb}").build
    request = asked(verb, *exemplars, **values)
    check(request)
    job: Job = build(request)
    return job
