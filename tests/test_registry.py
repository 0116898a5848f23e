"""The registries: files and folders are the keys, and the keys of earlier versions are still read."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from asking import asked
from conftest import Picture, Texsynth, array
from texsynth import preset, registry
from texsynth.image import picture as image
from texsynth.requests import option


def test_keys_are_files_and_folders() -> None:
    assert {"field", "optimise", "feedforward", "msca", "optimal_textures"} <= set(registry.METHODS.names())
    assert "texture_net" in registry.RECIPES.names() and "texture_net" not in registry.METHODS.names()
    assert not any(name.startswith("_") for name in registry.LOSSES.names())


def test_a_key_that_is_none_and_one_that_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError, match="there is no metric 'mine'"):
        registry.METRICS.module("mine")
    module = SimpleNamespace()
    monkeypatch.setitem(registry.METRICS.registered, "mine", module)
    assert registry.METRICS.module("mine") is module and "mine" in registry.METRICS.names()


@pytest.mark.parametrize(("former", "key"), [("transport", "optimal_textures"), ("pseudo", "pseudo_optimizer")])
def test_keys_of_the_first_version_are_read_in_presets(former: str, key: str) -> None:
    plain = {"description": "", "stages": [{"method": former}]}
    (stage,) = preset.build("mine", plain).stages
    assert stage.method == key and registry.METHODS.module(former) is registry.METHODS.module(key)
    name, value = ("passes", 3) if key == "optimal_textures" else ("precision", "bfloat16")
    changed = preset.build("mine", plain, {f"{former}.{name}": value}).stages[0]
    assert getattr(changed.settings, name) == value


def test_a_record_of_the_first_version_is_repeated(
    texsynth: Texsynth, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its method has a key of that version; all else is as it was written."""
    monkeypatch.setitem(registry.METHODS.aliases, "steadfast", "steady")
    picture("a.png")
    assert texsynth("synthesize", "a.png", "-p", "steady", "-o", "o.png", "-q").code == 0
    record = image.read_metadata("o.png")
    assert record is not None
    record["preset"]["stages"][0]["method"] = "steadfast"
    image.write("old.png", image.read("o.png"), metadata=json.loads(json.dumps(record)))
    ran = texsynth("synthesize", "--from", "old.png", "-o", "again.png", "-q")
    assert ran.code == 0, ran
    assert np.array_equal(array("again.png"), array("o.png"))


def test_of_options_that_exclude_each_other_a_record_gives_back_none_where_one_is_given() -> None:
    record = {"seed": 3, "inputs": [], "barycenter": {"blend": [0.25, 0.75], "steps": None, "mode": "mosaic"}}
    anew = option.recalled(asked("barycenter", steps=3), record, lambda _: [])
    assert (anew.steps, anew.blend, anew.mode, anew.seed) == (3, None, "mosaic", 3)
    assert option.recalled(asked("barycenter"), record, lambda _: []).blend == [0.25, 0.75]
