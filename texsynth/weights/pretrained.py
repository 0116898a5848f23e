"""Pretrained weights: found, fetched, checked and read. Importing this loads no torch.

They are looked for in what is given (`--weights`), then in what TEXSYNTH_WEIGHTS names (each a file or a folder), then
in torch's cache, into which they are fetched. A file stands for the network whose tensors it holds: a run that needs
another one too looks on for that.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from texsynth.errors import WeightsError
from texsynth.image.files import digest
from texsynth.weights import download
from texsynth.weights.catalogue import NETWORKS as NETWORKS  # who reads weights knows the networks from here
from texsynth.weights.catalogue import Network, Triple

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[str], None]

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


def load(wanted: Mapping[str, Sequence[str]], given: Path | None, say: Say) -> dict[str, Weights]:
    """The tensors wanted of each network, from the files that are found or else fetched.

    Raises WeightsError, also where what is given is of none of these networks.
    """
    paths = {network: find(network, given) for network in wanted}
    if given is not None and not any(path and given in (path, path.parent) for path in paths.values()):
        raise WeightsError(f"--weights: {given} is of another network; {' or '.join(wanted)} is needed here")
    return {network: read(paths[network] or fetch(network, say), network, keys) for network, keys in wanted.items()}


def cached(network: str) -> Path:
    """Where torch keeps the network's file once it is downloaded."""
    return cache() / NETWORKS[network].file


def cache() -> Path:
    """The folder in which torch keeps what it downloads."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def find(network: str, given: Path | None = None) -> Path | None:
    """The file of a network: `given`, else what TEXSYNTH_WEIGHTS names, else torch's copy; None where there is none.

    A folder stands for the one file in it whose name begins with the network's. A file or folder that has another
    network in place of this one is passed over. Raises WeightsError where what was named is missing, no file of
    weights, or a folder without any.
    """
    named = os.environ.get("TEXSYNTH_WEIGHTS")
    places = {"--weights": given, "TEXSYNTH_WEIGHTS": Path(named) if named else None}
    for source, place in places.items():
        path = None if place is None else _at(place, network, source)
        if path is not None:
            return path
    return cached(network) if cached(network).is_file() else None


def _at(place: Path, network: str, source: str) -> Path | None:
    """The network's file at a place that was named; None where that is another network's."""
    if place.is_file():
        return None if _of_another(place, network) else place
    if not place.is_dir():
        raise WeightsError(f"{source}: {place} does not exist")
    found = sorted(f for f in place.iterdir() if f.suffix in SUFFIXES and f.is_file())
    files = [f for f in found if f.name.startswith(network)]
    if len(files) > 1:
        raise WeightsError(f"{source}: folder {place} has {files[0].name} and {files[1].name}; name one of these files")
    if files:
        return files[0]
    if any(f.name.startswith(tuple(NETWORKS)) for f in found):
        return None
    raise WeightsError(f"{source}: folder {place} has no {network}*.safetensors, .pth or .pt; name a file instead")


def _of_another(path: Path, network: str) -> bool:
    """Does a file hold some known network, and nothing of this one? Raises WeightsError when it is no weights file."""
    keys = _open(path).keys
    return not NETWORKS[network].layers(keys) and any(entry.layers(keys) for entry in NETWORKS.values())


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
    if entry.foreign in file.keys:
        raise WeightsError(f"{path} is no {network}: it is deeper, with {entry.foreign}; {entry.source.elsewhere}")
    if lacking := [key for key in keys if key not in file.keys]:
        layer, layers = entry.tensors[lacking[-1]].layer, entry.layers(file.keys)
        if not layers:
            raise WeightsError(f"{path} holds no {network}: it lacks {lacking[0]}; {entry.source.elsewhere}")
        remedy = "name layers up to that with --set layers=..., or give a whole file with --weights or TEXSYNTH_WEIGHTS"
        raise WeightsError(f"{path} lacks {layer}: it stops at {layers[-1]}; {remedy}")
    tensors = {key: _sound(file.take(key), entry.tensors[key].shape, f"{path}: {key}") for key in keys}
    mean, std = _convention(file.metadata, entry, path)
    return Weights(path.name, digest(path), tensors, mean, std)


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
