"""Trained networks as models hold them: what shaped a network, and its tensors."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

import torch
from torch import nn

from texsynth import settings
from texsynth.errors import UsageError, WeightsError
from texsynth.weights.trained import Model

Shape = TypeVar("Shape")
Net = TypeVar("Net", bound=nn.Module)


def shaped(kind: type[Shape], model: Model) -> Shape:
    """The settings of a model that shape its network, as the dataclass `kind`; raises WeightsError."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    try:
        shape: Shape = settings.make(kind, {n: v for n, v in model.settings.items() if n in names}, model.name)
    except UsageError as error:
        raise WeightsError(f"{error}; the model is damaged or of another version") from None
    return shape


def loaded(net: Net, model: Model, device: torch.device, part: str = "") -> Net:
    """A network with the tensors of a model whose names begin with `part`, without gradients, on `device`; raises
    WeightsError."""
    tensors = {key.removeprefix(part): value for key, value in model.tensors.items() if key.startswith(part)}
    try:
        net.load_state_dict(tensors)
    except RuntimeError:
        raise WeightsError(f"{model.name}: its tensors do not fit its settings; train it again") from None
    return net.eval().requires_grad_(False).to(device)
