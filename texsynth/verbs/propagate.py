"""propagate: an edit painted over one picture goes to others, along the correspondence of their textures.

Zhang et al. 2020 (CoCosNet) warp a layer so with learned descriptors; here any of `correspondence.descriptors` gives
them, or a model of `train cocosnet`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from texsynth import settings
from texsynth.correspondence import dense, descriptors
from texsynth.correspondence.dense import Match
from texsynth.errors import InputError, ResourceError, UsageError
from texsynth.features import Extract, features
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input
from texsynth.learned.cocosnet import comparison as learned
from texsynth.learned.cocosnet.comparison import LabelMap
from texsynth.requests.option import recorded
from texsynth.requests.propagate import Request
from texsynth.runs import record, run
from texsynth.runs.cost import START, base, parts
from texsynth.task import Estimate
from texsynth.verbs import parse
from texsynth.weights.pretrained import Fetching
from texsynth.weights.trained import Model

# (the target's colours, the layer's, the layer's opacity (1, 1, h, w)) -> colours
BLENDS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "normal": lambda below, above, share: below + share * (above - below),
    "multiply": lambda below, above, share: below * (1 - share + share * above),
    "screen": lambda below, above, share: below + share * above * (1 - below).clamp(min=0),
}
NEUTRAL = {"multiply": (1.0, "white"), "screen": (0.0, "black")}  # the value and colour that change no picture
LIGHTS = ("auto", "keep", "match")
LEAST_OPACITY = 0.5 / 255  # below which no difference is visible

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Edit:
    """An edit that is read and checked.

    layer: Of the source's size, its colours times its alpha.
    extract: The network of the features, if they have one.
    model: The trained network, if there is one.
    labels: The source's label map for that network.
    limit: The bytes that a run may take.
    absent: The networks that it would fetch first, where it is only planned.
    """

    request: Request
    source: Picture
    layer: Picture
    extract: Extract | None
    model: Model | None
    labels: LabelMap | None
    device: torch.device
    limit: int
    inputs: tuple[Input, ...]
    notices: tuple[str, ...]
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """An edit and a target for it, with its label map. record: The resolved run, JSON-able."""

    edit: Edit
    target: Picture
    labels: LabelMap | None
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Propagated:
    """The outcome for one target.

    image: The target with the edit.
    layer: The edit alone as it lies on the target, with alpha.
    warp: The source brought to the target's layout, if asked for.
    covered: The share of pixels that changed.
    distance: The mean distance of matched descriptors, whose variance in the source is 1.
    relit: Were the pictures compared in the source's light?
    """

    image: Picture
    layer: Picture
    warp: Picture | None
    covered: float
    distance: float
    relit: bool
    record: Mapping[str, Any]
    seconds: float


def prepare(request: Request, labels_map: Source | None, fetching: Fetching) -> Edit:
    """Read and check source and layer, and find the weights; raises UsageError, InputError, WeightsError and
    ResourceError. `labels_map` is the source's, for a model."""
    _check(request)
    device, limit = parse.device(request.device), parse.memory(request.max_memory)
    notices: list[str] = []
    room = parse.left(limit)
    source, source_entry = inputs.load(request.source, "source", room)
    image.check_exemplar_size(source, source_entry.name)
    room -= image.size_in_memory(source)
    layer, layer_entry = inputs.load(request.layer, "layer", room)
    layer = _layer(layer, layer_entry.name, source, request.blend, notices.append)
    entries = [source_entry, layer_entry]
    extract = model = labels = None
    absent: Sequence[str] = ()
    if request.model is not None:
        model, model_entry = learned.read(request.model, "propagate")
        size = inputs.extent(source)
        labels, drawn = learned.read_labels(labels_map, "labels-source", size, model, room, notices.append)
        entries += [model_entry, *drawn]
    elif (module := features(request.compares)).WEIGHTS is not None:
        layers = [name for (name, _), _ in descriptors.LAYERS]
        needs = [{request.compares: layers}]
        weights, read, absent = run.pretrained_weights(needs, device, request.weights, fetching)
        if not absent:
            extract = module.build(module.Settings(), (False, False), weights[request.compares])
        entries += read
    parts = (request, source, layer, extract, model, labels, device, limit)
    return Edit(*parts, tuple(entries), tuple(notices), tuple(absent))


def aim(edit: Edit, target: Source, labels_map: Source | None = None) -> Work:
    """Read and check one target, and its label map where the source has one; raises UsageError, InputError and
    ResourceError."""
    room = parse.left(edit.limit) - image.size_in_memory(edit.source) - image.size_in_memory(edit.layer)
    picture, entry = inputs.load(target, "target", room)
    image.check_exemplar_size(picture, entry.name)
    notices: list[str] = []
    layer, size = edit.layer, inputs.extent(picture)
    labels, drawn = learned.read_labels(
        labels_map, "labels-target", size, edit.model, room, notices.append, edit.labels
    )
    if picture.channels == 1 and layer.channels == 3:
        if torch.equal(layer.pixels, layer.pixels[:, :1].expand_as(layer.pixels)):
            layer = replace(layer, pixels=layer.pixels[:, :1])
        else:
            picture = replace(picture, pixels=image.rgb(picture), icc=None)
            notices.append(f"{entry.name} is grey; the layer's colours make it RGB")
    cost = estimate(edit, picture)
    if cost.memory > edit.limit:
        needs = f"about {run.gigabytes(cost.memory)}, above the limit of {run.gigabytes(edit.limit)}"
        raise ResourceError(f"{entry.name} needs {needs}; make it or the source smaller, or raise --max-memory")
    request = edit.request
    stored = {
        **record.versions(),
        "verb": "propagate",
        "propagate": {"features": request.compares, **recorded(request, Request.SECTION)},
        "seed": request.seed or 0,
        "size": f"{picture.width}x{picture.height}",
        "device": str(edit.device),
        "inputs": [asdict(each) for each in (*edit.inputs, entry, *drawn)],
    }
    return Work(replace(edit, layer=layer), picture, labels, cost, stored, tuple(notices))


def execute(work: Work, report: Report = lambda *_: None, warp: bool = False) -> Propagated:
    """Find the correspondence, warp the layer along it, and with `warp` the source too, and blend it on the target."""
    start = time.perf_counter()
    edit, request = work.edit, work.edit.request
    match, relit = _match(work, report)
    layer, brought = _warped(match, edit), None
    if warp:
        pixels = dense.warp(match, edit.source.pixels.to(edit.device)).cpu()
        brought = replace(edit.source, pixels=pixels, alpha=None)
    assert layer.alpha is not None
    share = layer.alpha * request.strength
    blended = BLENDS[request.blend](work.target.pixels, layer.pixels, share)
    return Propagated(
        replace(work.target, pixels=torch.where(share > 0, blended, work.target.pixels)),
        layer,
        brought,
        float((share > 0).float().mean()),
        float(match.cost.mean()),
        relit,
        work.record,
        time.perf_counter() - start,
    )


def estimate(edit: Edit, target: Picture) -> Estimate:
    """Peak bytes and seconds of one target."""
    sizes = inputs.extent(edit.source), inputs.extent(target)
    finest = dense.levels(*sizes)[-1]
    pixels = sum(h * w for h, w in sizes)
    compared = pixels >> (2 * finest)
    network = 4 * 64 * 3 * max(h * w for h, w in sizes) if edit.extract is not None or edit.absent else 0
    if edit.model is not None:
        network = sum(learned.memory(edit.model, size, learned.scale(edit.model, sizes[0])) for size in sizes)
    width = descriptors.WIDTH[edit.request.compares]
    seconds = START + 3.5e-6 * compared + (1.2e-6 if edit.model is None else 4e-6) * pixels  # on two cores
    held = base([part for picture in (edit.source, edit.layer, target) for part in parts(picture)])
    return Estimate(held + 100 * pixels + 4 * (2 * width + 60) * compared + network, seconds)


def _check(request: Request) -> None:
    """Words and numbers; UsageError."""
    words = {"blend": BLENDS, "features": descriptors.DESCRIBERS, "light": LIGHTS}
    for flag, allowed in words.items():
        word = getattr(request, flag)
        if word is not None and word not in allowed:
            raise UsageError(f"--{flag}: there is no {word!r}{settings.suggestion(word, list(allowed))}")
    if not 0 <= request.strength <= 1:
        raise UsageError(f"--strength {request.strength:g} is not from 0, nothing, to 1, the whole layer")
    if not 0 <= request.coherence < float("inf"):
        raise UsageError(f"--coherence {request.coherence:g} is not a number from 0 up; 1 is the default")
    if request.model is not None and request.features is not None:
        raise UsageError("--model and --features exclude each other: both say what pixels are compared by; give one")
    if request.labels is not None and request.model is None:
        raise UsageError("--labels: nothing but a trained network looks at them; give one with --model, or leave them")
    if request.weights is not None and (request.model or features(request.compares).WEIGHTS is None):
        flag = f"--features {request.compares}" if request.model is None else "--model"
        raise UsageError(f"--weights: {flag} needs none; leave it out, or take --features vgg19")


def _layer(layer: Picture, name: str, source: Picture, blend: str, note: Note) -> Picture:
    """The layer with alpha, its colours times that, at the source's size."""
    pixels, alpha = layer.pixels, layer.alpha
    nothing = "is transparent everywhere"
    if alpha is None:
        if blend not in NEUTRAL:
            raise InputError(f"{name} has no alpha to tell where it covers; save it with one, or --blend multiply")
        neutral, colour = NEUTRAL[blend]
        alpha, nothing = (pixels != neutral).any(1, keepdim=True).float(), f"is {colour} everywhere"
    if not alpha.any():
        raise InputError(f"{name} {nothing}, so there is nothing to propagate; paint the edit on it")
    weighted = replace(layer, pixels=pixels * alpha, alpha=alpha)
    blurred = "what is painted on it is interpolated; a layer as large as the source would stay sharp"
    return inputs.stretched(weighted, inputs.extent(source), "colour", name, note, blurred)


def _match(work: Work, report: Report) -> tuple[Match, bool]:
    """The correspondence at the target's full size; and was the target's light evened out for it?"""
    edit, picture = work.edit, work.target
    rng = torch.Generator().manual_seed(edit.request.seed or 0)  # one for each target: none hangs on the others
    source, target = (colours.to(edit.device) for colours in inputs.matching((edit.source, picture)))
    relit = False
    if edit.request.light != "keep":
        evened, closer = descriptors.relit(source, target, rng)
        relit = closer or edit.request.light == "match"
        target = evened if relit else target
    sizes = inputs.extent(edit.source), inputs.extent(picture)
    levels = dense.levels(*sizes)
    if edit.model is not None:
        described = learned.describe(edit.model, (source, target), (edit.labels, work.labels), levels, rng)
    else:
        describe = descriptors.DESCRIBERS[edit.request.compares](source, edit.extract, rng)
        described = describe(source, levels), describe(target, levels)
    match = dense.correspond(*described, rng, edit.request.coherence, report)
    return dense.enlarge(match, sizes[1], sizes[0]), relit


def _warped(match: Match, edit: Edit) -> Picture:
    """The layer on the target, with straight alpha, and clear where no difference would be visible."""
    layer = edit.layer
    assert layer.alpha is not None
    whole = dense.warp(match, torch.cat([layer.pixels, layer.alpha], 1).to(edit.device)).cpu()
    alpha = whole[:, -1:].clamp(0, 1)
    alpha = torch.where(alpha < LEAST_OPACITY, 0, alpha)
    colours = torch.where(alpha > 0, whole[:, :-1] / alpha.clamp(min=LEAST_OPACITY), 0)
    highest = max(1.0, float(layer.pixels.max()))
    return replace(layer, pixels=colours.clamp(0, highest), alpha=alpha)


def storable(result: Propagated, name: str) -> Picture:
    """The "layer" or "warp" of a result as PNG holds it: floats become 16 bits."""
    picture: Picture = getattr(result, name)
    return replace(picture, depth="uint16") if picture.depth.startswith("float") else picture
