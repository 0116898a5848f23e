"""Recipe of texture networks: Ulyanov et al. 2016, and Houdard et al. 2021, Algorithm 2.

Each step draws noise, makes a sample of a texture network, and moves the weights so that the objectives of the sample
fall: Gram matrices (Ulyanov), the semi-dual of patch transport, whose potentials climb in the same step (Houdard), or
guided correspondence (Zhou et al. 2023). The exemplar is only ever seen through the objectives.

Differs from the paper in: objectives are scaled once, by the size of their gradients at noise, and not at every step;
samples of a step are normalised one by one; the model keeps the mean statistics of such samples, and the last steps are
taken with these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.features import features
from texsynth.learned.texture_net.network import Shape, TextureNet, Window, filled, settled
from texsynth.metrics import metric
from texsynth.objective import Objective
from texsynth.objective.values import balance, values
from texsynth.settings import setting
from texsynth.task import Estimate, Exemplar, Task
from texsynth.training import recipes as training
from texsynth.training.recipes import SEED, Training

METHOD = "feed-forward"
GUIDES: tuple[str, ...] = ()
LEAST = 16  # pixels a side of an exemplar
SHOWN = 512  # of a sample that is measured and shown, at most
PATCHES = Objective.read(
    {
        "loss": "semidual",
        "features": "windows",
        "layers": ["full", "half", "quarter", "eighth"],
        "outputs": 1024,
        "ascents": 4,
    },
    "default",
)


@dataclass(frozen=True)
class Settings(training.Settings, Shape):
    """Defaults: patch transport, which needs no weights."""

    objectives: tuple[Objective, ...] = setting((PATCHES,), "what is minimised together")
    balance: str = setting(
        "on", "weights are shares of the gradient at noise; off: factors of the values", choices=("on", "off")
    )
    crop: int = setting(128, "side of the samples, at most the exemplar's", low=LEAST, high=4096)
    batch: int = setting(1, "samples of a step", low=1, high=256)
    rate: float = setting(0.01, "learning rate of Adam", low=1e-6, high=1.0)
    constant: float = setting(0.0, "share of the steps before the rate falls", low=0.0, high=1.0)
    decay: float = setting(1.0, "factor of the rate at the last step", low=1e-4, high=1.0)
    settle: float = setting(0.3, "share of the steps, the last, with norms as in use", low=0.0, high=1.0)
    side: int = setting(256, "exemplars are reduced to this shorter side; 0: never", low=0, high=8192)


def needs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """What the objectives and the metric look at."""
    own: dict[str, list[str]] = {}
    for objective in settings.objectives:
        own.setdefault(objective.features, []).extend(objective.layers)
    return training.needs(settings, own)


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training of one network for all exemplars together; raises InputError for exemplars too small."""
    exemplars = tuple(_reduced(exemplar, settings.side) for exemplar in task.exemplars)
    _check(exemplars, max(LEAST, metric(settings.metric).LEAST))
    crop = min(settings.crop, *(side for e in exemplars for side in e.size))
    task = replace(task, exemplars=exemplars, size=(crop, crop))
    memory: dict[str, Tensor] = {}
    of = values(task, settings.objectives, "none", rng, memory)
    shares = [o.weight for o in settings.objectives]
    if settings.balance == "on":
        sizes = balance(of, torch.rand(1, 3, crop, crop, generator=rng).to(task.device))
        shares = [share * size for share, size in zip(shares, sizes, strict=True)]
    net = filled(TextureNet(settings), rng).to(task.device)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.rate)

    frozen = settings.steps - round(settings.settle * settings.steps)  # the step from which norms no longer change

    def step(number: int) -> dict[str, float]:
        if number == frozen:
            net.load_state_dict(settled(net.train(), SEED, crop).state_dict())
        net.train(number < frozen)
        optimiser.param_groups[0]["lr"] = rate(settings, number)
        optimiser.zero_grad()
        sums = [0.0] * len(shares)
        for _ in range(settings.batch):
            found = of(net(int(torch.randint(1 << 62, (), generator=rng)), Window(0, crop, 0, crop)))
            total = torch.stack([share * value for share, value in zip(shares, found, strict=True)]).sum()
            (total / settings.batch).backward()
            sums = [known + float(value.detach()) / settings.batch for known, value in zip(sums, found, strict=True)]
        optimiser.step()
        return dict(zip(_labels(settings.objectives), sums, strict=True))

    def sample() -> list[Tensor]:
        return [exemplars[0].image.cpu(), _sample(net, crop, exemplars[0].size).cpu()]

    def measure() -> float:
        made = _sample(net, crop, exemplars[0].size)
        scores = [training.score(settings, task, e.image.to(made), made) for e in exemplars]
        return sum(scores) / len(scores)

    def tensors() -> Mapping[str, Tensor]:
        return settled(net, SEED, crop).state_dict()

    return Training({"net": net}, {"adam": optimiser}, step, sample, measure, tensors, memory)


def rate(settings: Settings, number: int) -> float:
    """The learning rate of a step."""
    share = max(0.0, number / settings.steps - settings.constant) / max(1 - settings.constant, 1e-9)
    return float(settings.rate * settings.decay**share)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs of every shipped objective at samples of 128 and 256 pixels."""
    pixels, width = settings.crop**2, settings.channels * settings.levels
    network = any(features(o.features).WEIGHTS for o in settings.objectives)
    largest = min(8000 * pixels, max(64 << 20, task.max_memory // 16))  # matrix of patches against patches
    shown = min(settings.side or SHOWN, SHOWN) ** 2
    memory = 450e6 + largest + 40 * shown * width + pixels * (80 * width + (1000 if network else 0))
    each = pixels * (8e-8 * width + (5e-6 if network else 0))
    for objective in settings.objectives:
        if not features(objective.features).WEIGHTS:
            drawn = getattr(objective.of_loss, "outputs", 0) or pixels  # of each layer, where a loss draws any
            each += 1.2e-5 * min(pixels * 4 / 3, drawn * len(objective.layers))
    return Estimate(int(memory), settings.steps * settings.batch * each + settings.checks * 2)


def _sample(net: TextureNet, crop: int, size: tuple[int, int]) -> Tensor:
    """What the network makes in use, always of the same noise: of that size, or less where it is large."""
    height, width = (min(side, SHOWN) for side in size)
    with torch.no_grad():
        made: Tensor = settled(net, SEED, crop)(SEED, Window(0, height, 0, width))
    return made.clamp(0, 1)


def _reduced(exemplar: Exemplar, side: int) -> Exemplar:
    """An exemplar whose shorter side is at most `side`; 0: as it is."""
    short = min(exemplar.size)
    level = math.log2(short / side) if 0 < side < short else 0.0
    return Task((exemplar,), exemplar.size).at(level).exemplars[0]


def _check(exemplars: Sequence[Exemplar], least: int) -> None:
    for exemplar in exemplars:
        h, w = exemplar.size
        if min(h, w) < least:
            raise InputError(f"{exemplar.name} is {w}x{h}, but at least {least}x{least} is needed; enlarge it")


def _labels(objectives: Sequence[Objective]) -> list[str]:
    """A word for each objective: its loss, numbered where there are several of it."""
    named = [o.loss for o in objectives]
    return [f"{n}-{named[:i].count(n) + 1}" if named.count(n) > 1 else n for i, n in enumerate(named)]
