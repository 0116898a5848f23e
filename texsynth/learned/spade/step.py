"""What a step of recipe `spade` does: a lesson drawn, a picture made, and what critics and objectives say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from texsynth.learned.shared import adversarial, patchgan, rebuilt
from texsynth.learned.shared import copies as steered
from texsynth.learned.shared.conditions import encode
from texsynth.learned.shared.copies import Copy, Term
from texsynth.learned.shared.generator import Generator
from texsynth.learned.shared.regions import Bank, regions, transport
from texsynth.learned.spade import network as guided
from texsynth.learned.spade import targets
from texsynth.learned.texture_net.network import Window
from texsynth.losses import Setup
from texsynth.task import Guide, Task

if TYPE_CHECKING:
    from texsynth.learned.spade.recipe import Settings

TRIES = 8  # crops drawn where not all of an exemplar may be used
NEVER = (0, 0)  # noise repeats


@dataclass(frozen=True)
class Parts:
    """All that a step needs. crops: the places, among all copies, of those that crops fit into. terms, bank: what
    made pictures are compared with. see: VGG-19, for presets that look through it."""

    settings: Settings
    task: Task
    copies: Sequence[Copy]
    crops: Sequence[int]
    net: Generator
    critic: patchgan.PatchGAN
    terms: Sequence[Term]
    bank: Bank
    see: rebuilt.Seer | None
    rng: torch.Generator

    def condition(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (1, C, h, w) as the network sees them, (1, K, h, w)."""
        return encoded(maps, self.task.guides)


@dataclass(frozen=True)
class Lesson:
    """One picture to make: maps to make it for, their exemplar, a true crop, and its maps; is it these maps' own?"""

    maps: Sequence[Tensor]
    exemplar: int
    image: Tensor
    own: Sequence[Tensor]
    paired: bool


def lesson(parts: Parts, paired: bool) -> Lesson:
    """A true crop with its maps, and the maps to make a picture for: these, or drawn ones of the same exemplar."""
    settings, rng, guides = parts.settings, parts.rng, parts.task.guides
    copy = parts.copies[parts.crops[int(torch.randint(len(parts.crops), (), generator=rng))]]
    image, *own = _crop(copy, settings.crop, rng)
    if paired:
        return Lesson(own, copy.exemplar, image, own, True)
    how = targets.How(settings.perturbed, settings.stretched, settings.perlin, settings.factor, settings.crop)
    maps = [guide.sources[copy.exemplar].to(image) for guide in guides]
    drawn = targets.draw(maps, [guide.distance for guide in guides], how, rng)
    return Lesson(drawn, copy.exemplar, image, own, False)


def _crop(copy: Copy, side: int, rng: torch.Generator) -> list[Tensor]:
    """A crop of a picture and of its maps; of several the one with most that may be used."""
    if copy.valid is None:
        return targets.crop((copy.image, *copy.maps), side, rng)
    found = [targets.crop((copy.valid, copy.image, *copy.maps), side, rng) for _ in range(TRIES)]
    return max(found, key=lambda views: float(views[0].float().mean()))[1:]


def taught(parts: Parts, optimisers: adversarial.Optimisers, lessons: Sequence[Lesson]) -> Mapping[str, float]:
    """The critics learn to tell made pictures from true ones, and then the network learns to please them."""
    wanted = torch.cat([parts.condition(lesson.maps) for lesson in lessons])
    own = torch.cat([parts.condition(lesson.own) for lesson in lessons])
    true = torch.cat([lesson.image for lesson in lessons])
    made = parts.net(wanted, _noises(parts, len(lessons)))
    contest = adversarial.Contest((own, wanted), (true, made))
    critic_loss = adversarial.teach_discriminators(parts.critic, optimisers.discriminators, [contest])
    real, fake = parts.critic.pair(contest.conditions, contest.images)
    settings, losses = parts.settings, {"adversarial": patchgan.hinge_generator(fake)}
    weights = {"adversarial": settings.adversarial * (1 if lessons[0].paired else settings.unpaired)}
    if lessons[0].paired:
        losses |= {
            "matching": patchgan.feature_matching(real, fake),
            "perceptual": rebuilt.perceptual(made, true, parts.see),
        }
        weights |= {"matching": settings.matching, "perceptual": settings.perceptual}
    else:
        names = steered.labels(settings.objectives)
        losses |= dict(zip(names, _compared(parts, made, lessons), strict=True))
        weights |= {name: o.weight for name, o in zip(names, settings.objectives, strict=True)}
    if settings.texture:
        losses["texture"], weights["texture"] = _texture(parts, made, lessons), settings.texture
    adversarial.descend(optimisers.network, adversarial.weighted(losses, weights))
    return {"discriminator": critic_loss} | {name: float(value.detach()) for name, value in losses.items()}


def _noises(parts: Parts, count: int) -> list[Tensor]:
    """Noise for so many pictures, another one for each."""
    part = Window(0, parts.settings.crop, 0, parts.settings.crop)
    keys = [int(torch.randint(1 << 62, (), generator=parts.rng)) for _ in range(count)]
    every = [guided.noises(parts.settings, key, part, NEVER, parts.task.device) for key in keys]
    return [torch.cat(scale) for scale in zip(*every, strict=True)]


def _compared(parts: Parts, made: Tensor, lessons: Sequence[Lesson]) -> list[Tensor]:
    """The objectives' values, their means over the pictures."""
    setup = Setup(parts.rng, memory=max(64 << 20, parts.task.max_memory // 16))
    found = []
    for image, lesson in zip(made.split(1), lessons, strict=True):
        chosen = steered.drawn(parts.copies, lesson.exemplar, parts.rng)
        found.append(steered.values(parts.terms, parts.copies, chosen, image, lesson.maps, parts.task.guides, setup))
    return [torch.stack(each).mean() for each in zip(*found, strict=True)]


def _texture(parts: Parts, made: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """How differently patches spread, the mean over the pictures."""
    guides, rng = parts.task.guides, parts.rng
    found = [
        transport(image, regions(lesson.maps, guides), parts.bank, rng)
        for image, lesson in zip(made.split(1), lessons, strict=True)
    ]
    return torch.stack(found).mean()


def encoded(maps: Sequence[Tensor], guides: Sequence[Guide]) -> Tensor:
    """Maps (1, C, h, w) as networks see them, (1, K, h, w)."""
    kinds = [(guide.distance, 0 if guide.palette is None else len(guide.palette)) for guide in guides]
    return torch.cat([encode(values, *kind) for values, kind in zip(maps, kinds, strict=True)], 1)
