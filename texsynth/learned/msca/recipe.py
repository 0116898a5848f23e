"""Recipe of masked spatial-channel attention (Zheng et al. 2020, MSCA): crops are rebuilt in the style of other crops.

Two crops of an exemplar that share no pixel are rebuilt, each from its labels and from the other's picture and labels.
At first an auxiliary decoder, thrown away later, learns features of the true crop from the aligned features, so that
the attention knows where to look. The last steps reduce larger crops, and let whole exemplars rebuild themselves.
Losses are SPADE's (Park et al. 2019): hinge, discriminator features, and what a network or windows compare.

Differs from the paper in: by default VGG-19 is not used: the decoder learns colours and contrast, and reduced pixels
are compared one by one, and patches of each label as distributions. Of several pairs the one with most labels in common
is taken, and in half of them labels get other colours, or few exemplars' labels would tell all without attention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.learned.msca import pairs
from texsynth.learned.msca.network import AuxiliaryDecoder, MscaNet, Shape
from texsynth.learned.msca.pairs import LabelledPictures
from texsynth.learned.shared import adversarial, patchgan
from texsynth.learned.shared import copies as steered
from texsynth.learned.shared.adversarial import SAMPLE_SIDE, SMALLEST_CROP, Optimisers
from texsynth.learned.shared.chance import integer, share
from texsynth.learned.shared.conv import initialise
from texsynth.learned.shared.generator import continued, normal_noise, resized
from texsynth.learned.shared.perceptual import LAYER_WEIGHTS, ScaledVgg, perceptual, scaled_vgg
from texsynth.learned.shared.regions import Bank, bank, transport
from texsynth.settings import setting
from texsynth.task import Estimate, Task
from texsynth.training import recipes
from texsynth.training.exemplars import middle
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "msca"
GUIDES: tuple[str, ...] = ("labels",)
INITIAL_GAIN = 1.0  # of first values: attention that begins near even would need most of a short run to find regions
SAMPLES = 4  # exemplars that are sampled and measured, at most
CONTRAST_SCALE = 4.0  # by which contrasts are about as large as colours


@dataclass(frozen=True)
class Settings(adversarial.Settings, Shape):
    """The defaults take about ten minutes of one core, and need no weights.

    batch: The number of pairs in a step, each rebuilt both ways.
    draws: The pairs drawn for one; the one with most common labels is taken.
    pretraining: The first share of the steps, with the auxiliary decoder.
    second: The last share of the steps, with larger crops.
    larger: The factor by which these crops are larger.
    whole: The share of the steps with larger crops that rebuild wholes.
    recolour: The share of the pairs whose labels get other colours.
    perceptual: The weight of what is compared place by place.
    texture: The weight of the distributions of patches, by label.
    """

    steps: int = setting(1500, low=1, high=10_000_000)
    batch: int = setting(1, low=1, high=256)
    draws: int = setting(4, low=1, high=64)
    pretraining: float = setting(0.2, low=0.0, high=1.0)
    second: float = setting(0.2, low=0.0, high=1.0)
    larger: float = setting(1.5, low=1.0, high=8.0)
    whole: float = setting(0.2, low=0.0, high=1.0)
    recolour: float = setting(0.5, low=0.0, high=1.0)
    perceptual: float = setting(10.0, low=0.0, high=1e6)
    texture: float = setting(6.0, low=0.0, high=1e6)


@dataclass(frozen=True)
class MscaContext:
    """What a step needs. labels: their number. vgg: for presets that use it. banks: the patches of each exemplar."""

    settings: Settings
    exemplars: Sequence[LabelledPictures]
    labels: int
    net: MscaNet
    decoder: AuxiliaryDecoder
    discriminators: patchgan.PatchGAN
    vgg: ScaledVgg | None
    banks: Sequence[Bank]
    rng: torch.Generator

    @property
    def extract(self) -> Extract | None:
        """The extractor of the network's image features; None where they come from pixels."""
        return None if self.vgg is None else self.vgg.extract

    def one_hot(self, ids: Tensor) -> Tensor:
        """(n, 1, h, w) -> (n, L, h, w)."""
        return F.one_hot(ids[:, 0].long(), self.labels).movedim(3, 1).float()


@dataclass(frozen=True)
class RebuildLesson:
    """Pictures (n, 3, s, s) to rebuild from their labels and an exemplar for each; labels are ids (n, 1, s, s).

    valid: (n, 1, s, s), how much each pixel of the exemplars counts; None for all alike.
    banks: the patches that each picture may have; () where crops are not at the exemplars' scale.
    """

    image: Tensor
    labels: Tensor
    exemplar: Tensor
    exemplar_labels: Tensor
    valid: Tensor | None
    banks: Sequence[Bank] = ()


def needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The layers of VGG-19 that image features and the perceptual loss look at, where they do, and the metric's."""
    return recipes.needs(settings, {"vgg19": tuple(LAYER_WEIGHTS)} if settings.image == "vgg19" else {})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training on all exemplars, each by itself a source of pairs; raises InputError for exemplars too small."""
    palette = task.guides[0].palette
    assert palette is not None
    context = _context(task, settings, len(palette), rng)
    net, decoder, discriminators = context.net, context.decoder, context.discriminators
    optimisers = adversarial.optimisers([*net.parameters(), *decoder.parameters()], discriminators, settings)
    memory = {f"{n}.{name}": held for n, bank in enumerate(context.banks) for name, held in bank.memory.items()}

    def step(number: int) -> Mapping[str, float]:
        adversarial.set_rates(optimisers, settings, number)
        net.train()
        early = number < round(settings.steps * settings.pretraining)
        return (_pretrain if early else _train)(context, optimisers, _lesson(context, number))

    def measure() -> float:
        return recipes.mean_score(settings, task, [(image, output) for image, _, output in _samples(context)])

    def sample() -> Sequence[Tensor]:
        colours = palette.to(task.device)
        return [
            torch.cat([image, colours[ids[0, 0].long()].movedim(2, 0)[None], output], 3).cpu()
            for image, ids, output in _samples(context)
        ]

    modules = {"net": net, "helper": decoder, "critic": discriminators}
    adams = {"adam": optimisers.network, "critic_adam": optimisers.discriminators}
    return Training(modules, adams, step, sample, measure, net.state_dict, memory)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs at crops of 64 to 128 pixels, widths of 8 to 32, and pairs of 1 and 2."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in MscaNet(settings, 8).parameters())
    pixels, largest = settings.batch * settings.crop**2, max(e.size[0] * e.size[1] for e in task.exemplars)
    vgg, sampled = settings.image == "vgg19", min(largest, SAMPLE_SIDE**2)
    memory = 16.0 * parameters + max(1600 * settings.width * pixels, (1800 + 80 * settings.width) * sampled)
    memory += 100e6 + 900 * largest if vgg else 0
    step = 0.09 + pixels * (1.4e-5 + 2.4e-6 * settings.width + (2.6e-5 if vgg else 0))
    seconds = settings.steps * (1 - 0.85 * settings.pretraining) * step
    samples = settings.checks * 2 * min(SAMPLES, len(task.exemplars))
    return Estimate(int(memory), seconds + samples * (0.3 + 5e-7 * settings.width * sampled))


def _context(task: Task, settings: Settings, labels: int, rng: torch.Generator) -> MscaContext:
    """Build the networks, and prepare what their outputs are compared with."""
    pairs.check(task.exemplars, settings.crop, SMALLEST_CROP)
    exemplars, device = [], task.device
    for e, ids in zip(task.exemplars, task.guides[0].sources, strict=True):
        valid = torch.ones_like(ids) if e.valid is None else e.valid.float()
        exemplars.append(LabelledPictures(e.image.to(device), ids.to(device), valid.to(device)))
    vgg = scaled_vgg(task) if settings.image == "vgg19" else None
    probe = exemplars[0].image[:, :, :SMALLEST_CROP, :SMALLEST_CROP]
    counts = [goal.shape[1] for goal in decoder_goals(probe, settings, vgg)]
    net, decoder = MscaNet(settings, labels), AuxiliaryDecoder(settings, counts)
    discriminators = patchgan.PatchGAN(settings, labels)
    for module in (net, decoder, discriminators):
        initialise(module, rng, INITIAL_GAIN).to(task.device)
    if vgg is not None:
        net.units.copy_(torch.tensor([vgg.units[layer] for layer in settings.layers]))
    copies = steered.copies(task, settings.flips, settings.turns)
    banks = [
        bank([copy for copy in copies if copy.exemplar == number], task.guides, rng) for number in range(len(exemplars))
    ]
    return MscaContext(settings, exemplars, labels, net, decoder, discriminators, vgg, banks, rng)


def _lesson(context: MscaContext, number: int) -> RebuildLesson:
    """The pairs of a step, rebuilt both ways: each crop in the style of the other, or of itself where it is a whole."""
    drawn = [_pair(context, number) for _ in range(context.settings.batch)]
    styles = [(x if whole else x.flip(0) for x in (pair.image, pair.labels, pair.valid)) for pair, whole, _ in drawn]
    image, labels = (torch.cat(x) for x in zip(*((pair.image, pair.labels) for pair, *_ in drawn), strict=True))
    exemplar, exemplar_labels, valid = (torch.cat(x) for x in zip(*styles, strict=True))
    banks = [bank for *_, bank in drawn if bank is not None for _ in range(2)]
    counts = None if bool(valid.all()) else valid.clamp_min(1e-6)  # a crop may have no valid pixel
    return RebuildLesson(image, labels, exemplar, exemplar_labels, counts, banks)


def _pair(context: MscaContext, number: int) -> tuple[LabelledPictures, bool, Bank | None]:
    """Two crops, whether each rebuilds itself, not the other, and the patches for crops at the exemplar's scale."""
    settings, rng = context.settings, context.rng
    chosen = integer(len(context.exemplars), rng)
    exemplar = context.exemplars[chosen]
    rows, columns = exemplar.image.shape[2:]
    # Take larger crops in the last steps, and sometimes the whole exemplar.
    late = number >= round(settings.steps * (1 - settings.second))
    whole = late and share(rng) < settings.whole
    side = settings.crop
    if late:
        side = min(rows, columns) if whole else min(rows, columns, round(side * settings.larger))
    place = pairs.anywhere if late else pairs.separate
    # Draw some pairs, and take the one with most labels in common.
    places = [place((rows, columns), side, rng) for _ in range(settings.draws)]
    crops = [pairs.cut(exemplar, each, side, settings.crop) for each in places]
    pair = pairs.moved(pairs.best(crops), settings.flips, settings.turns, rng)
    if share(rng) < settings.recolour:
        pair = pairs.recoloured(pair, rng)
    return pair, whole, None if late else context.banks[chosen].changed(pair.changes)


def _aligned(context: MscaContext, lesson: RebuildLesson) -> tuple[list[Tensor], list[Tensor]]:
    """The features that every picture takes from its exemplar, and its label features."""
    net = context.net
    style = net.style(lesson.exemplar, context.one_hot(lesson.exemplar_labels), context.extract, lesson.valid)
    labels = net.label_features(context.one_hot(lesson.labels))
    return net.aligned([style], labels, lesson.image.new_ones(1, 1, 1, 1)), labels


def _rebuilt(context: MscaContext, lesson: RebuildLesson, rng: torch.Generator) -> Tensor:
    """The pictures of a lesson as the network rebuilds them, with noise from `rng`."""
    count, _, rows, columns = lesson.image.shape
    noise = normal_noise(context.settings, (rows, columns), count, rng, lesson.image.device)
    return context.net.paint(*_aligned(context, lesson), noise)[:, :, :rows, :columns]


def _pretrain(context: MscaContext, optimisers: Optimisers, lesson: RebuildLesson) -> Mapping[str, float]:
    """One step of pretraining: the attention learns where to find what the decoder tells of the true pictures."""
    guesses = context.decoder(*_aligned(context, lesson))
    goals = [decoder_goals(image, context.settings, context.vgg) for image in lesson.image.split(1)]
    scales = [torch.cat(scale) for scale in zip(*goals, strict=True)]
    loss = torch.stack([F.l1_loss(*pair) for pair in zip(guesses, scales, strict=True)]).mean()
    return adversarial.teach_network(optimisers.network, {"pretraining": loss}, {"pretraining": 1.0})


def _train(context: MscaContext, optimisers: Optimisers, lesson: RebuildLesson) -> Mapping[str, float]:
    """One step: the discriminators learn to tell outputs from true pictures, then the network to please them."""
    settings, condition = context.settings, context.one_hot(lesson.labels)
    # Rebuild the pictures, and teach the discriminators.
    output = _rebuilt(context, lesson, context.rng)
    context.discriminators.train()
    contest = (condition, condition), (lesson.image, output)
    discriminator_loss = adversarial.teach_discriminators(context.discriminators, optimisers.discriminators, [contest])
    # Compare the outputs with the pictures.
    real, fake = context.discriminators.pair(*contest)
    losses = {
        "adversarial": patchgan.hinge_generator(fake),
        "matching": patchgan.feature_matching(real, fake),
        "perceptual": perceptual(output, lesson.image, context.vgg),
    }
    if settings.texture and lesson.banks:
        each = zip(output.split(1), lesson.labels.split(1), lesson.banks, strict=True)
        losses["texture"] = torch.stack([transport(*one, context.rng) for one in each]).mean()
    weights = {name: getattr(settings, name) for name in losses}
    return {"discriminator": discriminator_loss} | adversarial.teach_network(optimisers.network, losses, weights)


@torch.no_grad()
def decoder_goals(image: Tensor, shape: Shape, vgg: ScaledVgg | None) -> list[Tensor]:
    """What the auxiliary decoder shall find of a picture (1, 3, h, w), coarse to fine: features of VGG-19, reduced
    where it has no layer of that scale; without it colours, beside the distances of pixels from their neighbours' mean.
    """
    grids = shape.grids((image.shape[2], image.shape[3]))
    whole = continued(image, grids[-1])
    if vgg is not None:
        layers = vgg(whole, shape.layers)
        return [resized(layers[-1], grid, "bilinear") for grid in grids[: -len(layers)]] + layers[::-1]
    contrast = (whole - F.avg_pool2d(whole, 3, 1, 1, count_include_pad=False)).abs() * CONTRAST_SCALE
    return [torch.cat([resized(x, grid, "bilinear") for x in (whole, contrast)], 1) for grid in grids]


@torch.no_grad()
def _samples(context: MscaContext) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The middles of the first exemplars, each with its labels and what the network makes for these in its style, with
    the same noise; the style knows no places, so that there is nothing to copy but labels."""
    net, training = context.net, context.net.training
    net.eval()
    samples = []
    for exemplar in context.exemplars[:SAMPLES]:
        image, labels, counts = (middle(x, SAMPLE_SIDE) for x in (exemplar.image, exemplar.labels, exemplar.valid))
        valid = None if bool(counts.all()) or not bool(counts.any()) else counts
        rng = torch.Generator().manual_seed(SAMPLE_SEED)
        samples.append((image, labels, _rebuilt(context, RebuildLesson(image, labels, image, labels, valid), rng)))
    net.train(training)
    return samples
