"""What each kind of guide may be asked for: a part of the requests of `control` and, without its tools, of `evaluate`.

A part called NAME is made a guide of by texsynth/guidance/NAME.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from texsynth.errors import UsageError
from texsynth.requests.option import Files, Part, Source, exactly, option, options

if TYPE_CHECKING:
    from typing_extensions import Self

AUTO = "auto"  # in place of a map of an exemplar: it is estimated
EXTRACTORS = ("tensor", "histogram")


def pair(flag: str, files: tuple[str, str]) -> tuple[list[str], str]:
    """SRC and TGT of a guide; the parser takes the next option for a file that was forgotten, UsageError."""
    for file in files:
        if file.startswith("-") and file != "-":
            raise UsageError(f"{flag} takes two files, SRC and TGT, and got {file!r}; write ./{file} if it is one")
    return [files[0]], files[1]


def pair_texts(value: tuple[list[Source], Source]) -> list[list[str]]:
    """What `pair` reads."""
    sources, target = value
    return [[str(sources[0]), str(target)]]


def label_texts(pairs: list[tuple[str, Source]]) -> list[list[str]]:
    """What `label_exemplars` reads."""
    return [[f"{colour}={file}"] for colour, file in pairs]


def label_exemplars(texts: list[str]) -> list[tuple[str, str]]:
    """ "green=grass.png" -> its colour and its file, for each; raises UsageError."""
    pairs = []
    for text in texts:
        colour, equals, file = text.partition("=")
        if not (colour and equals and file):
            raise UsageError(f"--label-exemplar {text!r} is not COLOUR=FILE, for example green=grass.png")
        pairs.append((colour, file))
    return pairs


class GuidePart(Part):
    """Base of the options of one kind of guide."""

    PANEL = "Guides"
    SECTION = "guides"
    NAME = ""

    @property
    def present(self) -> bool:
        """Was a guide of this kind asked for? The option of its name does so."""
        return any(o.of(self) is not None for o in options(type(self)) if o.name == self.NAME)

    def recalled(self, record: Mapping[str, Any], files: Files, request: Any) -> Any:
        """These options of a request with the values of a recorded run where none were given; raises InputError."""
        raise NotImplementedError

    def _filled(self, section: Mapping[str, Any], **values: Any) -> Self:
        """With plain values of the record where none were given, and with these ones."""
        plain = {
            o.path[0]: section.get(o.name)
            for o in options(type(self))
            if o.section and not o.role and o.stored in (bool, float, str) and o.of(self) is None
        }
        return replace(self, **{**plain, **values})  # type: ignore[type-var]


@dataclass(frozen=True, kw_only=True)
class ProgressionMaps(GuidePart):
    """The maps of a progression: one for each exemplar, or AUTO, and the target.

    maps: How far along its change of appearance each pixel of the exemplar is (SRC, a grey or colour map, or `auto` to
        estimate it), and how far each pixel of the output shall be (TGT).
    """

    NAME = "progression"

    maps: tuple[list[Source], Source] | None = option(
        None,
        metavar="SRC TGT",
        name="progression",
        text=tuple[str, str] | None,
        parse=partial(pair, "--progression"),
        texts=pair_texts,
        role="progression",
        per="exemplar",
        recorded=True,
        stored=list,
    )


@dataclass(frozen=True, kw_only=True)
class Progression(ProgressionMaps):
    """A guide by how far a texture has changed; refine_seed is that of a recorded refinement.

    weight: The weight of the progression. Default: 10.
    reverse: Exchange the two ends of the progression's target.
    distance_transform: Make the progression's target the distance to the dark parts of its map.
    refine: Give the progression's target the fine detail and the histogram of the exemplar's map.
    match_histogram: Give the progression's target the distribution of values of the exemplar's map.
    match_range: Stretch the progression's target to the range of the exemplar's map.
    """

    weight: float | None = option(None, name="progression_weight", metavar="X", recorded=True)
    reverse: bool | None = option(None, recorded=True)
    distance_transform: bool | None = option(None, recorded=True)
    refine: bool | None = option(None, recorded=True, stored=int)
    match_histogram: bool | None = option(None, recorded=True)
    match_range: bool | None = option(None, recorded=True)
    refine_seed: int | None = None

    def recalled(self, record: Mapping[str, Any], files: Files, request: Any) -> Progression:
        section, values = record["guides"], dict[str, Any]()
        words = section.get("progression")
        if self.refine is None and section.get("refine") is not None:
            values = {"refine": True, "refine_seed": section["refine"] if request.seed is None else None}
        if self.maps is None and words is not None:
            paths = iter(exactly(words.count(None), files("progression-source")))
            sources = [next(paths) if word is None else AUTO for word in words]
            values["maps"] = (sources, exactly(1, files("progression-target"))[0])
        return self._filled(section, **values)


@dataclass(frozen=True, kw_only=True)
class OrientationMaps(GuidePart):
    """The maps of an orientation: the target, and those of the exemplars, without which these are extracted.

    target: The direction that the output follows: angle:DEG (clockwise from the x axis), circle, spiral, s-curve, a
        .npy file (2,H,W), or a picture whose red and green are x and y.
    sources: The directions of the exemplar, as a .npy file or a picture. Default: extracted.
    """

    NAME = "orientation"

    target: Source | None = option(
        None, name="orientation", metavar="TGT", role="orientation-target", per="run", recorded=True
    )
    sources: list[Source] | None = option(
        None,
        metavar="SRC",
        name="source_orientation",
        text=str | None,
        parse=lambda file: [file],
        role="orientation-source",
        per="exemplar",
    )


@dataclass(frozen=True, kw_only=True)
class Orientation(OrientationMaps):
    """A guide by direction.

    extractor: How the directions of the exemplar are extracted from it. Default: tensor.
    weight: The weight of the orientation. Default: 5.
    """

    extractor: str | None = option(None, name="orientation_extractor", metavar="|".join(EXTRACTORS), recorded=True)
    weight: float | None = option(None, name="orientation_weight", metavar="X", recorded=True)

    def recalled(self, record: Mapping[str, Any], files: Files, request: Any) -> Orientation:
        """Directions that are given and a way to extract them rule each other out."""
        section, values = record["guides"], dict[str, Any]()
        if self.sources is not None:
            values["extractor"] = self.extractor
        elif self.extractor is None:
            values["sources"] = list(files("orientation-source")) or None
        if self.target is None and "orientation" in section:
            values["target"] = section["orientation"] or exactly(1, files("orientation-target"))[0]
        return self._filled(section, **values)


@dataclass(frozen=True, kw_only=True)
class LabelMaps(GuidePart):
    """The maps of labels: one for each exemplar, and the target.

    maps: Which part of the exemplar (SRC) and of the output (TGT) is what, painted in flat colours of your own.
    """

    NAME = "labels"

    maps: tuple[list[Source], Source] | None = option(
        None,
        metavar="SRC TGT",
        name="labels",
        text=tuple[str, str] | None,
        parse=partial(pair, "--labels"),
        texts=pair_texts,
        role="labels",
        per="exemplar",
    )


@dataclass(frozen=True, kw_only=True)
class Labels(LabelMaps):
    """A guide by labels: maps of them, or one label for each whole exemplar and a map that says where each goes.

    exemplars: A picture all of which has one label, in place of EXEMPLAR; COLOUR is RRGGBB or a name. Repeatable.
    target: Where the labels of --label-exemplar go in the output.
    weight: The weight of the labels. Default: 10.
    label_colours: The colour of each exemplar's label, as a record keeps it.
    """

    exemplars: list[tuple[str, Source]] | None = option(
        None,
        flags="--label-exemplar",
        metavar="COLOUR=FILE",
        name="label_exemplars",
        text=list[str] | None,
        parse=label_exemplars,
        texts=label_texts,
    )
    target: Source | None = option(None, name="label_map", metavar="TGT", role="label-map", per="run")
    weight: float | None = option(None, name="labels_weight", metavar="X", recorded=True)
    label_colours: list[str] | None = option(None, recorded=True, hidden=True)

    @property
    def present(self) -> bool:
        return self.maps is not None or bool(self.colours)

    @property
    def colours(self) -> list[str]:
        """The colour of each exemplar, where these have one for all of theirs."""
        return self.label_colours or [colour for colour, _ in self.exemplars or ()]

    def recalled(self, record: Mapping[str, Any], files: Files, request: Any) -> Labels:
        """One way of giving labels rules out the other."""
        section, values = record["guides"], dict[str, Any]()
        if self.maps is None and "labels_weight" in section:
            if section.get("label_colours"):
                values["target"] = self.target or exactly(1, files("labels-target"))[0]
                values["label_colours"] = self.colours or [str(colour) for colour in section["label_colours"]]
            elif not self.colours:
                values["maps"] = (list(files("labels-source")), exactly(1, files("labels-target"))[0])
        return self._filled(section, **values)
