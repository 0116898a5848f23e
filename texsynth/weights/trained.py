"""Trained networks as files: safetensors that carry their recipe and its settings; such a file is all one needs."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from texsynth.errors import WeightsError
from texsynth.image import files
from texsynth.image.files import digest
from texsynth.weights.header import safetensors_header

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"
KEY = "texsynth"  # of the metadata


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
        with path.open("rb") as file:
            about: Any = json.loads(safetensors_header(file)["__metadata__"][KEY])
        recipe, values, facts = about["recipe"], about["settings"], about["facts"]
    except FileNotFoundError:
        raise WeightsError(f"--model: {path} does not exist") from None
    except OSError as error:
        raise WeightsError(f"--model: {path} cannot be read: {error.strerror}") from None
    except (struct.error, ValueError, KeyError, TypeError):
        raise WeightsError(f"--model: {path} is no model of `texsynth train`, or it is damaged") from None
    if not (isinstance(recipe, str) and isinstance(values, dict) and isinstance(facts, dict)):
        raise WeightsError(f"--model: {path} is damaged; train it again")
    return {"recipe": recipe, "settings": values, "facts": facts}


def read(path: Path) -> Model:
    """The whole model; raises WeightsError when it is missing, damaged, or holds values that are not finite."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    about = header(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError):
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

    about = json.dumps({"recipe": recipe, "settings": dict(settings), "facts": facts})
    content = save({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, {KEY: about})
    files.write(path, content, replaceable)
