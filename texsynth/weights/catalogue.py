"""The pretrained networks that can be fetched, and every tensor of each. Importing this loads no torch.

Another network is one more entry of NETWORKS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from texsynth.weights import download

Triple = tuple[float, float, float]


class Slot(NamedTuple):
    """One tensor of a network: the layer that it is part of, and its shape."""

    layer: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A pretrained network that can be fetched.

    sha256: the first digits. size: of the file, in bytes. tensors: by their keys in the file, shallow to deep.
    mean, std: of its input, where a file does not say otherwise. foreign: a key that only deeper networks of the
    family have, whose files hold all of these tensors too.
    """

    name: str
    description: str
    url: str
    sha256: str
    size: int
    tensors: Mapping[str, Slot] = field(repr=False)
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    foreign: str = ""

    @property
    def file(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]

    @property
    def source(self) -> download.Source:
        """Where it is fetched from."""
        elsewhere = f"fetch {self.url} elsewhere and give it with --weights FILE or TEXSYNTH_WEIGHTS (or their folder)"
        again = f"`texsynth weights fetch {self.name}`"
        return download.Source(f"{self.name} weights", self.url, self.sha256, self.size, again, elsewhere)

    def layers(self, keys: Collection[str]) -> tuple[str, ...]:
        """The layers that these tensors are enough for, shallow to deep."""
        layers = list(dict.fromkeys(slot.layer for slot in self.tensors.values()))
        gaps = [layers.index(slot.layer) for key, slot in self.tensors.items() if key not in keys]
        return () if self.foreign in keys else tuple(layers[: min(gaps, default=len(layers))])


def _vgg(*blocks: tuple[int, ...]) -> Iterator[tuple[str, Slot]]:
    """The convolutions of a VGG by torchvision's names, which number activations and pools too."""
    index, channels = 0, 3
    for block, widths in enumerate(blocks, 1):
        for number, width in enumerate(widths, 1):
            layer = f"relu{block}_{number}"
            yield f"features.{index}.weight", Slot(layer, (width, channels, 3, 3))
            yield f"features.{index}.bias", Slot(layer, (width,))
            index, channels = index + 2, width
        index += 1


def _resnet(*stages: tuple[int, int]) -> Iterator[tuple[str, Slot]]:
    """A ResNet of bottlenecks by torchvision's names. stages: how many blocks, and their inner width."""
    yield from _normalised("conv1", "bn1", Slot("stem", (64, 3, 7, 7)))
    channels = 64
    for stage, (blocks, width) in enumerate(stages, 1):
        layer, wide = f"layer{stage}", 4 * width
        for block in range(blocks):
            for number, shape in enumerate(((width, channels, 1, 1), (width, width, 3, 3), (wide, width, 1, 1)), 1):
                yield from _normalised(
                    f"{layer}.{block}.conv{number}", f"{layer}.{block}.bn{number}", Slot(layer, shape)
                )
            if block == 0:
                side = Slot(layer, (wide, channels, 1, 1))
                yield from _normalised(f"{layer}.0.downsample.0", f"{layer}.0.downsample.1", side)
            channels = wide
    yield "fc.weight", Slot("logits", (1000, channels))
    yield "fc.bias", Slot("logits", (1000,))


def _normalised(convolution: str, norm: str, weight: Slot) -> Iterator[tuple[str, Slot]]:
    """A convolution without bias, and the batch norm behind it."""
    yield f"{convolution}.weight", weight
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{norm}.{part}", Slot(weight.layer, weight.shape[:1])


VGG19 = Network(
    name="vgg19",
    description="VGG-19 (Simonyan and Zisserman 2014) as trained for torchvision, IMAGENET1K_V1",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    sha256="dcbb9e9d",
    size=574_673_361,
    tensors=dict(_vgg((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)),
)
RESNET50 = Network(
    name="resnet50",
    description="ResNet-50 (He et al. 2015) as trained for torchvision, IMAGENET1K_V1",
    url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    sha256="0676ba61",
    size=102_530_333,
    tensors=dict(_resnet((3, 64), (4, 128), (6, 256), (3, 512))),
    foreign="layer3.6.conv1.weight",
)
NETWORKS: Mapping[str, Network] = {network.name: network for network in (VGG19, RESNET50)}
