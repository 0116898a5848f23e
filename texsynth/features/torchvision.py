"""Any classifier of torchvision as features: the maps behind its nodes, by torchvision's names of these.

Layers have the names that `torchvision.models.feature_extraction` gives to nodes ("features.1.0.add",
"layer2.3.relu_2"); the name of a part of the network ("features.1", "layer2") stands for its last node.

Nothing behind the deepest layer asked for is computed, batch norms are folded into the convolutions in front of them,
and the weights get no gradient. A tile wraps exactly where all padding of a network lies in its modules, as in ResNet,
VGG, ConvNeXt or EfficientNet, and where the image is a multiple of every step on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import fuse_conv_bn_eval

from texsynth.features import Extract
from texsynth.settings import setting
from texsynth.weights import zoo
from texsynth.weights.pretrained import Shapes, Weights

PROBE = (256, 384)  # a picture whose maps are recognised by the ratio of their sides
Sizes = dict[str, tuple[int, ...]]  # of the output of each node, by its name
Arrange = Callable[[Tensor], Tensor]  # brings the output of a node to (1, C, h, w)


@dataclass(frozen=True)
class Settings:
    """Which network is run, and how.

    network: The network of torchvision, such as convnext_tiny or efficientnet_b0.
    padding: What convolutions see beyond a border that does not tile: zeros, as in training, or the mirrored map.
    """

    network: str = setting("convnext_tiny")
    padding: str = setting("zero", choices=("zero", "reflect"))


@dataclass(frozen=True)
class NetworkFeatures:
    """The features of one network, with the names that every module of features has."""

    WEIGHTS: str
    Settings: type = Settings

    @property
    def LAYERS(self) -> tuple[str, ...]:  # noqa: N802 (as modules have it)
        """The layers that are maps or scores, shallow to deep; raises UsageError where there is no such network."""
        return tuple(_layers(self.WEIGHTS))

    def keys(self, layers: Sequence[str]) -> Shapes:
        """The shapes of the tensors that these layers need, by their keys in the file."""
        nodes = {_layers(self.WEIGHTS)[name][0] for name in layers}
        return dict(_shapes(self.WEIGHTS, frozenset(nodes))) if nodes else {}

    def build(self, settings: Any, tile: tuple[bool, bool], weights: Weights | None) -> Extract:
        """The network as a function of an image (1, 3, H, W) in [0, 1] on the weights' device and of names of LAYERS.

        It gives maps (1, C, h, w), and scores as (1, C, 1, 1); a layer that the image is too small for is left out.
        """
        assert weights is not None
        every = _layers(self.WEIGHTS)

        @cache
        def network(nodes: frozenset[str], device: torch.device) -> fx.GraphModule:
            module = _filled(_pruned(self.WEIGHTS, nodes), weights, device)
            return _continued(_fold_norms(_keep_outputs(module)), tile, settings.padding == "reflect")

        def extract(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
            sides = (min(side, limit) for side, limit in zip(image.shape[2:], PROBE, strict=True))
            present = _sizes(self.WEIGHTS, *sides)
            wanted = {name: layer for name, layer in every.items() if name in layers and layer[0] in present}
            nodes = frozenset(node for node, _ in wanted.values())
            mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (weights.mean, weights.std))
            outputs = network(nodes, image.device)((image - mean) / std) if nodes else {}
            return {name: arrange(outputs[node]) for name, (node, arrange) in wanted.items()}

        return extract


def of(network: str) -> NetworkFeatures:
    """The features of a network, the default one where its name is empty."""
    return NetworkFeatures(network or Settings().network)


def _pruned(network: str, nodes: Iterable[str]) -> fx.GraphModule:
    """The part of a network that ends with these nodes, without weights: a function from (1, 3, H, W) to them."""
    zoo.models()
    from torchvision.models.feature_extraction import create_feature_extractor

    module: fx.GraphModule = create_feature_extractor(zoo.module(network), sorted(nodes), suppress_diff_warning=True)
    return module


@cache  # a run asks several times, and following a network takes long
def _shapes(network: str, nodes: frozenset[str]) -> Shapes:
    """The shapes of the tensors of a pruned network, by their keys."""
    return zoo.shapes(_pruned(network, nodes))


@cache
def _whole(network: str) -> fx.GraphModule:
    """A network with the outputs of all its nodes, on the meta device, where nothing is computed but sizes."""
    zoo.models()
    from torchvision.models.feature_extraction import get_graph_node_names

    nodes = get_graph_node_names(zoo.module(network), suppress_diff_warning=True)[1]
    module: fx.GraphModule = _pruned(network, nodes[1:]).to("meta")  # the first is the picture
    return module


class _Measure(fx.Interpreter):
    """Runs a graph and notes the size of the output of each node, until one fails."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.sizes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if isinstance(output, Tensor):
            self.sizes[n] = tuple(output.shape)
        return output


@lru_cache(maxsize=64)
def _sizes(network: str, height: int, width: int) -> Sizes:
    """The size of the output of each node for a picture of that size; none of those behind a node that fails on it."""
    module = _whole(network)
    measure = _Measure(module)
    with suppress(RuntimeError, AssertionError, ValueError):  # of a picture that is too small, or not of the one size
        measure.run(torch.empty(1, 3, height, width, device="meta"))
    (end,) = (node for node in module.graph.nodes if node.op == "output")
    return {name: measure.sizes[node] for name, node in end.args[0].items() if node in measure.sizes}


@cache
def _layers(network: str) -> dict[str, tuple[str, Arrange]]:
    """The node of every layer, shallow to deep, and its arrangement; a part of the network stands for its last node."""
    sizes = _sizes(network, *PROBE)
    ends = {part: node for node in sizes for part in _parts(node)}
    layers: dict[str, tuple[str, Arrange]] = {}
    for node, size in sizes.items():
        if (arrange := _arrangement(size)) is not None:
            parts = [part for part in _parts(node) if ends[part] == node and part not in sizes]
            layers |= dict.fromkeys((node, *parts), (node, arrange))
    return layers


def _parts(node: str) -> list[str]:
    """The parts of the network that a node lies in: features.1.0, features.1 and features for "features.1.0.add"."""
    return [node[:at] for at in range(len(node) - 1, 0, -1) if node[at] == "."]


def _arrangement(size: tuple[int, ...]) -> Arrange | None:
    """How to arrange an output that has this size for the probe; None where it is neither map nor scores."""
    if len(size) == 2 and size[0] == 1:
        return lambda scores: scores[:, :, None, None]
    if len(size) != 4 or size[0] != 1:
        return None
    if size[2:] == (1, 1) or _in_proportion(size[2], size[3]):
        return lambda map_: map_
    return (lambda map_: map_.permute(0, 3, 1, 2)) if _in_proportion(size[1], size[2]) else None


def _in_proportion(height: int, width: int) -> bool:
    """Are these the sides of a map of the probe? Some networks drop a row or column on the way."""
    return abs(height * PROBE[1] / PROBE[0] - width) <= 1.5


def _filled(module: fx.GraphModule, weights: Weights, device: torch.device) -> fx.GraphModule:
    """The network with its weights, on the device that these are on."""
    wanted = zoo.shapes(module)
    tensors = {key: tensor.detach() for key, tensor in weights.tensors.items() if key in wanted}
    module.load_state_dict(tensors, strict=False, assign=True)
    for buffer in module.buffers():
        if not buffer.is_meta:  # what still is there is not used
            buffer.data = buffer.to(device)
    return module.requires_grad_(False)


def _keep_outputs(module: fx.GraphModule) -> fx.GraphModule:
    """Have no node overwrite the output of another one, which may be asked for."""
    part: Any
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    for node in module.graph.nodes:
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
    module.recompile()
    return module


def _fold_norms(module: fx.GraphModule) -> fx.GraphModule:
    """Have each convolution do the work of the batch norm behind it too, where nothing else looks at its output."""
    for node in list(module.graph.nodes):
        if node.op != "call_module" or not isinstance(norm := module.get_submodule(node.target), nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) != 1:
            continue
        convolution = module.get_submodule(before.target)
        if isinstance(convolution, nn.Conv2d):
            module.set_submodule(before.target, fuse_conv_bn_eval(convolution, norm))
            node.replace_all_uses_with(before)
            module.graph.erase_node(node)
    module.recompile()
    return module


def _continued(module: fx.GraphModule, tile: tuple[bool, bool], mirrored: bool) -> fx.GraphModule:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            _pad(part, tile, mirrored)
        elif isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
            _pad(part, tile, False)
    return module


def _pad(part: Any, tile: tuple[bool, bool], mirrored: bool) -> None:
    """Have a convolution or pool see the opposite side along axes that tile, along others the mirrored map if asked."""
    margins = part.padding if isinstance(part.padding, tuple) else (part.padding, part.padding)
    by_hand = [margin if wraps or mirrored else 0 for margin, wraps in zip(margins, tile, strict=True)]
    if not any(by_hand):
        return
    part.padding = tuple(margin - taken for margin, taken in zip(margins, by_hand, strict=True))

    def continued(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        for dim, margin, wraps in zip((2, 3), by_hand, tile, strict=True):
            x = wrapped(x, dim, margin) if wraps else reflected(x, dim, margin)
        return (x, *inputs[1:])

    part.register_forward_pre_hook(continued)


def wrapped(x: Tensor, dim: int, margin: int) -> Tensor:
    """`margin` cells more on each side along an axis, from the other side; the map may be smaller than that."""
    turns, rest = divmod(margin, x.shape[dim])
    ends = x.narrow(dim, x.shape[dim] - rest, rest), x.narrow(dim, 0, rest)
    return torch.cat([ends[0], *[x] * (2 * turns + 1), ends[1]], dim) if margin else x


def reflected(x: Tensor, dim: int, margin: int) -> Tensor:
    """`margin` cells more on each side along an axis, mirrored at the outermost cell as often as needed."""
    while margin > 0:
        size = x.shape[dim]
        step = min(margin, max(size - 1, 1))
        start = 1 if size > 1 else 0
        before, after = x.narrow(dim, start, step), x.narrow(dim, size - start - step, step)
        x = torch.cat([before.flip(dim), x, after.flip(dim)], dim)
        margin -= step
    return x
