"""texsynth synthesize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from texsynth.cli.options import Common
from texsynth.cli.verb import takes_common

if TYPE_CHECKING:
    from texsynth.cli.plan import Item
    from texsynth.job import Job

EXAMPLES = """Examples:

texsynth synthesize samples/brick.png -o wall.png

texsynth synthesize samples/brick.png -o tile.png --size 512 --tile xy --map height=samples/brick_height.png

texsynth synthesize photos/ -o bigger/ --quality draft --keep-going"""


@takes_common
def synthesize(
    exemplars: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXEMPLAR",
            help="Pictures of the texture, folders or globs. Several with one OUT file are remixed; with a "
            "folder as OUT each is done alone.",
            show_default=False,
        ),
    ] = None,
    *,
    common: Common,
) -> int:
    """Make more of a texture: a larger picture of the same material, tileable if asked."""
    from texsynth.cli import execute  # brings torch, which --help and completion do without
    from texsynth.verbs import synthesize as verb

    def build(item: Item, common: Common) -> Job:
        return verb.build(verb.Request(item.sources, **execute.request(item, common)))

    return execute.execute("synthesize", exemplars or [], common, build)
