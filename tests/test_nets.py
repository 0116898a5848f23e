"""The exemplar networks' generator, discriminators and first values, and how these are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictures import generator, noise
from texsynth import settings
from texsynth.errors import UsageError
from texsynth.learned.shared import adversarial, patchgan
from texsynth.learned.shared import generator as spade
from texsynth.learned.shared.conv import EPSILON, Conv, initialise
from texsynth.learned.shared.generator import Generator, Modulate, SpadeBlock
from texsynth.learned.shared.patchgan import PatchGAN
from training import check_learning

NORMS = ("positional", "instance", "batch")
OFF, BOTH = (False, False), (True, True)
SMALL = {"width": 4, "hidden": 6, "levels": 2}


def shape(**values: Any) -> spade.Shape:
    return settings.make(spade.Shape, {**SMALL, **values}, "test")


def generator_of(condition: int | Sequence[int] = 3, seed: int = 0, gain: float = 1.0, **values: Any) -> Generator:
    return initialise(Generator(shape(**values), condition), generator(seed), gain).eval()


def critics(width: int = 4, layers: int = 3, condition: int = 3, seed: int = 0) -> PatchGAN:
    size = patchgan.Shape(discriminator_width=width, discriminator_layers=layers)
    return initialise(PatchGAN(size, condition), generator(seed), 1.0)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("width", "hidden", "millions"), [(64, 128, 92.1), (32, 128, 29.4), (32, 64, 23.1), (16, 64, 7.4), (16, 32, 5.8)]
)
def test_the_published_generator_has_as_many_parameters(width: int, hidden: int, millions: float) -> None:
    with torch.device("meta"):
        parameters = count(Generator(shape(width=width, widest=16, hidden=hidden, levels=5), 3))
    assert parameters / 1e6 == pytest.approx(millions, rel=0.005)


@pytest.mark.parametrize(("width", "millions"), [(64, 2.8), (32, 0.7)])
def test_the_published_discriminator_has_as_many_parameters(width: int, millions: float) -> None:
    with torch.device("meta"):
        parameters = count(PatchGAN(patchgan.Shape(discriminator_width=width), 3).scales[0])
    assert round(parameters / 1e6, 1) == millions


def test_the_published_discriminator_scores_as_many_patches() -> None:
    full, half = critics(2, 4)(noise(1, 3, 256, 256), noise(1, 3, 256, 256))
    assert full[-1].shape == (1, 1, 35, 35) and half[-1].shape == (1, 1, 19, 19)


@pytest.mark.parametrize("kind", NORMS)
def test_without_a_condition_modulation_is_the_plain_norm(kind: str) -> None:
    net = initialise(Modulate(5, 3, shape(normalisation=kind)), generator(), 1.0)
    nn.init.zeros_(net.change.weight)
    x = noise(2, 5, 8, 6) * 3
    dims = {"positional": (1,), "instance": (2, 3), "batch": (0, 2, 3)}[kind]
    deviation = (x.var(dims, correction=0, keepdim=True) + EPSILON).sqrt()
    torch.testing.assert_close(net(x, noise(2, 3, 8, 6)), (x - x.mean(dims, keepdim=True)) / deviation)


@pytest.mark.parametrize("how", ["bilinear", "nearest"])
def test_a_condition_is_resized_by_choice(how: str) -> None:
    """Both keep a map of cells; nearest gives labels that are there, bilinear the means of cells."""
    labels = (noise(1, 1, 4, 5) * 3).floor()
    large = F.interpolate(labels, scale_factor=4, mode="nearest")
    assert torch.equal(spade.resized(large, (4, 5), how), labels)
    mixed = spade.resized(large, (3, 3), how)
    assert bool(torch.isin(mixed, labels).all()) == (how == "nearest")
    net = initialise(Modulate(4, 1, shape(resize=how)), generator(), 1.0)
    x = noise(1, 4, 4, 5)
    assert torch.equal(net(x, large), net(x, labels))


@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize("kind", NORMS)
def test_every_parameter_gets_a_gradient(kind: str, more: int) -> None:
    net = generator_of(normalisation=kind, noise=2, more=more).train()
    judge, guide, real = critics(), noise(2, 3, 16, 24), noise(2, 3, 16, 24, seed=1)
    grains = [noise(2, 2, *grid, seed=n) for n, grid in enumerate(net.shape.grids((16, 24)))]
    fake = net(guide, grains)
    true, false = judge.pair((guide, guide), (real, fake))
    (patchgan.hinge_generator(false) + patchgan.feature_matching(true, false)).backward()
    check_learning(net)
    judge.zero_grad()
    true, false = judge.pair((guide, guide), (real, fake.detach()))
    # The shift of all scores moves both halves of the loss against each other unless one is satisfied.
    (patchgan.hinge_discriminator(true, false) + patchgan.hinge_generator(false)).backward()
    check_learning(judge)


@pytest.mark.parametrize("size", [(96, 160), (16, 16), (17, 30), (3, 5), (1, 1)])
def test_a_picture_has_the_size_of_its_condition(size: tuple[int, int]) -> None:
    out = generator_of(levels=4)(noise(1, 3, *size))
    assert out.shape == (1, 3, *size)
    assert out.min() > 0 and out.max() < 1 and bool(out.isfinite().all())


def test_what_is_beyond_the_condition_does_not_matter_far_away() -> None:
    """A size that is no multiple of a cell is continued at the bottom and the right, so that the rest stays."""
    net, guide = generator_of(levels=1, more=0), noise(1, 3, 64, 64)
    torch.testing.assert_close(net(guide)[:, :, :32, :32], net(guide[:, :, :59, :61])[:, :, :32, :32])


def test_maps_of_every_scale_do_as_one_map_does() -> None:
    net, guide = generator_of(), noise(1, 3, 16, 24)
    scales = [spade.resized(guide, grid, "bilinear") for grid in net.shape.grids((16, 24))]
    assert torch.equal(net(scales), net(guide))


@pytest.mark.parametrize("up", [False, True])
def test_maps_of_every_scale_may_have_their_own_channels_and_odd_sizes(up: bool) -> None:
    net = generator_of((7, 5, 2))
    sizes = [(5, 7), (9, 13), (18, 25)] if up else [(4, 6), (9, 12), (18, 25)]
    scales = [noise(1, n, *size, seed=n) for n, size in zip((7, 5, 2), sizes, strict=True)]
    assert net(scales).shape == (1, 3, 18, 25)
    for number in range(3):
        changed = [each + (n == number) for n, each in enumerate(scales)]
        assert not torch.equal(net(changed), net(scales)), "every scale is looked at"


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["positional", "instance"])
def test_what_wraps_goes_on_at_the_other_side(kind: str, axis: int) -> None:
    """A condition moved round by a cell gives the picture moved round; without tiling it does not."""
    net, guide, dim = generator_of(normalisation=kind), noise(1, 3, 16, 24), axis + 2
    moved = guide.roll(net.shape.cell, dim)
    tile = (axis == 0, axis == 1)
    torch.testing.assert_close(net(moved, tile=tile), net(guide, tile=tile).roll(net.shape.cell, dim))
    assert not torch.allclose(net(moved), net(guide).roll(net.shape.cell, dim), atol=1e-3)


def test_a_periodic_condition_gives_a_periodic_picture() -> None:
    net, guide = generator_of(), noise(1, 3, 8, 12)
    out = net(guide.repeat(1, 1, 2, 2), tile=BOTH)
    torch.testing.assert_close(out, net(guide, tile=BOTH).repeat(1, 1, 2, 2))


def test_a_side_that_cannot_wrap_is_refused() -> None:
    net = generator_of(levels=4)
    with pytest.raises(UsageError, match=r"^100 pixels .* multiples of 16; try 96 or 112$"):
        net(noise(1, 3, 32, 100), tile=(False, True))
    net(noise(1, 3, 32, 100), tile=(True, False))
    with pytest.raises(UsageError, match=r"; try 16$"):
        net(noise(1, 3, 9, 16), tile=BOTH)


def test_noise_changes_the_picture() -> None:
    net, guide = generator_of(noise=1), torch.zeros(1, 3, 16, 16)
    first, second = (net(guide, [noise(1, 1, *g, seed=n) for g in net.shape.grids((16, 16))]) for n in (0, 1))
    assert (first - second).abs().mean() > 1e-3


@pytest.mark.parametrize("equal", [True, False])
def test_a_block_of_equal_widths_adds_to_what_it_has(equal: bool) -> None:
    """With zero convolutions nothing is added; where widths differ nothing is left."""
    net = initialise(SpadeBlock(6, 6 if equal else 4, 3, shape()), generator(), 0.0)
    x = noise(1, 6, 4, 4)
    assert torch.equal(net(x, noise(1, 3, 4, 4)), x if equal else torch.zeros(1, 4, 4, 4))


def test_spectral_normalisation_finds_the_largest_singular_value() -> None:
    conv = initialise(Conv(4, 6, spectral=True), generator(), 3.0)
    for _ in range(200):
        conv.kernel()
    assert torch.linalg.matrix_norm(conv.kernel().flatten(1), 2).item() == pytest.approx(1, abs=1e-4)
    weight, rng = conv.weight.detach(), generator(5)
    conv.settle(rng)
    before = conv.state_dict()["u"].clone()
    conv.eval().kernel()
    assert torch.equal(conv.state_dict()["u"], before), "use does not change a network"
    assert torch.equal(conv.weight, weight)
    conv.train().kernel()
    assert not torch.equal(conv.state_dict()["u"], before)


def test_a_network_may_be_asked_twice_before_its_gradient() -> None:
    judge, guide = critics(), noise(1, 3, 16, 16)
    first, second = (judge(guide, noise(1, 3, 16, 16, seed=n)) for n in (0, 1))
    patchgan.hinge_discriminator(first, second).backward()


def test_rates_fall_at_last() -> None:
    words = adversarial.Settings(steps=100, decay=0.5)
    both = adversarial.optimisers(generator_of().parameters(), critics(), words)
    for number, decay, factor in ((0, 0.5, 1), (50, 0.5, 1), (75, 0.5, 0.5), (99, 0.5, 0.02), (99, 0.0, 1)):
        adversarial.set_rates(both, replace(words, decay=decay), number)
        rates = [optimiser.param_groups[0]["lr"] for optimiser in (both.network, both.discriminators)]
        assert rates == pytest.approx([words.rate * factor, words.discriminator_rate * factor])


@pytest.mark.parametrize("parts", [1, 2])
def test_discriminators_learn_to_tell_outputs_from_true_pictures(parts: int) -> None:
    """Whether contests come together or one by one; and the network that made the outputs learns nothing."""
    judge, guide = critics(), noise(2, 3, 16, 16)
    true, output = noise(2, 3, 16, 16, seed=1), noise(2, 3, 16, 16, seed=2).requires_grad_()
    adam = torch.optim.Adam(judge.parameters(), 1e-3)
    each = zip(guide.chunk(parts), true.chunk(parts), output.chunk(parts), strict=True)
    contests = [((g, g), (t, o)) for g, t, o in each]
    values = [adversarial.teach_discriminators(judge, adam, contests) for _ in range(20)]
    assert values[0] == pytest.approx(2, abs=0.5) and values[-1] < 0.9 * values[0]
    assert output.grad is None


@pytest.mark.parametrize("make", [generator_of, critics])
def test_first_values_come_from_the_generator_only(make: Any) -> None:
    state = torch.random.get_rng_state()
    first, same, other = make(seed=1), make(seed=1), make(seed=2)
    assert torch.equal(torch.random.get_rng_state(), state), "the generator that all share is left alone"
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), same.state_dict().values(), strict=True))
    assert not torch.equal(first.scales[0].state_dict()[KEY[make]], other.scales[0].state_dict()[KEY[make]])


KEY: dict[Any, str] = {generator_of: "0.norms.0.read.weight", critics: "convs.0.weight"}


def test_first_values_replace_those_of_torch() -> None:
    parts = [nn.Linear(300, 200), nn.PReLU(), nn.BatchNorm1d(200), nn.Conv2d(40, 50, 3)]
    net = initialise(nn.Sequential(*parts), generator())
    assert net[0].weight.std().item() == pytest.approx(0.02 * (2 / 500) ** 0.5, rel=0.02)
    assert net[3].weight.std().item() == pytest.approx(0.02 * (2 / (90 * 9)) ** 0.5, rel=0.05)
    assert not net[0].bias.any() and not net[3].bias.any() and not net[2].bias.any()
    assert net[1].weight.item() == 0.25 and bool((net[2].weight == 1).all())


def test_a_pair_in_one_pass_is_what_two_passes_are() -> None:
    judge, guide = critics().eval(), noise(2, 3, 20, 16)
    real, fake = noise(2, 3, 20, 16, seed=1), noise(2, 3, 20, 16, seed=2)
    sides = judge.pair((guide, guide.flip(3)), (real, fake))
    for scales, alone in zip(sides, (judge(guide, real), judge(guide.flip(3), fake)), strict=True):
        for layers, others in zip(scales, alone, strict=True):
            for layer, other in zip(layers, others, strict=True):
                torch.testing.assert_close(layer, other)


def features(*scores: float) -> list[list[Tensor]]:
    return [[torch.full((1, 2, 4, 4), float(s)), torch.full((1, 1, 2, 2), float(s))] for s in scores]


def test_hinge_losses() -> None:
    assert patchgan.hinge_generator(features(2, -1)).item() == -0.5
    assert patchgan.hinge_discriminator(features(1, 2), features(-1, -3)).item() == 0
    assert patchgan.hinge_discriminator(features(0, 2), features(-1, 3)).item() == (1 + 4) / 2


def test_feature_matching_pulls_the_made_picture_only() -> None:
    real, fake = features(1, 2), features(1, 4)
    for scale in (*real, *fake):
        for layer in scale:
            layer.requires_grad_()
    loss = patchgan.feature_matching(real, fake)
    loss.backward()
    assert loss.item() == 1
    assert all(layer.grad is None for scale in real for layer in scale)
    assert [[layer.grad is not None for layer in scale] for scale in fake] == [[True, False]] * 2
