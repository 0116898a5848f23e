"""Texture networks in use: pictures of any size made window by window, tiling, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import builders
from models import finished
from pictures import generator, noise
from texsynth import settings
from texsynth.learned.texture_net.network import Shape, TextureNet, Window, filled, settled
from texsynth.methods import feedforward
from texsynth.task import Guide, Level, Task
from texsynth.weights.trained import Model

SMALL = Shape(levels=3, channels=2)


NET = settled(filled(TextureNet(SMALL), generator()), 1, 32)
MODEL = Model("texture-net", settings.plain(SMALL), NET.state_dict(), {}, "m.safetensors", "0")


def task(size: tuple[int, int] = (40, 44), **values: Any) -> Task:
    return builders.task(size, (40, 44), **{"model": MODEL, **values})


def synthesized(asked: Task, side: int = 4096, seed: int = 0) -> Tensor:
    words = feedforward.Settings(window=side)
    assert feedforward.refuses(asked, words) is None
    return finished(feedforward, asked, words, seed).image


def test_pictures_do_not_depend_on_the_windows() -> None:
    asked = task((50, 70))
    whole = synthesized(asked)
    assert whole.shape == (1, 3, 50, 70)
    assert torch.allclose(whole, synthesized(asked, side=16), atol=1e-5)
    assert not torch.allclose(whole, synthesized(asked, seed=1), atol=1e-2)


def test_a_tiling_picture_wraps() -> None:
    """Its pixels beyond the border are those of the other side."""
    size = (24, 32)
    tiled = synthesized(task(size, tile=(True, True)))
    key = int(torch.randint(1 << 62, (), generator=generator()))
    with torch.no_grad():
        beyond = NET(key, Window(-12, 12, -16, 16), size).clamp(0, 1)
    assert torch.allclose(tiled.roll((12, 16), (2, 3)), beyond, atol=1e-5)


def test_it_says_when_the_exemplar_is_larger_than_the_model_knows_it() -> None:
    said: list[str] = []
    words = feedforward.Settings()
    for side in (0, 36, 40):
        reduced = replace(MODEL, settings={**settings.plain(SMALL), "side": side})
        feedforward.begin(task(model=reduced), None, Level(0, 1), words, generator(), said.append)
    assert len(said) == 1 and "36 pixels" in said[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hole": torch.ones(1, 1, 40, 44, dtype=torch.bool)}, "fills no holes"),
        ({"guides": (Guide("g", (noise(1, 1, 40, 44),), noise(1, 1, 40, 44)),)}, "follows no guides"),
        ({"init": noise(1, 3, 40, 44)}, "starts from noise only"),
        ({"blend": noise(1, 1, 40, 44)}, "blends no exemplars"),
        ({"start": noise(1, 2, 40, 44)}, "moves nothing"),
        ({"tile": (True, False), "size": (41, 43)}, "at multiples of 4 pixels with this model; give --size 43x40"),
        ({"tile": (False, True), "size": (41, 43)}, "--size 44x41"),
    ],
)
def test_it_refuses_what_it_cannot_do(given: dict[str, Any], words: str) -> None:
    said = feedforward.refuses(replace(task(), **given), feedforward.Settings())
    assert said is not None and words in said


def test_a_large_picture_takes_little_more_memory_than_itself() -> None:
    costs = [feedforward.estimate(task((n, n)), feedforward.Settings()) for n in (512, 8192)]
    assert costs[1].memory - costs[0].memory < 1.1 * 12 * 8192**2
    assert 0 < costs[0].seconds < costs[1].seconds
