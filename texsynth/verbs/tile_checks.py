"""What commands that make tiles refuse, before they read a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from texsynth import preset as presets
from texsynth.errors import UsageError, listed
from texsynth.methods import method
from texsynth.task import Preset
from texsynth.tiles.sets import COLOURS, CORNER, WANG

BLEND, BLOB = "blend", "blob"
BLOB_TILES = (47, 16)  # of two materials: by eight neighbours, and by four corners
PATCHES = 4  # windows that fit into the side of a tile, at least


def check(kind: str, request: Any, exemplars: int) -> None:
    """Refuse what no picture can mend, for a kind of tiles and so many exemplars; UsageError."""
    if request.model is not None:
        raise UsageError(f"--model {request.model}: tiles are copied, and trained networks copy nothing; leave it out")
    if kind in (CORNER, WANG):
        check_colours(kind, request.colours)
    if kind == WANG and request.tiles is not None:
        check_count(request.tiles, request.colours)
    if kind == BLOB:
        _check_materials(request, exemplars)
    if kind == BLEND and exemplars > 1 and request.size is None:
        raise UsageError(
            f"{exemplars} exemplars are no texture to blend; -s N makes one of N pixels out of them, or give one alone"
        )


def check_colours(kind: str, colours: int) -> None:
    """Refuse a number of colours of which there is no set; UsageError."""
    if colours not in COLOURS:
        what = "corners" if kind == CORNER else "edges"
        raise UsageError(
            f"--colours {colours}: {what} have {' or '.join(map(str, COLOURS))} colours; "
            f"the nearest is {_nearest(colours, COLOURS)}"
        )


def counts(colours: int) -> tuple[int, ...]:
    """How many tiles a set of Wang tiles may have."""
    return tuple(range(2 * colours**2, colours**4 + 1, colours**2))


def check_count(count: int, colours: int) -> None:
    """Refuse a number of Wang tiles that lays no plane; UsageError."""
    allowed = counts(colours)
    if count not in allowed:
        raise UsageError(
            f"--tiles {count}: Wang sets of {colours} colours have {listed(allowed, 8)} tiles; "
            f"the nearest is {_nearest(count, allowed)}"
        )


def _check_materials(request: Any, exemplars: int) -> None:
    """Refuse anything but two materials; UsageError."""
    if request.tiles not in BLOB_TILES:
        raise UsageError(
            f"--tiles {request.tiles}: sets of two materials have {' or '.join(map(str, BLOB_TILES))} tiles; "
            f"the nearest is {_nearest(request.tiles, BLOB_TILES)}"
        )
    labelled = request.labels is not None
    if exemplars == 1 and not labelled:
        raise UsageError("one exemplar is one material; give a second one, or --labels MAP that says where both are")
    if exemplars == 2 and labelled:
        raise UsageError("--labels says where one exemplar shows both materials; leave it out, or give one exemplar")
    if exemplars > 2:
        raise UsageError(f"{exemplars} exemplars are {exemplars} materials, and these tiles show two; give two of them")


def check_preset(preset: Preset) -> None:
    """Refuse a preset that copies nothing, as maps could not follow; UsageError."""
    if not any(method(stage.method).COPIES for stage in preset.stages):
        raise UsageError(f"preset {preset.name} copies nothing, and tiles are copied; --preset {presets.DEFAULT} does")


def check_size(size: tuple[int, int], patch: int) -> None:
    """Refuse tiles of a size (height, width) whose middle would have no room; UsageError. patch: the side of the
    windows that are compared."""
    least = PATCHES * patch
    if min(size) < least:
        raise UsageError(
            f"tiles of {size[1]}x{size[0]} are smaller than {PATCHES} of the {patch} pixels that are compared at a "
            f"time; -s {least} is the least"
        )


def check_padding(padding: int | None, border: int) -> None:
    """Refuse pixels round the tiles of which nothing is known; UsageError."""
    if padding is not None and padding > border:
        raise UsageError(
            f"--padding {padding}: tiles continue by the {border} pixels of their border; give {border} or less"
        )


def _nearest(value: int, allowed: Sequence[int]) -> int:
    return min(allowed, key=lambda each: abs(each - value))
