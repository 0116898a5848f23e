"""texsynth: example-based texture synthesis. The Python API speaks the same words as the command line.

    from texsynth import control, synthesize
    wall = synthesize("brick.png", "512x512", seed=3)
    nest = control("grass.png", "512x512", orientation="circle")

Nothing heavy is imported before the first call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texsynth.job import Job
    from texsynth.run import Result
    from texsynth.task import Report
    from texsynth.verbs.inputs import Source

    Maps = tuple[Source | Sequence[Source], Source]

logger = logging.getLogger(__name__)

__version__: str
__all__ = ["__version__", "control", "synthesize"]


def synthesize(
    exemplars: Source | Sequence[Source],
    size: str | int = "2x",
    *,
    preset: str | None = None,
    method: str | None = None,
    quality: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    tile: str = "none",
    maps: Mapping[str, Source | Sequence[Source]] | None = None,
    source_mask: Source | Sequence[Source] | None = None,
    crop: str | Sequence[int] | None = None,
    init: Source | None = None,
    flatten: bool = False,
    weights: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
    progress: Report | None = None,
) -> Result:
    """More of one exemplar, or a remix of several.

    Pictures are paths, arrays (H, W) or (H, W, C) of uint8, uint16 or float, or `texsynth.image.Picture`s;
    maps and source_mask hold one for each exemplar. size is "WxH", N or "2x". settings are what `--set`
    sets. weights: a file of pretrained weights for presets that need some; else they are found, or fetched (the
    logger "texsynth" says so). progress is called with a `texsynth.task.Event` after every step. Ctrl-C gives the
    picture so far, with `interrupted` set. Raises `texsynth.errors.TexsynthError`s, each with a one-line message.
    """
    from texsynth.verbs import synthesize as verb

    shared = _shared(tile, maps, source_mask, crop, init, flatten, device, max_memory)
    request = verb.Request(exemplars=_several(exemplars), size=size, **shared)
    return _run(lambda: verb.build(request), (method, preset, quality), settings, seed, weights, threads, progress)


def control(
    exemplars: Source | Sequence[Source] = (),
    size: str | int | None = None,
    *,
    progression: Maps | None = None,
    progression_weight: float | None = None,
    reverse: bool = False,
    distance_transform: bool = False,
    refine: bool = False,
    match_histogram: bool = False,
    match_range: bool = False,
    orientation: Source | None = None,
    source_orientation: Source | Sequence[Source] | None = None,
    orientation_extractor: str | None = None,
    orientation_weight: float | None = None,
    labels: Maps | None = None,
    label_exemplars: Mapping[str, Source | Sequence[Source]] | None = None,
    label_map: Source | None = None,
    labels_weight: float | None = None,
    guide_weight_map: Source | None = None,
    preset: str | None = None,
    method: str | None = None,
    quality: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    tile: str = "none",
    maps: Mapping[str, Source | Sequence[Source]] | None = None,
    source_mask: Source | Sequence[Source] | None = None,
    crop: str | Sequence[int] | None = None,
    init: Source | None = None,
    flatten: bool = False,
    weights: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
    progress: Report | None = None,
) -> Result:
    """More of a texture, steered by maps; at least one guide, and they combine.

    progression and labels: (source, target), the source being one map for each exemplar; the source of a progression
    may be "auto". orientation: "angle:DEG", "circle", "spiral", "s-curve", or a field: an array (2, H, W) of x and y,
    a .npy or a picture; source_orientation likewise, by default extracted. label_exemplars: in place of exemplars,
    those of each colour, with label_map as the target. size: by default that of the first target map. Weights: by
    default 10, for orientation 5. guide_weight_map: white where guides hold. All else as in `synthesize`.
    """
    from texsynth.verbs import control as verb

    if label_exemplars and _several(exemplars):
        from texsynth.errors import UsageError

        raise UsageError("label_exemplars names the exemplars; leave exemplars out")
    pairs = [(colour, file) for colour, files in (label_exemplars or {}).items() for file in _several(files)]
    request = verb.Request(
        exemplars=tuple(file for _, file in pairs) or _several(exemplars),
        size=size,
        progression=_maps(progression),
        progression_weight=progression_weight,
        reverse=reverse,
        distance_transform=distance_transform,
        refine=seed if refine else None,
        match_histogram=match_histogram,
        match_range=match_range,
        orientation=orientation,
        source_orientation=() if source_orientation is None else _several(source_orientation),
        orientation_extractor=orientation_extractor,
        orientation_weight=orientation_weight,
        labels=_maps(labels),
        label_colours=tuple(colour for colour, _ in pairs),
        label_map=label_map,
        labels_weight=labels_weight,
        guide_weight_map=guide_weight_map,
        **_shared(tile, maps, source_mask, crop, init, flatten, device, max_memory),
    )
    return _run(lambda: verb.build(request), (method, preset, quality), settings, seed, weights, threads, progress)


def _shared(
    tile: str,
    maps: Mapping[str, Source | Sequence[Source]] | None,
    source_mask: Source | Sequence[Source] | None,
    crop: str | Sequence[int] | None,
    init: Source | None,
    flatten: bool,
    device: str,
    max_memory: str | int,
) -> dict[str, Any]:
    """The arguments that every verb has, as a Request wants them."""
    return {
        "tile": tile,
        "maps": {name: _several(sources) for name, sources in (maps or {}).items()},
        "source_mask": () if source_mask is None else _several(source_mask),
        "crop": crop,
        "init": init,
        "flatten": flatten,
        "device": device,
        "max_memory": max_memory,
    }


def _run(
    build: Callable[[], Job],
    named: tuple[str | None, str | None, str | None],
    settings: Mapping[str, Any] | None,
    seed: int,
    weights: str | Path | None,
    threads: int | None,
    progress: Report | None,
) -> Result:
    """Run the job of a verb; named: method, preset and quality."""
    from texsynth import machine, run
    from texsynth import preset as presets

    chosen = presets.resolve(*named, settings or {})
    machine.use_threads(threads)
    job = run.fit(build(), chosen, None if weights is None else Path(weights), logger.warning)
    run.check_memory(job, chosen)
    return run.run(job, chosen, seed, progress or run.silent)


def _maps(pair: Maps | None) -> tuple[tuple[Source, ...], Source] | None:
    return None if pair is None else (_several(pair[0]), pair[1])


def _several(sources: Source | Sequence[Source]) -> tuple[Source, ...]:
    if isinstance(sources, Sequence) and not isinstance(sources, str):
        return tuple(sources)
    return (sources,)


if not TYPE_CHECKING:  # for the type checker any name would exist otherwise

    def __getattr__(name: str) -> str:
        if name == "__version__":  # written once, in pyproject.toml
            from importlib.metadata import version

            return version("texsynth")
        raise AttributeError(f"module 'texsynth' has no attribute {name!r}")
