"""Exemplar-guided synthesis by masked spatial-channel attention in one pass (Zheng et al. 2020, MSCA).

The network of `--model` pools each exemplar's style region by region, and paints it where the target's labels want it.
Several exemplars are one source; with a blend they are mixed: in the same shares everywhere their regions are, so that
what an exemplar has most of may come to the fore ("plain") or not ("normalised"); in shares that change from place to
place, what each would give is. Sizes are free, and every seed is another sample.

Differs from the paper in: see network.py. Shares of 0 and 1 are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.features import Extract, vgg19
from texsynth.learned.msca import attention
from texsynth.learned.msca.network import INTERPOLATIONS, Net, Pooled, Regions, Shape, noises, weights
from texsynth.learned.shared import conditions
from texsynth.learned.shared.generator import continued
from texsynth.learned.shared.loading import loaded, shaped
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Exemplar, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False
RECIPES: tuple[str, ...] = ("msca",)
GREY = 0.5  # of what is not made yet


@dataclass(frozen=True)
class Settings:
    """All else is the model's."""

    interpolation: str = setting(
        "plain",
        "mix regions of several exemplars by their shares and by how much of each there is, or by shares",
        choices=INTERPOLATIONS,
    )
    attention_maps: str = setting("off", "draw regions, the transfer of labels, and their tree", choices=("off", "on"))


def schedule(task: Task, settings: Settings) -> list[Level]:
    """A step for each exemplar, and one that paints, all at full size."""
    return [Level(0, len(task.exemplars) + 1)]


def needs(settings: Settings, model: Model | None) -> dict[str, tuple[str, ...]]:
    """What the model's image features come from."""
    layers = () if model is None else shaped(Shape, model).layers
    return {"vgg19": layers} if layers else {}


def refuses(task: Task, settings: Settings) -> str | None:
    """All but labels that the model knows, and tiling at sizes that its coarsest grid does not divide."""
    for given, words in (
        (task.hole is not None, "fills no holes"),
        (task.start is not None, "moves nothing: it paints labels anew"),
        (task.init is not None, "starts from labels only; leave --init out"),
        (any(g.strength is not None for g in task.guides), "follows labels everywhere; leave --guide-weight-map out"),
    ):
        if given:
            return words
    if task.model is None:
        return None
    if wrong := conditions.mismatch(task.guides, task.model):
        return wrong
    cell = shaped(Shape, task.model).cell
    whole = [max(1, round(n / cell)) * cell if wraps else n for n, wraps in zip(task.size, task.tile, strict=True)]
    if tuple(whole) == task.size:
        return None
    return f"tiles at multiples of {cell} pixels with this model; give --size {whole[1]}x{whole[0]}"


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs at 256 to 1024 pixels and widths of 16 and 32."""
    shape = Shape() if task.model is None else shaped(Shape, task.model)
    stored = 0 if task.model is None else sum(t.numel() for t in task.model.tensors.values())
    pixels, seen = task.size[0] * task.size[1], [e.size[0] * e.size[1] for e in task.exemplars]
    network = bool(shape.layers)
    memory = 330e6 + 8 * stored + 100 * shape.width * pixels
    memory += max(seen) * (150 + 20 * shape.channels[0] + (1200 if network else 0))
    seconds = 0.3 + 5e-7 * shape.width * pixels + sum(seen) * (1e-6 + (8e-6 if network else 0))
    return Estimate(int(memory), seconds)


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """A grey canvas, and the step that looks at its next exemplar and at last paints."""
    assert task.model is not None
    shape = shaped(Shape, task.model)
    count = sum(conditions.channels(told) for told in task.model.facts["guides"])
    net = loaded(Net(shape, count), task.model, task.device)
    extract = vgg19.build(vgg19.Settings(), (False, False), task.weights["vgg19"]) if shape.layers else None
    goal = conditions.of_task(task.guides, [g.target for g in task.guides], task.model).to(task.device)
    noise = noises(shape, task.size, 1, rng, task.device)
    styles: list[list[Pooled]] = []

    @torch.no_grad()
    def step(canvas: Canvas) -> tuple[Canvas, float]:
        if len(styles) < len(task.exemplars):
            exemplar = task.exemplars[len(styles)]
            styles.append(net.style(*_given(task, len(styles)), extract, _valid(task, exemplar)))
            return canvas, 0.0
        shares, how = _shares(task, settings, net)
        known = net.known(goal, task.tile)
        features = net.aligned(styles, known, shares, how)
        image = net.make(features, known, noise, task.tile)[:, :, : task.size[0], : task.size[1]]
        shown = _shown(task, net, extract, goal, shares, how) if settings.attention_maps == "on" else {}
        return Canvas(image, shown=shown), 0.0

    return Canvas(torch.full((1, 3, *task.size), GREY, device=task.device)), step


def _given(task: Task, number: int) -> tuple[Tensor, Tensor]:
    """An exemplar's picture (1, 3, H, W) and its labels, one-hot (1, L, H, W)."""
    assert task.model is not None
    labels = conditions.of_task(task.guides, [g.sources[number] for g in task.guides], task.model)
    return task.exemplars[number].image.to(task.device), labels.to(task.device)


def _valid(task: Task, exemplar: Exemplar) -> Tensor | None:
    return None if exemplar.valid is None else exemplar.valid.float().to(task.device)


def _shares(task: Task, settings: Settings, net: Net) -> tuple[Tensor, str]:
    """The exemplars' shares as `Net.aligned` takes them, and how they are mixed."""
    if task.blend is None:
        count = len(task.exemplars)
        return torch.full((1, count, 1, 1), 1 / count, device=task.device), "plain"  # then all positions are one source
    blend = task.blend.to(task.device)
    first = blend[:, :, :1, :1]
    if bool((blend == first).all()):
        return first, settings.interpolation
    return continued(blend, net.shape.grids(task.size)[-1]), settings.interpolation


def _shown(task: Task, net: Net, extract: Extract | None, goal: Tensor, shares: Tensor, how: str) -> dict[str, Tensor]:
    """Pictures of the attention at the finest scale."""
    assert task.model is not None
    regions = net.regions[-1]
    assert isinstance(regions, Regions)
    pools, alphas, labels = [], [], []
    for number, exemplar in enumerate(task.exemplars):
        image, known = _given(task, number)
        seen = [x[-1] for x in net.described(image, known, extract, _valid(task, exemplar))]
        assert seen[0] is not None and seen[1] is not None
        pools.append(regions.pool(seen[0], seen[1], seen[2]))
        logits = regions.logits(seen[0], seen[1], seen[2])
        alpha = logits.flatten(2).softmax(2).view_as(logits)[:, :, : exemplar.size[0], : exemplar.size[1]]
        alphas.append(alpha)
        labels.append(known)
    whole = shares.shape[2:] == (1, 1)
    if whole:
        mixed = weights(pools, shares.flatten(), how)
        alphas = [alpha * w[..., None, None] for alpha, w in zip(alphas, mixed, strict=True)]
    size = task.size
    beta = regions.shares(net.known(goal, task.tile)[-1])[:, :, : size[0], : size[1]]
    found = attention.Seen(alphas, beta, labels, goal, None if whole else shares[:, :, : size[0], : size[1]])
    colours = [colour for told in task.model.facts["guides"] for colour in told["palette"]]
    return {k: v.cpu() for k, v in attention.drawn(found, torch.tensor(colours) / 255).items()}
