"""What the recipes share that train a network against discriminators: settings, learning rates, and the steps of both.

The losses are those of SPADE (Park et al. 2019): the hinge loss, and the matching of discriminator features. A recipe
extends `Settings`, overrides the defaults that differ, and adds the weights of its own losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from texsynth.learned.shared import patchgan
from texsynth.learned.shared.patchgan import Pair, PatchGAN, hinge_discriminator
from texsynth.settings import setting
from texsynth.training import recipes

SMALLEST_CROP = 16  # pixels of a side
SAMPLE_SIDE = 256  # the most pixels of the sides of what is measured and shown
BETAS = (0.0, 0.9)  # of Adam, as in SPADE
Contest = tuple[Pair, Pair]  # maps (n, C, h, w), and pictures (n, 3, h, w), for discriminators to tell apart


@dataclass(frozen=True)
class Settings(recipes.Settings, patchgan.Shape):
    """The settings of every adversarial recipe.

    crop: The side of the crops, in pixels.
    batch: The number of crops, or of pairs of crops, in a step.
    flips: The texture may be mirrored.
    turns: The texture may be turned by right angles.
    rate: The learning rate of Adam for the network.
    discriminator_rate: The learning rate of Adam for the discriminators.
    decay: The last share of the steps, in which both rates fall to 0.
    adversarial: The weight of the hinge loss of the discriminators.
    matching: The weight of the discriminators' features.
    """

    crop: int = setting(96, low=SMALLEST_CROP, high=4096)
    batch: int = setting(1, low=1, high=256)
    flips: bool = setting(False)
    turns: bool = setting(False)
    rate: float = setting(1e-3, low=1e-7, high=1.0)
    discriminator_rate: float = setting(4e-4, low=1e-7, high=1.0, was="critic_rate")
    decay: float = setting(0.5, low=0.0, high=1.0)
    adversarial: float = setting(1.0, low=0.0, high=1e6)
    matching: float = setting(10.0, low=0.0, high=1e6)


@dataclass(frozen=True)
class Optimisers:
    """Adam for the network, and for its discriminators."""

    network: torch.optim.Adam
    discriminators: torch.optim.Adam


def optimisers(
    parameters: Iterable[nn.Parameter], discriminators: PatchGAN, settings: Settings, epsilon: float = 1e-8
) -> Optimisers:
    """Adam for a network's parameters, with that epsilon, and for its discriminators."""
    return Optimisers(
        torch.optim.Adam(parameters, settings.rate, BETAS, epsilon),
        torch.optim.Adam(discriminators.parameters(), settings.discriminator_rate, BETAS),
    )


def set_rates(both: Optimisers, settings: Settings, number: int) -> None:
    """Set the learning rates of a step: those of the settings, and over the last steps (`decay`) falling to 0."""
    factor = min(1.0, (1 - number / settings.steps) / settings.decay) if settings.decay else 1.0
    both.network.param_groups[0]["lr"] = settings.rate * factor
    both.discriminators.param_groups[0]["lr"] = settings.discriminator_rate * factor


def teach_discriminators(discriminators: PatchGAN, optimiser: torch.optim.Adam, contests: Sequence[Contest]) -> float:
    """One update of the discriminators, which score true pictures above 1 and outputs below -1; returns the mean loss
    over the contests, which go through one by one, so that memory holds one of them."""
    optimiser.zero_grad()
    mean = 0.0
    for contest in contests:
        conditions, (true, output) = contest
        real, fake = discriminators.pair(conditions, (true, output.detach()))
        loss = hinge_discriminator(real, fake) / len(contests)
        loss.backward()
        mean += float(loss.detach())
    optimiser.step()
    return mean


def teach_network(
    optimiser: torch.optim.Adam, losses: Mapping[str, Tensor], weights: Mapping[str, float]
) -> dict[str, float]:
    """One update of the network along the sum of its losses, each times the weight of its name; returns the losses."""
    optimiser.zero_grad()
    torch.stack([weights[name] * value for name, value in losses.items()]).sum().backward()
    optimiser.step()
    return {name: float(value.detach()) for name, value in losses.items()}
