"""Recipe of the decoders of Optimal Textures (Risser 2020), after the training of Li et al. 2017 on one texture.

Each step encodes crops of the exemplars, at random scales because synthesis goes from coarse to fine, and trains every
decoder to give back the pixels, and pixels whose features are the same. Every step trains all decoders. So each check
can measure a synthesis, which uses all of them, and a run can end at any time.

Differs from the paper in: decoders learn from the exemplars alone, as a re-implementation recommends, not from
photographs of all kinds; pixels and features are divided by their mean squares, so that layers have equal weights; the
learning rate falls to zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract, vgg19
from texsynth.learned.optimal_textures import method as synthesis
from texsynth.learned.optimal_textures.decoder import Decoders, Shape, initialise
from texsynth.learned.optimal_textures.method import PIXELS
from texsynth.learned.shared.conv import OFF
from texsynth.runs import loop
from texsynth.settings import plain, setting
from texsynth.task import Estimate, Exemplar, Stage, Task
from texsynth.training import recipes
from texsynth.training.exemplars import check_sizes, middle
from texsynth.training.recipes import SAMPLE_SEED, Training
from texsynth.weights.trained import Model

METHOD = "optimal-textures"
GUIDES: tuple[str, ...] = ()
INITIAL_CROPS = 4  # crops that scale the first weights of the decoders
LARGEST_SAMPLE = 128  # pixels a side of the syntheses that are measured and shown, which take a second or two
MOST_SAMPLES = 4  # exemplars that are measured
SMALLEST_EXEMPLAR = 16  # pixels a side, where the deepest layer still has one feature


@dataclass(frozen=True)
class Settings(recipes.Settings, Shape):
    """The defaults take a minute or two on two cores; the preset trains longer.

    crop: The side of the crops in pixels.
    batch: The number of crops of a step.
    halvings: The largest number of halvings at which crops are taken.
    rate: The learning rate of Adam at the first step.
    feature: The weight of the features' error; the pixels' is 1.
    """

    crop: int = setting(64, low=SMALLEST_EXEMPLAR, high=1024)
    batch: int = setting(1, low=1, high=256)
    halvings: float = setting(2.0, low=0.0, high=6.0)
    rate: float = setting(1e-3, low=1e-6, high=1.0)
    feature: float = setting(1.0, low=0.0, high=1000.0)


def needs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The layers that are decoded, and those of the metric."""
    return recipes.needs(settings, {"vgg19": settings.ordered()})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """Prepare the training of all decoders together; raises InputError for exemplars too small."""
    check_sizes(task.exemplars, settings, SMALLEST_EXEMPLAR)
    layers = settings.ordered()
    images = [exemplar.image.to(task.device) for exemplar in task.exemplars]
    encode = vgg19.build(vgg19.Settings(pooling="max"), OFF, task.weights["vgg19"])
    units = _units(images, encode, layers)
    first_crops = torch.cat([_crop(images, settings, rng) for _ in range(INITIAL_CROPS)])
    with torch.no_grad():
        first_features = encode(first_crops, layers)
    net = initialise(Decoders(settings).to(task.device), task.weights["vgg19"].tensors, first_features)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.rate)

    def step(number: int) -> dict[str, float]:
        optimiser.param_groups[0]["lr"] = rate(settings, number)
        optimiser.zero_grad()
        crops = torch.cat([_crop(images, settings, rng) for _ in range(settings.batch)])
        with torch.no_grad():
            features = encode(crops, layers)
        errors = {}
        for name in layers:
            decoded = net[name](features[name])
            error = F.mse_loss(decoded, crops) / units[PIXELS]
            again = encode(decoded, [name])[name]
            error = error + settings.feature * F.mse_loss(again, features[name]) / units[name]
            error.backward()
            errors[name] = float(error.detach())
        optimiser.step()
        return errors

    def pairs(count: int) -> list[tuple[Tensor, Tensor]]:
        shown = [replace(e, image=middle(e.image, LARGEST_SAMPLE), valid=None) for e in task.exemplars[:count]]
        return [(e.image.to(task.device), _synthesis(task, settings, e, net.state_dict())) for e in shown]

    return Training(
        modules={"net": net},
        optimisers={"adam": optimiser},
        step=step,
        sample=lambda: pairs(1)[0],
        measure=lambda: recipes.mean_score(settings, task, pairs(MOST_SAMPLES)),
        tensors=net.state_dict,
    )


def _units(images: Sequence[Tensor], encode: Extract, layers: Sequence[str]) -> dict[str, float]:
    """The numbers that squared errors are divided by: the mean square of each layer, and the variance of the pixels."""
    with torch.no_grad():
        features = [encode(image, layers) for image in images]
    units = {name: sum(float(f[name].square().mean()) for f in features) / len(features) for name in layers}
    units[PIXELS] = sum(float((image - image.mean((2, 3), keepdim=True)).square().mean()) for image in images)
    units[PIXELS] = max(1e-4, units[PIXELS] / len(images))
    return {name: max(1e-8, unit) for name, unit in units.items()}


def rate(settings: Settings, number: int) -> float:
    """The learning rate of a step: half a cosine down to zero."""
    return settings.rate * (1 + math.cos(math.pi * number / settings.steps)) / 2


def _crop(images: Sequence[Tensor], settings: Settings, rng: torch.Generator) -> Tensor:
    """Draw a random square of a random exemplar at a random scale, (1, 3, crop, crop)."""
    image = images[int(torch.randint(len(images), (), generator=rng))]
    short = min(image.shape[2:])
    side = min(short, round(settings.crop * 2 ** (settings.halvings * float(torch.rand((), generator=rng)))))
    top, left = (int(torch.randint(n - side + 1, (), generator=rng)) for n in image.shape[2:])
    window = image[:, :, top : top + side, left : left + side]
    size = (settings.crop, settings.crop)
    return F.interpolate(window, size, mode="bilinear", antialias=True) if side != settings.crop else window


def _synthesis(task: Task, settings: Settings, exemplar: Exemplar, tensors: Mapping[str, Tensor]) -> Tensor:
    """Synthesise (1, 3, h, w) from an exemplar, of its size, with these decoders, and always from the same noise."""
    model = Model("optimal-textures", plain(settings), tensors, {}, "the model in training", "")
    asked = Task((exemplar,), exemplar.size, device=task.device, weights=task.weights, model=model)
    stages = (Stage("optimal_textures", synthesis.Settings()),)
    outcome = loop.synthesize(asked, stages, torch.Generator().manual_seed(SAMPLE_SEED), lambda _: None, lambda _: None)
    if outcome.interrupted or outcome.canvas is None:  # the loop of synthesis keeps its canvas; training ends instead
        raise KeyboardInterrupt
    return outcome.canvas.image


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs on two cores at crops of 64 pixels."""
    pixels = settings.batch * settings.crop**2
    whole = sum(h * w for h, w in (exemplar.size for exemplar in task.exemplars))
    seconds = len(settings.ordered()) * pixels * 8e-6  # for each step
    return Estimate(6000 * pixels + 1500 * whole, settings.steps * seconds + 4.0 * settings.checks)
