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
from torch.nn import functional as F

from texsynth.losses import Features, Loss, Reference, Setup, layer_names, total, usable_sources
from texsynth.patches.chunks import rows_at_once, with_gradient
from texsynth.patches.cut import gather, patch_weights, pixel_indices, scatter_add, size_of, usable, wrapped
from texsynth.patches.nearest import row_minimum
from texsynth.patches.samples import draw
from texsynth.patches.shortlist import LANES, Shortlist, is_worth_while, joined, least_of_rows, shortlist
from texsynth.settings import setting

FIRST_STEPS = 2  # of an ascent, which its average leaves out
MUCH_DOUBT = 0.3  # the share of searches that a shortlist cannot answer above which all costs are kept instead
FORGOTTEN = 0.8  # what an evaluation without a shortlist leaves of that share, so that one is tried again
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
    """The M source patches y of a layer, and as many more that are dearer than any, so that a shortlist fits.

    scale: (1, C, 1, 1), what maps are divided by.
    shift: (1, C, 1, 1), what is then subtracted from them, which only helps precision.
    patches: (M', D).
    norms: |y|^2, (M',).
    psi: the potential, (M,), which every ascent changes in place.
    doubt: the share of searches that the last shortlist could not answer, a number that fades.
    """

    scale: Tensor
    shift: Tensor
    patches: Tensor
    norms: Tensor
    psi: Tensor
    doubt: Tensor

    def padded(self, psi: Tensor) -> Tensor:
        """A potential of all patches, (M,) -> (M',)."""
        return F.pad(psi, (0, len(self.patches) - len(psi)))


@dataclass(frozen=True)
class OutputPatches:
    """Some patches x of an output, and what is known of their costs |y|^2 - psi_y - 2 x . y.

    pixels: the whole output, (h * w, C).
    indices: the pixels of each patch, (n, patch * patch).
    source: the patches y.
    room: (rows, M'), for the costs that are looked at together.
    start: the potential, (M,), of what is kept.
    costs, short: all costs, (n, M'), or their shortlist, where there are any.
    """

    pixels: Tensor
    indices: Tensor
    source: TransportSource
    room: Tensor
    start: Tensor
    costs: Tensor | None = None
    short: Shortlist | None = None

    def parts(self) -> Sequence[Tensor]:
        """The numbers of all patches, `at_once` at a time."""
        parts: Sequence[Tensor] = torch.arange(len(self.indices), device=self.indices.device).split(len(self.room))
        return parts

    def costs_of(self, rows: Tensor, psi: Tensor) -> Tensor:
        """Worked out anew for the patches of these numbers (m,), until the next are asked for: (m, M')."""
        patches, offset = gather(self.pixels, self.indices[rows]), self.source.norms - self.source.padded(psi)
        return torch.addmm(offset, patches, self.source.patches.T, alpha=-2, out=self.room[: len(rows)])

    def listed(self) -> OutputPatches:
        """With a shortlist."""
        return replace(self, short=joined([shortlist(self.costs_of(rows, self.start)) for rows in self.parts()]))

    def kept(self) -> OutputPatches:
        """With all costs."""
        costs = self.pixels.new_empty(len(self.indices), len(self.source.patches))
        for rows, part in zip(self.parts(), costs.split(len(self.room)), strict=True):
            part.copy_(self.costs_of(rows, self.start))
        return replace(self, costs=costs)

    def assigned(self, rows: Tensor, psi: Tensor) -> tuple[Tensor, int]:
        """argmin_y (|x - y|^2 - psi_y) for the patches of these numbers (m,): (m,), and how many of them the shortlist
        could not answer."""
        rise = self.source.padded(psi - self.start)
        if self.costs is not None:
            return least_of_rows(self.costs, rows, rise), 0
        if self.short is None:
            return self._compared(rows, psi), 0
        columns = self.short.least(rows, rise)
        unsure = (columns < 0).nonzero()[:, 0]
        if len(unsure):
            columns[unsure] = self._compared(rows[unsure], psi)
        return columns, len(unsure)

    def _compared(self, rows: Tensor, psi: Tensor) -> Tensor:
        return torch.cat([row_minimum(self.costs_of(part, psi))[1] for part in rows.split(len(self.room))])


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
    psi, doubt = torch.zeros_like(norms), torch.zeros(())
    setup.state[f"{len(setup.state)}.semidual.{name}"] = psi
    setup.state[f"{len(setup.state)}.doubt.{name}"] = doubt
    more = -len(patches) % LANES
    patches, norms = F.pad(patches, (0, 0, 0, more)), F.pad(norms, (0, more), value=torch.inf)
    return TransportSource(scale, shift, patches, norms, psi, doubt)


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
    chosen = counting[draw(counting, settings.outputs, setup.rng)].to(layer.device)
    weights, psi = weights[chosen], source.psi
    indices = pixel_indices(chosen, size_of(layer), settings.patch, settings.stride)
    rows_in_cache = min(len(chosen), rows_at_once(max(source.patches.shape), layer, setup.memory))
    room = layer.new_empty(rows_in_cache, len(source.patches))
    outputs = OutputPatches(pixels, indices, source, room, psi.clone())
    # Compare all patches once, and climb with the potential (Algorithm 1, inner loop)
    if settings.ascents:
        fits = len(chosen) * len(source.patches) * layer.element_size() <= setup.memory
        lists = is_worth_while(len(chosen), source.norms, setup.memory)
        if lists and not (fits and float(source.doubt) > MUCH_DOUBT):
            outputs = outputs.listed()
        elif fits:
            outputs = outputs.kept()
        source.doubt.mul_(FORGOTTEN)
        psi.copy_(_ascend(psi, partial(_shares, outputs, weights, settings, setup), settings))
    # Sum F over the output's patches, and 2 (x - y) / n over the pixels of each
    value, gradient, weight = psi.mean(), torch.zeros_like(pixels), float(weights.sum())
    for rows in outputs.parts():
        index, _ = outputs.assigned(rows, psi)
        difference = gather(pixels, indices[rows]).sub_(source.patches[index])
        value += (((difference**2).sum(1) - psi[index]) * weights[rows]).sum() / weight
        if needs_gradient:
            scatter_add(gradient, indices[rows], difference.mul_((weights[rows] * (2 / weight))[:, None]))
    return value, gradient.T.reshape(layer.shape) if needs_gradient else None


def _shares(outputs: OutputPatches, weights: Tensor, settings: Settings, setup: Setup, psi: Tensor) -> Tensor:
    """The share of the output's patches, or of a sample of them, that goes to each source patch: (M,)."""
    rows = torch.arange(len(weights), device=weights.device)[draw(weights, settings.ascent_sample, setup.rng)]
    columns, unsure = outputs.assigned(rows, psi)
    if outputs.short is not None:
        outputs.source.doubt.fill_(unsure / len(rows))
    counts = torch.zeros_like(psi).index_add_(0, columns, weights[rows])
    return counts / counts.sum()


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
