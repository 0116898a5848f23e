"""Recipe of texture networks: Ulyanov et al. 2016, and Houdard et al. 2021, Algorithm 2.

Each step draws noise, makes a sample with the network, and moves the weights so that the objectives of the sample fall:
Gram matrices (Ulyanov), the semi-dual of patch transport, whose potentials climb in the same step (Houdard), or guided
correspondence (Zhou et al. 2023). The network sees the exemplar through the objectives only.

Differs from the paper in: objectives are scaled once, by the size of their gradients at noise, and not at every step;
samples of a step are normalised one by one; the model keeps the mean statistics of such samples, and the last steps are
taken with these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.features import features
from texsynth.learned.shared.copies import labels
from texsynth.learned.texture_net.network import Shape, TextureNet, Window, filled, settled
from texsynth.objective import Objective
from texsynth.objective.values import Values, balance, values
from texsynth.settings import setting
from texsynth.task import Estimate, Task
from texsynth.training import exemplars, recipes
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "feed-forward"
GUIDES: tuple[str, ...] = ()
SMALLEST_EXEMPLAR = 16  # pixels a side
LARGEST_SAMPLE = 512  # pixels a side of samples that are measured and shown
SEMIDUAL = {"loss": "semidual", "features": "windows", "outputs": 1024, "ascents": 4}
PATCHES = Objective.read({**SEMIDUAL, "layers": ["full", "half", "quarter", "eighth"]}, "default")


@dataclass(frozen=True)
class Settings(recipes.Settings, Shape):
    """The defaults train by patch transport, which needs no weights.

    objectives: The objectives that are minimised together.
    balance: With on, weights are shares of the gradient at noise; with off, they are factors of the objectives' values.
    crop: The side of the samples in pixels.
    batch: The number of samples of a step.
    rate: The learning rate of Adam.
    constant: The share of the steps before the learning rate falls.
    decay: The factor of the learning rate at the last step.
    settle: The share of the steps, the last ones, with fixed batch norms.
    side: The shorter side to which exemplars are reduced; 0 keeps theirs.
    """

    objectives: tuple[Objective, ...] = setting((PATCHES,))
    balance: str = setting("on", choices=("on", "off"))
    crop: int = setting(128, low=SMALLEST_EXEMPLAR, high=4096)
    batch: int = setting(1, low=1, high=256)
    rate: float = setting(0.01, low=1e-6, high=1.0)
    constant: float = setting(0.0, low=0.0, high=1.0)
    decay: float = setting(1.0, low=1e-4, high=1.0)
    settle: float = setting(0.3, low=0.0, high=1.0)
    side: int = setting(256, low=0, high=8192)


def needs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The layers that the objectives and the metric look at."""
    return recipes.needs(settings, recipes.layers_of(settings.objectives))


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """Prepare the training of one network for all exemplars together; raises InputError for exemplars too small."""
    task = replace(task, exemplars=tuple(exemplars.reduced(e, settings.side) for e in task.exemplars))
    exemplars.check_sizes(task.exemplars, settings, SMALLEST_EXEMPLAR)
    crop = min(settings.crop, *(side for e in task.exemplars for side in e.size))
    memory: dict[str, Tensor] = {}
    objectives = values(replace(task, size=(crop, crop)), settings.objectives, "none", rng, memory)
    weights = [objective.weight for objective in settings.objectives]
    if settings.balance == "on":
        scales = balance(objectives, torch.rand(1, 3, crop, crop, generator=rng).to(task.device))
        weights = [weight * scale for weight, scale in zip(weights, scales, strict=True)]
    net = filled(TextureNet(settings), rng).to(task.device)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.rate)
    shown = task.exemplars[0]
    first_settled = settings.steps - round(settings.settle * settings.steps)

    def step(number: int) -> dict[str, float]:
        if number == first_settled:
            net.load_state_dict(settled(net.train(), SAMPLE_SEED, crop).state_dict())
        net.train(number < first_settled)
        optimiser.param_groups[0]["lr"] = rate(settings, number)
        optimiser.zero_grad()
        losses = _batch(net, objectives, weights, crop, settings.batch, rng)
        optimiser.step()
        return dict(zip(labels(settings.objectives), losses, strict=True))

    def measure() -> float:
        output = _sample(net, crop, shown.size)
        return recipes.mean_score(settings, task, [(e.image.to(output), output) for e in task.exemplars])

    return Training(
        modules={"net": net},
        optimisers={"adam": optimiser},
        step=step,
        sample=lambda: [shown.image.cpu(), _sample(net, crop, shown.size).cpu()],
        measure=measure,
        tensors=lambda: settled(net, SAMPLE_SEED, crop).state_dict(),
        memory=memory,
    )


def _batch(
    net: TextureNet, objectives: Values, weights: Sequence[float], crop: int, count: int, rng: torch.Generator
) -> list[float]:
    """Leave the gradient of a batch in the network's parameters; returns the mean value of every objective."""
    means = [0.0] * len(weights)
    for _ in range(count):
        terms = objectives(net(int(torch.randint(1 << 62, (), generator=rng)), Window(0, crop, 0, crop)))
        total = torch.stack([weight * term for weight, term in zip(weights, terms, strict=True)]).sum()
        (total / count).backward()
        means = [mean + float(term.detach()) / count for mean, term in zip(means, terms, strict=True)]
    return means


def rate(settings: Settings, number: int) -> float:
    """The learning rate of a step: constant at first, then falling exponentially."""
    share = max(0.0, number / settings.steps - settings.constant) / max(1 - settings.constant, 1e-9)
    return float(settings.rate * settings.decay**share)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs of every shipped objective at samples of 128 and 256 pixels."""
    pixels, width = settings.crop**2, settings.channels * settings.levels
    network = any(features(o.features).WEIGHTS for o in settings.objectives)
    distances = min(8000 * pixels, max(64 << 20, task.max_memory // 16))  # the matrix of patches against patches
    shown = min(settings.side or LARGEST_SAMPLE, LARGEST_SAMPLE) ** 2
    memory = distances + 40 * shown * width + pixels * (80 * width + (1000 if network else 0))
    seconds = pixels * (8e-8 * width + (5e-6 if network else 0))  # for each sample
    for objective in settings.objectives:
        if not features(objective.features).WEIGHTS:
            drawn = getattr(objective.loss_settings, "outputs", 0) or pixels  # patches of each layer, where drawn
            seconds += 1.6e-5 * min(pixels * 4 / 3, drawn * len(objective.layers))
    return Estimate(int(memory), settings.steps * settings.batch * seconds + settings.checks * 2)


def _sample(net: TextureNet, crop: int, size: tuple[int, int]) -> Tensor:
    """Make a picture of at most this size as the network does in use, always of the same noise."""
    height, width = (min(side, LARGEST_SAMPLE) for side in size)
    with torch.no_grad():
        image: Tensor = settled(net, SAMPLE_SEED, crop)(SAMPLE_SEED, Window(0, height, 0, width))
    return image.clamp(0, 1)
