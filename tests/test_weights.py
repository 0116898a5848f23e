"""Weights: found, checked and read."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from networks import random_network, random_vgg, tensors
from shelf import CONTENT, DAMAGE, KEYS, LAYERS, SHAPES, Shelf, damaged, old, saved, silent
from texsynth.errors import WeightsError
from texsynth.features import features, resnet50, vgg19
from texsynth.image import files
from texsynth.weights import header, pretrained
from texsynth.weights.catalogue import VGG19

WANTED = {"vgg19": SHAPES, "resnet50": resnet50.keys(["stem"])}
FORMS = {"zip": CONTENT, "legacy": saved(_use_new_zipfile_serialization=False), "2017": old()}
forms = pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


@pytest.mark.usefixtures("shelf")
def test_what_is_given_comes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pretrained.find("vgg19") is None
    cached = pretrained.fetch("vgg19", silent)
    assert pretrained.find("vgg19") == cached
    (folder / "README.md").write_text("not this", "utf-8")
    named = random_vgg(folder / "vgg19_mine.safetensors", LAYERS)
    for place in (named, folder):
        monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(place))
        assert pretrained.find("vgg19") == named
    other = random_vgg(tmp_path / "other.safetensors", LAYERS)
    assert pretrained.find("vgg19", other) == other
    assert pretrained.load({"vgg19": SHAPES}, other, silent)["vgg19"].name == "other.safetensors"


def test_a_place_without_weights_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is taken silently in place of what was named."""
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match=r"TEXSYNTH_WEIGHTS: .*nowhere does not exist"):
        pretrained.find("vgg19")
    with pytest.raises(WeightsError, match=r"--weights: folder .* has no vgg19\*\.safetensors"):
        pretrained.find("vgg19", tmp_path)
    for name in ("vgg19_a.pth", "vgg19_b.pt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=r"has vgg19_a\.pth and vgg19_b\.pt; name one"):
        pretrained.find("vgg19", tmp_path)


@pytest.mark.parametrize("network", ["vgg19", "resnet50"])
def test_a_file_stands_for_the_network_that_it_holds(
    network: str, two: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is looked for in the next place: in what the environment names, or else in torch's cache."""
    (other,) = set(two) - {network}
    assert (pretrained.find(network, two[network]), pretrained.find(other, two[network])) == (two[network], None)
    pretrained.cached(other).parent.mkdir(parents=True)
    shutil.copy(two[other], pretrained.cached(other))
    assert pretrained.find(other, two[network]) == pretrained.cached(other)
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two[other]))
    loaded = pretrained.load(WANTED, two[network], silent)
    assert {name: read.name for name, read in loaded.items()} == {name: path.name for name, path in two.items()}


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_file_of_another_network_of_torchvision_is_passed_over(
    place: str, two: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = random_network("torchvision:squeezenet1_1", folder / "squeezenet1_1.safetensors", ["classifier"])
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two["vgg19"]))
    wanted = {"vgg19": SHAPES, "squeezenet1_1": features("torchvision:squeezenet1_1").keys(["features.3"])}
    loaded = pretrained.load(wanted, file if place == "file" else folder, silent)
    files = {"vgg19": two["vgg19"].name, "squeezenet1_1": file.name}
    assert {name: read.name for name, read in loaded.items()} == files


def test_a_folder_has_a_file_of_each_network(two: dict[str, Path], folder: Path) -> None:
    shutil.copy(two["vgg19"], folder / "vgg19.safetensors")
    assert pretrained.find("resnet50", folder) is None
    shutil.copy(two["resnet50"], folder / "resnet50.safetensors")
    assert {name: pretrained.find(name, folder) for name in two} == {n: folder / f"{n}.safetensors" for n in two}


@pytest.mark.parametrize(("named_network", "wanted"), [("vgg19", "resnet50"), ("resnet50", "vgg19")])
@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_serves_nothing_is_refused(
    named_network: str, wanted: str, place: str, two: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the network is to be had elsewhere."""
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two[wanted]))
    shutil.copy(two[named_network], folder / f"{named_network}.safetensors")
    named = two[named_network] if place == "file" else folder
    with pytest.raises(WeightsError, match=rf"--weights: .* is of another network; {wanted} is needed here") as caught:
        pretrained.load({wanted: WANTED[wanted]}, named, silent)
    assert "\n" not in str(caught.value)


def test_the_network_that_is_still_missing_is_told(two: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "1")
    with pytest.raises(WeightsError, match="resnet50 weights are not here, and TEXSYNTH_OFFLINE is set") as caught:
        pretrained.load(WANTED, two["vgg19"], silent)
    assert "\n" not in str(caught.value)


def test_a_deeper_network_of_the_family_is_refused(tmp_path: Path) -> None:
    """A ResNet-101 has all that a ResNet-50 has, and in its third layer more."""
    tensors_ = {key: torch.zeros(1) for key in (*resnet50.keys(["logits"]), "layer3.6.conv1.weight")}
    save_file(tensors_, tmp_path / "resnet50.safetensors")
    assert pretrained.held(tmp_path / "resnet50.safetensors", "resnet50") == ()
    with pytest.raises(WeightsError, match=r"is no resnet50: it is deeper, with layer3\.6\.conv1\.weight"):
        pretrained.read(tmp_path / "resnet50.safetensors", "resnet50", WANTED["resnet50"])


@pytest.mark.parametrize("chosen", [{"TORCH_HOME": "here"}, {"XDG_CACHE_HOME": "here"}, {}])
def test_the_cache_is_where_torch_has_it(chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with_torch = pretrained.cache()
    monkeypatch.delitem(sys.modules, "torch")
    assert pretrained.cache() == with_torch


@forms
def test_a_torch_state_dict_is_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vgg19.pth"
    path.write_bytes(content)
    read = pretrained.read(path, "vgg19", SHAPES)
    assert read.name == path.name
    assert read.sha256 == hashlib.sha256(content).hexdigest()
    assert (read.mean, read.std) == (VGG19.mean, VGG19.std)
    assert list(read.tensors) == KEYS
    assert all(torch.equal(read.tensors[key], tensor) for key, tensor in tensors(LAYERS).items())


@forms
def test_keys_are_read_without_torch(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    assert header.keys(tmp_path / "a.pth") == {*KEYS, "classifier.0.weight"}
    assert header.keys(random_vgg(tmp_path / "a.safetensors", LAYERS)) == set(KEYS)


def test_only_what_is_needed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    path = random_vgg(tmp_path / "vgg19.safetensors", ("relu2_1",))
    honest = pretrained.opened

    def watched(path: Path) -> object:
        keys, take, metadata = honest(path)
        return keys, lambda key: [taken.append(key), take(key)][1], metadata

    monkeypatch.setattr(pretrained, "opened", watched)
    read = pretrained.read(path, "vgg19", SHAPES)
    assert taken == list(read.tensors) == KEYS


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "vgg19.safetensors"
    save_file({key: tensor.half() for key, tensor in tensors(LAYERS).items()}, path)
    read = pretrained.read(path, "vgg19", SHAPES).tensors
    assert all(torch.equal(read[key], tensor.half().float()) for key, tensor in tensors(LAYERS).items())


OXFORD = "RGB in [0,1], subtract mean [0.48502,0.457957,0.407604], no std division"


@pytest.mark.parametrize(
    ("metadata", "mean", "std"),
    [
        ({}, VGG19.mean, VGG19.std),
        ({"origin": "somewhere"}, VGG19.mean, VGG19.std),
        ({"mean": "[0.5, 0.4, 0.3]", "std": "[1, 2, 3]"}, (0.5, 0.4, 0.3), (1, 2, 3)),
        ({"mean": "[0, 0, 0]", "std": "[1, 1, 1]", "input": "anything"}, (0, 0, 0), (1, 1, 1)),
        ({"input": OXFORD}, (0.48502, 0.457957, 0.407604), (1, 1, 1)),
        ({"input": "RGB in [0, 1], mean [0.5,0.5,0.5], std [0.2,0.2,0.2]"}, (0.5,) * 3, (0.2,) * 3),
    ],
)
def test_the_file_says_what_goes_in(
    metadata: dict[str, str], mean: tuple[float, ...], std: tuple[float, ...], tmp_path: Path
) -> None:
    read = pretrained.read(random_vgg(tmp_path / "vgg19.safetensors", LAYERS, metadata=metadata), "vgg19", SHAPES)
    assert (read.mean, read.std) == (mean, std)


@pytest.mark.parametrize(
    "metadata",
    [
        {"mean": "[0.5, 0.4, 0.3]"},
        {"mean": "[0.5, 0.4]", "std": "[1, 1, 1]"},
        {"mean": "[0.5, 0.4, 0.3]", "std": "[1, 0, 1]"},
        {"mean": "[0.5, 0.4, NaN]", "std": "[1, 1, 1]"},
        {"mean": "0.5", "std": "[1, 1, 1]"},
        {"input": "RGB in [0,1], subtract mean [0.5,0.4,0.3]"},
        {"input": "BGR in [0,255], subtract mean [103.9,116.8,123.7], no std division"},
    ],
    ids=lambda metadata: next(iter(metadata.values())),
)
def test_an_input_that_is_not_understood_is_refused(metadata: dict[str, str], tmp_path: Path) -> None:
    path = random_vgg(tmp_path / "vgg19.safetensors", LAYERS, metadata=metadata)
    with pytest.raises(WeightsError, match="does not tell what to do with the input"):
        pretrained.read(path, "vgg19", SHAPES)


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    """The deepest that was asked for, where the file stops, and what to do."""
    path = random_vgg(tmp_path / "vgg19.safetensors", ("relu2_2",))
    assert pretrained.held(path, "vgg19") == ("relu1_1", "relu1_2", "relu2_1", "relu2_2")
    with pytest.raises(WeightsError) as caught:
        pretrained.read(path, "vgg19", vgg19.keys(["relu1_1", "relu4_1"]))
    for words in ("lacks relu4_1", "stops at relu2_2", "--set layers=", "--weights", "TEXSYNTH_WEIGHTS"):
        assert words in str(caught.value)


def test_a_layer_behind_a_gap_does_not_count(tmp_path: Path) -> None:
    gap = tensors(["relu2_2"])
    del gap["features.5.bias"]
    save_file(gap, tmp_path / "vgg19.safetensors")
    assert pretrained.held(tmp_path / "vgg19.safetensors", "vgg19") == ("relu1_1", "relu1_2")


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_bad_file_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "vgg19.file"
    damaged(path, kind)
    with pytest.raises(WeightsError, match=DAMAGE[kind]) as caught:
        pretrained.read(path, "vgg19", SHAPES)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["text", "empty", "code", "cut", "cut zip"])
def test_the_keys_of_a_bad_file_are_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    damaged(tmp_path / "vgg19.file", kind)
    with pytest.raises(WeightsError, match=DAMAGE[kind]):
        header.keys(tmp_path / "vgg19.file")
    assert not (tmp_path / "ran").exists()


def test_loading_finds_fetches_and_reads(shelf: Shelf) -> None:
    said: list[str] = []
    first = pretrained.load({"vgg19": SHAPES}, None, said.append)["vgg19"]
    again = pretrained.load({"vgg19": SHAPES}, None, said.append)["vgg19"]
    assert len(said) == len(shelf.asked) == 1
    assert first.sha256 == again.sha256
    assert all(torch.equal(first.tensors[key], tensor) for key, tensor in tensors(LAYERS).items())


def test_the_registry_is_complete() -> None:
    """A name begins the file's, whose hexadecimal is the hash; layers run from shallow to deep."""
    for name, entry in pretrained.NETWORKS.items():
        assert entry.name == name
        assert entry.file.startswith(name) and entry.sha256 in entry.file
        assert entry.held([key for keys in entry.layers.values() for key in keys]) == tuple(entry.layers)
        assert entry.held([]) == ()
    assert VGG19.held(vgg19.keys(["relu5_4"])) == tuple(name for name in vgg19.LAYERS if "relu" in name)
    assert pretrained.NETWORKS["resnet50"].held(resnet50.keys(["logits"])) == resnet50.LAYERS


def test_a_digest_is_the_sha256_of_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK", 4)
    (tmp_path / "a").write_bytes(b"more than one block")
    assert files.digest(tmp_path / "a") == hashlib.sha256(b"more than one block").hexdigest()
