"""Figures of trained networks: what is trained is kept, told apart and gone on with; what they judge by."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

import texsynth
from networks import random_vgg
from pictures import noise
from texsynth.features.vgg19 import LAYERS
from texsynth.task import Guide

figure, learning, stages = (importlib.import_module(name) for name in ("figure", "learning", "stages"))
controlled, propagating = (importlib.import_module(name) for name in ("controlled_networks", "propagating"))
EXEMPLAR = noise(1, 3, 32, 32)
Calls = list[tuple[int, bool]]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXSYNTH_WEIGHTS", raising=False)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The steps of every training from here on, and was it resumed?"""
    calls: Calls = []
    real = texsynth.train

    def train(*given: Any, **words: Any) -> Any:
        calls.append((words["steps"], words["resume"]))
        return real(*given, **words)

    monkeypatch.setattr(texsynth, "train", train)
    return calls


def options(folder: Path, *words: str) -> Any:
    return figure.options("x", "X.", ["--budget", "smallest", "-o", str(folder), *words])


def lesson(**words: Any) -> Any:
    return learning.Lesson(**{"name": "net", "recipe": "texture-net", "exemplars": [EXEMPLAR], **words})


def test_a_network_is_trained_once(tmp_path: Path, trained: Calls) -> None:
    (first,) = learning.learned(options(tmp_path), lesson())
    (second,) = learning.learned(options(tmp_path), lesson())
    assert first == second and first.model.is_file() and first.seconds > 0
    assert trained == [(3, False)]


@pytest.mark.parametrize("change", [{"settings": {"channels": 1}}, {"exemplars": [1 - EXEMPLAR]}])
def test_another_lesson_is_trained_anew(change: dict[str, Any], tmp_path: Path, trained: Calls) -> None:
    for each in (lesson(), lesson(**change)):
        (made,) = learning.learned(options(tmp_path), each)
    assert trained == [(3, False)] * 2 and made.model.is_file()


def test_a_model_that_was_deleted_is_made_again(tmp_path: Path, trained: Calls) -> None:
    (first,) = learning.learned(options(tmp_path), lesson())
    before = first.model.read_bytes()
    first.model.unlink()
    learning.learned(options(tmp_path), lesson())
    assert trained == [(3, False)] * 2 and first.model.read_bytes() == before


def test_parts_are_one_training_that_goes_on(tmp_path: Path, trained: Calls) -> None:
    made = learning.learned(options(tmp_path), lesson(), 3)
    assert [each.steps for each in made] == [1, 2, 3] and all(each.model.is_file() for each in made)
    assert trained == [(1, False), (2, True), (3, True)]
    assert 0 < made[0].seconds < made[1].seconds < made[2].seconds


@pytest.mark.parametrize(("part", "calls"), [(0, [(1, False), (3, True)]), (1, [(3, True)])])
def test_an_interrupted_training_goes_on(
    part: int, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Calls
) -> None:
    """Parts that are finished are kept; a checkpoint of what was trained before under that name is not gone on with."""
    real, broken = texsynth.train, [1, 3][part]

    def interrupted(*given: Any, **words: Any) -> Any:
        if words["steps"] == broken:
            raise KeyboardInterrupt
        return real(*given, **words)

    learning.learned(options(tmp_path), lesson(settings={"channels": 1}))
    with monkeypatch.context() as patch:
        patch.setattr(texsynth, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learning.learned(options(tmp_path), lesson(), 2)
    trained.clear()
    made = learning.learned(options(tmp_path), lesson(), 2)
    assert trained == calls
    assert all(each.model.is_file() for each in made) and made[1].seconds > made[0].seconds


def test_what_cannot_be_trained_is_told(tmp_path: Path) -> None:
    (made,) = learning.learned(options(tmp_path), lesson(preset="texture-net-gram"))
    assert made.lack == "needs vgg19 weights: --weights FILE or TEXSYNTH_WEIGHTS"
    assert not (tmp_path / "x").exists()


def test_layers_are_those_of_the_weights_with_their_pools(tmp_path: Path) -> None:
    given = options(tmp_path, "--weights", str(random_vgg(tmp_path / "vgg19.safetensors")))
    assert learning.held(given) == LAYERS[: LAYERS.index("pool3") + 1]
    assert learning.lacking(given, ["relu1_1", "pool3"]) == ""
    assert learning.lacking(given, ["relu1_1", "pool4"]) == "needs pool4, and the weights stop at pool3"
    assert learning.lacking(options(tmp_path), []) == ""


@pytest.mark.parametrize("name", ["stages", "matching"])
def test_a_figure_of_vgg_alone_says_so_without_weights(name: str, tmp_path: Path) -> None:
    done = importlib.import_module(name).main(["--budget", "smallest", "-o", str(tmp_path)])
    assert done.files == ()
    assert done.skipped == ("the whole figure: needs vgg19 weights: --weights FILE or TEXSYNTH_WEIGHTS",)


def test_label_histograms_meet_in_what_both_have() -> None:
    half = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
    for target, wanted in ((half.flip(3), 1.0), (torch.zeros(1, 1, 1, 4), 0.5), (torch.full((1, 1, 2, 2), 2.0), 0.0)):
        assert controlled.common(Guide("labels", (half,), target, 1.0, "l0"), 3) == wanted


def test_paint_agrees_with_itself_and_not_with_its_opposite() -> None:
    where = (noise(1, 1, 8, 8) > 0.5).float()
    judge = propagating._judge
    assert judge(where, where) == {"agreement": 1.0, "overlap": 1.0}
    assert judge(where, 1 - where) == {"agreement": 0.0, "overlap": 0.0}
    assert judge(0 * where, 0 * where) == {"agreement": 1.0, "overlap": None}
