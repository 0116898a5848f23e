"""Recipe of the decoders of Optimal Textures (Risser 2020), after the training of Li et al. 2017 on one texture.

Each step encodes crops of the exemplars, taken at random scales since synthesis goes from coarse to fine, and moves
every decoder so that it gives back the pixels, and pixels that have the features again. All decoders are trained in
every step: so each check measures syntheses, which take all of them, and a run can end at any time.

Differs from the paper in: decoders see the exemplars alone, as a re-implementation recommends, not photographs of all
kinds; pixels and features are divided by their mean squares, so that layers weigh alike; the rate falls to zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.features import Extract, vgg19
from texsynth.learned.optimal_textures import method as transport
from texsynth.learned.optimal_textures.decoder import Decoders, Shape, initialise
from texsynth.metrics import metric
from texsynth.runs import loop
from texsynth.settings import plain, setting
from texsynth.task import Estimate, Exemplar, Stage, Task
from texsynth.training import recipes
from texsynth.training.recipes import SAMPLE_SEED, Training
from texsynth.weights.trained import Model

METHOD = "optimal-textures"
GUIDES: tuple[str, ...] = ()
PIXELS = transport.PIXELS
FIRST = 4  # crops that the decoders are scaled on
SHOWN, JUDGED = 128, 4  # pixels a side of the syntheses that are measured, and how many exemplars they are of
LEAST = 16  # pixels a side of an exemplar: the deepest layer still has one feature


@dataclass(frozen=True)
class Settings(recipes.Settings, Shape):
    """Defaults: a minute or two on two cores; the preset trains longer."""

    crop: int = setting(64, "side of the crops in pixels", low=LEAST, high=1024)
    batch: int = setting(1, "crops of a step", low=1, high=256)
    halvings: float = setting(2.0, "crops are taken at full size or up to so many halvings below", low=0.0, high=6.0)
    rate: float = setting(1e-3, "learning rate of Adam at the start", low=1e-6, high=1.0)
    feature: float = setting(1.0, "weight of the features' error; the pixels' is 1", low=0.0, high=1000.0)


def needs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The layers that are decoded, and what the metric looks at."""
    return recipes.needs(settings, {"vgg19": settings.ordered()})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training of all decoders together; raises InputError for exemplars too small."""
    _check(task.exemplars, max(LEAST, metric(settings.metric).about.smallest_side))
    images = [exemplar.image.to(task.device) for exemplar in task.exemplars]
    encode = vgg19.build(vgg19.Settings(pooling="max"), (False, False), task.weights["vgg19"])
    units = _units(images, encode, settings.ordered())
    first = torch.cat([_crop(images, settings, rng) for _ in range(FIRST)])
    with torch.no_grad():
        seen = encode(first, settings.ordered())
    net = initialise(Decoders(settings).to(task.device), task.weights["vgg19"].tensors, seen)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.rate)

    def step(number: int) -> dict[str, float]:
        optimiser.param_groups[0]["lr"] = rate(settings, number)
        optimiser.zero_grad()
        crops = torch.cat([_crop(images, settings, rng) for _ in range(settings.batch)])
        with torch.no_grad():
            seen = encode(crops, settings.ordered())
        errors = {}
        for name in settings.ordered():
            made = net[name](seen[name])
            error = F.mse_loss(made, crops) / units[PIXELS]
            error = error + settings.feature * F.mse_loss(encode(made, [name])[name], seen[name]) / units[name]
            error.backward()
            errors[name] = float(error.detach())
        optimiser.step()
        return errors

    def made(exemplar: Exemplar) -> Tensor:
        return _synthesis(task, settings, exemplar, net.state_dict())

    def sample() -> list[Tensor]:
        small = _middle(task.exemplars[0])
        return [small.image, made(small)]

    def measure() -> float:
        small = [_middle(exemplar) for exemplar in task.exemplars[:JUDGED]]
        return sum(recipes.score(settings, task, e.image, made(e)) for e in small) / len(small)

    return Training({"net": net}, {"adam": optimiser}, step, sample, measure, net.state_dict)


def _units(images: Sequence[Tensor], encode: Extract, layers: Sequence[str]) -> dict[str, float]:
    """What squared errors are divided by: the mean square of each layer's features and the variance of the pixels."""
    with torch.no_grad():
        seen = [encode(image, layers) for image in images]
    units = {name: sum(float(s[name].square().mean()) for s in seen) / len(seen) for name in layers}
    units[PIXELS] = sum(float((image - image.mean((2, 3), keepdim=True)).square().mean()) for image in images)
    units[PIXELS] = max(1e-4, units[PIXELS] / len(images))
    return {name: max(1e-8, unit) for name, unit in units.items()}


def rate(settings: Settings, number: int) -> float:
    """The learning rate of a step: half a cosine down to zero."""
    return settings.rate * (1 + math.cos(math.pi * number / settings.steps)) / 2


def _crop(images: Sequence[Tensor], settings: Settings, rng: torch.Generator) -> Tensor:
    """A random square of a random exemplar at a random scale, (1, 3, crop, crop)."""
    image = images[int(torch.randint(len(images), (), generator=rng))]
    short = min(image.shape[2:])
    side = min(short, round(settings.crop * 2 ** (settings.halvings * float(torch.rand((), generator=rng)))))
    top, left = (int(torch.randint(n - side + 1, (), generator=rng)) for n in image.shape[2:])
    window = image[:, :, top : top + side, left : left + side]
    size = (settings.crop, settings.crop)
    return F.interpolate(window, size, mode="bilinear", antialias=True) if side != settings.crop else window


def _synthesis(task: Task, settings: Settings, exemplar: Exemplar, tensors: Mapping[str, Tensor]) -> Tensor:
    """What the decoders now make of an exemplar, of its size, always of the same noise, (1, 3, h, w)."""
    model = Model("optimal-textures", plain(settings), tensors, {}, "the model in training", "")
    asked = Task((exemplar,), exemplar.size, device=task.device, weights=task.weights, model=model)
    stages = (Stage("transport", transport.Settings()),)
    done = loop.synthesize(asked, stages, torch.Generator().manual_seed(SAMPLE_SEED), lambda _: None, lambda _: None)
    if done.interrupted or done.canvas is None:  # the loop keeps what it has; training ends instead
        raise KeyboardInterrupt
    return done.canvas.image


def _middle(exemplar: Exemplar) -> Exemplar:
    """A window of an exemplar's middle that a synthesis of a second or two shows."""
    h, w = (min(SHOWN, side) for side in exemplar.size)
    top, left = (exemplar.size[0] - h) // 2, (exemplar.size[1] - w) // 2
    return replace(exemplar, image=exemplar.image[:, :, top : top + h, left : left + w], valid=None)


def _check(exemplars: Sequence[Exemplar], least: int) -> None:
    for exemplar in exemplars:
        h, w = exemplar.size
        if min(h, w) < least:
            raise InputError(f"{exemplar.name} is {w}x{h}, but at least {least}x{least} is needed; enlarge it")


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs on two cores at crops of 64 pixels."""
    pixels = settings.batch * settings.crop**2
    whole = sum(h * w for h, w in (exemplar.size for exemplar in task.exemplars))
    each = len(settings.ordered()) * pixels * 8e-6
    return Estimate(int(450e6 + 6000 * pixels + 1500 * whole), settings.steps * each + 4.0 * settings.checks)
