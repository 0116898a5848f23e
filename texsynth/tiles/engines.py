"""Sets of tiles as the editors of games read them: a .tsx of Tiled, and a .tres of Godot 4.

Both hold the grid of the atlas and, of each tile, the colours of its corners and edges, by which their brushes choose
tiles that fit: "wangsets" and "terrains" there. Files are named without a folder, as they lie beside these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from xml.sax.saxutils import quoteattr

from texsynth.tiles import sets
from texsynth.tiles.sets import TileColours, TileSet

SHADES = ("#3c6eb4", "#d98232", "#59a14f")  # in which editors show colours
TILED_KINDS = {sets.CORNER: "corner", sets.MARCHING: "corner", sets.WANG: "edge", sets.BLOB: "mixed"}
# The numbers of "match corners", "match sides" and "match corners and sides".
GODOT_MODES = {sets.CORNER: 1, sets.MARCHING: 1, sets.WANG: 2, sets.BLOB: 0}
# From the top in the direction of the clock, as Tiled has them, with the names that Godot has for them.
SIDES = ("top_side", "right_side", "bottom_side", "left_side")
CORNERS = ("top_right_corner", "bottom_right_corner", "bottom_left_corner", "top_left_corner")


def colour_names(tiles: TileSet) -> tuple[str, ...]:
    """What the colours of a set are called."""
    materials = tiles.kind in (sets.BLOB, sets.MARCHING)
    return ("ground", "top") if materials else tuple(f"colour {n + 1}" for n in range(tiles.colours))


def tsx(tiles: TileSet, size: tuple[int, int], padding: int, file: str) -> str:
    """The set for Tiled 1.8 and later: of tiles of `size` (height, width), with so much padding round each in the
    picture `file`.

    A wangid has the colours, counted from 1, with 0 for what does not count. Tiled knows no colour of the middle: of
    the two blob tiles that are ground all round only the one that is ground inside too is in the wangset, and the other
    one is laid by hand.
    """
    (height, width), name = size, quoteattr(PurePath(file).stem)
    whole = tiles.rows * (height + 2 * padding), tiles.columns * (width + 2 * padding)
    places = f'spacing="{2 * padding}" margin="{padding}" tilecount="{len(tiles.tiles)}" columns="{tiles.columns}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<tileset version="1.10" name={name} tilewidth="{width}" tileheight="{height}" {places}>',
        f' <image source={quoteattr(file)} width="{whole[1]}" height="{whole[0]}"/>',
        " <wangsets>",
        f'  <wangset name={name} type="{TILED_KINDS[tiles.kind]}" tile="-1">',
    ]
    for colour, shade in zip(colour_names(tiles), SHADES, strict=False):
        lines.append(f'   <wangcolor name="{colour}" color="{shade}" tile="-1" probability="1"/>')
    for number, tile in enumerate(tiles.tiles):
        if not _is_alone(tiles, tile):
            lines.append(f'   <wangtile tileid="{number}" wangid="{",".join(map(str, _wangid(tiles, tile)))}"/>')
    return "\n".join([*lines, "  </wangset>", " </wangsets>", "</tileset>", ""])


def _is_alone(tiles: TileSet, tile: TileColours) -> bool:
    """Is it the blob tile of a material in the middle of ground?"""
    return tiles.kind == sets.BLOB and tile.middle == 1 and not any((*tile.corners, *tile.edges))


def _wangid(tiles: TileSet, tile: TileColours) -> list[int]:
    """The colours from the top in the direction of the clock: an edge, a corner, and so on."""
    has = GODOT_MODES[tiles.kind]
    edges = [0] * 4 if has == 1 else [colour + 1 for colour in tile.edges]
    north_west, *others = tile.corners
    corners = [0] * 4 if has == 2 else [colour + 1 for colour in (*others, north_west)]
    return [colour for pair in zip(edges, corners, strict=True) for colour in pair]


def tres(tiles: TileSet, size: tuple[int, int], padding: int, file: str, normals: str | None = None) -> str:
    """The same for Godot 4. normals: the file of the normals of the same atlas, green up; None for none."""
    height, width = size
    texture = 'ExtResource("1")' if normals is None else 'SubResource("CanvasTexture_1")'
    lines = [
        f'[gd_resource type="TileSet" load_steps={3 if normals is None else 5} format=3]',
        "",
        f'[ext_resource type="Texture2D" path={_quoted(file)} id="1"]',
    ]
    if normals is not None:
        lines += [
            f'[ext_resource type="Texture2D" path={_quoted(normals)} id="2"]',
            "",
            '[sub_resource type="CanvasTexture" id="CanvasTexture_1"]',
            'diffuse_texture = ExtResource("1")',
            'normal_texture = ExtResource("2")',
        ]
    lines += [
        "",
        '[sub_resource type="TileSetAtlasSource" id="TileSetAtlasSource_1"]',
        f"texture = {texture}",
        f"margins = Vector2i({padding}, {padding})",
        f"separation = Vector2i({2 * padding}, {2 * padding})",
        f"texture_region_size = Vector2i({width}, {height})",
        *(["use_texture_padding = false"] if padding else []),
    ]
    for number, tile in enumerate(tiles.tiles):
        row, column = divmod(number, tiles.columns)
        lines += _terrain(tiles, tile, f"{column}:{row}/0")
    lines += [
        "",
        "[resource]",
        f"tile_size = Vector2i({width}, {height})",
        f"terrain_set_0/mode = {GODOT_MODES[tiles.kind]}",
    ]
    for number, (name, shade) in enumerate(zip(colour_names(tiles), SHADES, strict=False)):
        red, green, blue = (int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5))
        lines.append(f'terrain_set_0/terrain_{number}/name = "{name}"')
        lines.append(f"terrain_set_0/terrain_{number}/color = Color({red:.4g}, {green:.4g}, {blue:.4g}, 1)")
    return "\n".join([*lines, 'sources/0 = SubResource("TileSetAtlasSource_1")', ""])


def _terrain(tiles: TileSet, tile: TileColours, place: str) -> list[str]:
    """What a tile says of itself. The terrain of its middle, where a set has none, is what it has most of."""
    mode = GODOT_MODES[tiles.kind]
    north_west, *others = tile.corners
    bits: Mapping[str, int] = {
        **(dict(zip(SIDES, tile.edges, strict=True)) if mode != 1 else {}),
        **(dict(zip(CORNERS, (*others, north_west), strict=True)) if mode != 2 else {}),
    }
    middle = tile.middle if tiles.kind == sets.BLOB else _most_common(list(bits.values()))
    return [
        f"{place} = 0",
        f"{place}/terrain_set = 0",
        f"{place}/terrain = {middle}",
        *(f"{place}/terrains_peering_bit/{name} = {colour}" for name, colour in bits.items()),
    ]


def _most_common(colours: Sequence[int]) -> int:
    """The colour that stands most often, the highest of several."""
    return max(colours, key=lambda colour: (colours.count(colour), colour))


def _quoted(text: str) -> str:
    """A text as Godot writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
