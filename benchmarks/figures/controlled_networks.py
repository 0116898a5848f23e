"""Control by networks that know the exemplar: python controlled_networks.py [--help]

SPADE by maps (Zhou et al. 2023, supplement B); masked spatial-channel attention with its ablation that pools the whole
exemplar (Zheng et al. 2020), and CoCosNet with its warp (Zhang et al. 2020) by labels; each beside the field, which
needs no training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import figure
import learning
import material
from figure import Options, Outcome, Scores, Trial
from learning import Learned, Lesson
from material import Steered, picture
from sheet import Cell
from torch import Tensor

import texsynth
from texsynth.guidance.labels import ids, palette
from texsynth.metrics import Pair
from texsynth.runs.run import Result
from texsynth.task import Guide

FIELD = "guided-correspondence"
QUICK = {"crop": 48}  # two of which fit into an exemplar of the budget
COMMON = ("nn_pixel", "sliced")
NEURAL = ("nn_conv1", "style_distance")
Pairs = list[tuple[Trial, Learned | None]]


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    options = figure.options("controlled_networks", __doc__, arguments)
    gradual, labelled = material.progressions(options), material.labelled(options)
    if not gradual and not labelled:
        return figure.empty(options, "the folder has no progression/ or label/ with maps and targets")
    pairs = [pair for steered in gradual for pair in by_progression(options, steered)]
    pairs += [pair for steered in labelled for pair in by_labels(options, steered)]
    made = learning.make(pairs, options)
    leads = {
        s.name: [Cell(s.exemplar, s.name), Cell(s.source, "its map"), Cell(s.target, "the target")]
        for s in (*gradual, *labelled)
    }
    note = (
        "`progression` and `labels` say how well the target is followed. `labels in common` is the intersection of both"
        " maps' histograms, which belongs to the task: less is harder. nn_conv1 and style_distance look at VGG-19."
    )
    return figure.write(options, made, leads, figure.table(made), note)


def by_progression(options: Options, steered: Steered) -> Pairs:
    """The field, and SPADE."""
    target = material.resized(steered.target, (options.budget.size,) * 2)
    guide = Guide("progression", (steered.source[:, :1],), target[:, :1])
    judge = partial(_judge, options, steered.exemplar, guide, None)
    verb = partial(_control, steered, options.budget.size, "progression", target)
    spade = taught(options, steered, "spade", "progression")
    return [
        (Trial(steered.name, "field", FIELD, verb, judge, {}), None),
        (Trial(steered.name, "spade", "feed-forward", verb, judge, {}), spade),
    ]


def by_labels(options: Options, steered: Steered) -> Pairs:
    """The field, SPADE, MSCA with and without regions, and CoCosNet with its warp."""
    target = material.resized(steered.target, (options.budget.size,) * 2, "nearest")
    colours = palette([steered.source])
    guide = Guide("labels", (ids(steered.source, colours),), ids(target, colours), 1.0, "l0")
    judge = partial(_judge, options, steered.exemplar, guide, common(guide, len(colours)))
    verb = partial(_control, steered, options.budget.size, "labels", target)
    trial = partial(Trial, steered.name, judge=judge, settings={})
    spade, msca, cocosnet = (taught(options, steered, recipe, "labels") for recipe in ("spade", "msca", "cocosnet"))
    gap = taught(options, steered, "msca", "labels", {"attention": "gap"}, "gap")
    return [
        (trial("field", FIELD, verb), None),
        (trial("spade", "feed-forward", verb), spade),
        (trial("msca", "msca", verb), msca),
        (trial("msca, no regions", "msca", verb), gap),
        (trial("cocosnet", "cocosnet", verb), cocosnet),
        (trial("cocosnet, its warp", "cocosnet", partial(_warp, verb)), cocosnet),
    ]


def taught(
    options: Options, steered: Steered, recipe: str, kind: str, settings: dict[str, Any] | None = None, word: str = ""
) -> Learned:
    """A network for an exemplar with its map."""
    name = "_".join([steered.name.split(",")[0], recipe, *([word] if word else [])])  # one for all its targets
    values = {**(QUICK if options.label == "quick" else {}), **(settings or {})}
    lesson = Lesson(name, recipe, [steered.exemplar], settings=values, maps={kind: [steered.source]})
    return learning.learned(options, lesson)[0]


def common(guide: Guide, count: int) -> float:
    """The intersection of the label histograms of source and target."""
    shares = [
        each.flatten().long().bincount(minlength=count) / each.numel() for each in (guide.sources[0], guide.target)
    ]
    return float(shares[0].minimum(shares[1]).sum())


def _control(steered: Steered, size: int, kind: str, target: Tensor, **words: Any) -> Result:
    maps: dict[str, Any] = {kind: (picture(steered.source), picture(target))}
    return texsynth.control(picture(steered.exemplar), size, **maps, **words)


def _warp(verb: Callable[..., Result], **words: Any) -> Result:
    """What a method shows as its warp, in place of its picture."""
    result = verb(**words)
    return replace(result, picture=result.shown["warp"])


def _judge(options: Options, exemplar: Tensor, guide: Guide, shared: float | None, made: Tensor) -> Scores:
    pair = Pair(exemplar, made, guides=(guide,))
    names = (guide.name, *COMMON, *(NEURAL if options.extract is not None else ()))
    scores = {name: figure.score(name, pair, options.extract) for name in names}
    return {"progression": None, "labels": None, "labels in common": shared, **scores}


if __name__ == "__main__":
    figure.command(main)
