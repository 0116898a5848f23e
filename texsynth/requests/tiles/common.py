"""The options that all commands share which make tiles for engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from texsynth.requests.option import Source, Text, argument, option
from texsynth.requests.shared import (
    CopyOptions,
    CropOptions,
    FileOptions,
    ForceOptions,
    MachineOptions,
    MapOptions,
    MessageOptions,
    MethodOptions,
    SeedOptions,
    SetOptions,
    SettingOptions,
    TexelOptions,
    WeightsOptions,
    map_option,
)

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class TileOptions(
    CropOptions,
    MapOptions,
    TexelOptions,
    SetOptions,
    ForceOptions,
    SeedOptions,
    CopyOptions,
    MethodOptions,
    SettingOptions,
    WeightsOptions,
    MachineOptions,
    MessageOptions,
):
    """What every command that makes tiles takes.

    exemplars: The picture of the texture, or the folder of its set.
    output: The folder in which everything is written. Default: STEM_tiles here.
    size: The size of one tile: pixels, N for a square, or a factor of the exemplar's shorter side. Default: 256.
    maps: An aligned map that goes along, with files of its own; tiles keep its values exactly, at its own resolution
        where that is a whole factor of the exemplar's. Repeat for more maps, and once for each exemplar.
    source_mask: Copy only from what this mask marks: white (at least 50 %), or strokes of any colour; repeat it once
        for each exemplar.
    no_metadata: Store no record of the run.
    """

    PANEL = "Tiles"
    SECTION = "tiles"

    exemplars: list[Source] = argument(metavar="EXEMPLAR", required=True, role="exemplar")
    output: str | None = option(None, flags="-o --output", metavar="DIR", panel="Output")
    size: Text | None = option(None, flags="-s --size", metavar="N|WxH|2x", recorded=True)
    maps: Mapping[str, list[Source]] | None = map_option(panel="Input", per="exemplar")
    source_mask: list[Source] | None = option(None, metavar="MASK", role="source-mask", per="exemplar", panel="Input")
    no_metadata: bool = option(False, panel="Output")

    def inputs(self) -> list[Source]:
        """The exemplars, as they were given."""
        return list(self.exemplars)

    def of(self, exemplars: Sequence[Source]) -> Self:
        """The request with these exemplars."""
        return replace(self, exemplars=list(exemplars))

    def partners(self, name: str, exemplars: Sequence[Source]) -> Sequence[Source]:
        """The pictures whose files an option called `name` holds, one for each."""
        del name
        return exemplars


@dataclass(frozen=True, kw_only=True)
class AtlasOptions(TileOptions, FileOptions):
    """What the commands take whose tiles lie in an atlas.

    padding: The pixels round each tile of the atlas, which continue it, so that mips and filters see no other tile; up
        to the width of the border that tiles have in common. Default: what most levels of mips are good for.
    """

    padding: int | None = option(None, metavar="N", low=0, recorded=True)
