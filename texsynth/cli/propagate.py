"""texsynth propagate."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from texsynth.cli import failure, messages
from texsynth.cli.options import Common
from texsynth.cli.verb import takes
from texsynth.errors import BatchError, UsageError

if TYPE_CHECKING:
    from texsynth.cli.plan import Item, Plan
    from texsynth.verbs.propagate import Edit, Result, Work

EXAMPLES = """Examples:

texsynth synthesize samples/rust.png -o panel.png

texsynth propagate samples/rust.png samples/rust_progression.png panel.png --blend screen --strength 0.5 -o dusty.png

texsynth propagate samples/rust.png samples/rust_progression.png samples/rust.png panel.png --blend multiply -o out/"""

SHARED = ("model", "weights", "output", "no_metadata", "force", "skip_existing", "update", "keep_going", "seed")
MACHINE = ("device", "threads", "max_memory", "dry_run", "json", "progress", "quiet", "verbose", "debug")
SOURCE = "The picture that was painted over."
LAYER = "The edit alone, aligned with the source: with alpha; or on white for multiply, on black for screen."
TARGETS = "Pictures of the same texture at the same scale, files, folders or globs; with several, OUT is a folder."
BLEND = "How the layer lies on the target. Default: normal."
FEATURES = "What pixels are compared by: windows of colours, or maps of a network. Default: windows, or --model."
LABELS = (
    "What is what, as it was painted for --model: once for SOURCE and once for each TARGET, in order, or a folder, "
    "paired by stem. Default: unknown."
)
COHERENCE = "More keeps larger pieces of the layer together, less follows the target's details. Default: 1."
LIGHT = (
    "Compare the target in the source's brightness and contrast: never, always, or where that brings it much closer. "
    "Default: auto."
)
SAVE_WARP = "Write the source in the target's layout: STEM_warp.png shows what corresponds."
Entry = dict[str, Any]  # one target, as --json tells it


def _option(names: str, text: str, metavar: str | None = None, **rest: Any) -> Any:
    return typer.Option(
        *names.split(), help=text, metavar=metavar, rich_help_panel="Propagation", show_default=False, **rest
    )


def _among(*words: str) -> Callable[[str], list[str]]:
    """Shell completion from a fixed list."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _choice(name: str, text: str, *words: str) -> Any:
    return _option(name, text, "|".join(words), autocompletion=_among(*words))


@takes(*SHARED, *MACHINE)
def propagate(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE, show_default=False)],
    layer: Annotated[str, typer.Argument(metavar="LAYER", help=LAYER, show_default=False)],
    targets: Annotated[list[str], typer.Argument(metavar="TARGET", help=TARGETS, show_default=False)],
    *,
    blend: Annotated[str, _choice("--blend", BLEND, "normal", "multiply", "screen")] = "normal",
    strength: Annotated[float, _option("--strength", "Of the layer, 0 to 1. Default: 1.", "X")] = 1.0,
    features: Annotated[str | None, _choice("--features", FEATURES, "windows", "vgg19")] = None,
    labels: Annotated[list[str] | None, _option("--labels", LABELS, "MAP")] = None,
    coherence: Annotated[float, _option("--coherence", COHERENCE, "X")] = 1.0,
    light: Annotated[str, _choice("--light", LIGHT, "auto", "keep", "match")] = "auto",
    save_layer: Annotated[bool, _option("--save-layer", "Write the warped layer alone: STEM_layer.png.")] = False,
    save_warp: Annotated[bool, _option("--save-warp", SAVE_WARP)] = False,
    common: Common,
) -> int:
    """Carry an edit that was painted over one picture to others of its texture.

    Where targets are no copies of the source, a network of `texsynth train cocosnet` (--model) sees more than windows.
    """
    from texsynth.cli import plan
    from texsynth.runs import machine  # brings torch, which --help and completion do without
    from texsynth.verbs import propagate as verb

    machine.use_threads(common.threads)
    machine.reuse_memory()
    talk = messages.talk(common)
    todo = plan.plan(targets, common.output, "propagate")
    maps = _labels(labels or [], Path(source), todo)
    request = verb.Request(
        Path(source),
        Path(layer),
        blend=blend,
        strength=strength,
        features=features,
        coherence=coherence,
        light=light,
        weights=common.weights,
        model=common.model,
        labels=maps[0],
        seed=common.seed or 0,
        device=common.device,
        max_memory=common.max_memory,
    )
    extra = tuple(name for name, asked in zip(verb.FILES, (save_layer, save_warp), strict=True) if asked)
    _check_files(todo, extra, [source, layer, *(str(path) for path in maps if path)], common)
    for notice in todo.notices:
        talk.note(notice)
    edit = verb.prepare(request, talk.note)
    for notice in edit.notices:
        talk.note(notice)
    if todo.batch and not common.dry_run:
        plan.make_folder(todo)
    return _told(_Command(common, talk, todo, edit, extra, maps[1:]))


@dataclass(frozen=True)
class _Command:
    """One call: extra are the files that each target has beside its picture, maps the labels of each, if known."""

    common: Common
    talk: messages.Talk
    todo: Plan
    edit: Edit
    extra: tuple[str, ...]
    maps: Sequence[Path | None]


def _labels(given: list[str], source: Path, todo: Plan) -> list[Path | None]:
    """The label map of the source, and of each target; UsageError, InputError."""
    from texsynth.cli import plan

    pictures = [source, *(path for item in todo.items for path in item.sources)]
    if not given:
        return [None] * len(pictures)
    if len(given) == 1 and Path(given[0]).is_dir():
        return [plan.paired(given, [picture], "--labels")[0] for picture in pictures]
    if len(given) != len(pictures):
        told = f"{len(given)} given for the source and {len(pictures) - 1} target(s)"
        raise UsageError(f"--labels: {told}; give it once for each, the source first, or a folder of all")
    return [Path(name) for name in given]


def _files(out: Path, extra: tuple[str, ...]) -> dict[str, Path]:
    """What is written for one target, the picture last: where it stands all stands."""
    return {**{name: out.with_name(f"{out.stem}_{name}.png") for name in extra}, "image": out}


def _check_files(todo: Plan, extra: tuple[str, ...], reads: list[str], common: Common) -> None:
    """Refuse, before work starts, to overwrite an input, what exists, or one output by another; UsageError."""
    from texsynth.cli import existing
    from texsynth.cli.plan import Item, Plan

    if not todo.batch and len(todo.items[0].sources) > 1:
        raise UsageError(f"{len(todo.items[0].sources)} targets need a folder to go to, such as -o edited/")
    files = [path for item in todo.items for path in _files(item.out, extra).values()]
    if twice := [path for path in files if files.count(path) > 1]:
        raise UsageError(f"{twice[0].name} is the name of two files to write; rename a target, or run them apart")
    inputs = existing.read_by(todo, common, [*reads, *(str(file) for file in (common.weights, common.model) if file)])
    existing.check_pictures(Plan(tuple(Item((), path) for path in files), todo.batch), inputs, common)


def _told(command: _Command) -> int:
    """All targets, and what stdout says of them; raises BatchError and InterruptError."""
    done: list[Entry] = []
    failed: list[Entry] = []
    interrupted = False
    try:
        for entry in _entries(command, failed):
            done.append(entry)
            if not command.common.json and entry["status"] != "kept":
                print(_words(entry), flush=True)
    except KeyboardInterrupt:
        interrupted = True
    if command.common.json:
        told = {"verb": "propagate", "runs": done, "failed": failed, "interrupted": interrupted}
        print(json.dumps(told, indent=2))
    if interrupted:
        finished = sum(entry["status"] == "done" for entry in done)
        raise failure.InterruptError(f"{finished} of {len(command.todo.items)} targets are written")
    if failed:
        raise BatchError(f"{len(failed)} of {len(command.todo.items)} inputs failed")
    return 0


def _entries(command: _Command, failed: list[Entry]) -> Iterator[Entry]:
    """Target by target; with --keep-going a failure is told and noted."""
    for item, labels in zip(command.todo.items, command.maps, strict=True):
        try:
            yield _one(command, item, labels)
        except Exception as error:
            if not (command.common.keep_going and command.todo.batch):
                raise
            if command.common.debug:
                traceback.print_exception(error)
            text, _ = failure.explain(error)
            command.talk.fail(text)
            failed.append({"input": str(item.sources[0]), "error": text.removeprefix("error: ")})


def _one(command: _Command, item: Item, labels: Path | None) -> Entry:
    from texsynth.cli import existing
    from texsynth.image import picture as image
    from texsynth.verbs import propagate as verb

    common, talk, files = command.common, command.talk, _files(item.out, command.extra)
    if common.skip_existing and item.out.exists():
        return _kept(command, item.out)
    work = verb.aim(command.edit, item.sources[0], labels)
    if common.update and existing.unchanged(list(files.values()), item.out, [dict(work.record)]):
        return _kept(command, item.out)
    for notice in work.notices:
        talk.note(notice)
    if common.dry_run:
        return _planned(work, item.out)
    image.check_writable(item.out, (work.target.height, work.target.width))
    with talk.watch(item.out.name) as watch:
        result = verb.execute(work, lambda step, steps: watch(_tick(step, steps)), "warp" in files)
    if result.relit:
        talk.say(f"{item.out.name}: compared in the source's light")
    for notice in _write(result, files, common):
        talk.note(notice)
    talk.say(f"{item.out.name}: {result.covered:.0%} covered, distance {result.distance:.3f}, {result.seconds:.1f} s")
    return {
        "status": "done",
        "image": str(item.out),
        "files": {name: str(path) for name, path in files.items()},
        "seed": work.record["seed"],
        "covered": round(result.covered, 4),
        "distance": round(result.distance, 4),
        "relit": result.relit,
        "seconds": round(result.seconds, 3),
        "record": dict(result.record),
    }


def _write(result: Result, files: dict[str, Path], common: Common) -> list[str]:
    """The files of one target; gives what was lost in them."""
    from texsynth.image import picture as image
    from texsynth.verbs import propagate as verb

    notices = []
    for name in verb.FILES:
        if name in files:
            notices += image.write(files[name], verb.storable(result, name))
    stored = None if common.no_metadata else dict(result.record)
    return notices + image.write(files["image"], result.image, metadata=stored)


def _tick(step: int, steps: int) -> messages.Tick:
    words = f"step {step}/{steps}"
    return messages.Tick(step / steps, {"stage": "propagate", "step": step, "steps": steps}, words)


def _kept(command: _Command, out: Path) -> Entry:
    command.talk.note(f"{out} is kept")
    return {"status": "kept", "image": str(out)}


def _planned(work: Work, out: Path) -> Entry:
    return {
        "status": "planned",
        "image": str(out),
        "size": work.record["size"],
        "memory_bytes": work.cost.memory,
        "seconds": round(work.cost.seconds, 1),
        "record": dict(work.record),
    }


def _words(entry: Entry) -> str:
    """What stdout says about a target: its path, or its plan."""
    from texsynth.runs import run

    if entry["status"] == "done":
        return str(entry["image"])
    cost = f"about {run.gigabytes(entry['memory_bytes'])} and {entry['seconds']:.0f} s on two cores"
    own = entry["record"]["propagate"]
    return f"{entry['image']}: {entry['size']}, {own['blend']} by {own['features']}, {cost}"
