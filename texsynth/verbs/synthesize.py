"""synthesize: more of one exemplar, or a remix of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError, one_line
from texsynth.field import stored
from texsynth.field.magnify.sheet import Pointers
from texsynth.image import holes, light, rows
from texsynth.image import load as inputs
from texsynth.image import masks as drawings
from texsynth.image import picture as image
from texsynth.image.files import digest
from texsynth.image.load import NORMAL_DX, NORMALS, Box, Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input, Job, Layer, Reduced
from texsynth.material import matching, packing, texel
from texsynth.material.roles import DX
from texsynth.requests import synthesize
from texsynth.requests.option import recorded
from texsynth.requests.shared import ALPHA, COLOURS_ALONE, KEEP, PictureOptions
from texsynth.runs.save import field_path
from texsynth.task import Exemplar, Task
from texsynth.verbs import layers, magnified, map_weights, parse
from texsynth.verbs.layers import Ground
from texsynth.verbs.verb import Verb

SIZE = "2x"
NO_TILE = "none"
_ROLES = {"exemplar": "reduced", "init": "init"}  # of the inputs of the small run that a magnified one has too
# Options whose place in the record another value takes:
RESOLVED = ("seed", "alpha", "normals", "normals_out", "map_weight")
COMPARED = 18  # planes of floats of an exemplar that are there at once, at the least, while it is compared or steers


@dataclass(frozen=True)
class Draft:
    """All of a job but its size: read, checked, and the same for every verb that makes texture out of exemplars.

    whole: The exemplars' (height, width) before the crop to `box`.
    tile: Does the output wrap in (y, x)?
    memory: The bytes that the run may take.
    alpha: How transparent parts of exemplars were taken, "auto" or "keep"; None where there are none.
    remarks: What masks were understood to mean.
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
    alpha: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def room(self) -> int:
        """The bytes that are left for further inputs, beside the pictures that are held."""
        return parse.left(self.memory) - sum(image.size_in_memory(picture) for picture in self.pictures)

    @property
    def crop(self) -> str | None:
        """The box as the record keeps it."""
        return None if self.box is None else ",".join(map(str, self.box))


@dataclass(frozen=True)
class Marks:
    """What a mask marks of a picture, (1, 1, H, W) bool; its entry in the record; how it was understood."""

    pixels: Tensor
    entry: Input
    words: str

    @property
    def remark(self) -> str:
        """A line for those who ask."""
        return f"{self.entry.name}: {self.words}, {100 * self.share:.3g} % marked"

    @property
    def share(self) -> float:
        """The share of the pixels that are marked."""
        return rows.share(self.pixels)

    def inverted(self) -> Marks:
        """The marks of all other pixels."""
        return replace(self, pixels=~self.pixels, words=f"all but {self.words}")


def build(request: synthesize.Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    notices: list[str] = []
    if request.reduced is not None or request.factor is not None:
        return _magnified(request, notices)
    if request.field is not None:
        raise UsageError("--field belongs to --from OUT.png and a larger original of its exemplar; leave it out")
    draft = read(request, sources(request), notices.append)
    return finish(draft, "synthesize", extent(draft, draft.exemplars[0].size), notices)


def _magnified(request: synthesize.Request, notices: list[str]) -> Job:
    """The job of a recorded run that is applied to a larger original of its exemplar; adds to `notices`."""
    asked = magnified.reduced_request(request)
    times: Any = request.factor
    before = read(asked, sources(asked), lambda _: None)
    small = finish(before, "synthesize", extent(before, before.exemplars[0].size), [])
    draft = read(replace(request, init=None), sources(request), notices.append)
    kept = [replace(entry, role=_ROLES[entry.role]) for entry in small.inputs if entry.role in _ROLES]
    large, (name, other) = draft.exemplars[0], (each.inputs[0].name for each in (draft, before))
    valid = [each.valid for each in (large, *small.task.exemplars)]
    magnified.check(draft.pictures[0], before.pictures[0], valid, (name, other), times)
    field = None
    if request.field is not None:
        field, entry = _stored(request.field, small.task)
        kept.append(entry)
        if request.repeat is not None and request.field == field_path(request.repeat):
            shown = image.read(request.repeat, draft.room)
            magnified.check_field(field, before.pictures[0], shown, (str(request.field), str(request.repeat)))
    whole: Any = parse.size(str(request.size), large.size)
    job = finish(draft, "synthesize", whole, notices, kept)
    return replace(job, reduced=Reduced(small.task, times, field))


def _stored(path: Path, task: Task) -> tuple[Pointers, Input]:
    """The field of a task in a file, and its entry in the record; raises InputError."""
    try:
        field = stored.read(path, [exemplar.size for exemplar in task.exemplars], task.size, task.tile)
    except InputError as error:
        raise InputError(f"--field {one_line(path)}: {error}") from None
    return field, Input("field", path.name, digest(path))


def sources(request: Any) -> tuple[Source, ...]:
    """The exemplars of a request; raises UsageError where there are none."""
    if not request.exemplars:
        raise UsageError("at least one exemplar is needed")
    return tuple(request.exemplars)


def read(request: PictureOptions, exemplars: Sequence[Source], note: Note, as_they_are: int = 0) -> Draft:
    """Read and check everything that does not depend on the output's size; raises UsageError and InputError.

    as_they_are: the number of exemplars, the first ones, whose transparent parts are the verb's own matter.
    """
    device, memory = parse.device(request.device), parse.memory(request.max_memory)
    wrap = parse.tile(request.tile or NO_TILE)
    box = None if request.crop is None else parse.crop(request.crop)
    pixel = None if request.texel is None else texel.parse(request.texel)
    pack = None if request.pack is None else packing.parse(request.pack)
    for name, files in (request.maps or {}).items():
        inputs.per_exemplar(files, len(exemplars), f"--map {name}")
    if request.source_mask:
        inputs.per_exemplar(request.source_mask, len(exemplars), "--source-mask")

    room = parse.left(memory)
    loaded = inputs.load_all(exemplars, "exemplar", room)
    inputs.tell(loaded, note)
    whole = tuple(inputs.extent(picture) for picture, _ in loaded)
    named = [(inputs.cropped(picture, box, entry.name), entry.name) for picture, entry in loaded]
    for picture, name in named:
        image.check_exemplar_size(picture, name)
        parse.room(inputs.extent(picture), COMPARED, room, name)
    names = [name for _, name in named]
    open_parts = [_has_transparent_parts(picture) for picture, _ in named[as_they_are:]]
    valid: list[Tensor | None] = [None] * len(named)
    if request.alpha != KEEP:
        parts = [_material(p, name, note) for p, name in named[as_they_are:]]
        named[as_they_are:], valid[as_they_are:] = [(p, n) for p, n, _ in parts], [opaque for _, _, opaque in parts]
    lit = [_flattened(p, name, note) if request.flatten else p for p, name in named]
    pictures = inputs.alike(lit, "the exemplars", note)
    room -= sum(image.size_in_memory(picture) for picture in pictures)
    marks = masks(request.source_mask or (), whole, box, room, note)
    for number, mark in enumerate(marks):
        valid[number] = _both(mark, valid[number])
    grounds = list(map(Ground, names, whole))
    maps, map_inputs = layers.read(request.maps or {}, grounds, box, room, note, request.normals, pack)

    if pixel is not None:
        pictures = _measured(pictures, pixel)
        maps = {n: replace(each, pictures=_measured(each.pictures, pixel / each.scale)) for n, each in maps.items()}
    matched = tuple(Exemplar(*each) for each in zip(names, inputs.matching(pictures), valid, strict=True))
    entries = (*(entry for _, entry in loaded), *(mark.entry for mark in marks), *map_inputs)
    alpha = (request.alpha or ALPHA[0]) if any(open_parts) else None
    remarks = tuple(mark.remark for mark in marks)
    return Draft(request, matched, pictures, maps, entries, whole, box, wrap, device, memory, alpha, remarks)


def _measured(pictures: Sequence[Picture], pixel: Fraction) -> tuple[Picture, ...]:
    """Pictures whose files say that a pixel has a side of so many metres."""
    return tuple(replace(p, tags=replace(p.tags, density=texel.density(pixel))) for p in pictures)


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
    options that all verbs share (but the seed, which each run has, alpha where nothing is transparent, normals where
    none are green down, normals_out where there are none, and weights of maps where none counts).
    """
    request, init, read = draft.request, None, draft.inputs
    layers.tell(draft.maps, size, notices.append)
    if request.init is not None:
        parse.room(size, COMPARED, draft.room)
        picture, entry = fitted(request.init, "init", "colour", size, None, draft.room, notices.append)
        init, read = inputs.matching((picture,))[0], (*read, entry)
    weights = map_weights.weights(draft.maps, request.map_weight, notices.append if request.repeat else None)
    resolved = {"size": f"{size[1]}x{size[0]}", "tile": request.tile or NO_TILE, "crop": draft.crop}
    shared = recorded(request, "", **resolved)
    sparse: dict[str, Any] = {} if draft.alpha is None else {"alpha": draft.alpha}
    if any(layer.role == NORMAL_DX for layer in draft.maps.values()):
        sparse["normals"] = DX
    if request.normals_out is not None and any(layer.role in NORMALS for layer in draft.maps.values()):
        sparse["normals_out"] = request.normals_out
    if any(weights.values()):
        sparse["map_weight"] = weights | COLOURS_ALONE  # maps that a repeated run adds leave the picture as it is
    exemplars = draft.exemplars
    if getattr(request, "factor", None) is None:  # else a smaller run says what is copied
        exemplars = matching.with_maps(exemplars, map_weights.weighed(draft.maps, weights))
    return Job(
        verb=verb,
        task=Task(exemplars, size, draft.tile, init, draft.device, draft.memory, **parts),
        image=Layer(draft.pictures),
        maps=draft.maps,
        inputs=(*read, *entries),
        values={n: value for n, value in shared.items() if n not in RESOLVED} | sparse | dict(values or {}),
        notices=tuple(notices),
        remarks=draft.remarks,
        match_tone=not request.exact_copies,
    )


def fitted(
    source: Source, role: str, kind: str, size: tuple[int, int], box: Box | None, memory: int, note: Note
) -> tuple[Picture, Input]:
    """A picture stretched to `size` (height, width) and cropped to `box`, and its entry in the record.

    `role` is its role in the record, `kind` that of its values, as of a layer. `memory` is the
    number of bytes that reading it may take.
    """
    picture, entry = inputs.load(source, role, memory)
    inputs.tell([(picture, entry)], note)
    whole = inputs.stretched(picture, size, kind, entry.name, note)
    return inputs.cropped(whole, box, entry.name), entry


def _flattened(picture: Picture, name: str, note: Note) -> Picture:
    """An exemplar with its slow illumination evened out."""
    even, message = light.relit(picture, light.flatten)
    note(f"{name}: {message}")
    return even


def _has_transparent_parts(picture: Picture) -> bool:
    return picture.alpha is not None and not bool(inputs.solid(picture).all())


def _material(picture: Picture, name: str, note: Note) -> tuple[Picture, str, Tensor | None]:
    """An exemplar, opaque, with its name, and the parts (1, 1, H, W) bool that were so before, None for all of it. The
    others continue their surroundings, so that no foreign colour comes near what is copied; InputError for too few."""
    if not _has_transparent_parts(picture):
        return picture, name, None
    opaque = inputs.solid(picture)
    share = 100 * rows.share(~opaque)
    side = image.MIN_EXEMPLAR_SIDE
    if not _holds_square(opaque, side):
        raise InputError(
            f"{name}: {share:.3g} % of it is transparent, and no {side}x{side} pixels are opaque to copy from; "
            f"--alpha {KEEP} takes its transparency as part of the texture"
        )
    note(
        f"{name}: its transparent parts, {share:.3g} %, are left out; --alpha {KEEP} copies them as part of the texture"
    )
    return replace(picture, pixels=holes.smooth(picture.pixels, ~opaque), alpha=None), name, opaque


def _holds_square(mask: Tensor, side: int) -> bool:
    """Are there so many pixels a side of a mask (1, 1, H, W) bool that are all set?"""
    last = mask.shape[2] - side + 1
    return any(
        (F.avg_pool2d(mask[:, :, top : min(bottom, last) + side - 1].float(), side, stride=1) == 1).any()
        for top, bottom in rows.spans(mask.shape[2:])
        if top < last
    )


def _both(mark: Marks, opaque: Tensor | None) -> Tensor:
    """What a mask leaves of the opaque parts of an exemplar; raises InputError where that is nothing."""
    if opaque is None:
        return mark.pixels
    if not (mark.pixels & opaque).any():
        raise InputError(f"{mark.entry.name}: the mask leaves only transparent parts to copy from; --alpha {KEEP} does")
    return mark.pixels & opaque


def marked(source: Source, role: str, size: tuple[int, int], box: Box | None, memory: int, note: Note) -> Marks:
    """What a mask marks of a picture of `size` (height, width), in its part `box`; see `fitted`. Raises InputError
    for a picture that nobody can take for a mask."""
    picture, entry = inputs.load(source, role, memory)
    inputs.tell([(picture, entry)], note)
    reading = drawings.understood(picture, entry.name)
    whole = inputs.stretched(reading.picture, size, "data", entry.name, note)
    return Marks(drawings.marked(inputs.cropped(whole, box, entry.name)), entry, reading.words)


def masks(
    sources: Sequence[Source], sizes: Sequence[tuple[int, int]], box: Box | None, memory: int, note: Note
) -> list[Marks]:
    """What may be copied of each exemplar, by one source each; InputError when a mask leaves nothing."""
    marks = []
    for source, size in zip(sources, sizes, strict=False):
        mark = marked(source, "source-mask", size, box, memory, note)
        if not mark.pixels.any():
            where = "" if box is None else " inside the crop"
            raise InputError(f"{mark.entry.name}: the mask leaves nothing to copy from{where}; white means usable")
        marks.append(mark)
    return marks


VERB = Verb("synthesize", build)
