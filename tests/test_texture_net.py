"""Texture networks: their geometry, their noise, and how they are trained."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

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
from texsynth.training.recipes import Training
from texsynth.weights import pretrained
from texsynth.weights.trained import Model

SMALL = Shape(levels=3, channels=2)
PATCHES = {
    "loss": "semidual",
    "features": "windows",
    "layers": ["full", "half"],
    "patch": 3,
    "ascents": 3,
    "sample": 99,
}
GRAM = {"loss": "gram", "features": "vgg19", "layers": ["relu1_1"]}


def net_of(shape: Shape = SMALL, seed: int = 0) -> TextureNet:
    return filled(TextureNet(shape), generator(seed))


def chosen(**values: Any) -> recipe.Settings:
    plain = {"objectives": [PATCHES], "levels": 3, "crop": 24, **values}
    out = settings.make(recipe.Settings, plain, "test")
    assert isinstance(out, recipe.Settings)
    return out


def task(size: tuple[int, int] = (40, 44), **values: Any) -> Task:
    return Task((Exemplar("a", spots(40, 44)),), size, **values)


def training(seed: int = 0, **values: Any) -> tuple[Training, torch.Generator]:
    rng = generator(seed)
    return recipe.build(task(), chosen(**values), rng), rng


@pytest.mark.parametrize(("channels", "count"), [(2, 7_968), (4, 30_096), (8, 116_832), (16, 460_224)])
def test_the_published_network_has_as_many_parameters(channels: int, count: int) -> None:
    assert sum(p.numel() for p in TextureNet(Shape(channels=channels)).parameters()) == count


def test_the_published_noise_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """For 260 pixels, as many cells a scale as the released code draws."""
    sides, plain = [], texture_net.noise

    def seen(key: int, level: int, channels: int, window: Window, *more: Any) -> Tensor:
        sides.append(window.size)
        return plain(key, level, channels, window, *more)

    monkeypatch.setattr(texture_net, "noise", seen)
    assert net_of(Shape())(1, Window(-2, 258, -2, 258)).shape == (1, 3, 260, 260)
    assert sides == [(n, n) for n in (16, 28, 44, 76, 140, 268)]


def test_noise_is_uniform_and_independent() -> None:
    """Of a place, its neighbours, other channels, levels and keys."""
    cpu = torch.device("cpu")
    window = Window(-100, 156, -100, 156)
    first = texture_net.noise(7, 3, 2, window, (0, 0), cpu)
    shares = torch.histc(first, 16, 0, 1) / first.numel()
    assert float((shares * 16 - 1).abs().max()) < 0.05
    assert float(first.min()) >= 0 and float(first.max()) < 1
    others = [
        texture_net.noise(8, 3, 1, window, (0, 0), cpu),
        texture_net.noise(7 + (1 << 40), 3, 1, window, (0, 0), cpu),
        texture_net.noise(7, 2, 1, window, (0, 0), cpu),
        first[:, 1:],
        *(first[:, :1].roll(shift, (2, 3)) for shift in ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2))),
        first[:, :1].transpose(2, 3),
    ]
    for other in others:
        pair = torch.stack([first[:, :1].flatten(), other.flatten()])
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.02


def test_noise_is_a_function_of_position() -> None:
    cpu = torch.device("cpu")
    whole, part = Window(-8, 40, -8, 40), Window(-3, 11, 5, 6)
    of_whole = texture_net.noise(3, 1, 2, whole, (0, 0), cpu)
    assert torch.equal(part.of(whole, of_whole), texture_net.noise(3, 1, 2, part, (0, 0), cpu))
    wraps = texture_net.noise(3, 1, 2, Window(-6, 12, -5, 10), (6, 5), cpu)
    assert torch.equal(wraps, wraps.roll((6, 5), (2, 3)))


@pytest.mark.parametrize("part", [Window(0, 48, 0, 40), Window(7, 30, 11, 12), Window(-5, 20, 31, 63)])
def test_a_window_is_part_of_the_whole(part: Window) -> None:
    net = settled(net_of(), 1, 32)
    whole = Window(-9, 60, -1, 70)
    with torch.no_grad():
        assert torch.allclose(net(5, part), part.of(whole, net(5, whole)), atol=1e-5)


def test_pictures_go_on_where_they_repeat() -> None:
    net = settled(net_of(), 1, 32)
    with torch.no_grad():
        twice = net(5, Window(0, 48, 0, 64), (24, 32))
        once = net(5, Window(0, 48, 0, 64))
    assert torch.allclose(twice[:, :, :24], twice[:, :, 24:], atol=1e-5)
    assert torch.allclose(twice[..., :32], twice[..., 32:], atol=1e-5)
    assert not torch.allclose(once[..., :32], once[..., 32:], atol=1e-2)


def test_every_parameter_counts() -> None:
    """Each gets a gradient after one step, and one above rounding unless a batch norm takes out what it adds."""
    made, _ = training()
    losses = made.step(0)
    assert set(losses) == {"semidual"}
    lost = {f"between.{level}.bias" for level in range(2)}
    for name, block in made.modules["net"].named_modules():
        if isinstance(block, ConvBlock):
            lost |= {f"{name}.{at}.bias" for at, part in enumerate(block) if isinstance(part, nn.Conv2d)}
    for name, parameter in made.modules["net"].named_parameters():
        assert parameter.grad is not None, name
        if name not in lost:
            assert float(parameter.grad.abs().max()) > 1e-5, name


@pytest.mark.parametrize("objective", [PATCHES, GRAM])
def test_training_lowers_the_loss(objective: dict[str, Any], tmp_path: Path) -> None:
    read = pretrained.read(random_vgg(tmp_path / "vgg19.safetensors", ("relu1_1",)), "vgg19", vgg19.keys(["relu1_1"]))
    asked = task(weights={"vgg19": read})
    made = recipe.build(asked, chosen(objectives=[objective], rate=0.03), generator())
    before, first = made.measure(), made.step(0)
    for number in range(1, 60):
        last = made.step(number)
    assert last[objective["loss"]] < 0.5 * first[objective["loss"]]
    assert made.measure() < before


def test_chance_is_the_runs_own() -> None:
    """The seed decides all; what torch draws elsewhere, and looking at samples, change nothing."""
    results = []
    for watched in (False, True):
        torch.manual_seed(int(watched))
        made, _ = training()
        for number in range(3):
            made.step(number)
            if watched:
                made.sample(), made.measure(), made.tensors()
        results.append(made.modules["net"].state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_a_resumed_run_is_the_uninterrupted_one() -> None:
    """Modules, optimisers, memory and chance are all there is."""
    whole, rng = training(batch=2)
    for number in range(2):
        whole.step(number)
    kept: dict[str, Any] = copy.deepcopy(
        {
            "net": whole.modules["net"].state_dict(),
            "adam": whole.optimisers["adam"].state_dict(),
            "memory": dict(whole.memory),
            "rng": rng.get_state(),
        }
    )
    again, other = training(batch=2)
    again.modules["net"].load_state_dict(kept["net"])
    again.optimisers["adam"].load_state_dict(kept["adam"])
    assert set(again.memory) == set(kept["memory"]) != set()
    for name, tensor in again.memory.items():
        assert not torch.equal(tensor, kept["memory"][name])
        tensor.copy_(kept["memory"][name])
    other.set_state(kept["rng"])
    assert whole.step(2) == again.step(2)
    ends = whole.modules["net"].state_dict(), again.modules["net"].state_dict()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_loss_hands_out_what_it_changes() -> None:
    layer = {name: noise(1, 3, 12, 12) for name in ("a", "b")}
    kept: dict[str, Tensor] = {}
    loss = semidual.build([Reference(layer)], semidual.Settings(), Setup(generator(), state=kept))
    assert len(kept) == 2 and not any(psi.any() for psi in kept.values())
    loss({name: noise(1, 3, 12, 12, seed=1) for name in ("a", "b")})
    assert all(psi.any() for psi in kept.values())


def test_rates_follow_the_step() -> None:
    """And the length of the run: one that is cut short falls as far."""
    for steps in (40, 400):
        words = chosen(rate=0.1, decay=0.25, constant=0.5, steps=steps)
        found = [recipe.rate(words, n * steps // 4) for n in range(5)]
        assert found == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.025])
    made, _ = training(rate=0.1, decay=0.25, steps=4)
    made.step(2)
    assert made.optimisers["adam"].param_groups[0]["lr"] == pytest.approx(0.05)


def test_samples_have_the_size_of_the_reduced_exemplar() -> None:
    made, _ = training(side=36, metric="sliced")
    assert [tuple(image.shape[2:]) for image in made.sample()] == [(36, 40), (36, 40)]


def test_several_exemplars_are_one_texture() -> None:
    """Of a dark and a light one comes something between; samples are no larger than the smaller one."""
    sides = {"dark": (40, 44, 0.0), "light": (36, 38, 0.7)}
    pair = tuple(Exemplar(name, spots(h, w) * 0.3 + light) for name, (h, w, light) in sides.items())
    colours = {"loss": "sliced", "features": "windows", "layers": ["full"], "patch": 1}
    made = recipe.build(replace(task(), exemplars=pair), chosen(objectives=[colours], crop=999, rate=0.05), generator())
    for number in range(40):
        made.step(number)
    assert 0.4 < float(made.sample()[-1].mean()) < 0.75


def test_estimates_grow_with_what_is_asked() -> None:
    costs = [recipe.estimate(task(), chosen(**words)) for words in ({}, {"crop": 256}, {"crop": 256, "channels": 16})]
    assert costs[0].memory < costs[1].memory < costs[2].memory
    assert costs[0].seconds < costs[1].seconds < costs[2].seconds


def test_what_is_stored_makes_what_was_measured() -> None:
    """The model's tensors, loaded again, make the sample of the training."""
    trained, _ = training()
    trained.step(0)
    words = settings.plain(chosen())
    tensors = {name: tensor.clone() for name, tensor in trained.tensors().items()}
    stored = Model("texture-net", words, tensors, {}, "m.safetensors", "0")
    net = loading.loaded(TextureNet(loading.shaped(Shape, stored)), stored, torch.device("cpu"))
    with torch.no_grad():
        again = net(2**40, Window(0, 40, 0, 44)).clamp(0, 1)
    assert torch.equal(again, trained.sample()[-1])


def test_too_small_an_exemplar_is_an_error() -> None:
    tiny = replace(task(), exemplars=(Exemplar("dot", spots(10, 40)),))
    with pytest.raises(InputError, match=r"dot is 40x10, but at least \d+x\d+ is needed"):
        recipe.build(tiny, chosen(), generator())
