"""texsynth inpaint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from texsynth.cli.options import Common
from texsynth.cli.verb import takes_common
from texsynth.errors import UsageError

if TYPE_CHECKING:
    from texsynth.cli.plan import Item
    from texsynth.job import Job

EXAMPLES = """Examples:

texsynth guide radial --hard -o spot.png

texsynth inpaint samples/brick.png --mask spot.png -o mended.png

texsynth inpaint samples/gravel.jpg --make-tileable xy --preview -o tile.png

texsynth inpaint samples/brick.png --extend 0,0,128,0 -o wider.png"""

# The options that name files, by the role of these in the record.
FILES = {"mask": "mask", "others": "source"}


def _hole(names: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(*names.split(), help=text, metavar=metavar, rich_help_panel="Hole", show_default=False)


@takes_common
def inpaint(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="The picture to repair; with a folder as OUT several, each alone. Without --mask, what is not "
            "opaque is filled.",
            show_default=False,
        ),
    ] = None,
    *,
    mask: Annotated[
        str | None, _hole("--mask", "White (at least 50 %) is filled; or a folder, paired by stem.", "MASK")
    ] = None,
    mask_invert: Annotated[bool | None, _hole("--mask-invert", "Black is filled, in place of white.")] = None,
    make_tileable: Annotated[
        str | None, _hole("--make-tileable", "Fill a band along the borders so that the picture repeats.", "x|y|xy")
    ] = None,
    band: Annotated[
        int | None, _hole("--band", "Its width across each seam. Default: about a sixth of the shorter side.", "N")
    ] = None,
    extend: Annotated[
        str | None, _hole("--extend", "Add so many pixels at the left, top, right and bottom.", "L,T,R,B")
    ] = None,
    exemplar: Annotated[
        list[str] | None,
        _hole("--exemplar", "Copy from this picture in place of IMAGE, which maps also need; repeatable.", "OTHER"),
    ] = None,
    grow: Annotated[
        int | None, _hole("--grow", "Fill so many pixels round mask or transparent parts too. Default: 0.", "N")
    ] = None,
    exact_copies: Annotated[
        bool | None, _hole("--exact-copies", "Copy colours exactly; do not follow the light around the hole.")
    ] = None,
    check: Annotated[bool, _hole("--check", "Measure the seams, and that all else is unchanged.")] = False,
    preview: Annotated[bool, _hole("--preview", "Also write STEM_preview.png, the tileable result 2x2.")] = False,
    common: Common,
) -> int:
    """Repair a picture: fill holes, grow it, or make it tileable. All other pixels stay exactly as they are."""
    from texsynth.cli import command, execute, plan, replay  # bring torch, which --help and completion do without
    from texsynth.verbs import inpaint as verb

    given = {
        "mask": None if mask is None else [mask],
        "mask_invert": mask_invert,
        "others": exemplar,
        "make_tileable": make_tileable,
        "band": band,
        "extend": extend,
        "grow": grow,
        "exact_copies": exact_copies,
    }
    own = replay.own("inpaint", given, FILES, common)
    masks, others = own.pop("mask") or [], own.pop("others") or []
    if preview and own["make_tileable"] is None:
        raise UsageError("--preview shows the seams of --make-tileable; give that too, or leave --preview out")
    plain = {name: value for name, value in own.items() if value is not None}

    def build(item: Item, common: Common) -> Job:
        sources = tuple(map(Path, others))
        shared = execute.request(replace(item, sources=(*item.sources, *sources)), common)
        shared["source_mask"] = plan.paired(common.source_mask or [], sources or item.sources, "--source-mask")
        fill = next(iter(plan.paired(masks, item.sources, "--mask")), None)
        return verb.build(verb.Request(item.sources, mask=fill, others=sources, **plain, **shared))

    extras = command.Extras([*masks, *others], check=check, preview=preview)
    return execute.execute("inpaint", pictures or [], common, build, extras)
