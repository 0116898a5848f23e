"""The Python API of `texsynth tiles`: its commands as functions; see `texsynth.api`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from texsynth.api import Copied, arguments_of, documented, fetching, logger, request_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from texsynth.image.load import Source
    from texsynth.verbs.tile_blend import Blended
    from texsynth.verbs.tiles import Laid

Function = TypeVar("Function", bound=Callable[..., Any])


def _documented(function: Function) -> Function:
    """Add what the options mean to the docstring of a function."""
    return documented(function, Copied)


@_documented
def tiles_corner(
    exemplars: Source | Sequence[Source],
    size: str | int | None = None,
    *,
    colours: int = 2,
    **shared: Unpack[Copied],
) -> Laid:
    """Make a complete set of corner tiles: `drawn` has their pictures, which `texsynth.tiles.atlas.atlas` puts into one
    and `texsynth.tiles.plane` lays. Raises `texsynth.errors.TexsynthError`s."""
    return cast("Laid", _made("tiles_corner", locals()))


@_documented
def tiles_wang(
    exemplars: Source | Sequence[Source],
    size: str | int | None = None,
    *,
    colours: int = 2,
    tiles: int | None = None,
    **shared: Unpack[Copied],
) -> Laid:
    """Make a set of Wang tiles; see `tiles_corner`."""
    return cast("Laid", _made("tiles_wang", locals()))


@_documented
def tiles_blob(
    exemplars: Source | Sequence[Source],
    size: str | int | None = None,
    *,
    labels: Source | None = None,
    tiles: int = 47,
    **shared: Unpack[Copied],
) -> Laid:
    """Make a set of tiles for two materials; see `tiles_corner`. exemplars are the ground and what lies on it, or one
    that shows both, with labels."""
    return cast("Laid", _made("tiles_blob", locals()))


@_documented
def tiles_blend(
    exemplars: Source | Sequence[Source],
    size: str | int | None = None,
    *,
    lattice: str = "auto",
    **shared: Unpack[Copied],
) -> Blended:
    """Make a texture ready for histogram-preserving blending: `ready`, which `texsynth.tiles.blending.bake` draws as
    shaders do, and `suited`, how well it fits, with a `sentence`. Raises `texsynth.errors.TexsynthError`s."""
    return cast("Blended", _made("tiles_blend", locals(), "tile_blend"))


def _made(verb: str, arguments: Mapping[str, Any], name: str = "tiles") -> Any:
    """What the module `name` of verbs/ makes with the arguments of a function."""
    if unknown := sorted(arguments["shared"].keys() - Copied.__annotations__.keys()):
        shared = ", ".join(Copied.__annotations__)
        raise TypeError(f"{unknown[0]!r} is not an argument; the shared ones are {shared}")
    values = arguments_of(verb, arguments)
    progress = values.pop("progress", None)
    request = request_of(verb, values)
    from texsynth.image import scratch
    from texsynth.runs import run
    from texsynth.verbs import parse, tile_checks
    from texsynth.verbs.sets import with_maps

    tile_checks.check(verb.partition("_")[2], request, len(request.exemplars))
    request, said = with_maps(request)
    for line in said:
        logger.info(line)
    module = importlib.import_module(f"texsynth.verbs.{name}")
    with scratch.beside(None, parse.memory(request.max_memory)):
        work = module.prepare(verb.replace("_", " "), request, request.exemplars, logger.warning, fetching())
        for notice in work.notices:
            logger.info(notice)
        return module.execute(work, progress or run.silent)
