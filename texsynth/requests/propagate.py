"""What `texsynth propagate` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Source, argument, option
from texsynth.requests.shared import (
    BatchOptions,
    MachineOptions,
    MessageOptions,
    ModelOptions,
    PathOptions,
    SeedOptions,
    WeightsOptions,
)

EXAMPLES = """
texsynth synthesize samples/rust.png -o panel.png
texsynth propagate samples/rust.png samples/rust_progression.png panel.png --blend screen --strength 0.5 -o dusty.png
texsynth propagate samples/rust.png samples/rust_progression.png samples/rust.png panel.png --blend multiply -o out/
"""

MODEL = "model"  # what pixels are compared by where a model is given


@dataclass(frozen=True, kw_only=True)
class Request(ModelOptions, WeightsOptions, PathOptions, BatchOptions, SeedOptions, MachineOptions, MessageOptions):
    """Carry an edit that was painted over one picture to others of its texture.

    Where targets are no copies of the source, a network of `texsynth train cocosnet` (--model) sees more than windows.

    source: The picture that was painted over.
    layer: The edit alone, aligned with the source: with alpha, or on white for multiply and on black for screen.
    targets: Pictures of the same texture at the same scale, files, folders or globs; with several, OUT is a folder.
    blend: How the layer lies on the target. Default: normal.
    strength: The strength of the layer, from 0 to 1. Default: 1.
    features: What pixels are compared by: windows of colours, or maps of a network. Default: windows, or --model.
    labels: Maps of what is what, for --model: one for SOURCE and one for each TARGET, in order, or a folder, paired by
        stem. Default: unknown.
    coherence: How strongly the layer holds together: more keeps larger pieces, less follows the target's details.
        Default: 1.
    light: Whether targets are compared in the source's brightness and contrast: never (keep), always (match), or where
        that brings them much closer (auto). Default: auto.
    save_layer: Also write the warped layer alone, STEM_layer.png.
    save_warp: Also write the source in the target's layout, STEM_warp.png, which shows what corresponds.
    """

    PANEL = "Propagation"
    SECTION = "propagate"

    source: Source = argument(metavar="SOURCE", required=True, role="source")
    layer: Source = argument(metavar="LAYER", required=True, role="layer")
    targets: list[Source] = argument(metavar="TARGET", required=True)
    blend: str = option(
        "normal", metavar="normal|multiply|screen", complete=("normal", "multiply", "screen"), recorded=True
    )
    strength: float = option(1.0, metavar="X", recorded=True)
    features: str | None = option(None, metavar="windows|vgg19", complete=("windows", "vgg19"))
    labels: list[Source] | None = option(None, metavar="MAP", role="labels")
    coherence: float = option(1.0, metavar="X", recorded=True)
    light: str = option("auto", metavar="auto|keep|match", complete=("auto", "keep", "match"), recorded=True)
    save_layer: bool = option(False)
    save_warp: bool = option(False)

    @property
    def compares(self) -> str:
        """What pixels are compared by, in one word."""
        return self.features or ("windows" if self.model is None else MODEL)
