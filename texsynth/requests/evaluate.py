"""What `texsynth evaluate` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from texsynth import registry
from texsynth.requests.guides import LabelMaps, OrientationMaps, ProgressionMaps
from texsynth.requests.option import Source, argument, option
from texsynth.requests.shared import ForceOptions, MemoryOptions, MessageOptions, SeedOptions, WeightsOptions

EXAMPLES = """
texsynth evaluate samples/brick.png wall-1.png wall-2.png --report wall.html
texsynth evaluate photos/ results/ --csv scores.csv
texsynth evaluate samples/rust.png rusty.png --progression samples/rust_progression.png spots.png
texsynth evaluate samples/brick.png wall.png --metric all --weights vgg19.safetensors --json
"""

ALL = "all"  # in place of a metric's name
METRICS = registry.METRICS.names()


@dataclass(frozen=True, kw_only=True)
class Request(WeightsOptions, ForceOptions, SeedOptions, MemoryOptions, MessageOptions):
    """Score outputs against the exemplar that they were made from, by the metrics of the field.

    exemplar: The picture that outputs were made from; or a folder, to whose pictures outputs belong by their names:
        brick.png and brick-2.png to brick.jpg.
    outputs: The pictures to score, folders or globs. Those of one folder count as variations of each other. The JSON of
        a set of tiles or of a blend stands for a plane drawn with it, and a folder of `texsynth tiles` for its JSON.
    tile: The directions in which outputs repeat without a seam. Default: as the record of their run says, else none.
    csv: Write the table of scores to this file.
    report: Write a page with pictures and scores to this file.
    details: Add the parts of scores, by layer, crop and so on, to --json and --report.
    """

    PANEL = "Input"

    exemplar: Source = argument(metavar="EXEMPLAR", required=True)
    outputs: list[Source] = argument(metavar="OUTPUT", required=True)
    metrics: list[str] | None = option(
        None,
        help=f"A metric, or all for those whose weights are here; repeatable: {', '.join(METRICS)}. Default: all that "
        "need no weights. Weights are fetched only for a metric that is named.",
        flags="--metric",
        metavar="NAME",
        complete=(*METRICS, ALL),
    )
    tile: str | None = option(None, metavar="none|x|y|xy")
    progression: ProgressionMaps = field(default_factory=ProgressionMaps)
    orientation: OrientationMaps = field(default_factory=OrientationMaps)
    labels: LabelMaps = field(default_factory=LabelMaps)
    csv: Path | None = option(None, metavar="FILE.csv", panel="Output")
    report: Path | None = option(None, metavar="FILE.html", panel="Output")
    details: bool = option(False, panel="Output")
