"""The command of `texsynth propagate`: one edit, and as many targets as there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import cast

from texsynth.batch.order import Entry, Item
from texsynth.cli import entries, messages, pipes, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Plan
from texsynth.errors import UsageError
from texsynth.foreign.piped import path_of
from texsynth.image import picture as image
from texsynth.image.files import together
from texsynth.requests.option import Source
from texsynth.requests.propagate import Request
from texsynth.runs import stop
from texsynth.verbs import propagate as verb
from texsynth.verbs.propagate import Edit, Propagated, Work
from texsynth.weights import pretrained
from texsynth.weights.pretrained import Fetching


def prepare(name: str, request: Request, talk: Talk, part: Plan | None = None) -> Command:
    """See runner.execute. Source and layer are read with the first target; raises UsageError and InputError.

    part: a share of the plan that is made without it."""
    targets = list(cast("list[str | Path]", request.targets))
    todo = plan.plan(targets, request.output, name, request.file_format) if part is None else part
    if not todo.batch and len(todo.items[0].sources) > 1:
        raise UsageError(f"{len(todo.items[0].sources)} targets need a folder to go to, such as -o edited/")
    _check_labels(request, todo)

    @cache
    def edit() -> Edit:
        ready = verb.prepare(request, _label(request, 0, path_of(request.source)), Fetching(talk.fail, request.dry_run))
        for notice in ready.notices:
            talk.note(notice)
        return ready

    def actions(item: Item) -> Iterable[Action]:
        work = verb.aim(edit(), item.sources[0], _label(request, 1 + item.number, item.sources[0]))
        for notice in work.notices:
            talk.note(notice)
        where = _files(item.out, request)

        check = partial(pipes.check_place, request, (work.target.height, work.target.width), item.out)
        planned, carry = partial(_planned, work, item.out), partial(_run, work, where, request, talk)
        yield Action(
            item.out, _written(item, request), planned, carry, [dict(work.record)], check, _beside(item, request)
        )

    return Command(
        request,
        todo,
        outs=lambda item: list(_files(item.out, request).values()),
        files=lambda item: [*_written(item, request), *_beside(item, request)],
        actions=actions,
        tell=lambda entry: None if pipes.to_stdout(request) else print(_words(entry), flush=True),
        document=lambda document: document,
        stopped=partial(entries.stopped, len(todo.items), "targets"),
        alone=partial(_alone, request),
    )


def _files(out: Path, request: Request) -> dict[str, Path]:
    """What is written for one target, the picture last: where it stands all stands."""
    extra = [name for name, asked in (("layer", request.save_layer), ("warp", request.save_warp)) if asked]
    return {**{name: out.with_name(f"{out.stem}_{name}.png") for name in extra}, "image": out}


def _written(item: Item, request: Request) -> list[Path]:
    """The files of one target, but its record; none on standard output."""
    return [] if pipes.to_stdout(request) else list(_files(item.out, request).values())


def _beside(item: Item, request: Request) -> list[Path]:
    """The file of its record."""
    return [] if pipes.to_stdout(request) else image.sidecar(item.out, not request.no_metadata)


def _alone(request: Request, item: Item) -> Request:
    """The request for one target; InputError."""
    target = item.sources[0]
    labels = [_label(request, 0, path_of(request.source)), _label(request, 1 + item.number, target)]
    mapped: list[Source] = [label for label in labels if label is not None]
    return replace(request, targets=[target], labels=mapped or None, output=str(item.out), file_format=None)


def _check_labels(request: Request, todo: Plan) -> None:
    """Refuse label maps that are not those of the source and of each target; UsageError, InputError."""
    labels = request.labels
    if not labels:
        return
    if len(labels) != 1 + todo.count and not (len(labels) == 1 and path_of(labels[0]).is_dir()):
        counts = f"{len(labels)} given for the source and {todo.count} target(s)"
        raise UsageError(f"--labels: {counts}; give it once for each, the source first, or a folder of all")
    for number, picture in ((0, path_of(request.source)), *((1 + item.number, item.sources[0]) for item in todo.items)):
        _label(request, number, picture)


def _label(request: Request, number: int, picture: Path) -> Path | None:
    """The label map of the source, with number 0, or of a target, counted from 1; InputError."""
    if not request.labels:
        return None
    labels = request.labels if len(request.labels) == 1 else [request.labels[number]]
    return path_of(plan.paired(labels, [picture], "--labels")[0])


def _run(
    work: Work, files: dict[str, Path], request: Request, talk: Talk, replaceable: Collection[Path] | None
) -> Entry:
    """Carry the edit to one target and write what came of it."""
    out = files["image"]

    def tick(step: int, steps: int) -> messages.Tick:
        values = {"stage": "propagate", "step": step, "steps": steps}
        return messages.Tick(step / steps, values, f"step {step}/{steps}")

    with talk.watch(out.name) as watch:
        result = verb.execute(work, lambda step, steps: watch(tick(step, steps)), "warp" in files)
    if result.relit:
        talk.say(f"{out.name}: compared in the source's light")
    with stop.later():
        if pipes.to_stdout(request):
            notices = pipes.write(result.image, request, result.record)
        else:
            notices = _save(result, files, request, replaceable)
    for notice in notices:
        talk.note(notice)
    talk.say(f"{out.name}: {result.covered:.0%} covered, distance {result.distance:.3f}, {result.seconds:.1f} s")
    return {
        "image": str(out),
        "files": {name: str(path) for name, path in files.items()},
        "seed": work.record["seed"],
        "covered": round(result.covered, 4),
        "distance": round(result.distance, 4),
        "relit": result.relit,
        "seconds": round(result.seconds, 3),
        "record": dict(result.record),
    }


def _save(
    result: Propagated, files: Mapping[str, Path], request: Request, replaceable: Collection[Path] | None
) -> list[str]:
    """Write the files of a target; gives notices."""
    notices = []
    with together(files["image"], replaceable) as put:
        for name in [name for name in files if name != "image"]:
            notices += image.write(files[name], verb.storable(result, name), put=put)
        stored = None if request.no_metadata else dict(result.record)
        notices += image.write(files["image"], result.image, metadata=stored, put=put)
    return notices


def _planned(work: Work, out: Path) -> Entry:
    return {**entries.planned(work, out), "fetches": pretrained.plan(work.edit.absent)}


def _words(entry: Entry) -> str:
    """What standard output says about a target: its path, or its plan."""
    if entry["status"] == "done":
        return str(entry["image"])
    own = entry["record"]["propagate"]
    needs = f"{entries.cost(entry)}{messages.fetches(entry)}"
    return f"{entry['image']}: {entry['size']}, {own['blend']} by {own['features']}, {needs}"
