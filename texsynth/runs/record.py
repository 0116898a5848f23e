"""The record of a run: what is stored with every output, and read back to repeat it.

Plain JSON without times or folders: the same run writes the same bytes, and tells nobody where it was made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from texsynth import preset as presets
from texsynth.errors import InputError, UsageError, one_line
from texsynth.foreign.piped import NAME as PIPED
from texsynth.image import picture as image
from texsynth.image.files import digest
from texsynth.job import Input, Job
from texsynth.material import packing, texel
from texsynth.requests.option import options, sound
from texsynth.requests.shared import is_map_name
from texsynth.task import Preset
from texsynth.verbs import parse

NEEDED = {"verb": str, "preset": dict, "seed": int, "size": str, "tile": str, "inputs": list}
UNIT = (1 << 13, 1 << 13)  # a picture that sizes are factors of, which may be far below 1 or above
MEASURED = ("losses", "tone", "measured")  # keys of what a run has measured, beside what it was asked for
POINTS = 100  # that the course of the loss keeps
LONGEST_NAME = 255  # bytes of the name of a file
LONGEST_WORD = 40
WORDS: Mapping[str, Callable[[Any, str], object]] = {  # what reads the words that a record keeps of an option
    "size": lambda text, flag: parse.size(text, UNIT, flag),
    "retarget": lambda text, flag: parse.size(text, UNIT, flag),
    "crop": lambda text, _: parse.crop(text),
    "extend": lambda text, _: parse.extend(text),
    "make_tileable": parse.tile,
    "texel": texel.parse,
    "pack": packing.parse,
}
INPUT_KEYS = {field.name for field in fields(Input)}


def versions() -> dict[str, str]:
    """What a record says of the programs that made it."""
    return {name: _version(name) for name in ("texsynth", "torch")}


@cache  # a run asks twice, and reading all of a distribution's metadata takes longer than the rest of a record
def _version(name: str) -> str:
    return metadata.version(name)


def describe(job: Job, preset: Preset, seed: int) -> dict[str, Any]:
    """The resolved run as plain JSON values."""
    values: dict[str, Any] = plain({"preset": dict(preset.values), "seed": seed, **job.values})
    entries = [asdict(entry) for entry in job.inputs]
    return {**versions(), "verb": job.verb, **values, "device": str(job.task.device), "inputs": entries}


def plain(value: Any) -> Any:
    """JSON-able values as they are when read back: tuples become lists."""
    return json.loads(json.dumps(value))


def course(losses: Sequence[tuple[str, float, int, float]]) -> list[list[Any]]:
    """(stage, level, step, loss) of a run, thinned to at most POINTS entries, the last of them kept."""
    every = -(-len(losses) // POINTS) or 1
    return [[*where, float(f"{loss:.4g}")] for *where, loss in losses[(len(losses) - 1) % every :: every]]


def load(path: Path, verb: str, request: type) -> dict[str, Any]:
    """The record stored with a picture of a verb, whose options `request` declares; raises InputError when there is
    none, it is of another verb, or any part of it is damaged: others may have written it."""
    if not path.is_file():
        raise InputError(f"--from {path}: there is no such file")
    record = image.read_metadata(path)
    if record is None:
        raise InputError(f"--from {path}: it carries no texsynth record; repeat needs a picture written with one")
    if not _whole(record) or (record["verb"] == verb and not sound(request, record)):
        raise InputError(f"--from {path}: its record is damaged or from another program")
    if record["verb"] != verb:
        made_by = one_line(record["verb"], LONGEST_WORD)
        raise InputError(f"--from {path}: it was made by `texsynth {made_by}`, not by `texsynth {verb}`")
    try:
        for o in options(request):
            value = None if o.section is None else (record if o.section == "" else record[o.section]).get(o.name)
            if o.name in WORDS and value is not None:
                WORDS[o.name](value, o.flag)
        presets.build(record["preset"]["name"], record["preset"])
    except UsageError as error:
        raise InputError(f"--from {path}: its record is damaged ({error})") from None
    return record


def entries(record: Mapping[str, Any], role: str) -> list[dict[str, str]]:
    """The inputs of one role, in order."""
    return [entry for entry in record["inputs"] if entry["role"] == role]


def locate(record: Mapping[str, Any], role: str, folders: Sequence[Path]) -> list[Path]:
    """The recorded inputs of one role, found by base name and checked by hash; raises InputError."""
    return [_find(entry, folders) for entry in entries(record, role)]


def verify(record: Mapping[str, Any], role: str, paths: Sequence[Path]) -> None:
    """Check files against the recorded inputs of one role; raises InputError on any difference."""
    wanted = entries(record, role)
    if len(wanted) != len(paths):
        raise InputError(f"the record has {len(wanted)} inputs as {role}, and {len(paths)} were given")
    for entry, path in zip(wanted, paths, strict=True):
        if not path.is_file():
            raise InputError(f"{path} is a folder; give the file" if path.is_dir() else f"{path} does not exist")
        if digest(path) != entry["sha256"]:
            raise InputError(f"{path} is not the {role} of the recorded run: its contents differ")


def verify_weights(record: Mapping[str, Any], inputs: Sequence[Input]) -> None:
    """Check the weights and the model of a run against the recorded ones; raises InputError on any difference."""
    stored = {e["role"]: e for e in record["inputs"] if e["role"] == "model" or e["role"].startswith("weights:")}
    for entry in inputs:
        before = stored.get(entry.role)
        if before is not None and before["sha256"] != entry.sha256:
            flag = entry.role.partition(":")[0]
            raise InputError(
                f"{entry.name} is not {before['name']}, the {flag} of the recorded run: its contents differ; "
                f"give that file with --{flag}"
            )


def _whole(record: Mapping[str, Any]) -> bool:
    """Has a record everything that repeating it needs, of the right types?"""
    if not all(type(record.get(key)) is kind for key, kind in NEEDED.items()):
        return False
    preset = record["preset"]
    stages = preset.get("stages")
    return (
        all(_is_input(entry) for entry in record["inputs"])
        and isinstance(preset.get("name"), str)
        and len(preset["name"]) <= LONGEST_NAME
        and isinstance(stages, list)
        and bool(stages)
        and all(isinstance(stage, dict) and isinstance(stage.get("method"), str) for stage in stages)
    )


def _is_input(entry: Any) -> bool:
    """Can this be an input of a run, whose name is that of a file?"""
    if not (isinstance(entry, dict) and entry.keys() == INPUT_KEYS and all(isinstance(v, str) for v in entry.values())):
        return False
    kind, _, what = entry["role"].partition(":")
    named = kind != "map" or is_map_name(what)
    name, control = entry["name"], re.search(r"[\0-\x1f\x7f]", entry["name"] + entry["role"])
    length = len(name.encode("utf-8", "surrogatepass"))
    return named and not control and length <= LONGEST_NAME and bool(re.fullmatch("[0-9a-f]{64}", entry["sha256"]))


def _find(entry: Mapping[str, str], folders: Sequence[Path]) -> Path:
    name = Path(entry["name"]).name  # never a path, whatever the file says
    there = [folder / name for folder in folders if (folder / name).is_file()]
    if not there and name == PIPED:
        role = entry["role"]
        raise InputError(f"the {role} of the recorded run came from standard input; give it on the command line")
    if not there:
        raise InputError(f"{name}, an input of the recorded run, is neither beside the picture nor in this folder")
    same = [path for path in there if digest(path) == entry["sha256"]]
    if not same:
        remedy = "repeat it in the folder of its inputs"
        raise InputError(f"{there[0]} has changed since the recorded run, or is not its input; {remedy}")
    return same[0]
