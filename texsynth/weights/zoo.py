"""The networks of torchvision, which is imported only when one of them is asked for: their modules without weights, and
where their weights are fetched from."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from texsynth import settings
from texsynth.errors import UsageError, WeightsError
from texsynth.weights.catalogue import NETWORKS, Network

if TYPE_CHECKING:
    from torch import nn

MEND = "`pip install --upgrade torch torchvision` installs a pair that fits"
# the published weights of these two want another range of input than that of all others
PUBLISHED_FORM = {name: {"transform_input": True, "init_weights": False} for name in ("googlenet", "inception_v3")}
COUNTER = "num_batches_tracked"  # of batch norms; only training needs it
HASH = re.compile(r"-([0-9a-f]{8,})\.pth$")  # its first digits, at the end of an address
MEBIBYTE = 1 << 20  # the unit of torchvision's file sizes, which are rounded


def models() -> Any:
    """The module torchvision.models; raises WeightsError where it is missing or made for another torch."""
    try:
        from torchvision import models
    except ModuleNotFoundError as error:
        raise WeightsError(f"these features need torchvision, and {error.name} is not installed; {MEND}") from None
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"torchvision does not fit the torch that is installed ({reason}); {MEND}") from None
    return models


def names() -> list[str]:
    """The names of all classifiers of torchvision: "convnext_tiny"."""
    return list(models().list_models(module=models()))


def module(name: str) -> nn.Module:
    """A network in evaluation mode. Its parameters have shapes and no values, as they lie on the meta device; buffers
    of whole numbers, which no training changes, have their values. Raises UsageError for a name that is none."""
    import torch

    _check(name)
    with torch.device("meta"):
        network: nn.Module = models().get_model(name, **PUBLISHED_FORM.get(name, {}))
    constants = [key for key in _whole_numbers(network) if not key.endswith(COUNTER)]
    if constants:
        filled = models().get_model(name).state_dict()
        network.load_state_dict({key: filled[key] for key in constants}, strict=False, assign=True)
    return network.eval().requires_grad_(False)


@cache
def entry(name: str) -> Network:
    """Where the best published weights of a network are; raises UsageError for a name that is none."""
    if name in NETWORKS:
        return NETWORKS[name]
    _check(name)
    published = models().get_model_weights(name).DEFAULT
    (digits,) = HASH.findall(published.url)
    size = round(published.meta["_file_size"] * MEBIBYTE)
    input_of = published.transforms()
    return Network(
        name=name,
        description=f"{name} of torchvision, {published.name}",
        url=published.url,
        sha256=digits,
        size=size,
        layers={"all": tuple(shapes(module(name)))},
        mean=tuple(input_of.mean),
        std=tuple(input_of.std),
        tolerance=max(MEBIBYTE, size // 100),
    )


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that weights give a network, by its key in the file."""
    fixed = _whole_numbers(network)
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items() if key not in fixed}


def _whole_numbers(network: nn.Module) -> set[str]:
    return {key for key, tensor in network.state_dict().items() if not tensor.is_floating_point()}


def _check(name: str) -> None:
    if name not in names():
        raise UsageError(f"there is no network {name!r} in torchvision{settings.suggestion(name, names())}")
