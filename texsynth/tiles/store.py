"""The JSON of a set of tiles, which says where they lie in the atlas and which fit; written, and read back.

What is read may be of others: the set it describes has to be one that `sets` makes, and its pictures lie beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from texsynth.errors import InputError, one_line, shown
from texsynth.foreign import json_text, regular
from texsynth.image import picture as image
from texsynth.image.load import mapped
from texsynth.image.pixels import Picture, size_in_memory
from texsynth.job import Layer
from texsynth.tiles import sets
from texsynth.tiles.atlas import mips, origin
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import TileSet

VERSION = 1  # of the form of the JSON
KEY = "texsynth_tiles"  # that says so
ROLES = ("colour", "data", "labels", "normal", "normal_dx")
LONGEST_SIDE = 1 << 16  # pixels of a tile
MOST_MAPS = 64


@dataclass(frozen=True)
class TileFile:
    """A file with the tiles of a layer. name: of the file, which lies beside the JSON. role: as of `Layer`. scale: how
    many times as fine as the image it is."""

    name: str
    role: str = "colour"
    scale: Fraction = Fraction(1)


def described(
    tiles: TileSet,
    size: tuple[int, int],
    padding: int,
    files: Mapping[str, TileFile],
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON of a set of tiles of `size` (height, width), with so much padding in the atlas. files: of the image, by
    this name, and of each map. record: of the run; None for none."""
    image_file, *maps = sorted(files.items(), key=lambda item: item[0] != "image")
    content = {
        KEY: VERSION,
        "kind": tiles.kind,
        "colours": tiles.colours,
        "width": size[1],
        "height": size[0],
        "padding": padding,
        "mips": mips(size, padding),
        "columns": tiles.columns,
        "rows": tiles.rows,
        "image": {"file": image_file[1].name, "role": image_file[1].role},
        "maps": {name: {"file": f.name, "role": f.role, "scale": str(f.scale)} for name, f in maps},
        "tiles": _places(tiles, size, padding),
    }
    return content if record is None else {**content, "record": dict(record)}


def text(content: Mapping[str, Any]) -> str:
    """The text of a JSON, with one line for each tile."""
    tiles = ",\n".join(f"  {json_text.text(tile)}" for tile in content["tiles"])
    # Texts have no line breaks, so these words stand but once after one.
    around = json_text.text({**content, "tiles": []}, indent=1)
    return around.replace('\n "tiles": []', f'\n "tiles": [\n{tiles}\n ]', 1) + "\n"


def _places(tiles: TileSet, size: tuple[int, int], padding: int) -> list[dict[str, Any]]:
    """What stands of each tile: its upper left pixel in the atlas, and its colours, of which those stand that count."""
    corners, edges = tiles.kind != sets.WANG, tiles.kind in (sets.WANG, sets.BLOB)
    places = []
    for number, tile in enumerate(tiles.tiles):
        x, y = origin(tiles, size, padding, number)
        place: dict[str, Any] = {"x": x, "y": y}
        place |= {"corners": list(tile.corners)} if corners else {}
        place |= {"edges": list(tile.edges)} if edges else {}
        places.append(place | ({"middle": tile.middle} if tiles.kind == sets.BLOB else {}))
    return places


def read(path: Path, memory: int | None = None) -> Drawn:
    """The set that a JSON describes, with its pictures; the border is as much as the atlas has of it, its padding.

    memory: the bytes that its pictures may take; None for any. Raises InputError where the JSON or a
    picture is missing, damaged, or not as `described` has it, and ResourceError.
    """
    name, content = one_line(path.name), loaded(path)
    if content.get(KEY) != VERSION:
        raise InputError(f"{name}: is not the JSON of a set of tiles; give one that `texsynth tiles` wrote")
    try:
        return _drawn(path, content, memory)
    except ValueError as fault:
        raise InputError(f"{name}: {fault}; give one as `texsynth tiles` wrote it") from None


def loaded(path: Path) -> dict[str, Any]:
    """The object in a JSON, which may be of others; raises InputError."""
    name = one_line(path.name)
    try:
        content = json_text.load(regular.content(path, json_text.LONGEST).decode("utf-8"))
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read ({error.strerror or error}); give the JSON of a set of tiles"
        ) from None
    except (ValueError, MemoryError) as error:
        raise InputError(f"{name}: is no JSON ({error}); give that of a set of tiles") from None
    if not isinstance(content, dict):
        raise InputError(f"{name}: is not the JSON of a set of tiles; give one that `texsynth tiles` wrote")
    return content


def beside(name: str, file: Any) -> str:
    """The file of a layer called `name`; raises ValueError for what cannot lie beside the JSON."""
    if not isinstance(file, str) or file in ("", ".", "..") or set(file) & set("/\\:\0"):
        raise ValueError(f"the file of {shown(name)} is {shown(file)}, not the name of a file beside it")
    return file


def _drawn(path: Path, content: Mapping[str, Any], memory: int | None) -> Drawn:
    """The set of a JSON. Raises ValueError, with a line that does not name it, and InputError for its pictures."""
    size = _number(content, "height", 1, LONGEST_SIDE), _number(content, "width", 1, LONGEST_SIDE)
    padding = _number(content, "padding", 0, LONGEST_SIDE)
    tiles = _set(content)
    if content.get("tiles") != _places(tiles, size, padding):
        raise ValueError(f"its tiles are not those of the {tiles.kind} set of {len(tiles.tiles)}")
    maps = content.get("maps")
    if not isinstance(maps, dict) or len(maps) > MOST_MAPS or "image" in maps:
        raise ValueError(f"maps is {shown(maps)}; allowed: up to {MOST_MAPS} by their names")
    layers: dict[str, Layer] = {}
    for name, entry in {"image": content.get("image"), **maps}.items():
        picture, role, scale = _read(path.parent, name, entry, (tiles, size, padding), memory)
        memory = None if memory is None else memory - size_in_memory(picture)
        layers[name] = Layer(tuple(_cut(picture, tiles, number) for number in range(len(tiles.tiles))), role, scale)
    return Drawn(tiles, size, padding, layers.pop("image"), layers)


def _number(content: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = content.get(name)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} is {shown(value)}; allowed: {low} to {high}")
    return value


def _set(content: Mapping[str, Any]) -> TileSet:
    """The set that a JSON names, by its kind, its colours and how many tiles it lists."""
    kind, colours, tiles = content.get("kind"), _number(content, "colours", *sets.COLOURS), content.get("tiles")
    count = len(tiles) if isinstance(tiles, list) else 0
    sizes = sets.wang_counts(colours)
    if kind == sets.WANG and count not in sizes:
        raise ValueError(f"it lists {count} tiles; a wang set of {colours} colours has {sizes[0]} to {sizes[-1]}")
    makers = {
        sets.CORNER: lambda: sets.corner(colours),
        sets.WANG: lambda: sets.wang(colours, count),
        sets.MARCHING: sets.marching,
        sets.BLOB: sets.blob,
    }
    if not isinstance(kind, str) or kind not in makers:
        raise ValueError(f"kind is {shown(kind)}; allowed: {', '.join(makers)}")
    described_set: TileSet = makers[kind]()
    for name, value in (("colours", described_set.colours), ("columns", described_set.columns)):
        if content.get(name) != value:
            raise ValueError(f"{name} is {shown(content.get(name))}; that of its {kind} set is {value}")
    return described_set


def _read(
    folder: Path, name: str, entry: Any, grid: tuple[TileSet, tuple[int, int], int], memory: int | None
) -> tuple[Picture, str, Fraction]:
    """The atlas of one file, its role and its scale."""
    tiles, (height, width), padding = grid
    if not isinstance(entry, dict):
        raise ValueError(f"{shown(name)} is {shown(entry)}, not an object with its file and its role")
    file, role, scale = beside(name, entry.get("file")), entry.get("role"), _scale(entry.get("scale", "1"))
    if role not in ROLES:
        raise ValueError(f"the role of {shown(name)} is {shown(role)}; allowed: {', '.join(ROLES)}")
    sides = (height + 2 * padding) * scale, (width + 2 * padding) * scale
    picture = image.read(folder / file, memory)
    size = (int(sides[0] * tiles.rows), int(sides[1] * tiles.columns))
    if any(side.denominator > 1 for side in sides) or (picture.height, picture.width) != size:
        raise ValueError(f"{one_line(file)} is {picture.width}x{picture.height}; its tiles need {size[1]}x{size[0]}")
    return picture, role, scale


def _scale(text: Any) -> Fraction:
    """How many times as fine a map is: a whole number, or 1 divided by one."""
    if text not in ("1", *(f"{word}{n}" for word in ("", "1/") for n in range(2, 65))):
        raise ValueError(f"a scale is {shown(text)}; allowed: 1 to 64, and 1/2 to 1/64")
    return Fraction(text)


def _cut(picture: Picture, tiles: TileSet, number: int) -> Picture:
    """One tile with its padding."""
    row, column = divmod(number, tiles.columns)
    height, width = picture.height // tiles.rows, picture.width // tiles.columns
    rows, columns = slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)
    return mapped(picture, lambda values: values[:, :, rows, columns])
