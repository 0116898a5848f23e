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
from texsynth.verbs import layers, parse
from texsynth.verbs.layers import Ground
from texsynth.verbs.verb import Verb

SIZE = "2x"
NO_TILE = "none"
COMPARED = 6  # planes of floats of an exemplar that are there at once, at the least, while it is made comparable


@dataclass(frozen=True)
class Draft:
    """All of a job but its size: read, checked, and the same for every verb that makes texture out of exemplars.

    whole: The exemplars' (height, width) before the crop to `box`.
    tile: Does the output wrap in (y, x)?
    memory: The bytes that the run may take.
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

    @property
    def room(self) -> int:
        """The bytes that are left for further inputs, beside the pictures that are held."""
        return self.memory - sum(image.size_in_memory(picture) for picture in self.pictures)

    @property
    def crop(self) -> str | None:
        """The box as the record keeps it."""
        return None if self.box is None else ",".join(map(str, self.box))


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
    """Read and check everything that does not depend on the output's size; raises UsageError and InputError."""
    device, memory = parse.device(request.device), parse.memory(request.max_memory)
    wrap = parse.tile(request.tile or NO_TILE)
    box = None if request.crop is None else parse.crop(request.crop)
    for name, files in (request.maps or {}).items():
        inputs.per_exemplar(files, len(exemplars), f"--map {name}")
    if request.source_mask:
        inputs.per_exemplar(request.source_mask, len(exemplars), "--source-mask")

    loaded = inputs.load_all(exemplars, "exemplar", memory)
    whole = tuple(inputs.extent(picture) for picture, _ in loaded)
    named = [(inputs.cropped(picture, box, entry.name), entry.name) for picture, entry in loaded]
    for picture, name in named:
        image.check_exemplar_size(picture, name)
        parse.room(inputs.extent(picture), COMPARED, memory, name)
    lit = [_flattened(p, name, note) if request.flatten else p for p, name in named]
    pictures = inputs.alike(lit, "the exemplars", note)
    room = memory - sum(image.size_in_memory(picture) for picture in pictures)
    masked, mask_inputs = masks(request.source_mask or (), whole, box, room, note)
    names = [name for _, name in named]
    grounds = list(map(Ground, names, whole))
    maps, map_inputs = layers.read(request.maps or {}, grounds, box, room, note)

    matched = tuple(Exemplar(*each) for each in zip(names, inputs.matching(pictures), masked, strict=True))
    entries = (*(entry for _, entry in loaded), *mask_inputs, *map_inputs)
    return Draft(request, matched, pictures, maps, entries, whole, box, wrap, device, memory)


def extent(draft: Draft, reference: tuple[int, int]) -> tuple[int, int]:
    """The output's (height, width): what was asked for, factors being of `reference`, or else SIZE."""
    return parse.size(SIZE if draft.request.size is None else draft.request.size, reference)


def finish(
    draft: Draft,
    verb: str,
    size: tuple[int, int],
    notices: list[str],
    entries: Sequence[Input] = (),
    values: Mapping[str, Any] | None = None,
    **parts: Any,
) -> Job:
    """The job of a draft at its size (height, width), with a start picture if one was given; adds to `notices`.

    `entries` are further inputs, `parts` further fields of its task, and `values` what the record keeps beside the
    options that all verbs share (but the seed, which each run has).
    """
    request, init, read = draft.request, None, draft.inputs
    layers.tell(draft.maps, size, notices.append)
    if request.init is not None:
        parse.room(size, COMPARED, draft.memory)
        picture, entry = fitted(request.init, "init", "colour", size, None, draft.room, notices.append)
        init, read = inputs.matching((picture,))[0], (*read, entry)
    shared = recorded(request, "", size=f"{size[1]}x{size[0]}", tile=request.tile or NO_TILE, crop=draft.crop)
    return Job(
        verb=verb,
        task=Task(draft.exemplars, size, draft.tile, init, draft.device, draft.memory, **parts),
        image=Layer(draft.pictures),
        maps=draft.maps,
        inputs=(*read, *entries),
        values={name: value for name, value in shared.items() if name != "seed"} | dict(values or {}),
        notices=tuple(notices),
    )


def fitted(
    source: Source, role: str, kind: str, size: tuple[int, int], box: Box | None, memory: int, note: Note
) -> tuple[Picture, Input]:
    """A picture stretched to `size` (height, width) and cropped to `box`, and its entry in the record.

    `role` is its role in the record, `kind` that of its values: "colour", "data", "normal" or "labels". `memory` is the
    number of bytes that reading it may take.
    """
    picture, entry = inputs.load(source, role, memory)
    whole = inputs.stretched(picture, size, kind, entry.name, note)
    return inputs.cropped(whole, box, entry.name), entry


def _flattened(picture: Picture, name: str, note: Note) -> Picture:
    """An exemplar with its slow illumination evened out."""
    even, message = light.flatten(picture.pixels[:, :3].expand(-1, 3, -1, -1))
    note(f"{name}: {message}")
    return replace(picture, pixels=even[:, : picture.channels])


def masks(
    sources: Sequence[Source], sizes: Sequence[tuple[int, int]], box: Box | None, memory: int, note: Note
) -> tuple[list[Tensor | None], list[Input]]:
    """What may be copied, (1, 1, H, W) bool for each exemplar, by one source each, or None of all where there is none;
    InputError when a mask leaves nothing."""
    usable: list[Tensor | None] = []
    entries = []
    for source, size in zip(sources, sizes, strict=False):
        picture, entry = fitted(source, "source-mask", "data", size, box, memory, note)
        mask = inputs.usable(picture)
        if not mask.any():
            where = "" if box is None else " inside the crop"
            raise InputError(f"{entry.name}: the mask leaves nothing to copy from{where}; white means usable")
        usable.append(mask)
        entries.append(entry)
    return usable or [None] * len(sizes), entries


VERB = Verb("synthesize", build)
