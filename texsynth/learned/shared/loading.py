"""Architectures of the networks that `texsynth train` trains, one a file: modules, and what shapes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import nn

from texsynth import settings
from texsynth.errors import UsageError, WeightsError
from texsynth.weights.trained import Model

Shape = TypeVar("Shape")
Net = TypeVar("Net", bound=nn.Module)


def shaped(kind: type[Shape], model: Model) -> Shape:
    """The settings of a model that shape its network, `kind` being the dataclass of them; raises WeightsError."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    values: Mapping[str, Any] = {key: value for key, value in model.settings.items() if key in known}
    try:
        made: Shape = settings.make(kind, values, model.name)
    except UsageError as error:
        raise WeightsError(f"{error}; the model is damaged or of another version") from None
    return made


def loaded(net: Net, model: Model, device: torch.device, part: str = "") -> Net:
    """A network with the tensors of a model whose names begin with `part`, without gradients, on `device`; raises
    WeightsError."""
    tensors = {key.removeprefix(part): value for key, value in model.tensors.items() if key.startswith(part)}
    try:
        net.load_state_dict(tensors)
    except RuntimeError:
        raise WeightsError(f"{model.name}: its tensors do not fit its settings; train it again") from None
    return net.eval().requires_grad_(False).to(device)
