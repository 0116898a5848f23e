"""Recipe of CoCosNet: Zhang et al. 2020, "Cross-domain Correspondence Learning for Exemplar-based Image Translation".

Each step cuts a target and an exemplar from the pictures, matches the target's labels with the exemplar, warps it, and
turns the warp into the target's picture; matcher and generator learn together, against discriminators of two scales.

Differs from the paper in: one picture is enough (see `pairs`), and other pictures are drawn, not retrieved; feature
matching asks for the very pixels, so it counts only for pairs that show the same place; by default the losses compare
windows of pixels in place of VGG-19's features. `place` keeps neighbouring cells together (see `network`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError
from texsynth.features import features
from texsynth.learned.cocosnet import losses, network
from texsynth.learned.cocosnet.losses import ScaledFeatures
from texsynth.learned.cocosnet.match import match
from texsynth.learned.cocosnet.network import CELL, CoCosNet, Side, WarpSource, WarpTarget
from texsynth.learned.cocosnet.pairs import ExemplarPair, PairSettings, Sample, draw, room
from texsynth.learned.shared import adversarial
from texsynth.learned.shared.conditions import encode
from texsynth.learned.shared.conv import initialise
from texsynth.learned.shared.patchgan import PatchGAN, feature_matching, hinge_generator
from texsynth.metrics import metric
from texsynth.settings import setting
from texsynth.task import Estimate, Task
from texsynth.training import exemplars, recipes
from texsynth.training.recipes import SAMPLE_SEED, Training

METHOD = "cocosnet"
GUIDES: tuple[str, ...] = ("labels",)
LABEL_NOISE = 0.01  # deviation of the noise that stands for an exemplar's labels
# The losses, each of which has a weight of the same name in the settings, in the order of the log.
TERMS = ("adversarial", "matching", "truth", "perceptual", "contextual", "domain", "mask", "cycle", "self_warp")


@dataclass(frozen=True)
class Settings(PairSettings, network.Shape):
    """Defaults: small networks for two cores, which need no weights. The weights of losses are the published ones.

    features: The features that the losses compare; windows of pixels need no weights.
    layers: The layers that are compared, place by place, with the truth.
    context_layers: The layers of the contextual loss.
    context_patch: The side of the patches that the contextual loss compares.
    context_sample: The number of patches that the contextual loss compares on either side.
    adversarial: The weight of the hinge loss of the discriminators' scores.
    truth: The weight of the layers' differences from the truth.
    perceptual: The weight of the squared difference of the deepest layer, for all pairs.
    contextual: The weight of the contextual loss.
    domain: The weight of the difference between the adaptors' features of labels and of pictures.
    mask: The weight of the differences between warped labels and the target's.
    cycle: The weight of warping there and back; a larger one makes copies.
    self_warp: The weight of the warp's difference from the truth.
    epsilon: The epsilon of Adam for the network.
    gain: The factor of the first values of the generator and of the discriminators.
    side: Exemplars are reduced to this shorter side, in pixels; 0 leaves them as they are.
    """

    features: str = setting("windows", choices=("windows", "vgg19"))
    layers: tuple[str, ...] = setting(("full", "half", "quarter"))
    context_layers: tuple[str, ...] = setting(("full", "half", "quarter"))
    context_patch: int = setting(5, low=1, high=15)
    context_sample: int = setting(1024, low=16, high=65536)
    adversarial: float = setting(10.0, low=0.0, high=1e4)
    truth: float = setting(10.0, low=0.0, high=1e4)
    perceptual: float = setting(0.0, low=0.0, high=1e4)
    contextual: float = setting(10.0, low=0.0, high=1e4)
    domain: float = setting(10.0, low=0.0, high=1e4)
    mask: float = setting(100.0, low=0.0, high=1e4)
    cycle: float = setting(0.1, low=0.0, high=1e4)
    self_warp: float = setting(0.0, low=0.0, high=1e4)
    epsilon: float = setting(1e-8, low=1e-10, high=0.1)
    gain: float = setting(0.1, low=1e-3, high=2.0)
    side: int = setting(256, low=0, high=8192)

    def __post_init__(self) -> None:
        if self.window % 2 == 0:
            raise UsageError(f"window = {self.window}, but windows have a middle; try {self.window + 1}")
        layers = features(self.features).LAYERS
        for layer in (*self.layers, *self.context_layers):
            if layer not in layers:
                raise UsageError(f"features {self.features} have no layer {layer!r}; known are {', '.join(layers)}")


@dataclass(frozen=True)
class TrainingParts:
    """All that a step needs. labels: their number. truth_features, context_features: the layers that are compared with
    the truth, and those of the contextual loss."""

    settings: Settings
    samples: Sequence[Sample]
    labels: int
    net: CoCosNet
    discriminators: PatchGAN
    truth_features: ScaledFeatures
    context_features: ScaledFeatures
    rng: torch.Generator


@dataclass(frozen=True)
class Scene:
    """A pair, the labels of its target and exemplar, one-hot (1, L, s, s), and what the exemplar's adaptor gets in
    place of labels (`shown`): these, or noise."""

    pair: ExemplarPair
    target: Tensor
    exemplar: Tensor
    shown: Tensor

    @property
    def paired(self) -> bool:
        """Whether target and exemplar show the same place."""
        return self.pair.places is not None


@dataclass(frozen=True)
class Rendering:
    """What the networks make of a scene: the target on the grid of cells, and a picture (1, 3, s, s) for it.

    warp, labels: the exemplar (1, 3, s, s), and the shares of its labels (1, L, h, w), in the layout of the target.
    back: (1, 3, H, W), the cells of the warp in the layout of the exemplar.
    """

    target: Side
    warp: Tensor
    labels: Tensor
    back: Tensor
    image: Tensor


def needs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The layers of pretrained networks that the losses and the metric compare."""
    layers = {settings.features: (*settings.layers, *settings.context_layers)}
    return recipes.needs(settings, layers if features(settings.features).WEIGHTS else {})


def build(task: Task, settings: Settings, rng: torch.Generator) -> Training:
    """A training on all exemplars and their labels; raises InputError for exemplars that are too small."""
    parts = _parts(task, settings, rng)
    net, discriminators = parts.net, parts.discriminators
    optimisers = adversarial.optimisers(net.parameters(), discriminators, settings, settings.epsilon)

    def step(number: int) -> Mapping[str, float]:
        adversarial.set_rates(optimisers, settings, number)
        net.train(), discriminators.train()
        unlabelled = 0 < settings.masked <= number
        pairs = (draw(parts.samples, settings, rng) for _ in range(settings.batch))
        return learn(parts, optimisers, [scene_of(pair, parts.labels, unlabelled, rng) for pair in pairs])

    def sample() -> list[Tensor]:
        return [picture.cpu() for picture in (parts.samples[0].image, *_sample(parts))]

    def measure() -> float:
        return recipes.score(settings, task, parts.samples[0].image, _sample(parts)[-1])

    modules = {"net": net, "discriminators": discriminators}
    adams = {"generator": optimisers.network, "discriminator": optimisers.discriminators}
    return Training(modules, adams, step, sample, measure, net.state_dict)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs at crops of 64 to 128 pixels and two widths."""
    pixels = settings.crop**2
    work = settings.width * settings.hidden / 512 + settings.discriminator_width / 16 + settings.adaptor / 16
    matrix = 5 * 4 * (settings.crop // CELL) ** 4
    memory = 200e6 + matrix + pixels * (5000 * work + 2000)
    each = 0.08 + pixels * (1.2e-5 * work + (1.6e-5 if features(settings.features).WEIGHTS else 0)) + 1e-9 * matrix
    return Estimate(int(memory), settings.steps * settings.batch * each + settings.checks * 3)


def scene_of(pair: ExemplarPair, labels: int, unlabelled: bool, rng: torch.Generator) -> Scene:
    """A pair as networks see it. labels: their number. unlabelled: whether the exemplar goes without its labels."""
    target, exemplar = (encode(sample.labels, "l0", labels).to(sample.image) for sample in (pair.target, pair.exemplar))
    shown = torch.randn(exemplar.shape, generator=rng).to(exemplar) * LABEL_NOISE if unlabelled else exemplar
    return Scene(pair, target, exemplar, shown)


def render(net: CoCosNet, scene: Scene, rng: torch.Generator) -> Rendering:
    """The match, the warp and the picture of a scene, with gradients."""
    shape, image = net.matcher.shape, scene.pair.exemplar.image
    target, exemplar = net.matcher.target(scene.target), net.matcher.exemplar(image, scene.shown)
    places = network.wished(target, exemplar, image, shape, rng)
    if scene.pair.places is not None:
        places = torch.where(scene.pair.places.isnan(), places, scene.pair.places)
    queries, keys = network.compared(target, exemplar, places, shape)
    cells = F.pixel_unshuffle(torch.cat([image, scene.exemplar], 1), CELL)
    warp = F.pixel_shuffle(match(queries, keys, cells, shape.temperature), CELL)
    colours, labels = warp[:, :3], F.avg_pool2d(warp[:, 3:], CELL)
    back = match(keys, queries, F.avg_pool2d(colours, CELL), shape.temperature)
    return Rendering(target, colours, labels, back, network.translated(net, warp, scene.target, rng))


def learn(parts: TrainingParts, optimisers: adversarial.Optimisers, scenes: Sequence[Scene]) -> dict[str, float]:
    """One update of matcher and generator, and one of the discriminators: the mean of every loss over the scenes, 0
    where there was none, and how much warp, picture and truth are the exemplar in its place, as copies would be."""
    log = dict.fromkeys((*TERMS, "discriminator", "warp_copy", "image_copy", "truth_copy"), 0.0)
    images = []
    # Teach matcher and generator.
    optimisers.network.zero_grad()
    parts.discriminators.requires_grad_(False)
    for scene in scenes:
        rendering = render(parts.net, scene, parts.rng)
        terms = losses_of(parts, scene, rendering)
        total = torch.stack([getattr(parts.settings, name) * value for name, value in terms.items()]).sum()
        (total / len(scenes)).backward()
        for name, value in terms.items():
            log[name] += float(value.detach()) / len(scenes)
        pictures = {"warp_copy": rendering.warp, "image_copy": rendering.image, "truth_copy": scene.pair.target.image}
        for name, picture in pictures.items():
            log[name] += losses.copied(picture, scene.pair.exemplar.image) / len(scenes)
        images.append(rendering.image.detach())
    parts.discriminators.requires_grad_(True)
    optimisers.network.step()
    # Teach the discriminators.
    each = zip(scenes, images, strict=True)
    contests = [((scene.target, scene.target), (scene.pair.target.image, image)) for scene, image in each]
    log["discriminator"] = adversarial.teach_discriminators(parts.discriminators, optimisers.discriminators, contests)
    return log


def losses_of(parts: TrainingParts, scene: Scene, rendering: Rendering) -> dict[str, Tensor]:
    """The losses of a scene by their names in TERMS, without those of weight 0, or without a meaning for this pair."""
    settings, discriminators, image = parts.settings, parts.discriminators, rendering.image
    truth, exemplar = scene.pair.target.image, scene.pair.exemplar.image
    out: dict[str, Tensor] = {}
    # Ask the discriminators.
    if scene.paired and settings.matching:
        real, fake = discriminators.pair((scene.target, scene.target), (truth, image))
        out["matching"] = feature_matching(real, fake)
    else:
        fake = discriminators(scene.target, image)
    out["adversarial"] = hinge_generator(fake)
    # Compare the picture with the truth, and with the exemplar.
    if settings.perceptual or (scene.paired and settings.truth):
        layers, wanted = parts.truth_features(image), parts.truth_features(truth)
        deepest = list(layers)[-1]
        out["perceptual"] = F.mse_loss(layers[deepest], wanted[deepest])
        if scene.paired:
            out["truth"] = losses.differences(layers, wanted)
    if settings.contextual:
        layers, wanted = parts.context_features(image), parts.context_features(exemplar)
        patch, count = settings.context_patch, settings.context_sample
        out["contextual"] = losses.contextual(layers, wanted, patch, count, parts.rng)
    # Compare what leads to the warp, and the warp.
    if settings.domain:
        adapted = parts.net.matcher.exemplar(truth, scene.target).adapted
        out["domain"] = (rendering.target.adapted - adapted).abs().sum(1).mean()
    if settings.mask:
        target_shares, exemplar_shares = (F.avg_pool2d(x, CELL) for x in (scene.target, scene.exemplar))
        out["mask"] = losses.mask_warp(rendering.labels, target_shares, exemplar_shares)
    if settings.cycle:
        out["cycle"] = F.l1_loss(rendering.back, F.avg_pool2d(exemplar, CELL))
    if scene.paired and settings.self_warp:
        out["self_warp"] = F.l1_loss(rendering.warp, truth)
    return {name: value for name, value in out.items() if getattr(settings, name)}


def _parts(task: Task, settings: Settings, rng: torch.Generator) -> TrainingParts:
    palette = task.guides[0].palette
    assert palette is not None
    samples, labels = _samples(task, settings), len(palette)
    module = features(settings.features)
    extract = module.build(module.Settings(), (False, False), task.weights.get(settings.features))
    images = [sample.image for sample in samples]
    truth_features, context_features = (
        losses.scaled_features(extract, layers, images) for layers in (settings.layers, settings.context_layers)
    )
    net, discriminators = CoCosNet(settings, labels), PatchGAN(settings, labels)
    initialise(net.matcher, rng, 1.0)
    initialise(net.generator, rng, settings.gain)
    initialise(discriminators, rng, settings.gain)
    net, discriminators = net.to(task.device), discriminators.to(task.device)
    return TrainingParts(settings, samples, labels, net, discriminators, truth_features, context_features, rng)


@torch.no_grad()
def _sample(parts: TrainingParts) -> tuple[Tensor, Tensor, Tensor]:
    """The first exemplar's labels, mirrored, in grey, and their warp and picture, always with the same chance."""
    net, sample, labels = parts.net, parts.samples[0], parts.labels
    height, width = (min(n, adversarial.SAMPLE_SIDE) for n in sample.size)
    ids = sample.labels[:, :, :height, :width].flip(3)
    target, exemplar = (encode(x, "l0", labels).to(sample.image) for x in (ids, sample.labels))
    rng, was_training = torch.Generator().manual_seed(SAMPLE_SEED), net.training
    net.eval()
    warp = network.warped(net, WarpTarget(target), WarpSource(sample.image, exemplar), rng)
    image = network.translated(net, warp, target, rng).clamp(0, 1)
    net.train(was_training)
    return (ids / max(1, labels - 1)).expand(-1, 3, -1, -1), warp[:, :3].clamp(0, 1), image


def _samples(task: Task, settings: Settings) -> list[Sample]:
    """The exemplars, reduced, with their labels; raises InputError where one, reduced, has no room for two crops, or
    has parts that may not be used."""
    crop = max(settings.crop, metric(settings.metric).about.smallest_side)
    samples = []
    for exemplar, ids in zip(task.exemplars, task.guides[0].sources, strict=True):
        reduced = exemplars.reduced(exemplar, settings.side)
        if ids.shape[2:] != reduced.image.shape[2:]:
            ids = F.interpolate(ids, reduced.size, mode="nearest-exact")
        h, w = reduced.size
        if not room((h, w), crop):
            larger = max(adversarial.SMALLEST_CROP, min(h, w, max(h, w) // 2))
            fix = f"--set crop={larger} fits" if room((h, w), larger) else "enlarge it"
            size = f"{exemplar.name}, {w}x{h} in training,"
            raise InputError(f"{size} has no room for two crops of {crop} pixels; {fix}")
        if exemplar.valid is not None and not exemplar.valid.all():
            raise InputError(
                f"{exemplar.name} has parts that may not be used, and crops meet them; --crop them off, or --alpha keep"
            )
        samples.append(Sample(reduced.image.to(task.device), ids.to(task.device)))
    return samples
