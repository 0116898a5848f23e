"""Task + preset -> result: the run itself, its cost beforehand and its worth afterwards."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from texsynth.errors import ResourceError, UsageError, WeightsError
from texsynth.features import features
from texsynth.field import atlas, tone
from texsynth.field.atlas import Field
from texsynth.field.planes import Copying
from texsynth.image.codecs import Format
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.job import Input, Job
from texsynth.methods import method
from texsynth.preset import DEFAULT
from texsynth.runs import cost, finish, loop, magnify, record, stop
from texsynth.runs.checkpoint import Keeper
from texsynth.runs.clock import Clock, of_levels
from texsynth.runs.loop import Outcome
from texsynth.task import Estimate, Preset, Report, Say, Task
from texsynth.verbs.parse import SMALLEST
from texsynth.weights import pretrained, trained
from texsynth.weights.pretrained import Fetching, Weights


@dataclass(frozen=True)
class Result:
    """What a run made.

    picture: The picture, in the exemplar's depth; by strips where it is larger than the working size.
    layers: The aligned maps, copied with it, by name.
    field: Where each pixel was copied from, for methods that keep a field.
    record: The resolved run, JSON-able.
    losses: (method, level, step, loss) after every step.
    interrupted: Did Ctrl-C end the run early?
    shown: Further pictures that the method can show, by name.
    score: How good it is, lower is better; see `score`.
    """

    picture: Picture | Strips
    layers: Mapping[str, Picture | Strips]
    field: Copying | None
    record: Mapping[str, Any]
    losses: tuple[tuple[str, float, int, float], ...]
    interrupted: bool
    seconds: float
    shown: Mapping[str, Picture] = dataclasses.field(default_factory=dict)
    score: float = 0.0

    @cached_property
    def image(self) -> Picture:
        """The picture as a whole."""
        return _whole(self.picture)

    @cached_property
    def maps(self) -> Mapping[str, Picture]:
        """The maps as wholes."""
        return {name: _whole(layer) for name, layer in self.layers.items()}


def _whole(picture: Picture | Strips) -> Picture:
    return picture.whole() if isinstance(picture, Strips) else picture


def silent(_: object) -> None:
    """An observer that looks away."""


def run(
    job: Job,
    preset: Preset,
    seed: int = 0,
    report: Report = silent,
    say: Say = silent,
    keeper: Keeper | None = None,
    clock: Clock | None = None,
) -> Result:
    """Run a job. Ctrl-C gives the picture so far at full size; KeyboardInterrupt when there is none yet. The keeper
    keeps the state of a long run, and has what an earlier process kept of this one. The clock goes through the parts of
    `clock_of`, all but the last."""
    start = time.perf_counter()
    rng, reduced = torch.Generator().manual_seed(seed), job.reduced
    keeper, clock = keeper or Keeper(), clock or clock_of(job, preset, False)
    if reduced is None:
        outcome = loop.synthesize(job.task, preset.stages, rng, report, say, keeper, clock)
        clock.next(seconds=_end(outcome, job))
        if outcome.canvas is None:
            raise KeyboardInterrupt
        with stop.later():
            finished = finish.whole(outcome.canvas, job, say)
            worth = score(finished.field, outcome.losses)
    else:
        solved, outcome = magnify.solve(reduced, preset, rng, report, say, keeper, clock)
        worth = score(solved, outcome.losses)
        rng.manual_seed(seed)  # what is drawn from here on does not depend on how the field was found
        finished, outcome = magnify.magnify(solved, outcome, reduced, job, preset, rng, report, say, keeper, clock)
    stored = record.describe(job, preset, seed)
    if finished.tone is not None:
        stored["tone"] = dict(finished.tone)
    if outcome.interrupted:  # an unfinished picture never passes for the finished one
        stored["interrupted"] = True
    stored["losses"] = record.course(outcome.losses)
    seconds = time.perf_counter() - start
    drawn = {} if outcome.canvas is None else outcome.canvas.shown
    shown = {name: Picture(pixels.cpu().clamp(0, 1)) for name, pixels in drawn.items()}
    parts = finished.image, finished.maps, finished.field
    return Result(*parts, stored, outcome.losses, outcome.interrupted, seconds, shown, worth)


def fit(
    job: Job, preset: Preset, weights_file: Path | None, say: Say, model_file: Path | None, fetching: Fetching
) -> Job:
    """The job with the networks that its preset uses: the trained one of `--model`, and pretrained weights.

    Raises WeightsError, and UsageError when the preset uses no weights or no model, cannot do this job, or the job has
    maps and no stage copies.
    """
    copying = [method(stage.method).COPIES for stage in preset.stages]
    if job.maps and not any(copying):
        names = ", ".join(job.maps)
        raise UsageError(f"--map {names}: preset {preset.name} copies nothing, so no map can follow; {DEFAULT} can")
    if job.maps and not copying[-1]:
        say(f"preset {preset.name} moves the colours of what its field copied; the maps follow the field")
    job = _with_model(job, preset, model_file)
    for stage in preset.stages:
        if (why := method(stage.method).refuses(job.task, stage.settings)) is not None:
            raise UsageError(f"preset {preset.name} (method {stage.method}) {why}")
    needs = [method(stage.method).needs(stage.settings, job.task.model) for stage in preset.stages]
    loaded, entries, absent = pretrained_weights(needs, job.task.device, weights_file, fetching)
    if not (loaded or absent) and weights_file is not None:
        raise UsageError(f"--weights: preset {preset.name} needs none; leave the flag out")
    expected = {} if job.task.model is None else job.task.model.facts.get("weights", {})
    for name, read in loaded.items():
        if expected.get(name, read.sha256) != read.sha256:
            raise WeightsError(
                f"{read.name} is not what --model was trained with, whose contents differ; give that file"
            )
    job = replace(job, task=replace(job.task, weights=loaded), inputs=(*job.inputs, *entries), absent=absent)
    return replace(job, reduced=magnify.reduced(job, preset))


def pretrained_weights(
    needs: Sequence[Mapping[str, Sequence[str]]], device: torch.device, weights_file: Path | None, fetching: Fetching
) -> tuple[dict[str, Weights], tuple[Input, ...], tuple[str, ...]]:
    """The weights of all layers that are needed, by the name of the features, on `device`; their entries in the record;
    and the networks that a run would fetch first, where it is only planned. `weights_file` is that of `--weights`;
    without it they are looked for or fetched. Raises WeightsError."""
    networks: dict[str, str] = {}
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, layers in ((name, layers) for each in needs for name, layers in each.items()):
        module = features(name)
        if module.WEIGHTS is not None:
            networks[name] = module.WEIGHTS
            shapes.setdefault(module.WEIGHTS, {}).update(module.keys(layers))
    may_fetch = not (fetching.planned or fetching.refusal)
    loaded = pretrained.load(shapes, weights_file, fetching.say, may_fetch) if shapes else {}
    absent = tuple(network for network in shapes if network not in loaded)
    if absent and not fetching.planned:
        raise pretrained.refuse(absent, fetching.refusal)
    entries = tuple(Input(f"weights:{network}", read.name, read.sha256) for network, read in loaded.items())
    ready = {n: replace(w, tensors={k: t.to(device) for k, t in w.tensors.items()}) for n, w in loaded.items()}
    return {name: ready[network] for name, network in networks.items() if network in ready}, entries, absent


def _with_model(job: Job, preset: Preset, model_file: Path | None) -> Job:
    """The job with the trained network that its preset uses; raises WeightsError and UsageError."""
    recipes = [name for stage in preset.stages for name in method(stage.method).RECIPES]
    if not recipes:
        if model_file is not None:
            raise UsageError(f"--model: preset {preset.name} uses none; leave the flag out")
        return job
    if model_file is None:
        train = f"texsynth train {recipes[0]} EXEMPLAR -o NAME{trained.SUFFIX}"
        raise WeightsError(
            f"preset {preset.name} needs a trained network: make one with `{train}`, give it with --model"
        )
    from texsynth.learned.shared import loading  # and with it what trains networks

    model = loading.read(model_file)
    if model.recipe not in recipes:
        raise UsageError(f"--model: {model.name} is of recipe {model.recipe}; preset {preset.name} uses {recipes[0]}")
    entry = Input("model", model.name, model.sha256)
    return replace(job, task=replace(job.task, model=model), inputs=(*job.inputs, entry))


def estimate(job: Job, preset: Preset, size: tuple[int, int] | None = None) -> Estimate:
    """Peak bytes and seconds of a run, at the job's size or at another one."""
    small = job.reduced
    if size is not None and small is not None:
        small = magnify.resized(small, job, size)
    size = size or job.task.size
    base = cost.base(cost.inputs(job))
    if small is None:
        solver = _solver(replace(job.task, size=size), preset)
        whole = Estimate(max(cost.result(job, size), solver.memory), solver.seconds)
    else:
        at_factor = replace(small.task, size=(-(-size[0] // small.factor), -(-size[1] // small.factor)))
        small = replace(small, task=at_factor)
        solver = _solver(at_factor, preset) if small.field is None else Estimate(0, 0.0)
        whole = magnify.estimate(job, small, solver, size)
    return Estimate(base + whole.memory, cost.START + cost.writing(job, size) + whole.seconds)


def _end(outcome: Outcome, job: Job) -> float:
    """The seconds that the end of a run takes, by the field that there is."""
    field = None if outcome.canvas is None else outcome.canvas.field
    if not (isinstance(field, Field) and job.match_tone):
        return 0.0
    return cost.evening(job.task, tone.seams(field) * job.task.size[0] * job.task.size[1] // field.index.numel())


def clock_of(job: Job, preset: Preset, is_written: bool = True) -> Clock:
    """The clock of a run."""
    return Clock(parts_of(job, preset, is_written))


def parts_of(job: Job, preset: Preset, is_written: bool) -> list[float]:
    """The seconds that the parts of a run take: the levels of its stages, its end, and writing it."""
    small = job.reduced
    if small is None:
        evened = method(preset.stages[-1].method).COPIES and job.match_tone
        end = [cost.evening(job.task) if evened else 0.0, cost.writing(job, job.task.size) if is_written else 0.0]
    else:
        end = magnify.seconds(job, small, is_written)
    task = job.task if small is None else small.task
    levels = [] if small is not None and small.field is not None else of_levels(task, preset.stages)
    return [*levels, *end]


def _solver(task: Task, preset: Preset) -> Estimate:
    """What the stages of a preset take for a task."""
    costs = [method(stage.method).estimate(task, stage.settings) for stage in preset.stages]
    return Estimate(max(each.memory for each in costs), sum(each.seconds for each in costs))


def check_memory(job: Job, preset: Preset) -> Estimate:
    """The estimate; raises ResourceError, naming a size that would fit, when it is above the task's limit."""
    whole, limit = estimate(job, preset), job.task.max_memory
    if whole.memory <= limit:
        return whole
    height, width = job.task.size
    needs = f"{width}x{height} needs about {gigabytes(whole.memory)}, above the limit of {gigabytes(limit)}"
    if job.task.hole is not None or job.task.start is not None:  # the size is the picture's own
        raise ResourceError(f"{needs}; --crop a part of the picture, or raise --max-memory")
    if job.values.get("factor") is not None:  # the size is that of the recorded run, so many times
        raise ResourceError(f"{needs}; raise --max-memory")

    def scaled(share: float) -> tuple[int, int]:
        return max(1, int(height * share)), max(1, int(width * share))

    low, high = 0.0, 1.0  # a share of the size that fits, by halving
    for _ in range(24):
        middle = (low + high) / 2
        fits = estimate(job, preset, scaled(middle)).memory <= limit
        low, high = (middle, high) if fits else (low, middle)
    h, w = scaled(low)
    if min(h, w) < SMALLEST:
        raise ResourceError(f"{needs}, and so does any smaller size; raise --max-memory or --crop the exemplar")
    raise ResourceError(f"{needs}; --size {w}x{h} fits, or raise --max-memory")


def check_encoding(job: Job, form: Format, name: str) -> None:
    """Raise ResourceError where a result that is magnified cannot be written in a format, as that is not done by rows,
    in the memory of its task. name: of the file."""
    (height, width), limit = job.task.size, job.task.max_memory
    need = cost.base(cost.inputs(job)) + cost.ENCODED.get(form.name, 0) * height * width
    if job.reduced is not None and need > limit:
        what = f"{form} is encoded as a whole, and {width}x{height} needs about {gigabytes(need)} for it"
        fix = "write .png or .tif, or raise --max-memory"
        raise ResourceError(f"{name}: {what}, above the limit of {gigabytes(limit)}; {fix}")


def score(field: Copying | None, losses: Sequence[tuple[str, float, int, float]]) -> float:
    """How good a result is, lower is better: the mean cost of its field plus the total variation, in [0, 1], between
    even use of the exemplars and its own, in 8 x 8 cells of each. Without a field, the last loss."""
    if not isinstance(field, Field):
        return losses[-1][3] if losses else 0.0
    use = atlas.usage(field.atlas, field.index)
    cells, start = [], 0
    for h, w in field.atlas.exemplars:
        cells.append(F.adaptive_avg_pool2d(use[start : start + h * w].view(1, 1, h, w), 8).flatten())
        start += h * w
    return float(field.cost.mean() + (torch.cat(cells) - 1).abs().mean() / 2)


def gigabytes(amount: int) -> str:
    """Bytes as people read them: 1.2 GB, 300 MB."""
    return f"{amount / (1 << 30):.1f} GB" if amount >= 1 << 30 else f"{amount / (1 << 20):.0f} MB"
