"""texsynth train."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from texsynth import preset as presets
from texsynth import registry, settings
from texsynth.cli import failure, messages
from texsynth.cli.options import Common
from texsynth.cli.verb import takes

if TYPE_CHECKING:
    from texsynth.verbs.train import Lesson, Trained

EXAMPLES = """Examples:

texsynth train texture-net samples/pebbles.png -o pebbles.safetensors

texsynth train texture-net samples/pebbles.png -o pebbles.safetensors --resume --steps 6000

texsynth train pseudo-optimizer photos/ -o photos.safetensors --weights vgg19.safetensors

texsynth synthesize samples/pebbles.png --model pebbles.safetensors -s 2048 -o beach.png"""

RECIPES = [name.replace("_", "-") for name in registry.RECIPES.names()]
SHARED = ("crop", "flatten", "weights", "sets", "seed", "force", "dry_run", "device", "threads", "max_memory")
MESSAGES = ("json", "progress", "quiet", "verbose", "debug")
MAPS = "For recipes that take maps: once for each exemplar, or a folder, paired by stem."
EXEMPLARS = "Pictures that one network learns from, folders or globs."
OUTPUT = "The model to write, NAME.safetensors; its course, samples and checkpoint go to NAME_training/."


def _option(names: str, text: str, metavar: str | None = None, **rest: Any) -> Any:
    return typer.Option(
        *names.split(), help=text, metavar=metavar, rich_help_panel="Training", show_default=False, **rest
    )


def _presets(incomplete: str) -> list[str]:
    return [name for name in presets.trained() if name.startswith(incomplete)]


def _recipes(incomplete: str) -> list[str]:
    return [name for name in RECIPES if name.startswith(incomplete)]


@takes(*SHARED, *MESSAGES)
def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help=f"One of {', '.join(RECIPES)}.", autocompletion=_recipes)
    ],
    exemplars: Annotated[list[str], typer.Argument(metavar="EXEMPLAR", help=EXEMPLARS, show_default=False)],
    *,
    output: Annotated[
        str | None, _option("-o --output", f"{OUTPUT} Default: STEM_RECIPE.safetensors here.", "MODEL")
    ] = None,
    preset: Annotated[
        str | None,
        _option(
            "-p --preset",
            "A preset of the recipe (see `texsynth presets list`) or a file of your own. Default: RECIPE.",
            "NAME|FILE.yaml",
            autocompletion=_presets,
        ),
    ] = None,
    steps: Annotated[
        int | None, _option("--steps", "Updates of the network. Default: the preset's.", "N", min=1)
    ] = None,
    labels: Annotated[list[str] | None, _option("--labels", f"Which label each pixel has. {MAPS}", "MAP")] = None,
    progression: Annotated[
        list[str] | None, _option("--progression", f"How far its change of appearance is. {MAPS} Or auto.", "MAP|auto")
    ] = None,
    orientation: Annotated[
        list[str] | None, _option("--orientation", f"In which direction it runs. {MAPS} Or auto.", "MAP|auto")
    ] = None,
    resume: Annotated[bool, _option("--resume", "Go on from the last checkpoint, as if it had never stopped.")] = False,
    common: Common,
) -> int:
    """Train a network on exemplars, for synthesis in one pass: use it with `--model`."""
    from texsynth.cli import plan
    from texsynth.runs import machine  # brings torch, which --help and completion do without
    from texsynth.verbs import train as verb

    machine.use_threads(common.threads)
    machine.reuse_memory()
    talk = messages.talk(common)
    sources = tuple(path for argument in exemplars for path in plan.expand(argument))
    kinds = {"labels": labels, "progression": progression, "orientation": orientation}
    request = verb.Request(
        recipe,
        sources,
        Path(output or f"{sources[0].stem}_{recipe}.safetensors"),
        preset=preset,
        values=settings.parse(common.sets or []),
        steps=steps,
        resume=resume,
        force=common.force,
        seed=common.seed,
        crop=common.crop,
        flatten=common.flatten,
        **{name: _maps(given, sources, f"--{name}") for name, given in kinds.items() if given},
        weights=common.weights,
        device=common.device,
        max_memory=common.max_memory,
    )
    lesson = verb.build(request, talk.note)
    for notice in lesson.notices:
        talk.note(notice)
    if common.dry_run:
        _tell(_planned(lesson), common.json)
        return 0
    trained = _run(lesson, talk)
    if trained.model is not None:
        _tell(_done(lesson, trained), common.json)
    if trained.interrupted:
        best = "" if trained.model is None else f"; the best network so far is {trained.model}"
        step = f"step {trained.state.step} of {lesson.preset.settings.steps}"
        raise failure.InterruptError(f"{step} is kept, --resume goes on from there{best}")
    return 0


def _maps(given: Sequence[str], exemplars: Sequence[Path], flag: str) -> Sequence[str | Path]:
    """A map for each exemplar; a folder stands for those of their stems, and auto for itself."""
    from texsynth.cli import plan

    if list(given) == ["auto"]:
        return ["auto"] * len(exemplars)
    if len(given) == 1 and Path(given[0]).is_dir():
        return [plan.paired(given, [exemplar], flag)[0] for exemplar in exemplars]
    return given


def _run(lesson: Lesson, talk: messages.Talk) -> Trained:
    from texsynth.verbs import train as verb

    begun = 0 if lesson.kept is None else lesson.kept.state.step
    metric = lesson.preset.settings.metric
    talk.note(f"{lesson.folder} keeps the course, samples and the checkpoint; Ctrl-C stops after a step")
    with talk.watch(lesson.output.name) as watch, _asked(talk.note) as stop:
        return verb.execute(lesson, lambda progress: watch(messages.of_training(progress, metric, begun)), stop)


@contextmanager
def _asked(note: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Has Ctrl-C been pressed? It ends the training between two steps; pressed again it ends the program at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        note("stopping after this step; Ctrl-C again stops at once, and leaves the checkpoint before")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _planned(lesson: Lesson) -> dict[str, Any]:
    return {
        "status": "planned",
        "model": str(lesson.output),
        "folder": str(lesson.folder),
        "recipe": lesson.preset.recipe,
        "preset": lesson.preset.name,
        "steps": lesson.preset.settings.steps,
        "memory_bytes": lesson.cost.memory,
        "seconds": round(lesson.cost.seconds, 1),
    }


def _done(lesson: Lesson, trained: Trained) -> dict[str, Any]:
    return {
        "status": "done",
        "model": str(trained.model),
        "folder": str(trained.folder),
        "recipe": lesson.preset.recipe,
        "preset": lesson.preset.name,
        "steps": trained.state.step,
        "metric": lesson.preset.settings.metric,
        "best": trained.state.best,
        "best_step": trained.state.best_step,
        "seconds": round(trained.seconds, 3),
        "interrupted": trained.interrupted,
    }


def _tell(entry: dict[str, Any], as_json: bool) -> None:
    """One JSON object, or the path of the model, with the plan where it is one."""
    from texsynth.runs import run

    if as_json:
        print(json.dumps({"verb": "train", **entry}, indent=2))
    elif entry["status"] == "done":
        print(entry["model"])
    else:
        cost = f"{run.gigabytes(entry['memory_bytes'])} and {entry['seconds'] / 60:.0f} minutes on two cores"
        print(f"{entry['model']}: preset {entry['preset']}, {entry['steps']} steps, about {cost}")
