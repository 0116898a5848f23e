"""One step of CoCosNet (Zhang et al. 2020): what its networks make of a pair, and every term of what they minimise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.learned.cocosnet import losses
from texsynth.learned.cocosnet.losses import Look
from texsynth.learned.cocosnet.match import match
from texsynth.learned.cocosnet.network import CELL, CoCosNet, Side, compared, translated, wished
from texsynth.learned.cocosnet.pairs import Pair
from texsynth.learned.shared.conditions import encode
from texsynth.learned.shared.patchgan import PatchGAN, feature_matching, hinge_generator

if TYPE_CHECKING:
    from texsynth.learned.cocosnet.recipe import Settings

FAINT = 0.01  # deviation of the noise that stands for an exemplar's labels
# terms that have a weight of the same name in the settings
TERMS = ("adversarial", "matching", "truth", "perceptual", "contextual", "domain", "mask", "cycle", "self_warp")


@dataclass(frozen=True)
class Scene:
    """What networks see of a pair: one-hot labels of target and exemplar (1, L, s, s), what the exemplar's adaptor gets
    of the latter, and the (y, x) of every cell's place."""

    pair: Pair
    target: Tensor
    exemplar: Tensor
    seen: Tensor

    @property
    def paired(self) -> bool:
        return self.pair.places is not None


@dataclass(frozen=True)
class Made:
    """What networks make of a scene: both sides of the match, the warp and the picture (1, 3, s, s), the warped labels
    (1, L, h, w), and the exemplar's cells there (1, 3, h, w) and back (1, 3, H, W)."""

    sides: tuple[Side, Side]
    warp: Tensor
    labels: Tensor
    back: Tensor
    image: Tensor


def scene(pair: Pair, labels: int, blind: bool, rng: torch.Generator) -> Scene:
    """A pair as networks see it. blind: the exemplar goes without its labels."""
    target, exemplar = (encode(sample.labels, "l0", labels).to(sample.image) for sample in (pair.target, pair.exemplar))
    seen = torch.randn(exemplar.shape, generator=rng).to(exemplar) * FAINT if blind else exemplar
    return Scene(pair, target, exemplar, seen)


def made(net: CoCosNet, scene: Scene, rng: torch.Generator) -> Made:
    """The match, the warp and the picture, with gradients."""
    shape, image = net.matcher.shape, scene.pair.exemplar.image
    target, exemplar = net.matcher.target(scene.target), net.matcher.exemplar(image, scene.seen)
    places = wished(target, exemplar, image, shape, rng)
    if scene.pair.places is not None:
        places = torch.where(scene.pair.places.isnan(), places, scene.pair.places)
    queries, keys = compared(target, exemplar, places, shape)
    cells = F.pixel_unshuffle(torch.cat([image, scene.exemplar], 1), CELL)
    taken = F.pixel_shuffle(match(queries, keys, cells, shape.temperature), CELL)
    warp, labels = taken[:, :3], F.avg_pool2d(taken[:, 3:], CELL)
    back = match(keys, queries, F.avg_pool2d(warp, CELL), shape.temperature)
    return Made((target, exemplar), warp, labels, back, translated(net, taken, scene.target, rng))


def terms(
    net: CoCosNet,
    critics: PatchGAN,
    scene: Scene,
    found: Made,
    looks: Sequence[Look],
    settings: Settings,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """Every term of a scene by its name in TERMS; those of weight 0, or without a meaning for this pair, are left out.

    looks: at what is compared with the truth, and at what the contextual loss compares."""
    true, exemplar = scene.pair.target.image, scene.pair.exemplar.image
    out: dict[str, Tensor] = {}
    if scene.paired and settings.matching:
        real, fake = critics.pair((scene.target, scene.target), (true, found.image))
        out["matching"] = feature_matching(real, fake)
    else:
        fake = critics(scene.target, found.image)
    out["adversarial"] = hinge_generator(fake)
    if settings.perceptual or (scene.paired and settings.truth):
        seen, wanted = looks[0](found.image), looks[0](true)
        last = list(seen)[-1]
        out["perceptual"] = F.mse_loss(seen[last], wanted[last])
        if scene.paired:
            out["truth"] = losses.differences(seen, wanted)
    if settings.contextual:
        seen, wanted = looks[1](found.image), looks[1](exemplar)
        out["contextual"] = losses.contextual(seen, wanted, settings.context_patch, settings.context_sample, rng)
    if settings.domain:
        adapted = net.matcher.exemplar(true, scene.target).adapted
        out["domain"] = (found.sides[0].adapted - adapted).abs().sum(1).mean()
    if settings.mask:
        wanted_labels, known = (F.avg_pool2d(x, CELL) for x in (scene.target, scene.exemplar))
        out["mask"] = losses.mask_warp(found.labels, wanted_labels, known)
    if settings.cycle:
        out["cycle"] = F.l1_loss(found.back, F.avg_pool2d(exemplar, CELL))
    if scene.paired and settings.self_warp:
        out["self_warp"] = F.l1_loss(found.warp, true)
    return {name: value for name, value in out.items() if getattr(settings, name)}
