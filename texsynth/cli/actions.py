"""What the command of a verb is made of: its items, and the outputs of each, which are made one after the other."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texsynth.batch.order import Entry, Item, Report
from texsynth.cli import existing
from texsynth.cli.existing import Guard, flag
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Plan
from texsynth.errors import UsageError

KEPT = "{} is kept"  # what is said of an output that is left alone
# The files of cli/ whose `prepare` makes the commands of verbs; pictures.py makes all others.
MAKERS = {
    **{verb: verb for verb in ("propagate", "capture", "train", "evaluate")},
    **{f"maps {command}": "maps" for command in ("normal", "height", "occlusion")},
    "maps stereo": "stereo",
    **{f"maps {command}": "packing" for command in ("pack", "unpack")},
    **{f"tiles {command}": "tiles" for command in ("corner", "wang", "blob", "blend")},
}


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
    left: with --resume the files of a run that was stopped, which it may replace; None for all.
    """

    out: Path
    files: Sequence[Path]
    planned: Callable[[], Entry]
    run: Callable[[Collection[Path] | None], Entry]
    records: Sequence[Mapping[str, Any]] = ()
    check: Callable[[], None] = lambda: None
    beside: Sequence[Path] = ()
    left: Callable[[], frozenset[Path] | None] = lambda: None


def _itself(item: Item) -> Any:
    raise UsageError(f"{item.out}: is no item of a batch")


@dataclass(frozen=True)
class Command:
    """A command, resolved.

    request: with what a record gave back to it.
    outs: the pictures that an item makes: with --skip-existing it is left alone where they are finished.
    files: everything that an item writes, as far as it is known before its inputs are read.
    alone: the request that asks for one item, with its own files in place of folders; InputError.
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
    alone: Callable[[Item], Any] = _itself


def maker(verb: str) -> Callable[..., Command]:
    """What makes the command of a verb, see runner.execute."""
    prepare: Callable[..., Command] = importlib.import_module(f"texsynth.cli.{MAKERS.get(verb, 'pictures')}").prepare
    return prepare


def kept(command: Command, item: Item) -> Report:
    """The report on an item that --skip-existing leaves alone."""
    outs = command.outs(item)
    return Report(item, tuple(map(_kept, outs)), tuple(("note", KEPT.format(out)) for out in outs))


def is_kept(command: Command, item: Item, guard: Guard) -> bool:
    """Does --skip-existing leave an item alone, unread? It does where all pictures are there, and finished."""
    outs = command.outs(item)
    return flag(command.request, "skip_existing") and bool(outs) and all(_finished(guard, out) for out in outs)


def _finished(guard: Guard, out: Path) -> bool:
    return guard.stands(out) and not existing.is_unfinished(out)


def entries(command: Command, item: Item, talk: Talk, guard: Guard) -> Iterator[Entry]:
    """What comes of one item, as it is finished."""
    request, resume = command.request, flag(command.request, "resume")
    if is_kept(command, item, guard):
        for out in command.outs(item):
            talk.note(KEPT.format(out))
            yield _kept(out)
        return
    for action in command.actions(item):
        same = flag(request, "update") and existing.unchanged(action.files, action.out, action.records)
        left = action.left() if resume else None
        if (flag(request, "skip_existing") or same) and _finished(guard, action.out):
            talk.note(KEPT.format(action.out))
            yield _kept(action.out)
            continue
        action.check()
        replaceable = guard.claim([*action.files, *action.beside], left)
        if flag(request, "dry_run"):
            yield {"status": "planned", **action.planned()}
        else:
            yield {"status": "done", **action.run(replaceable)}


def _kept(out: Path) -> Entry:
    return {"status": "kept", "image": str(out)}
