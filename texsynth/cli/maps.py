"""The commands of `texsynth maps` that make one map out of another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from texsynth.batch.order import Entry, Item
from texsynth.cli import entries, pipes, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Plan
from texsynth.errors import InputError, UsageError, listed
from texsynth.foreign.piped import path_of
from texsynth.image import picture as image
from texsynth.image.files import together
from texsynth.material import names
from texsynth.material.roles import HEIGHT, NORMAL
from texsynth.runs import stop
from texsynth.verbs import maps as verb
from texsynth.verbs.maps import Conversion

READ = {"maps normal": HEIGHT, "maps occlusion": HEIGHT, "maps height": NORMAL}  # the roles that commands read


def prepare(name: str, request: Any, talk: Talk, part: Plan | None = None) -> Command:
    """See runner.execute. part: a share of the plan that is made without it. Raises UsageError and InputError."""
    todo = _planned(name, request) if part is None else part
    if not todo.batch and len(todo.items[0].sources) > 1:
        raise UsageError(f"{len(todo.items[0].sources)} maps need a folder to go to, such as -o made/")

    def actions(item: Item) -> Iterable[Action]:
        with entries.large_arrays(item.out.parent, request):
            work = verb.prepare(name, request, item.sources[0])
        for notice in work.notices:
            talk.note(notice)

        check = partial(pipes.check_place, request, work.size, item.out)
        planned, carry = partial(entries.planned, work, item.out), partial(_run, work, item, request, talk)
        yield Action(
            item.out, _written(item, request), planned, carry, [dict(work.record)], check, _beside(item, request)
        )

    return Command(
        request,
        todo,
        outs=lambda item: [item.out],
        files=lambda item: [*_written(item, request), *_beside(item, request)],
        actions=actions,
        tell=lambda entry: None if pipes.to_stdout(request) else print(entries.line(entry), flush=True),
        document=lambda document: document,
        stopped=partial(entries.stopped, len(todo.items), "maps"),
        alone=lambda item: replace(request, sources=[item.sources[0]], output=str(item.out), file_format=None),
    )


def _planned(name: str, request: Any) -> Plan:
    """The plan of a command: where no file is named, the word for the input's role becomes that for the output's, and
    of a folder those maps are taken that the command is for."""
    word = name.rpartition(" ")[2]
    todo = plan.plan(cast("list[str | Path]", list(request.sources)), request.output, name, request.file_format)
    if not todo.batch and request.output is not None:
        return todo
    items, notices = list(todo.items), list(todo.notices)
    for folder in [path for path in map(path_of, request.sources) if path.is_dir()]:
        inside = [item for item in items if item.sources[0].parent == folder]
        left = _others([item.sources[0] for item in inside], READ[name])
        items = [item for item in items if item.sources[0] not in left]
        if len(left) == len(inside):
            raise InputError(
                f"{folder} holds no map whose name says {READ[name]}, or no role; give the files themselves"
            )
        if left:
            notices.append(f"{folder}: {listed(path.name for path in left)} left out, which are no {READ[name]} maps")
    renamed_items = tuple(
        replace(item, out=item.out.with_name(f"{renamed(item.sources[0].stem, word)}{item.out.suffix}"))
        for item in items
    )
    return replace(todo, items=renamed_items, notices=tuple(notices))


def _others(paths: Sequence[Path], role: str) -> list[Path]:
    """Those of a folder's pictures that a command for a role leaves alone: all that do not say it where some do, else
    those that say another one."""
    kinds = {path: None if (name := names.split(path.stem)) is None else name.kind for path in paths}
    wanted = role if role in kinds.values() else None
    return [path for path, kind in kinds.items() if kind != wanted]


def renamed(stem: str, role: str) -> str:
    """The stem of a map with another role: ("Brick_Height", "normal") -> "Brick_Normal"; ("a", "normal") ->
    "a_normal"."""
    name = names.split(stem)
    if name is None or name.is_letter or not name.before:
        return f"{stem}_{role}"
    return name.called(role.title() if name.word[0].isupper() else role)


def _written(item: Item, request: Any) -> list[Path]:
    """The file of one map, but its record; none on standard output."""
    return [] if pipes.to_stdout(request) else [item.out]


def _beside(item: Item, request: Any) -> list[Path]:
    """The file of its record."""
    return [] if pipes.to_stdout(request) else image.sidecar(item.out, not request.no_metadata)


def _run(work: Conversion, item: Item, request: Any, talk: Talk, replaceable: Collection[Path] | None) -> Entry:
    """Make one map and write it."""
    with entries.large_arrays(item.out.parent, request):
        result = verb.execute(work)
        with stop.later():
            if pipes.to_stdout(request):
                notices = pipes.write(result.image, request, result.record)
            else:
                stored = None if request.no_metadata else dict(result.record)
                with together(item.out, replaceable) as put:
                    notices = image.write(item.out, result.image, metadata=stored, put=put)
    for notice in (*result.notices, *notices):
        talk.note(notice)
    talk.say(f"{item.out.name}: {result.seconds:.1f} s")
    return {
        "image": str(item.out),
        **result.measured,
        "files": {"image": str(item.out)},
        "seconds": round(result.seconds, 3),
        "record": dict(result.record),
    }
