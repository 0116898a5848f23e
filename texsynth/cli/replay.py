"""--from OUT.png: a recorded run as a command line, with the flags that were given on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from texsynth import preset, settings
from texsynth.cli.options import Common
from texsynth.runs import record
from texsynth.task import Preset

REPEATED = (
    "size",
    "tile",
    "seed",
    "crop",
    "flatten",
)  # flags whose recorded value holds unless they are given
UNSIZED = ("inpaint", "edit")  # verbs that take no --size


@dataclass(frozen=True)
class Given:
    """A command line after --from and the presets are looked up."""

    arguments: tuple[str, ...]
    common: Common
    preset: Preset


def given(verb: str, arguments: list[str], common: Common, default: str = preset.DEFAULT) -> Given:
    """Resolve --from, --preset, --method, --quality and --set; raises UsageError and InputError.

    default: the preset where none is named.
    """
    stored = recorded(verb, common)
    if stored is None:
        return Given(tuple(arguments), common, _preset(common, None, default))
    if arguments:
        record.verify(stored, "exemplar", [Path(a) for a in arguments])
    else:
        arguments = files(stored, "exemplar", common)
    return Given(tuple(arguments), _filled(common, stored), _preset(common, stored, default))


def chosen(verb: str, common: Common, default: str = preset.DEFAULT) -> Preset:
    """The preset that the command line ends up with; raises UsageError and InputError."""
    return _preset(common, recorded(verb, common), default)


def recorded(verb: str, common: Common) -> dict[str, Any] | None:
    """The record that --from names; None without it. Raises InputError."""
    return None if common.repeat is None else record.load(common.repeat, verb)


def files(stored: dict[str, Any], role: str, common: Common) -> list[str]:
    """The inputs of one role of the record that --from names, as they are found; raises InputError."""
    assert common.repeat is not None
    return [str(path) for path in record.locate(stored, role, [common.repeat.parent, Path()])]


def own(
    verb: str, given: Mapping[str, Any], roles: Mapping[str, str], common: Common, exclusive: Sequence[str] = ()
) -> dict[str, Any]:
    """A verb's own options, with those of the run that --from names where none were given; raises InputError.

    given: their values by name, None where not given. roles: of those that are lists of files, the role of these among
    the inputs; all others are plain values of the record. exclusive: options of which one rules out the others.
    """
    stored = recorded(verb, common)
    if stored is None:
        return dict(given)
    settled = any(given[name] is not None for name in exclusive)
    missing = [name for name, value in given.items() if value is None and not (settled and name in exclusive)]
    held = {n: files(stored, roles[n], common) or None if n in roles else stored[verb].get(n) for n in missing}
    return {**given, **held}


def _filled(common: Common, stored: dict[str, Any]) -> Common:
    """The options of the recorded run where the command line gives none."""
    values: dict[str, Any] = {key: stored.get(key) for key in REPEATED if getattr(common, key) is None}
    if stored["verb"] in UNSIZED:
        values["size"] = common.size
    if common.maps is None:
        names = dict.fromkeys(record.map_names(stored))
        values["maps"] = [f"{n}={file}" for n in names for file in files(stored, f"map:{n}", common)]
    if common.source_mask is None:
        values["source_mask"] = files(stored, "source-mask", common)
    if common.model is None and (found := files(stored, "model", common)):
        values["model"] = Path(found[0])
    if common.init is None:
        values["init"] = next(iter(files(stored, "init", common)), None)
    return replace(common, **values)


def _preset(common: Common, stored: dict[str, Any] | None, default: str) -> Preset:
    values = settings.parse(common.sets or [])
    named = common.method or common.preset or common.quality
    if stored is not None and not named:
        return preset.build(stored["preset"]["name"], stored["preset"], values)
    if common.model is not None and not named:
        from texsynth.training.preset import user_of

        default = user_of(common.model)
    return preset.resolve(common.method, common.preset, common.quality, values, default)
