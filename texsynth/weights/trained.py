"""Trained networks as files: safetensors that carry their recipe and its settings; such a file is all one needs."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from texsynth.errors import WeightsError
from texsynth.foreign import json_text, regular
from texsynth.image import files
from texsynth.image.files import digest
from texsynth.weights.header import safetensors_header

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"
KEY = "texsynth"  # of the metadata
DISTANCES = {"labels": "l0", "progression": "l2", "orientation": "direction"}  # of the maps of a training, by kind
MOST_LABELS, LONGEST_RECIPE = 4096, 100


@dataclass(frozen=True)
class Model:
    """A trained network.

    settings: the settings of the recipe, as plain values.
    tensors: float32 on the CPU, by name.
    facts: what it was trained on and how it did, as plain values for JSON.
    name, sha256: the name and the hash of its file.
    """

    recipe: str
    settings: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    name: str
    sha256: str


def header(path: Path) -> dict[str, Any]:
    """What a model says about itself, {"recipe", "settings", "facts"}, without loading torch; raises WeightsError."""
    try:
        with regular.opened(path) as file:
            about: Any = json_text.load(safetensors_header(file)["__metadata__"][KEY])
        recipe, values, facts = about["recipe"], about["settings"], about["facts"]
    except FileNotFoundError:
        raise WeightsError(f"--model: {path} does not exist") from None
    except OSError as error:
        raise WeightsError(f"--model: {path} cannot be read: {error.strerror}") from None
    except (struct.error, ValueError, KeyError, TypeError):
        raise WeightsError(f"--model: {path} is no model of `texsynth train`, or it is damaged") from None
    named = isinstance(recipe, str) and len(recipe) <= LONGEST_RECIPE
    if not (named and isinstance(values, dict) and isinstance(facts, dict) and _sound(facts)):
        raise WeightsError(f"--model: {path} is damaged; train it again")
    return {"recipe": recipe, "settings": values, "facts": facts}


def _sound(facts: Mapping[str, Any]) -> bool:
    """Are the facts that runs look at, the maps and the weights of a training, of the right types?"""
    guides, weights = facts.get("guides", []), facts.get("weights", {})
    if not (isinstance(guides, list) and isinstance(weights, dict) and len(guides) <= len(DISTANCES)):
        return False
    names = [guide.get("name") if isinstance(guide, dict) else None for guide in guides]
    return (
        all(isinstance(sha256, str) for sha256 in weights.values())
        and all(isinstance(name, str) and name in DISTANCES for name in names)
        and all(guide.get("distance") == DISTANCES[guide["name"]] for guide in guides)
        and len(set(names)) == len(names)
        and all(_is_palette(guide.get("palette"), guide["distance"] == "l0") for guide in guides)
    )


def _is_palette(colours: Any, needed: bool) -> bool:
    """Are these the colours of labels, 0 to 255, where there are labels, and none elsewhere?"""
    if not needed:
        return colours is None
    return (
        isinstance(colours, list)
        and 0 < len(colours) <= MOST_LABELS
        and all(isinstance(colour, list) and len(colour) == 3 for colour in colours)
        and all(type(value) is int and 0 <= value <= 255 for colour in colours for value in colour)
    )


def read(path: Path) -> Model:
    """The whole model; raises WeightsError when it is missing, damaged, or holds values that are not finite."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    about = header(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError):
        raise WeightsError(f"--model: {path} is damaged; train it again") from None
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise WeightsError(f"--model: {path}: {key} holds values that are not finite; train it again")
    return Model(about["recipe"], about["settings"], tensors, about["facts"], path.name, digest(path))


def write(
    path: Path,
    recipe: str,
    settings: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    facts: Any,
    replaceable: Collection[Path] | None = None,
) -> None:
    """Write a model, whole or not at all, as `files.together` does; raises ResourceError and UsageError."""
    from safetensors.torch import save

    about = json_text.text({"recipe": recipe, "settings": dict(settings), "facts": facts})
    content = save({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, {KEY: about})
    files.write(path, content, replaceable)
