"""ResNet-50 (He et al. 2015): what a classifier sees in a picture, from edges to the scores of ImageNet's 1000 classes.

It is torchvision's, whose blocks halve their maps in the 3 x 3 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from texsynth.features import Extract, torchvision
from texsynth.weights.pretrained import Shapes, Weights

WEIGHTS: str | None = "resnet50"
NODES = {
    "stem": "relu",
    "layer1": "layer1.2.relu_2",
    "layer2": "layer2.3.relu_2",
    "layer3": "layer3.5.relu_2",
    "layer4": "layer4.2.relu_2",
    "logits": "fc",
}
LAYERS = tuple(NODES)
NETWORK = torchvision.of("resnet50")


@dataclass(frozen=True)
class Settings:
    """There are none."""


def keys(layers: Sequence[str]) -> Shapes:
    """The shapes of the tensors that these layers need, by torchvision's keys, shallow to deep."""
    return NETWORK.keys([NODES[name] for name in layers])


def build(settings: Settings, tile: tuple[bool, bool], weights: Weights | None) -> Extract:
    """The network as a function of an image (1, 3, H, W) in [0, 1] on the weights' device and of names of LAYERS.

    It gives maps (1, C, h, w): "stem", in front of the pool, of half of the image's size, rounded up; layer1 to layer4
    of a 4th, 8th, 16th and 32nd of it; and "logits", (1, 1000, 1, 1), of the whole image. Beyond borders there are
    zeros, as in training. Along axes that tile the image wraps, exactly where its size is a multiple of every step on
    the way (16 for layer3, 32 for layer4 and logits).
    """
    extract_nodes = NETWORK.build(torchvision.Settings("resnet50"), tile, weights)

    def extract(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        maps = extract_nodes(image, [NODES[name] for name in layers])
        return {name: maps[node] for name, node in NODES.items() if node in maps}

    return extract
