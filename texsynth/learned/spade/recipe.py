"""Recipe of SPADE (Park et al. 2019) for textures under maps at once: Zhou et al. 2023, supplement B.

The first steps rebuild crops of the exemplars from their maps, by SPADE's losses: hinge, discriminator features, and
what a network or windows compare. Later steps make outputs for drawn maps (`targets`), which have no true picture:
discriminators compare both with their maps, and guided correspondence wants patches from where the maps have like
values. Some crops are still rebuilt, or the network would forget them.

Differs from the paper in: noise of position stands beside the maps; by default VGG-19 is not used: reduced pixels are
compared place by place, and patches as distributions, region by region of the maps. For directions exemplars are
turned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.features import features
from texsynth.guidance.procedural import perlin
from texsynth.learned.shared import adversarial, patchgan
from texsynth.learned.shared import copies as steered
from texsynth.learned.shared.adversarial import SAMPLE_SIDE
from texsynth.learned.shared.chance import integer, share
from texsynth.learned.shared.conditions import encode, encode_all
from texsynth.learned.shared.conv import OFF, initialise
from texsynth.learned.shared.copies import MappedCopy, SteeredObjectives
from texsynth.learned.shared.generator import Generator
from texsynth.learned.shared.perceptual import LAYER_WEIGHTS, ScaledVgg, perceptual, scaled_vgg
from texsynth.learned.shared.regions import Bank, bank, regions, transport
from texsynth.learned.spade import network as guided
from texsynth.learned.spade import targets
from texsynth.learned.texture_net.network import Window
from texsynth.losses import Setup
from texsynth.objective import Objective
from texsynth.settings import setting
from texsynth.task import Estimate, Guide, Task
from texsynth.training import recipes
from texsynth.training.exemplars import middle
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "feed-forward"
GUIDES: tuple[str, ...] = ("labels", "progression", "orientation")
INITIAL_GAIN = 1.0  # of first values, as runs of some thousand steps need it
CROP_TRIES = 8  # crops drawn where not all of an exemplar may be used
NO_PERIOD = (0, 0)  # noise that never repeats
WINDOWS = {"features": "windows", "layers": ["full", "half", "quarter"]}
GUIDED = {"loss": "correspondence", **WINDOWS, "distance": "squared", "patch": 5, "stride": 3, "sample": 512}
GUIDED_WEIGHT = 0.2  # with more, guided correspondence outweighs all else, and smooths
OBJECTIVES = (Objective.read({**GUIDED, "weight": GUIDED_WEIGHT}, "default"),)


@dataclass(frozen=True)
class Settings(adversarial.Settings, guided.Shape):
    """The defaults take about ten minutes of one core, and need no weights.

    first: The share of the steps, the first ones, that rebuild crops.
    mixed: The share of the later steps that rebuild crops, too.
    perturbed: How often drawn maps are crops of maps, perturbed by noise.
    stretched: How often drawn maps are maps, stretched and turned.
    perlin: How often drawn maps are Perlin noise.
    factor: The largest factor by which maps are stretched or pressed.
    objectives: The losses of outputs for drawn maps.
    features: The features that compare rebuilt crops place by place.
    unpaired: The factor of the hinge loss for drawn maps.
    perceptual: The weight of what is compared place by place.
    texture: The weight of the distributions of patches, by region.
    side: The shorter side that exemplars are reduced to; 0 keeps them.
    """

    steps: int = setting(2000, low=1, high=10_000_000)
    discriminator_layers: int = setting(3, low=2, high=6)
    first: float = setting(0.4, low=0.0, high=1.0)
    mixed: float = setting(0.2, low=0.0, high=1.0)
    perturbed: float = setting(0.1, low=0.0, high=1.0)
    stretched: float = setting(0.7, low=0.001, high=1.0)
    perlin: float = setting(0.2, low=0.0, high=1.0)
    factor: float = setting(1.5, low=1.0, high=8.0)
    objectives: tuple[Objective, ...] = setting(OBJECTIVES)
    features: str = setting("windows", choices=("windows", "vgg19"))
    rate: float = setting(3e-3, low=1e-7, high=1.0)
    unpaired: float = setting(0.2, low=0.0, high=1.0)
    perceptual: float = setting(10.0, low=0.0, high=1e6)
    texture: float = setting(30.0, low=0.0, high=1e6)
    side: int = setting(256, low=0, high=8192)


@dataclass(frozen=True)
class SpadeContext:
    """What a step needs.

    task: the exemplars and their maps, reduced.
    crop_sources: the copies that have room for a crop.
    objectives: the losses of outputs for drawn maps.
    """

    settings: Settings
    task: Task
    copies: Sequence[MappedCopy]
    crop_sources: Sequence[MappedCopy]
    net: Generator
    discriminators: patchgan.PatchGAN
    objectives: SteeredObjectives
    bank: Bank
    vgg: ScaledVgg | None
    rng: torch.Generator

    def condition(self, maps: Sequence[Tensor]) -> Tensor:
        """The condition (1, K, h, w) of maps (1, C, h, w)."""
        return encode_all(maps, self.task.guides)


@dataclass(frozen=True)
class MapLesson:
    """A picture to make for some maps, those of an exemplar (its number).

    image, image_maps: a true crop (1, 3, s, s), and its maps.
    paired: whether the maps are those of the true crop, so that the picture shall be that crop.
    """

    maps: Sequence[Tensor]
    exemplar: int
    image: Tensor
    image_maps: Sequence[Tensor]
    paired: bool


def needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The layers that the objectives, the perceptual loss and the metric look at."""
    layers = recipes.layers_of(settings.objectives)
    if settings.features == "vgg19":
        layers.setdefault("vgg19", []).extend(LAYER_WEIGHTS)
    return recipes.needs(settings, {name: layers[name] for name in layers if features(name).WEIGHTS})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training of one network for all exemplars together.

    Raises InputError for exemplars too small, and UsageError without the package that draws Perlin noise.
    """
    if settings.first < 1 and settings.perturbed + settings.perlin > 0:
        perlin((2, 2), 2)
    short = max(min(exemplar.size) for exemplar in task.exemplars)
    if 0 < settings.side < short:
        task = task.at(math.log2(short / settings.side))
    context = _context(task, settings, rng)
    net, discriminators = context.net, context.discriminators
    optimisers = adversarial.optimisers(net.parameters(), discriminators, settings)

    def step(number: int) -> Mapping[str, float]:
        adversarial.set_rates(optimisers, settings, number)
        net.train(), discriminators.train()
        paired = number < round(settings.steps * settings.first) or share(rng) < settings.mixed
        return _update(context, optimisers, [_lesson(context, paired) for _ in range(settings.batch)])

    def sample() -> Sequence[Tensor]:
        return [torch.cat(row, 3).cpu() for row in _sheet(context, 2)]

    def measure() -> float:
        (row,) = _sheet(context, 1)
        return recipes.score(settings, context.task, row[0], row[-1])

    modules = {"net": net, "critic": discriminators}
    adams = {"network": optimisers.network, "critic": optimisers.discriminators}
    return Training(modules, adams, step, sample, measure, net.state_dict, context.bank.memory)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs at crops of 64 to 192 pixels and widths of 16 and 32."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Generator(settings, 4).parameters())
    pixels = settings.batch * min(settings.crop, *(side for e in task.exemplars for side in e.size)) ** 2
    angles = steered.ANGLES if any(guide.distance == "direction" for guide in task.guides) else 1
    stored = sum(min(1.0, settings.side / min(e.size) or 1.0) ** 2 * math.prod(e.size) for e in task.exemplars) * angles
    vgg = "vgg19" in needs(settings)
    memory = float(20 * parameters + settings.width * (450 * pixels + 60 * SAMPLE_SIDE**2))
    memory += 50 * stored + min(1e8, 3e3 * stored)
    memory += 3000 * pixels + 1200 * stored if vgg else 0
    step = pixels * (1e-6 * settings.width + (3e-5 if vgg else 0))
    later_steps = (1 - settings.first) * (1 - settings.mixed) * settings.batch * 0.12 * (3 if vgg else 1)
    return Estimate(int(memory), settings.steps * (step + later_steps) + settings.checks * 1.5)


def _context(task: Task, settings: Settings, rng: torch.Generator) -> SpadeContext:
    """Build the networks, and prepare what their outputs are compared with."""
    for exemplar in task.exemplars:
        h, w = exemplar.size
        if min(h, w) < settings.crop:
            problem = f"{exemplar.name} is {w}x{h}, which has no room for crops of {settings.crop}x{settings.crop}"
            raise InputError(f"{problem}; --set crop={min(h, w)} fits, or give a larger exemplar")
    copies = steered.copies(task, settings.flips, settings.turns)
    crop_sources = [copy for copy in copies if min(copy.image.shape[2:]) >= settings.crop]
    vgg = scaled_vgg(task) if settings.features == "vgg19" else None
    channels = encode_all([guide.sources[0] for guide in task.guides], task.guides).shape[1]
    net, discriminators = Generator(settings, channels), patchgan.PatchGAN(settings, channels)
    for module in (net, discriminators):
        initialise(module, rng, INITIAL_GAIN).to(task.device)
    objectives = steered.prepare(settings.objectives, task, copies)
    patches = bank(copies, task.guides, rng)
    return SpadeContext(settings, task, copies, crop_sources, net, discriminators, objectives, patches, vgg, rng)


def _lesson(context: SpadeContext, paired: bool) -> MapLesson:
    """A true crop with its maps, and the maps to make a picture for: these, or drawn ones of the same exemplar."""
    settings, rng, guides = context.settings, context.rng, context.task.guides
    copy = context.crop_sources[integer(len(context.crop_sources), rng)]
    image, *image_maps = _crop(copy, settings.crop, rng)
    if paired:
        return MapLesson(image_maps, copy.exemplar, image, image_maps, True)
    chances = settings.perturbed, settings.stretched, settings.perlin
    options = targets.TargetOptions(chances, settings.factor, settings.crop)
    maps = [guide.sources[copy.exemplar].to(image) for guide in guides]
    drawn = targets.draw(maps, [guide.distance for guide in guides], options, rng)
    return MapLesson(drawn, copy.exemplar, image, image_maps, False)


def _crop(copy: MappedCopy, side: int, rng: torch.Generator) -> list[Tensor]:
    """A crop of a picture and of its maps; of several the one with most pixels that may be used."""
    if copy.valid is None:
        return targets.crop((copy.image, *copy.maps), side, rng)
    crops = [targets.crop((copy.valid, copy.image, *copy.maps), side, rng) for _ in range(CROP_TRIES)]
    return max(crops, key=lambda views: float(views[0].float().mean()))[1:]


def _update(
    context: SpadeContext, optimisers: adversarial.Optimisers, lessons: Sequence[MapLesson]
) -> Mapping[str, float]:
    """One step: the discriminators learn to tell outputs from true pictures, then the network to please them."""
    settings, discriminators, paired = context.settings, context.discriminators, lessons[0].paired
    # Make the outputs, and teach the discriminators.
    target = torch.cat([context.condition(lesson.maps) for lesson in lessons])
    image_condition = torch.cat([context.condition(lesson.image_maps) for lesson in lessons])
    true = torch.cat([lesson.image for lesson in lessons])
    output = context.net(target, _noise_maps(context, len(lessons)))
    contest = (image_condition, target), (true, output)
    discriminator_loss = adversarial.teach_discriminators(discriminators, optimisers.discriminators, [contest])
    # Compare the outputs: rebuilt crops with the true ones, others by the objectives.
    real, fake = discriminators.pair(*contest)
    losses = {"adversarial": patchgan.hinge_generator(fake)}
    weights = {"adversarial": settings.adversarial * (1 if paired else settings.unpaired)}
    if paired:
        losses["matching"], weights["matching"] = patchgan.feature_matching(real, fake), settings.matching
        losses["perceptual"], weights["perceptual"] = perceptual(output, true, context.vgg), settings.perceptual
    else:
        names = steered.labels(settings.objectives)
        losses |= dict(zip(names, _objectives(context, output, lessons), strict=True))
        weights |= {name: o.weight for name, o in zip(names, settings.objectives, strict=True)}
    if settings.texture:
        ids = [regions(lesson.maps, context.task.guides) for lesson in lessons]
        terms = [transport(*one, context.bank, context.rng) for one in zip(output.split(1), ids, strict=True)]
        losses["texture"], weights["texture"] = torch.stack(terms).mean(), settings.texture
    return {"discriminator": discriminator_loss} | adversarial.teach_network(optimisers.network, losses, weights)


def _noise_maps(context: SpadeContext, count: int) -> list[Tensor]:
    """Noise for `count` pictures, another one for each."""
    crop = Window(0, context.settings.crop, 0, context.settings.crop)
    keys = [integer(1 << 62, context.rng) for _ in range(count)]
    every = [guided.noise_maps(context.settings, key, crop, NO_PERIOD, context.task.device) for key in keys]
    return [torch.cat(scale) for scale in zip(*every, strict=True)]


def _objectives(context: SpadeContext, output: Tensor, lessons: Sequence[MapLesson]) -> list[Tensor]:
    """The values of the objectives, their means over the pictures."""
    setup = Setup(context.rng, memory=max(64 << 20, context.task.max_memory // 16))
    values = []
    for image, lesson in zip(output.split(1), lessons, strict=True):
        chosen = steered.draw(context.copies, lesson.exemplar, context.rng)
        values.append(context.objectives.values(chosen, image, lesson.maps, setup))
    return [torch.stack(each).mean() for each in zip(*values, strict=True)]


@torch.no_grad()
def _sheet(context: SpadeContext, count: int) -> list[list[Tensor]]:
    """Up to two rows of pictures of the first exemplar's middle: the exemplar, its maps turned by half a turn, and the
    output for these; then its maps as they are, and the output for those."""
    training, first = context.net.training, context.copies[0]
    context.net.eval()
    image, maps = middle(first.image, SAMPLE_SIDE), [middle(values, SAMPLE_SIDE) for values in first.maps]
    whole = Window(0, image.shape[2], 0, image.shape[3])
    rows: list[list[Tensor]] = []
    for wanted in ([values.rot90(2, (2, 3)) for values in maps], maps)[:count]:
        output = guided.paint(context.net, context.condition(wanted), SAMPLE_SEED, whole, OFF)
        colours = [_coloured(values, guide) for values, guide in zip(wanted, context.task.guides, strict=True)]
        rows.append([*([] if rows else [image]), *colours, output])
    context.net.train(training)
    return rows


def _coloured(values: Tensor, guide: Guide) -> Tensor:
    """A map (1, C, h, w) as a picture (1, 3, h, w); of directions the colours are points on a circle."""
    if guide.palette is not None:
        return guide.palette.to(values)[values[0, 0].long()].movedim(2, 0)[None]
    if guide.distance == "direction":
        circle = encode(values, "direction") / 2 + 0.5
        return torch.cat([circle, torch.full_like(circle[:, :1], 0.5)], 1)
    return values.mean(1, keepdim=True).expand(-1, 3, -1, -1)
