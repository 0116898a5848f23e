"""The one runner of all verbs: check, prepare, run, save, tell. A verb only says which outputs it makes, and how.

A batch, --json, --dry-run, --force, --skip-existing, --update and --keep-going mean what they mean here, whatever the
verb.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from texsynth.batch.order import Entry, Report
from texsynth.batch.share import Share
from texsynth.cli import actions, executors, existing, failure, lifetime, listing, messages, pipes
from texsynth.cli.actions import Command
from texsynth.cli.existing import flag
from texsynth.cli.messages import Talk
from texsynth.errors import BatchError, TexsynthError, UsageError
from texsynth.foreign import json_text
from texsynth.image import picture as image
from texsynth.requests import option
from texsynth.runs import machine, stop

NAMED = 5  # outputs that an error names


def execute(verb: str, request: Any) -> int:
    """Run a verb to its exit code; raises TexsynthError. The `prepare` of a file of cli/ makes the command of a verb:
    it checks everything that can be checked without reading pictures, and fills in what a record gives back."""
    option.check(request)
    if flag(request, "update") and flag(request, "no_metadata"):
        raise UsageError("--update compares with the record that --no-metadata leaves out; give one of them")
    machine.use_threads(request.threads)
    machine.reuse_memory()
    talk = messages.talk(request)
    request = pipes.filled(verb, request)
    prepare = actions.maker(verb)
    lifetime.loaded()
    command: Command = prepare(verb, request, talk)
    part = executors.check(command)
    # Refuse, before anything is read, what would be lost.
    guard = existing.Guard(command.request, existing.read_by(command.request, command.plan.items))
    existing.check_distinct(path for item in command.plan.items for path in command.files(item))
    command = command if part is None else _shared(command, part)
    guard.check([path for item in command.plan.items for path in command.files(item)])
    for notice in command.plan.notices:
        talk.note(notice)
    if flag(request, "list_jobs"):
        listing.show(verb, command, talk, guard)
        return 0
    if command.plan.batch and not flag(request, "dry_run"):
        existing.make_folder(Path(command.request.output), f"-o {Path(command.request.output)}/")
    # Work through the plan, and tell what came of it.
    done: list[Entry] = []
    failed: list[Entry] = []
    try:
        with closing(executors.chosen(verb, command, talk, guard, part)) as reports:  # which ends what is at work
            interrupted = _work(command, talk, reports, (done, failed))
    except TexsynthError as error:
        raise type(error)(f"{error}{_finished(request, done)}") from error
    left = [{"input": str(path), "reason": image.left_out_reason(path)} for path in command.plan.left_out]
    results = {"verb": verb, "runs": done, "failed": failed, "left_out": left, "interrupted": interrupted}
    with stop.later():
        if request.json and (document := command.document(results)) is not None:
            print(json_text.text(document, indent=2))
    if interrupted:
        raise failure.InterruptError(command.stopped(done))
    if failed:
        raise BatchError(f"{len(failed)} of {len(command.plan.items)} inputs failed")
    return 0


def _shared(command: Command, part: Share) -> Command:
    """A share of a command, which may be none of its items."""
    whole = command.plan
    items = part.of(whole.items)
    nothing = () if items else (f"--shard {part}: nothing to do, as there are only {len(whole.items)} pictures",)
    return replace(
        command, plan=replace(whole, items=items, notices=(*whole.notices, *nothing), whole=len(whole.items))
    )


def _finished(request: Any, done: Sequence[Entry]) -> str:
    """What an error adds about the outputs before it, where standard output has not told them."""
    names = [str(entry["image"]) for entry in done if request.json and entry["status"] == "done" and "image" in entry]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; finished before: {', '.join(names[:NAMED])}{more}" if names else ""


def _work(command: Command, talk: Talk, reports: Generator[Report], results: tuple[list[Entry], list[Entry]]) -> bool:
    """Tell the reports on all items; with --keep-going failures are told and noted, else the first is raised, when what
    was begun is finished. Was the work ended by Ctrl-C, or a signal like it?"""
    request, (done, failed) = command.request, results
    first: Exception | None = None
    stopped = False
    try:
        for report in reports:
            for kind, text in report.lines:
                getattr(talk, kind)(text)
            for entry in report.entries:
                # Thousands of records would fill the memory where --json does not ask for them.
                done.append(entry if request.json else {name: entry[name] for name in entry if name != "record"})
                if not request.json and entry["status"] != "kept":
                    command.tell(entry)
            stopped = stopped or report.stopped or any(entry.get("interrupted") for entry in report.entries)
            goes_on = flag(request, "keep_going") and command.plan.batch and not stop.asked()
            if report.error is not None and not goes_on and first is None:
                first = report.error
            elif report.error is not None:
                if request.debug:
                    traceback.print_exception(report.error)
                text, _ = failure.explain(report.error)
                talk.fail(text)
                failed.append({"input": str(report.item.sources[0]), "error": text.removeprefix("error: ")})
    except KeyboardInterrupt:
        if stop.twice():
            raise
        return True
    if first is not None:
        raise first
    return stopped or stop.asked()  # which may have left out items that nobody reports on
