"""Losses on small layers, with their values and gradients, for the tests of losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pictures import generator, noise
from texsynth import losses
from texsynth.losses import Loss, Reference, Setup
from texsynth.task import Guide

OFF, BOTH = (False, False), (True, True)

Features = dict[str, Tensor]


def double(*shape: int, seed: int = 0) -> Tensor:
    """Uniform noise in [0, 1) with the digits that checks of gradients need."""
    return noise(*shape, seed=seed).double()


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Gaussian noise in double precision."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def rough(h: int = 24, w: int = 24, seed: int = 10) -> Features:
    """Noise on two layers, as of a picture h x w."""
    return {"a": noise(1, 4, h, w, seed=seed), "b": noise(1, 6, h // 2, w // 2, seed=seed + 1)}


def smooth(h: int = 24, w: int = 24, seed: int = 0) -> Features:
    """The same, blurred, and with one channel above the others: to a classifier, its class."""
    out = {name: F.avg_pool2d(layer, 3, 1, 1) for name, layer in rough(h, w, seed).items()}
    for layer in out.values():
        layer[:, seed % 3] += 0.1
    return out


def leaves(layers: Mapping[str, Tensor]) -> Features:
    return {name: layer.clone().requires_grad_() for name, layer in layers.items()}


def build(
    name: str,
    *sources: Tensor | Reference,
    tile: tuple[bool, bool] = OFF,
    guides: Sequence[Guide] = (),
    share: Tensor | None = None,
    memory: int = 256 << 20,
    seed: int = 0,
    **values: Any,
) -> Loss:
    """The loss of that name with some settings; without sources it learns from `smooth`.

    sources: references, or maps of their one layer "a", which have the k-th source of each guide.
    share: how much the pixels of the output count.
    """
    references = [
        s if isinstance(s, Reference) else Reference({"a": s}, k, guides=tuple(guide.sources[k] for guide in guides))
        for k, s in enumerate(sources or (Reference(smooth()),))
    ]
    module = losses.loss(name)
    setup = Setup(generator(seed), tile, memory, tuple(guides), share)
    return module.build(references, module.Settings(**values), setup)


def value(loss: Loss, layers: Tensor | Mapping[str, Tensor]) -> float:
    """A loss of some layers, or of layer "a" alone, which is one finite number."""
    out = loss(leaves({"a": layers} if isinstance(layers, Tensor) else layers)).detach()
    assert out.shape == ()
    assert out.isfinite()
    return float(out)


def measured(loss: Loss, layer: Tensor) -> tuple[Tensor, Tensor]:
    """The value and the gradient of a loss of layer "a" alone."""
    layer = layer.detach().clone().requires_grad_()
    out = loss({"a": layer})
    out.backward()
    assert layer.grad is not None
    return out.detach(), layer.grad


def assert_same(actual: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor], close: float = 1e-7) -> None:
    """Values and gradients agree, and the gradient is none of zeros."""
    assert float(wanted[1].norm()) > 0
    torch.testing.assert_close(actual[0], wanted[0], rtol=min(close, 1e-9), atol=1e-12)
    torch.testing.assert_close(actual[1], wanted[1], rtol=close, atol=1e-3 * close)
