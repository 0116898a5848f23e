"""synthesize: more of one exemplar, or a remix of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from texsynth.errors import InputError, UsageError
from texsynth.image import light
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Box, Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input, Job, Layer
from texsynth.requests import synthesize
from texsynth.requests.option import recorded
from texsynth.requests.shared import PictureOptions
from texsynth.task import Exemplar, Task
from texsynth.verbs import parse
from texsynth.verbs.verb import Verb

SIZE = "2x"
NO_TILE = "none"


@dataclass(frozen=True)
class Draft:
    """All of a job but its size: read, checked, and the same for every verb that makes texture out of exemplars.

    whole: the exemplars' (height, width) before the crop to `box`.
    tile: does the output wrap in (y, x)?
    """

    request: PictureOptions
    exemplars: tuple[Exemplar, ...]
    pictures: tuple[Picture, ...]
    maps: Mapping[str, Layer]
    inputs: tuple[Input, ...]
    whole: tuple[tuple[int, int], ...]
    box: Box | None
    tile: tuple[bool, bool]
    device: torch.device
    memory: int


def build(request: synthesize.Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    notices: list[str] = []
    draft = read(request, sources(request), notices.append)
    return finish(draft, "synthesize", extent(draft, draft.exemplars[0].size), notices)


def sources(request: Any) -> tuple[Source, ...]:
    """The exemplars of a request; raises UsageError where there are none."""
    if not request.exemplars:
        raise UsageError("at least one exemplar is needed")
    return tuple(request.exemplars)


def read(request: PictureOptions, exemplars: Sequence[Source], note: Note) -> Draft:
    """Everything that does not depend on the output's size; what the user should know is told through `note`."""
    device, memory = parse.device(request.device), parse.memory(request.max_memory)
    wrap = parse.tile(request.tile or NO_TILE)
    box = None if request.crop is None else parse.crop(request.crop)
    _check_counts(request, len(exemplars))

    loaded = [inputs.load(source, "exemplar") for source in exemplars]
    whole = tuple(inputs.extent(picture) for picture, _ in loaded)
    named = [(inputs.cropped(picture, box, entry.name), entry.name) for picture, entry in loaded]
    for picture, name in named:
        image.check_exemplar_size(picture, name)
    pictures = inputs.alike([_lit(p, name, bool(request.flatten), note) for p, name in named], "the exemplars", note)
    masked, mask_inputs = masks(request.source_mask or (), whole, box, note)
    maps, map_inputs = _maps(request, whole, box, note)

    names = [name for _, name in named]
    matched = tuple(Exemplar(*each) for each in zip(names, inputs.matching(pictures), masked, strict=True))
    entries = (*(entry for _, entry in loaded), *mask_inputs, *map_inputs)
    return Draft(request, matched, pictures, maps, entries, whole, box, wrap, device, memory)


def extent(draft: Draft, reference: tuple[int, int]) -> tuple[int, int]:
    """The output's (height, width): what was asked for, factors being of `reference`, or else SIZE."""
    return parse.size(SIZE if draft.request.size is None else draft.request.size, reference)


def finish(draft: Draft, verb: str, size: tuple[int, int], notices: list[str]) -> Job:
    """The job of a draft at its size (height, width), with a start picture if one was given; adds to `notices`."""
    request = draft.request
    init, init_inputs = _init(request, size, notices.append)
    return Job(
        verb=verb,
        task=Task(draft.exemplars, size, draft.tile, init, draft.device, draft.memory),
        image=Layer(draft.pictures),
        maps=draft.maps,
        inputs=(*draft.inputs, *init_inputs),
        values=_values(draft, size),
        notices=tuple(notices),
    )


def _values(draft: Draft, size: tuple[int, int]) -> dict[str, Any]:
    """What the record says of the options that all verbs share, but of the seed, which is that of each run."""
    resolved = {
        "size": f"{size[1]}x{size[0]}",
        "tile": draft.request.tile or NO_TILE,
        "crop": None if draft.box is None else ",".join(map(str, draft.box)),
    }
    return {name: value for name, value in recorded(draft.request, "", **resolved).items() if name != "seed"}


def _check_counts(request: PictureOptions, exemplars: int) -> None:
    for name, files in (request.maps or {}).items():
        inputs.per_exemplar(files, exemplars, f"--map {name}")
    if request.source_mask:
        inputs.per_exemplar(request.source_mask, exemplars, "--source-mask")


def _lit(picture: Picture, name: str, flatten: bool, note: Note) -> Picture:
    """The exemplar with its slow illumination evened out, when asked."""
    if not flatten:
        return picture
    even, message = light.flatten(picture.pixels[:, :3].expand(-1, 3, -1, -1))
    note(f"{name}: {message}")
    return replace(picture, pixels=even[:, : picture.pixels.shape[1]])


def masks(
    sources: Sequence[Source], sizes: Sequence[tuple[int, int]], box: Box | None, note: Note
) -> tuple[list[Tensor | None], list[Input]]:
    """What may be copied, (1, 1, H, W) bool for each exemplar, by one source each, or None of all where there is none;
    InputError when a mask leaves nothing."""
    found: list[Tensor | None] = []
    entries = []
    for source, size in zip(sources, sizes, strict=False):
        picture, entry = inputs.load(source, "source-mask")
        whole = inputs.stretched(picture, size, "data", entry.name, note)
        mask = inputs.usable(inputs.cropped(whole, box, entry.name))
        if not mask.any():
            where = "" if box is None else " inside the crop"
            raise InputError(f"{entry.name}: the mask leaves nothing to copy from{where}; white means usable")
        found.append(mask)
        entries.append(entry)
    return found or [None] * len(sizes), entries


def _maps(
    request: PictureOptions, sizes: Sequence[tuple[int, int]], box: Box | None, note: Note
) -> tuple[dict[str, Layer], list[Input]]:
    """Every named map as a layer of the exemplars' sizes."""
    layers, entries = {}, []
    for name, files in (request.maps or {}).items():
        role = inputs.role_of(name)
        pictures = []
        for source, size in zip(files, sizes, strict=True):
            picture, entry = inputs.load(source, f"map:{name}")
            whole = inputs.stretched(picture, size, role, entry.name, note)
            pictures.append(inputs.cropped(whole, box, entry.name))
            entries.append(entry)
        layers[name] = Layer(inputs.alike(pictures, f"the maps {name}", note), role)
    return layers, entries


def _init(request: PictureOptions, size: tuple[int, int], note: Note) -> tuple[Tensor | None, list[Input]]:
    if request.init is None:
        return None, []
    picture, entry = inputs.load(request.init, "init")
    fitted = inputs.stretched(picture, size, "colour", entry.name, note)
    return inputs.matching((fitted,))[0], [entry]


VERB = Verb("synthesize", build)
