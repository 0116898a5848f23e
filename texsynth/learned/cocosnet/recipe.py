"""Recipe of CoCosNet: Zhang et al. 2020, "Cross-domain Correspondence Learning for Exemplar-based Image Translation".

Each step cuts a target and an exemplar from the pictures, matches the target's labels with the exemplar, warps it, and
makes the target's picture of that; matcher and generator learn together, against discriminators of two scales.

Differs from the paper in: one picture is enough (see `_pseudo_pairs`), and other pictures are drawn, not retrieved;
feature matching asks for the very pixels, so only of pairs that show the same place; the default looks at pixels in
place of VGG-19. A `place` keeps neighbouring cells together (see `nets.correspondence`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError
from texsynth.features import features
from texsynth.learned.cocosnet import losses
from texsynth.learned.cocosnet import network as correspondence
from texsynth.learned.cocosnet import step as steps
from texsynth.learned.cocosnet.losses import Look
from texsynth.learned.cocosnet.network import CELL, CoCosNet, translated, warped
from texsynth.learned.cocosnet.pairs import How, Sample, draw, room
from texsynth.learned.cocosnet.step import TERMS, Scene
from texsynth.learned.cocosnet.step import scene as scene_of
from texsynth.learned.shared import patchgan
from texsynth.learned.shared.conditions import encode
from texsynth.learned.shared.conv import initialise
from texsynth.learned.shared.patchgan import PatchGAN, hinge_discriminator
from texsynth.metrics import metric
from texsynth.settings import setting
from texsynth.task import Estimate, Exemplar, Guide, Task
from texsynth.training import recipes
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "cocosnet"
GUIDES: tuple[str, ...] = ("labels",)
LEAST = 16  # pixels a side of a crop
SHOWN = 256  # of the exemplar that is measured and shown, at most


@dataclass(frozen=True)
class Settings(recipes.Settings, correspondence.Shape, patchgan.Shape):
    """Defaults: small networks for two cores, which need no weights. Weights of losses are the published ones."""

    features: str = setting(
        "windows", "what the losses look through; windows need no weights", choices=("windows", "vgg19")
    )
    layers: tuple[str, ...] = setting(("full", "half", "quarter"), "of pairs that show the same place")
    context_layers: tuple[str, ...] = setting(("full", "half", "quarter"), "of the contextual loss")
    context_patch: int = setting(5, "side of the patches of the contextual loss", low=1, high=15)
    context_sample: int = setting(1024, "patches that it compares on either side", low=16, high=65536)
    adversarial: float = setting(10.0, "weight of the hinge loss", low=0.0, high=1e4)
    matching: float = setting(10.0, "weight of the discriminators' features", low=0.0, high=1e4)
    truth: float = setting(10.0, "weight of the layers' differences from the truth", low=0.0, high=1e4)
    perceptual: float = setting(
        0.0, "weight of the deepest layer's squared difference, of all pairs", low=0.0, high=1e4
    )
    contextual: float = setting(10.0, "weight of the contextual loss", low=0.0, high=1e4)
    domain: float = setting(10.0, "weight of what adaptors make of labels and picture", low=0.0, high=1e4)
    mask: float = setting(100.0, "weight of warped labels", low=0.0, high=1e4)
    cycle: float = setting(0.1, "weight of warping there and back; more makes copies", low=0.0, high=1e4)
    self_warp: float = setting(0.0, "weight of the warp's difference from the truth", low=0.0, high=1e4)
    crop: int = setting(96, "side of the crops, in pixels", low=LEAST, high=4096)
    batch: int = setting(1, "pairs of a step", low=1, high=256)
    paired: float = setting(0.3, "share of pairs that show the same place", low=0.0, high=1.0)
    bend: float = setting(10.0, "degrees that exemplars are turned", low=0.0, high=45.0)
    stretch: float = setting(0.15, "share by which exemplars are enlarged", low=0.0, high=1.0)
    flips: bool = setting(False, "the texture may be mirrored")
    turns: bool = setting(False, "the texture may be turned by 90 degrees")
    rate: float = setting(1e-3, "learning rate of matcher and generator", low=1e-6, high=1.0)
    discriminator_rate: float = setting(4e-4, "learning rate of the discriminators", low=1e-6, high=1.0)
    epsilon: float = setting(1e-8, "of Adam, for the generator", low=1e-10, high=0.1)
    gain: float = setting(0.1, "of the generator's first values", low=1e-3, high=2.0)
    side: int = setting(256, "exemplars are reduced to this shorter side; 0: never", low=0, high=8192)

    def __post_init__(self) -> None:
        if self.window % 2 == 0:
            raise UsageError(f"window = {self.window}, but windows have a middle; try {self.window + 1}")
        for layer in (*self.layers, *self.context_layers):
            known = features(self.features).LAYERS
            if layer not in known:
                raise UsageError(f"features {self.features} have no layer {layer!r}; known are {', '.join(known)}")


def needs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """What the losses and the metric look at."""
    own = {settings.features: (*settings.layers, *settings.context_layers)}
    return recipes.needs(settings, own if features(settings.features).WEIGHTS else {})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training on all exemplars and their labels; raises InputError for exemplars too small."""
    samples, labels = _samples(task, settings), _labels(task.guides[0])
    crop = settings.crop // CELL * CELL
    how = How(crop, settings.paired, settings.bend, settings.stretch, settings.flips, settings.turns)
    module = features(settings.features)
    extract = module.build(module.Settings(), (False, False), task.weights.get(settings.features))
    images = [sample.image for sample in samples]
    looks = [losses.look(extract, layers, images) for layers in (settings.layers, settings.context_layers)]
    net, critics = CoCosNet(settings, labels), PatchGAN(settings, labels)
    initialise(net.matcher, rng, 1.0)
    initialise(net.generator, rng, settings.gain)
    initialise(critics, rng, settings.gain)
    net, critics = net.to(task.device), critics.to(task.device)
    betas = (0.0, 0.9)
    optimisers = {
        "generator": torch.optim.Adam(net.parameters(), settings.rate, betas, settings.epsilon),
        "discriminator": torch.optim.Adam(critics.parameters(), settings.discriminator_rate, betas),
    }

    def step(number: int) -> dict[str, float]:
        for name, rate in zip(optimisers, (settings.rate, settings.discriminator_rate), strict=True):
            optimisers[name].param_groups[0]["lr"] = rate * decay(settings, number)
            optimisers[name].zero_grad()
        net.train(), critics.train()
        scenes = [
            scene_of(draw(samples, how, rng), labels, _blind(settings, number), rng) for _ in range(settings.batch)
        ]
        images, sums = _taught(net, critics, scenes, looks, settings, rng)
        optimisers["generator"].step()
        for scene, image in zip(scenes, images, strict=True):
            real, fake = critics.pair((scene.target, scene.target), (scene.pair.target.image, image))
            loss = hinge_discriminator(real, fake) / settings.batch
            loss.backward()
            sums["discriminator"] += float(loss.detach())
        optimisers["discriminator"].step()
        return dict(sums)

    def shown() -> tuple[Tensor, Tensor, Tensor]:
        return _shown(net, samples[0], labels)

    def sample() -> list[Tensor]:
        return [part.cpu() for part in (samples[0].image, *shown())]

    def measure() -> float:
        return recipes.score(settings, task, samples[0].image, shown()[2])

    return Training(
        {"net": net, "discriminators": critics}, optimisers, step, sample, measure, lambda: net.state_dict()
    )


def decay(settings: Settings, number: int) -> float:
    """The factor of the rates at a step: 1 for the first half, then falling to 0 in a line."""
    return min(1.0, 2 * (1 - number / settings.steps))


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs at crops of 64 to 128 pixels and two widths."""
    pixels = settings.crop**2
    work = settings.width * settings.hidden / 512 + settings.discriminator_width / 16 + settings.adaptor / 16
    matrix = 5 * 4 * (settings.crop // CELL) ** 4
    memory = 650e6 + matrix + pixels * (5000 * work + 2000)
    each = 0.06 + pixels * (9e-6 * work + (1.6e-5 if features(settings.features).WEIGHTS else 0)) + 1e-9 * matrix
    return Estimate(int(memory), settings.steps * settings.batch * each + settings.checks * 3)


def _taught(
    net: CoCosNet,
    critics: PatchGAN,
    scenes: Sequence[Scene],
    looks: Sequence[Look],
    settings: Settings,
    rng: torch.Generator,
) -> tuple[list[Tensor], dict[str, float]]:
    """The pictures of scenes, and what is logged of them: the mean of every term, 0 where there was none, and how much
    warp, picture and truth are the exemplar in its place: copies are more than the truth. Leaves gradients in the net.
    """
    sums = dict.fromkeys((*TERMS, "discriminator", "warp_copy", "image_copy", "truth_copy"), 0.0)
    images = []
    critics.requires_grad_(False)
    for scene in scenes:
        found = steps.made(net, scene, rng)
        terms = steps.terms(net, critics, scene, found, looks, settings, rng)
        total = torch.stack([getattr(settings, name) * value for name, value in terms.items()]).sum()
        (total / len(scenes)).backward()
        for name, value in terms.items():
            sums[name] += float(value.detach()) / len(scenes)
        pictures = {"warp_copy": found.warp, "image_copy": found.image, "truth_copy": scene.pair.target.image}
        for name, picture in pictures.items():
            sums[name] += losses.copied(picture, scene.pair.exemplar.image) / len(scenes)
        images.append(found.image.detach())
    critics.requires_grad_(True)
    return images, sums


@torch.no_grad()
def _shown(net: CoCosNet, sample: Sample, labels: int) -> tuple[Tensor, Tensor, Tensor]:
    """The labels of an exemplar, mirrored, in grey, and the warp and the picture that they become; always the same
    chance."""
    height, width = (min(n, SHOWN) for n in sample.size)
    ids = sample.labels[:, :, :height, :width].flip(3)
    target, seen = (encode(x, "l0", labels).to(sample.image) for x in (ids, sample.labels))
    rng, learns = torch.Generator().manual_seed(SAMPLE_SEED), net.training
    net.eval()
    warp = warped(net, target, sample.image, seen, rng)
    image = translated(net, warp, target, rng).clamp(0, 1)
    net.train(learns)
    return (ids / max(1, labels - 1)).expand(-1, 3, -1, -1), warp[:, :3].clamp(0, 1), image


def _blind(settings: Settings, number: int) -> bool:
    """Does the exemplar go without its labels at this step?"""
    return 0 < settings.masked <= number


def _labels(guide: Guide) -> int:
    assert guide.palette is not None
    return len(guide.palette)


def _samples(task: Task, settings: Settings) -> list[Sample]:
    """The exemplars, reduced, with their labels; InputError where one has no room for two crops."""
    least = metric(settings.metric).about.smallest_side
    found = []
    for number, exemplar in enumerate(task.exemplars):
        short = min(exemplar.size)
        level = math.log2(short / settings.side) if 0 < settings.side < short else 0.0
        one = replace(task, exemplars=(exemplar,), guides=(), size=exemplar.size).at(level).exemplars[0]
        ids = task.guides[0].sources[number]
        ids = F.interpolate(ids, one.size, mode="nearest-exact") if ids.shape[2:] != one.image.shape[2:] else ids
        _check(exemplar, one, max(settings.crop, least))
        found.append(Sample(one.image.to(task.device), ids.to(task.device)))
    return found


def _check(exemplar: Exemplar, reduced: Exemplar, crop: int) -> None:
    h, w = reduced.size
    if not room((h, w), crop):
        larger = max(LEAST, min(h, w, max(h, w) // 2))
        fix = f"--set crop={larger} fits" if room((h, w), larger) else "enlarge it"
        raise InputError(f"{exemplar.name}, {w}x{h} in training, has no room for two crops of {crop} pixels; {fix}")
    if exemplar.valid is not None and not exemplar.valid.all():
        raise InputError(f"{exemplar.name} has parts that may not be used, which crops would meet; --crop them off")
