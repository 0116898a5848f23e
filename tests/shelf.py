"""Files of weights, good and bad, and a server of our own that has one of them and fails in every way."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from networks import random_resnet50, random_vgg, tensors
from texsynth.features import vgg19
from texsynth.weights import download, pretrained
from texsynth.weights.catalogue import VGG19

NETWORKS = dict(pretrained.NETWORKS)
LAYERS = ("relu1_2",)
SHAPES = vgg19.keys(LAYERS)
KEYS = list(SHAPES)


def silent(_: str) -> None:
    """Say nothing."""


def saved(**options: object) -> bytes:
    """A torch state dict of the first two layers, and of a classifier that nobody reads."""
    buffer = io.BytesIO()
    torch.save({**tensors(LAYERS), "classifier.0.weight": torch.full((4, 4), torch.nan)}, buffer, **options)
    return buffer.getvalue()


CONTENT = saved()
SIZE = download.amount(len(CONTENT))


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


class Run:
    """An object whose pickle would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def damaged(path: Path, kind: str) -> None:
    """Write a file that is damaged in this way."""
    good, last = tensors(LAYERS), KEYS[-1]
    contents = {"text": b"# Weights\n", "empty": b"", "cut zip": CONTENT[:5000]}
    pickles = {"code": {**good, "extra": Run()}, "object": torch.nn.Linear(2, 2), "list": [1, 2]}
    pickles["sparse"] = {**good, last: good[last].to_sparse()}
    plain = {
        "other": {"layer.weight": torch.zeros(2)},
        "shape": {**good, last: torch.zeros(3)},
        "whole numbers": {**good, last: torch.zeros(64, dtype=torch.int32)},
        "nan": {**good, last: torch.full((64,), torch.nan)},
    }
    if kind in contents:
        path.write_bytes(contents[kind])
    elif kind in pickles:
        torch.save(pickles[kind], path)
    elif kind in plain:
        save_file(plain[kind], path)
    elif kind == "cut":
        path.write_bytes(random_vgg(path, LAYERS).read_bytes()[:5000])
    elif kind == "cut legacy":
        path.write_bytes(saved(_use_new_zipfile_serialization=False)[:5000])


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
    "sparse": "lacks relu1_2: it stops at relu1_1",
    "cut": "damaged",
    "cut zip": "damaged",
    "cut legacy": "damaged",
}


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


@pytest.fixture
def two(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:  # noqa: ARG001
    """Both networks are known, and a file of each is somewhere, under names that tell nothing."""
    monkeypatch.setattr(pretrained, "NETWORKS", {**NETWORKS, **pretrained.NETWORKS})
    vgg, resnet = random_vgg(tmp_path / "a.safetensors", LAYERS), tmp_path / "b.safetensors"
    return {"vgg19": vgg, "resnet50": random_resnet50(resnet, ("stem",))}
