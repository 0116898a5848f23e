"""What commands that make tiles refuse, before they read a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from texsynth.errors import UsageError, listed
from texsynth.tiles.sets import COLOURS, CORNER, WANG, wang_counts

BLEND, BLOB = "blend", "blob"
BLOB_TILES = (47, 16)  # of two materials: by eight neighbours, and by four corners


def check(kind: str, request: Any, exemplars: int) -> None:
    """Refuse what no picture can mend, for a kind of tiles and so many exemplars; UsageError."""
    if kind in (CORNER, WANG):
        check_colours(kind, request.colours)
    if kind == WANG and request.tiles is not None:
        check_count(request.tiles, request.colours)
    if kind == BLOB:
        _check_materials(request, exemplars)


def check_colours(kind: str, colours: int) -> None:
    """Refuse a number of colours of which there is no set; UsageError."""
    if colours not in COLOURS:
        what = "corners" if kind == CORNER else "edges"
        raise UsageError(
            f"--colours {colours}: {what} have {' or '.join(map(str, COLOURS))} colours; "
            f"the nearest is {_nearest(colours, COLOURS)}"
        )


def check_count(count: int, colours: int) -> None:
    """Refuse a number of Wang tiles that lays no plane; UsageError."""
    allowed = wang_counts(colours)
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


def _nearest(value: int, allowed: Sequence[int]) -> int:
    return min(allowed, key=lambda each: abs(each - value))
