"""What stands for the output where a set of tiles, or a texture to be blended, is scored: a plane drawn with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from texsynth.image.load import Source
from texsynth.image.pixels import Picture
from texsynth.tiles import blend_reading, plane, store
from texsynth.tiles.blending import ANY_PIXEL, bake
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import CORNER, WANG
from texsynth.tiles.suitability import PLANES
from texsynth.verbs.tile_checks import BLEND, BLOB

SIDE = 1024  # pixels of a plane of tiles, about
LONGEST = 2048  # pixels of a side of a blended plane, at most
FEWEST, MOST = 3, 12  # tiles along its side
SEED = 1  # by which it is laid
KINDS = (CORNER, WANG, BLOB, BLEND)  # with which the names of what `texsynth tiles` makes end
ENDINGS = tuple(f"_{kind}.json" for kind in KINDS)


@dataclass(frozen=True)
class DrawnPlane:
    """A plane, with what `Pair` has of it."""

    picture: Picture
    tiles: Drawn | None = None
    offsets: str = ""


def is_described(source: Source) -> bool:
    """Is this the JSON of a set of tiles or of a texture to be blended, by its name?"""
    return isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".json"


def inside(folder: Path) -> list[Path]:
    """Those in a folder that bear a name as `texsynth tiles` gives them, sorted."""
    return sorted(path for path in folder.glob("*.json") if path.name.endswith(ENDINGS))


def read(path: Path, memory: int) -> DrawnPlane:
    """The plane of a JSON, which may be of others. Raises InputError and ResourceError."""
    if blend_reading.is_blend(store.loaded(path)):
        grid, layer = blend_reading.read(path, memory)
        high, wide = (min(PLANES * side, LONGEST) for side in grid.size)
        offsets = "free" if grid.cells == ANY_PIXEL else "lattice"
        return DrawnPlane(Picture(bake(grid, layer, (high, wide)).clamp(0, 1)), offsets=offsets)
    drawn = store.read(path, memory)
    rows, columns = (min(MOST, max(FEWEST, SIDE // side)) for side in drawn.size)
    return DrawnPlane(plane.picture(drawn, plane.laid(drawn.tiles, rows, columns, SEED), drawn.image), drawn)
