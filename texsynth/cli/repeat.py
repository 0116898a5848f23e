"""--from: what a recorded run gives back to the request that repeats it, or that applies it to a larger original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from texsynth.errors import InputError, UsageError, listed
from texsynth.foreign.piped import path_of
from texsynth.image import picture as image
from texsynth.image.files import digest
from texsynth.material import texel
from texsynth.requests.option import Option, options, recalled
from texsynth.runs import record
from texsynth.runs.save import field_path
from texsynth.verbs import magnified

BESIDE_A_FIELD = ("maps", "field", "exact_copies")  # options that leave a field of pointers as it is


@dataclass(frozen=True)
class Repeat:
    """A request with what a record gave back, its exemplars, and the record: that of what is made."""

    request: Any
    arguments: Sequence[str | Path]
    stored: Mapping[str, Any]


def repeated(verb: str, request: Any, arguments: Sequence[str | Path]) -> Repeat:
    """A request that repeats a run, filled; raises UsageError and InputError."""
    folders = [request.repeat.parent, Path()]
    stored: Mapping[str, Any] = record.load(request.repeat, verb, type(request))
    fresh = _may_be_larger(request, stored, arguments)
    if fresh:
        stored = _enlarged(stored, path_of(arguments[0]), folders)
    elif arguments:
        record.verify(stored, "exemplar", [path_of(argument) for argument in arguments])
    if stored.get("factor") is not None:
        request, stored = _with_field(request, stored, fresh)

    def files(role: str) -> list[str]:
        return [str(path) for path in record.locate(stored, role, folders)]

    arguments = arguments or [*files("exemplar")]
    return Repeat(recalled(request, stored, files), arguments, stored)


def steers(o: Option, value: Any) -> bool:
    """Does an option that was given change what a recorded run makes?"""
    return value != o.default and (o.section is not None or bool(o.role) or o.panel == "Preset")


def _may_be_larger(request: Any, stored: Mapping[str, Any], arguments: Sequence[str | Path]) -> bool:
    """May what was given be a larger original of the recorded exemplar? Of a magnified run there is no other."""
    before = record.entries(stored, "exemplar")
    if not hasattr(request, "reduced") or stored.get("factor") is not None or len(before) != 1 or len(arguments) != 1:
        return False
    path = path_of(arguments[0])
    return path.is_file() and digest(path) != before[0]["sha256"]


def _enlarged(stored: Mapping[str, Any], large: Path, folders: Sequence[Path]) -> dict[str, Any]:
    """The record of a run applied to a larger original of its exemplar, as far as sizes tell; raises InputError."""
    wrong = f"{large} is not the exemplar of the recorded run: its contents differ"
    try:
        (small,) = record.locate(stored, "exemplar", folders)
    except InputError as error:
        raise InputError(f"{wrong}; whether it is a larger original of that cannot be told ({error})") from None
    whole, reduced = image.size_of(large), image.size_of(small)
    # A file says its size before it is turned upright.
    times = magnified.factor(whole, reduced) or magnified.factor(whole, (reduced[1], reduced[0]))
    if times is None:
        (h, w), (height, width) = whole, reduced
        raise InputError(f"{wrong}, and its size, {w}x{h}, is no whole multiple of {width}x{height}")
    size, crop = magnified.enlarged_size(stored["size"], times), stored.get("crop")
    box = None if crop is None else magnified.enlarged_crop(crop, times, whole)
    pixel = {"texel": texel.words(texel.parse(stored["texel"]) / times)} if stored.get("texel") else {}
    inputs = [{**entry, "role": "reduced"} if entry["role"] == "exemplar" else entry for entry in stored["inputs"]]
    return {**stored, **pixel, "size": size, "crop": box, "factor": times, "inputs": inputs}


def _with_field(request: Any, stored: Mapping[str, Any], fresh: bool) -> tuple[Any, Mapping[str, Any]]:
    """A request for a magnified run, and its record, with the field that fits both: that beside the small run's picture
    if none was given, and none where the run is changed. Raises UsageError."""
    chosen = [o for o in options(type(request)) if steers(o, o.of(request)) and o.name not in BESIDE_A_FIELD]
    fixed = [o.flag for o in chosen if o.name in ("size", "crop")]
    if fixed:
        times = stored["factor"]
        raise UsageError(f"{fixed[0]}: the result is {times} times as large as that of the small run; leave it out")
    changes = [o.flag for o in chosen] + (["-n"] if request.variations > 1 else [])
    if not changes:
        beside = field_path(request.repeat)
        use = fresh and request.field is None and beside.is_file()
        return (replace(request, field=beside) if use else request), stored
    if request.field is not None:
        raise UsageError(f"--field holds one run, and {listed(changes)} ask for others; leave one out")
    return request, {**stored, "inputs": [entry for entry in stored["inputs"] if entry["role"] != "field"]}
