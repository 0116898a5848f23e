"""Presets of `texsynth train`: YAML -> the frozen settings of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from texsynth import preset, settings
from texsynth.errors import UsageError, WeightsError
from texsynth.training import recipes
from texsynth.weights import trained

NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class TrainingPreset:
    """A validated preset of `texsynth train`; `values` are its settings as plain values, as files hold them."""

    name: str
    description: str
    recipe: str
    settings: Any
    values: Mapping[str, Any]


def resolve(recipe: str, name_or_file: str | None = None, values: Mapping[str, Any] = NONE) -> TrainingPreset:
    """Find the preset of a recipe, by default the one of its name, and put `--set` values in; raises UsageError."""
    check(recipe)
    plain = preset.read_training(name_or_file or recipe)
    name = preset.find(name_or_file or recipe, training=True).stem
    if plain["recipe"] != recipe:
        raise UsageError(f"preset {name} is of recipe {plain['recipe']}, not of {recipe}; name one of the two")
    chosen = {key: value for key, value in plain.items() if key not in ("description", "recipe")}
    return build(name, plain["description"], recipe, chosen, values)


def build(
    name: str, description: str, recipe: str, plain: Mapping[str, Any], values: Mapping[str, Any]
) -> TrainingPreset:
    """Build a preset from plain settings with `--set` values put in; raises UsageError."""
    check(recipe)
    kind = recipes.recipe(recipe).Settings
    (chosen,) = settings.assign([{"method": recipe, **plain}], {recipe: kind}, values)
    del chosen["method"]
    validated = settings.make(kind, chosen, f"preset {name}")
    return TrainingPreset(name, description, recipe, validated, settings.plain(validated))


def user_of(path: Path) -> str:
    """Name the preset of synthesis that uses a model; raises WeightsError."""
    recipe = trained.header(path)["recipe"]
    if recipe not in recipes.names():
        raise WeightsError(f"--model: {path} is of recipe {recipe!r}, which this version does not know")
    return recipes.recipe(recipe).METHOD


def check(recipe: str) -> None:
    """Raise UsageError when there is no recipe of that word."""
    if recipe not in recipes.names():
        raise UsageError(f"there is no recipe {recipe!r}{settings.suggestion(recipe, recipes.names())}")
