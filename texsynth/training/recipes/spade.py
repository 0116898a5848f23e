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
from dataclasses import field as setting

import torch
from torch import Tensor

from texsynth import training
from texsynth.errors import InputError
from texsynth.features import features, vgg19
from texsynth.guidance.procedural import perlin
from texsynth.nets import guided, patchgan
from texsynth.nets.conditions import encode
from texsynth.nets.init import initialise
from texsynth.nets.spade import Generator
from texsynth.nets.texture_net import Window
from texsynth.objective import Objective
from texsynth.task import Estimate, Guide, Task
from texsynth.training import SEED, Training
from texsynth.training.recipes import _rebuilt as rebuilt
from texsynth.training.recipes import _steered as steered
from texsynth.training.recipes._regions import bank
from texsynth.training.recipes._spade_step import Parts, encoded, lesson, taught

METHOD = "feed-forward"
GUIDES: tuple[str, ...] = ("labels", "progression", "orientation")
LEAST = 16  # side of the crops
BETAS = (0.0, 0.9)
GAIN = 1.0  # of first values, as runs of some thousand steps need it
SHOWN = 256  # of the exemplar that is measured and shown, at most
OFF = (False, False)  # nothing wraps
WINDOWS = {"features": "windows", "layers": ["full", "half", "quarter"]}
GUIDED = {"loss": "correspondence", **WINDOWS, "distance": "squared", "patch": 5, "stride": 3, "sample": 512}
SHARE = 0.2  # of the correspondence: with more it outweighs all else, and smooths
OBJECTIVES = (Objective.read({**GUIDED, "weight": SHARE}, "default"),)


@dataclass(frozen=True)
class Settings(training.Settings, guided.Shape, patchgan.Shape):
    """Defaults: about ten minutes of one core, without weights."""

    steps: int = setting(default=2000, metadata={"help": "updates of the network", "min": 1, "max": 10_000_000})
    discriminator_layers: int = setting(
        default=3, metadata={"help": "convolutions before the scores; all but the last one halve", "min": 2, "max": 6}
    )
    crop: int = setting(default=96, metadata={"help": "side of the crops", "min": LEAST, "max": 1024})
    batch: int = setting(default=1, metadata={"help": "pictures of a step", "min": 1, "max": 256})
    first: float = setting(
        default=0.4, metadata={"help": "share of the steps, the first ones, that rebuild crops", "min": 0.0, "max": 1.0}
    )
    mixed: float = setting(
        default=0.2, metadata={"help": "share of later steps that rebuild crops", "min": 0.0, "max": 1.0}
    )
    perturbed: float = setting(
        default=0.1, metadata={"help": "share of targets that are perturbed crops of maps", "min": 0.0, "max": 1.0}
    )
    stretched: float = setting(
        default=0.7, metadata={"help": "share of those that are stretched and turned maps", "min": 0.001, "max": 1.0}
    )
    perlin: float = setting(
        default=0.2, metadata={"help": "share of those that are Perlin noise", "min": 0.0, "max": 1.0}
    )
    factor: float = setting(
        default=1.5, metadata={"help": "by which maps are stretched or pressed, at most", "min": 1.0, "max": 8.0}
    )
    flips: bool = setting(default=False, metadata={"help": "the texture may be mirrored"})
    turns: bool = setting(default=False, metadata={"help": "the texture may be turned by right angles"})
    objectives: tuple[Objective, ...] = setting(
        default=OBJECTIVES, metadata={"help": "what pictures for drawn maps are compared with exemplars by"}
    )
    features: str = setting(
        default="windows",
        metadata={"help": "what rebuilt crops are seen through, place by place", "choices": ("windows", "vgg19")},
    )
    rate: float = setting(
        default=3e-3, metadata={"help": "learning rate of Adam for the network", "min": 1e-7, "max": 1.0}
    )
    critic_rate: float = setting(default=4e-4, metadata={"help": "and for the discriminators", "min": 1e-7, "max": 1.0})
    decay: float = setting(
        default=0.5, metadata={"help": "share of the steps over which rates fall to 0", "min": 0.0, "max": 1.0}
    )
    adversarial: float = setting(default=1.0, metadata={"help": "weight of the hinge loss", "min": 0.0, "max": 1e6})
    unpaired: float = setting(
        default=0.2,
        metadata={"help": "factor of that for drawn maps, which critics tell from true ones", "min": 0.0, "max": 1.0},
    )
    matching: float = setting(
        default=10.0, metadata={"help": "weight of discriminator features", "min": 0.0, "max": 1e6}
    )
    perceptual: float = setting(
        default=10.0, metadata={"help": "weight of what is compared place by place", "min": 0.0, "max": 1e6}
    )
    texture: float = setting(
        default=30.0, metadata={"help": "weight of how patches spread, region by region", "min": 0.0, "max": 1e6}
    )
    side: int = setting(
        default=256, metadata={"help": "exemplars are reduced to this shorter side; 0: never", "min": 0, "max": 8192}
    )


def needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """What the objectives, the perceptual loss and the metric look at."""
    own: dict[str, list[str]] = {}
    for objective in settings.objectives:
        own.setdefault(objective.features, []).extend(objective.layers)
    if settings.features == "vgg19":
        own.setdefault("vgg19", []).extend(rebuilt.PERCEPTUAL)
    return training.needs(settings, {name: layers for name, layers in own.items() if features(name).WEIGHTS})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training of one network for all exemplars together; raises InputError for exemplars too small, and UsageError
    without the package that draws Perlin noise."""
    if settings.first < 1 and settings.perturbed + settings.perlin > 0:
        perlin((2, 2), 2)
    parts = _parts(_reduced(task, settings.side), settings, rng)
    net, critic = parts.net, parts.critic
    optimisers = {
        "network": torch.optim.Adam(net.parameters(), settings.rate, BETAS),
        "critic": torch.optim.Adam(critic.parameters(), settings.critic_rate, BETAS),
    }

    def step(number: int) -> Mapping[str, float]:
        for optimiser, rate in zip(optimisers.values(), (settings.rate, settings.critic_rate), strict=True):
            optimiser.param_groups[0]["lr"] = rate * falling(settings, number)
        net.train(), critic.train()
        early = number < round(settings.steps * settings.first)
        paired = early or float(torch.rand((), generator=rng)) < settings.mixed
        return taught(parts, optimisers, [lesson(parts, paired) for _ in range(settings.batch)])

    def sample() -> Sequence[Tensor]:
        return [torch.cat(row, 3).cpu() for row in _shown(parts, 2)]

    def measure() -> float:
        return training.score(settings, parts.task, _middle(parts.copies[0].image), _shown(parts, 1)[0][-1])

    return Training(
        {"net": net, "critic": critic}, optimisers, step, sample, measure, net.state_dict, parts.bank.memory
    )


def falling(settings: Settings, number: int) -> float:
    """The factor of the rates at a step: 1, and over the last steps in a line to 0."""
    return min(1.0, (1 - number / settings.steps) / settings.decay) if settings.decay else 1.0


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
        made = guided.paint(parts.net, parts.condition(wanted), SEED, part, OFF)
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
