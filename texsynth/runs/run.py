"""Task + preset -> result: the run itself, its cost beforehand and its worth afterwards."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import ResourceError, UsageError, WeightsError
from texsynth.features import features
from texsynth.field import atlas, tone
from texsynth.field.atlas import Field
from texsynth.field.follow import follow
from texsynth.image.load import mapped, top
from texsynth.image.picture import Picture
from texsynth.job import Input, Job, Layer
from texsynth.methods import method
from texsynth.preset import DEFAULT
from texsynth.runs import cost, loop, record, stop
from texsynth.task import Canvas, Estimate, Preset, Report, Say
from texsynth.verbs.parse import SMALLEST
from texsynth.weights import pretrained, trained
from texsynth.weights.pretrained import Fetching, Weights


@dataclass(frozen=True)
class Result:
    """What a run made.

    image: The picture, in the exemplar's depth.
    maps: The aligned maps, copied with it.
    field: Where each pixel was copied from, for methods that keep a field.
    record: The resolved run, JSON-able.
    losses: (method, level, step, loss) after every step.
    interrupted: Did Ctrl-C end the run early?
    shown: Further pictures that the method can show, by name.
    """

    image: Picture
    maps: Mapping[str, Picture]
    field: Field | None
    record: Mapping[str, Any]
    losses: tuple[tuple[str, float, int, float], ...]
    interrupted: bool
    seconds: float
    shown: Mapping[str, Picture] = dataclasses.field(default_factory=dict)


def silent(_: object) -> None:
    """An observer that looks away."""


def run(job: Job, preset: Preset, seed: int = 0, report: Report = silent, say: Say = silent) -> Result:
    """Run a job. Ctrl-C gives the picture so far at full size; KeyboardInterrupt when there is none yet."""
    start = time.perf_counter()
    outcome = loop.synthesize(job.task, preset.stages, torch.Generator().manual_seed(seed), report, say)
    if outcome.canvas is None:
        raise KeyboardInterrupt
    with stop.later():
        image, maps, field, moved = _finish(outcome.canvas, job, say)
    stored = record.describe(job, preset, seed)
    if moved is not None:
        stored["tone"] = moved
    if outcome.interrupted:  # an unfinished picture never passes for the finished one
        stored["interrupted"] = True
    stored["losses"] = record.course(outcome.losses)
    seconds = time.perf_counter() - start
    shown = {name: Picture(pixels.cpu().clamp(0, 1)) for name, pixels in outcome.canvas.shown.items()}
    return Result(image, maps, field, stored, outcome.losses, outcome.interrupted, seconds, shown)


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
    return replace(job, task=replace(job.task, weights=loaded), inputs=(*job.inputs, *entries), absent=absent)


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
    task = job.task if size is None else replace(job.task, size=size)
    costs = [method(stage.method).estimate(task, stage.settings) for stage in preset.stages]
    memory = cost.base(cost.inputs(job)) + max(cost.result(job, task.size), *(each.memory for each in costs))
    return Estimate(memory, cost.START + cost.writing(job, task.size) + sum(each.seconds for each in costs))


def check_memory(job: Job, preset: Preset) -> Estimate:
    """The estimate; raises ResourceError, naming a size that would fit, when it is above the task's limit."""
    whole, limit = estimate(job, preset), job.task.max_memory
    if whole.memory <= limit:
        return whole
    height, width = job.task.size
    needs = f"{width}x{height} needs about {gigabytes(whole.memory)}, above the limit of {gigabytes(limit)}"
    if job.task.hole is not None or job.task.start is not None:  # the size is the picture's own
        raise ResourceError(f"{needs}; --crop a part of the picture, or raise --max-memory")

    def scaled(share: float) -> tuple[int, int]:
        return max(1, int(height * share)), max(1, int(width * share))

    low, high = 0.0, 1.0  # the largest share of the size that fits, by halving
    for _ in range(24):
        middle = (low + high) / 2
        fits = estimate(job, preset, scaled(middle)).memory <= limit
        low, high = (middle, high) if fits else (low, middle)
    h, w = scaled(low)
    if min(h, w) < SMALLEST:
        raise ResourceError(f"{needs}, and so does any smaller size; raise --max-memory or --crop the exemplar")
    raise ResourceError(f"{needs}; --size {w}x{h} fits, or raise --max-memory")


def score(result: Result) -> float:
    """How good a result is, lower is better: the mean cost of its field plus the total variation, in [0, 1], between
    even use of the exemplars and its own, in 8 x 8 cells of each."""
    if result.field is None:
        return result.losses[-1][3] if result.losses else 0.0
    use = atlas.usage(result.field.atlas, result.field.index)
    cells, start = [], 0
    for h, w in result.field.atlas.exemplars:
        cells.append(F.adaptive_avg_pool2d(use[start : start + h * w].view(1, 1, h, w), 8).flatten())
        start += h * w
    return float(result.field.cost.mean() + (torch.cat(cells) - 1).abs().mean() / 2)


def gigabytes(amount: int) -> str:
    """Bytes as people read them: 1.2 GB, 300 MB."""
    return f"{amount / (1 << 30):.1f} GB" if amount >= 1 << 30 else f"{amount / (1 << 20):.0f} MB"


def _finish(
    canvas: Canvas, job: Job, say: Say
) -> tuple[Picture, dict[str, Picture], Field | None, dict[str, float] | None]:
    """The canvas at full size: what its field copies at full depth, in one tone; its own colours where it has no field,
    or where a later stage has moved them. Outside a hole everything stays as it was. The last one is what `_toned` says
    of the tone."""
    hole, first = job.task.hole, job.image.pictures[0]
    if not isinstance(canvas.field, Field):
        return _kept(_coloured(canvas.image, job, replace(first, alpha=None)), first, hole), {}, None, None
    field = atlas.enlarge(canvas.field, job.task)
    maps = {name: _copied(field, layer, hole) for name, layer in job.maps.items()}
    copied = _copied(field, job.image, hole)
    if not torch.equal(canvas.image, canvas.field.image()):
        return _kept(_coloured(canvas.image, job, copied), first, hole), maps, field, None
    image, moved = _toned(copied, field, job, say)
    return image, maps, field, moved


def _kept(image: Picture, before: Picture, hole: Tensor | None) -> Picture:
    """A picture with the pixels of `before` outside the hole, bit for bit; inside it is opaque."""
    if hole is None:
        return image
    alpha = image.alpha
    if before.alpha is not None:
        alpha = torch.where(hole, torch.ones_like(before.alpha) if alpha is None else alpha, before.alpha)
    return replace(image, pixels=torch.where(hole, image.pixels, before.pixels), alpha=alpha)


def _toned(copied: Picture, field: Field, job: Job, say: Say) -> tuple[Picture, dict[str, float] | None]:
    """The picture, where the job allows it with its pieces in the tone of those around them; and by how much its
    colours have moved, at the most and on average, as shares of their range."""
    if not job.match_tone:
        return copied, None
    task, free, filled = job.task, None, None
    if task.hole is not None or task.start is not None:  # what has stayed as it was keeps its tone
        at_home = torch.arange(field.index.numel()).view(1, 1, *field.size)
        stays = field.atlas.home[field.index].cpu() == at_home if field.size == task.exemplars[0].size else at_home < 0
        filled = task.hole if task.start is None else task.start.isnan().any(1, keepdim=True)
        free = ~stays if task.hole is None else task.hole & ~stays
    change = tone.correction(field, free, filled, task.guides).cpu()
    if not change.any():
        say("tone: nothing to even out")
        return copied, {"largest": 0.0, "mean": 0.0}
    if copied.channels == 1:
        change = change.mean(1, keepdim=True)
    scale = top(job.image.pictures)
    lowest, highest = float(copied.pixels.min()), float(copied.pixels.max())  # no tone that the picture lacks
    moved = (copied.pixels + change * scale).clamp_(lowest, highest)
    pixels = torch.where(change == 0, copied.pixels, moved)
    by = (pixels - copied.pixels).abs_().div_(scale)
    amount = {"largest": float(by.max()), "mean": float(by.mean())}
    say(f"tone: evened out by {amount['mean']:.2%} of the range, at most {amount['largest']:.1%}")
    return replace(copied, pixels=pixels), {name: float(f"{value:.4g}") for name, value in amount.items()}


def _coloured(image: Tensor, job: Job, like: Picture) -> Picture:
    """A picture of the kind of `like` with the colours of (1, 3, h, w), at the job's size."""
    pixels = image.cpu().clamp(0, 1)
    if tuple(pixels.shape[2:]) != job.task.size:
        pixels = F.interpolate(pixels, job.task.size, mode="bilinear").clamp(0, 1)
    if like.channels == 1:
        pixels = pixels.mean(1, keepdim=True)
    return replace(like, pixels=pixels * top(job.image.pictures))


def _copied(field: Field, layer: Layer, hole: Tensor | None) -> Picture:
    """One layer through the field, every value exact and at the layer's own resolution."""
    first, fine = layer.pictures[0], layer.scale.numerator
    pixels = follow(field, [p.pixels for p in layer.pictures], layer.role, fine)
    alphas = [p.alpha for p in layer.pictures if p.alpha is not None]  # all of them, or none
    alpha = follow(field, alphas, "data", fine) if alphas else None
    if hole is not None:
        hole = hole.repeat_interleave(fine, 2).repeat_interleave(fine, 3)
    return _thinned(_kept(replace(first, pixels=pixels, alpha=alpha), first, hole), layer.extent(field.size))


def _thinned(copied: Picture, size: tuple[int, int]) -> Picture:
    """A copy in which values are repeated, reduced to `size` (height, width): the value in the middle of each cell."""
    steps = copied.height // size[0], copied.width // size[1]
    return mapped(copied, lambda v: v[:, :, steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]].contiguous())
