"""control: more of a texture, steered by maps that say which part of the exemplar goes where."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from texsynth.errors import InputError, UsageError
from texsynth.guidance import maps
from texsynth.guidance.labels import colour
from texsynth.guidance.maps import Cropped, Guided, Map
from texsynth.image.load import Note, extent
from texsynth.job import Job
from texsynth.requests.control import Request
from texsynth.requests.guides import EXTRACTORS, GuidePart
from texsynth.requests.option import is_given, options, recorded
from texsynth.task import Preset
from texsynth.verbs import blend as shares
from texsynth.verbs import parse, synthesize
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.verb import Verb


class Kind(Protocol):
    """A file of guidance/ that makes a guide out of the part of the request with its name.

    target: Reads the map of the output, which may take `memory` bytes; None where the part names no map.
    guide: Makes the guide on all exemplars, and on an output of `size`, (height, width).
    """

    def target(self, part: Any, memory: int) -> Map | None: ...

    def guide(self, part: Any, draft: Cropped, wanted: Map | None, size: tuple[int, int], note: Note) -> Guided: ...


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    progression = request.progression
    if progression.refine and progression.refine_seed is None:  # unless a record says otherwise, that of the run
        request = replace(request, progression=replace(progression, refine_seed=request.seed or 0))
    sources = request.inputs()
    _check(request, len(sources))
    notices: list[str] = []
    note = notices.append
    draft = synthesize.read(request, sources, note)
    # Make the guides.
    parts = [part for part in request.guides if part.present]
    targets = [kind(part).target(part, draft.room) for part in parts]
    size = _extent(draft, [target for target in targets if target is not None])
    parse.room(size, 2 * len(parts), draft.room)
    guided = [kind(part).guide(part, draft, wanted, size, note) for part, wanted in zip(parts, targets, strict=True)]
    entries = [entry for one in guided for entry in one.inputs]
    guides = [one.guide for one in guided]
    if request.guide_weight_map is not None:
        share, entry = maps.strength(request.guide_weight_map, size, draft.room, note)
        guides = [replace(guide, strength=share) for guide in guides]
        entries.append(entry)
    # Note in the record what they were made with, and blend the exemplars.
    values: dict[str, Any] = {}
    for part, one in zip(parts, guided, strict=True):
        values |= recorded(part, Request.SECTION, **one.record)
    blend = None
    if request.blend_map:
        blend, read = shares.mapped(request.blend_map, size, draft.room, note)
        entries += read
    elif request.blend is not None:
        values["blend"] = list(shares.constant(request.blend, len(draft.exemplars), note))
        blend = shares.panels([tuple(values["blend"])], size)
    section = {Request.SECTION: values}
    return synthesize.finish(draft, "control", size, notices, entries, section, guides=tuple(guides), blend=blend)


def kind(part: GuidePart) -> Kind:
    """The file of guidance/ that makes a guide of a part."""
    return cast(Kind, importlib.import_module(f"texsynth.guidance.{part.NAME}"))


def _check(request: Request, exemplars: int) -> None:
    """Refuse what contradicts itself, before anything is read."""
    _check_labels(request)
    if not any(part.present for part in request.guides):
        raise UsageError("control needs a guide: --progression SRC TGT, --orientation TGT or --labels SRC TGT")
    for part in request.guides:
        for o in options(type(part)):
            if is_given(o.of(part)) and not part.present:
                raise UsageError(f"{o.flag} needs --{part.NAME}; leave it out or give a guide")
            if o.name.endswith("_weight") and (value := o.of(part)) is not None and not 0 <= value < math.inf:
                raise UsageError(f"{o.flag} {value}: a number from 0 up is needed")
    extractor = request.orientation.extractor
    if extractor not in (None, *EXTRACTORS):
        raise UsageError(f"--orientation-extractor {extractor!r} is not one of {', '.join(EXTRACTORS)}")
    if request.orientation.sources and extractor is not None:
        raise UsageError("--source-orientation and --orientation-extractor exclude each other; give one of them")
    _check_counts(request, exemplars)


def _check_labels(request: Request) -> None:
    """Refuse labels that come neither with a map for each exemplar nor with a colour for each."""
    part = request.labels
    coloured = bool(part.colours) or part.target is not None
    if coloured and part.maps is not None:
        raise UsageError("--labels and --label-exemplar with --label-map exclude each other; give one of them")
    if coloured and part.target is None:
        raise UsageError("--label-exemplar needs --label-map TGT, which says where each label goes")
    if coloured and not part.colours:
        raise UsageError("--label-map needs --label-exemplar COLOUR=FILE; with a map of the exemplar use --labels")
    for text in part.colours:
        colour(text)


def _check_counts(request: Request, exemplars: int) -> None:
    """Refuse other numbers of source maps than one for each exemplar."""
    if not exemplars:
        raise UsageError("at least one exemplar is needed")
    each: dict[str, Sequence[Any] | None] = {
        "--progression": request.progression.maps and request.progression.maps[0],
        "--source-orientation": request.orientation.sources or None,
        "--labels": request.labels.maps and request.labels.maps[0],
        "--label-exemplar": request.labels.colours or None,
    }
    for flag, values in each.items():
        if values is not None and len(values) != exemplars:
            counts = f"{len(values)} given for {exemplars} exemplar(s)"
            raise UsageError(f"{flag}: {counts}; name a folder that holds one for each, by stem")
    if (request.blend is not None or request.blend_map) and exemplars < 2:
        raise UsageError(f"--blend needs two exemplars or more, and {exemplars} given; leave it out")
    shares.check(request.blend_map or (), exemplars)
    if exemplars > 1 and request.progression.refine:
        raise UsageError("--refine takes its detail from the map of one exemplar; with several leave it out")


def _extent(draft: Draft, targets: Sequence[Map]) -> tuple[int, int]:
    """The output's (height, width): what was asked for, factors being of the first target map; or else that map's."""
    if not targets:
        return synthesize.extent(draft, draft.exemplars[0].size)
    height, width = extent(targets[0].picture)
    if draft.request.size is not None:
        return parse.size(draft.request.size, (height, width))
    if min(height, width) < parse.SMALLEST:
        raise InputError(
            f"{targets[0].entry.name} is {width}x{height}, too small for an output of its size; give --size"
        )
    return height, width


def check_preset(request: Request, preset: Preset) -> None:
    """Raise UsageError for a preset that cannot draw what was asked for beside the picture."""
    methods = {stage.method for stage in preset.stages}
    if request.save_attention is not None and "msca" not in methods:
        raise UsageError(f"--save-attention: preset {preset.name} pays no attention; --method msca does")
    if request.save_warp and "cocosnet" not in methods:
        raise UsageError(f"--save-warp: preset {preset.name} warps nothing; --method cocosnet does")


def settings(request: Request) -> dict[str, Any]:
    """The settings of the preset that options of their own set."""
    return {} if request.save_attention is None else {"attention_maps": "on"}


VERB = Verb("control", build, settings=settings, check_preset=check_preset)
