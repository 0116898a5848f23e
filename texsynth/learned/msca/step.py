"""What a step of recipe `msca` does: pairs drawn, pictures rebuilt, and what critics and losses say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.learned.msca import pairs
from texsynth.learned.msca.network import Helper, Net, noises
from texsynth.learned.msca.pairs import Pair, Source
from texsynth.learned.shared import adversarial, patchgan, rebuilt
from texsynth.learned.shared.adversarial import Optimisers
from texsynth.learned.shared.regions import Bank, transport

if TYPE_CHECKING:
    from texsynth.learned.msca.recipe import Settings


@dataclass(frozen=True)
class Parts:
    """All that a step needs. labels: how many there are. see: VGG-19, for presets that look through it. banks: the
    patches of each exemplar."""

    settings: Settings
    sources: Sequence[Source]
    labels: int
    net: Net
    helper: Helper
    critic: patchgan.PatchGAN
    see: rebuilt.Seer | None
    banks: Sequence[Bank]
    rng: torch.Generator

    def one_hot(self, ids: Tensor) -> Tensor:
        """(n, 1, h, w) -> (n, L, h, w)."""
        return F.one_hot(ids[:, 0].long(), self.labels).movedim(3, 1).float()


@dataclass(frozen=True)
class Lesson:
    """Pictures to rebuild (n, 3, s, s), ids of their labels (n, 1, s, s), and for each its exemplar, the same of it.
    banks: what the patches of each may be; () where crops are not at the exemplars' scale."""

    image: Tensor
    labels: Tensor
    exemplar: Tensor
    exemplar_labels: Tensor
    valid: Tensor
    banks: Sequence[Bank]


def lesson(parts: Parts, number: int) -> Lesson:
    """The pairs of a step, rebuilt both ways."""
    drawn = [_pair(parts, number) for _ in range(parts.settings.batch)]
    own = [(pair.image, pair.labels) for pair, *_ in drawn]
    theirs = [(x if whole else x.flip(0) for x in (pair.image, pair.labels, pair.valid)) for pair, whole, _ in drawn]
    banks = [known for *_, known in drawn if known is not None for _ in range(2)]
    image, labels = (torch.cat(x) for x in zip(*own, strict=True))
    exemplar, exemplar_labels, valid = (torch.cat(x) for x in zip(*theirs, strict=True))
    return Lesson(image, labels, exemplar, exemplar_labels, valid, banks)


def _pair(parts: Parts, number: int) -> tuple[Pair, bool, Bank | None]:
    """Two crops; does each rebuild itself, in place of the other? And what their patches may be, if that is known."""
    settings, rng = parts.settings, parts.rng
    chosen = int(torch.randint(len(parts.sources), (), generator=rng))
    source = parts.sources[chosen]
    size = source.image.shape[2], source.image.shape[3]
    late = number >= round(settings.steps * (1 - settings.second))
    whole = late and float(torch.rand((), generator=rng)) < settings.whole
    side = settings.crop
    if late:
        side = min(size) if whole else min(*size, round(side * settings.larger))
    place = pairs.anywhere if late else pairs.separate
    found = [pairs.cut(source, place(size, side, rng), side, settings.crop) for _ in range(settings.draws)]
    pair = pairs.moved(pairs.best(found), settings.flips, settings.turns, rng)
    if float(torch.rand((), generator=rng)) < settings.recolour:
        pair = pairs.recoloured(pair, rng)
    return pair, whole, None if late else parts.banks[chosen].changed(pair.changes)


def _aligned(parts: Parts, lesson: Lesson) -> tuple[list[Tensor], list[Tensor]]:
    """What every picture takes from its exemplar, and its label features."""
    valid = None if bool(lesson.valid.all()) else lesson.valid.clamp_min(1e-6)  # a crop may have nothing valid
    extract = None if parts.see is None else parts.see.extract
    style = parts.net.style(lesson.exemplar, parts.one_hot(lesson.exemplar_labels), extract, valid)
    known = parts.net.known(parts.one_hot(lesson.labels))
    return parts.net.aligned([style], known, lesson.image.new_ones(1, 1, 1, 1)), known


def pretrained(parts: Parts, optimisers: Optimisers, lesson: Lesson) -> Mapping[str, float]:
    """The attention learns what the auxiliary decoder can tell of the true pictures."""
    guesses = parts.helper(*_aligned(parts, lesson))
    goals = [rebuilt.goals(image, parts.settings, parts.see) for image in lesson.image.split(1)]
    together = [torch.cat(scale) for scale in zip(*goals, strict=True)]
    loss = torch.stack([F.l1_loss(*pair) for pair in zip(guesses, together, strict=True)]).mean()
    adversarial.descend(optimisers.network, loss)
    return {"pretraining": float(loss.detach())}


def trained(parts: Parts, optimisers: Optimisers, lesson: Lesson) -> Mapping[str, float]:
    """The critics learn to tell rebuilt pictures from true ones, and then the network learns to please them."""
    settings, condition = parts.settings, parts.one_hot(lesson.labels)
    size = lesson.image.shape[2], lesson.image.shape[3]
    noise = noises(settings, size, len(lesson.image), parts.rng, lesson.image.device)
    made = parts.net.make(*_aligned(parts, lesson), noise)[:, :, : size[0], : size[1]]
    parts.critic.train()
    contest = adversarial.Contest((condition, condition), (lesson.image, made))
    critic_loss = adversarial.teach_discriminators(parts.critic, optimisers.discriminators, [contest])
    real, fake = parts.critic.pair(contest.conditions, contest.images)
    losses = {
        "adversarial": patchgan.hinge_generator(fake),
        "matching": patchgan.feature_matching(real, fake),
        "perceptual": rebuilt.perceptual(made, lesson.image, parts.see),
    }
    if settings.texture and lesson.banks:
        each = zip(made.split(1), lesson.labels.split(1), lesson.banks, strict=True)
        losses["texture"] = torch.stack([transport(*own, parts.rng) for own in each]).mean()
    weights = {name: getattr(settings, name) for name in losses}
    adversarial.descend(optimisers.network, adversarial.weighted(losses, weights))
    return {"discriminator": critic_loss} | {name: float(value.detach()) for name, value in losses.items()}
