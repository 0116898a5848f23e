"""What the commands of `texsynth tiles` have of their own: how sets of tiles are made and written, and blends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from texsynth.batch.order import Item
from texsynth.image.files import Put
from texsynth.image.load import NORMAL
from texsynth.material import export
from texsynth.material.roles import role_of
from texsynth.task import Report, Say
from texsynth.verbs import blend_files, tile_blend, tile_checks, tile_files, tiles
from texsynth.verbs.tile_blend import Blended, BlendWork
from texsynth.verbs.tiles import Laid, TileWork

Work = TypeVar("Work", TileWork, BlendWork)
Outcome = TypeVar("Outcome", Laid, Blended)
Files = dict[str, Path]


@dataclass(frozen=True)
class TileKind(Generic[Work, Outcome]):
    """How a kind is made. All raise TexsynthErrors.

    request: that of an item, with what the kind does without. out: the main file of an item. expected: all files of a
    request, before its inputs are read; files: and then. prepare, execute, write: as of the verb, and of its files.
    size: the (height, width) of the main file. told: what --json says of it beside; planned: what it
    says beside before that is made.
    """

    request: Callable[[Any, Any], Any]
    out: Callable[[Item], Path]
    expected: Callable[[Path, Any], Files]
    files: Callable[[Path, Work], Files]
    prepare: Callable[..., Work]
    execute: Callable[[Work, Report, Say], Outcome]
    write: Callable[[Work, Outcome, Files, Put], list[str]]
    size: Callable[[Work], tuple[int, int]]
    told: Callable[[Work, Outcome], Mapping[str, Any]]
    planned: Callable[[Work], Mapping[str, Any]]


def of(kind: str) -> TileKind[Any, Any]:
    """That of a command, by its last word."""
    return BLEND if kind == tile_checks.BLEND else SETS


def _layers(request: Any, pack: str | None) -> list[str]:
    """The maps of a request by name, of packed ones each."""
    return export.layers_of(request.maps or (), pack)


def _files_of_set(out: Path, work: TileWork) -> Files:
    return tile_files.paths(out, work.request, {n: d for n, d in work.depths.items() if n != tile_files.IMAGE})


def _told_of_set(work: TileWork, laid: Laid) -> Mapping[str, Any]:
    drawn = laid.drawn
    size = "{1}x{0}".format(*drawn.size)
    return {"tiles": len(drawn.tiles.tiles), "size": size, "border": drawn.border, "padding": work.padding}


SETS = TileKind(
    request=lambda asked, _: asked,
    out=lambda item: item.out,
    expected=lambda out, request: tile_files.paths(
        out, request, dict.fromkeys(_layers(request, request.pack), "uint8")
    ),
    files=_files_of_set,
    prepare=tiles.prepare,
    execute=tiles.execute,
    write=tile_files.write,
    size=tile_files.size,
    told=_told_of_set,
    planned=lambda work: {"tiles": len(work.tiles.tiles)},
)


def _roles(request: Any) -> dict[str, str]:
    """The roles of maps by what they are called, as far as files differ by them."""
    meanings = {name: role_of(name) for name in _layers(request, None)}
    return {name: NORMAL if role is not None and role.name == NORMAL else "data" for name, role in meanings.items()}


def _told_of_blend(_: BlendWork, blended: Blended) -> Mapping[str, Any]:
    height, width = blended.ready.grid.size
    suited = blended.suited
    errors = {"error": suited.plain, "error_in_step": suited.in_step}
    return {"size": f"{width}x{height}", "suitability": {"fits": suited.fits, **errors, "sentence": suited.sentence}}


BLEND = TileKind(
    request=lambda asked, given: replace(asked, normals_out=given.normals_out),
    out=lambda item: item.out.with_name(f"{item.stems[0]}_{tile_checks.BLEND}.png"),
    expected=lambda out, request: blend_files.paths(out, _roles(request)),
    files=lambda out, work: blend_files.paths(out, work.roles),
    prepare=tile_blend.prepare,
    execute=tile_blend.execute,
    write=blend_files.write,
    size=lambda work: work.size,
    told=_told_of_blend,
    planned=lambda _: {},
)
