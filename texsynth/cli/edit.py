"""texsynth edit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from texsynth.cli.options import Common
from texsynth.cli.verb import takes_common
from texsynth.weights import imagenet

if TYPE_CHECKING:
    from texsynth.cli.plan import Item
    from texsynth.job import Job

EXAMPLES = """Examples:

texsynth guide radial --hard -s 128 -o was.png

texsynth guide stripes --soft 0 -s 128 -o will.png

texsynth edit samples/gravel.jpg --mask was.png --target-mask will.png -o moved.png

texsynth edit samples/brick.png --retarget 192x128 -o wide.png

texsynth edit samples/pebbles.png --reshuffle --seed 3 -o other.png

texsynth edit samples/gravel.jpg --remove was.png --grow 2 -o without.png"""

# The options that name files, by the role of these in the record.
FILES = {"mask": "mask", "target_mask": "target-mask", "remove": "remove"}
MASK = (
    "Where the object is: white (at least 50 %), or in a mask of more colours every colour but black "
    "(without black: but the commonest). Or a folder, "
    "paired by stem."
)
WARP = "How the object is first fitted into its new shape. Default: affine."
KEEP = "Leave everything but the objects that change, and a margin round them, exactly as it is."
MARGIN = "That margin, in pixels. Default: a sixteenth of the shorter side."
COPIES = "Copy from mirrored or turned copies too. Default: none."
CLASS = "What the object is, for presets with a classifier: an ImageNet class by name or number. Default: what it sees."


def _option(panel: str, name: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel=panel, show_default=False)


def _way(name: str, text: str, metavar: str | None = None) -> Any:
    return _option("Edit (one of mask, retarget, reshuffle, remove)", name, text, metavar)


def _how(name: str, text: str, metavar: str | None = None) -> Any:
    return _option("How", name, text, metavar)


@takes_common
def edit(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="The picture to edit; with a folder as OUT several, each alone.",
            show_default=False,
        ),
    ] = None,
    *,
    mask: Annotated[str | None, _way("--mask", MASK, "SRC")] = None,
    target_mask: Annotated[str | None, _way("--target-mask", "Where it shall be, in the same colours.", "TGT")] = None,
    retarget: Annotated[
        str | None, _way("--retarget", "A new size by more or less of what is there.", "WxH|N|2x")
    ] = None,
    reshuffle: Annotated[bool | None, _way("--reshuffle", "Another arrangement of the same, for each seed.")] = None,
    remove: Annotated[
        str | None, _way("--remove", "What is white goes, and its surroundings close up.", "MASK")
    ] = None,
    warp: Annotated[str | None, _how("--warp", WARP, "affine|similarity|thin-plate")] = None,
    labels_weight: Annotated[float | None, _how("--labels-weight", "Weight of the masks. Default: 10.", "X")] = None,
    keep_background: Annotated[bool | None, _how("--keep-background", KEEP)] = None,
    margin: Annotated[int | None, _how("--margin", MARGIN, "N")] = None,
    grow: Annotated[int | None, _how("--grow", "Remove so many pixels round the mask too. Default: 0.", "N")] = None,
    copies: Annotated[str | None, _how("--copies", COPIES, "none|flips|rotations|all")] = None,
    class_: Annotated[str | None, _how("--class", CLASS, "NAME|ID")] = None,
    exact_copies: Annotated[
        bool | None, _how("--exact-copies", "Copy colours exactly; do not follow the light around what is made.")
    ] = None,
    check: Annotated[bool, _how("--check", "Measure the result.")] = False,
    common: Common,
) -> int:
    """Change the layout of one picture: move, reshape, repeat or remove its objects, or give it another size."""
    from texsynth.cli import command, execute, plan, replay  # bring torch, which --help and completion do without
    from texsynth.verbs import edit as verb

    given = {
        "mask": None if mask is None else [mask],
        "target_mask": None if target_mask is None else [target_mask],
        "warp": warp,
        "labels_weight": labels_weight,
        "keep_background": keep_background,
        "margin": margin,
        "retarget": retarget,
        "reshuffle": reshuffle,
        "remove": None if remove is None else [remove],
        "grow": grow,
        "exact_copies": exact_copies,
    }
    way = verb.way(given)
    belong = [name for name in given if way is None or name in verb.WAYS[way]]  # another way has options of its own
    own = {**given, **replay.own("edit", {name: given[name] for name in belong}, FILES, common)}
    plain = {name: value for name, value in own.items() if value is not None and name not in FILES}
    files = {name: own[name] for name in FILES if own[name]}
    common = _preset(common, copies, class_)

    def build(item: Item, common: Common) -> Job:
        masks: dict[str, Any] = {
            name: plan.paired(each, item.sources, f"--{name.replace('_', '-')}")[0] for name, each in files.items()
        }
        return verb.build(verb.Request(item.sources, **masks, **plain, **execute.request(item, common)))

    extras = command.Extras([file for each in files.values() for file in each], check=check)
    return execute.execute("edit", pictures or [], common, build, extras)


def _preset(common: Common, copies: str | None, class_: str | None) -> Common:
    """The options with those settings of the preset that have a flag of their own."""
    from texsynth.cli import replay
    from texsynth.verbs import edit as verb

    sets = list(common.sets or [])
    if copies is not None:
        sets.append(f"copies={copies}")
    if class_ is not None:
        number = imagenet.number(class_)
        verb.check_class(replay.chosen("edit", common))
        sets.append(f"classification.target={number}")
    return replace(common, sets=sets or None)
