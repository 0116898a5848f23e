"""A set of tiles as a page: a random plane of them, without end, beside one tile repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from texsynth.image.strips import Strips
from texsynth.material import roles
from texsynth.report import plane, view
from texsynth.report.plane import Shell
from texsynth.tiles import sets, shading
from texsynth.tiles.atlas import atlas
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import TileColours, TileSet, fits

SCRIPT = (Path(__file__).parent / "tiles.js").read_text("utf-8")
KINDS = {
    sets.CORNER: "corner tiles",
    sets.WANG: "Wang tiles",
    sets.BLOB: "blob tiles",
    sets.MARCHING: "marching-squares tiles",
}
BASE = "base colour"


def page(drawn: Drawn, padding: int, title: str, seed: int = 0) -> str:
    """The whole document. padding: of the atlas, as it is written. title: the name of the texture. The plane of `seed`
    is that of `tiles.plane.laid` from its upper left corner on."""
    tiles = drawn.tiles
    pictures = atlas(drawn, padding)
    parts = {name: role for role, name in view.by_role(drawn.maps).items()}
    maps, notes = [], set()
    for name, strips in pictures.items():
        maps.append(_map(drawn, name, strips, parts.get(name, ""), len(pictures)))
        notes.add(maps[-1].pop("note"))
    content = {
        "glsl": shading.source("tiles.glsl"),
        **described(tiles),
        "width": drawn.size[1],
        "height": drawn.size[0],
        "padding": padding,
        "maps": maps,
    }
    count = f"{len(tiles.tiles)} {KINDS[tiles.kind]}"
    size = f"{drawn.size[1]} x {drawn.size[0]} pixels each"
    shown = "".join(f" Shown {note}." for note in sorted(notes - {""}))
    views = [(BASE, BASE), *([("lit", "lit material")] if roles.NORMAL in parts.values() else [])]
    views += [(name, name) for name in drawn.maps]
    borders = {sets.CORNER: "borders and corners", sets.WANG: "edges"}.get(tiles.kind, "borders")
    shell = Shell(
        f"{title}: {count}", f"{size}.{shown}", "random plane", "one tile repeated", views, seed & 0x7FFFFFFF, borders
    )
    return plane.page(shell, content, SCRIPT)


def described(tiles: TileSet) -> dict[str, Any]:
    """What the page knows of a set, but for its pictures."""
    return {
        "kind": tiles.kind,
        "colours": tiles.colours,
        "columns": tiles.columns,
        "rows": tiles.rows,
        "tiles": [[*tile.corners, *tile.edges, tile.middle] for tile in tiles.tiles],
        "fitting": sets.fitting(tiles),
        "plain": _alone(tiles),
    }


def _map(drawn: Drawn, name: str, strips: Strips, part: str, share: int) -> dict[str, Any]:
    """What the page knows of the image or a map."""
    role = roles.role_of(name)
    is_colour = name == "image" or (role is not None and role.is_colour)
    cell = strips.height // drawn.tiles.rows, strips.width // drawn.tiles.columns
    picture = plane.embedded(strips.whole(), is_colour, cell, share)
    return {
        "name": BASE if name == "image" else name,
        "part": part,
        "colour": is_colour,
        "down": name in drawn.maps and drawn.maps[name].role == "normal_dx",
        "source": picture.source,
        "note": picture.note,
    }


def _alone(tiles: TileSet) -> int:
    """The number of a tile that may be repeated; of two materials the one that lies on top."""
    alone = [n for n, tile in enumerate(tiles.tiles) if fits(tile, tile, tile)]
    return max(alone, key=lambda n: _tops(tiles.tiles[n])) if tiles.kind in (sets.BLOB, sets.MARCHING) else alone[0]


def _tops(tile: TileColours) -> int:
    return sum((*tile.corners, *tile.edges, tile.middle))
