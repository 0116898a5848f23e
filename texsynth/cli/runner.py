"""The one runner of all verbs: check, prepare, run, save, tell. A verb only says which outputs it makes, and how.

A batch, --json, --dry-run, --force, --skip-existing, --update and --keep-going mean what they mean here, whatever the
verb.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texsynth.cli import existing, failure, lifetime, messages, pipes, streams
from texsynth.cli.existing import Guard, flag
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Item, Plan
from texsynth.errors import BatchError, TexsynthError, UsageError
from texsynth.foreign import json_text
from texsynth.image import picture as image
from texsynth.requests import option
from texsynth.runs import machine, stop

NAMED = 5  # outputs that an error names
Entry = dict[str, Any]  # one output, as --json tells it


@dataclass(frozen=True)
class Action:
    """One output of a command.

    out: what standard output names.
    files: everything that belongs to it.
    beside: what is written too, but may be missing where --update leaves `out` alone.
    check: refuses, before work starts, what could not be written; UsageError.
    records: those with which --update leaves `out` alone.
    planned: what a dry run says of it.
    run: makes and writes it, gets the files whose places it may take, None for all, and says what was done.
    """

    out: Path
    files: Sequence[Path]
    planned: Callable[[], Entry]
    run: Callable[[Collection[Path] | None], Entry]
    records: Sequence[Mapping[str, Any]] = ()
    check: Callable[[], None] = lambda: None
    beside: Sequence[Path] = ()


@dataclass(frozen=True)
class Command:
    """A command, resolved.

    request: with what a record gave back to it.
    outs: the pictures that an item makes: with --skip-existing it is left alone where they exist.
    files: everything that an item writes, as far as it is known before its inputs are read.
    actions: the outputs of an item; reads and checks its inputs, and raises TexsynthErrors.
    tell: what standard output says of an entry.
    document: what --json prints; None for nothing.
    stopped: what is said of the outputs when Ctrl-C has ended the command.
    """

    request: Any
    plan: Plan
    outs: Callable[[Item], Sequence[Path]]
    files: Callable[[Item], Sequence[Path]]
    actions: Callable[[Item], Iterable[Action]]
    tell: Callable[[Entry], None]
    document: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
    stopped: Callable[[Sequence[Entry]], str]


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
    file = verb if verb in ("propagate", "train", "evaluate") else "pictures"  # which all other verbs make
    prepare = importlib.import_module(f"texsynth.cli.{file}").prepare
    lifetime.loaded()
    command: Command = prepare(verb, request, talk)
    # Refuse, before anything is read, what would be lost.
    guard = existing.Guard(command.request, existing.read_by(command.request, command.plan))
    written = [path for item in command.plan.items for path in command.files(item)]
    existing.check_distinct(written)
    guard.check(written)
    if command.plan.batch and not flag(request, "dry_run"):
        folder = command.plan.items[0].out.parent
        existing.make_folder(folder, f"-o {folder}/")
    for notice in command.plan.notices:
        talk.note(notice)
    # Work through the plan, and tell what came of it.
    done: list[Entry] = []
    failed: list[Entry] = []
    try:
        interrupted = _work(command, talk, guard, (done, failed))
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


def _finished(request: Any, done: Sequence[Entry]) -> str:
    """What an error adds about the outputs before it, where standard output has not told them."""
    names = [str(entry["image"]) for entry in done if request.json and entry["status"] == "done" and "image" in entry]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; finished before: {', '.join(names[:NAMED])}{more}" if names else ""


def _work(command: Command, talk: Talk, guard: Guard, results: tuple[list[Entry], list[Entry]]) -> bool:
    """All items of a plan; with --keep-going a failure is told and noted. Was it ended by Ctrl-C, or a signal like it?
    Then no other item is begun."""
    request, (done, failed) = command.request, results
    for item in command.plan.items:
        try:
            for entry in _entries(command, item, talk, guard):
                done.append(entry)
                if not request.json and entry["status"] != "kept":
                    command.tell(entry)
                if entry.get("interrupted") or stop.asked():
                    return True
        except KeyboardInterrupt:
            if stop.twice():
                raise
            return True
        except Exception as error:
            goes_on = flag(request, "keep_going") and command.plan.batch and not stop.asked()
            if not goes_on or isinstance(error, streams.OutputError):
                raise
            if request.debug:
                traceback.print_exception(error)
            text, _ = failure.explain(error)
            talk.fail(text)
            failed.append({"input": str(item.sources[0]), "error": text.removeprefix("error: ")})
    return False


def _entries(command: Command, item: Item, talk: Talk, guard: Guard) -> Iterable[Entry]:
    """What comes of one item, as it is finished."""
    request, outs = command.request, command.outs(item)
    if flag(request, "skip_existing") and outs and all(out.exists() for out in outs):
        yield from (_kept(out, talk) for out in outs)
        return
    for action in command.actions(item):
        there = flag(request, "skip_existing") and action.out.exists()
        if there or (flag(request, "update") and existing.unchanged(action.files, action.out, action.records)):
            yield _kept(action.out, talk)
            continue
        action.check()
        replaceable = guard.claim([*action.files, *action.beside])
        if flag(request, "dry_run"):
            yield {"status": "planned", **action.planned()}
        else:
            yield {"status": "done", **action.run(replaceable)}


def _kept(out: Path, talk: Talk) -> Entry:
    talk.note(f"{out} is kept")
    return {"status": "kept", "image": str(out)}
