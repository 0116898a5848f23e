"""`texsynth.propagate`: an edit carried to other pictures, from Python. Nothing heavy is imported before a call."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from texsynth.image.load import Source
    from texsynth.verbs.propagate import Result

logger = logging.getLogger("texsynth")


def propagate(
    source: Source,
    layer: Source,
    target: Source,
    *,
    blend: str = "normal",
    strength: float = 1.0,
    features: str | None = None,
    coherence: float = 1.0,
    light: str = "auto",
    warp: bool = False,
    weights: str | Path | None = None,
    model: str | Path | None = None,
    labels: tuple[Source, Source] | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
) -> Result:
    """The target with what was painted over the source: `image`, and `layer`, the warped edit alone.

    Pictures are paths, arrays or `Picture`s. layer: aligned with the source, with alpha; without it for
    blend "multiply" (white leaves the target as it is) and "screen" (black does). strength: 0 to 1. features: "windows"
    (the default) or "vgg19". model: in place of these, a network of `texsynth train cocosnet`; labels: label maps of
    source and target for it. coherence: more keeps larger pieces of the layer together. light: "auto", "keep" or
    "match". warp: also the source in the target's layout, as `warp`. Raises `texsynth.errors.TexsynthError`s.
    """
    from texsynth.runs import machine
    from texsynth.verbs import propagate as verb

    machine.use_threads(threads)
    request = verb.Request(
        source,
        layer,
        blend=blend,
        strength=strength,
        features=features,
        coherence=coherence,
        light=light,
        weights=None if weights is None else Path(weights),
        model=None if model is None else Path(model),
        labels=None if labels is None else labels[0],
        seed=seed,
        device=device,
        max_memory=max_memory,
    )
    edit = verb.prepare(request, logger.info)
    work = verb.aim(edit, target, None if labels is None else labels[1])
    for notice in (*edit.notices, *work.notices):
        logger.warning("%s", notice)
    return verb.execute(work, warp=warp)
