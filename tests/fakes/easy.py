"""A recipe for tests: three numbers that learn the mean colour of the exemplars, with some chance, at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from texsynth.settings import setting
from texsynth.task import Estimate
from texsynth.training import recipes
from texsynth.training.recipes import Training

METHOD = "painted"
GUIDES = ()


@dataclass(frozen=True)
class Settings(recipes.Settings):
    steps: int = setting(6, "updates", low=1)
    checks: int = setting(3, "checks", low=1)
    rate: float = setting(0.1, "of Adam", low=0.0)
    fail: int = setting(0, "the step at which the loss is lost")
    layers: tuple[str, ...] = setting((), "of VGG-19")


def needs(settings):
    return {"vgg19": settings.layers} if settings.layers else {}


def build(task, settings, rng):
    goal = torch.stack([e.image.mean((0, 2, 3)) for e in task.exemplars]).mean(0)
    net = nn.Module()
    net.colour = nn.Parameter(torch.rand(3, generator=rng))
    optimiser = torch.optim.Adam([net.colour], lr=settings.rate)
    updates = torch.zeros(())

    def distance():
        return (net.colour.detach() - goal).abs().mean()

    def step(number):
        optimiser.zero_grad()
        loss = (net.colour - goal - 0.01 * torch.randn(3, generator=rng)).square().sum()
        loss.backward()
        optimiser.step()
        updates.add_(1)
        return {"loss": float("nan") if number + 1 == settings.fail else float(loss.detach())}

    return Training(
        modules={"net": net},
        optimisers={"adam": optimiser},
        step=step,
        sample=lambda: [net.colour.detach().clamp(0, 1).view(1, 3, 1, 1).expand(1, 3, 8, 8)],
        measure=lambda: float(distance()),
        tensors=lambda: {"colour": net.colour, "seen": updates},
        memory={"seen": updates},
    )


def estimate(task, settings):
    return Estimate(100 << 20, 0.01 * settings.steps)
