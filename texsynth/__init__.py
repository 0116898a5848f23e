"""texsynth: example-based texture synthesis. The Python API speaks the same words as the command line.

    from texsynth import synthesize
    result = synthesize("brick.png", "512x512", seed=3)

Nothing heavy is imported before the first call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texsynth.run import Result
    from texsynth.task import Report
    from texsynth.verbs.inputs import Source

__version__: str
__all__ = ["__version__", "synthesize"]


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
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
    progress: Report | None = None,
) -> Result:
    """More of one exemplar, or a remix of several.

    Pictures are paths, arrays (H, W) or (H, W, C) of uint8, uint16 or float, or `texsynth.image.Picture`s;
    maps and source_mask hold one for each exemplar. size is "WxH", N or "2x". settings are what `--set`
    sets. progress is called with a `texsynth.task.Event` after every step. Ctrl-C gives the picture so far,
    with `interrupted` set. Raises `texsynth.errors.TexsynthError`s, each with a one-line message.
    """
    from texsynth import machine, run
    from texsynth import preset as presets
    from texsynth.verbs import synthesize as verb

    chosen = presets.resolve(method, preset, quality, settings or {})
    request = verb.Request(
        exemplars=_several(exemplars),
        size=size,
        tile=tile,
        maps={name: _several(sources) for name, sources in (maps or {}).items()},
        source_mask=() if source_mask is None else _several(source_mask),
        crop=crop,
        init=init,
        flatten=flatten,
        device=device,
        max_memory=max_memory,
    )
    machine.use_threads(threads)
    job = verb.build(request)
    run.check_memory(job, chosen)
    return run.run(job, chosen, seed, progress or run.silent)


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
