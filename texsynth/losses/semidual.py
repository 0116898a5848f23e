"""The semi-dual of optimal transport between patches (Houdard et al. 2021, Algorithm 1).

With output patches x and source patches y, and the cost |x - y|^2, the value is F = mean_x min_y (|x - y|^2 - psi_y) +
mean_y psi_y. Its maximum over the potential psi is the cost of transport; each evaluation climbs a few steps from where
the last one ended. The gradient draws every output patch to the source patch that it is assigned to. With no steps psi
stays 0: the nearest patches of Kwatra et al. 2005.

Differs from the paper in: nothing by default; `ascent_sample` and `outputs` take a part of the output's patches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup, layer_names, total, usable_sources
from texsynth.patches.chunks import rows_at_once, with_gradient
from texsynth.patches.cut import gather, patch_weights, pixel_indices, scatter_add, size_of, usable, wrapped
from texsynth.patches.nearest import row_minimum
from texsynth.patches.samples import draw
from texsynth.settings import setting

FIRST_STEPS = 2  # of an ascent, which its average leaves out
GUIDES: tuple[str, ...] = ()  # it follows none


@dataclass(frozen=True)
class Settings:
    """The settings of patch transport; the defaults are those of the paper's code.

    patch: The side of the patches that are transported, in cells of the layer.
    stride: The step from one patch to the next, in cells of the layer.
    sample: At most this many source patches are drawn, once a level; 0 takes all of them.
    outputs: At most this many output patches are drawn anew at each evaluation; 0 takes all of them.
    ascents: The steps that the potential climbs at each evaluation; with 0 every patch goes to its nearest source
        patch.
    ascent_sample: At most this many output patches are drawn for each step of the potential; 0 takes all of them.
    rate: The step size of the potential.
    normalise_ascent: Whether the gradient of the potential is scaled to length 1 before each step.
    standardise: How channels are scaled: rms divides each by its root mean square in the sources, for network features.
    """

    patch: int = setting(4, low=1, high=31)
    stride: int = setting(1, low=1, high=31)
    sample: int = setting(2000, low=0, high=1_000_000)
    outputs: int = setting(0, low=0)
    ascents: int = setting(10, low=0, high=10_000)
    ascent_sample: int = setting(0, low=0)
    rate: float = setting(1.0, low=0.0, high=1e6)
    normalise_ascent: bool = setting(False)
    standardise: str = setting("none", choices=("none", "rms"))


@dataclass(frozen=True)
class TransportSource:
    """The source patches y of a layer, (M, D).

    scale: (1, C, 1, 1), what maps are divided by.
    shift: (1, C, 1, 1), what is then subtracted from them, which only helps precision.
    norms: |y|^2, (M,).
    psi: the potential, (M,), which every ascent changes in place.
    """

    scale: Tensor
    shift: Tensor
    patches: Tensor
    norms: Tensor
    psi: Tensor


@dataclass(frozen=True)
class OutputPatches:
    """Some patches x of an output.

    pixels: the whole output, (h * w, C).
    indices: the pixels of each patch, (n, patch * patch).
    weights: how much each patch counts, (n,).
    costs: |y|^2 - 2 x . y, (n, M), where it is kept.
    """

    pixels: Tensor
    indices: Tensor
    weights: Tensor
    costs: Tensor | None = None

    def assigned(self, source: TransportSource, psi: Tensor) -> Tensor:
        """argmin_y (|x - y|^2 - psi_y), the number of a source patch for each patch: (n,)."""
        if self.costs is None:
            return row_minimum(self.costs_less(source, source.norms - psi))[1]
        return row_minimum(self.costs - psi)[1]

    def costs_less(self, source: TransportSource, offset: Tensor) -> Tensor:
        """offset_y - 2 x . y: (n, M)."""
        return torch.addmm(offset, gather(self.pixels, self.indices), source.patches.T, alpha=-2)


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The mean over the layers of `references`; layers smaller than a patch, or without a usable one, are left out."""
    every = {name: _source(name, references, settings, setup) for name in layer_names(references)}
    sources = {name: source for name, source in every.items() if source is not None}

    def transport(layer: Tensor, source: TransportSource) -> Tensor:
        weights = patch_weights(setup.pixel_weights, layer, settings.patch, settings.stride, setup.tile).flatten()
        evaluate = partial(_evaluate, source=source, weights=weights, settings=settings, setup=setup)
        return with_gradient(wrapped(layer / source.scale - source.shift, settings.patch, setup.tile), evaluate)

    def loss(features: Features) -> Tensor:
        large = [n for n in sources if n in features and min(size_of(features[n])) >= settings.patch]
        if not large:
            return total([], features)
        return torch.stack([transport(features[name], sources[name]) for name in large]).mean()

    return loss


def _source(name: str, references: Sequence[Reference], settings: Settings, setup: Setup) -> TransportSource | None:
    """The source patches of a layer, drawn from all references alike; None where there is no usable patch."""
    patch, stride = settings.patch, settings.stride
    every = usable_sources(name, references, patch, stride)
    if not every:
        return None
    # Scale and shift the channels
    masks = [None if r.valid is None else usable(r.valid, size_of(m), 1, 1).to(m.device) for r, m, _ in every]
    flat = [layer.flatten(2) for _, layer, _ in every]
    cells = torch.cat([c if mask is None else c[:, :, mask] for c, mask in zip(flat, masks, strict=True)], 2)
    scale = torch.ones_like(cells[:, :, :1, None])
    if settings.standardise == "rms":
        scale = (cells**2).mean(2)[:, :, None, None].sqrt()
        scale = torch.where(scale > 0, scale, 1)
    shift = cells.mean(2)[:, :, None, None] / scale
    # Draw numbers of usable patches, counted over all references, and cut these patches out
    count = sum(int(mask.sum()) for _, _, mask in every)
    drawn = torch.randperm(count, generator=setup.rng)[: settings.sample or count].to(cells.device)
    tables, start = [], 0
    for _, layer, mask in every:
        numbers = mask.nonzero()[:, 0]
        chosen = numbers[drawn[(drawn >= start) & (drawn < start + len(numbers))] - start]
        start += len(numbers)
        tables.append(gather(_pixels(layer / scale - shift), pixel_indices(chosen, size_of(layer), patch, stride)))
    patches = torch.cat(tables)
    norms = (patches**2).sum(1)
    psi = torch.zeros_like(norms)
    setup.state[f"{len(setup.state)}.semidual.{name}"] = psi
    return TransportSource(scale, shift, patches, norms, psi)


def _pixels(layer: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w, C)"""
    return layer[0].flatten(1).T.contiguous()


def _evaluate(
    layer: Tensor, needs_gradient: bool, source: TransportSource, weights: Tensor, settings: Settings, setup: Setup
) -> tuple[Tensor, Tensor | None]:
    """F of a layer that is scaled, shifted and continued, and its gradient where needed; changes psi.

    weights: (N,), how much each of its patches counts. Those of weight 0 are never looked at; without others F is 0.
    """
    pixels, counting = _pixels(layer), (weights > 0).nonzero()[:, 0].cpu()
    if not len(counting):
        return layer.new_zeros(()), torch.zeros_like(layer) if needs_gradient else None
    chosen = counting[draw(counting, settings.outputs, setup.rng)]
    rows = rows_at_once(max(source.patches.shape), layer, setup.memory)

    def split(numbers: Tensor) -> list[OutputPatches]:
        """Patches by their numbers, in parts of bounded size."""
        parts = numbers.to(layer.device).split(rows)
        cut = size_of(layer), settings.patch, settings.stride
        return [OutputPatches(pixels, pixel_indices(part, *cut), weights[part]) for part in parts]

    # Keep the costs for all steps of the ascent if they fit into memory
    parts, sampled = split(chosen), 0 < settings.ascent_sample < len(chosen)
    if settings.ascents and not sampled and len(chosen) * len(source.psi) * layer.element_size() <= setup.memory:
        parts = [replace(part, costs=part.costs_less(source, source.norms)) for part in parts]

    def shares(psi: Tensor) -> Tensor:
        """The share of the output's patches that goes to each source patch: (M,)."""
        counts = torch.zeros_like(psi)
        for part in split(chosen[draw(chosen, settings.ascent_sample, setup.rng)]) if sampled else parts:
            counts.index_add_(0, part.assigned(source, psi), part.weights)
        return counts / counts.sum()

    # Climb with the potential (Algorithm 1, inner loop)
    if settings.ascents:
        source.psi.copy_(_ascend(source.psi, shares, settings))
    # Sum F over the output's patches, and 2 (x - y) / n over the pixels of each
    value, gradient = source.psi.mean(), torch.zeros_like(pixels)
    weight = float(weights[chosen.to(weights.device)].sum())
    for part in parts:
        index = part.assigned(source, source.psi)
        difference = gather(pixels, part.indices).sub_(source.patches[index])
        value += (((difference**2).sum(1) - source.psi[index]) * part.weights).sum() / weight
        if needs_gradient:
            scatter_add(gradient, part.indices, difference.mul_((part.weights * (2 / weight))[:, None]))
    return value, gradient.T.reshape(layer.shape) if needs_gradient else None


def _ascend(psi: Tensor, shares: Callable[[Tensor], Tensor], settings: Settings) -> Tensor:
    """Gradient ascent from psi (M,): the mean of its steps without the first ones."""
    mean = torch.zeros_like(psi)
    for step in range(settings.ascents):
        slope = 1 / len(psi) - shares(psi)
        if settings.normalise_ascent:
            slope = slope / slope.norm().clamp_min(torch.finfo(slope.dtype).tiny)
        psi = psi + settings.rate * slope
        if step >= FIRST_STEPS:
            mean += psi
    return mean / (settings.ascents - FIRST_STEPS) if settings.ascents > FIRST_STEPS else psi
