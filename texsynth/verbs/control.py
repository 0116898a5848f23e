"""control: more of a texture, steered by maps that say which part of the exemplar goes where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from texsynth.errors import InputError, UsageError
from texsynth.guidance import guides, maps
from texsynth.guidance.guides import EXTRACTORS, Made
from texsynth.guidance.maps import AUTO, Map
from texsynth.image.load import Note, Source, extent
from texsynth.job import Job
from texsynth.verbs import blend as shares
from texsynth.verbs import parse, synthesize
from texsynth.verbs.synthesize import Draft

Maps = tuple[Sequence[Source], Source]  # one for each exemplar, and the target

# What each guide may be told besides its maps; all of it is recorded.
OPTIONS = {
    "progression": (
        "progression_weight", "reverse", "distance_transform", "refine", "match_histogram", "match_range"
    ),
    "orientation": ("orientation_weight", "orientation_extractor"),
    "labels": ("labels_weight",),
}  # fmt: skip


@dataclass(frozen=True)
class Request(synthesize.Request):
    """What was asked for, in the words of the command line.

    progression: a source may be AUTO. orientation: the target, a map or the name of a built-in field.
    source_orientation: empty to extract it. labels, or else label_colours (one for each exemplar) and label_map.
    refine: the seed of its noise, None for no refinement. Weights: None for the default of verbs/guides.py. blend: the
    share of each of several exemplars, and blend_map, as in `barycenter`; without one exemplars are remixed.
    """

    progression: Maps | None = None
    progression_weight: float | None = None
    reverse: bool = False
    distance_transform: bool = False
    refine: int | None = None
    match_histogram: bool = False
    match_range: bool = False
    orientation: Source | None = None
    source_orientation: Sequence[Source] = ()
    orientation_extractor: str | None = None
    orientation_weight: float | None = None
    labels: Maps | None = None
    label_colours: Sequence[str] = ()
    label_map: Source | None = None
    labels_weight: float | None = None
    guide_weight_map: Source | None = None
    blend: str | Sequence[float] | None = None
    blend_map: Sequence[Source] = ()


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    _check(request)
    word = None if request.orientation is None else maps.word(request.orientation)
    notices: list[str] = []
    note = notices.append
    draft = synthesize.read(request, note)
    wanted = _targets(request, word)
    size = _extent(draft, list(wanted.values()))
    made = _made(request, draft, wanted, size, note)
    entries = [entry for one in made for entry in one.inputs]
    steering = [one.guide for one in made]
    if request.guide_weight_map is not None:
        share, entry = guides.strength(request.guide_weight_map, size, note)
        steering = [replace(guide, strength=share) for guide in steering]
        entries.append(entry)
    own = _values(request, made, word)
    blend = None
    if request.blend_map:
        blend, read = shares.mapped(request.blend_map, size, note)
        entries += read
    elif request.blend is not None:
        own["blend"] = list(shares.constant(request.blend, len(draft.exemplars), note))
        blend = shares.panels([tuple(own["blend"])], size)
    job = synthesize.finish(draft, "control", size, notices)
    return replace(
        job,
        task=replace(job.task, guides=tuple(steering), blend=blend),
        inputs=(*job.inputs, *entries),
        values={**job.values, "guides": own},
    )


def _check(request: Request) -> None:
    """Refuse what contradicts itself, before anything is read."""
    _check_labels(request)
    present = {
        "progression": request.progression is not None,
        "orientation": request.orientation is not None,
        "labels": request.labels is not None or bool(request.label_colours),
    }
    if not any(present.values()):
        raise UsageError("control needs a guide: --progression SRC TGT, --orientation TGT or --labels SRC TGT")
    for guide, names in OPTIONS.items():
        for name in (*names, *(["source_orientation"] if guide == "orientation" else [])):
            if _given(getattr(request, name)) and not present[guide]:
                raise UsageError(f"{_flag(name)} needs --{guide}; leave it out or give a guide")
    for name in ("progression_weight", "orientation_weight", "labels_weight"):
        value = getattr(request, name)
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{_flag(name)} {value}: a number from 0 up is needed")
    if request.orientation_extractor not in (None, *EXTRACTORS):
        raise UsageError(
            f"--orientation-extractor {request.orientation_extractor!r} is not one of {', '.join(EXTRACTORS)}"
        )
    if request.source_orientation and request.orientation_extractor is not None:
        raise UsageError("--source-orientation and --orientation-extractor exclude each other; give one of them")
    _check_counts(request)


def _check_labels(request: Request) -> None:
    """Labels come with a map for each exemplar, or with a colour for each."""
    apart = bool(request.label_colours) or request.label_map is not None
    if apart and request.labels is not None:
        raise UsageError("--labels and --label-exemplar with --label-map exclude each other; give one of them")
    if apart and request.label_map is None:
        raise UsageError("--label-exemplar needs --label-map TGT, which says where each label goes")
    if apart and not request.label_colours:
        raise UsageError("--label-map needs --label-exemplar COLOUR=FILE; with a map of the exemplar use --labels")
    for text in request.label_colours:
        guides.colour(text)


def _check_counts(request: Request) -> None:
    """One source map for each exemplar."""
    exemplars = len(request.exemplars)
    if not exemplars:
        raise UsageError("at least one exemplar is needed")
    sources: dict[str, Sequence[Any] | None] = {
        "--progression": request.progression and request.progression[0],
        "--source-orientation": request.source_orientation or None,
        "--labels": request.labels and request.labels[0],
        "--label-exemplar": request.label_colours or None,
    }
    for flag, given in sources.items():
        if given is not None and len(given) != exemplars:
            counts = f"{len(given)} given for {exemplars} exemplar(s)"
            raise UsageError(f"{flag}: {counts}; name a folder that holds one for each, by stem")
    if (request.blend is not None or request.blend_map) and exemplars < 2:
        raise UsageError(f"--blend needs two exemplars or more, and {exemplars} given; leave it out")
    if request.blend is not None and request.blend_map:
        raise UsageError("--blend and --blend-map exclude each other; give one of them")
    shares.check(request.blend_map, exemplars)
    if exemplars > 1 and request.refine is not None:
        raise UsageError("--refine takes its detail from the map of one exemplar; with several leave it out")


def _targets(request: Request, word: str | None) -> dict[str, Map]:
    """The target maps that are given as pictures or arrays."""
    wanted = {}
    if request.progression is not None:
        wanted["progression"] = maps.read(request.progression[1], "progression-target")
    if request.orientation is not None and word is None:
        wanted["orientation"] = maps.read_direction(request.orientation, "orientation-target")
    labels = request.label_map if request.labels is None else request.labels[1]
    if labels is not None:
        wanted["labels"] = maps.read(labels, "labels-target")
    return wanted


def _extent(draft: Draft, wanted: Sequence[Map]) -> tuple[int, int]:
    """The output's (height, width): what was asked for, factors being of the first target map; or else that map's."""
    if not wanted:
        return synthesize.extent(draft, draft.exemplars[0].size)
    height, width = extent(wanted[0].picture)
    if draft.request.size is not None:
        return parse.size(draft.request.size, (height, width))
    if min(height, width) < parse.SMALLEST:
        raise InputError(
            f"{wanted[0].entry.name} is {width}x{height}, too small for an output of its size; give --size"
        )
    return height, width


def _made(request: Request, draft: Draft, wanted: dict[str, Map], size: tuple[int, int], note: Note) -> list[Made]:
    """Every guide that was asked for."""
    made = []
    if request.progression is not None:
        made.append(guides.progression(request, draft, wanted["progression"], size, note))
    if request.orientation is not None:
        made.append(guides.orientation(request, draft, wanted.get("orientation"), size, note))
    if "labels" in wanted:
        made.append(guides.labels(request, draft, wanted["labels"], size, note))
    return made


def _values(request: Request, made: Sequence[Made], word: str | None) -> dict[str, Any]:
    """What the record says of the guides; the maps themselves are among its inputs."""
    found: dict[str, Any] = {}
    for guide in (one.guide for one in made):
        found |= {name: getattr(request, name) for name in OPTIONS[guide.name]}
        found[f"{guide.name}_weight"] = guide.weight
    if request.progression is not None:
        found["progression"] = [AUTO if maps.is_auto(source) else None for source in request.progression[0]]
    if request.orientation is not None:
        found["orientation"] = word
        if not request.source_orientation:
            found["orientation_extractor"] = request.orientation_extractor or EXTRACTORS[0]
    if request.label_colours:
        found["label_colours"] = ["#{:02x}{:02x}{:02x}".format(*guides.colour(text)) for text in request.label_colours]
    return found


def _given(value: Any) -> bool:
    """Was an option given? A weight or a seed of 0 is."""
    return value is not None and value is not False and value != ()


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
