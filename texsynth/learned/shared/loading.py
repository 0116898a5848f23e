"""Trained networks as models hold them: what shaped a network, and its tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from texsynth import settings
from texsynth.errors import UsageError, WeightsError
from texsynth.training import recipes
from texsynth.weights import trained
from texsynth.weights.trained import Model

Shape = TypeVar("Shape")
Net = TypeVar("Net", bound=nn.Module)


def read(path: Path) -> Model:
    """A model whose settings are those of its recipe, with defaults for what an earlier version did not have; raises
    WeightsError."""
    model = trained.read(path)
    if model.recipe not in recipes.names():
        raise WeightsError(f"--model: {path} is of recipe {model.recipe!r}, which this version does not know")
    try:
        chosen = settings.make(recipes.recipe(model.recipe).Settings, model.settings, model.name)
    except UsageError as error:
        raise WeightsError(f"--model: {error}; the model is damaged or of another version") from None
    return replace(model, settings=settings.plain(chosen))


def shaped(kind: type[Shape], model: Model) -> Shape:
    """The settings of a model that shape its network, as the dataclass `kind`; raises WeightsError."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    try:
        shape: Shape = settings.make(kind, {n: v for n, v in model.settings.items() if n in names}, model.name)
    except UsageError as error:
        raise WeightsError(f"{error}; the model is damaged or of another version") from None
    return shape


def loaded(build: Callable[[], Net], model: Model, device: torch.device, part: str = "") -> Net:
    """A network with the tensors of a model whose names begin with `part`, without gradients, on `device`; raises
    WeightsError. It is built first without memory, so that no settings can ask for more than the file has."""
    tensors = {key.removeprefix(part): value for key, value in model.tensors.items() if key.startswith(part)}
    with torch.device("meta"):
        wanted = {key: (value.shape, value.dtype) for key, value in build().state_dict().items()}
    if wanted != {key: (value.shape, value.dtype) for key, value in tensors.items()}:
        raise WeightsError(f"{model.name}: its tensors do not fit its settings; train it again")
    net = build()
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False).to(device)
