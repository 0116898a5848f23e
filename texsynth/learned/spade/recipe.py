"""Recipe of SPADE (Park et al. 2019) for textures under maps at once: Zhou et al. 2023, supplement B.

At first crops of the exemplars are rebuilt from their maps, by SPADE's losses: hinge, discriminator features, and what
a network or windows see. Then pictures are made for maps of which there is none: perturbed, stretched and turned, or
pure noise (`_targets`). Discriminators see exemplars with their maps beside these pictures with theirs, and guided
correspondence wants patches from where the maps have like values. Some crops are still rebuilt, or they are forgotten.

Differs from the paper in: noise of position stands beside the maps, so that there are many pictures for them; by
default no VGG-19 is looked at: place by place only reduced pixels are compared, and patches as distributions, region by
region of the maps, in both stages. Where directions are asked for, exemplars are turned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.features import features, vgg19
from texsynth.guidance.procedural import perlin
from texsynth.learned.shared import adversarial, patchgan, rebuilt
from texsynth.learned.shared import copies as steered
from texsynth.learned.shared.conditions import encode
from texsynth.learned.shared.conv import initialise
from texsynth.learned.shared.generator import Generator
from texsynth.learned.shared.regions import bank
from texsynth.learned.spade import network as guided
from texsynth.learned.spade.step import Parts, encoded, lesson, taught
from texsynth.learned.texture_net.network import Window
from texsynth.objective import Objective
from texsynth.settings import setting
from texsynth.task import Estimate, Guide, Task
from texsynth.training import recipes
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "feed-forward"
GUIDES: tuple[str, ...] = ("labels", "progression", "orientation")
GAIN = 1.0  # of first values, as runs of some thousand steps need it
SHOWN = 256  # of the exemplar that is measured and shown, at most
OFF = (False, False)  # nothing wraps
WINDOWS = {"features": "windows", "layers": ["full", "half", "quarter"]}
GUIDED = {"loss": "correspondence", **WINDOWS, "distance": "squared", "patch": 5, "stride": 3, "sample": 512}
SHARE = 0.2  # of the correspondence: with more it outweighs all else, and smooths
OBJECTIVES = (Objective.read({**GUIDED, "weight": SHARE}, "default"),)


@dataclass(frozen=True)
class Settings(adversarial.Settings, guided.Shape):
    """Defaults: about ten minutes of one core, without weights."""

    steps: int = setting(2000, "The number of updates of the network.", low=1, high=10_000_000)
    discriminator_layers: int = setting(
        3, "The convolutions before the scores; all but the last one halve the map.", low=2, high=6
    )
    first: float = setting(0.4, "The share of the steps, the first ones, that rebuild crops.", low=0.0, high=1.0)
    mixed: float = setting(0.2, "The share of the later steps that rebuild crops, too.", low=0.0, high=1.0)
    perturbed: float = setting(
        0.1, "The share of drawn maps that are crops of the exemplars' maps, perturbed by noise.", low=0.0, high=1.0
    )
    stretched: float = setting(
        0.7, "The share of drawn maps that are the exemplars' maps, stretched and turned.", low=0.001, high=1.0
    )
    perlin: float = setting(0.2, "The share of drawn maps that are Perlin noise.", low=0.0, high=1.0)
    factor: float = setting(1.5, "The largest factor by which maps are stretched or pressed.", low=1.0, high=8.0)
    objectives: tuple[Objective, ...] = setting(
        OBJECTIVES, "The losses that compare outputs for drawn maps with the exemplars."
    )
    features: str = setting(
        "windows", "The features that compare rebuilt crops place by place.", choices=("windows", "vgg19")
    )
    rate: float = setting(3e-3, "The learning rate of Adam for the network.", low=1e-7, high=1.0)
    unpaired: float = setting(
        0.2,
        "The factor of the hinge loss for drawn maps, which discriminators tell from true ones.",
        low=0.0,
        high=1.0,
    )
    perceptual: float = setting(
        10.0, "The weight of what is compared place by place in rebuilt crops.", low=0.0, high=1e6
    )
    texture: float = setting(
        30.0, "The weight of the distance between distributions of patches, region by region.", low=0.0, high=1e6
    )
    side: int = setting(
        256, "The shorter side in pixels to which exemplars are reduced; 0 keeps their size.", low=0, high=8192
    )


def needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """What the objectives, the perceptual loss and the metric look at."""
    own: dict[str, list[str]] = {}
    for objective in settings.objectives:
        own.setdefault(objective.features, []).extend(objective.layers)
    if settings.features == "vgg19":
        own.setdefault("vgg19", []).extend(rebuilt.PERCEPTUAL)
    return recipes.needs(settings, {name: layers for name, layers in own.items() if features(name).WEIGHTS})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training of one network for all exemplars together; raises InputError for exemplars too small, and UsageError
    without the package that draws Perlin noise."""
    if settings.first < 1 and settings.perturbed + settings.perlin > 0:
        perlin((2, 2), 2)
    parts = _parts(_reduced(task, settings.side), settings, rng)
    net, critic = parts.net, parts.critic
    optimisers = adversarial.optimisers(net.parameters(), critic, settings)

    def step(number: int) -> Mapping[str, float]:
        adversarial.set_rates(optimisers, settings, number)
        net.train(), critic.train()
        early = number < round(settings.steps * settings.first)
        paired = early or float(torch.rand((), generator=rng)) < settings.mixed
        return taught(parts, optimisers, [lesson(parts, paired) for _ in range(settings.batch)])

    def sample() -> Sequence[Tensor]:
        return [torch.cat(row, 3).cpu() for row in _shown(parts, 2)]

    def measure() -> float:
        return recipes.score(settings, parts.task, _middle(parts.copies[0].image), _shown(parts, 1)[0][-1])

    return Training(
        {"net": net, "critic": critic},
        {"network": optimisers.network, "critic": optimisers.discriminators},
        step,
        sample,
        measure,
        net.state_dict,
        parts.bank.memory,
    )


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs at crops of 64 to 192 pixels and widths of 16 and 32."""
    with torch.device("meta"):
        count = sum(p.numel() for p in Generator(settings, 4).parameters())
    pixels = settings.batch * min(settings.crop, *(side for e in task.exemplars for side in e.size)) ** 2
    turned = steered.TURNS if any(guide.distance == "direction" for guide in task.guides) else 1
    kept = sum(min(1.0, settings.side / min(e.size) or 1.0) ** 2 * math.prod(e.size) for e in task.exemplars) * turned
    network = "vgg19" in needs(settings)
    memory = 300e6 + 20 * count + settings.width * (450 * pixels + 60 * SHOWN**2) + 50 * kept + min(1e8, 3e3 * kept)
    memory += 3000 * pixels + 1200 * kept if network else 0
    each = pixels * (1e-6 * settings.width + (3e-5 if network else 0))
    later = (1 - settings.first) * (1 - settings.mixed) * settings.batch * 0.12 * (3 if network else 1)
    return Estimate(int(memory), settings.steps * (each + later) + settings.checks * 1.5)


def _parts(task: Task, settings: Settings, rng: torch.Generator) -> Parts:
    for exemplar in task.exemplars:
        h, w = exemplar.size
        if min(h, w) < settings.crop:
            told = f"{exemplar.name} is {w}x{h}, which has no room for crops of {settings.crop}x{settings.crop}"
            raise InputError(f"{told}; --set crop={min(h, w)} fits, or give a larger exemplar")
    copies = steered.copies(task, settings.flips, settings.turns)
    crops = [place for place, copy in enumerate(copies) if min(copy.image.shape[2:]) >= settings.crop]
    see = None
    if settings.features == "vgg19":
        extract = vgg19.build(vgg19.Settings(), OFF, task.weights["vgg19"])
        see = rebuilt.seer(extract, [e.image.to(task.device) for e in task.exemplars])
    channels = encoded([guide.sources[0] for guide in task.guides], task.guides).shape[1]
    net, critic = Generator(settings, channels), patchgan.PatchGAN(settings, channels)
    for module in (net, critic):
        initialise(module, rng, GAIN).to(task.device)
    terms = steered.terms(settings.objectives, task, copies)
    kept = bank(copies, task.guides, rng)
    return Parts(settings, task, copies, crops, net, critic, terms, kept, see, rng)


@torch.no_grad()
def _shown(parts: Parts, count: int) -> list[list[Tensor]]:
    """Rows of pictures of the first exemplar's middle: itself, its maps turned by half a turn, and what the network
    makes for these; then its maps as they are, and what it makes for those."""
    was, first = parts.net.training, parts.copies[0]
    parts.net.eval()
    image, maps = _middle(first.image), [_middle(values) for values in first.maps]
    rows: list[list[Tensor]] = []
    for wanted in ([values.rot90(2, (2, 3)) for values in maps], maps)[:count]:
        part = Window(0, image.shape[2], 0, image.shape[3])
        made = guided.paint(parts.net, parts.condition(wanted), SAMPLE_SEED, part, OFF)
        colours = [_coloured(values, guide) for values, guide in zip(wanted, parts.task.guides, strict=True)]
        rows.append([*([] if rows else [image]), *colours, made])
    parts.net.train(was)
    return rows


def _coloured(values: Tensor, guide: Guide) -> Tensor:
    """A map (1, C, h, w) as a picture (1, 3, h, w); of directions the colours are points on a circle."""
    if guide.palette is not None:
        return guide.palette.to(values)[values[0, 0].long()].movedim(2, 0)[None]
    if guide.distance == "direction":
        circle = encode(values, "direction") / 2 + 0.5
        return torch.cat([circle, torch.full_like(circle[:, :1], 0.5)], 1)
    return values.mean(1, keepdim=True).expand(-1, 3, -1, -1)


def _reduced(task: Task, side: int) -> Task:
    """The task with exemplars, and their maps, of which the largest shorter side is at most `side`; 0: as it is."""
    short = max(min(exemplar.size) for exemplar in task.exemplars)
    return task.at(math.log2(short / side)) if 0 < side < short else task


def _middle(x: Tensor) -> Tensor:
    """At most SHOWN pixels each way."""
    for dim in (2, 3):
        length = min(x.shape[dim], SHOWN)
        x = x.narrow(dim, (x.shape[dim] - length) // 2, length)
    return x
