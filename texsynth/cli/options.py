"""The options that every verb shares, each written once; `verb.takes_common` gives them to a verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from texsynth import preset as presets
from texsynth.errors import UsageError

INPUT, OUTPUT, TEXTURE, PRESET, MACHINE, MESSAGES = (
    "Input",
    "Output",
    "Texture",
    "Preset",
    "Machine",
    "Messages",
)
PROGRESS = ("auto", "none", "jsonl")


def _option(panel: str, names: str, text: str, metavar: str | None = None, **rest: Any) -> Any:
    """An option by its names, separated by spaces; a default other than "off" is said in its help text."""
    names_ = names.split()
    return typer.Option(*names_, help=text, metavar=metavar, rich_help_panel=panel, show_default=False, **rest)


def _among(*words: str) -> Callable[[str], list[str]]:
    """Shell completion from a fixed list."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def preset_names(incomplete: str) -> list[str]:
    """Shell completion from the presets that are there."""
    return [name for name in presets.names() if name.startswith(incomplete)]


MAP = (
    "An aligned map that follows the copy bit-exactly, written as STEM_NAME; repeat for more maps, and once "
    "for each exemplar. FILE may be a folder, paired by stem."
)
MASK = "White (at least 50 %) may be copied from; once for each exemplar, or a folder, paired by stem."
REPEAT = (
    "Repeat the run stored in OUT.png; flags given beside it override. Inputs are found by name beside it or "
    "in the working folder."
)


@dataclass(frozen=True)
class Common:
    """What the shared options were set to. None means not given, so that --from can fill it in."""

    maps: Annotated[list[str] | None, _option(INPUT, "--map", MAP, "NAME=FILE")] = None
    source_mask: Annotated[list[str] | None, _option(INPUT, "--source-mask", MASK, "MASK")] = None
    crop: Annotated[
        str | None, _option(INPUT, "--crop", "Use only this part of the exemplar and its maps.", "X,Y,W,H")
    ] = None
    flatten: Annotated[
        bool | None,
        _option(INPUT, "--flatten/--no-flatten", "Even out slow changes of light in the exemplar first."),
    ] = None
    init: Annotated[
        str | None,
        _option(INPUT, "--init", "A picture to start from, stretched to the output's size.", "FILE"),
    ] = None
    repeat: Annotated[Path | None, _option(INPUT, "--from", REPEAT, "OUT.png")] = None

    output: Annotated[
        str | None,
        _option(OUTPUT, "-o --output", "The picture to write, or a folder. Default: STEM_VERB.png here.", "OUT"),
    ] = None
    variations: Annotated[
        int,
        _option(OUTPUT, "-n --variations", "Make N, with seeds from --seed on: STEM-1, ...", "N", min=1),
    ] = 1
    pick: Annotated[
        str | None,
        _option(OUTPUT, "--pick", "Write the best variation only, as OUT.", "best", autocompletion=_among("best")),
    ] = None
    save_field: Annotated[
        bool,
        _option(OUTPUT, "--save-field", "Write where each pixel was copied from: STEM_field.npz, pictures."),
    ] = False
    report: Annotated[Path | None, _option(OUTPUT, "--report", "Write a page about the run.", "FILE.html")] = None
    no_metadata: Annotated[bool, _option(OUTPUT, "--no-metadata", "Store no record of the run.")] = False
    force: Annotated[bool, _option(OUTPUT, "--force", "Overwrite what exists.")] = False
    skip_existing: Annotated[bool, _option(OUTPUT, "--skip-existing", "Keep what exists.")] = False
    update: Annotated[
        bool, _option(OUTPUT, "--update", "Redo what exists only if its inputs or parameters changed.")
    ] = False
    keep_going: Annotated[
        bool, _option(OUTPUT, "--keep-going", "In a batch, go on after a failure (exit code 6 at the end).")
    ] = False

    size: Annotated[
        str | None,
        _option(TEXTURE, "-s --size", "Pixels, N for a square, or a factor. Default: the verb's own.", "WxH|N|2x"),
    ] = None
    tile: Annotated[
        str | None,
        _option(
            TEXTURE,
            "--tile",
            "Where the output repeats without a seam. Default: none.",
            "none|x|y|xy",
            autocompletion=_among("none", "x", "y", "xy"),
        ),
    ] = None
    seed: Annotated[int | None, _option(TEXTURE, "--seed", "Same seed, same picture. Default: 0.", "N", min=0)] = None

    method: Annotated[
        str | None,
        _option(
            PRESET,
            "-m --method",
            f"The method, by the preset of its name. Default: {presets.DEFAULT}, of barycenter its own.",
            "NAME",
            autocompletion=preset_names,
        ),
    ] = None
    preset: Annotated[
        str | None,
        _option(
            PRESET,
            "-p --preset",
            "A preset (see `texsynth presets list`) or a file of your own.",
            "NAME|FILE.yaml",
            autocompletion=preset_names,
        ),
    ] = None
    quality: Annotated[
        str | None,
        _option(
            PRESET,
            "--quality",
            "The preset's variant of that quality.",
            "|".join(presets.QUALITIES),
            autocompletion=_among(*presets.QUALITIES),
        ),
    ] = None
    sets: Annotated[
        list[str] | None,
        _option(PRESET, "--set", "Change a setting (see `texsynth presets show NAME`); repeatable.", "KEY=VALUE"),
    ] = None
    model: Annotated[
        Path | None, _option(PRESET, "--model", "A trained network, for methods that use one.", "FILE")
    ] = None
    weights: Annotated[
        Path | None, _option(PRESET, "--weights", "Pretrained weights, for methods that use them.", "FILE")
    ] = None

    device: Annotated[
        str,
        _option(
            MACHINE,
            "--device",
            "Where to compute. Default: auto, the fastest there is.",
            "auto|cpu|cuda[:i]|mps",
            autocompletion=_among("auto", "cpu", "cuda", "mps"),
        ),
    ] = "auto"
    threads: Annotated[
        int | None, _option(MACHINE, "--threads", "CPU threads. Default: torch's choice.", "N", min=1)
    ] = None
    max_memory: Annotated[
        str, _option(MACHINE, "--max-memory", "Refuse to start what needs more. Default: 6G.", "6G")
    ] = "6G"
    dry_run: Annotated[
        bool, _option(MACHINE, "--dry-run", "Say what would be done, its memory and time; write nothing.")
    ] = False

    json: Annotated[bool, _option(MESSAGES, "--json", "One JSON object on stdout instead of paths.")] = False
    progress: Annotated[
        str,
        _option(
            MESSAGES,
            "--progress",
            "How progress is shown on stderr. Default: auto.",
            "|".join(PROGRESS),
            autocompletion=_among(*PROGRESS),
        ),
    ] = "auto"
    quiet: Annotated[bool, _option(MESSAGES, "-q --quiet", "Errors only.")] = False
    verbose: Annotated[bool, _option(MESSAGES, "-v --verbose", "Say what was found and chosen.")] = False
    debug: Annotated[bool, _option(MESSAGES, "--debug", "Show a traceback with an error.")] = False

    def __post_init__(self) -> None:
        """Refuse, before anything is read, what contradicts itself."""
        for names in (("force", "skip_existing", "update"), ("quiet", "verbose")):
            given = [f"--{name.replace('_', '-')}" for name in names if getattr(self, name)]
            if len(given) > 1:
                raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
        if self.pick not in (None, "best"):
            raise UsageError(f"--pick {self.pick!r} is not known; there is --pick best")
        if self.progress not in PROGRESS:
            raise UsageError(f"--progress {self.progress!r} is not one of {', '.join(PROGRESS)}")
        if self.seed is not None and self.seed + self.variations > 2**63:
            raise UsageError(f"--seed {self.seed} is too large; seeds go up to 2^63 - 1")
