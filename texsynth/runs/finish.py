"""The end of a run: what its canvas or its field copies at full depth, in one tone, known pixels as they were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field import atlas, tone
from texsynth.field.atlas import Field
from texsynth.field.follow import follow
from texsynth.field.magnify.sheet import Pointers
from texsynth.field.magnify.tone import enlarged
from texsynth.field.planes import Copying
from texsynth.image import scratch
from texsynth.image.load import mapped, range_of
from texsynth.image.picture import Picture
from texsynth.image.rows import extremes, interpolated
from texsynth.image.seen import Range
from texsynth.image.strips import Strips
from texsynth.job import Job, Layer
from texsynth.task import Canvas, Say, Task


@dataclass(frozen=True)
class Finished:
    """What a run leaves.

    maps: by name. field: where pixels were copied from, for methods that say so. tone: by how much colours were moved,
    at the most and on average, as shares of their range; of a large picture, by how much they shall be. None where they
    may not be.
    """

    image: Picture | Strips
    maps: Mapping[str, Picture | Strips]
    field: Copying | None = None
    tone: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Tone:
    """A correction of colours: `change` (1, 3, hc, wc), solved for the field `coarse`, of which the output is `factor`
    times as large."""

    change: Tensor
    coarse: Pointers
    factor: int


def whole(canvas: Canvas, job: Job, say: Say) -> Finished:
    """A canvas at full size: what its field copies, in one tone; its own colours where it has no field, or where a
    later stage has moved them. Outside a hole everything stays as it was."""
    hole, first = job.task.hole, job.image.pictures[0]
    if not isinstance(canvas.field, Field):
        return Finished(_kept(_coloured(canvas.image, job, replace(first, alpha=None)), first, hole), {})
    field = atlas.enlarge(canvas.field, job.task)
    maps = {name: _copied(field, layer, hole) for name, layer in job.maps.items()}
    copied = _copied(field, job.image, hole)
    if not torch.equal(canvas.image, canvas.field.image()):
        return Finished(_kept(_coloured(canvas.image, job, copied), first, hole), maps, field)
    if not job.match_tone:
        return Finished(copied, maps, field)
    image, moved = _toned(copied, correction(field, job.task), job)
    tell(moved, say)
    return Finished(image, maps, field, moved)


def magnified(field: Pointers, even: Tone | None, job: Job) -> Finished:
    """What a field of any size copies, a few rows at a time; in one tone, where there is a correction."""
    maps = {name: _strips(field, layer, job.task.hole) for name, layer in job.maps.items()}
    copied = _strips(field, job.image, job.task.hole)
    if even is None:
        return Finished(copied, maps, field)
    if not even.change.any():
        return Finished(copied, maps, field, _amount(0.0, 0.0))
    limits, span = extremes(*(p.pixels for p in job.image.pictures)), range_of(job.image.pictures)

    def draw(first: int, last: int) -> Picture:
        part = copied.rows(first, last)
        change = enlarged(even.change, even.coarse, field, even.factor, first, last)
        free = _free(field, job.task, first, last)
        scratch.release(field.index[first:last])
        change = change if free is None else change * free
        return _moved(part, change, span, limits)

    size = even.change.abs()
    return Finished(replace(copied, draw=draw), maps, field, _amount(float(size.max()), float(size.mean())))


def correction(field: Field, task: Task) -> Tensor:
    """What to add to the colours of a field (1, 3, h, w), so that its pieces are in the tone of those around them."""
    filled = None
    if task.hole is not None or task.start is not None:
        filled = task.hole if task.start is None else task.start.isnan().any(1, keepdim=True)
    return tone.correction(field, _free(field, task, 0, field.size[0]), filled, task.guides).cpu()


def _free(field: Copying, task: Task, top: int, bottom: int) -> Tensor | None:
    """Which pixels of some rows may change, (1, 1, n, w) bool: what has stayed as it was keeps its tone; None for all
    of them."""
    if task.hole is None and task.start is None:
        return None
    free = torch.ones(1, 1, bottom - top, field.size[1], dtype=torch.bool)
    if task.hole is not None:
        free &= task.hole[:, :, top:bottom].cpu()
    if field.size == task.exemplars[0].size:
        at_home = torch.arange(top * field.size[1], bottom * field.size[1]).view(bottom - top, -1)
        free &= field.atlas.home_of(field.part(top, bottom).index).cpu() != at_home
    return free


def tell(moved: Mapping[str, float], say: Say) -> None:
    """Say by how much colours were moved."""
    even = f"evened out by {moved['mean']:.2%} of the range, at most {moved['largest']:.1%}"
    say(f"tone: {even if moved['largest'] else 'nothing to even out'}")


def _toned(copied: Picture, change: Tensor, job: Job) -> tuple[Picture, Mapping[str, float]]:
    """A copied picture with its colours moved, and by how much they were."""
    if not change.any():
        return copied, _amount(0.0, 0.0)
    span = range_of(job.image.pictures)
    toned = _moved(copied, change, span, (float(copied.pixels.min()), float(copied.pixels.max())))
    by = span.distance(toned.pixels, copied.pixels)
    return toned, _amount(float(by.max()), float(by.mean()))


def _moved(copied: Picture, change: Tensor, span: Range, limits: tuple[float, float]) -> Picture:
    """A copied picture with `change` (1, 3, h, w) added to its colours, as shares of their range; none goes
    beyond `limits`, which are tones that the picture has."""
    if copied.channels == 1:
        change = change.mean(1, keepdim=True)
    moved = span.moved(copied.pixels, change).clamp_(*limits)
    return replace(copied, pixels=torch.where(change == 0, copied.pixels, moved))


def _amount(largest: float, mean: float) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in (("largest", largest), ("mean", mean))}


def _kept(image: Picture, before: Picture, hole: Tensor | None) -> Picture:
    """A picture with the pixels of `before` outside the hole, bit for bit; inside it is opaque."""
    if hole is None:
        return image
    alpha = image.alpha
    if before.alpha is not None:
        alpha = torch.where(hole, torch.ones_like(before.alpha) if alpha is None else alpha, before.alpha)
    return replace(image, pixels=torch.where(hole, image.pixels, before.pixels), alpha=alpha)


def _coloured(image: Tensor, job: Job, like: Picture) -> Picture:
    """A picture of the kind of `like` with the colours of (1, 3, h, w), at the job's size."""
    pixels = image.cpu().clamp(0, 1)
    if tuple(pixels.shape[2:]) != job.task.size:
        pixels = interpolated(pixels, job.task.size).clamp(0, 1)
    if like.channels == 1:
        pixels = pixels.mean(1, keepdim=True)
    return replace(like, pixels=range_of(job.image.pictures).stored(pixels))


def _copied(field: Copying, layer: Layer, hole: Tensor | None, rows: tuple[int, int] | None = None) -> Picture:
    """One layer through the field, every value exact and at the layer's own resolution; all of it, or the values over
    some rows of the output, where this is no coarser than the layer."""
    first, fine = layer.pictures[0], layer.scale.numerator
    there = field if rows is None else field.part(*rows)
    pixels = follow(there, [p.pixels for p in layer.pictures], layer.role, fine)
    alphas = [p.alpha for p in layer.pictures if p.alpha is not None]  # all of them, or none
    alpha = follow(there, alphas, "data", fine) if alphas else None
    if hole is not None:
        hole = hole if rows is None else hole[:, :, slice(*rows)]
        hole = hole.repeat_interleave(fine, 2).repeat_interleave(fine, 3)
        if rows is not None:
            first = mapped(first, lambda values: values[:, :, fine * rows[0] : fine * rows[1]])
    copied = _kept(replace(layer.pictures[0], pixels=pixels, alpha=alpha), first, hole)
    return _thinned(copied, layer.extent(field.size)) if rows is None else copied


def _strips(field: Pointers, layer: Layer, hole: Tensor | None) -> Strips:
    """One layer through a field of any size."""
    first, fine, size = layer.pictures[0], layer.scale.numerator, layer.extent(field.size)
    cell = fine * field.size[0] // size[0]  # values that are repeated, of a coarser layer

    def draw(top: int, bottom: int) -> Picture:
        start, end = top * cell // fine, math.ceil(bottom * cell / fine)
        part = _copied(field, layer, hole, (start, end))
        for values in (v for p in layer.pictures for v in (p.pixels, p.alpha) if v is not None):
            scratch.release(values)  # what was read of them comes from anywhere
        scratch.release(field.index[start:end])
        cut = mapped(part, lambda values: values[:, :, top * cell - start * fine : bottom * cell - start * fine])
        return _thinned(cut, (bottom - top, size[1]))

    return Strips(size, first.channels, draw, first.alpha is not None, first.depth, first.icc, first.tags)


def _thinned(copied: Picture, size: tuple[int, int]) -> Picture:
    """A copy in which values are repeated, reduced to `size` (height, width): the value in the middle of each cell."""
    steps = copied.height // size[0], copied.width // size[1]
    return mapped(copied, lambda v: v[:, :, steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]].contiguous())
