"""`texsynth.evaluate`: scores of outputs from Python. Nothing heavy is imported before a call."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texsynth.image.load import Source
    from texsynth.report.scores import Evaluation

logger = logging.getLogger("texsynth")


def evaluate(
    exemplar: Source,
    outputs: Source | Sequence[Source],
    metrics: str | Sequence[str] = (),
    *,
    tile: str | None = None,
    progression: tuple[Source, Source] | None = None,
    orientation: Source | None = None,
    source_orientation: Source | None = None,
    labels: tuple[Source, Source] | None = None,
    weights: str | Path | None = None,
    details: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
) -> Evaluation:
    """How good outputs are, against the exemplar that they were made from: `rows` with `scores` by metric, `mean`.

    Pictures are paths, arrays or `Picture`s; a folder as the exemplar is paired with outputs by stem.
    metrics: names of `texsynth.metrics`, or "all" whose weights are here; by default all that need no weights. tile:
    "none", "x", "y" or "xy"; by default as the record of each output says. progression, labels: the (source, target)
    maps that outputs were to follow, orientation the target, as in `control`. details: also the parts that scores are
    made of. Raises `texsynth.errors.TexsynthError`s.
    """
    from texsynth.runs import machine
    from texsynth.verbs import evaluate as verb
    from texsynth.verbs import pairing

    machine.use_threads(threads)
    several = isinstance(outputs, Sequence) and not isinstance(outputs, str)
    groups, notices = pairing.arrange(exemplar, tuple(outputs) if several else (outputs,))  # type: ignore[arg-type]
    guides = _guides({"progression": progression, "labels": labels}, orientation, source_orientation)
    request = verb.Request(
        groups=tuple(replace(group, guides=guides) for group in groups),
        metrics=(metrics,) if isinstance(metrics, str) else tuple(metrics),
        tile=tile,
        weights=None if weights is None else Path(weights),
        device=device,
        seed=seed,
        details=details,
    )
    found = verb.evaluate(request, logger.info)
    return replace(found, notices=(*notices, *found.notices))


def _guides(
    pairs: Mapping[str, tuple[Source, Source] | None], orientation: Source | None, own: Source | None
) -> dict[str, Any]:
    """The maps as arguments of the Request of control."""
    given: dict[str, Any] = {name: ((pair[0],), pair[1]) for name, pair in pairs.items() if pair is not None}
    if orientation is not None:
        given["orientation"] = orientation
    if own is not None:
        given["source_orientation"] = (own,)
    return given
