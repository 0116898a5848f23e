"""The command of `texsynth capture`: as many photographs as there are, each with its maps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from texsynth.batch.order import Entry, Item
from texsynth.cli import entries, pipes, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Plan, Sought
from texsynth.errors import UsageError
from texsynth.image import picture as image
from texsynth.image.files import together
from texsynth.material.export import Asked
from texsynth.requests.capture import Request
from texsynth.requests.shared import AUTO, NONE
from texsynth.runs import save, stop
from texsynth.verbs import capture as verb
from texsynth.verbs.capture import Captured, Capturing


def prepare(name: str, request: Request, talk: Talk, part: Plan | None = None) -> Command:
    """See runner.execute. A photograph and its maps are read when it is their turn; raises UsageError and InputError.

    part: a share of the plan that is made without it."""
    verb.check(request)
    photos = list(cast("list[str | Path]", request.photos))
    sought = Sought(NONE if request.maps or pipes.to_stdout(request) else request.find_maps, request.normals)
    todo = plan.plan(photos, request.output, name, request.file_format, sought) if part is None else part
    if not todo.batch and len(todo.items[0].sources) > 1:
        raise UsageError(f"{len(todo.items[0].sources)} photographs need a folder to go to, such as -o flat/")
    for item in todo.items:
        _maps(request, item)

    def actions(item: Item) -> Iterable[Action]:
        with entries.large_arrays(item.out.parent, request):
            work = verb.aim(request, item.sources[0], _maps(request, item))
        for notice in work.notices:
            talk.note(notice)
        files = _files(item, {each: layer.picture.depth for each, layer in work.maps.items()})

        check = partial(pipes.check_place, request, work.size, item.out)
        planned, carry = partial(entries.planned, work, item.out), partial(_run, work, files, request, talk)
        written = [] if pipes.to_stdout(request) else list(files.values())
        yield Action(item.out, written, planned, carry, [dict(work.record)], check, _beside(item, request))

    return Command(
        request,
        todo,
        outs=lambda item: [item.out],
        files=lambda item: [] if pipes.to_stdout(request) else [item.out, *_beside(item, request)],
        actions=actions,
        tell=lambda entry: None if pipes.to_stdout(request) else print(entries.line(entry), flush=True),
        document=lambda document: document,
        stopped=partial(entries.stopped, len(todo.items), "photographs"),
        alone=partial(_alone, request),
    )


def _maps(request: Request, item: Item) -> dict[str, Any]:
    """The maps of an item by name, those that were found or those that were named; UsageError, InputError."""
    out: dict[str, Any] = {name: files[0] for name, files in item.maps.items()}
    for name, files in (request.maps or {}).items():
        if len(files) > 1:
            raise UsageError(f"--map {name}: {len(files)} given for one photograph; a folder holds those of several")
        if len(item.sources) == 1 and not Path(str(files[0])).is_dir() and item.number > 0:
            raise UsageError(f"--map {name}={files[0]}: one file for several photographs; give a folder of maps")
        out[name] = plan.paired(files, list(item.sources), f"--map {name}")[0]
    return out


def _files(item: Item, depths: Mapping[str, str]) -> dict[str, Path]:
    """What is written for one photograph, the picture last: where it stands all stands. Maps that were found keep the
    words of their files."""
    inputs = {name: files[0].name for name, files in item.maps.items()}
    return save.paths(item.out, depths, save_field=False, asked=Asked("same" if inputs else None, inputs))


def _beside(item: Item, request: Request) -> list[Path]:
    """The file of its record."""
    return [] if pipes.to_stdout(request) else image.sidecar(item.out, not request.no_metadata)


def _alone(request: Request, item: Item) -> Request:
    """The request for one photograph; InputError."""
    maps = None if item.maps else {name: [file] for name, file in _maps(request, item).items()} or None
    find = AUTO if item.maps else NONE
    out = str(item.out)
    return replace(request, photos=[item.sources[0]], maps=maps, find_maps=find, output=out, file_format=None)


def _run(
    work: Capturing, files: Mapping[str, Path], request: Request, talk: Talk, replaceable: Collection[Path] | None
) -> Entry:
    """Capture one photograph and write what came of it."""
    out = files["image"]
    with entries.large_arrays(out.parent, request):
        result = verb.execute(work)
        with stop.later():
            if pipes.to_stdout(request):
                notices = pipes.write(result.image, request, result.record)
            else:
                notices = _save(result, files, request, replaceable)
    for notice in (*result.remarks, *notices):
        talk.note(notice)
    talk.say(f"{out.name}: {result.seconds:.1f} s")
    return {
        "image": str(out),
        "files": {name: str(path) for name, path in files.items()},
        "size": work.record["size"],
        "remarks": list(result.remarks),
        "seconds": round(result.seconds, 3),
        "record": dict(result.record),
    }


def _save(
    result: Captured, files: Mapping[str, Path], request: Request, replaceable: Collection[Path] | None
) -> list[str]:
    """Write the files of a photograph; gives notices."""
    notices = []
    with together(files["image"], replaceable) as put:
        for name, layer in result.layers.items():
            notices += image.write(files[name], layer, put=put)
        stored = None if request.no_metadata else dict(result.record)
        notices += image.write(files["image"], result.image, metadata=stored, put=put)
    return notices
