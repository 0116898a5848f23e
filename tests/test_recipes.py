"""Every preset of `texsynth train` trains three steps from the command line, and its model makes pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Texsynth, array
from networks import random_vgg
from pictures import spots
from texsynth import preset
from texsynth.image import picture as image
from texsynth.weights import trained as model
from training import same, stop_after, stored

SHIPPED = sorted(path.stem for path in (preset.folder() / "train").glob("*.yaml"))
BEYOND = ("cocosnet", "optimal-textures", "pseudo-optimizer", "spade", "texture-net-gram")
DEEP = {f"{name}-paper" for name in BEYOND}  # name layers beyond relu3_4
SMALL = {  # what a picture of 32 pixels has room for
    "texture-net": ("crop=32", "metric=sliced"),
    "pseudo-optimizer": ("crop=32", "width=0.1"),
    "optimal-textures": ("crop=16",),
    "spade": ("crop=16", "levels=2"),
    "msca": ("crop=16",),
    "cocosnet": ("crop=16",),
}
SLIM = {
    "msca-paper": ("width=2", "hidden=4", "batch=1", "discriminator_width=4", "channels=4,4,4,4,4", "label_channels=4")
}
LABELS = ("--labels", "l.png")
MAPS = {"spade": ("--progression", "p.png"), "msca": LABELS, "cocosnet": LABELS}


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_vgg(tmp_path_factory.mktemp("weights") / "vgg19.safetensors")


@pytest.fixture
def exemplar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Path) -> np.ndarray:
    monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(network.parent))
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    for name, pixels in {"a": spots(32, 32), "p": ramp, "l": (ramp > 0.4).float()}.items():
        image.write(tmp_path / f"{name}.png", image.Picture(pixels))
    return image.to_array(image.read(tmp_path / "a.png"))


def words(name: str) -> list[str]:
    recipe = preset.read_training(name)["recipe"]
    small = [word for setting in (*SMALL[recipe], *SLIM.get(name, ())) for word in ("--set", setting)]
    maps = MAPS.get(recipe, ())
    return ["train", recipe, "a.png", "-p", name, "-o", "m.safetensors", "--set", "checks=1", *maps, *small, "-q"]


def uses(name: str) -> list[str]:
    """The command that makes a picture with the model."""
    maps = MAPS.get(preset.read_training(name)["recipe"])
    verb = ["synthesize"] if maps is None else ["control", *maps, maps[1]]
    return [verb[0], "a.png", *verb[1:], "--model", "m.safetensors", "-o", "o.png", "-s", "64x32", "-q"]


@pytest.mark.usefixtures("exemplar")
@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in DEEP])
def test_it_trains_and_makes_pictures(texsynth: Texsynth, name: str) -> None:
    ran = texsynth(*words(name), "--steps", 3)
    assert (ran.code, ran.err) == (0, "")
    read = model.read(Path("m.safetensors"))
    assert read.tensors and read.facts["value"] >= 0
    used = texsynth(*uses(name))
    assert (used.code, used.err) == (0, "")
    assert array("o.png").shape == (32, 64, 3)
    assert array("o.png").std() > 1


@pytest.mark.usefixtures("exemplar")
@pytest.mark.parametrize("name", sorted({preset.read_training(name)["recipe"] for name in SHIPPED}))
def test_a_resumed_training_equals_an_uninterrupted_one(
    texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of real recipes too: network, optimiser, potentials, chance."""
    assert texsynth(*words(name), "--steps", 3).code == 0
    whole, written = stored().parts, Path("m.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        assert texsynth(*words(name), "--steps", 3, "--force").code == 130
    assert stored().state.step == 2
    assert texsynth("train", name, "a.png", "-o", "m.safetensors", *MAPS.get(name, ()), "--resume", "-q").code == 0
    assert same(stored().parts, whole)
    assert Path("m.safetensors").read_bytes() == written


@pytest.mark.usefixtures("exemplar")
@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in DEEP])
def test_a_dry_run_says_what_it_takes(texsynth: Texsynth, name: str) -> None:
    plan = json.loads(texsynth(*words(name), "--dry-run", "--json").out)
    assert plan["status"] == "planned"
    assert plan["seconds"] > 0 and 100e6 < plan["memory_bytes"] < 32e9
    assert not Path("m_training").exists()


@pytest.mark.parametrize("name", sorted(DEEP & set(SHIPPED)))
@pytest.mark.usefixtures("exemplar")
def test_published_layers_are_named_when_missing(texsynth: Texsynth, name: str) -> None:
    ran = texsynth(*words(name))
    assert ran.code == 5
    assert "lacks relu" in ran.err
