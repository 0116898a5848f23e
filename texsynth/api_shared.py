"""What all functions of the Python API share. Nothing heavy is imported before a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from texsynth.image.load import Source
    from texsynth.job import Job
    from texsynth.runs.run import Result
    from texsynth.task import Preset, Report

    Maps = tuple[Source | Sequence[Source], Source]

logger = logging.getLogger("texsynth")


class Shared(TypedDict, total=False):
    """What every verb takes by keyword, with the defaults of the command line.

    settings: what `--set` sets. maps and source_mask hold one for each exemplar. weights: a file of pretrained weights
    for presets that need some; else they are found, or fetched (the logger "texsynth" says so). model: a trained
    network, for methods that use one; without a preset or method it brings its own. progress is called with
    a `texsynth.task.Event` after every step.
    """

    preset: str | None
    method: str | None
    quality: str | None
    settings: Mapping[str, Any] | None
    seed: int
    tile: str
    maps: Mapping[str, Source | Sequence[Source]] | None
    source_mask: Source | Sequence[Source] | None
    crop: str | Sequence[int] | None
    init: Source | None
    flatten: bool
    weights: str | Path | None
    model: str | Path | None
    device: str
    threads: int | None
    max_memory: str | int
    progress: Report | None


REQUESTED = ("tile", "crop", "init", "flatten", "device", "max_memory")  # of Shared, what a Request takes as it is


def requested(shared: Shared) -> dict[str, Any]:
    """The shared arguments that a Request takes, what is not given left to its defaults; TypeError for others."""
    given: Mapping[str, Any] = shared
    if unknown := sorted(given.keys() - Shared.__annotations__.keys()):
        raise TypeError(f"{unknown[0]!r} is not an argument; the shared ones are {', '.join(Shared.__annotations__)}")
    mask = given.get("source_mask")
    return {
        "maps": {name: several(sources) for name, sources in (given.get("maps") or {}).items()},
        "source_mask": () if mask is None else several(mask),
        **{name: given[name] for name in REQUESTED if name in given},
    }


def run_job(
    build: Callable[[], Job],
    shared: Shared,
    default: str | None = None,
    fits: Callable[[Preset], None] | None = None,
) -> Result:
    """Run the job of a verb. default: its preset where none is named. fits: refuses a preset that cannot serve."""
    from texsynth.runs import machine, run

    preset = chosen(shared, default)
    if fits is not None:
        fits(preset)
    machine.use_threads(shared.get("threads"))
    weights, model = (None if name is None else Path(name) for name in (shared.get("weights"), shared.get("model")))
    job = run.fit(build(), preset, weights, logger.warning, model)
    run.check_memory(job, preset)
    return run.run(job, preset, shared.get("seed", 0), shared.get("progress") or run.silent)


def chosen(shared: Shared, default: str | None = None) -> Preset:
    """The preset that is asked for; `default` where none is named."""
    from texsynth import preset as presets

    named = (shared.get("method"), shared.get("preset"), shared.get("quality"))
    model = shared.get("model")
    if model is not None and not any(named):
        from texsynth.training.preset import user_of

        default = user_of(Path(model))
    return presets.resolve(*named, shared.get("settings") or {}, default or presets.DEFAULT)


def maps(pair: Maps | None) -> tuple[tuple[Source, ...], Source] | None:
    """The (source, target) of a guide, the source as one map for each exemplar."""
    return None if pair is None else (several(pair[0]), pair[1])


def several(sources: Source | Sequence[Source]) -> tuple[Source, ...]:
    """One source or a sequence of them."""
    if isinstance(sources, Sequence) and not isinstance(sources, str):
        return tuple(sources)
    return (sources,)
