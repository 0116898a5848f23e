"""Pseudo Optimizer (Shi and Qiao 2020): a network that learns to lower the texture loss of any exemplar in one pass.

Every step takes a random crop of a random exemplar, and noise; the texture loss of what the network makes of the noise,
after each of its stages, is what is minimised. Trained on many exemplars it serves others like them; on one, that one.
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
from texsynth.patches.samples import tables
from texsynth.settings import setting
from texsynth.task import Estimate, Exemplar, Task
from texsynth.training import recipes
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "po"
GUIDES: tuple[str, ...] = ()
FLAT = 1e-10  # squared distance at which the root's slope ends
SHOWN = 4  # exemplars that are sampled and measured


@dataclass(frozen=True)
class Settings(recipes.Settings, po.Shape):
    """Defaults: the published training of ProPO."""

    metric: str = setting(
        "gram_distance", "by which the best network is kept", choices=("sliced", "gram_distance", "quality_po")
    )
    steps: int = setting(800_000, "updates of the network", low=1, high=10_000_000)
    crop: int = setting(224, "side of the pictures trained on", low=32, high=1024)
    side: int = setting(256, "exemplars are reduced to this shorter side, 0: as they are", low=0, high=8192)
    flips: str = setting("on", "mirror half of the crops; off keeps handedness", choices=("on", "off"))
    batch: int = setting(1, "crops a step", low=1, high=256)
    rate: float = setting(2e-4, "learning rate of Adam to half of the steps; it then falls to 0", low=1e-7, high=1.0)
    momentum: float = setting(0.5, "beta1 of Adam", low=0.0, high=0.999)
    stage_weight: float = setting(
        1.0, "how much each stage's loss counts, as a share of the next one's", low=0.0, high=1.0
    )
    epsilon: float = setting(1e-3, "of Adam, below which slopes make smaller steps", low=1e-12, high=1e6)
    distance: str = setting(
        "squared",
        "of Gram matrices in the loss: squared as published, or as a share of the exemplar's, by which all "
        "exemplars count alike",
        choices=("squared", "relative"),
    )
    stop_grad: str = setting("off", "every stage learns by itself: quicker, less memory, worse", choices=("on", "off"))


@dataclass(frozen=True)
class Source:
    """An exemplar at the size trained on. places: (n, 2), the upper left corners that crops may have."""

    image: Tensor
    valid: Tensor | None
    places: Tensor


def needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The layers of its loss, and the metric's."""
    return recipes.needs(settings, {"vgg19": settings.layers})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """Raises InputError for an exemplar smaller than a crop."""
    sources = [_source(exemplar, settings, task.device) for exemplar in task.exemplars]
    extract = vgg19.build(vgg19.Settings(), (False, False), task.weights["vgg19"])
    net = po.Net(settings)
    po.initialise(net, rng)
    net.to(task.device)
    adam = torch.optim.Adam(net.parameters(), settings.rate, (settings.momentum, 0.999), settings.epsilon)
    weights = [settings.stage_weight**back for back in range(len(net.stages))][::-1]

    def step(number: int) -> Mapping[str, float]:
        for group in adam.param_groups:
            group["lr"] = rate(number, settings)
        adam.zero_grad()
        totals = torch.zeros(len(weights), device=task.device)
        for _ in range(settings.batch):
            losses = _losses(net, extract, _crop(sources, settings, rng), settings, rng)
            stages = torch.stack(losses) / settings.batch
            (stages * stages.new_tensor(weights)).sum().backward()
            totals += stages.detach()
        adam.step()
        values = totals.tolist()
        return {"loss": sum(w * v for w, v in zip(weights, values, strict=True))} | {
            f"stage {s + 1}": value for s, value in enumerate(values)
        }

    def made() -> list[tuple[Tensor, Tensor]]:
        return [_made(net, extract, source, settings) for source in sources[:SHOWN]]

    def measure() -> float:
        values = [recipes.score(settings, task, exemplar, output) for exemplar, output in made()]
        return sum(values) / len(values)

    def sample() -> Sequence[Tensor]:
        return [torch.cat(pair, 3) for pair in made()]

    return Training({"net": net}, {"adam": adam}, step, sample, measure, net.state_dict)


def rate(number: int, settings: Settings) -> float:
    """The learning rate of a step: constant over the first half, then falling to 0 in a line."""
    return settings.rate * min(1.0, 2 * (1 - number / settings.steps))


def _source(exemplar: Exemplar, settings: Settings, device: torch.device) -> Source:
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
    known = torch.ones(1, 1, h, w) if valid is None else valid.float().cpu()
    places = (F.avg_pool2d(known, settings.crop, stride=1)[0, 0] >= 0.5).nonzero()
    if not len(places):
        raise InputError(
            f"{exemplar.name}: less than half of every {settings.crop}x{settings.crop} crop may be used; "
            "--set crop=N with N of at least 32"
        )
    return Source(image, None if valid is None else valid.to(device), places)


def _crop(sources: Sequence[Source], settings: Settings, rng: torch.Generator) -> Source:
    """A random part of a random exemplar."""
    source = sources[int(torch.randint(len(sources), (), generator=rng))]
    y, x = source.places[int(torch.randint(len(source.places), (), generator=rng))].tolist()
    flipped = settings.flips == "on" and float(torch.rand((), generator=rng)) < 0.5

    def cut(values: Tensor) -> Tensor:
        part = values[:, :, y : y + settings.crop, x : x + settings.crop]
        return part.flip(3) if flipped else part

    return Source(cut(source.image), None if source.valid is None else cut(source.valid), source.places)


@torch.no_grad()
def _wanted(extract: Extract, source: Source, settings: Settings) -> texture.Wanted:
    return texture.wanted([tables(extract(source.image, settings.layers), 1, 1, valid=source.valid)])


def _losses(net: po.Net, extract: Extract, source: Source, settings: Settings, rng: torch.Generator) -> list[Tensor]:
    """The loss after each stage, on the layers that this sees."""
    target = _wanted(extract, source, settings)
    z = po.start((settings.crop, settings.crop), rng, source.image.device)
    steps = po.unrolled(net, z, target, extract, cut=settings.stop_grad == "on")
    return [
        texture.total(_distances(seen, layers, target, settings))
        for (_, seen), layers in zip(steps, net.shape.seen, strict=True)
    ]


def _distances(
    seen: texture.Seen, layers: Sequence[str], target: texture.Wanted, settings: Settings
) -> Mapping[str, Tensor]:
    """What is minimised, by layer."""
    if settings.distance == "squared":
        return texture.terms(seen, layers)
    return {
        name: (seen.apart[name].square().sum() / target.grams[name].square().sum()).clamp(min=FLAT).sqrt()
        for name in layers
        if name in seen.apart
    }


@torch.no_grad()
def _made(net: po.Net, extract: Extract, source: Source, settings: Settings) -> tuple[Tensor, Tensor]:
    """The middle of an exemplar, at most twice a crop, and what is made from it, of the same size."""
    h, w = (min(n, 2 * settings.crop) for n in source.image.shape[2:])
    y, x = (source.image.shape[2] - h) // 2, (source.image.shape[3] - w) // 2
    valid = None if source.valid is None else source.valid[:, :, y : y + h, x : x + w]
    middle = Source(source.image[:, :, y : y + h, x : x + w], valid, source.places)
    target = _wanted(extract, middle, settings)
    z = po.start((h, w), torch.Generator().manual_seed(SAMPLE_SEED), source.image.device)
    for number, layers in enumerate(net.shape.seen):
        z = net(number, po.look(net, z, target, extract, layers), z, po.OFF, keep=False)
    return middle.image, z.sigmoid()


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to steps at 64 and 128 pixels on one core, of slim and of published networks."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in po.Net(settings).parameters())
    pixels, backward = len(settings.seen) * settings.crop**2, settings.slopes == "total"
    memory = 400e6 + 24 * parameters + pixels * ((3000 if backward else 1900) + 6300 * settings.width)
    work = settings.batch * pixels * ((7.5e-6 if backward else 3.5e-6) + 1.5e-5 * settings.width)
    return Estimate(int(memory), 5 + settings.steps * work)
