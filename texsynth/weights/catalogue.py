"""The pretrained networks that can be fetched by name. Importing this loads neither torch nor torchvision.

Another network is one more entry of NETWORKS; `zoo` describes all other networks of torchvision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Network:
    """A pretrained network that can be fetched.

    name: the word for it, with which the names of its files begin.
    sha256: the first digits of the hash of its file.
    size: the size of the file in bytes.
    layers: the keys of the tensors of each layer, shallow to deep.
    mean, std: what its input is shifted and divided by, where a file does not say otherwise.
    foreign: a key that only deeper networks of the family have, whose files hold all of these tensors too.
    tolerance: by how many bytes the true size may differ.
    """

    name: str
    description: str
    url: str
    sha256: str
    size: int
    layers: Mapping[str, tuple[str, ...]] = field(repr=False)
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    foreign: str = ""
    tolerance: int = 0

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def elsewhere(self) -> str:
        """What to do where fetching does not work."""
        return f"fetch {self.url} elsewhere and give it with --weights FILE or TEXSYNTH_WEIGHTS (or their folder)"

    def held(self, keys: Collection[str]) -> tuple[str, ...]:
        """The layers that these tensors are enough for, shallow to deep; none where a deeper network has them."""
        complete = [all(key in keys for key in parts) for parts in self.layers.values()]
        depth = complete.index(False) if False in complete else len(complete)
        return () if self.foreign in keys else tuple(self.layers)[:depth]

    def layer_of(self, key: str) -> str:
        return next(layer for layer, parts in self.layers.items() if key in parts)


def _vgg(*blocks: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The layers of a VGG with so many convolutions a block, by torchvision's keys, which number all modules."""
    index = 0
    for block, convolutions in enumerate(blocks, 1):
        for number in range(1, convolutions + 1):
            yield f"relu{block}_{number}", (f"features.{index}.weight", f"features.{index}.bias")
            index += 2
        index += 1


def _resnet(*stages: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The layers of a ResNet with so many bottlenecks a stage, by torchvision's keys."""
    yield "stem", tuple(_normalised("conv1", "bn1"))
    for stage, blocks in enumerate(stages, 1):
        pairs = [(f"{block}.conv{n}", f"{block}.bn{n}") for block in range(blocks) for n in (1, 2, 3)]
        pairs.append(("0.downsample.0", "0.downsample.1"))
        layer = f"layer{stage}"
        yield layer, tuple(key for conv, norm in pairs for key in _normalised(f"{layer}.{conv}", f"{layer}.{norm}"))
    yield "logits", ("fc.weight", "fc.bias")


def _normalised(convolution: str, norm: str) -> list[str]:
    """The keys of a convolution without bias, and of the batch norm behind it."""
    return [f"{convolution}.weight", *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))]


VGG19 = Network(
    name="vgg19",
    description="VGG-19 (Simonyan and Zisserman 2014) as trained for torchvision, IMAGENET1K_V1",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    sha256="dcbb9e9d",
    size=574_673_361,
    layers=dict(_vgg(2, 2, 4, 4, 4)),
)
RESNET50 = Network(
    name="resnet50",
    description="ResNet-50 (He et al. 2015) as trained for torchvision, IMAGENET1K_V1",
    url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    sha256="0676ba61",
    size=102_530_333,
    layers=dict(_resnet(3, 4, 6, 3)),
    foreign="layer3.6.conv1.weight",
)
NETWORKS: Mapping[str, Network] = {network.name: network for network in (VGG19, RESNET50)}
