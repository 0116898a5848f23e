"""`texsynth.train`: trained networks from Python. Nothing heavy is imported before a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texsynth.image.load import Source
    from texsynth.training.loop import Progress
    from texsynth.verbs.train import Trained

logger = logging.getLogger("texsynth")


def train(
    recipe: str,
    exemplars: Source | Sequence[Source],
    output: str | Path,
    *,
    preset: str | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    steps: int | None = None,
    resume: bool = False,
    force: bool = False,
    labels: Sequence[Source] = (),
    progression: Sequence[Source] = (),
    orientation: Sequence[Source] = (),
    seed: int | None = None,
    crop: str | Sequence[int] | None = None,
    flatten: bool | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a network on exemplars and write it to `output`, a .safetensors file that `model=` of the verbs takes.

    Its course, samples and checkpoint go to a folder beside it, STEM_training. labels, progression, orientation: a map
    for each exemplar, for recipes that take them. settings: what `--set` sets. progress is called after every step;
    when `stop` then says so the training ends with a checkpoint, from which `resume` goes on as if it had never ended.
    Raises `texsynth.errors.TexsynthError`s.
    """
    from texsynth.runs import machine
    from texsynth.verbs import train as verb

    machine.use_threads(threads)
    several = isinstance(exemplars, Sequence) and not isinstance(exemplars, str)
    request = verb.Request(
        recipe,
        tuple(exemplars) if several else (exemplars,),  # type: ignore[arg-type]
        Path(output),
        preset=preset,
        values=settings,
        steps=steps,
        resume=resume,
        force=force,
        seed=seed,
        crop=crop,
        flatten=flatten,
        labels=labels,
        progression=progression,
        orientation=orientation,
        weights=None if weights is None else Path(weights),
        device=device,
        max_memory=max_memory,
    )
    lesson = verb.build(request, logger.info)
    for notice in lesson.notices:
        logger.info(notice)
    return verb.execute(lesson, progress, stop)
