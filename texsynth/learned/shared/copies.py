"""Objectives of outputs whose maps change from step to step: copies of the exemplars, and losses against these.

The features of the copies are computed once, and what depends on the target's maps at every step.

Where directions are asked for, exemplars are turned to sixteen angles, and every step compares with four of them, an
eighth of a turn apart. Zhou et al. 2023 do that with eight, of which four are the others turned by half a turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.features import Extract, features
from texsynth.field.atlas import turn, turn_guide
from texsynth.learned.shared.chance import integer
from texsynth.losses import Reference, Setup, loss
from texsynth.objective import Objective
from texsynth.objective.copies import rotated
from texsynth.task import Guide, Task

ANGLES = 16  # to which copies are turned
ANGLE_STEP = 2  # from one of the angles that a step compares with to the next
HALF_TURN = ANGLES // 2  # after which directions are the same
COMPARED_EXEMPLARS = 3  # the most exemplars that a step compares with
GUIDE_WEIGHTS = {"l0": 10.0, "l2": 10.0, "direction": 5.0}  # by the distance of a guide, as in control
PreparedObjective = tuple[Objective, Extract, Sequence[Mapping[str, Tensor]]]  # the last are the features of each copy
MIRRORS, QUARTERS = ("flip-x",), ("rotate-90", "rotate-180", "rotate-270")
MIRRORED_QUARTERS = ("flip-y", "transpose", "anti-transpose")


@dataclass(frozen=True)
class MappedCopy:
    """An exemplar, by its number, with a map (1, C, H, W) of each guide, or a mirrored or turned copy of both.

    valid: (1, 1, H, W) bool, False where nothing may be learned from; None where everything may.
    angle: how many of ANGLES it is turned by.
    """

    exemplar: int
    image: Tensor
    valid: Tensor | None
    maps: tuple[Tensor, ...]
    angle: int = 0


@dataclass(frozen=True)
class SteeredObjectives:
    """Objectives that compare outputs under maps with copies of the exemplars; guides give the kinds of maps only."""

    copies: Sequence[MappedCopy]
    guides: Sequence[Guide]
    prepared: Sequence[PreparedObjective]

    def values(self, chosen: Sequence[int], image: Tensor, maps: Sequence[Tensor], setup: Setup) -> list[Tensor]:
        """The value of every objective for an output (1, 3, h, w) under maps (1, C, h, w), compared with the copies
        whose numbers are chosen."""
        guides = tuple(
            Guide(guide.name, (), target, GUIDE_WEIGHTS[guide.distance], guide.distance)
            for guide, target in zip(self.guides, maps, strict=True)
        )
        copies = [(number, self.copies[number]) for number in chosen]
        values = []
        for objective, extract, maps_of in self.prepared:
            references = [Reference(maps_of[number], copy.exemplar, copy.valid, copy.maps) for number, copy in copies]
            built = loss(objective.loss).build(references, objective.loss_settings, replace(setup, guides=guides))
            values.append(built(extract(image, objective.layers)))
        return values


def copies(task: Task, flips: bool, turns: bool) -> list[MappedCopy]:
    """All copies of the task's exemplars; the first copy of each exemplar is the exemplar itself."""
    return [copy for number in range(len(task.exemplars)) for copy in _copies_of(task, number, flips, turns)]


def prepare(objectives: Sequence[Objective], task: Task, every: Sequence[MappedCopy]) -> SteeredObjectives:
    """Compute the features of every copy for the objectives."""
    prepared = []
    for o in objectives:
        extract = features(o.features).build(o.features_settings, (False, False), task.weights.get(o.features))
        with torch.no_grad():
            prepared.append((o, extract, [extract(copy.image, o.layers) for copy in every]))
    return SteeredObjectives(every, task.guides, prepared)


def draw(every: Sequence[MappedCopy], exemplar: int, rng: torch.Generator) -> list[int]:
    """Draw the copies to compare with, by their numbers: one of an exemplar and of some others, or, where they are
    turned, enough of each for all directions."""
    others = [n for n in {copy.exemplar: None for copy in every} if n != exemplar]
    some = [others[n] for n in torch.randperm(len(others), generator=rng)[: COMPARED_EXEMPLARS - 1].tolist()]
    chosen = []
    for number in (exemplar, *some):
        candidates = [place for place, copy in enumerate(every) if copy.exemplar == number]
        directed = len({every[place].angle for place in candidates}) > 1
        first = integer(ANGLE_STEP, rng)
        for angle in range(first, HALF_TURN, ANGLE_STEP) if directed else (0,):
            fitting = [place for place in candidates if every[place].angle % HALF_TURN == angle]
            chosen.append(fitting[integer(len(fitting), rng)])
    return chosen


def labels(objectives: Sequence[Objective]) -> list[str]:
    """A word for each objective: its loss, numbered where several have the same."""
    losses = [o.loss for o in objectives]
    return [f"{n}-{losses[:i].count(n) + 1}" if losses.count(n) > 1 else n for i, n in enumerate(losses)]


def _copies_of(task: Task, number: int, flips: bool, turns: bool) -> Iterator[MappedCopy]:
    """The copies of one exemplar."""
    exemplar, guides, device = task.exemplars[number], task.guides, task.device
    image, maps = exemplar.image.to(device), [guide.sources[number].to(device) for guide in guides]
    valid = None if exemplar.valid is None else exemplar.valid.to(device)
    directed = any(guide.distance == "direction" for guide in guides)
    names = ["none", *(MIRRORS if flips else ()), *(QUARTERS if turns and not directed else ())]
    names += MIRRORED_QUARTERS if flips and turns and not directed else ()
    for name in names:
        turned = tuple(turn_guide(values, name, guide.distance) for values, guide in zip(maps, guides, strict=True))
        copy = MappedCopy(number, turn(image, name), None if valid is None else turn(valid, name), turned)
        yield copy
        for angle in range(1, ANGLES) if directed else ():
            yield _turned(copy, angle, guides)


def _turned(copy: MappedCopy, angle: int, guides: Sequence[Guide]) -> MappedCopy:
    """A copy turned by some of ANGLES, cut to the largest square inside."""
    radians = 2 * math.pi * angle / ANGLES
    maps = tuple(rotated(values, radians, guide.distance) for values, guide in zip(copy.maps, guides, strict=True))
    valid = None if copy.valid is None else rotated(copy.valid.float(), radians, "l2") > 0.99
    return MappedCopy(copy.exemplar, rotated(copy.image, radians).clamp(0, 1), valid, maps, angle)
