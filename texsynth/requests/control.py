"""What `texsynth control` may be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from texsynth.errors import UsageError
from texsynth.requests.guides import GuidePart, Labels, Orientation, Progression
from texsynth.requests.option import Numbers, Source, argument, is_given, option
from texsynth.requests.shared import PictureOptions

EXAMPLES = """
texsynth guide perlin -o spots.png
texsynth control samples/rust.png --progression samples/rust_progression.png spots.png -o rusty.png
texsynth control samples/grass.png --orientation circle --source-orientation samples/grass_direction.npy -o nest.png
texsynth control samples/gravel.jpg --labels samples/gravel_labels.png samples/gravel_labels.png -s 2x -o path.png
texsynth guide stripes --soft 0 -o beds.png
texsynth control --label-exemplar black=samples/grass.png --label-exemplar white=samples/pebbles.png \
--label-map beds.png -o garden.png
"""


@dataclass(frozen=True, kw_only=True)
class Request(PictureOptions):
    """Make more of a texture, steered by maps: how far along, in which direction, or which part goes where.

    exemplars: The picture of the texture. Several with one OUT file are remixed; with a folder as OUT each is done
        alone, and its maps may be folders, paired by stem.
    guide_weight_map: How strongly guides hold at each pixel: in full where this map is white, not at all where it is
        black.
    blend: The share of each of several exemplars, for methods that mix them.
    blend_map: The share of each exemplar at each pixel: one map for two, black for the first; for more one map for
        each.
    save_attention: Draw into this folder which regions of the exemplar fed which of the output, for networks of msca.
    save_warp: Also write the exemplar as it was warped, STEM_warp.png, for networks of cocosnet.
    save_guides: Draw the maps of the guides into this folder, as the solver used them.
    """

    PANEL = "Guides"
    SECTION = "guides"

    exemplars: list[Source] | None = argument(metavar="EXEMPLAR")
    progression: Progression = field(default_factory=Progression)
    orientation: Orientation = field(default_factory=Orientation)
    labels: Labels = field(default_factory=Labels)
    guide_weight_map: Source | None = option(None, metavar="MAP", role="guide-weight-map", per="run")
    blend: Numbers | None = option(None, metavar="W0,W1,...", recorded=True, stored=list, group="shares")
    blend_map: list[Source] | None = option(None, metavar="MAP", role="blend-map", group="shares")
    save_attention: Path | None = option(None, metavar="DIR")
    save_warp: bool = option(False)
    save_guides: Path | None = option(None, metavar="DIR")

    @property
    def guides(self) -> tuple[GuidePart, ...]:
        """The guides of all kinds, asked for or not."""
        return (self.progression, self.orientation, self.labels)

    def inputs(self) -> list[Source]:
        """The exemplars; those that labels name where EXEMPLAR is left out. Raises UsageError for both."""
        named = [file for _, file in self.labels.exemplars or ()]
        if named and is_given(self.exemplars):
            raise UsageError("--label-exemplar names the exemplars; leave EXEMPLAR out")
        return named or list(self.exemplars or ())

    def of(self, exemplars: Sequence[Source]) -> Request:
        """The request for one run: its exemplars are named no longer by their labels."""
        labels = replace(self.labels, exemplars=None, label_colours=self.labels.colours or None)
        return replace(self, exemplars=list(exemplars), labels=labels)
