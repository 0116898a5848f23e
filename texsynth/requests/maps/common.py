"""The options that all commands share which make one map out of another."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Source, argument, option
from texsynth.requests.shared import TILES, BatchOptions, MachineOptions, MessageOptions, PathOptions

DEPTHS = {"8": "uint8", "16": "uint16", "float": "float32"}  # of the samples of a map, by the words of --depth


@dataclass(frozen=True, kw_only=True)
class ConversionOptions(PathOptions, BatchOptions, MachineOptions, MessageOptions):
    """What every command that makes one map out of another takes.

    sources: Maps to convert, files, folders or globs; with several, OUT is a folder.
    tile: The directions in which the map repeats without a seam, and the result with it. Default: what the record of
        the file says, else none.
    depth: The bits of a sample, or float, which TIFF and EXR hold. Default: 16.
    """

    PANEL = "Map"
    SECTION = "maps"

    sources: list[Source] = argument(metavar="MAP", required=True)
    tile: str | None = option(None, choices=TILES, recorded=True)
    depth: str = option("16", choices=tuple(DEPTHS), recorded=True)
