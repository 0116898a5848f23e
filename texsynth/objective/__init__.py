"""One term of what the optimising method minimises: a loss on some layers of some features.

In a preset it is one flat mapping: `{loss: gram, features: vgg19, layers: [...], weight: 1, ...}`, where the rest are
settings of the loss and of the features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from texsynth import settings
from texsynth.errors import UsageError
from texsynth.features import features
from texsynth.features import names as feature_names
from texsynth.losses import loss
from texsynth.losses import names as loss_names

OWN = ("loss", "features", "layers", "weight")


@dataclass(frozen=True)
class Objective:
    """loss, features: names of files. weight: share of the whole gradient at the start of a level."""

    loss: str
    features: str
    layers: tuple[str, ...]
    weight: float
    of_loss: Any
    of_features: Any

    @classmethod
    def read(cls, plain: Any, where: str) -> Objective:
        """From its flat form; raises UsageError."""
        if not isinstance(plain, Mapping):
            raise UsageError(
                f"{where}: an objective is a mapping such as {{loss: gram, features: vgg19, layers: [...]}}"
            )
        name = _known(plain, "loss", loss_names(), where)
        seen = _known(plain, "features", feature_names(), where)
        layers = plain.get("layers", [])
        layers = tuple(layers.split(",") if isinstance(layers, str) else layers)
        known = features(seen).LAYERS
        for layer in layers:
            if layer not in known:
                raise UsageError(f"{where}: {seen} has no layer {layer!r}{settings.suggestion(str(layer), known)}")
        if not layers:
            raise UsageError(f"{where}: {name} on {seen} names no layers; known are {', '.join(known)}")
        weight = plain.get("weight", 1)
        if type(weight) not in (int, float) or not 0 < weight < 1e6:
            raise UsageError(f"{where}: weight = {weight!r}, but it is a number above 0")
        kinds = loss(name).Settings, features(seen).Settings
        for key in plain:
            if key not in cls.keys(plain):
                raise UsageError(f"{where}: unknown setting {key!r}{settings.suggestion(key, cls.keys(plain))}")
        made = [settings.make(k, {n: plain[n] for n in _names(k) if n in plain}, f"{where}, {name}") for k in kinds]
        return cls(name, seen, layers, float(weight), *made)

    @classmethod
    def keys(cls, plain: Mapping[str, Any]) -> list[str]:
        """What may stand in such a mapping, by its loss and its features."""
        own = [loss(plain["loss"]).Settings] if plain.get("loss") in loss_names() else []
        own += [features(plain["features"]).Settings] if plain.get("features") in feature_names() else []
        return [*OWN, *(name for kind in own for name in _names(kind))]

    @classmethod
    def labels(cls, plain: Mapping[str, Any]) -> set[str]:
        """The words that may stand before the dot in `--set`."""
        return {str(plain.get("loss")), str(plain.get("features"))}

    def show(self) -> Iterator[dict[str, Any]]:
        """Its settings as `settings.show` gives those of a method; its own first."""
        helps = {
            "loss": "what is compared",
            "features": "of what",
            "layers": f"among {', '.join(features(self.features).LAYERS)}",
            "weight": "share of the gradient at the start of a level",
        }
        for name, text in helps.items():
            value = getattr(self, name)
            allowed = {"layers": "a list", "weight": "a number"}.get(name, "text")
            yield {"name": name, "value": value, "default": value, "allowed": allowed, "help": text}
        yield from settings.show(self.of_loss)
        yield from settings.show(self.of_features)

    def plain(self) -> dict[str, Any]:
        """The flat form, with every default written out."""
        own = {"loss": self.loss, "features": self.features, "layers": self.layers, "weight": self.weight}
        return {**own, **asdict(self.of_loss), **asdict(self.of_features)}


def _known(plain: Mapping[str, Any], key: str, known: list[str], where: str) -> str:
    name = plain.get(key)
    if name not in known:
        raise UsageError(f"{where}: {key} = {name!r}{settings.suggestion(str(name), known)}")
    return str(name)


def _names(kind: type) -> list[str]:
    return [f.name for f in fields(kind)]
