"""`--list-jobs`: a batch as command lines, one for each of its pictures, for whatever runs command lines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from texsynth.cli.actions import Command
from texsynth.cli.existing import flag
from texsynth.cli.messages import Talk
from texsynth.errors import UsageError
from texsynth.foreign import json_text
from texsynth.foreign.piped import STANDARD
from texsynth.requests import option

BATCH = {"keep_going": False, "list_jobs": False, "jobs": None, "shard": None, "json": False}  # what no line says


def show(verb: str, command: Command, talk: Talk) -> None:
    """Print the lines, or one JSON object. With --skip-existing a picture that stands has none. Raises UsageError and
    InputError."""
    skips = flag(command.request, "skip_existing")
    items = [item for item in command.plan.items if not (skips and all(out.exists() for out in command.outs(item)))]
    if len(items) < len(command.plan.items):
        talk.note(
            f"{len(command.plan.items) - len(items)} of {len(command.plan.items)} pictures exist and are left out"
        )
    jobs = [(item, _words(verb, replace(command.alone(item), **BATCH))) for item in items]
    if command.request.json:
        entries = [{"input": str(item.sources[0]), "image": str(item.out), "command": words} for item, words in jobs]
        print(json_text.text({"verb": verb, "jobs": entries}, indent=2))
        return
    for _, words in jobs:
        print(shlex.join(words))


def _words(verb: str, request: object) -> Sequence[str]:
    words = ["texsynth", verb, *option.words(request)]
    if STANDARD in words:
        raise UsageError("--list-jobs: - is standard input, which only one command can read; give a file")
    return words
