"""Texture networks: their geometry, their noise, and how they are trained."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import model_of
from networks import random_vgg
from pictures import generator, noise, spots
from texsynth import settings
from texsynth.errors import InputError
from texsynth.features import vgg19
from texsynth.learned.shared import loading
from texsynth.learned.texture_net import network as texture_net
from texsynth.learned.texture_net import recipe
from texsynth.learned.texture_net.network import ConvBlock, Shape, TextureNet, Window, filled, settled
from texsynth.losses import Reference, Setup, semidual
from texsynth.task import Exemplar, Task
from texsynth.training.recipes import SAMPLE_SEED, Training
from texsynth.weights import pretrained
from training import check_chance, check_gradients, check_resumed

SMALL = Shape(levels=3, channels=2)
CPU = torch.device("cpu")
PATCHES = {
    "loss": "semidual",
    "features": "windows",
    "layers": ["full", "half"],
    "patch": 3,
    "ascents": 3,
    "sample": 99,
}
GRAM = {"loss": "gram", "features": "vgg19", "layers": ["relu1_1"]}
TASK = Task((Exemplar("a", spots(40, 44)),), (40, 44))


def net_of(shape: Shape) -> TextureNet:
    return filled(TextureNet(shape), generator())


@functools.cache
def small() -> TextureNet:
    return settled(net_of(SMALL), 1, 32)


def chosen(**values: Any) -> Any:
    return settings.make(recipe.Settings, {"objectives": [PATCHES], "levels": 3, "crop": 24, **values}, "test")


def training(asked: Task = TASK, **values: Any) -> tuple[Training, torch.Generator]:
    rng = generator()
    return recipe.build(asked, chosen(**values), rng), rng


@pytest.mark.parametrize(("channels", "count"), [(2, 7_968), (4, 30_096), (8, 116_832), (16, 460_224)])
def test_the_published_network_has_as_many_parameters(channels: int, count: int) -> None:
    assert sum(p.numel() for p in TextureNet(Shape(channels=channels)).parameters()) == count


def test_the_published_noise_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """For 260 pixels, as many cells a scale as the released code draws."""
    sides, plain = [], texture_net.noise

    def recorded(key: int, level: int, channels: int, window: Window, *more: Any) -> Tensor:
        sides.append(window.size)
        return plain(key, level, channels, window, *more)

    monkeypatch.setattr(texture_net, "noise", recorded)
    assert net_of(Shape())(1, Window(-2, 258, -2, 258)).shape == (1, 3, 260, 260)
    assert sides == [(n, n) for n in (16, 28, 44, 76, 140, 268)]


def test_noise_is_uniform_and_independent() -> None:
    """Of a place, its neighbours, other channels, levels and keys."""
    window = Window(-100, 156, -100, 156)
    first = texture_net.noise(7, 3, 2, window, (0, 0), CPU)
    shares = torch.histc(first, 16, 0, 1) / first.numel()
    assert float((shares * 16 - 1).abs().max()) < 0.05
    assert float(first.min()) >= 0 and float(first.max()) < 1
    others = [
        *(texture_net.noise(key, level, 1, window, (0, 0), CPU) for key, level in ((8, 3), (7 + (1 << 40), 3), (7, 2))),
        first[:, 1:],
        *(first[:, :1].roll(shift, (2, 3)) for shift in ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2))),
        first[:, :1].transpose(2, 3),
    ]
    for other in others:
        pair = torch.stack([first[:, :1].flatten(), other.flatten()])
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.02


def test_noise_is_a_function_of_position() -> None:
    whole, part = Window(-8, 40, -8, 40), Window(-3, 11, 5, 6)
    of_whole = texture_net.noise(3, 1, 2, whole, (0, 0), CPU)
    assert torch.equal(part.of(whole, of_whole), texture_net.noise(3, 1, 2, part, (0, 0), CPU))
    wraps = texture_net.noise(3, 1, 2, Window(-6, 12, -5, 10), (6, 5), CPU)
    assert torch.equal(wraps, wraps.roll((6, 5), (2, 3)))


@pytest.mark.parametrize("part", [Window(0, 48, 0, 40), Window(7, 30, 11, 12), Window(-5, 20, 31, 63)])
def test_a_window_is_part_of_the_whole(part: Window) -> None:
    whole = Window(-9, 60, -1, 70)
    with torch.no_grad():
        assert torch.allclose(small()(5, part), part.of(whole, small()(5, whole)), atol=1e-5)


def test_pictures_go_on_where_they_repeat() -> None:
    with torch.no_grad():
        once, twice = (small()(5, Window(0, 48, 0, 64), period) for period in ((0, 0), (24, 32)))
    assert torch.allclose(twice[:, :, :24], twice[:, :, 24:], atol=1e-5)
    assert torch.allclose(twice[..., :32], twice[..., 32:], atol=1e-5)
    assert not torch.allclose(once[..., :32], once[..., 32:], atol=1e-2)


def test_every_parameter_counts() -> None:
    """Each gets a gradient above rounding, unless a batch norm takes out what it adds."""
    started, _ = training()
    without = {f"between.{level}.bias" for level in range(2)}
    for name, block in started.modules["net"].named_modules():
        if isinstance(block, ConvBlock):
            without |= {f"{name}.{at}.bias" for at, part in enumerate(block) if isinstance(part, nn.Conv2d)}
    assert set(check_gradients(started, without)) == {"semidual"}


@pytest.mark.parametrize("objective", [PATCHES, GRAM])
def test_training_lowers_the_loss(objective: dict[str, Any], tmp_path: Path) -> None:
    read = pretrained.read(random_vgg(tmp_path / "vgg19.safetensors", ("relu1_1",)), "vgg19", vgg19.keys(["relu1_1"]))
    asked = replace(TASK, weights={"vgg19": read})
    started, _ = training(asked, objectives=[objective], rate=0.03)
    before, first = started.measure(), started.step(0)
    for number in range(1, 60):
        last = started.step(number)
    assert last[objective["loss"]] < 0.5 * first[objective["loss"]]
    assert started.measure() < before


def test_chance_is_the_runs_own() -> None:
    check_chance(training)


def test_a_resumed_run_is_the_uninterrupted_one() -> None:
    assert training()[0].memory
    check_resumed(lambda: training(batch=2))


def test_a_loss_hands_out_what_it_changes() -> None:
    layer = {name: noise(1, 3, 12, 12) for name in ("a", "b")}
    state: dict[str, Tensor] = {}
    loss = semidual.build([Reference(layer)], semidual.Settings(), Setup(generator(), state=state))
    assert len(state) == 4 and not any(values.any() for values in state.values())
    loss({name: noise(1, 3, 12, 12, seed=1) for name in ("a", "b")})
    potentials = [values for name, values in state.items() if ".semidual." in name]
    assert len(potentials) == 2 and all(psi.any() for psi in potentials)


def test_rates_follow_the_share_of_the_steps() -> None:
    """So one that is cut short falls as far."""
    for steps in (40, 400):
        words = chosen(rate=0.1, decay=0.25, constant=0.5, steps=steps)
        rates = [recipe.rate(words, n * steps // 4) for n in range(5)]
        assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.025])
    started, _ = training(rate=0.1, decay=0.25, steps=4)
    started.step(2)
    assert started.optimisers["adam"].param_groups[0]["lr"] == pytest.approx(0.05)


def test_samples_have_the_size_of_the_reduced_exemplar() -> None:
    started, _ = training(side=36, metric="sliced")
    assert [tuple(image.shape[2:]) for image in started.sample()] == [(36, 40), (36, 40)]


def test_several_exemplars_are_one_texture() -> None:
    """Of a dark and a light one comes something between; samples are no larger than the smaller one."""
    sides = {"dark": (40, 44, 0.0), "light": (36, 38, 0.7)}
    pair = tuple(Exemplar(name, spots(h, w) * 0.3 + light) for name, (h, w, light) in sides.items())
    colours = {"loss": "sliced", "features": "windows", "layers": ["full"], "patch": 1}
    started, _ = training(replace(TASK, exemplars=pair), objectives=[colours], crop=999, rate=0.05)
    for number in range(40):
        started.step(number)
    assert 0.4 < float(started.sample()[-1].mean()) < 0.75


def test_estimates_grow_with_what_is_asked() -> None:
    costs = [recipe.estimate(TASK, chosen(**words)) for words in ({}, {"crop": 256}, {"crop": 256, "channels": 16})]
    assert costs[0].memory < costs[1].memory < costs[2].memory
    assert costs[0].seconds < costs[1].seconds < costs[2].seconds


def test_what_is_stored_makes_what_was_measured() -> None:
    """The model's tensors, loaded again, make the sample of the training."""
    started, _ = training()
    started.step(0)
    stored = model_of(started, "texture-net", chosen())
    net = loading.loaded(lambda: TextureNet(loading.shaped(Shape, stored)), stored, CPU)
    with torch.no_grad():
        again = net(SAMPLE_SEED, Window(0, 40, 0, 44)).clamp(0, 1)
    assert torch.equal(again, started.sample()[-1])


def test_too_small_an_exemplar_is_an_error() -> None:
    tiny = replace(TASK, exemplars=(Exemplar("dot", spots(10, 40)),))
    with pytest.raises(InputError, match=r"dot is 40x10, but at least \d+x\d+ is needed"):
        training(tiny)
