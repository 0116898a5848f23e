"""Objectives of pictures whose maps change from step to step: exemplars as copies, and losses against those.

What exemplars look like to an objective is worked out once, what depends on the target at every step.

Where directions are asked for, exemplars are there at sixteen angles, and four of them, an eighth of a turn apart, are
compared with at a step: what Zhou et al. 2023 do with eight, of which four are the others' halves of a turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.features import Extract, features
from texsynth.field.atlas import turn, turn_guide
from texsynth.losses import Reference, Setup, loss
from texsynth.objective import Objective
from texsynth.objective.copies import rotated
from texsynth.task import Guide, Task

TURNS, APART = 16, 2  # angles, and steps from one to the next of those that are compared with at once
HALF = TURNS // 2  # a half turn: the same directions
MOST = 3  # exemplars that one step compares with
WEIGHTS = {"l0": 10.0, "l2": 10.0, "direction": 5.0}  # of maps, as in control
MIRRORS, QUARTERS = ("flip-x",), ("rotate-90", "rotate-180", "rotate-270")
MIRRORED_QUARTERS = ("flip-y", "transpose", "anti-transpose")


@dataclass(frozen=True)
class Copy:
    """An exemplar (its number), or a mirrored or turned copy of it. image: (1, 3, H, W). valid: (1, 1, H, W) bool, or
    None for all. maps: (1, C, H, W) of each guide. step: by which of TURNS it is turned."""

    exemplar: int
    image: Tensor
    valid: Tensor | None
    maps: tuple[Tensor, ...]
    step: int = 0


@dataclass(frozen=True)
class Term:
    """An objective, its features, and what each copy looks like."""

    objective: Objective
    extract: Extract
    seen: Sequence[Mapping[str, Tensor]]


def copies(task: Task, flips: bool, turns: bool) -> list[Copy]:
    """All copies of the task's exemplars; the first of each exemplar is itself."""
    return [copy for number in range(len(task.exemplars)) for copy in _of(task, number, flips, turns)]


def terms(objectives: Sequence[Objective], task: Task, every: Sequence[Copy]) -> list[Term]:
    """The objectives, and every copy as they see it."""
    out = []
    for o in objectives:
        extract = features(o.features).build(o.features_settings, (False, False), task.weights.get(o.features))
        with torch.no_grad():
            out.append(Term(o, extract, [extract(copy.image, o.layers) for copy in every]))
    return out


def drawn(every: Sequence[Copy], exemplar: int, rng: torch.Generator) -> list[int]:
    """Which copies to compare with, by their places among all: one copy of an exemplar and of some others, of turned
    ones enough for all directions."""
    others = [n for n in {copy.exemplar: None for copy in every} if n != exemplar]
    some = [others[n] for n in torch.randperm(len(others), generator=rng)[: MOST - 1].tolist()]
    found = []
    for number in (exemplar, *some):
        own = [place for place, copy in enumerate(every) if copy.exemplar == number]
        steps = sorted({every[place].step for place in own})
        first = _integer(APART, rng)
        for step in range(first, HALF, APART) if len(steps) > 1 else (0,):
            fits = [place for place in own if every[place].step % HALF == step]
            found.append(fits[_integer(len(fits), rng)])
    return found


def values(
    known: Sequence[Term], every: Sequence[Copy], chosen: Sequence[int], image: Tensor, maps: Sequence[Tensor],
    guides: Sequence[Guide], setup: Setup,
) -> list[Tensor]:  # fmt: skip
    """Every objective's value for a picture (1, 3, h, w) under maps (1, C, h, w), compared with the chosen copies."""
    steered = tuple(
        Guide(guide.name, (), wanted, WEIGHTS[guide.distance], guide.distance)
        for guide, wanted in zip(guides, maps, strict=True)
    )
    own = replace(setup, guides=steered)
    out = []
    for term in known:
        references = [Reference(term.seen[n], every[n].exemplar, every[n].valid, every[n].maps) for n in chosen]
        of = loss(term.objective.loss).build(references, term.objective.loss_settings, own)
        out.append(of(term.extract(image, term.objective.layers)))
    return out


def labels(objectives: Sequence[Objective]) -> list[str]:
    """A word for each objective: its loss, numbered where there are several of it."""
    named = [o.loss for o in objectives]
    return [f"{n}-{named[:i].count(n) + 1}" if named.count(n) > 1 else n for i, n in enumerate(named)]


def _of(task: Task, number: int, flips: bool, turns: bool) -> Iterator[Copy]:
    """The copies of one exemplar."""
    exemplar, guides, device = task.exemplars[number], task.guides, task.device
    image, maps = exemplar.image.to(device), [guide.sources[number].to(device) for guide in guides]
    valid = None if exemplar.valid is None else exemplar.valid.to(device)
    directed = any(guide.distance == "direction" for guide in guides)
    names = ["none", *(MIRRORS if flips else ()), *(QUARTERS if turns and not directed else ())]
    names += MIRRORED_QUARTERS if flips and turns and not directed else ()
    for name in names:
        own = tuple(turn_guide(values, name, guide.distance) for values, guide in zip(maps, guides, strict=True))
        one = Copy(number, turn(image, name), None if valid is None else turn(valid, name), own)
        yield one
        for step in range(1, TURNS) if directed else ():
            yield _turned(one, step, guides)


def _turned(copy: Copy, step: int, guides: Sequence[Guide]) -> Copy:
    """A copy turned by some sixteenths, cut to the largest square inside."""
    angle = 2 * math.pi * step / TURNS
    maps = tuple(rotated(values, angle, guide.distance) for values, guide in zip(copy.maps, guides, strict=True))
    valid = None if copy.valid is None else rotated(copy.valid.float(), angle, "l2") > 0.99
    return Copy(copy.exemplar, rotated(copy.image, angle).clamp(0, 1), valid, maps, step)


def _integer(bound: int, rng: torch.Generator) -> int:
    return int(torch.randint(bound, (), generator=rng))
