"""Masked spatial-channel attention (Zheng et al. 2020): an exemplar's style, region by region, where labels want it.

At every scale spatial attention pools the exemplar's features over K regions, a small network masks the regions that
the target has no use for, and channel attention says in which shares every pixel of the target wants the regions. The
aligned features and the target's labels are what the generator of SPADE is conditioned on. Cost is linear in pixels,
and sizes are free.

Differs from the paper in: by default image features come from a small learned pyramid over the pixels, not from VGG-19;
noise stands beside the aligned features; several exemplars are mixed in closed form, also in exactly the shares asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.features import Extract
from texsynth.learned.shared import generator
from texsynth.learned.shared.conv import LEAK, OFF, Conv, Tile, doubled
from texsynth.learned.shared.generator import Generator, continued, resized
from texsynth.settings import setting

VGG_CHANNELS = {"relu1_2": 64, "relu2_2": 128, "relu3_2": 256}  # of the layers of the three finest scales
PIXEL_SCALE = 4.0  # the factor after which colours vary by about 1
FIRST_LOGIT = 2.0  # added to the logits of masks, so that styles pass at first
INTERPOLATIONS = ("plain", "normalised")


@dataclass(frozen=True)
class Shape(generator.Shape):
    """What shapes the network. The numbers of regions and channels of the published one are not known.

    attention: Attention pools over regions (full), or over the whole exemplar (gap), which is the paper's ablation.
    regions: The regions of each scale.
    image: Image features come from a learned pyramid (pixels), or from VGG-19.
    channels: The channels of image features, fine to coarse; the last repeats.
    label_channels: The channels of label features.
    """

    widest: int = setting(16, low=1, high=64)
    noise: int = setting(4, low=0, high=64)
    attention: str = setting("full", choices=("full", "gap"))
    regions: int = setting(16, low=1, high=256)
    image: str = setting("pixels", choices=("pixels", "vgg19"))
    channels: tuple[int, ...] = setting((16, 32, 32, 64, 64), low=1, high=512)
    label_channels: int = setting(16, low=1, high=512)

    def __post_init__(self) -> None:
        if not self.channels:
            raise UsageError("channels is empty; give those of the finest scale, or of all")

    @property
    def depths(self) -> list[int]:
        """The channels of the image features, coarse to fine."""
        return [self.channels[min(n, len(self.channels) - 1)] for n in range(self.levels, -1, -1)]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of VGG-19 that the network looks at, fine to coarse."""
        return tuple(VGG_CHANNELS)[: self.levels + 1] if self.image == "vgg19" else ()


@dataclass(frozen=True)
class Pooled:
    """What one scale takes from an exemplar: the mean features of its regions (n, K, C), the log of how much of the
    exemplar each region claims (n, K), and its mean label features (n, M, 1, 1)."""

    vectors: Tensor
    evidence: Tensor
    summary: Tensor


Style = Sequence[Pooled]  # coarse to fine


class ImageFeatures(nn.Module):
    """Image features: pixels (n, 3, h, w), or maps of VGG-19 fine to coarse -> a map of each scale, coarse to fine."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        depths = shape.depths[::-1]
        inputs = [VGG_CHANNELS[layer] for layer in shape.layers] or [depths[0]]
        count = len(inputs)
        self.enter = None if shape.layers else Conv(3, depths[0])
        self.heads = nn.ModuleList(
            Conv(before, after, 1) for before, after in zip([*inputs, *depths[count:]], depths, strict=True)
        )
        self.down = nn.ModuleList(
            Conv(before, after, stride=2) for before, after in zip(depths[count - 1 :], depths[count:], strict=False)
        )

    def forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        maps = list(inputs) if self.enter is None else [F.leaky_relu(self.enter(inputs[0]), LEAK)]
        out: list[Tensor] = []
        for number, head in enumerate(self.heads):
            more = number - len(maps)
            out.append(head(maps[number] if more < 0 else F.leaky_relu(self.down[more](out[-1]), LEAK)))
        return out[::-1]


class LabelFeatures(nn.Module):
    """Label features: one-hot maps of every scale, coarse to fine -> (n, M, h, w) of every scale, coarse to fine."""

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        count = shape.label_channels
        self.convs = nn.ModuleList(Conv(labels + (count if n else 0), count) for n in range(shape.levels + 1))

    def forward(self, maps: Sequence[Tensor], tile: Tile = OFF) -> list[Tensor]:
        out: list[Tensor] = []
        for conv, labels in zip(self.convs, maps, strict=True):
            x = torch.cat([doubled(out[-1], tile), labels], 1) if out else labels
            out.append(F.leaky_relu(conv(x, tile), LEAK))
        return out


class RegionAttention(nn.Module):
    """The attention of one scale, on `count` channels of image features and `labels` channels of label features."""

    def __init__(self, count: int, labels: int, shape: Shape) -> None:
        super().__init__()
        full, regions = shape.attention == "full", shape.regions
        self.where = Conv(count + labels, regions, 1) if full else None
        self.mask = nn.Sequential(Conv(2 * labels, labels, 1), nn.ReLU(), Conv(labels, regions, 1)) if full else None
        self.wanted = Conv(labels, regions, 1) if full else None

    def logits(self, image: Tensor, labels: Tensor, share: Tensor | None = None) -> Tensor:
        """The logits of the positions of an exemplar, (n, K, h, w). share: (n, 1, h, w), how much of each counts."""
        logits = image.new_zeros(len(image), 1, *image.shape[2:])
        if self.where is not None:
            logits = self.where(torch.cat([image, labels], 1))
        return logits if share is None else logits + share.log()

    def pool(self, image: Tensor, labels: Tensor, share: Tensor | None = None) -> Pooled:
        """What the regions of an exemplar hold."""
        logits = self.logits(image, labels, share).flatten(2)
        vectors = logits.softmax(2) @ image.flatten(2).transpose(1, 2)
        return Pooled(vectors, logits.logsumexp(2), averaged(labels, share))

    def scores(self, target: Tensor, exemplar: Tensor) -> Tensor:
        """How much of each region passes, (n, K) in (0, 1), by the mean label features (n, M, 1, 1) of both."""
        if self.mask is None:
            return target.new_ones(len(target), 1)
        out: Tensor = (FIRST_LOGIT + self.mask(torch.cat([target, exemplar], 1))).sigmoid()
        return out.flatten(1)

    def shares(self, labels: Tensor) -> Tensor:
        """How much every position of a target wants of each region, (n, K, h, w), adding up to 1."""
        if self.wanted is None:
            return labels.new_ones(len(labels), 1, *labels.shape[2:])
        out: Tensor = self.wanted(labels).softmax(1)
        return out


class MscaNet(nn.Module):
    """Exemplars with their labels, and the labels of a target -> a picture. labels: their number.

    Its tensors hold nothing before they are drawn or loaded.
    """

    units: Tensor  # what the maps of VGG-19 are divided by

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        self.shape, count = shape, shape.label_channels
        self.look = ImageFeatures(shape)
        self.labels = LabelFeatures(shape, labels)
        self.regions = nn.ModuleList(RegionAttention(depth, count, shape) for depth in shape.depths)
        self.generator = Generator(shape, [depth + count for depth in shape.depths])
        self.register_buffer("units", torch.ones(len(shape.layers)))

    def image_inputs(self, image: Tensor, extract: Extract | None) -> list[Tensor]:
        """What the network looks at in pictures (n, 3, h, w): colours, or maps of VGG-19, fine to coarse."""
        if extract is None:
            return [(image - 0.5) * PIXEL_SCALE]
        maps = [extract(one, self.shape.layers) for one in image.split(1)]
        return [torch.cat([m[layer] for m in maps]) / self.units[n] for n, layer in enumerate(self.shape.layers)]

    def label_features(self, labels: Tensor, tile: Tile = OFF) -> list[Tensor]:
        """The label features of one-hot maps (n, L, h, w), coarse to fine, on whole cells."""
        grids = self.shape.grids((labels.shape[2], labels.shape[3]))
        whole = continued(labels, grids[-1])
        return list(self.labels([resized(whole, grid, self.shape.resize) for grid in grids], tile))

    def style(
        self, image: Tensor, labels: Tensor, extract: Extract | None = None, valid: Tensor | None = None
    ) -> list[Pooled]:
        """What every scale takes from an exemplar (n, 3, h, w) with labels (n, L, h, w); `valid`, (n, 1, h, w), says
        how much each pixel counts."""
        scales = zip(self.regions, *self.exemplar_features(image, labels, extract, valid), strict=True)
        return [regions.pool(*features) for regions, *features in scales]  # type: ignore[operator]

    def exemplar_features(
        self, image: Tensor, labels: Tensor, extract: Extract | None, valid: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor | None]]:
        """Image features, label features and shares of an exemplar at every scale, coarse to fine."""
        size = image.shape[2], image.shape[3]
        grids = self.shape.grids(size)
        shares: list[Tensor | None] = [None] * len(grids)
        if valid is not None or grids[-1] != size:
            whole = image.new_ones(len(image), 1, *size) if valid is None else valid.to(image)
            whole = F.pad(whole, [0, grids[-1][1] - size[1], 0, grids[-1][0] - size[0]])
            shares = [resized(whole, grid, "bilinear") for grid in grids]
        inputs = self.image_inputs(continued(image, grids[-1]), extract)
        return self.look(inputs), self.label_features(labels), shares

    def aligned(
        self, styles: Sequence[Style], labels: Sequence[Tensor], shares: Tensor, interpolation: str = "plain"
    ) -> list[Tensor]:
        """The features that a target takes from exemplars, coarse to fine, (n, C, h, w) each.

        labels: the target's label features.
        shares: of the J exemplars. (1, J, 1, 1): regions are mixed, by their evidence too ("plain") or not
            ("normalised"). (1, J, h, w) on the target: what each exemplar would give is mixed, pixel by pixel.
        """
        out = []
        for number, features in enumerate(labels):
            regions = self.regions[number]
            assert isinstance(regions, RegionAttention)
            pools = [style[number] for style in styles]
            beta, summary = regions.shares(features), averaged(features)
            masks = torch.stack([regions.scores(summary, pool.summary) for pool in pools])  # (J, n, K)
            vectors = torch.stack([pool.vectors for pool in pools])  # (J, n, K, C)
            if shares.shape[2:] == (1, 1):
                score = (masks * shares.view(-1, 1, 1)).sum(0)
                mixed = (vectors * weights(pools, shares.flatten(), interpolation)[..., None]).sum(0)
                out.append(spread(mixed * score[..., None], beta))
            else:
                parts = resized(shares, (features.shape[2], features.shape[3]), "bilinear").unsqueeze(2).unbind(1)
                each = zip(parts, vectors * masks[..., None], strict=True)
                out.append(torch.stack([part * spread(masked, beta) for part, masked in each]).sum(0))
        return out

    def paint(
        self, features: Sequence[Tensor], labels: Sequence[Tensor], noise: Sequence[Tensor], tile: Tile = OFF
    ) -> Tensor:
        """Pictures (n, 3, h, w), of whole cells, from aligned features and label features."""
        out: Tensor = self.generator([torch.cat(pair, 1) for pair in zip(features, labels, strict=True)], noise, tile)
        return out


class AuxiliaryDecoder(nn.Module):
    """The auxiliary decoder of pretraining: aligned features and label features -> features of the true picture, a map
    of each scale, coarse to fine. counts: their channels."""

    def __init__(self, shape: Shape, counts: Sequence[int]) -> None:
        super().__init__()
        inputs = [depth + shape.label_channels for depth in shape.depths]
        self.convs = nn.ModuleList(Conv(before, after, 1) for before, after in zip(inputs, counts, strict=True))

    def forward(self, features: Sequence[Tensor], labels: Sequence[Tensor]) -> list[Tensor]:
        return [conv(torch.cat(pair, 1)) for conv, *pair in zip(self.convs, features, labels, strict=True)]


def weights(pools: Sequence[Pooled], shares: Tensor, interpolation: str) -> Tensor:
    """How much of each region comes from each of J exemplars with shares (J,): (J, n, K).

    "plain" is the softmax over all their positions, with the log of an exemplar's share added to its logits;
    "normalised" takes the shares as they are.
    """
    evidence = torch.stack([pool.evidence for pool in pools])
    if interpolation == "normalised":
        return shares.view(-1, 1, 1).expand_as(evidence)
    return (evidence + shares.log().view(-1, 1, 1)).softmax(0)


def spread(vectors: Tensor, shares: Tensor) -> Tensor:
    """Mixes of vectors (n, K, C) in shares (n, K, h, w): (n, C, h, w)."""
    out: Tensor = (vectors.transpose(1, 2) @ shares.flatten(2)).unflatten(2, shares.shape[2:])
    return out


def averaged(x: Tensor, share: Tensor | None = None) -> Tensor:
    """The mean of a map (n, C, h, w) over its positions, (n, C, 1, 1). share: (n, 1, h, w), how much each counts."""
    if share is None:
        return x.mean((2, 3), keepdim=True)
    return (x * share).sum((2, 3), keepdim=True) / share.sum((2, 3), keepdim=True)
