"""Exemplar-guided synthesis by masked spatial-channel attention in one pass (Zheng et al. 2020, MSCA).

The network of `--model` pools each exemplar's style region by region, and paints it where the target's labels want it.
Several exemplars are one source. With a blend they are mixed: in shares that are the same everywhere their regions are
mixed, so that what an exemplar has most of may come to the fore ("plain") or not ("normalised"); in shares that change
from place to place, what each exemplar would give is mixed. Sizes are free, and every seed is another sample.

Differs from the paper in: see network.py. Shares of 0 and 1 are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.features import Extract, vgg19
from texsynth.learned.msca import attention
from texsynth.learned.msca.attention import AttentionMaps
from texsynth.learned.msca.network import INTERPOLATIONS, MscaNet, Pooled, RegionAttention, Shape, weights
from texsynth.learned.shared import conditions
from texsynth.learned.shared.generator import continued, normal_noise
from texsynth.learned.shared.loading import loaded, shaped
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False
RECIPES: tuple[str, ...] = ("msca",)
UNPAINTED = 0.5  # the grey of a canvas before the network paints


@dataclass(frozen=True)
class Settings:
    """How exemplars are mixed, and what is shown; all else is the model's.

    interpolation: Exemplars are mixed by their shares and by how much each has of a region (plain), or by shares
        (normalised).
    attention_maps: Pictures of the attention are made, too.
    """

    interpolation: str = setting("plain", choices=INTERPOLATIONS)
    attention_maps: str = setting("off", choices=("off", "on"))


def schedule(task: Task, settings: Settings) -> list[Level]:
    """A step for each exemplar, and one that paints, all at full size."""
    return [Level(0, len(task.exemplars) + 1)]


def needs(settings: Settings, model: Model | None) -> dict[str, tuple[str, ...]]:
    """The layers of VGG-19 that the model takes its image features from, if it does."""
    layers = () if model is None else shaped(Shape, model).layers
    return {"vgg19": layers} if layers else {}


def refuses(task: Task, settings: Settings) -> str | None:
    """Refuse all but labels that the model knows, and tiling at sizes that its coarsest grid does not divide."""
    wrong = {
        "fills no holes": task.hole is not None,
        "moves nothing: it paints labels anew": task.start is not None,
        "starts from labels only; leave --init out": task.init is not None,
        "follows labels everywhere; leave --guide-weight-map out": any(g.strength is not None for g in task.guides),
    }
    if any(wrong.values()) or task.model is None:
        return next((words for words, so in wrong.items() if so), None)
    cell = shaped(Shape, task.model).cell
    return conditions.mismatch(task.guides, task.model) or conditions.uneven(task.size, task.tile, cell)


def unused(task: Task, settings: Settings) -> frozenset[str]:
    """The weight of labels, which a network follows or does not."""
    return frozenset({"labels_weight"})


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs at 256 to 1024 pixels and widths of 16 and 32."""
    shape = Shape() if task.model is None else shaped(Shape, task.model)
    stored = 0 if task.model is None else sum(t.numel() for t in task.model.tensors.values())
    pixels, areas = task.size[0] * task.size[1], [e.size[0] * e.size[1] for e in task.exemplars]
    vgg = bool(shape.layers)
    memory = 8 * stored + 100 * shape.width * pixels
    memory += max(areas) * (150 + 20 * shape.channels[0] + (1200 if vgg else 0))
    seconds = 0.3 + 5e-7 * shape.width * pixels + sum(areas) * (1e-6 + (8e-6 if vgg else 0))
    return Estimate(int(memory), seconds)


@dataclass(frozen=True)
class Painter:
    """What the steps share.

    net: the model's network.
    extract: the extractor of its image features; None where they come from pixels.
    target: the target's labels, one-hot, (1, L, h, w).
    """

    task: Task
    settings: Settings
    model: Model
    net: MscaNet
    extract: Extract | None
    target: Tensor

    def exemplar(self, number: int) -> tuple[Tensor, Tensor, Extract | None, Tensor | None]:
        """What the network takes of an exemplar: its picture (1, 3, H, W), its labels, one-hot (1, L, H, W), the
        extractor, and how much each pixel counts, (1, 1, H, W)."""
        exemplar, device = self.task.exemplars[number], self.task.device
        maps = [guide.sources[number] for guide in self.task.guides]
        labels = conditions.of_task(self.task.guides, maps, self.model).to(device)
        valid = None if exemplar.valid is None else exemplar.valid.float().to(device)
        return exemplar.image.to(device), labels, self.extract, valid

    def shares(self) -> tuple[Tensor, str]:
        """The exemplars' shares as `MscaNet.aligned` takes them, and how they are mixed."""
        task = self.task
        if task.blend is None:  # the positions of all exemplars are one source
            count = len(task.exemplars)
            return torch.full((1, count, 1, 1), 1 / count, device=task.device), "plain"
        blend = task.blend.to(task.device)
        first = blend[:, :, :1, :1]
        if bool((blend == first).all()):
            return first, self.settings.interpolation
        return continued(blend, self.net.shape.grids(task.size)[-1]), self.settings.interpolation


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """A grey canvas, and the step that looks at the next exemplar, and paints when it has looked at all."""
    assert task.model is not None
    shape, channels = shaped(Shape, task.model), conditions.channels(task.model)
    net = loaded(lambda: MscaNet(shape, channels), task.model, task.device)
    extract = vgg19.build(vgg19.Settings(), (False, False), task.weights["vgg19"]) if shape.layers else None
    target = conditions.of_task(task.guides, [g.target for g in task.guides], task.model).to(task.device)
    painter = Painter(task, settings, task.model, net, extract, target)
    noise = normal_noise(shape, task.size, 1, rng, task.device)
    styles: list[list[Pooled]] = []

    @torch.no_grad()
    def step(canvas: Canvas) -> tuple[Canvas, float]:
        if len(styles) < len(task.exemplars):
            styles.append(net.style(*painter.exemplar(len(styles))))
            return canvas, 0.0
        labels = net.label_features(target, task.tile)
        features = net.aligned(styles, labels, *painter.shares())
        image = net.paint(features, labels, noise, task.tile)[:, :, : task.size[0], : task.size[1]]
        return Canvas(image, shown=_attention_pictures(painter) if settings.attention_maps == "on" else {}), 0.0

    return Canvas(torch.full((1, 3, *task.size), UNPAINTED, device=task.device)), step


def _attention_pictures(painter: Painter) -> dict[str, Tensor]:
    """Pictures of the attention at the finest scale."""
    task, net, (shares, interpolation) = painter.task, painter.net, painter.shares()
    regions = net.regions[-1]
    assert isinstance(regions, RegionAttention)
    # Find where the regions of each exemplar are.
    pools, alphas, labels = [], [], []
    for number, exemplar in enumerate(task.exemplars):
        inputs = painter.exemplar(number)
        image_features, label_features, share = (scales[-1] for scales in net.exemplar_features(*inputs))
        assert image_features is not None and label_features is not None
        pools.append(regions.pool(image_features, label_features, share))
        logits = regions.logits(image_features, label_features, share)
        alpha = logits.flatten(2).softmax(2).view_as(logits)
        alphas.append(alpha[:, :, : exemplar.size[0], : exemplar.size[1]])
        labels.append(inputs[1])
    even = shares.shape[2:] == (1, 1)
    if even:
        mixed = weights(pools, shares.flatten(), interpolation)
        alphas = [alpha * w[..., None, None] for alpha, w in zip(alphas, mixed, strict=True)]
    # Find where the target wants them.
    rows, columns = task.size
    beta = regions.shares(net.label_features(painter.target, task.tile)[-1])[:, :, :rows, :columns]
    maps = AttentionMaps(alphas, beta, labels, painter.target, None if even else shares[:, :, :rows, :columns])
    palette = torch.tensor([colour for facts in painter.model.facts["guides"] for colour in facts["palette"]]) / 255
    return {name: picture.cpu() for name, picture in attention.pictures(maps, palette).items()}
