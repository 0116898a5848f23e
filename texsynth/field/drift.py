"""Labels whose appearance changes slowly inside, as that of sky and sea does: the output's changes the same way.

Labels do not tell the top of a sky from its bottom, or the near sea from the far one, and pieces of both side by side
show steps of tone or of the size of waves. Where the slow appearance of a label (its blurred colours and contrast) is a
smooth function of the position along one direction, each of its source pixels has a rank along it, and each pixel of
the target has one among all of its label, as if the parts of a label were windows on one sky. A difference of ranks has
a price, like that of a progression. Ranks have the same proportions on both sides, so none is scarce.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas, spread
from texsynth.field.guide import Guiding
from texsynth.task import Guide, Task

WEIGHT = 0.4  # of the guide of labels: the price of a difference of ranks from end to end, at the first level
FADE = 0.5  # of it is left at each further level, where single pixels could only follow ranks by breaking up pieces
DIRECTIONS = tuple(math.radians(degrees) for degrees in (90, 75, 105, 60, 120, 45, 135, 30, 150, 15, 165, 0))
DEGREE = 3  # of the polynomial of the position that describes a change
BLUR = 1 / 16  # of the exemplar's shorter side: half the width of what is averaged, and half a piece
LEAST_PIXELS = 64  # of a label, at the first level, with which its change can be measured
DOUBT = 1 / 255  # deviation below which a change cannot be seen
SLOW = (0.5, 0.6)  # shares of the slow appearance that depend on the position: not at all a change, and surely one
VISIBLE = (0.06, 0.12)  # the same of all that pixels differ in: less is lost between them
PLAIN = (0.4, 0.6)  # the same where it is most of what there is to be seen
BINS = 1 << 10  # of positions, in which ranks are counted


@dataclass(frozen=True)
class Drift:
    """A label that changes slowly in one exemplar.

    label, exemplar: their numbers.
    angle: the direction, in radians clockwise from the x axis.
    evidence: how surely it changes, in (0, 1]; it fades from level to level.
    """

    label: float
    exemplar: int
    angle: float
    evidence: float


def find(task: Task) -> tuple[Drift, ...]:
    """The labels of a task, at its first level, that change slowly: none where other guides or known pixels say what
    comes where, none that several exemplars have, and none along an axis that wraps."""
    guide = _labels(task)
    if guide is None or task.hole is not None or task.start is not None:
        return ()
    angles = [a for a in DIRECTIONS if not any(t and _moves(a)[dim] for dim, t in enumerate(task.tile))]
    drifts = []
    for label in guide.target.unique().tolist():
        inside = [source == label for source in guide.sources]
        number = max(range(len(inside)), key=lambda n: int(inside[n].sum()))
        if any(bool(other.any()) for n, other in enumerate(inside) if n != number):
            continue
        exemplar = task.exemplars[number]
        usable = inside[number] if exemplar.valid is None else inside[number] & exemplar.valid
        angle, evidence = _measured(exemplar.image.cpu().double(), usable.cpu(), angles)
        if evidence > 0:
            drifts.append(Drift(label, number, angle, evidence))
    return tuple(drifts)


def describe(drifts: Sequence[Drift], task: Task) -> str:
    """One line for the user: which labels change slowly, in which directions, and how surely."""
    guide, each = _labels(task), []
    for drift in drifts:
        name = f"{drift.label:.0f}"
        if guide is not None and guide.palette is not None:
            name = "#" + "".join(f"{round(value * 255):02x}" for value in guide.palette[int(drift.label)].tolist())
        each.append(f"{name} along {math.degrees(drift.angle):.0f} degrees ({drift.evidence:.0%} sure)")
    return f"labels: {', '.join(each)} change slowly in the exemplar, and so they do here"


def finer(drifts: Sequence[Drift]) -> tuple[Drift, ...]:
    """The same at the next finer level."""
    return tuple(replace(drift, evidence=drift.evidence * FADE) for drift in drifts)


def follow_drifts(drifts: Sequence[Drift], task: Task, atlas: Atlas) -> Guiding | None:
    """The guide towards the change of labels, for a task at any level; None where none changes."""
    guide = _labels(task)
    if guide is None or not drifts:
        return None
    sources = [torch.zeros_like(source) for source in guide.sources]
    goal, strength = torch.zeros_like(guide.target), torch.zeros_like(guide.target)
    for drift in drifts:
        for there, ids in ((sources[drift.exemplar], guide.sources[drift.exemplar]), (goal, guide.target)):
            inside = ids == drift.label
            there[inside] = _ranks(_positions(ids, drift.angle)[inside])
        strength[guide.target == drift.label] = WEIGHT * guide.weight * drift.evidence
    if guide.strength is not None:
        strength *= guide.strength
    goal, strength = (each[0].permute(1, 2, 0).to(atlas.colours.device) for each in (goal, strength))
    return Guiding(spread(sources, atlas), goal, strength)


def _labels(task: Task) -> Guide | None:
    """The map of labels that alone steers a task, if one does."""
    guides = [guide for guide in task.guides if guide.weight > 0]
    return guides[0] if len(guides) == 1 and (guides[0].name, guides[0].distance) == ("labels", "l0") else None


def _moves(angle: float) -> tuple[bool, bool]:
    """Does a direction go along the y axis, and along the x axis?"""
    return abs(math.sin(angle)) > 1e-6, abs(math.cos(angle)) > 1e-6


def _positions(like: Tensor, angle: float) -> Tensor:
    """How far each pixel of a picture (1, C, h, w) lies along a direction, in pixels: (1, 1, h, w)."""
    y, x = (torch.arange(n, device=like.device) for n in like.shape[2:])
    return (y[:, None] * math.sin(angle) + x * math.cos(angle))[None, None]


def _ranks(positions: Tensor) -> Tensor:
    """The share of all positions (n,) that lies before each, in [0, 1]."""
    low, high = positions.min(), positions.max()
    place = (positions - low) / (high - low).clamp_min(1e-6) * BINS
    before = place.long().clamp(max=BINS - 1)
    total = F.pad(torch.bincount(before, minlength=BINS).cumsum(0), (1, 0)) / len(positions)
    return torch.lerp(total[before], total[before + 1], place - before)


def _measured(image: Tensor, usable: Tensor, angles: Sequence[float]) -> tuple[float, float]:
    """The direction in which the usable pixels (1, 1, h, w) of an image change most evenly, and how surely they do, 0
    to 1."""
    inside = -F.max_pool2d(-F.pad(usable.double(), (1, 1, 1, 1), value=1.0), 3, stride=1)  # pixels at an edge are mixed
    chosen = inside[0, 0] > 0
    if int(chosen.sum()) < LEAST_PIXELS:
        return 0.0, 0.0
    reach = max(1, round(BLUR * min(image.shape[2:])))
    tone = _averaged(image, inside, reach)
    contrast = _averaged((image - tone).square().sum(1, keepdim=True), inside, reach).sqrt()
    layers = [layer[0][:, chosen].T for layer in (tone, contrast, image)]
    best, evidence = (-1.0, 0.0), 0.0
    for angle in angles:
        place = _positions(image, angle)[0, 0].expand(chosen.shape)[chosen].double()
        slow, contrasts, all_of_it = (_explained(layer, place) for layer in layers)
        if (score := slow + contrasts + all_of_it) > best[0]:
            both = min(_faded((slow + contrasts) / 2, SLOW), _faded(all_of_it, VISIBLE))
            best, evidence = (score, angle), max(both, _faded(all_of_it, PLAIN))
    return best[1], round(evidence, 2)  # rounded, so that it does not depend on the order of sums


def _averaged(values: Tensor, inside: Tensor, reach: int) -> Tensor:
    """Means over the pixels (1, 1, h, w) `inside` around each pixel of values (1, C, h, w), twice over squares."""
    both = torch.cat([values * inside, inside], 1)
    for _ in range(2):
        both = F.avg_pool2d(both, 2 * reach + 1, 1, reach)
    return both[:, :-1] / both[:, -1:].clamp_min(1e-9)


def _explained(values: Tensor, place: Tensor) -> float:
    """The share of the variance of values (n, C) that a polynomial of their places (n,) explains."""
    place = 2 * (place - place.min()) / (place.max() - place.min()).clamp_min(1e-6) - 1
    powers = torch.stack([place**power for power in range(DEGREE + 1)], 1)
    apart = values - values.mean(0)
    rest = apart - powers @ torch.linalg.solve(powers.T @ powers, powers.T @ apart)
    total = apart.square().sum()
    return float((total - rest.square().sum()) / (total + len(values) * DOUBT**2))


def _faded(share: float, limits: tuple[float, float]) -> float:
    """0 below both limits, 1 above, and even between them."""
    return min(1.0, max(0.0, (share - limits[0]) / (limits[1] - limits[0])))
