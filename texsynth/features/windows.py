"""Raw windows of pixels: the weight-free features.

As an extractor (`build`): the picture and its halvings (Houdard et al. 2021: patches of a Gaussian pyramid), which the
losses cut into patches. As the descriptor of the correspondence field (`fit`): windows on their principal directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.settings import setting
from texsynth.weights.pretrained import Shapes, Weights

STEPS = 1023  # that colours are told apart in
LARGEST_SUM = 1 << 24  # of whole numbers, below which float32 holds all of them
LAYERS = ("full", "half", "quarter", "eighth", "sixteenth")
WEIGHTS: str | None = None


@dataclass(frozen=True)
class Settings:
    """How the picture is halved from layer to layer.

    reduction: How the picture is halved: by the mean of 2 x 2 pixels, or by a 4 x 4 Gaussian of sigma 1.
    """

    reduction: str = setting("box", choices=("box", "gaussian"))


def keys(layers: Sequence[str]) -> Shapes:
    """There are none."""
    return {}


def build(settings: Settings, tile: tuple[bool, bool], weights: Weights | None) -> Extract:
    """The pixels themselves, at full size and halved again and again, as maps (1, 3, h, w); a layer of which a small
    picture leaves nothing is left out."""
    kernel = _gaussian() if settings.reduction == "gaussian" else torch.full((2, 2), 0.25)

    def extract(image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        nonlocal kernel
        out, layer, kernel = {}, image, kernel.to(image)  # copied to a device once
        for name in LAYERS[: 1 + max(LAYERS.index(wanted) for wanted in names)]:
            if name != "full":
                layer = _halve(layer, kernel, tile)
            if min(layer.shape[2:]) == 0:  # nothing is left of a small picture
                break
            if name in names:
                out[name] = layer
        return out

    return extract


def _halve(layer: Tensor, kernel: Tensor, tile: tuple[bool, bool]) -> Tensor:
    """One step down the pyramid, (1, C, h, w): windows that leave the picture wrap round, or are left out."""
    size = kernel.shape[0]
    if min(layer.shape[2:]) < size:
        return layer[:, :, :0, :0]
    for dim, wraps in zip((2, 3), tile, strict=True):
        if wraps:
            layer = torch.cat([layer, layer.narrow(dim, 0, size - 1)], dim)
    channels = layer.shape[1]
    return F.conv2d(layer, kernel.expand(channels, 1, size, size), stride=2, groups=channels)


def _gaussian() -> Tensor:
    """The kernel of 4 x 4 with sigma 1 and sum 1."""
    ramp = torch.exp(-((torch.arange(4) - 1.5) ** 2) / 2)
    kernel = ramp[:, None] * ramp
    return kernel / kernel.sum()


@dataclass(frozen=True)
class WholeNumbers:
    """A basis by which whole numbers are projected: float32 holds every sum exactly, in whatever order it is taken.

    weights: of the directions, (D, C, k, k).
    centre: of the windows along each of them, (D,).
    unit: of a descriptor.
    """

    weights: Tensor
    centre: Tensor
    unit: float


@dataclass(frozen=True)
class Basis:
    """Principal directions of k x k windows.

    kernel: the directions, (D, C, k, k).
    mean: the mean of the windows along each of them, (D,).
    variance: the total variance of the windows, the unit of all distances.
    lowest, highest: the range of the colours.
    """

    kernel: Tensor
    mean: Tensor
    variance: float
    lowest: float = 0.0
    highest: float = 1.0

    @property
    def patch(self) -> int:
        """The side k of the windows, in pixels; it is odd."""
        return int(self.kernel.shape[-1])

    @property
    def step(self) -> float:
        """The difference of colours that is told apart."""
        return max(self.highest - self.lowest, 1e-8) / STEPS

    @cached_property
    def whole(self) -> WholeNumbers:
        """The basis for `steps`."""
        size = self.kernel.abs().flatten(1).sum(1).max()
        scale = (LARGEST_SUM / STEPS - self.kernel[0].numel() / 2) / float(size.clamp(min=1e-8))  # less what is rounded
        weights = (self.kernel * scale).round()
        unit = self.step / scale
        centre = (self.mean - self.lowest * self.kernel.flatten(1).sum(1)) / unit
        return WholeNumbers(weights, centre, unit * self.variance**-0.5)

    def steps(self, colours: Tensor) -> Tensor:
        """Colours as whole numbers of steps, 0 to STEPS in the range of the basis."""
        return (colours - self.lowest).mul_(1 / self.step).round_()

    def describe(self, padded: Tensor) -> Tensor:
        """The descriptor of every window, (1, C, H + k - 1, W + k - 1) -> (H * W, D), in units where the squared norm
        of an average window is 1."""
        whole = self.whole
        out = F.conv2d(self.steps(padded), whole.weights)[0].flatten(1)
        return out.T.contiguous().sub_(whole.centre).mul_(whole.unit)


def fit(images: list[Tensor], patch: int, components: int, rng: torch.Generator, samples: int = 8192) -> Basis:
    """The first `components` principal directions of about `samples` random windows of side `patch`, drawn from images
    (1, C, H, W) with H, W >= patch.

    A Gaussian (sigma = patch / 3) weights the centre over the corners: corners far from the pixel that is copied
    should not outvote its neighbours.
    """
    per = samples // len(images) + 1
    windows = torch.cat([_draw(image, patch, per, rng) for image in images])
    ramp = torch.arange(patch, device=windows.device) - patch // 2
    g = torch.exp(-(ramp.float() ** 2) / (2 * (patch / 3) ** 2))
    weight = (g[:, None] * g[None, :]).sqrt().expand(images[0].shape[1], patch, patch).flatten()
    average = windows.mean(0)
    centred = (windows - average).mul_(weight)
    covariance = centred.T @ centred / len(centred)
    values, vectors = torch.linalg.eigh(covariance.cpu().double())  # mps has no float64
    kernel = vectors[:, -min(components, len(values)) :].flip(1).float().to(weight.device) * weight[:, None]
    variance = max(values.clamp(min=0).sum().item(), 1e-8)
    mean = average @ kernel
    lowest, highest = (torch.stack(edges) for edges in zip(*(image.aminmax() for image in images), strict=True))
    directions = kernel.T.reshape(-1, images[0].shape[1], patch, patch).contiguous()
    return Basis(directions, mean, variance, float(lowest.min()), float(highest.max()))


def _draw(image: Tensor, patch: int, count: int, rng: torch.Generator) -> Tensor:
    """Windows at random places, (count, C * k * k)."""
    h, w = image.shape[2] - patch + 1, image.shape[3] - patch + 1
    at = torch.randint(h * w, (count,), generator=rng).to(image.device)
    views = image[0].unfold(1, patch, 1).unfold(2, patch, 1).permute(1, 2, 0, 3, 4)  # (h, w, C, k, k)
    return views[at // w, at % w].flatten(1)
