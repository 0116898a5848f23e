"""texsynth barycenter."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from texsynth import preset as presets
from texsynth.cli.options import Common
from texsynth.cli.verb import takes_common
from texsynth.errors import UsageError

if TYPE_CHECKING:
    from texsynth.cli.plan import Item
    from texsynth.job import Job

EXAMPLES = """Examples:

texsynth barycenter samples/grass.png samples/pebbles.png -s 128 -o between.png

texsynth barycenter samples/grass.png samples/pebbles.png --mode mosaic --steps 5 -s 128 -o strip.png

texsynth guide radial -s 256 -o spot.png

texsynth barycenter samples/grass.png samples/pebbles.png --mode mosaic --blend-map spot.png -o clearing.png"""

FILES = {"blend_map": "blend-map"}  # the options that name files, by the role of these in the record
WAYS = ("blend", "blend_map", "steps")  # of which only one can be given
MAP = (
    "Shares at each pixel: for two exemplars one grey map, black for the first and white for the second; for more one "
    "map for each, repeated in order."
)
STEPS = "A strip of N panels of --size each, from the first of two exemplars to the second."
MODE = (
    "transport: every pixel mixes all exemplars, so that their statistics meet; mosaic: every pixel is copied from "
    "one. Default: transport."
)


def _blend(name: str, text: str, metavar: str | None = None, **rest: Any) -> Any:
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel="Blend", show_default=False, **rest)


@takes_common
def barycenter(
    exemplars: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXEMPLAR",
            help="Two or more pictures of textures, of any sizes, or a glob.",
            show_default=False,
        ),
    ] = None,
    *,
    blend: Annotated[str | None, _blend("--blend", "The share of each exemplar. Default: equal.", "W0,W1,...")] = None,
    blend_map: Annotated[list[str] | None, _blend("--blend-map", MAP, "MAP")] = None,
    steps: Annotated[int | None, _blend("--steps", STEPS, "N")] = None,
    mode: Annotated[
        str | None,
        _blend("--mode", MODE, "|".join(presets.BARYCENTER), autocompletion=lambda: list(presets.BARYCENTER)),
    ] = None,
    check: Annotated[bool, _blend("--check", "Measure the result.")] = False,
    common: Common,
) -> int:
    """Make a texture between several, or one that turns from one into another across the picture."""
    from texsynth.cli import command, execute, plan, replay  # bring torch, which --help and completion do without
    from texsynth.verbs import barycenter as verb

    if plan.is_folder(common.output):
        raise UsageError(f"-o {common.output}: a barycenter is one picture of several exemplars, so -o must be a file")
    if folders := [name for name in exemplars or [] if Path(name).is_dir()]:
        raise UsageError(f"{folders[0]} is a folder; name the pictures of one barycenter, or give a glob")
    given = {"blend": blend, "blend_map": blend_map, "steps": steps, "mode": mode}
    own = {n: v for n, v in replay.own("barycenter", given, FILES, common, WAYS).items() if v is not None}
    chosen = own.setdefault("mode", verb.MODE)
    verb.check_mode(chosen)
    stored = replay.recorded("barycenter", common)
    if stored is not None and stored["barycenter"].get("mode") != chosen and not (common.preset or common.method):
        common = replace(common, preset=presets.BARYCENTER[chosen])  # that of the recorded run cannot serve

    def build(item: Item, common: Common) -> Job:
        return verb.build(verb.Request(item.sources, **own, **execute.request(item, common)))

    extras = command.Extras(
        reads=own.get("blend_map", []),
        check=check,
        preset=presets.BARYCENTER[chosen],
        fits=partial(verb.check_preset, chosen),
    )
    return execute.execute("barycenter", exemplars or [], common, build, extras)
