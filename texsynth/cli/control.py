"""texsynth control."""

from __future__ import annotations

from collections.abc import Mapping
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
    from texsynth.task import Preset

EXAMPLES = """Examples:

texsynth guide perlin -o spots.png

texsynth control samples/rust.png --progression samples/rust_progression.png spots.png -o rusty.png

texsynth control samples/grass.png --orientation circle --source-orientation samples/grass_direction.npy -o nest.png

texsynth control samples/gravel.jpg --labels samples/gravel_labels.png samples/gravel_labels.png -s 2x -o path.png

texsynth guide stripes --soft 0 -o beds.png

texsynth control --label-exemplar black=samples/grass.png --label-exemplar white=samples/pebbles.png \
--label-map beds.png -o garden.png"""


def _guide(name: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel="Guides", show_default=False)


PROGRESSION = (
    "How far along its change of appearance each pixel of the exemplar is (a grey or colour map, or `auto` to estimate "
    "it), and how far the output shall be."
)
ORIENTATION = (
    "The direction to follow: angle:DEG (clockwise from the x axis), circle, spiral, s-curve, .npy (2,H,W), or a "
    "picture whose red and green are x and y."
)
REFINE = "Give the target the fine detail and the histogram of the exemplar's map."
BLEND_MAP = "Their shares at each pixel: one map for two, black for the first; for more one map for each."
SHOWS = {"--save-attention": ("pays no attention", "msca"), "--save-warp": ("warps nothing", "cocosnet")}
LABEL = "One label for a whole exemplar, in place of EXEMPLAR; COLOUR is RRGGBB or a name. Repeatable."


@takes_common
def control(
    exemplars: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXEMPLAR",
            help="The picture of the texture; several with one OUT file are remixed, with a folder as OUT each is "
            "done alone. Maps of several: a folder in place of the file, paired by stem.",
            show_default=False,
        ),
    ] = None,
    *,
    progression: Annotated[tuple[str, str] | None, _guide("--progression", PROGRESSION, "SRC TGT")] = None,
    progression_weight: Annotated[float | None, _guide("--progression-weight", "Default: 10.", "X")] = None,
    reverse: Annotated[bool | None, _guide("--reverse", "Exchange the ends of the target.")] = None,
    distance_transform: Annotated[
        bool | None,
        _guide("--distance-transform", "Make a target of the distance to the dark."),
    ] = None,
    refine: Annotated[bool | None, _guide("--refine", REFINE)] = None,
    match_histogram: Annotated[
        bool | None, _guide("--match-histogram", "Give the target the exemplar's distribution.")
    ] = None,
    match_range: Annotated[bool | None, _guide("--match-range", "Stretch the target to the exemplar's range.")] = None,
    orientation: Annotated[str | None, _guide("--orientation", ORIENTATION, "TGT")] = None,
    source_orientation: Annotated[
        str | None, _guide("--source-orientation", "The exemplar's own directions. Default: extracted.", "SRC")
    ] = None,
    orientation_extractor: Annotated[
        str | None, _guide("--orientation-extractor", "How they are extracted. Default: tensor.", "tensor|histogram")
    ] = None,
    orientation_weight: Annotated[float | None, _guide("--orientation-weight", "Default: 5.", "X")] = None,
    labels: Annotated[
        tuple[str, str] | None, _guide("--labels", "What is what, painted in flat colours of your own.", "SRC TGT")
    ] = None,
    label_exemplar: Annotated[list[str] | None, _guide("--label-exemplar", LABEL, "COLOUR=FILE")] = None,
    label_map: Annotated[str | None, _guide("--label-map", "Where the labels of --label-exemplar go.", "TGT")] = None,
    labels_weight: Annotated[float | None, _guide("--labels-weight", "Default: 10.", "X")] = None,
    guide_weight_map: Annotated[
        str | None, _guide("--guide-weight-map", "Where guides hold: white in full, black not at all.", "MAP")
    ] = None,
    blend: Annotated[
        str | None, _guide("--blend", "The share of each of several exemplars, for methods that mix them.", "W0,W1,...")
    ] = None,
    blend_map: Annotated[list[str] | None, _guide("--blend-map", BLEND_MAP, "MAP")] = None,
    save_attention: Annotated[
        Path | None, _guide("--save-attention", "Draw which regions fed which, for msca, into a folder.", "DIR")
    ] = None,
    save_warp: Annotated[
        bool, _guide("--save-warp", "Also write the exemplar as it was warped, for cocosnet: STEM_warp.png.")
    ] = False,
    save_guides: Annotated[
        Path | None, _guide("--save-guides", "Draw what the solver used into a folder.", "DIR")
    ] = None,
    common: Common,
) -> int:
    """Make more of a texture, steered by maps: how far along, in which direction, or which part goes where."""
    from texsynth.cli import command, execute, replay, steering  # bring torch, which --help and completion do without
    from texsynth.verbs import control as verb

    colours, files = _label_exemplars(label_exemplar or [])
    if files and exemplars:
        raise UsageError("--label-exemplar names the exemplars; leave EXEMPLAR out")
    given = steering.Steering(
        progression=_pair(progression, "--progression"),
        progression_weight=progression_weight,
        reverse=reverse,
        distance_transform=distance_transform,
        refine=refine,
        match_histogram=match_histogram,
        match_range=match_range,
        orientation=orientation,
        source_orientation=None if source_orientation is None else [source_orientation],
        orientation_extractor=orientation_extractor,
        orientation_weight=orientation_weight,
        labels=_pair(labels, "--labels"),
        label_colours=colours or None,
        label_map=label_map,
        labels_weight=labels_weight,
        guide_weight_map=guide_weight_map,
        blend=blend,
        blend_map=blend_map,
    )
    known = steering.recalled(given, common)
    if save_attention is not None or save_warp:
        asked = {"--save-attention": save_attention is not None, "--save-warp": save_warp}
        _check_shows(asked, replay.chosen("control", common))

    def build(item: Item, common: Common) -> Job:
        own = known.request(item, common.seed or 0)
        return verb.build(verb.Request(item.sources, **execute.request(item, common), **own))

    extras = command.Extras(known.reads, save_guides, attention=save_attention, warp=save_warp)
    if save_attention is not None:
        common = replace(common, sets=[*(common.sets or []), "attention_maps=on"])
    return execute.execute("control", files or exemplars or [], common, build, extras)


def _check_shows(asked: Mapping[str, bool], preset: Preset) -> None:
    """Raise UsageError for a preset that has nothing of the kind to show."""
    for flag, is_asked in asked.items():
        name, method = SHOWS[flag]
        if is_asked and not any(stage.method == method for stage in preset.stages):
            raise UsageError(f"{flag}: preset {preset.name} {name}; --method {method} does")


def _pair(files: tuple[str, str] | None, flag: str) -> tuple[list[str], str] | None:
    """The source and the target; the parser takes the next option for a file that was forgotten, UsageError."""
    for file in files or ():
        if file.startswith("-"):
            raise UsageError(f"{flag} takes two files, SRC and TGT, and got {file!r}; write ./{file} if it is one")
    return None if files is None else ([files[0]], files[1])


def _label_exemplars(texts: list[str]) -> tuple[list[str], list[str]]:
    """ "green=grass.png" -> its colour and its file, for each."""
    colours, files = [], []
    for text in texts:
        colour, equals, file = text.partition("=")
        if not (colour and equals and file):
            raise UsageError(f"--label-exemplar {text!r} is not COLOUR=FILE, for example green=grass.png")
        colours.append(colour)
        files.append(file)
    return colours, files
