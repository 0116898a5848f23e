"""tiles blend: a texture made ready for histogram-preserving blending, by which a shader draws it without end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from texsynth.errors import InputError, ResourceError, UsageError
from texsynth.image import load as inputs
from texsynth.image.load import NORMALS, Source
from texsynth.image.picture import Picture
from texsynth.job import Job, Layer
from texsynth.requests.option import given, is_given, options, recorded
from texsynth.requests.tiles.blend import Request
from texsynth.runs import cost, record, run
from texsynth.runs.run import silent
from texsynth.task import Estimate, Preset, Report, Say
from texsynth.tiles import blendset, steps, suitability
from texsynth.tiles.blending import LONGEST_SIDE
from texsynth.tiles.blendset import BlendSet
from texsynth.tiles.suitability import Suitability, score
from texsynth.verbs import parse, synthesize
from texsynth.verbs.tiles import as_synthesis, check_copies
from texsynth.verbs.verb import Verb, check_use, preset_of
from texsynth.weights.pretrained import Fetching

BYTES, SECONDS = 110, 0.7e-6  # of a pixel of the texture, for each of its channels and those of its maps
JUDGING = 2.5  # seconds that the score takes
# Options that say how a texture is synthesised, and nothing where the exemplar itself is the texture:
OF_SYNTHESIS = (
    "method", "preset", "quality", "settings", "weights", "source_mask", "exact_copies", "map_weight",
)  # fmt: skip


@dataclass(frozen=True)
class BlendWork:
    """A texture to be made ready, whose inputs are read and checked.

    job: With a preset that which synthesises it first; without one its pictures are the texture.
    cost: Of the whole command, but for its files. record: The resolved run, JSON-able.
    """

    request: Request
    job: Job
    preset: Preset | None
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) of the texture, of which whole steps of a lattice may leave less."""
        return self.job.task.size

    @property
    def roles(self) -> Mapping[str, str]:
        """The role of each map, as of `Layer`, by name."""
        return {name: layer.role for name, layer in self.job.maps.items()}


@dataclass(frozen=True)
class Blended:
    """The outcome: the texture ready to be blended, the layers that it is made of, how well it is suited, and the
    seconds that it took."""

    ready: BlendSet
    image: Layer
    maps: Mapping[str, Layer]
    suited: Suitability
    seconds: float
    notices: tuple[str, ...] = ()


def prepare(command: str, request: Request, sources: Sequence[Source], say: Say, fetching: Fetching) -> BlendWork:
    """Read and check everything; raises TexsynthErrors. `say` takes what is to be noticed about the preset."""
    _check(request, sources)
    asked = replace(as_synthesis(request, sources), tile="xy")
    notices: list[str] = []
    draft = synthesize.read(asked, synthesize.sources(asked), notices.append)
    picture, name = draft.pictures[0], draft.exemplars[0].name
    if picture.alpha is not None:
        raise InputError(f"{name} is transparent in parts, and blending keeps no alpha; leave --alpha keep out")
    if request.size is None and draft.exemplars[0].valid is not None:
        raise InputError(f"{name} is transparent in parts, and all of it is the texture; -s N makes one without them")
    if labels := [name for name, layer in draft.maps.items() if layer.role == "labels"]:
        raise UsageError(f"--map {labels[0]}: labels have nothing between them, and cannot be blended; leave it out")
    if float(picture.pixels.max()) > 1:
        notices.append(f"{name}: values above 1 are clipped; scale them to 0 to 1 first to keep them")
    shorter = min(draft.exemplars[0].size)
    size = draft.exemplars[0].size if request.size is None else parse.size(request.size, (shorter, shorter))
    if max(size) * max((layer.scale.numerator for layer in draft.maps.values()), default=1) > LONGEST_SIDE:
        raise UsageError(f"{name}: textures to blend have sides of up to {LONGEST_SIDE} pixels; -s makes one smaller")
    values = {"size": f"{size[1]}x{size[0]}", request.SECTION: recorded(request, request.SECTION)}
    job = synthesize.finish(draft, command, size, notices, values=values)
    preset = None
    if request.size is not None:
        verb = Verb(command, synthesize.build)
        preset = preset_of(verb, asked)
        check_copies(command, preset)
        check_use(given(asked), job.task, preset)
        job = run.fit(job, preset, asked.weights, say, None, fetching)
    _check_lattice(name, draft.pictures, request.lattice)
    whole = _estimate(job, preset)
    if whole.memory > job.task.max_memory:
        needs, limit = run.gigabytes(whole.memory), run.gigabytes(job.task.max_memory)
        raise ResourceError(
            f"{name} needs about {needs}, above the limit of {limit}; make it smaller, or raise --max-memory"
        )
    return BlendWork(request, job, preset, whole, _record(job, preset, request), tuple(notices), job.remarks)


def _check(request: Request, sources: Sequence[Source]) -> None:
    """Refuse what would do nothing; UsageError."""
    if request.size is not None:
        return
    flags = {o.name: o.flag for o in options(Request) if is_given(getattr(request, o.name))}
    if unused := [flags[name] for name in OF_SYNTHESIS if name in flags]:
        raise UsageError(f"{unused[0]}: the exemplar itself is the texture; -s N makes one of it, or leave it out")
    if len(sources) > 1:
        raise UsageError(f"{len(sources)} exemplars are no texture to blend; -s N makes one of them, or give one alone")


def _check_lattice(name: str, pictures: tuple[Picture, ...], wanted: str) -> None:
    """Refuse a texture without a lattice that can be used where one is asked for; InputError."""
    if wanted == steps.ON and isinstance(why := steps.measured(inputs.matching(pictures)[0], wanted), str):
        raise InputError(f"{name}: --lattice on: {why}; --lattice auto or off draws it with free offsets")


def _record(job: Job, preset: Preset | None, request: Request) -> Mapping[str, Any]:
    """The resolved run; without a preset of what would synthesise it there is nothing to say."""
    if preset is not None:
        return record.describe(job, preset, request.seed or 0)
    stored: dict[str, Any] = record.plain({**record.versions(), "verb": job.verb, "seed": request.seed or 0})
    entries = [vars(entry) for entry in job.inputs]
    return {**stored, **record.plain({**job.values, "device": str(job.task.device), "inputs": entries})}


def _estimate(job: Job, preset: Preset | None) -> Estimate:
    """The memory and the seconds of the whole."""
    planes = sum(layer.planes for layer in (job.image, *job.maps.values()))
    values = job.task.size[0] * job.task.size[1] * planes
    blend = Estimate(cost.base(cost.inputs(job)) + BYTES * values, cost.START + JUDGING + SECONDS * values)
    if preset is None:
        return blend
    before = run.estimate(job, preset)
    return Estimate(max(before.memory, blend.memory), before.seconds + blend.seconds - cost.START)


def execute(work: BlendWork, report: Report = silent, say: Say = silent) -> Blended:
    """Make the texture ready; KeyboardInterrupt where the work is stopped."""
    start = time.perf_counter()
    layers = {"": work.job.image, **work.job.maps}
    if work.preset is not None:
        result = run.run(work.job, work.preset, work.request.seed or 0, report, say)
        if result.interrupted:
            raise KeyboardInterrupt
        made_of = {"": result.image, **result.maps}
        layers = {name: Layer((made_of[name],), layer.role, layer.scale) for name, layer in layers.items()}
    image = layers.pop("")
    colours = image.pictures[0]
    texture = inputs.matching(image.pictures)[0]
    if work.preset is not None:
        _check_lattice("the texture made of it", image.pictures, work.request.lattice)
    maps = {name: (_fine(layer.pictures[0], colours.width), layer.role in NORMALS) for name, layer in layers.items()}
    ready = blendset.prepared(texture, colours, maps, work.request.seed or 0, work.request.lattice)
    suited = judged(texture, ready)
    return Blended(ready, image, layers, suited, time.perf_counter() - start, (*_told(ready), suited.sentence))


def _fine(picture: Picture, width: int) -> Picture:
    """A map with at least the resolution of the picture, whose width is given; values of a coarser one are repeated."""
    times = round(width / picture.width)
    if times <= 1:
        return picture
    return replace(picture, pixels=picture.pixels.repeat_interleave(times, 2).repeat_interleave(times, 3), alpha=None)


def judged(texture: Tensor, ready: BlendSet) -> Suitability:
    """How well a texture (1, 3, H, W) is suited to be drawn as it is ready for."""
    in_steps = ready.lattice
    if isinstance(in_steps, str):
        return replace(score(texture.clamp(0, 1), blendset.plane), cut=steps.is_regular(texture))
    scale = suitability.scale(texture)
    return score(texture.clamp(0, 1), blendset.plane, lambda small: blendset.plane(small, in_steps.times(scale)))


def _told(ready: BlendSet) -> list[str]:
    """What the user should know of the lattice."""
    if isinstance(ready.lattice, str):
        return [f"offsets are free: {ready.lattice}"]
    lattice, (height, width) = ready.lattice, ready.grid.size
    words = f"offsets are steps of its lattice ({lattice.words}), of which {lattice.cells} lie in {width}x{height}"
    bent = f"its rows bend by {lattice.bent:.1f} pixels, so they meet only roughly" if lattice.bent else ""
    return [words, *([bent] if bent else [])]
