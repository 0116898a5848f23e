"""Presets of `texsynth train`: YAML -> the frozen settings of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from texsynth import preset, settings
from texsynth.errors import UsageError, WeightsError
from texsynth.training import recipes as training
from texsynth.weights import trained as model


@dataclass(frozen=True)
class Preset:
    """A validated preset: settings of the recipe, and values, their plain form."""

    name: str
    description: str
    recipe: str
    settings: Any
    values: Mapping[str, Any]


def resolve(recipe: str, name_or_file: str | None = None, values: Mapping[str, Any] = MappingProxyType({})) -> Preset:
    """The preset of a recipe, by default the one of its name, with `--set` values put in; raises UsageError."""
    check(recipe)
    plain = preset.read_training(name_or_file or recipe)
    name = preset.find(name_or_file or recipe, training=True).stem
    if plain["recipe"] != recipe:
        raise UsageError(f"preset {name} is of recipe {plain['recipe']}, not of {recipe}; name one of the two")
    own = {key: value for key, value in plain.items() if key not in ("description", "recipe")}
    return build(name, plain["description"], recipe, own, values)


def build(name: str, described: str, recipe: str, own: Mapping[str, Any], values: Mapping[str, Any]) -> Preset:
    """A course from plain settings, with `--set` values put in; raises UsageError."""
    check(recipe)
    kind = training.recipe(recipe).Settings
    chosen = settings.assign([{"method": recipe, **own}], {recipe: kind}, values)[0]
    made = settings.make(kind, {key: value for key, value in chosen.items() if key != "method"}, f"preset {name}")
    return Preset(name, described, recipe, made, settings.plain(made))


def user_of(path: Path) -> str:
    """The preset of synthesis that uses a model; raises WeightsError."""
    recipe = model.header(path)["recipe"]
    if recipe not in training.names():
        raise WeightsError(f"--model: {path} is of recipe {recipe}, which this version does not know")
    return training.recipe(recipe).METHOD


def check(recipe: str) -> None:
    """Raise UsageError for a recipe that is none."""
    if recipe not in training.names():
        raise UsageError(f"there is no recipe {recipe!r}{settings.suggestion(recipe, training.names())}")
