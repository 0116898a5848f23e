"""Weights: found, fetched from a server of our own that fails in every way, checked and read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import types
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from conftest import Texsynth
from networks import random_network, random_resnet50, random_vgg, tensors
from texsynth.cli import main
from texsynth.errors import WeightsError
from texsynth.features import resnet50, vgg19
from texsynth.image import files
from texsynth.weights import download, header, pretrained, zoo
from texsynth.weights.catalogue import VGG19

NETWORKS = dict(pretrained.NETWORKS)
LAYERS = ("relu1_2",)
SHAPES = vgg19.keys(LAYERS)
KEYS = list(SHAPES)
Refused = Callable[..., str]


def silent(_: str) -> None:
    """Say nothing."""


def saved(**options: object) -> bytes:
    """A torch state dict of the first two layers, and of a classifier that nobody reads."""
    buffer = io.BytesIO()
    torch.save({**tensors(LAYERS), "classifier.0.weight": torch.full((4, 4), torch.nan)}, buffer, **options)
    return buffer.getvalue()


CONTENT = saved()
SIZE = download.amount(len(CONTENT))


@dataclass
class Shelf:
    """What a server has, and how it misbehaves. status: of every answer, or None; cut: bytes after which it hangs up;
    ranges: does it know them? asked: the Range header of each request."""

    content: bytes = field(default=CONTENT, repr=False)
    status: int | None = None
    cut: int | None = None
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shelf]:
    """A server on this machine that the registry points to, and an empty cache."""
    has = Shelf()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            has.asked.append(asked)
            start = int(re.findall(r"\d+", asked)[0]) if asked and has.ranges else 0
            if has.status is not None or start >= len(has.content):
                self.send_error(has.status or 416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(has.content) - start))
            self.end_headers()
            self.wfile.write(has.content[start : has.cut])

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    has.url = f"http://127.0.0.1:{server.server_port}/vgg19-test.pth"
    digest = hashlib.sha256(CONTENT).hexdigest()
    entry = replace(VGG19, url=has.url, sha256=digest[:8], size=len(CONTENT))
    monkeypatch.setattr(pretrained, "NETWORKS", {"vgg19": entry})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("TEXSYNTH_WEIGHTS", raising=False)
    monkeypatch.delenv("TEXSYNTH_OFFLINE", raising=False)
    yield has
    server.shutdown()
    server.server_close()


def part() -> Path:
    cached = pretrained.cached("vgg19")
    return cached.with_name(f"{cached.name}.part")


def fails(*words: str) -> str:
    """A fetch that must fail, with these words in its one line, and leave nothing that looks whole. Gives the line."""
    with pytest.raises(WeightsError) as caught:
        pretrained.fetch("vgg19", silent)
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (*words, "--weights FILE", "TEXSYNTH_WEIGHTS")), text
    assert not pretrained.cached("vgg19").exists()
    return text


def test_a_whole_file_is_fetched_once_and_said_in_one_line(shelf: Shelf) -> None:
    said: list[str] = []
    path = pretrained.fetch("vgg19", said.append)
    assert path == pretrained.cached("vgg19")
    assert path.read_bytes() == CONTENT
    assert said == [f"fetching vgg19 weights ({SIZE}) from {shelf.url}"]
    assert pretrained.fetch("vgg19", said.append) == path
    assert len(said) == len(shelf.asked) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(shelf: Shelf, ranges: bool) -> None:
    """From where it stopped; or from the beginning, where the server knows no ranges."""
    shelf.cut, shelf.ranges = 70_000, ranges
    fails(f"stopped at 70 kB of {SIZE}", "`texsynth weights fetch vgg19` goes on there")
    assert part().read_bytes() == CONTENT[: shelf.cut]
    shelf.cut = None
    said: list[str] = []
    assert pretrained.fetch("vgg19", said.append).read_bytes() == CONTENT
    assert shelf.asked == [None, "bytes=70000-"]
    assert said[0].endswith(", going on after 70 kB")
    assert not part().exists()


def test_a_whole_part_is_not_asked_for_again(shelf: Shelf) -> None:
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT)
    assert pretrained.fetch("vgg19", silent).read_bytes() == CONTENT
    assert shelf.asked == []


@pytest.mark.parametrize(
    "beginning", [b"", b"not the same beginning", CONTENT + b"more"], ids=["end", "beginning", "length"]
)
def test_a_damaged_file_is_removed(shelf: Shelf, beginning: bytes) -> None:
    if beginning:
        part().parent.mkdir(parents=True)
        part().write_bytes(beginning)
    else:
        shelf.content = CONTENT[:-1] + b"?"
    fails("arrived damaged", "SHA-256 begins", "tries again")
    assert not part().exists()
    shelf.content = CONTENT
    assert pretrained.fetch("vgg19", silent).read_bytes() == CONTENT


def test_a_part_that_the_server_cannot_go_on_from_is_removed(shelf: Shelf) -> None:
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT[:-1])
    shelf.content = CONTENT[:5]
    fails("the server says 416")
    assert not part().exists()


def test_another_file_of_that_name_is_refused_and_keeps_the_part(shelf: Shelf) -> None:
    """As a login page of a network would be."""
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT[:50])
    shelf.content, shelf.ranges = b"<html>Log in</html>", False
    fails("the server sends 19 bytes", f"not {len(CONTENT)}")
    assert part().read_bytes() == CONTENT[:50]


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (503, "503 Service Unavailable")])
def test_what_the_server_says_is_told(shelf: Shelf, status: int, words: str) -> None:
    shelf.status = status
    fails(shelf.url, words)


def test_no_server_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = replace(pretrained.NETWORKS["vgg19"], url="http://127.0.0.1:1/vgg19-test.pth")
    monkeypatch.setattr(pretrained, "NETWORKS", {"vgg19": nowhere})
    fails("no answer from http://127.0.0.1:1/vgg19-test.pth", "refused")
    assert shelf.asked == []


def test_offline_means_offline(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "1")
    fails("TEXSYNTH_OFFLINE")
    assert shelf.asked == []
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "0")
    assert pretrained.fetch("vgg19", silent).is_file()


def test_a_full_disk_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000))
    fails(f"no room for {SIZE}")
    assert shelf.asked == []

    def full(*_: object) -> Iterator[bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40))
    monkeypatch.setattr(download, "blocks", full)
    fails("cannot be written: No space left on device")


def test_a_cache_that_cannot_be_made_is_told(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "torch").write_text("a file where the folder would be", "utf-8")
    fails("cannot be written")
    assert shelf.asked == []


@pytest.mark.usefixtures("shelf")
def test_what_is_given_comes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pretrained.find("vgg19") is None
    cached = pretrained.fetch("vgg19", silent)
    assert pretrained.find("vgg19") == cached
    folder = tmp_path / "folder"
    folder.mkdir()
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


@pytest.fixture
def two(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:  # noqa: ARG001
    """Both networks are known, and a file of each is somewhere, under names that tell nothing."""
    monkeypatch.setattr(pretrained, "NETWORKS", {**NETWORKS, **pretrained.NETWORKS})
    made = {"vgg19": tmp_path / "a.safetensors", "resnet50": tmp_path / "b.safetensors"}
    random_vgg(made["vgg19"], LAYERS)
    random_resnet50(made["resnet50"], ("stem",))
    return made


WANTED = {"vgg19": SHAPES, "resnet50": resnet50.keys(["stem"])}


@pytest.mark.parametrize("given", ["vgg19", "resnet50"])
def test_a_file_stands_for_the_network_that_it_holds(
    given: str, two: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is looked for in the next place: in what the environment names, or else in torch's cache."""
    (other,) = set(two) - {given}
    assert (pretrained.find(given, two[given]), pretrained.find(other, two[given])) == (two[given], None)
    pretrained.cached(other).parent.mkdir(parents=True)
    shutil.copy(two[other], pretrained.cached(other))
    assert pretrained.find(other, two[given]) == pretrained.cached(other)
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two[other]))
    loaded = pretrained.load(WANTED, two[given], silent)
    assert {name: read.name for name, read in loaded.items()} == {name: path.name for name, path in two.items()}


def test_a_folder_has_a_file_of_each_network(two: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(two["vgg19"], folder / "vgg19.safetensors")
    assert pretrained.find("resnet50", folder) is None
    shutil.copy(two["resnet50"], folder / "resnet50.safetensors")
    assert {name: pretrained.find(name, folder) for name in two} == {n: folder / f"{n}.safetensors" for n in two}


@pytest.mark.parametrize(("given", "wanted"), [("vgg19", "resnet50"), ("resnet50", "vgg19")])
@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_serves_nothing_is_refused(
    given: str, wanted: str, place: str, two: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the network is to be had elsewhere."""
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two[wanted]))
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(two[given], folder / f"{given}.safetensors")
    named = two[given] if place == "file" else folder
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


class Plain(pickle.Pickler):
    """Tensors as torch wrote them in 2017, when torchvision's VGG files were made."""

    def reducer_override(self, item: object) -> object:
        if not isinstance(item, torch.Tensor):
            return NotImplemented
        where = item._typed_storage(), item.storage_offset(), tuple(item.size()), item.stride()
        return torch._utils._rebuild_tensor, where


def old() -> bytes:
    writer = types.SimpleNamespace(
        __name__="old", Pickler=Plain, dump=lambda item, file, protocol: Plain(file, protocol).dump(item)
    )
    return saved(_use_new_zipfile_serialization=False, pickle_module=writer)


@pytest.mark.parametrize(
    "content", [CONTENT, saved(_use_new_zipfile_serialization=False), old()], ids=["zip", "legacy", "2017"]
)
def test_a_torch_state_dict_is_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vgg19.pth"
    path.write_bytes(content)
    read = pretrained.read(path, "vgg19", SHAPES)
    assert read.name == path.name
    assert read.sha256 == hashlib.sha256(content).hexdigest()
    assert (read.mean, read.std) == (VGG19.mean, VGG19.std)
    assert list(read.tensors) == KEYS
    assert all(torch.equal(read.tensors[key], tensor) for key, tensor in tensors(LAYERS).items())


@pytest.mark.parametrize(
    "content", [CONTENT, saved(_use_new_zipfile_serialization=False), old()], ids=["zip", "legacy", "2017"]
)
def test_keys_are_read_without_torch(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    assert header.keys(tmp_path / "a.pth") == {*KEYS, "classifier.0.weight"}
    assert header.keys(random_vgg(tmp_path / "a.safetensors", LAYERS)) == set(KEYS)


def test_only_what_is_needed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    path = random_vgg(tmp_path / "vgg19.safetensors", ("relu2_1",))
    honest = pretrained.opened

    def watched(path: Path) -> object:
        file = honest(path)
        return replace(file, take=lambda key: [taken.append(key), file.take(key)][1])

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
    made = tensors(["relu2_2"])
    del made["features.5.bias"]
    save_file(made, tmp_path / "vgg19.safetensors")
    assert pretrained.held(tmp_path / "vgg19.safetensors", "vgg19") == ("relu1_1", "relu1_2")


class Run:
    """An object whose pickle would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def damaged(path: Path, kind: str) -> None:
    good = tensors(LAYERS)
    if kind == "text":
        path.write_text("# Weights\n", "utf-8")
    elif kind == "code":
        torch.save({**good, "extra": Run()}, path)
    elif kind == "object":
        torch.save(torch.nn.Linear(2, 2), path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "other":
        save_file({"layer.weight": torch.zeros(2)}, path)
    elif kind == "shape":
        save_file({**good, KEYS[-1]: torch.zeros(3)}, path)
    elif kind == "whole numbers":
        save_file({**good, KEYS[-1]: torch.zeros(64, dtype=torch.int32)}, path)
    elif kind == "nan":
        save_file({**good, KEYS[-1]: torch.full((64,), torch.nan)}, path)
    elif kind == "cut":
        path.write_bytes(random_vgg(path, LAYERS).read_bytes()[:5000])
    elif kind == "cut zip":
        path.write_bytes(CONTENT[:5000])
    elif kind == "cut legacy":
        path.write_bytes(saved(_use_new_zipfile_serialization=False)[:5000])
    elif kind == "empty":
        path.write_bytes(b"")


DAMAGE = {
    "text": "is no weights file",
    "empty": "is no weights file",
    "code": "pickled code, which is not run",
    "object": "pickled code, which is not run",
    "list": "holds no vgg19",
    "other": "holds no vgg19: it lacks features.0.weight",
    "shape": r"features.2.bias is \[3\] of float32, not \[64\]",
    "whole numbers": r"features.2.bias is \[64\] of int32, not \[64\] of numbers",
    "nan": "features.2.bias holds values that are not finite",
    "cut": "damaged",
    "cut zip": "damaged",
    "cut legacy": "damaged",
}


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


# Through the command line


def test_list_says_what_is_here(shelf: Shelf, texsynth: Texsynth) -> None:
    before = texsynth("weights", "list")
    assert before.code == 0
    assert "not here" in before.out and shelf.url in before.out and SIZE in before.out
    path = pretrained.fetch("vgg19", silent)
    assert f"{path} (relu1_1 to relu1_2)" in texsynth("weights", "list").out
    (told,) = json.loads(texsynth("weights", "list", "--json").out)["networks"]
    assert (told["name"], told["file"], told["problem"]) == ("vgg19", str(path), None)
    assert told["layers"] == ["relu1_1", "relu1_2"]
    assert told["size"] == len(CONTENT)


@pytest.mark.parametrize("kind", ["missing", "text", "other"])
def test_list_says_what_is_wrong(
    kind: str, texsynth: Texsynth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(tmp_path / "w.pth", kind)
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", "w.pth")
    ran = texsynth("weights", "list")
    words = {"missing": "w.pth does not exist", "text": "w.pth is no weights file", "other": "none of its layers"}
    assert ran.code == 0 and ran.out.count(words[kind]) == len(NETWORKS)
    told = json.loads(texsynth("weights", "list", "--json").out)["networks"]
    assert [(entry["name"], entry["layers"]) for entry in told] == [("resnet50", []), ("vgg19", [])]


def test_list_has_each_file_at_its_network(
    texsynth: Texsynth, two: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two["vgg19"]))
    told = json.loads(texsynth("weights", "list", "--json").out)["networks"]
    assert {entry["name"]: entry["file"] for entry in told} == {"vgg19": str(two["vgg19"]), "resnet50": None}
    assert all(entry["problem"] is None for entry in told)


def test_list_needs_neither_torch_nor_torchvision(tmp_path: Path) -> None:
    """Even to tell the layers of files, of both kinds."""
    random_resnet50(tmp_path / "resnet50.safetensors", ("stem",))
    (tmp_path / "vgg19.pth").write_bytes(CONTENT)
    code = (
        "import sys\nsys.modules.update(torch=None, torchvision=None)\n"
        "from texsynth.cli import main\nsys.exit(main(['weights', 'list', '--json']))"
    )
    env = {**os.environ, "TEXSYNTH_WEIGHTS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["networks"]
    assert {row["name"]: row["layers"] for row in rows} == {"resnet50": ["stem"], "vgg19": ["relu1_1", "relu1_2"]}


@pytest.mark.parametrize("chosen", [{"TORCH_HOME": "here"}, {"XDG_CACHE_HOME": "here"}, {}])
def test_the_cache_is_where_torch_has_it(chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with_torch = pretrained.cache()
    monkeypatch.delitem(sys.modules, "torch")
    assert pretrained.cache() == with_torch


def test_any_network_of_torchvision_is_fetched(
    shelf: Shelf, texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torchvision tells of its size is rounded; the server has the last word."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    true = zoo.entry("convnext_tiny")
    entry = replace(true, url=shelf.url, sha256=digest[:8], size=len(CONTENT) + 500, tolerance=1000)
    monkeypatch.setattr(zoo, "entry", lambda name: {"convnext_tiny": entry}[name])
    shelf.cut = 70_000
    assert f"stopped at 70 kB of {SIZE}" in texsynth("weights", "fetch", "convnext_tiny").err
    shelf.cut = None
    ran = texsynth("weights", "fetch", "convnext_tiny")
    assert (ran.code, ran.out) == (0, f"{pretrained.cached('convnext_tiny')}\n")
    assert ran.err.startswith("fetching convnext_tiny weights (") and f" from {shelf.url}, going on after" in ran.err
    assert "as published" in texsynth("weights", "verify", "convnext_tiny").out


def test_verify_reads_a_file_of_another_network(
    texsynth: Texsynth, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = random_network("torchvision:squeezenet1_1", tmp_path / "squeezenet1_1.safetensors", ["classifier"])
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(tmp_path))
    assert f"{path}: squeezenet1_1, all, finite" in texsynth("weights", "verify", "squeezenet1_1").out
    assert "squeezenet1_0" in refused(5, "weights", "verify", "squeezenet1_0")


def test_fetch_prints_where_it_is(shelf: Shelf, texsynth: Texsynth) -> None:
    first, again = (texsynth("weights", "fetch", "vgg19") for _ in range(2))
    assert first.out == again.out == f"{pretrained.cached('vgg19')}\n"
    assert first.err.startswith(f"fetching vgg19 weights ({SIZE}) from {shelf.url}")
    assert first.err.count("\n") == 1
    assert again.err == "vgg19 weights are here already\n"
    assert len(shelf.asked) == 1


@pytest.mark.parametrize(
    "trouble", [{"status": 404}, {"cut": 100}, {"content": CONTENT[:-1] + b"?"}], ids=["missing", "cut", "damaged"]
)
def test_a_fetch_that_fails_is_exit_code_5(shelf: Shelf, texsynth: Texsynth, trouble: dict[str, object]) -> None:
    for name, value in trouble.items():
        setattr(shelf, name, value)
    ran = texsynth("weights", "fetch", "vgg19")
    assert (ran.code, ran.out) == (5, "")
    notice, error = ran.err.splitlines()
    assert notice.startswith("fetching vgg19")
    assert error.startswith("texsynth: error: ") and "--weights FILE" in error


def test_a_network_that_is_not_known_is_exit_code_2(refused: Refused) -> None:
    assert "did you mean vgg19?" in refused(2, "weights", "fetch", "vgg91")


@pytest.mark.usefixtures("shelf")
def test_verify_knows_a_fetched_file_by_its_hash(texsynth: Texsynth, refused: Refused) -> None:
    assert "`texsynth weights fetch vgg19`" in refused(5, "weights", "verify")
    path = pretrained.fetch("vgg19", silent)
    for words in ((), ("vgg19",)):
        assert "as published" in texsynth("weights", "verify", *words).out
    path.write_bytes(CONTENT[:-1] + b"?")
    assert "delete it, and `texsynth weights fetch vgg19`" in refused(5, "weights", "verify", "vgg19")


def test_verify_looks_at_the_networks_that_are_here(
    texsynth: Texsynth, refused: Refused, two: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused(5, "weights", "verify")
    assert "resnet50 and vgg19 weights are not here" in said and "`texsynth weights fetch resnet50` or" in said
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(two["vgg19"]))
    (line,) = texsynth("weights", "verify").out.splitlines()
    assert "vgg19, relu1_1 to relu1_2, finite" in line
    assert "`texsynth weights fetch resnet50`" in refused(5, "weights", "verify", "resnet50")
    assert "resnet50, stem, finite" in texsynth("weights", "verify", two["resnet50"]).out


def test_verify_reads_any_other_file(
    texsynth: Texsynth, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    path = random_vgg(tmp_path / "mine.safetensors", LAYERS)
    ran = texsynth("weights", "verify", path)
    assert ran.code == 0
    assert "vgg19, relu1_1 to relu1_2, finite" in ran.out and files.digest(path) in ran.out
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(path))
    assert texsynth("weights", "verify").out == ran.out
    assert "no file, nor one of the networks resnet50, vgg19" in refused(5, "weights", "verify", "nothing.pth")
    for kind, words in (
        ("text", "no weights file"),
        ("nan", "not finite"),
        ("other", "none of the networks resnet50, vgg19"),
    ):
        damaged(path, kind)
        assert words in refused(5, "weights", "verify", path)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("list", "fetch", "verify"))
