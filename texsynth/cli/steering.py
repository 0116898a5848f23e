"""The options of `texsynth control` itself: what a record gives back to them, and what they are for one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from texsynth.cli import plan, replay
from texsynth.cli.options import Common
from texsynth.cli.plan import Item
from texsynth.errors import InputError
from texsynth.guidance.maps import AUTO

Maps = tuple[Sequence[str], str]  # one for each exemplar, and the target
PLAIN = ("reverse", "distance_transform", "match_histogram", "match_range", "orientation_extractor")
WEIGHTS = ("progression_weight", "orientation_weight", "labels_weight")
TARGETS = ("orientation", "label_map", "guide_weight_map")


@dataclass(frozen=True)
class Steering:
    """What the options were set to. None means not given, so that --from can fill it in.

    refine_seed: of a recorded refinement; None for the run's own seed.
    """

    progression: Maps | None = None
    progression_weight: float | None = None
    reverse: bool | None = None
    distance_transform: bool | None = None
    refine: bool | None = None
    refine_seed: int | None = None
    match_histogram: bool | None = None
    match_range: bool | None = None
    orientation: str | None = None
    source_orientation: Sequence[str] | None = None
    orientation_extractor: str | None = None
    orientation_weight: float | None = None
    labels: Maps | None = None
    label_colours: Sequence[str] | None = None
    label_map: str | None = None
    labels_weight: float | None = None
    guide_weight_map: str | None = None
    blend: str | Sequence[float] | None = None
    blend_map: Sequence[str] | None = None

    @property
    def reads(self) -> list[str]:
        """Every file named, and the words that may stand for one."""
        pairs = [pair for pair in (self.progression, self.labels) if pair is not None]
        named = [name for sources, target in pairs for name in (*sources, target)]
        targets = [name for name in (getattr(self, name) for name in TARGETS) if name is not None]
        return [*named, *(self.source_orientation or ()), *(self.blend_map or ()), *targets]

    def request(self, item: Item, seed: int) -> dict[str, Any]:
        """The arguments of the verb's Request; folders stand for the files of the exemplars' stems, or InputError."""
        given: dict[str, Any] = {
            name: (_sources(pair[0], item, name), _target(pair[1], item, name))
            for name, pair in (("progression", self.progression), ("labels", self.labels))
            if pair is not None
        }
        targets = {name: getattr(self, name) for name in TARGETS}
        given |= {name: _target(text, item, name) for name, text in targets.items() if text is not None}
        if self.source_orientation is not None:
            given["source_orientation"] = _sources(self.source_orientation, item, "source-orientation")
        if self.refine:
            given["refine"] = seed if self.refine_seed is None else self.refine_seed
        plain = {name: getattr(self, name) for name in (*PLAIN, *WEIGHTS, "label_colours", "blend", "blend_map")}
        return given | {name: value for name, value in plain.items() if value is not None}


def recalled(given: Steering, common: Common) -> Steering:
    """With the options of the run that --from names where none were given; raises InputError."""
    stored = replay.recorded("control", common)
    if stored is None:
        return given
    told = stored["guides"]

    def found(role: str) -> list[str]:
        return replay.files(stored, role, common)

    values = {name: told.get(name) for name in (*PLAIN, *WEIGHTS) if getattr(given, name) is None}
    if given.source_orientation is not None:
        values.pop("orientation_extractor", None)
    elif given.orientation_extractor is None:
        values["source_orientation"] = found("orientation-source") or None
    if given.refine is None and told.get("refine") is not None:
        values |= {"refine": True, "refine_seed": told["refine"] if common.seed is None else None}
    if given.progression is None and told.get("progression") is not None:
        words = told["progression"]
        files = iter(_exactly(words.count(None), found("progression-source")))
        sources = [next(files) if word is None else AUTO for word in words]
        values["progression"] = (sources, _only(found("progression-target")))
    if given.orientation is None and "orientation" in told:
        values["orientation"] = told["orientation"] or _only(found("orientation-target"))
    if given.blend is None and given.blend_map is None:
        values |= {"blend": told.get("blend"), "blend_map": found("blend-map") or None}
    if given.guide_weight_map is None:
        values["guide_weight_map"] = next(iter(found("guide-weight-map")), None)
    return replace(given, **values, **_labels(given, told, found))


def _labels(given: Steering, told: dict[str, Any], found: Callable[[str], list[str]]) -> dict[str, Any]:
    """The labels of the recorded run: one way of giving them rules out the other."""
    if given.labels is not None or "labels_weight" not in told:
        return {}
    if told.get("label_colours"):
        target = given.label_map or _only(found("labels-target"))
        colours = given.label_colours or [str(colour) for colour in told["label_colours"]]
        return {"label_colours": colours, "label_map": target}
    if given.label_colours is not None:
        return {}
    return {"labels": (found("labels-source"), _only(found("labels-target")))}


def _only(files: Sequence[str]) -> str:
    """The one file that a role has in a whole record."""
    return _exactly(1, files)[0]


def _exactly(count: int, files: Sequence[str]) -> Sequence[str]:
    if len(files) != count:
        raise InputError(f"--from: the record names {len(files)} maps where its guides need {count}; it is damaged")
    return files


def _sources(sources: Sequence[str], item: Item, option: str) -> list[str | Path]:
    """One for each exemplar of a run, from a folder or by the word auto; otherwise as given."""
    if list(sources) == [AUTO]:
        return [AUTO] * len(item.sources)
    if len(sources) == 1 and Path(sources[0]).is_dir():
        return [_paired(sources[0], exemplar, option) for exemplar in item.sources]
    return list(sources)


def _target(text: str, item: Item, option: str) -> str | Path:
    """A file or a word as given; a folder stands for the file of the first exemplar's stem."""
    return _paired(text, item.sources[0], option) if Path(text).is_dir() else text


def _paired(folder: str, exemplar: Path, option: str) -> Path:
    """The map in a folder that has the exemplar's stem; directions may be arrays. Raises InputError."""
    array = Path(folder) / f"{exemplar.stem}.npy"
    if "orientation" in option and array.is_file():
        return array
    return plan.paired([folder], [exemplar], f"--{option.replace('_', '-')}")[0]
