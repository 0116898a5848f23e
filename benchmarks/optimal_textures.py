"""The four matching strategies of Optimal Textures (Risser 2020): python benchmarks/optimal_textures.py EXEMPLAR MODEL

MODEL is what `texsynth train optimal-textures EXEMPLAR -o MODEL` wrote; the weights are found as the command finds
them, or given with --weights. For each strategy a row tells the seconds of a whole synthesis; how far, relatively, the
mean and the covariance of the features are off after one match of noise, at the worst layer; and the Gram distance of
the result. A student's reproduction of the paper (optex) reported 38 s for symmetric, 41 s for pca, 24 s for cholesky
and 263 s for cdf, on a GPU of 8 GB at an unknown size.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from field import machine
from torch import Tensor

from texsynth.features import vgg19
from texsynth.image import picture as image
from texsynth.learned.optimal_textures import matching
from texsynth.learned.optimal_textures import method as transport
from texsynth.learned.optimal_textures.decoder import Shape
from texsynth.learned.optimal_textures.styles import rows
from texsynth.learned.shared.loading import shaped
from texsynth.metrics import Pair, gram_distance
from texsynth.runs import loop
from texsynth.task import Exemplar, Stage, Task
from texsynth.weights import pretrained
from texsynth.weights import trained as model

COLUMNS = ("match", "seconds", "mean off by", "covariance off by", "Gram distance")


@dataclass(frozen=True)
class Row:
    """What is known of one strategy."""

    mode: str
    seconds: float
    mean: float
    covariance: float
    gram: float

    def __str__(self) -> str:
        return f"| {self.mode} | {self.seconds:.1f} | {self.mean:.1e} | {self.covariance:.1e} | {self.gram:.3f} |"


def read(exemplar: Path, trained: Path, given: Path | None, size: int) -> Task:
    """The task of making size x size pixels."""
    picture, known = image.rgb(image.read(exemplar)), model.read(trained)
    layers = {*gram_distance.LAYERS, *shaped(Shape, known).layers}
    keys = vgg19.keys([name for name in vgg19.LAYERS if name in layers])
    found = pretrained.load({"vgg19": keys}, given, print)
    return Task((Exemplar(exemplar.stem, picture),), (size, size), weights=found, model=known)


def errors(task: Task, mode: str) -> tuple[float, float]:
    """How far mean and covariance are off after one match of noise, relatively, at the worst layer."""
    assert task.model is not None
    layers = shaped(Shape, task.model).ordered()
    encode = vgg19.build(vgg19.Settings(pooling="max"), (False, False), task.weights["vgg19"])
    noise = torch.rand(task.exemplars[0].image.shape, generator=torch.Generator().manual_seed(0))
    target, style = encode(noise, layers), encode(task.exemplars[0].image, layers)
    off = []
    for name in layers:
        made = matching.match(mode, rows(target[name]), rows(style[name]), 1, torch.Generator().manual_seed(0))
        pairs = zip(matching.moments(made), matching.moments(rows(style[name])), strict=True)
        off.append([float((got - wanted).norm() / wanted.norm()) for got, wanted in pairs])
    return max(mean for mean, _ in off), max(covariance for _, covariance in off)


def gram(task: Task, made: Tensor) -> float:
    """Of a picture (1, 3, h, w)."""
    extract = vgg19.build(vgg19.Settings(), (False, False), task.weights["vgg19"])
    return gram_distance.measure(Pair(task.exemplars[0].image, made), extract, torch.Generator())


def measure(task: Task, mode: str, keep: Path | None) -> Row:
    """Synthesise with one strategy."""
    start = time.perf_counter()
    stages = (Stage("optimal_textures", transport.Settings(match=mode)),)
    done = loop.synthesize(task, stages, torch.Generator().manual_seed(0), lambda _: None, lambda _: None)
    seconds = time.perf_counter() - start
    if done.canvas is None or done.interrupted:
        raise KeyboardInterrupt
    if keep is not None:
        image.write(keep / f"{task.exemplars[0].name}_{mode}.png", image.Picture(done.canvas.image))
    return Row(mode, seconds, *errors(task, mode), gram(task, done.canvas.image))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exemplar", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--weights", type=Path, help="of VGG-19")
    parser.add_argument("--size", type=int, default=512, help="pixels a side (default 512)")
    parser.add_argument("--modes", default=",".join(matching.MODES), help="separated by commas")
    parser.add_argument("--keep", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    task = read(args.exemplar, args.model, args.weights, args.size)
    noise = torch.rand(1, 3, *task.size, generator=torch.Generator().manual_seed(0))
    print(f"{machine()}\n{args.size} x {args.size}; noise has a Gram distance of {gram(task, noise):.3f}\n")
    print(f"| {' | '.join(COLUMNS)} |" + "\n" + "|---" * len(COLUMNS) + "|", flush=True)
    with torch.no_grad():
        measure(replace(task, size=(64, 64)), "symmetric", None)  # what only the first run loads
        for mode in args.modes.split(","):
            print(measure(task, mode, args.keep), flush=True)


if __name__ == "__main__":
    main()
