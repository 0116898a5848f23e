"""train: a network that makes a texture in one pass. Everything is read and checked before work starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from texsynth.errors import InputError, ResourceError, UsageError, WeightsError
from texsynth.guidance import labels, maps, orientation, progression
from texsynth.image import files
from texsynth.image import load as inputs
from texsynth.image.files import Content
from texsynth.image.load import Note
from texsynth.job import Input
from texsynth.report import training as report_of
from texsynth.requests.shared import KEEP, PictureOptions
from texsynth.requests.train import Request
from texsynth.runs import record, run
from texsynth.runs.cost import START, TRAINING, base, of_task
from texsynth.runs.run import gigabytes
from texsynth.task import Estimate, Guide, Task
from texsynth.training import checkpoint, loop, recipes
from texsynth.training import preset as presets
from texsynth.training.checkpoint import Checkpoint
from texsynth.training.loop import Progress, State
from texsynth.verbs import synthesize
from texsynth.verbs.synthesize import Draft
from texsynth.weights import trained as model
from texsynth.weights.pretrained import Fetching

CHECKPOINT = "checkpoint.pt"
MAPS = ("labels", "progression", "orientation")  # the options that name maps


@dataclass(frozen=True)
class Lesson:
    """A training, read and checked.

    about: What model, checkpoint and page say of it.
    kept: The checkpoint that it goes on from.
    replaceable: The files whose places it may take, None for all.
    absent: The networks that it would fetch first, where it is only planned.
    """

    output: Path
    preset: presets.TrainingPreset
    task: Task
    seed: int
    about: Mapping[str, Any]
    cost: Estimate
    kept: Checkpoint | None = None
    notices: tuple[str, ...] = ()
    replaceable: frozenset[Path] | None = frozenset()
    absent: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the course, the samples and the checkpoint are kept."""
        return _folder(self.output)


@dataclass(frozen=True)
class Trained:
    """How a training ended. model: The file, None where it was interrupted before the first check."""

    model: Path | None
    folder: Path
    state: State
    interrupted: bool
    seconds: float


def build(request: Request, fetching: Fetching) -> Lesson:
    """Read and check everything; raises TexsynthErrors."""
    replaceable = _check_output(request)
    kept = checkpoint.load(_folder(request.model_path) / CHECKPOINT) if request.resume else None
    preset = _preset(request, kept)
    _check_guides(request)
    values: dict[str, Any] = {name: getattr(request, name) for name in ("crop", "flatten", "alpha", "seed")}
    if kept is not None:
        values = {key: _same(key, value, {"alpha": KEEP, **kept.about}[key]) for key, value in values.items()}
    seed = values.pop("seed") or 0
    # Read exemplars, maps and weights.
    pictures = PictureOptions(device=request.device, max_memory=request.max_memory, **values)
    notices: list[str] = []
    draft = synthesize.read(pictures, synthesize.sources(request), notices.append)
    recipe = recipes.recipe(preset.recipe)
    needs = [recipe.needs(preset.settings)]
    weights, entries, absent = run.pretrained_weights(needs, draft.device, request.weights, fetching)
    if request.weights is not None and not (weights or absent):
        raise UsageError(f"--weights: preset {preset.name} needs none; leave the flag out")
    guides, drawn = _guides(request, draft, notices.append)
    size, memory = draft.exemplars[0].size, draft.memory
    task = Task(draft.exemplars, size, device=draft.device, max_memory=memory, weights=weights, guides=tuple(guides))
    # Check the cost, and that a run that goes on has the inputs it began with.
    work = recipe.estimate(task, preset.settings)
    cost = Estimate(base(of_task(task)) + TRAINING + work.memory, START + work.seconds)
    if cost.memory > memory:
        limit = f"above the limit of {gigabytes(memory)}; --crop the exemplar, or raise --max-memory"
        raise ResourceError(f"training {preset.name} needs about {gigabytes(cost.memory)}, {limit}")
    about: dict[str, Any] = {
        **record.versions(),
        "recipe": preset.recipe,
        "preset": {"name": preset.name, "settings": dict(preset.values)},
        "seed": seed,
        "crop": draft.crop,
        "flatten": bool(values["flatten"]),
        **({} if draft.alpha is None else {"alpha": draft.alpha}),
        "device": str(draft.device),
        "inputs": [asdict(entry) for entry in (*draft.inputs, *drawn, *entries)],
        "guides": [_guide_facts(guide) for guide in guides],
        "weights": {name: read.sha256 for name, read in weights.items()},
    }
    before: Mapping[str, Any] = about if kept is None else kept.about
    if not absent and [entry["sha256"] for entry in before["inputs"]] != [entry["sha256"] for entry in about["inputs"]]:
        names = ", ".join(entry["name"] for entry in before["inputs"])
        raise InputError(f"--resume: the checkpoint was trained on other inputs ({names}); give these, in their order")
    return Lesson(request.model_path, preset, task, seed, about, cost, kept, tuple(notices), replaceable, absent)


def execute(lesson: Lesson, report: Callable[[Progress], None], stop: Callable[[], bool] = lambda: False) -> Trained:
    """Train, and write the best network. Where `stop`, asked between steps, says so, the run ends with a checkpoint
    from which it can go on. One training at a time is at work in a folder; UsageError for others."""
    try:
        lesson.folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"{lesson.folder}: this folder cannot be made ({error.strerror})") from None
    with files.alone(lesson.folder):
        return _execute(lesson, report, stop)


def _execute(lesson: Lesson, report: Callable[[Progress], None], stop: Callable[[], bool]) -> Trained:
    start = time.perf_counter()
    rng = torch.Generator().manual_seed(lesson.seed)
    training = recipes.recipe(lesson.preset.recipe).build(lesson.task, lesson.preset.settings, rng)
    state, replaceable = State(), None if lesson.replaceable is None else set(lesson.replaceable)
    if lesson.kept is not None:
        checkpoint.restore(lesson.kept, training, rng)
        state = lesson.kept.state

    def put(path: Path, content: Content) -> None:
        files.write(path, content, replaceable)
        if replaceable is not None:
            replaceable.add(path)  # it is this training's from now on

    kept = [] if lesson.kept is None else [state.step]

    def keep(state: State, samples: Sequence[torch.Tensor]) -> None:
        put(lesson.folder / CHECKPOINT, checkpoint.content(lesson.about, state, training, rng))
        kept.append(state.step)
        report_of.keep(lesson.folder, lesson.about, state, samples, put)

    with _telling(kept):
        state = loop.train(training, lesson.preset.settings, state, report, keep, stop)
        if state.tensors:  # write the model, with how the network did
            measured = {"metric": lesson.preset.values["metric"], "value": state.best, "step": state.best_step}
            facts = {key: value for key, value in lesson.about.items() if key not in ("recipe", "preset")} | measured
            model.write(lesson.output, lesson.preset.recipe, lesson.preset.values, state.tensors, facts, replaceable)
    output, ended = lesson.output if state.tensors else None, state.step < lesson.preset.settings.steps
    return Trained(output, lesson.folder, state, ended, time.perf_counter() - start)


@contextmanager
def _telling(kept: Sequence[int]) -> Iterator[None]:
    """Add to an error of writing the last of the steps whose checkpoints there are."""
    try:
        yield
    except (ResourceError, UsageError) as error:
        if not kept:
            raise
        finished = f"the checkpoint of step {kept[-1]} is finished, --resume goes on from there"
        raise type(error)(f"{error}; {finished}") from None


def written(output: Path) -> list[Path]:
    """Everything that a training writes to a model and its folder; sheets of samples only as far as they exist."""
    folder = _folder(output)
    samples = sorted((folder / report_of.SAMPLES).glob("[0-9]" * 7 + ".png"))
    return [output, *(folder / name for name in (CHECKPOINT, report_of.COURSE, report_of.PAGE)), *samples]


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.stem}_training")


def _check_output(request: Request) -> frozenset[Path] | None:
    """Refuse what cannot be written and what would be lost, UsageError; gives what may be replaced, None for all."""
    output = request.model_path
    if output.suffix != model.SUFFIX:
        raise UsageError(f"-o {output}: a model is a {model.SUFFIX} file; call it {output.stem}{model.SUFFIX}")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no folder {output.parent} to write to; create it first")
    there = [path for path in written(output) if files.destination(path).exists()]
    if there and not (request.force or request.resume):
        raise UsageError(f"{there[0]} exists; --force starts anew, --resume goes on from the last checkpoint")
    return None if request.force else frozenset(there)


def _preset(request: Request, kept: Checkpoint | None) -> presets.TrainingPreset:
    """The preset that was asked for; of a run that goes on its own one, which must agree with what is asked for."""
    steps = {} if request.steps is None else {"steps": request.steps}
    if kept is None:
        return presets.resolve(request.recipe, request.preset, {**(request.settings or {}), **steps})
    recipe = kept.about["recipe"]
    if recipe not in recipes.names():
        raise WeightsError(f"--resume: the checkpoint is of recipe {recipe!r}, which this version does not know")
    if recipe != request.recipe:
        raise UsageError(f"--resume: the checkpoint is of recipe {recipe}, not of {request.recipe}")
    stored = kept.about["preset"]
    try:
        presets.build(stored["name"], "", request.recipe, stored["settings"], {})
    except UsageError as error:
        raise WeightsError(f"--resume: the checkpoint is damaged ({error})") from None
    before = presets.build(stored["name"], "", request.recipe, stored["settings"], steps)
    if request.preset is not None or request.settings:
        asked = presets.resolve(request.recipe, request.preset or stored["name"], request.settings or {}).values
        for key, value in asked.items():
            if key != "steps" and record.plain(value) != record.plain(before.values[key]):
                raise UsageError(f"--resume: {key} is another one than the checkpoint's; leave -p and --set out")
    return before


def _same(key: str, asked: Any, stored: Any) -> Any:
    if asked is not None and asked != stored:
        raise UsageError(f"--resume: --{key} is {stored} in the checkpoint; leave the flag out")
    return stored


def _guides(request: Request, draft: Draft, note: Note) -> tuple[list[Guide], list[Input]]:
    """The exemplars' maps as guides whose target is the first of them, and their entries; raises TexsynthErrors."""
    guides: list[Guide] = []
    entries: list[Input] = []
    if request.labels:
        ids, colours, read = labels.sources(request.labels, draft, note)
        guides.append(Guide("labels", tuple(ids), ids[0], distance="l0", palette=colours))
        entries += read
    if request.progression:
        values, read = progression.sources(request.progression, draft, note)
        values = [each.mean(1, keepdim=True).clamp(0, 1) for each in values]
        guides.append(Guide("progression", tuple(values), values[0]))
        entries += read
    if request.orientation:
        sources = [] if maps.is_auto(request.orientation[0]) else request.orientation
        fields, read = orientation.sources(sources, draft, note)
        guides.append(Guide("orientation", tuple(fields), fields[0], distance="direction"))
        entries += read
    return guides, entries


def _guide_facts(guide: Guide) -> dict[str, Any]:
    """What a model keeps of a kind of map that it was trained with; colours are those of the ids, in their order."""
    palette = None if guide.palette is None else (guide.palette * 255).round().int().tolist()
    return {"name": guide.name, "distance": guide.distance, "palette": palette}


def _check_guides(request: Request) -> None:
    """Refuse maps that the recipe does not take, and none where it needs one; UsageError."""
    allowed = recipes.recipe(request.recipe).GUIDES
    asked = {name: getattr(request, name) for name in MAPS if getattr(request, name)}
    for name, sources in asked.items():
        if name not in allowed:
            takes = f"takes {' and '.join(f'--{n}' for n in allowed)}" if allowed else "takes no maps"
            raise UsageError(f"--{name}: recipe {request.recipe} {takes}; leave the flag out")
        inputs.per_exemplar(sources, len(request.exemplars), f"--{name}")
    if allowed and not asked:
        raise UsageError(f"recipe {request.recipe} needs {' or '.join(f'--{name} MAP' for name in allowed)}")
