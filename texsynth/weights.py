"""Pretrained weights: found, fetched, checked and read. Importing this loads no torch.

They are looked for in the file given (`--weights`), then in what TEXSYNTH_WEIGHTS names (a file or a folder), then in
torch's cache, into which they are fetched. Another network is one more entry of NETWORKS.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from texsynth import download
from texsynth.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[str], None]
Triple = tuple[float, float, float]

SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class Weights:
    """A network's weights as read from one file.

    tensors: by torchvision's names ("features.0.weight"). mean, std: what is subtracted from RGB in [0, 1], and
    what it is then divided by. name, sha256: of the file, for the record.
    """

    name: str
    sha256: str
    tensors: Mapping[str, Tensor]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Slot(NamedTuple):
    """One tensor of a network: the layer that it is part of, and its shape."""

    layer: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A pretrained network that can be fetched.

    sha256: the first digits. size: of the file, in bytes. tensors: by their keys in the file, shallow to deep.
    mean, std: of its input, where a file does not say otherwise.
    """

    name: str
    description: str
    url: str
    sha256: str
    size: int
    tensors: Mapping[str, Slot] = field(repr=False)
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)

    @property
    def file(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]

    @property
    def source(self) -> download.Source:
        """Where it is fetched from."""
        elsewhere = f"fetch {self.url} elsewhere and give it with --weights FILE or TEXSYNTH_WEIGHTS"
        again = f"`texsynth weights fetch {self.name}`"
        return download.Source(f"{self.name} weights", self.url, self.sha256, self.size, again, elsewhere)

    def layers(self, keys: Collection[str]) -> tuple[str, ...]:
        """The layers that these tensors are enough for, shallow to deep."""
        layers = list(dict.fromkeys(slot.layer for slot in self.tensors.values()))
        gaps = [layers.index(slot.layer) for key, slot in self.tensors.items() if key not in keys]
        return tuple(layers[: min(gaps, default=len(layers))])


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


VGG19 = Network(
    name="vgg19",
    description="VGG-19 (Simonyan and Zisserman 2014) as trained for torchvision, IMAGENET1K_V1",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    sha256="dcbb9e9d",
    size=574_673_361,
    tensors=dict(_vgg((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)),
)
NETWORKS: Mapping[str, Network] = {network.name: network for network in (VGG19,)}


def load(network: str, keys: Sequence[str], given: Path | None, say: Say) -> Weights:
    """The tensors `keys` of a network, from the file that is found or else fetched; raises WeightsError."""
    return read(find(network, given) or fetch(network, say), network, keys)


def cached(network: str) -> Path:
    """Where torch keeps the network's file once it is downloaded."""
    return cache() / NETWORKS[network].file


def cache() -> Path:
    """The folder in which torch keeps what it downloads."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def find(network: str, given: Path | None = None) -> Path | None:
    """The file of a network: `given`, else what TEXSYNTH_WEIGHTS names, else torch's copy; None where there is none.

    A folder stands for the one file in it whose name begins with the network's. Raises WeightsError where that file,
    or the place that was named, is missing.
    """
    named = os.environ.get("TEXSYNTH_WEIGHTS")
    if given is not None:
        return _at(given, network, "--weights")
    if named:
        return _at(Path(named), network, "TEXSYNTH_WEIGHTS")
    return cached(network) if cached(network).is_file() else None


def _at(place: Path, network: str, source: str) -> Path:
    if place.is_file():
        return place
    if not place.is_dir():
        raise WeightsError(f"{source}: {place} does not exist")
    files = sorted(f for f in place.iterdir() if f.name.startswith(network) and f.suffix in SUFFIXES and f.is_file())
    if not files:
        raise WeightsError(f"{source}: folder {place} has no {network}*.safetensors, .pth or .pt; name a file instead")
    if len(files) > 1:
        raise WeightsError(f"{source}: folder {place} has {files[0].name} and {files[1].name}; name one of these files")
    return files[0]


def fetch(network: str, say: Say) -> Path:
    """Download a network into torch's cache, unless it is there already; its path. Raises WeightsError."""
    target = cached(network)
    if not target.is_file():
        download.fetch(NETWORKS[network].source, target, say)
    return target


def held(path: Path, network: str) -> tuple[str, ...]:
    """The layers of a network that a file holds, shallow to deep; raises WeightsError when it is no weights file."""
    return NETWORKS[network].layers(_open(path).keys)


def read(path: Path, network: str, keys: Sequence[str]) -> Weights:
    """Some tensors of a network, in float32. No other tensor is loaded, and no pickled code is run.

    Raises WeightsError when the file is no weights file, lacks a tensor, or has one of another shape or not finite.
    """
    entry, file = NETWORKS[network], _open(path)
    if lacking := [key for key in keys if key not in file.keys]:
        layer, layers = entry.tensors[lacking[-1]].layer, entry.layers(file.keys)
        if not layers:
            raise WeightsError(f"{path} holds no {network}: it lacks {lacking[0]}; {entry.source.elsewhere}")
        remedy = "name layers up to that with --set layers=..., or give a whole file with --weights or TEXSYNTH_WEIGHTS"
        raise WeightsError(f"{path} lacks {layer}: it stops at {layers[-1]}; {remedy}")
    tensors = {key: _sound(file.take(key), entry.tensors[key].shape, f"{path}: {key}") for key in keys}
    mean, std = _convention(file.metadata, entry, path)
    return Weights(path.name, download.digest(path), tensors, mean, std)


@dataclass(frozen=True)
class _File:
    """An open file of weights: the keys of its tensors, how one of them is read, and what it says about itself."""

    keys: Collection[str]
    take: Callable[[str], Tensor]
    metadata: Mapping[str, str]


def _open(path: Path) -> _File:
    """Any weights file, told by its first bytes; its tensors stay on disk where the format allows that."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as start:
            head = start.read(9)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    zipped = head[:2] == b"PK"
    try:
        if head[8:] == b"{":
            file: Any = safe_open(path, "pt")
            return _File(frozenset(file.keys()), file.get_tensor, file.metadata() or {})
        if not zipped and head[:1] != b"\x80":
            raise WeightsError(f"{path} is no weights file; safetensors and torch state dicts (.pth) are")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles, which are refused below
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError:
        raise WeightsError(f"{path} holds pickled code, which is not run; save its state dict as safetensors") from None
    except (SafetensorError, OSError, RuntimeError, EOFError, LookupError, ValueError, AttributeError, TypeError):
        raise WeightsError(f"{path} is damaged, or no file of plain tensors; fetch or save it again") from None
    state = state if isinstance(state, Mapping) else {}
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    return _File(tensors.keys(), tensors.__getitem__, {})


def _sound(tensor: Tensor, shape: tuple[int, ...], where: str) -> Tensor:
    """The tensor as float32 in memory of its own; raises WeightsError for another shape and for NaN or infinity."""
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        found = f"{list(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
        raise WeightsError(f"{where} is {found}, not {list(shape)} of numbers; this is another network's file")
    if not tensor.isfinite().all():
        raise WeightsError(f"{where} holds values that are not finite; fetch or save the file again")
    return tensor.detach().float().clone()


def _convention(metadata: Mapping[str, str], entry: Network, path: Path) -> tuple[Triple, Triple]:
    """Mean and std of the input: as lists "mean" and "std", or in words as "input"; else the network's own."""
    if "mean" in metadata or "std" in metadata:
        found = metadata.get("mean", ""), metadata.get("std", "")
    elif words := metadata.get("input"):
        mean, std = (re.search(rf"RGB in \[0, ?1\].*\b{name} (\[[^]]*\])", words) for name in ("mean", "std"))
        undivided = "[1, 1, 1]" if re.search(r"\bno (std|division)", words) else ""
        found = mean[1] if mean else "", std[1] if std else undivided
    else:
        return entry.mean, entry.std
    try:
        mean_numbers, std_numbers = _triple(found[0]), _triple(found[1])
        if min(std_numbers) <= 0:
            raise ValueError
    except (ValueError, TypeError):
        raise WeightsError(
            f'{path}: its metadata does not tell what to do with the input; it takes "mean" and "std", '
            "each a list of 3 numbers such as [0.485, 0.456, 0.406]"
        ) from None
    return mean_numbers, std_numbers


def _triple(text: str) -> Triple:
    """Three finite numbers from a JSON list; raises ValueError or TypeError."""
    numbers: Any = json.loads(text)
    first, second, third = (float(number) for number in numbers)
    if not all(map(math.isfinite, (first, second, third))):
        raise ValueError
    return first, second, third
