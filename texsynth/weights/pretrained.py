"""Pretrained weights: found, fetched, checked and read. Importing this loads no torch.

They are looked for in what `--weights` names, then in what TEXSYNTH_WEIGHTS names (each a file or a folder), then in
torch's cache, into which they are fetched. A file stands for the network whose tensors it holds: a run that needs
another one too looks on for that.
"""

from __future__ import annotations

import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from texsynth.errors import WeightsError
from texsynth.foreign import json_text, regular
from texsynth.image.files import digest
from texsynth.weights import download, header, zoo
from texsynth.weights.catalogue import NETWORKS as NETWORKS  # who reads weights knows the networks from here
from texsynth.weights.catalogue import Network, Triple

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[str], None]
Shapes = Mapping[str, tuple[int, ...]]  # of tensors, by their keys in the file

SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class Weights:
    """A network's weights as read from one file.

    name, sha256: the name and the hash of the file, for the record.
    tensors: float32, by torchvision's keys ("features.0.weight").
    mean, std: what is subtracted from RGB in [0, 1], and what the difference is divided by.
    """

    name: str
    sha256: str
    tensors: Mapping[str, Tensor]
    mean: Triple
    std: Triple


@dataclass(frozen=True)
class Fetching:
    """What becomes of networks whose weights are not here.

    say: is told of every download; whoever silences all else must not silence it.
    planned: Is nothing fetched, as nothing is run?
    refusal: Why nothing may be fetched; "" where it may.
    """

    say: Say
    planned: bool = False
    refusal: str = ""


def entry(network: str) -> Network:
    """The network of that name, of the catalogue or of torchvision; raises UsageError for a name that is neither."""
    return NETWORKS.get(network) or zoo.entry(network)


def load(wanted: Mapping[str, Shapes], named: Path | None, say: Say, fetched: bool = True) -> dict[str, Weights]:
    """The tensors of these shapes of each network, from files that are here or else fetched, or left out if so asked.

    Raises WeightsError, also where the file or folder of `--weights`, `named`, is of none of these networks.
    """
    paths = {network: find(network, named, tuple(wanted)) for network in wanted}
    if named is not None and not any(path and named in (path, path.parent) for path in paths.values()):
        raise WeightsError(f"--weights: {named} is of another network; {' or '.join(wanted)} is needed here")
    files = {network: path or (fetch(network, say) if fetched else None) for network, path in paths.items()}
    return {network: read(path, network, wanted[network]) for network, path in files.items() if path is not None}


def refuse(networks: Collection[str], why: str) -> WeightsError:
    """The error to raise for networks that are not here and may not be fetched."""
    remedies = " and ".join(f"`texsynth weights fetch {name}`" for name in networks)
    return WeightsError(f"{' and '.join(networks)} weights are not here, and {why}; use {remedies}, or --weights FILE")


def plan(networks: Collection[str]) -> list[dict[str, Any]]:
    """What would be fetched for networks that are not here, as plain values."""
    entries = [entry(network) for network in networks]
    return [{"name": each.name, "size": each.size, "url": each.url} for each in entries]


def cached(network: str) -> Path:
    """Where torch keeps the network's file once it is downloaded."""
    return cache() / entry(network).file


def cache() -> Path:
    """The folder in which torch keeps what it downloads, worked out as torch does where that is not loaded."""
    if "torch" in sys.modules:  # a program may have chosen another folder
        hub: Any = sys.modules["torch"].hub
        return Path(hub.get_dir()) / "checkpoints"
    base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(base, "torch"))  # noqa: PTH118 (as torch, of an empty base too)
    return Path(home).expanduser() / "hub" / "checkpoints"


def find(network: str, named: Path | None = None, others: Sequence[str] = ()) -> Path | None:
    """The file of a network in `named`, else in what TEXSYNTH_WEIGHTS names, else torch's copy; None if there is none.

    A folder stands for the one file in it whose name begins with the network's. A file or folder that has another
    network instead, of the catalogue or of `others`, is passed over. Raises WeightsError where a place that was named
    is missing, no file of weights, or a folder without any.
    """
    variable = os.environ.get("TEXSYNTH_WEIGHTS")
    places = {"--weights": named, "TEXSYNTH_WEIGHTS": Path(variable) if variable else None}
    for source, place in places.items():
        path = None if place is None else _at(place, network, source, others)
        if path is not None:
            return path
    return cached(network) if cached(network).is_file() else None


def _at(place: Path, network: str, source: str, others: Sequence[str]) -> Path | None:
    """The network's file at a place that was named; None where that is another network's."""
    if place.is_file():
        return None if _of_another(place, network, others) else place
    if not place.is_dir():
        raise WeightsError(f"{source}: {place} does not exist")
    present = sorted(f for f in place.iterdir() if f.suffix in SUFFIXES and f.is_file())
    files = [f for f in present if f.name.startswith(network)]
    if len(files) > 1:
        raise WeightsError(f"{source}: folder {place} has {files[0].name} and {files[1].name}; name one of these files")
    if files:
        return files[0]
    if any(f.name.startswith((*NETWORKS, *others)) for f in present):
        return None
    raise WeightsError(f"{source}: folder {place} has no {network}*.safetensors, .pth or .pt; name a file instead")


def _of_another(path: Path, network: str, others: Sequence[str]) -> bool:
    """Does a file hold another network whole and this one not, or a part of another one and nothing of this one?"""
    keys = header.keys(path)
    layers = {name: entry(name).held(keys) for name in (network, *NETWORKS, *others)}
    whole = {name for name, held_layers in layers.items() if len(held_layers) == len(entry(name).layers)}
    return network not in whole and bool(whole or (not layers[network] and any(layers.values())))


def fetch(network: str, say: Say) -> Path:
    """Download a network into torch's cache, unless it is there already; returns its path. Raises WeightsError."""
    target = cached(network)
    if not target.is_file():
        download.fetch(entry(network), target, say)
    return target


def held(path: Path, network: str) -> tuple[str, ...]:
    """The layers of a network that a file holds, shallow to deep; raises WeightsError when it is no weights file."""
    return entry(network).held(header.keys(path))


def read(path: Path, network: str, shapes: Shapes) -> Weights:
    """The tensors of these shapes, in float32. No other tensor is loaded, and no pickled code is run.

    Raises WeightsError when the file is no weights file, lacks a tensor, or has one of another shape or not finite.
    """
    about, (keys, take, metadata) = entry(network), opened(path)
    if about.foreign in keys:
        raise WeightsError(f"{path} is no {network}: it is deeper, with {about.foreign}; {about.elsewhere}")
    if lacking := [key for key in shapes if key not in keys]:
        layers = about.held(keys)
        if not layers:
            raise WeightsError(f"{path} holds no {network}: it lacks {lacking[0]}; {about.elsewhere}")
        remedy = "name layers up to that with --set layers=..., or give a whole file with --weights or TEXSYNTH_WEIGHTS"
        raise WeightsError(f"{path} lacks {about.layer_of(lacking[-1])}: it stops at {layers[-1]}; {remedy}")
    tensors = {key: _sound(take(key), shape, f"{path}: {key}") for key, shape in shapes.items()}
    mean, std = _convention(metadata, about, path)
    return Weights(path.name, digest(path), tensors, mean, std)


def opened(path: Path) -> tuple[Collection[str], Callable[[str], Tensor], Mapping[str, str]]:
    """The keys of the tensors of any weights file, the function that reads one, and the file's metadata.

    Tensors stay on disk where the format allows that. Raises WeightsError.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    form = header.form_of(path)
    try:
        if form == "safetensors":
            file: Any = safe_open(path, "pt")
            return frozenset(file.keys()), file.get_tensor, file.metadata() or {}
        if form == "zip":
            with regular.opened(path) as stream:
                header.check_zip(stream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles, which are refused below
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=form == "zip")
    except (SafetensorError, *header.DAMAGE) as error:
        raise header.refusal(path, error) from None
    state = state if isinstance(state, Mapping) else {}
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor) and header.is_plain(value)}
    return tensors.keys(), tensors.__getitem__, {}


def _sound(tensor: Tensor, shape: tuple[int, ...], where: str) -> Tensor:
    """The tensor as float32 in memory of its own; raises WeightsError for another shape and for NaN or infinity."""
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        actual = f"{list(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
        raise WeightsError(f"{where} is {actual}, not {list(shape)} of numbers; this is another network's file")
    if not tensor.isfinite().all():
        raise WeightsError(f"{where} holds values that are not finite; fetch or save the file again")
    return tensor.detach().float().clone()


def _convention(metadata: Mapping[str, str], about: Network, path: Path) -> tuple[Triple, Triple]:
    """Mean and std of the input: as lists "mean" and "std", or in words as "input"; else the network's own."""
    if "mean" in metadata or "std" in metadata:
        texts = metadata.get("mean", ""), metadata.get("std", "")
    elif words := metadata.get("input"):
        mean, std = (re.search(rf"RGB in \[0, ?1\].*\b{name} (\[[^]]*\])", words) for name in ("mean", "std"))
        undivided = "[1, 1, 1]" if re.search(r"\bno (std|division)", words) else ""
        texts = mean[1] if mean else "", std[1] if std else undivided
    else:
        return about.mean, about.std
    try:
        mean_numbers, std_numbers = _triple(texts[0]), _triple(texts[1])
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
    numbers: Any = json_text.load(text)
    first, second, third = (float(number) for number in numbers)
    if not all(map(math.isfinite, (first, second, third))):
        raise ValueError
    return first, second, third
