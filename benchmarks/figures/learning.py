"""Trained networks for the figures: each is trained once, as long as the budget asks, and kept with its figure.

They lie in models/ of the figure's folder. A second run takes what is there, and goes on where it was interrupted; what
has other settings, exemplars, maps or weights is trained anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import figure
from figure import Judge, Made, Options, Scores, Trial
from material import picture
from torch import Tensor

import texsynth
from texsynth.features import vgg19
from texsynth.image import files
from texsynth.training import recipes
from texsynth.training.preset import TrainingPreset, resolve
from texsynth.verbs.train import CHECKPOINT
from texsynth.weights import pretrained
from texsynth.weights.trained import SUFFIX

STEPS = {"smallest": 3, "quick": 150}  # else the preset's own
CHECKS = {"smallest": 1, "quick": 2}
SMALL: Mapping[str, Mapping[str, Any]] = {  # what makes a step of the smallest budget quick
    "texture-net": {"crop": 32, "levels": 3, "metric": "sliced"},  # the preset's wants larger exemplars
    "pseudo-optimizer": {"crop": 32, "width": 0.05},
    "optimal-textures": {"crop": 32, "layers": ["relu1_1"]},
    "spade": {"crop": 16, "width": 2, "levels": 2, "discriminator_width": 2, "discriminator_layers": 2},
    "msca": {"crop": 16, "width": 2, "levels": 2, "discriminator_width": 2, "discriminator_layers": 2},
    "cocosnet": {"crop": 16, "width": 2, "levels": 2, "discriminator_width": 2, "discriminator_layers": 2},
}
NEED = "needs vgg19 weights: --weights FILE or TEXSYNTH_WEIGHTS"
TRAINING = "training s"  # the column


@dataclass(frozen=True)
class Lesson:
    """What is to be trained. name: of its file. exemplars: (1, 3, H, W). preset: "" for the recipe's own. maps: by
    kind, one (1, 3, H, W) for each exemplar."""

    name: str
    recipe: str
    exemplars: Sequence[Tensor]
    preset: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    maps: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """A network after `steps`, in all `seconds` of training. lack: why there is none, "" where there is one."""

    model: Path
    steps: int
    seconds: float
    lack: str = ""


@dataclass(frozen=True)
class Kept:
    """What is known from runs before. asked: the digest of what was trained. finished: the seconds until the end of
    every part that is. begun: seconds spent since then, on one that was interrupted."""

    asked: str
    finished: tuple[float, ...] = ()
    begun: float = 0.0

    @property
    def seconds(self) -> float:
        return (self.finished[-1] if self.finished else 0.0) + self.begun


def learned(options: Options, lesson: Lesson, parts: int = 1) -> list[Learned]:
    """Train a network, and keep it after each of `parts` of equal length; the last is the whole training.

    Every part ends as if it were all, with the rates that a training of its length has at its end, and the next goes on
    from there. Raises TexsynthErrors.
    """
    preset = resolve(lesson.recipe, lesson.preset or None, _settings(options, lesson))
    needed = recipes.recipe(lesson.recipe).needs(preset.settings).get("vgg19", ())
    lack, folder = lacking(options, needed), options.out / "models"
    lengths = [max(1, preset.settings.steps * (part + 1) // parts) for part in range(parts)]
    out = [Learned(folder / f"{lesson.name}_{steps}{SUFFIX}", steps, 0.0, lack) for steps in lengths]
    if lack:
        return out
    folder.mkdir(parents=True, exist_ok=True)
    words: dict[str, Any] = {
        "preset": lesson.preset or None,
        "settings": _settings(options, lesson),
        "weights": options.weights if needed else None,
        **{kind: [picture(each) for each in maps] for kind, maps in lesson.maps.items()},
    }
    note = folder / f"{lesson.name}.json"
    kept = _known(note, _digest(lesson, preset, words["weights"]), out)
    for part in out[len(kept.finished) :]:
        kept = _trained(lesson, part, words, note, kept)
        print(f"{options.name}: {lesson.name}, {part.steps} steps: {kept.seconds:.1f} s", file=sys.stderr, flush=True)
    return [replace(part, seconds=seconds) for part, seconds in zip(out, kept.finished, strict=True)]


def make(pairs: Sequence[tuple[Trial, Learned | None]], options: Options) -> list[Made]:
    """Run trials as `figure.make` does, those beside a network with it; the seconds of its training join the scores."""
    made = []
    for trial, network in pairs:
        if network is not None and network.lack:
            made.append(Made(trial, None, 0, {}, network.lack))
            continue
        verb = trial.verb if network is None else partial(trial.verb, model=network.model)
        judge = partial(_judge, None if network is None else network.seconds, trial.judge)
        made += figure.make([replace(trial, verb=verb, judge=judge)], options)
    return made


def held(options: Options) -> tuple[str, ...]:
    """The layers of VGG-19 that can be looked at here, shallow to deep, with their pools; none without weights."""
    path = None if options.weights is None else pretrained.find("vgg19", options.weights)
    if path is None:
        return ()
    end = vgg19.LAYERS.index(pretrained.held(path, "vgg19")[-1]) + 1
    pool = end < len(vgg19.LAYERS) and vgg19.LAYERS[end].startswith("pool")
    return vgg19.LAYERS[: end + pool]


def lacking(options: Options, layers: Sequence[str]) -> str:
    """Why layers of VGG-19 cannot be looked at here, "" where they can."""
    known = held(options)
    if layers and not known:
        return NEED
    absent = [layer for layer in layers if layer not in known]
    return f"needs {absent[-1]}, and the weights stop at {known[-1]}" if absent else ""


def _settings(options: Options, lesson: Lesson) -> dict[str, Any]:
    """Those of the lesson, with what the budget asks for."""
    label = options.label
    own = {name: values[label] for name, values in (("steps", STEPS), ("checks", CHECKS)) if label in values}
    return {**own, **(SMALL[lesson.recipe] if label == "smallest" else {}), **lesson.settings}


def _trained(lesson: Lesson, part: Learned, words: Mapping[str, Any], note: Path, kept: Kept) -> Kept:
    """Train up to the end of a part, from where it was left; what is known then, also written down."""
    output, start = note.with_suffix(SUFFIX), time.perf_counter()
    checkpoint = note.with_name(f"{lesson.name}_training") / CHECKPOINT
    resume = kept.seconds > 0 and checkpoint.is_file()
    if not resume:  # one of another lesson must not be gone on with after a break
        checkpoint.unlink(missing_ok=True)
    _write(note, kept)
    try:
        exemplars = [picture(each) for each in lesson.exemplars]
        texsynth.train(lesson.recipe, exemplars, output, steps=part.steps, resume=resume, force=not resume, **words)
    except KeyboardInterrupt:
        _write(note, replace(kept, begun=kept.begun + time.perf_counter() - start))
        raise
    output.replace(part.model)
    after = Kept(kept.asked, (*kept.finished, kept.seconds + time.perf_counter() - start))
    _write(note, after)
    return after


def _known(note: Path, asked: str, parts: Sequence[Learned]) -> Kept:
    """What was written down, if it is of the same and all of that is there."""
    if not note.is_file():
        return Kept(asked)
    told = json.loads(note.read_text("utf-8"))
    kept = Kept(told["asked"], tuple(told["finished"]), told["begun"])
    there = all(part.model.is_file() for part in parts[: len(kept.finished)])
    return kept if kept.asked == asked and there else Kept(asked)


def _write(note: Path, kept: Kept) -> None:
    note.write_text(json.dumps(asdict(kept)), encoding="utf-8")


def _digest(lesson: Lesson, preset: TrainingPreset, path: Path | None) -> str:
    """Of all that a network hangs on."""
    file = None if path is None else pretrained.find("vgg19", path)
    plain = json.dumps([preset.recipe, preset.values, None if file is None else files.digest(file)], default=str)
    total = hashlib.sha256(plain.encode())
    for name, pictures in {"": lesson.exemplars, **lesson.maps}.items():
        for each in pictures:
            total.update(f"{name} {tuple(each.shape)}".encode() + each.numpy().tobytes())
    return total.hexdigest()


def _judge(seconds: float | None, judge: Judge, made: Tensor) -> Scores:
    return {TRAINING: seconds, **judge(made)}
