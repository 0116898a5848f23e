"""The files of a set of tiles: what each is called, and what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from texsynth.errors import UsageError, one_line
from texsynth.image import picture as image
from texsynth.image import strips
from texsynth.image.files import Put
from texsynth.image.load import NORMAL_DX
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.material import export
from texsynth.material.roles import DX, NORMAL
from texsynth.report import tiles as viewer
from texsynth.runs import save
from texsynth.runs.run import Result
from texsynth.tiles import engines, plane, shading, store
from texsynth.tiles.atlas import atlas
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.store import TileFile
from texsynth.verbs.tiles import Laid, TileWork

IMAGE = "image"  # what results call the picture, here the atlas
DATA = "data"  # the role of a map that holds several
# What is written beside the atlas and its maps, by the ends of the names.
SHADERS = {name.partition(".")[2]: name for name in shading.TILES}  # by what results call them
BESIDE = {"preview": "_preview.png", "tiles": ".json", "tiled": ".tsx", "godot": ".tres", "viewer": ".html"}
BESIDE |= {word: f".{word}" for word in SHADERS}
SEEDS = 0x7FFFFFFF  # of planes, as shaders have them
PREVIEW = 2048  # pixels a side of the preview, at the most
MOST_CELLS, FEWEST_CELLS = 16, 4  # tiles a side of it


def paths(out: Path, request: Any, depths: Mapping[str, str]) -> dict[str, Path]:
    """Every file of a set of tiles whose atlas is `out`, by what it is; depths are those of the maps. Raises UsageError
    where a map has the name of another file, or a name is no UTF-8."""
    asked = save.asked(request)
    files = save.paths(out, depths, save_field=False, asked=asked)
    base = export.base(out.stem, asked)
    if taken := sorted(files.keys() & BESIDE.keys()):
        raise UsageError(f"--map {taken[0]}: a file of that name is written anyway; call the map something else")
    files |= {name: out.with_name(f"{base}{end}") for name, end in BESIDE.items()}
    for path in files.values():
        _check_name(path.name)
    return files


def _check_name(name: str) -> None:
    """Refuse names of files that are no UTF-8, which the files of editors could not hold; UsageError."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        why = "the name is not UTF-8, and .tsx and .tres hold nothing else"
        raise UsageError(f"{one_line(name)}: {why}; rename the exemplar") from None


def size(work: TileWork) -> tuple[int, int]:
    """The (height, width) of the atlas."""
    height, width = (side + 2 * work.padding for side in work.size)
    return work.tiles.rows * height, work.tiles.columns * width


def write(work: TileWork, laid: Laid, files: Mapping[str, Path], put: Put) -> list[str]:
    """Write all files of a set, the atlas last; gives notices. Raises UsageError and ResourceError."""
    drawn, around, request = laid.drawn, work.padding, work.request
    layers = atlas(drawn, around)
    picture = layers.pop(IMAGE)
    asked = save.asked(request, drawn.maps)
    record = {} if request.no_metadata else dict(work.record)
    # Planes of it, and what tells engines where the tiles are.
    seed = work.record["seed"] & SEEDS
    notices = image.write(files["preview"], preview(drawn, seed), put=put)
    for word, name in SHADERS.items():
        put(files[word], shading.source(name))
    put(files["viewer"], viewer.page(drawn, around, files["tiles"].stem, seed))
    stored = _stored(drawn, layers, files, asked)
    described = store.described(drawn.tiles, drawn.size, around, stored, record or None)
    put(files["tiles"], store.text(described))
    put(files["tiled"], engines.tsx(drawn.tiles, drawn.size, around, files[IMAGE].name))
    normals = next((each.name for each in stored.values() if each.role == NORMAL and each.scale == 1), None)
    put(files["godot"], engines.tres(drawn.tiles, drawn.size, around, files[IMAGE].name, normals))
    # The atlas and its maps.
    result = Result(picture, layers, None, work.record, (), False, laid.seconds)
    _, said = save.save(result, files[IMAGE], not request.no_metadata, put=put, asked=asked)
    return as_png([*notices, *said])


def as_png(notices: Iterable[str]) -> list[str]:
    """Notices about files, without the advice to write another format: what belongs to tiles is PNG in any case."""
    return [notice.removesuffix(image.KEPT_BY_TIFF) for notice in notices]


def preview(drawn: Drawn, seed: int) -> Picture | Strips:
    """A plane laid at random, of at most PREVIEW pixels a side; floats become 16 bits, which PNG holds."""
    rows, columns = (min(MOST_CELLS, max(FEWEST_CELLS, PREVIEW // side)) for side in drawn.size)
    shown = plane.strips(drawn, plane.laid(drawn.tiles, rows, columns, seed), drawn.image)
    shown = replace(shown, depth="uint16") if shown.depth.startswith("float") else shown
    longest = max(shown.size)
    return shown if longest <= PREVIEW else strips.reduced(shown, longest // -(-longest // PREVIEW))


def _stored(
    drawn: Drawn, layers: Mapping[str, Strips], files: Mapping[str, Path], asked: export.Asked
) -> dict[str, TileFile]:
    """How the atlas and its maps lie on the disk, by the names of `files`."""
    stored = {IMAGE: TileFile(files[IMAGE].name)}
    for file in export.files({name: layer.depth for name, layer in layers.items()}, asked):
        layer = drawn.maps[file.parts[0] if file.parts else file.source]
        role = DATA if file.parts else layer.role
        if role in (NORMAL, NORMAL_DX) and asked.convention is not None:
            role = NORMAL_DX if asked.convention == DX else NORMAL
        ratio = Fraction(layer.pictures[0].width, drawn.image.pictures[0].width)
        stored[file.name] = TileFile(files[file.name].name, role, ratio)
    return stored
