"""Models and checkpoints of others: whatever is wrong with them is exit 5 and one line, and nothing is left behind."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from conftest import Refused, Texsynth

pytestmark = pytest.mark.usefixtures("exemplar")
MODEL = ("synthesize", "a.png", "--model", "m.safetensors", "-o", "o.png")
EASY = ("train", "easy", "a.png", "-o", "m.safetensors")
GUIDE = {"name": "labels", "distance": "l0", "palette": [[0, 0, 0]]}
BAD_MODELS: dict[str, dict[str, Any]] = {
    "a recipe that is none": {"recipe": ["easy"]},
    "an unknown recipe": {"recipe": "\x1b[31m" * 999},
    "settings that are none": {"settings": [1]},
    "an unknown setting": {"settings": {"x": 1}},
    "a setting of another type": {"settings": {"steps": [[1]]}},
    "facts that are none": {"facts": 3},
    "maps that are none": {"facts": {"guides": 3}},
    "a map of no kind": {"facts": {"guides": [{**GUIDE, "name": "x"}]}},
    "a map with another distance": {"facts": {"guides": [{**GUIDE, "distance": "l2"}]}},
    "colours that are none": {"facts": {"guides": [{**GUIDE, "palette": [[0, "0", 0]]}]}},
    "weights without a hash": {"facts": {"weights": {"vgg19": 3}}},
    "a network that the file does not hold": {"recipe": "texture-net", "settings": {"channels": 64}},
}


def write_model(**change: Any) -> None:
    """m.safetensors, which says this of itself."""
    about = json.dumps({"recipe": "easy", "settings": {}, "facts": {}, **change})
    save_file({"colour": torch.zeros(3)}, "m.safetensors", {"texsynth": about})


@pytest.mark.parametrize("change", BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_bad_model_is_refused(change: dict[str, Any], texsynth: Texsynth, refused: Refused) -> None:
    write_model()
    assert texsynth(*MODEL, "-q").code == 0
    Path("o.png").unlink()
    write_model(**change)
    line = refused(5, *MODEL, "-q")
    assert len(line) < 500 and line[:-1].isprintable() and not list(Path().glob("*o*.png*"))


@pytest.mark.parametrize("words", [(), ("-m", "painted")], ids=["", "with its preset"])
def test_an_empty_name_is_no_model(words: tuple[str, ...], refused: Refused) -> None:
    assert "is a directory" in refused(5, "synthesize", "a.png", "--model", "", *words).lower()


@pytest.mark.parametrize("kind", ["deep", "long", "pipe", "folder"])
def test_a_file_that_is_no_model_is_refused(kind: str, refused: Refused) -> None:
    path = Path("m.safetensors")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        header = b'{"a":' * 9999 if kind == "deep" else b"{}"
        path.write_bytes(struct.pack("<Q", len(header) if kind == "deep" else 1 << 40) + header)
    refused(5, *MODEL)
    refused(5, "weights", "verify", "m.safetensors")


@pytest.fixture
def checkpoint(texsynth: Texsynth) -> Path:
    """The checkpoint of a training that is over."""
    assert texsynth(*EASY, "-q").code == 0
    return Path("m_training/checkpoint.pt")


WITHOUT_EPS = object()  # stands for a state of Adam without its smallest divisor
COMPLEX = object()  # stands for complex numbers in place of all others
BAD_CHECKPOINTS: dict[str, dict[str, Any]] = {
    "no description": {"about": None},
    "a seed that is none": {"seed": "x"},
    "a crop that is none": {"crop": "None"},
    "a recipe that is none": {"recipe": "none"},
    "a preset that is none": {"preset": [3]},
    "a setting out of its limits": {"preset": {"name": "p", "settings": {"steps": -1}}},
    "inputs that are none": {"inputs": [3]},
    "a step that is none": {"step": "1"},
    "a history that is none": {"rows": [{"step": 1, "losses": 3}]},
    "tensors that are none": {"tensors": {"a": 1}},
    "modules that are none": {"modules": {}},
    "modules of complex numbers": {"modules": COMPLEX},
    "optimisers of complex numbers": {"optimisers": COMPLEX},
    "optimisers that lack a number": {"optimisers": WITHOUT_EPS},
    "a state of chance that is none": {"rng": torch.zeros(3)},
}


def tensors_replaced(tree: Any) -> Any:
    """The tree with complex tensors, which PyTorch would convert with a warning."""
    if isinstance(tree, dict):
        return {key: tensors_replaced(value) for key, value in tree.items()}
    return tree.to(torch.complex64) if isinstance(tree, torch.Tensor) else tree


@pytest.mark.parametrize("change", BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_a_bad_checkpoint_is_refused(change: dict[str, Any], checkpoint: Path, refused: Refused) -> None:
    content = torch.load(checkpoint, weights_only=True)
    for key, value in change.items():
        part = next((content[name] for name in ("about", "state") if key in content[name]), content)
        if value is WITHOUT_EPS:
            for kept in part[key].values():
                del kept["param_groups"][0]["eps"]
            continue
        part[key] = tensors_replaced(part[key]) if value is COMPLEX else value
    torch.save(content, checkpoint)
    before = sorted(Path().rglob("*"))
    refused(5, *EASY, "--resume", "-q")
    assert sorted(Path().rglob("*")) == before


def test_a_checkpoint_that_would_grow_is_refused(checkpoint: Path, refused: Refused) -> None:
    with zipfile.ZipFile(checkpoint) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(checkpoint, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    assert "is damaged" in refused(5, *EASY, "--resume")
