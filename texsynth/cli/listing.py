"""`--list-jobs`: a batch as command lines, one for each of its pictures, for whatever runs command lines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from texsynth.cli import actions
from texsynth.cli.actions import Command
from texsynth.cli.existing import Guard
from texsynth.cli.messages import Talk
from texsynth.errors import UsageError, one_line
from texsynth.foreign import json_text
from texsynth.foreign.piped import STANDARD
from texsynth.requests import option

BATCH = {"keep_going": False, "list_jobs": False, "jobs": None, "shard": None, "json": False}  # what no line says


def show(verb: str, command: Command, talk: Talk, guard: Guard) -> None:
    """Print the lines, or one JSON object. With --skip-existing a picture that stands has none. Raises UsageError and
    InputError."""
    items = [item for item in command.plan.items if not actions.is_kept(command, item, guard)]
    if len(items) < len(command.plan.items):
        talk.note(
            f"{len(command.plan.items) - len(items)} of {len(command.plan.items)} pictures exist and are left out"
        )
    jobs = [(item, _words(verb, replace(command.alone(item), **BATCH))) for item in items]
    if command.request.json:
        entries = [{"input": str(item.sources[0]), "image": str(item.out), "command": words} for item, words in jobs]
        print(json_text.text({"verb": verb, "jobs": entries}, indent=2))
        return
    lines = [shlex.join(words) for _, words in jobs]
    if (broken := next((line for line in lines if "\n" in line), None)) is not None:
        raise UsageError(f"--list-jobs: `{one_line(broken)}` has a line break; --json can tell it")
    for line in lines:
        print(line)


def _words(verb: str, request: object) -> Sequence[str]:
    words = ["texsynth", *verb.split(), *option.words(request)]
    if STANDARD in words:
        raise UsageError("--list-jobs: - is standard input, which only one command can read; give a file")
    return words
