"""Requests, jobs and runs of the command line for tests, by the names of the options."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from texsynth.image import picture as image
from texsynth.job import Job
from texsynth.requests.option import check, made


def asked(verb: str, *exemplars: Any, **values: Any) -> Any:
    """The request of a verb for exemplars, on the processor unless another device is named."""
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


def good(ran: Any) -> Any:
    """What a command did, which must have worked without a word on stderr."""
    assert (ran.code, ran.err) == (0, ""), ran
    return ran


def entry_of(texsynth: Callable[..., Any], *words: object) -> dict[str, Any]:
    """What --json says of the only run of a command."""
    ran = texsynth(*words, "--json")
    assert ran.code == 0, ran
    entry: dict[str, Any] = json.loads(ran.out)["runs"][0]
    return entry


def record_of(path: str | Path) -> dict[str, Any]:
    """The record that a picture carries."""
    return image.read_metadata(path) or {}


def same_bytes(*paths: str | Path) -> bool:
    """Do these files hold the same?"""
    return len({Path(path).read_bytes() for path in paths}) == 1
