"""Recipe of masked spatial-channel attention (Zheng et al. 2020, MSCA): crops are rebuilt in the style of other crops.

Two crops of an exemplar that share no pixel are rebuilt from their own labels and the other's picture and labels. At
first an auxiliary decoder learns features of the true crop from what is aligned, so that the attention knows where to
look before there is a generator; it is thrown away. At last larger crops are reduced, and wholes rebuild themselves.
Losses are SPADE's (Park et al. 2019): hinge, discriminator features, and what a network or windows see.

Differs from the paper in: by default no VGG-19 is looked at. The decoder learns colours and their contrast, and the
perceptual loss compares reduced pixels one by one, and patches of each label as distributions (patch transport), which
is what labels can tell of a texture. Of several drawn pairs the one with most labels in common is taken, and in half of
them each label gets other colours by chance: with few exemplars labels alone would tell all, and nobody would look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.features import vgg19
from texsynth.learned.msca import pairs
from texsynth.learned.msca.network import Helper, Net, Shape, noises
from texsynth.learned.msca.pairs import Source
from texsynth.learned.msca.step import Parts, lesson, pretrained, trained
from texsynth.learned.shared import adversarial, patchgan, rebuilt
from texsynth.learned.shared import copies as steered
from texsynth.learned.shared.adversarial import SMALLEST_CROP
from texsynth.learned.shared.conv import initialise
from texsynth.learned.shared.regions import bank
from texsynth.settings import setting
from texsynth.task import Estimate, Task
from texsynth.training import recipes
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "msca"
GUIDES: tuple[str, ...] = ("labels",)
GAIN = 1.0  # of first values: attention that begins near even would need most of a short run to find regions
SHOWN, SIDE = 4, 256  # exemplars that are sampled and measured, and the most pixels of their sides


@dataclass(frozen=True)
class Settings(adversarial.Settings, Shape):
    """Defaults: about ten minutes of one core, without weights."""

    steps: int = setting(1500, "The number of updates of the network.", low=1, high=10_000_000)
    batch: int = setting(1, "The number of pairs in a step, each rebuilt both ways.", low=1, high=256)
    draws: int = setting(
        4, "The pairs drawn for each pair of a step; the one with most labels in common is taken.", low=1, high=64
    )
    pretraining: float = setting(
        0.2, "The share of the steps, the first ones, with the auxiliary decoder.", low=0.0, high=1.0
    )
    second: float = setting(0.2, "The share of the steps, the last ones, with larger crops.", low=0.0, high=1.0)
    larger: float = setting(1.5, "The factor by which these crops are larger.", low=1.0, high=8.0)
    whole: float = setting(
        0.2, "The share of the steps with larger crops in which whole exemplars rebuild themselves.", low=0.0, high=1.0
    )
    recolour: float = setting(0.5, "The share of the pairs in which each label gets other colours.", low=0.0, high=1.0)
    perceptual: float = setting(10.0, "The weight of what is compared place by place.", low=0.0, high=1e6)
    texture: float = setting(
        6.0, "The weight of the distance between distributions of patches, label by label.", low=0.0, high=1e6
    )


def needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """With image features of VGG-19, what these and the perceptual loss look at; and the metric's."""
    return recipes.needs(settings, {"vgg19": tuple(rebuilt.PERCEPTUAL)} if settings.image == "vgg19" else {})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training on all exemplars, each a source of pairs; raises InputError for exemplars too small."""
    palette = task.guides[0].palette
    assert palette is not None
    parts = _parts(task, settings, len(palette), rng)
    modules = {"net": parts.net, "helper": parts.helper, "critic": parts.critic}
    parameters = [*parts.net.parameters(), *parts.helper.parameters()]
    optimisers = adversarial.optimisers(parameters, parts.critic, settings)
    memory = {f"{n}.{name}": held for n, known in enumerate(parts.banks) for name, held in known.memory.items()}

    def step(number: int) -> Mapping[str, float]:
        adversarial.set_rates(optimisers, settings, number)
        parts.net.train()
        early = number < round(settings.steps * settings.pretraining)
        return (pretrained if early else trained)(parts, optimisers, lesson(parts, number))

    def measure() -> float:
        scores = [recipes.score(settings, task, true, made) for true, _, made in _shown(parts)]
        return sum(scores) / len(scores)

    def sample() -> Sequence[Tensor]:
        colours = palette.to(task.device)
        return [
            torch.cat([true, colours[ids[0, 0].long()].movedim(2, 0)[None], made], 3).cpu()
            for true, ids, made in _shown(parts)
        ]

    adams = {"adam": optimisers.network, "critic_adam": optimisers.discriminators}
    return Training(modules, adams, step, sample, measure, parts.net.state_dict, memory)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs at crops of 64 to 128 pixels, widths of 8 to 32, and pairs of 1 and 2."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Net(settings, 8).parameters())
    pixels, largest = settings.batch * settings.crop**2, max(e.size[0] * e.size[1] for e in task.exemplars)
    network = settings.image == "vgg19"
    shown = min(largest, SIDE**2)
    memory = 430e6 + 16 * parameters + max(1600 * settings.width * pixels, (1800 + 80 * settings.width) * shown)
    each = 0.07 + pixels * (1.1e-5 + 1.9e-6 * settings.width + (2.6e-5 if network else 0))
    seconds = settings.steps * (1 - 0.85 * settings.pretraining) * each
    seconds += settings.checks * 2 * min(SHOWN, len(task.exemplars)) * (0.3 + 5e-7 * settings.width * shown)
    return Estimate(int(memory + (100e6 + 900 * largest if network else 0)), seconds)


def _parts(task: Task, settings: Settings, labels: int, rng: torch.Generator) -> Parts:
    sources = [
        Source(
            e.name,
            e.image.to(task.device),
            ids.to(task.device),
            (torch.ones_like(ids) if e.valid is None else e.valid.float()).to(task.device),
        )
        for e, ids in zip(task.exemplars, task.guides[0].sources, strict=True)
    ]
    pairs.check(sources, settings.crop, SMALLEST_CROP)
    see = None
    if settings.image == "vgg19":
        extract = vgg19.build(vgg19.Settings(), (False, False), task.weights["vgg19"])
        see = rebuilt.seer(extract, [source.image for source in sources])
    counts = [
        goal.shape[1] for goal in rebuilt.goals(sources[0].image[:, :, :SMALLEST_CROP, :SMALLEST_CROP], settings, see)
    ]
    net, helper = Net(settings, labels), Helper(settings, counts)
    critic = patchgan.PatchGAN(settings, labels)
    for module in (net, helper, critic):
        initialise(module, rng, GAIN).to(task.device)
    if see is not None:
        net.units.copy_(torch.tensor([see.units[layer] for layer in settings.layers]))
    copies = steered.copies(task, settings.flips, settings.turns)
    banks = [
        bank([copy for copy in copies if copy.exemplar == number], task.guides, rng) for number in range(len(sources))
    ]
    return Parts(settings, sources, labels, net, helper, critic, see, banks, rng)


@torch.no_grad()
def _shown(parts: Parts) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of the first exemplars, or of their middles: the picture, its labels, and what the network makes for these in the
    picture's style, always of the same noise. It knows nothing of places, so that labels are all there is to copy."""
    was = parts.net.training
    parts.net.eval()
    shown = []
    for source in parts.sources[:SHOWN]:
        image, labels, valid = pairs.middle(source, SIDE)
        extract = None if parts.see is None else parts.see.extract
        counts = None if bool(valid.all()) or not bool(valid.any()) else valid
        style = parts.net.style(image, parts.one_hot(labels), extract, counts)
        known = parts.net.known(parts.one_hot(labels))
        size = image.shape[2], image.shape[3]
        noise = noises(parts.settings, size, 1, torch.Generator().manual_seed(SAMPLE_SEED), image.device)
        features = parts.net.aligned([style], known, image.new_ones(1, 1, 1, 1))
        made = parts.net.make(features, known, noise)[:, :, : size[0], : size[1]]
        shown.append((image, labels, made))
    parts.net.train(was)
    return shown
