"""Presets: YAML -> frozen, validated stages. Listing them reads YAML only, and imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from texsynth import settings
from texsynth.errors import UsageError, one_line, shown
from texsynth.foreign import regular, yaml_text
from texsynth.registry import METHODS

if TYPE_CHECKING:  # task imports torch, and `presets list` must answer before that
    from texsynth.task import Preset

DEFAULT = "guided-correspondence"
BARYCENTER = {"transport": "barycenter", "mosaic": DEFAULT}  # the default of each of its modes
QUALITIES = {"draft": "-draft", "normal": "", "high": "-high"}


def folder() -> Path:
    """Where the presets are: inside the installed package, or beside it in a source tree."""
    inside = Path(__file__).parent / "presets"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "presets"


def names() -> list[str]:
    """The registry is the directory listing."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def trained() -> list[str]:
    """Names of the presets of `texsynth train`; a folder of their own is their registry."""
    return sorted(path.stem for path in (folder() / "train").glob("*.yaml"))


def find(name_or_file: str, training: bool = False) -> Path:
    """The YAML file of a preset, of `texsynth train` where training, given by name or as a file; raises UsageError."""
    allowed = trained() if training else names()
    if name_or_file in allowed:
        return folder() / ("train" if training else "") / f"{name_or_file}.yaml"
    path = Path(name_or_file)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"there is no preset {shown(name_or_file)}{settings.suggestion(name_or_file, allowed)}")
    if not os.path.lexists(path):
        raise UsageError(f"preset file {path} does not exist")
    return path


def read(name_or_file: str) -> dict[str, Any]:
    """The plain form, {"description": str, "stages": [{"method": str, **settings}]}; raises UsageError."""
    path = find(name_or_file)
    return _plain(_content(path), path.name)


def read_training(name_or_file: str) -> dict[str, Any]:
    """The plain form of a preset of `texsynth train`, {"description": str, "recipe": str, **settings}; UsageError."""
    path = find(name_or_file, training=True)
    content = _mapping(_content(path), path.name)
    if not isinstance(content.get("recipe"), str):
        raise UsageError(f"preset {path.name} needs `recipe:`, what it trains")
    return {"description": "", **content}


def _content(path: Path) -> Any:
    try:
        return yaml_text.load(regular.content(path, yaml_text.LONGEST).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"preset {path.name} is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"preset {path.name} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"preset {path.name}: {error}") from None


def load(name_or_file: str) -> Preset:
    """Read and validate a preset; raises UsageError."""
    return build(Path(find(name_or_file)).stem, read(name_or_file))


def described(name_or_file: str) -> dict[str, Any]:
    """A preset with every setting of its stages as plain values, see `settings.show`; raises UsageError."""
    chosen = load(name_or_file)
    stages = [{"method": stage.method, "settings": list(settings.show(stage.settings))} for stage in chosen.stages]
    return {"name": chosen.name, "description": chosen.description, "stages": stages}


def build(name: str, plain: Mapping[str, Any], values: Mapping[str, Any] = MappingProxyType({})) -> Preset:
    """A frozen preset from its plain form, with `--set` values put in; raises UsageError."""
    from texsynth import methods
    from texsynth.task import Preset, Stage

    stages = [{**stage, "method": METHODS.current(stage["method"])} for stage in plain["stages"]]
    for stage in stages:
        if stage["method"] not in methods.names():
            hint = settings.suggestion(str(stage["method"]), methods.names())
            raise UsageError(f"preset {name}: there is no method {shown(stage['method'])}{hint}")
    kinds = {s["method"]: methods.method(s["method"]).Settings for s in stages}
    chosen = settings.assign(stages, kinds, values)
    built = tuple(
        Stage(method := stage.pop("method"), settings.make(kinds[method], stage, f"preset {name}")) for stage in chosen
    )
    resolved = [{"method": s.method, **settings.plain(s.settings)} for s in built]
    return Preset(name, plain.get("description", ""), built, {"name": name, "stages": resolved})


def resolve(
    method: str | None = None,
    preset: str | None = None,
    quality: str | None = None,
    values: Mapping[str, Any] = MappingProxyType({}),
    default: str = DEFAULT,
) -> Preset:
    """The preset that the flags ask for, `default` where they name none. `--method X` is the preset X; raises
    UsageError."""
    if method is not None and method not in names():
        raise UsageError(f"--method {shown(method)} is not known{settings.suggestion(method, names())}")
    if method is not None and preset is not None and not _belongs(preset, method):
        raise UsageError(f"--preset {preset} is not of --method {method}; give one of the two")
    name = preset or method or default
    if quality is not None:
        name = _graded(name, quality)
    return build(find(name).stem, read(name), values)


def _belongs(preset: str, method: str) -> bool:
    """Shipped presets belong to a method by name, files by their solver."""
    if preset in names():
        return preset == method or preset.startswith(f"{method}-")
    theirs, its = (METHODS.current(read(name)["stages"][0]["method"]) for name in (preset, method))
    return bool(theirs == its)


def _graded(name: str, quality: str) -> str:
    if quality not in QUALITIES:
        raise UsageError(f"--quality {shown(quality)} is not one of {', '.join(QUALITIES)}")
    there = [q for q, suffix in QUALITIES.items() if name + suffix in names()]
    if quality not in there:
        has = f"has only {', '.join(there)}" if there else "is a file, which has no qualities"
        raise UsageError(f"--quality {quality}: preset {name} {has}")
    return name + QUALITIES[quality]


def _mapping(content: Any, name: str) -> dict[str, Any]:
    """The content of a file, with a description of one line if any; raises UsageError."""
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"preset {name} is not a mapping of names to values")
    if not isinstance(content.get("description", ""), str):
        raise UsageError(f"preset {name}: `description:` is one line of text")
    return content


def _plain(content: Any, name: str) -> dict[str, Any]:
    content = _mapping(content, name)
    if "recipe" in content:
        recipe = one_line(content["recipe"], 40)
        raise UsageError(f"preset {name} is one of `texsynth train {recipe}`; synthesis takes its --model")
    if ("method" in content) == ("stages" in content):
        raise UsageError(f"preset {name} needs either `method:` or a list of `stages:`")
    described = content.get("description", "")
    rest = {key: value for key, value in content.items() if key != "description"}
    if "method" in rest:
        return {"description": described, "stages": [rest]}
    stages = rest.pop("stages")
    if rest:
        raise UsageError(f"preset {name}: {shown(next(iter(rest)))} stands beside `stages:`; put it into a stage")
    if not isinstance(stages, list) or not stages or not all(isinstance(s, dict) and "method" in s for s in stages):
        raise UsageError(f"preset {name}: `stages:` is a list, and each of its entries has a `method:`")
    return {"description": described, "stages": stages}
