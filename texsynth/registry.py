"""Registries: what a preset or a user names is a file of one package, or a folder of `learned`.

A new loss, feature extractor, metric, method or recipe is one new file; its name is its key, and nothing else is
edited. Listing the keys reads directories only, so that `--help` and shell completion need no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Registry:
    """The modules of one kind, by their keys.

    kind: what a module is, in words for messages.
    places: patterns of module names below `texsynth`, in which "*" stands for the key.
    aliases: keys of earlier versions and the present key of each; presets, records and models may still use them.
    registered: modules that `register` added by name; they are no files of the package.
    """

    kind: str
    places: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    registered: dict[str, Any] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Every key, sorted."""
        return sorted({key for place in self.places for key in _keys(place)} | self.registered.keys())

    def current(self, name: Any) -> Any:
        """The present key for a key of this or of an earlier version; whatever is no name stays as it is."""
        return self.aliases.get(name, name) if isinstance(name, str) else name

    def module(self, name: str) -> Any:
        """The module of a key; raises KeyError for a key that is none."""
        key = self.current(name)
        if key in self.registered:
            return self.registered[key]
        for place in self.places:
            if key in _keys(place):
                return importlib.import_module(f"texsynth.{place.replace('*', key)}")
        raise KeyError(f"there is no {self.kind} {name!r}")

    def register(self, name: str, module: Any) -> None:
        """Add a module that is no file of the package, such as a method of one's own."""
        self.registered[name] = module


@cache  # the package's files stay as they are while it runs, and every name that is looked up asks for them
def _keys(place: str) -> frozenset[str]:
    """The keys of the files that match a pattern of module names; names that begin with "_" are no keys."""
    before, after = place.split("*")
    folder = PACKAGE.joinpath(*before.strip(".").split("."))
    files = folder.glob(f"*{after.replace('.', '/')}.py")
    keys = (path.relative_to(folder).parts[0].removesuffix(".py") for path in files)
    return frozenset(key for key in keys if not key.startswith("_"))


LOSSES = Registry("loss", ("losses.*",))
FEATURES = Registry("kind of features", ("features.*",))
METRICS = Registry("metric", ("metrics.*",))
METHODS = Registry(
    "method", ("methods.*", "learned.*.method"), {"transport": "optimal_textures", "pseudo": "pseudo_optimizer"}
)
RECIPES = Registry("recipe", ("learned.*.recipe",))
