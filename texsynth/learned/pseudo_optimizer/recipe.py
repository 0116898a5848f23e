"""Pseudo Optimizer (Shi and Qiao 2020): a network that learns to lower the texture loss of any exemplar in one pass.

Every step takes a random crop of a random exemplar, and noise, and minimises the texture loss of the network's output
after each of its stages. Trained on many exemplars a model serves others like them; trained on one it serves that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.features import Extract, vgg19
from texsynth.learned.pseudo_optimizer import loss as texture
from texsynth.learned.pseudo_optimizer import network as po
from texsynth.learned.shared.conv import OFF
from texsynth.patches.samples import tables
from texsynth.settings import setting
from texsynth.task import Estimate, Exemplar, Task
from texsynth.training import recipes
from texsynth.training.exemplars import middle
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "po"
GUIDES: tuple[str, ...] = ()
SMALLEST_DISTANCE = 1e-10  # squared; below it the square root has no gradient
MOST_SAMPLES = 4  # exemplars that are sampled and measured


@dataclass(frozen=True)
class Settings(recipes.Settings, po.Shape):
    """The defaults are the published training of ProPO.

    metric: The metric of the best network.
    crop: The side of the crops in pixels.
    side: The shorter side to which exemplars are reduced; 0 keeps theirs.
    flips: With on, half of the crops are mirrored.
    batch: The number of crops of a step.
    rate: The learning rate of Adam over the first half of the steps; then it falls to 0.
    momentum: The first momentum (beta1) of Adam.
    stage_weight: The weight of a stage's loss as a share of the next stage's.
    epsilon: The epsilon of Adam; gradients below it make smaller steps.
    distance: The distance of Gram matrices in the loss: squared as published, or relative to the exemplar's matrices,
        which gives all exemplars the same weight.
    stop_grad: With on, every stage learns by itself, which is quicker but gives worse results.
    """

    metric: str = setting("gram_distance", choices=("sliced", "gram_distance", "quality_po"))
    steps: int = setting(800_000, low=1, high=10_000_000)
    crop: int = setting(224, low=32, high=1024)
    side: int = setting(256, low=0, high=8192)
    flips: str = setting("on", choices=("on", "off"))
    batch: int = setting(1, low=1, high=256)
    rate: float = setting(2e-4, low=1e-7, high=1.0)
    momentum: float = setting(0.5, low=0.0, high=0.999)
    stage_weight: float = setting(1.0, low=0.0, high=1.0)
    epsilon: float = setting(1e-3, low=1e-12, high=1e6)
    distance: str = setting("squared", choices=("squared", "relative"))
    stop_grad: str = setting("off", choices=("on", "off"))


@dataclass(frozen=True)
class Crop:
    """An exemplar or a part of it, (1, 3, H, W); nothing may be learned from where `valid`, (1, 1, H, W), is False."""

    image: Tensor
    valid: Tensor | None


@dataclass(frozen=True)
class CropSource:
    """An exemplar at the size that is trained on, and the upper left corners (n, 2), as (y, x), that crops may have."""

    whole: Crop
    corners: Tensor


def needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The layers of the texture loss, and those of the metric."""
    return recipes.needs(settings, {"vgg19": settings.layers})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """Prepare the training of one network; raises InputError for an exemplar that has no room for a crop."""
    sources = [source_of(exemplar, settings, task.device) for exemplar in task.exemplars]
    extract = vgg19.build(vgg19.Settings(), OFF, task.weights["vgg19"])
    net = po.PseudoOptimizer(settings)
    po.initialise(net, rng)
    net.to(task.device)
    adam = torch.optim.Adam(net.parameters(), settings.rate, (settings.momentum, 0.999), settings.epsilon)
    weights = [settings.stage_weight**back for back in range(len(net.stages))][::-1]

    def step(number: int) -> Mapping[str, float]:
        adam.param_groups[0]["lr"] = rate(settings, number)
        adam.zero_grad()
        totals = torch.zeros(len(weights), device=task.device)
        for _ in range(settings.batch):
            losses = _losses(net, extract, draw_crop(sources, settings, rng), settings, rng)
            stages = torch.stack(losses) / settings.batch
            (stages * stages.new_tensor(weights)).sum().backward()
            totals += stages.detach()
        adam.step()
        values = totals.tolist()
        loss = sum(w * v for w, v in zip(weights, values, strict=True))
        return {"loss": loss} | {f"stage {s}": value for s, value in enumerate(values, 1)}

    def outputs() -> list[tuple[Tensor, Tensor]]:
        return [_output(net, extract, source, settings) for source in sources[:MOST_SAMPLES]]

    return Training(
        modules={"net": net},
        optimisers={"adam": adam},
        step=step,
        sample=lambda: [torch.cat(pair, 3) for pair in outputs()],
        measure=lambda: recipes.mean_score(settings, task, outputs()),
        tensors=net.state_dict,
    )


def rate(settings: Settings, number: int) -> float:
    """The learning rate of a step: constant over the first half, then falling to 0 in a line."""
    return settings.rate * min(1.0, 2 * (1 - number / settings.steps))


def source_of(exemplar: Exemplar, settings: Settings, device: torch.device) -> CropSource:
    """Reduce an exemplar, and find the crops that are at least half valid; raises InputError if there are none."""
    image, valid = exemplar.image.to(device), exemplar.valid
    share = settings.side / min(exemplar.size)
    if 0 < share < 1:
        size = [round(n * share) for n in exemplar.size]
        image = F.interpolate(image, size, mode="bilinear", antialias=True).clamp(0, 1)
        valid = None if valid is None else F.interpolate(valid.float(), size, mode="nearest") > 0
    h, w = image.shape[2:]
    if min(h, w) < settings.crop:
        raise InputError(
            f"{exemplar.name} is {w}x{h} in training, but crops are {settings.crop}x{settings.crop}; "
            "give a larger exemplar, or --set crop=N with N of at least 32"
        )
    usable = torch.ones(1, 1, h, w) if valid is None else valid.float().cpu()
    corners = (F.avg_pool2d(usable, settings.crop, stride=1)[0, 0] >= 0.5).nonzero()
    if not len(corners):
        raise InputError(
            f"{exemplar.name}: less than half of every {settings.crop}x{settings.crop} crop may be used; "
            "--set crop=N with N of at least 32"
        )
    return CropSource(Crop(image, None if valid is None else valid.to(device)), corners)


def draw_crop(sources: Sequence[CropSource], settings: Settings, rng: torch.Generator) -> Crop:
    """Draw a random crop of a random exemplar, mirrored half of the time where that is allowed."""
    source = sources[int(torch.randint(len(sources), (), generator=rng))]
    y, x = source.corners[int(torch.randint(len(source.corners), (), generator=rng))].tolist()
    flipped = settings.flips == "on" and float(torch.rand((), generator=rng)) < 0.5

    def cut(values: Tensor) -> Tensor:
        part = values[:, :, y : y + settings.crop, x : x + settings.crop]
        return part.flip(3) if flipped else part

    image, valid = source.whole.image, source.whole.valid
    return Crop(cut(image), None if valid is None else cut(valid))


@torch.no_grad()
def _target(extract: Extract, crop: Crop, settings: Settings) -> texture.TextureTarget:
    return texture.target_of([tables(extract(crop.image, settings.layers), 1, 1, valid=crop.valid)])


def _losses(
    net: po.PseudoOptimizer, extract: Extract, crop: Crop, settings: Settings, rng: torch.Generator
) -> list[Tensor]:
    """The loss after each stage, on the layers that this stage takes in."""
    target = _target(extract, crop, settings)
    z = po.start((settings.crop, settings.crop), rng, crop.image.device)
    steps = po.unrolled(net, z, target, extract, cut=settings.stop_grad == "on")
    return [
        texture.total(distances(comparison, layers, target, settings))
        for (_, comparison), layers in zip(steps, net.shape.stage_layers, strict=True)
    ]


def distances(
    comparison: texture.GramComparison, layers: Sequence[str], target: texture.TextureTarget, settings: Settings
) -> Mapping[str, Tensor]:
    """The distance between picture and target that training minimises, for each layer that the picture has."""
    if settings.distance == "squared":
        return texture.terms(comparison, layers)
    shares = {
        name: comparison.differences[name].square().sum() / target.grams[name].square().sum()
        for name in layers
        if name in comparison.differences
    }
    return {name: share.clamp(min=SMALLEST_DISTANCE).sqrt() for name, share in shares.items()}


@torch.no_grad()
def _output(net: po.PseudoOptimizer, extract: Extract, source: CropSource, settings: Settings) -> tuple[Tensor, Tensor]:
    """The middle of an exemplar, at most twice a crop wide, and what the network makes from it, of the same size."""
    side, valid = 2 * settings.crop, source.whole.valid
    crop = Crop(middle(source.whole.image, side), None if valid is None else middle(valid, side))
    target = _target(extract, crop, settings)
    size = crop.image.shape[2], crop.image.shape[3]
    z = po.start(size, torch.Generator().manual_seed(SAMPLE_SEED), crop.image.device)
    for number, layers in enumerate(net.shape.stage_layers):
        z = net(number, net.compare(z, target, extract, layers), z, OFF, keep=False)
    return crop.image, z.sigmoid()


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to steps at 64 and 128 pixels on one core, of slim and of published networks."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in po.PseudoOptimizer(settings).parameters())
    pixels, backward = len(settings.stage_layers) * settings.crop**2, settings.slopes == "total"
    memory = 24 * parameters + pixels * ((3000 if backward else 1900) + 6300 * settings.width)
    work = settings.batch * pixels * ((7.5e-6 if backward else 3.5e-6) + 1.5e-5 * settings.width)
    return Estimate(int(memory), 3 + settings.steps * work)
