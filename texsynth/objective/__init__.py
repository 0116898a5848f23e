"""One term of the energy that the optimising method minimises: a loss on some layers of some features.

In a preset it is one flat mapping: `{loss: gram, features: vgg19, layers: [...], weight: 1, ...}`. All further keys are
settings of the loss and of the features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from texsynth import settings
from texsynth.errors import UsageError, shown
from texsynth.features import features, key_of, name_of
from texsynth.features import names as feature_names
from texsynth.losses import loss
from texsynth.losses import names as loss_names

LAYERS_LISTED = 24  # of networks that have hundreds, the first ones
OBJECTIVE_KEYS = ("loss", "features", "layers", "weight")  # of an objective itself


@dataclass(frozen=True)
class Objective:
    """A loss on some layers of some features, with the Settings of both.

    loss: the name of a file in losses/.
    features: the key of its features, which ends with the network's name where they have several.
    weight: its share of the whole gradient at the start of a level.
    """

    loss: str
    features: str
    layers: tuple[str, ...]
    weight: float
    loss_settings: Any
    features_settings: Any

    @classmethod
    def read(cls, plain: Any, where: str) -> Objective:
        """The objective of a flat mapping. where: how messages name its place. Raises UsageError."""
        if not isinstance(plain, Mapping):
            example = "{loss: gram, features: vgg19, layers: [...]}"
            raise UsageError(f"{where}: an objective is a mapping such as {example}")
        name = _choice(plain, "loss", loss_names(), where)
        kind = _choice(plain, "features", feature_names(), where)
        for key in plain:
            if key not in cls.keys(plain):
                raise UsageError(f"{where}: unknown setting {shown(key)}{settings.suggestion(key, cls.keys(plain))}")
        loss_settings, features_settings = (
            settings.make(each, {n: plain[n] for n in _names(each) if n in plain}, f"{where}, {name}")
            for each in (loss(name).Settings, features(kind).Settings)
        )
        kind = key_of(kind, features_settings)
        layers = plain.get("layers", [])
        layers = layers.split(",") if isinstance(layers, str) else layers
        if not isinstance(layers, (list, tuple)):
            raise UsageError(f"{where}: layers = {shown(layers)}, but it is a list of names")
        layers = tuple(layers)
        offered = features(kind).LAYERS
        for layer in layers:
            if layer not in offered:
                raise UsageError(f"{where}: {kind} has no layer {shown(layer)}{settings.suggestion(layer, offered)}")
        if not layers:
            raise UsageError(f"{where}: {name} on {kind} names no layers; known are {_listed(offered)}")
        weight = plain.get("weight", 1)
        if type(weight) not in (int, float) or not 0 < weight < 1e6:
            raise UsageError(f"{where}: weight = {shown(weight)}, but it is a number above 0")
        return cls(name, kind, layers, float(weight), loss_settings, features_settings)

    @classmethod
    def keys(cls, plain: Mapping[str, Any]) -> list[str]:
        """The keys that may stand in such a mapping, by its loss and its features."""
        classes = [loss(plain["loss"]).Settings] if plain.get("loss") in loss_names() else []
        classes += [features(plain["features"]).Settings] if plain.get("features") in feature_names() else []
        return [*OBJECTIVE_KEYS, *(name for each in classes for name in _names(each))]

    @classmethod
    def labels(cls, plain: Mapping[str, Any]) -> set[str]:
        """The words that may stand before the dot in `--set`."""
        return {str(plain.get("loss")), str(plain.get("features"))}

    def show(self) -> Iterator[dict[str, Any]]:
        """Rows as `settings.show` gives them for a method: the objective's, then those of its loss and features."""
        layers = _listed(features(self.features).LAYERS)
        for name, allowed, text in (
            ("loss", "text", "The loss that is minimised."),
            ("features", "text", "The features that the loss compares."),
            ("layers", "a list", f"The layers of these features that count, among {layers}."),
            ("weight", "a number", "The objective's share of the gradient at the start of a level."),
        ):
            value = self.plain()[name]
            yield {"name": name, "value": value, "default": value, "allowed": allowed, "help": text}
        yield from settings.show(self.loss_settings)
        yield from settings.show(self.features_settings)

    def plain(self) -> dict[str, Any]:
        """The flat form, with every default written out."""
        itself = {key: getattr(self, key) for key in OBJECTIVE_KEYS} | {"features": name_of(self.features)}
        return {**itself, **asdict(self.loss_settings), **asdict(self.features_settings)}


def _choice(plain: Mapping[str, Any], key: str, choices: list[str], where: str) -> str:
    """The value of a key, which is one of `choices`; raises UsageError."""
    name = plain.get(key)
    if name not in choices:
        raise UsageError(f"{where}: {key} = {shown(name)}{settings.suggestion(name, choices)}")
    return str(name)


def _listed(layers: Sequence[str]) -> str:
    return ", ".join((*layers[:LAYERS_LISTED], *(["..."] if len(layers) > LAYERS_LISTED else [])))


def _names(settings_class: type) -> list[str]:
    return [f.name for f in fields(settings_class)]
