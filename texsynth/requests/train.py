"""What `texsynth train` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from texsynth import preset as presets
from texsynth import registry
from texsynth.requests.option import Source, argument, option
from texsynth.requests.shared import (
    CropOptions,
    ForceOptions,
    MachineOptions,
    MessageOptions,
    SeedOptions,
    SettingOptions,
    WeightsOptions,
)

EXAMPLES = """
texsynth train texture-net samples/pebbles.png -o pebbles.safetensors
texsynth train texture-net samples/pebbles.png -o pebbles.safetensors --resume --steps 6000
texsynth train pseudo-optimizer photos/ -o photos.safetensors --weights vgg19.safetensors
texsynth synthesize samples/pebbles.png --model pebbles.safetensors -s 2048 -o beach.png
"""

RECIPES = tuple(name.replace("_", "-") for name in registry.RECIPES.names())
MAPS = "For recipes that take them: once for each exemplar, or a folder, paired by stem."


def preset_names(incomplete: str) -> list[str]:
    """The presets of recipes that begin so, for completion in the shell."""
    return [name for name in presets.trained() if name.startswith(incomplete)]


@dataclass(frozen=True, kw_only=True)
class Request(CropOptions, WeightsOptions, SettingOptions, SeedOptions, ForceOptions, MachineOptions, MessageOptions):
    """Train a network on exemplars, for synthesis in one pass: use it with `--model`.

    exemplars: The pictures that one network learns from, folders or globs.
    output: The model to write, NAME.safetensors; its course, samples and checkpoint go to NAME_training/. Default:
        STEM_RECIPE.safetensors here.
    preset: A preset of the recipe (see `texsynth presets list`) or a YAML file of your own. Default: RECIPE.
    steps: The number of updates of the network. Default: the preset's.
    resume: Go on from the last checkpoint, as if the training had never stopped.
    """

    PANEL = "Training"

    recipe: str = argument(
        help=f"The kind of network: {', '.join(RECIPES)}.", metavar="RECIPE", required=True, complete=RECIPES
    )
    exemplars: list[Source] = argument(metavar="EXEMPLAR", required=True)
    output: str | None = option(None, flags="-o --output", metavar="MODEL")
    preset: str | None = option(None, flags="-p --preset", metavar="NAME|FILE.yaml", complete=preset_names)
    steps: int | None = option(None, metavar="N", low=1)
    labels: list[Source] | None = option(
        None, help=f"Maps of the label of each pixel. {MAPS}", metavar="MAP", role="labels", per="exemplar"
    )
    progression: list[Source] | None = option(
        None,
        help=f"Maps of how far along its change of appearance each pixel is, or auto. {MAPS}",
        metavar="MAP|auto",
        role="progression",
        per="exemplar",
    )
    orientation: list[Source] | None = option(
        None,
        help=f"Maps of the direction at each pixel, or auto. {MAPS}",
        metavar="MAP|auto",
        role="orientation",
        per="exemplar",
    )
    resume: bool = option(False, group="existing")

    @property
    def model_path(self) -> Path:
        """The model to write."""
        first = self.exemplars[0]
        stem = Path(first).stem if isinstance(first, (str, Path)) else "array"
        return Path(self.output or f"{stem}_{self.recipe}.safetensors")
