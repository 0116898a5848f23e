"""The options that several verbs share, in small groups; a verb's request inherits those that it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from texsynth import preset as presets
from texsynth import settings
from texsynth.errors import UsageError, shown
from texsynth.material import schemes
from texsynth.material.roles import CONVENTIONS, GL
from texsynth.requests.option import Numbers, Part, Source, Text, option

if TYPE_CHECKING:
    from typing_extensions import Self

FORMATS = ("PNG", "TIFF", "JPEG", "WEBP", "TGA", "HDR", "EXR")  # that are written
PROGRESS = ("auto", "none", "jsonl")
TILES = ("none", "x", "y", "xy")
KEEP = "keep"
AUTO, NONE = FIND = ("auto", "none")
ALPHA = ("auto", KEEP)
COLOURS_ALONE = {"all": 0.0}  # what counts beside colours where a record says nothing of weights
MOST_VARIATIONS, MOST_THREADS, LONGEST_MAP_NAME = 100_000, 1024, 64


def format_word(text: str) -> str:
    """The name of a format as it is in FORMATS, whatever its case; usual short forms are understood."""
    word = text.upper()
    return {"JPG": "JPEG", "TIF": "TIFF"}.get(word, word)


def is_map_name(name: str) -> bool:
    """Can a map be called that? Its file is, with the picture's name before it."""
    return len(name) <= LONGEST_MAP_NAME and name.replace("-", "").replace("_", "").isalnum()


def named_files(texts: list[str]) -> dict[str, list[str]]:
    """ "height=a.png" -> {"height": ["a.png"]}, in order; raises UsageError."""
    out: dict[str, list[str]] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (equals and file and is_map_name(name)):
            raise UsageError(f"--map {shown(text)} is not NAME=FILE, for example normal=brick_normal.png")
        out.setdefault(name, []).append(file)
    return out


def weights_by_name(texts: list[str]) -> dict[str, float]:
    """ "height=0.3" -> {"height": 0.3}; raises UsageError."""
    out: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            out[name] = float(number) if is_map_name(name) else math.nan
        except ValueError:
            out[name] = math.nan
        if not 0 <= out[name] < math.inf:
            raise UsageError(f"--map-weight {shown(text)} is not NAME=W with a number from 0 up, such as height=0.3")
    return out


def map_texts(maps: Mapping[str, Sequence[Any]]) -> list[list[str]]:
    """What `named_files` reads."""
    return [[f"{name}={file}"] for name, files in maps.items() for file in files]


def map_option(**details: Any) -> Any:
    """The field of --map; `details` are further attributes of Option."""
    text: Any = list[str] | None
    return option(
        None, flags="--map", metavar="NAME=FILE", text=text, parse=named_files, texts=map_texts, role="map:", **details
    )


def preset_names(incomplete: str) -> list[str]:
    """The presets that begin so, for completion in the shell."""
    return [name for name in presets.names() if name.startswith(incomplete)]


@dataclass(frozen=True, kw_only=True)
class CropOptions(Part):
    """Which part of the exemplars is used, and how.

    crop: Use only this part of the exemplar and its maps.
    alpha: What transparent parts of an exemplar are: auto leaves them out, as no material, and keep copies them as part
        of the texture, such as foliage. Default: auto.
    flatten: Even out slow changes of light in the exemplar first.
    """

    PANEL = "Input"

    crop: Numbers | None = option(None, metavar="X,Y,W,H", recorded=True)
    alpha: str | None = option(None, choices=ALPHA, recorded=True, sparse=True, absent=KEEP)
    flatten: bool | None = option(None, flags="--flatten/--no-flatten", recorded=True)


@dataclass(frozen=True, kw_only=True)
class InputOptions(CropOptions):
    """What goes with the exemplars of a synthesis, and what it starts from.

    maps: An aligned map that follows the copy bit-exactly, at its own resolution where that is a whole factor of the
        exemplar's, written as STEM_NAME; repeat for more maps, and once for each exemplar. FILE may be a folder, paired
        by stem.
    source_mask: Copy only from what this mask marks: white (at least 50 %), or strokes of any colour; repeat it once
        for each exemplar. A folder of masks is paired by stem.
    init: A picture to start from, stretched to the output's size.
    repeat: Repeat the run that OUT.png records; flags given beside it override. Inputs are looked for by name beside it
        and in the working folder.
    """

    maps: Mapping[str, list[Source]] | None = map_option(per="exemplar")
    source_mask: list[Source] | None = option(None, metavar="MASK", role="source-mask", per="exemplar")
    init: Source | None = option(None, metavar="FILE", role="init")
    repeat: Path | None = option(None, flags="--from", metavar="OUT.png")


@dataclass(frozen=True, kw_only=True)
class SetOptions(Part):
    """Which maps belong to a picture.

    find_maps: Find the maps of each picture by the names of the files beside it, such as wall_Normal.png beside
        wall_BaseColor.png; auto does so for every picture, none for none, and any --map switches it off. Default: auto
        for folders and for files whose own name ends in a word for a base colour.
    normals: The convention of the normal maps that are read: gl has green up (OpenGL), dx green down (DirectX).
        Default: what their names say, else gl.
    """

    PANEL = "Maps"

    find_maps: str | None = option(None, flags="--maps", choices=FIND)
    normals: str | None = option(None, choices=CONVENTIONS, recorded=True, sparse=True, absent=GL)


@dataclass(frozen=True, kw_only=True)
class MapOptions(Part):
    """How the maps of a material are read and written.

    normals_out: The convention of the normal maps that are written. Default: that of --names, else that of the inputs.
    map_weight: How much a map counts where pieces and seams are compared, beside colours, which count 1; 0 is not at
        all, and the NAME all stands for those that are not named. Repeatable. Default: 0.3 for normals and height, 0
        for others.
    """

    PANEL = "Maps"

    normals_out: str | None = option(None, choices=CONVENTIONS, recorded=True, sparse=True)
    map_weight: Mapping[str, float] | None = option(
        None,
        metavar="NAME=W",
        text=list[str] | None,
        parse=weights_by_name,
        texts=settings.texts,
        recorded=True,
        sparse=True,
        stored=dict,
        absent=COLOURS_ALONE,
    )


@dataclass(frozen=True, kw_only=True)
class FileOptions(Part):
    """The files of a material, as a set.

    names: What the files are called: as an engine has them, same with the words of the inputs, or a pattern such as
        {stem}-{role}. Default: same for maps that were found by name, else STEM_NAME.
    pack: Write maps of one value a pixel in the channels of one file: orm, arm, rma, maskmap or metallicsmoothness
        (Unity), metallicroughness (glTF) or NAME=R:ao,G:roughness,B:metallic. Packed maps that are read go by their
        names, or by such a NAME.
        Default: packed maps stay as they are.
    mtlx: Also write the material as MaterialX, STEM.mtlx, of which the picture is the base colour.
    """

    PANEL = "Maps"

    names: str | None = option(None, metavar="|".join([*schemes.CHOICES, "PATTERN"]), complete=schemes.CHOICES)
    pack: str | None = option(None, metavar="orm|arm|SPEC", recorded=True, sparse=True)
    mtlx: bool = option(False)


@dataclass(frozen=True, kw_only=True)
class TexelOptions(Part):
    """How large a material is.

    texel: The size of a pixel of the exemplar, such as 0.5mm (um, mm, cm, m or in), which the files say and the record
        keeps; a map that is twice as fine has pixels half as large. Default: what the exemplar's file says.
    """

    PANEL = "Maps"

    texel: str | None = option(None, metavar="SIZE", recorded=True, sparse=True)


@dataclass(frozen=True, kw_only=True)
class MaterialOptions(MapOptions, FileOptions, TexelOptions, SetOptions):
    """What the pictures of a material are, as a set."""


@dataclass(frozen=True, kw_only=True)
class PathOptions(Part):
    """Where a picture goes.

    output: The picture to write (PNG, JPEG, WebP, TIFF, TGA, HDR or EXR by its ending), a folder, or - for standard
        output. Default: STEM_VERB.png here.
    file_format: The format of the picture on standard output, or of all in a folder; a file has that of its suffix.
        Default: PNG.
    no_metadata: Store no record of the run in the picture.
    """

    PANEL = "Output"

    output: str | None = option(None, flags="-o --output", metavar="OUT")
    file_format: str | None = option(None, flags="--format", choices=FORMATS, parse=format_word)
    no_metadata: bool = option(False)


@dataclass(frozen=True, kw_only=True)
class VariationOptions(Part):
    """How many pictures are made, and what is written beside them.

    variations: Make N pictures, STEM-1, STEM-2 and so on, with seeds from --seed on.
    pick: Write only the best of the variations, as OUT.
    save_field: Also write where each pixel was copied from, as STEM_field.npz and pictures.
    report: Write a page about the run to this file.
    """

    PANEL = "Output"

    variations: int = option(1, flags="-n --variations", metavar="N", low=1, high=MOST_VARIATIONS)
    pick: str | None = option(None, choices=("best",))
    save_field: bool = option(False)
    report: Path | None = option(None, metavar="FILE.html")


@dataclass(frozen=True, kw_only=True)
class ForceOptions(Part):
    """What happens to files that exist.

    force: Overwrite files that exist.
    """

    PANEL = "Output"

    force: bool = option(False, group="existing")


@dataclass(frozen=True, kw_only=True)
class BatchOptions(ForceOptions):
    """What happens to files that exist, and to failures, in a batch.

    skip_existing: Keep outputs that exist.
    update: Keep outputs that exist if neither their inputs nor their parameters have changed.
    keep_going: In a batch, go on after a failure (exit code 6 at the end).
    shard: Do only every N-th picture of a folder, from the I-th on, so that N machines with the same command do all;
        auto takes I and N from a job array of Slurm or AWS Batch.
    list_jobs: Print a command line of its own for each picture of a folder, and do nothing.
    jobs: Do the pictures of a folder in N processes side by side, each with --threads threads (by default one) and
        --max-memory; auto starts as many as the cores take.
    cluster: Do the pictures of a folder on a cluster of Dask: HOST:PORT of its scheduler or the file of it, or local:N
        for N workers of this machine, each with --threads threads (by default one) and --max-memory.
    """

    skip_existing: bool = option(False, group="existing")
    update: bool = option(False, group="existing")
    keep_going: bool = option(False)
    shard: str | None = option(None, metavar="I/N|auto", complete=("auto",))
    list_jobs: bool = option(False)
    jobs: str | None = option(None, metavar="N|auto", panel="Machine")
    cluster: str | None = option(None, metavar="ADDRESS|local:N", panel="Machine")


@dataclass(frozen=True, kw_only=True)
class ResumeOptions(Part):
    """What becomes of a run that was stopped.

    resume: Go on from the checkpoint of a run that was stopped, as if it had never stopped; its unfinished picture is
        replaced. Runs of more than ten minutes keep one.
    """

    PANEL = "Output"

    resume: bool = option(False)


@dataclass(frozen=True, kw_only=True)
class SeedOptions(Part):
    """The source of all randomness.

    seed: The start of all randomness: the same seed gives the same picture. Default: 0.
    """

    PANEL = "Texture"

    seed: int | None = option(None, metavar="N", low=0, high=2**63 - 1, recorded=True)


@dataclass(frozen=True, kw_only=True)
class TextureOptions(SeedOptions):
    """The size of the output, and how it repeats.

    size: The size of the output: pixels, N for a square, or a factor, such as 2x or 150% (150%x100% stretches the width
        alone). Default: the verb's own.
    tile: The directions in which the output repeats without a seam. Default: none.
    """

    size: Text | None = option(None, flags="-s --size", metavar="WxH|N|2x|150%", recorded=True)
    tile: str | None = option(None, choices=TILES, recorded=True)


@dataclass(frozen=True, kw_only=True)
class CopyOptions(Part):
    """What becomes of the colours that are copied.

    exact_copies: Copy colours exactly, and do not fit pieces to the light of those around them.
    """

    PANEL = "Texture"

    exact_copies: bool | None = option(None, recorded=True)


@dataclass(frozen=True, kw_only=True)
class SettingOptions(Part):
    """Changes to a preset.

    settings: Change a setting of the preset (see `texsynth presets show NAME`); repeatable.
    """

    PANEL = "Preset"

    settings: Mapping[str, Any] | None = option(
        None, flags="--set", metavar="KEY=VALUE", text=list[str] | None, parse=settings.parse, texts=settings.texts
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Part):
    """A trained network.

    model: A network that `texsynth train` wrote, for methods that use one.
    """

    PANEL = "Preset"

    model: Path | None = option(None, metavar="FILE", role="model")


@dataclass(frozen=True, kw_only=True)
class WeightsOptions(Part):
    """Pretrained networks.

    weights: A file of pretrained weights, for what uses a pretrained network.
    """

    PANEL = "Preset"

    weights: Path | None = option(None, metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class MethodOptions(Part):
    """How a texture is made.

    preset: A preset (see `texsynth presets list`) or a YAML file of your own.
    quality: The variant of the preset that has this quality.
    """

    PANEL = "Preset"

    method: str | None = option(
        None,
        help=f"The method, by the name of its preset. Default: {presets.DEFAULT}; barycenter has its own.",
        flags="-m --method",
        metavar="NAME",
        complete=preset_names,
    )
    preset: str | None = option(None, flags="-p --preset", metavar="NAME|FILE.yaml", complete=preset_names)
    quality: str | None = option(None, metavar="|".join(presets.QUALITIES), complete=tuple(presets.QUALITIES))


@dataclass(frozen=True, kw_only=True)
class PresetOptions(MethodOptions, SettingOptions, ModelOptions, WeightsOptions):
    """How a texture is made, with all that methods use."""


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(Part):
    """Where a command computes.

    device: The device that computes. Default: auto, the fastest there is.
    threads: The number of CPU threads. Presets that work by gradient, trained networks and guides may give other pixels
        with another number. Default: torch's choice.
    """

    PANEL = "Machine"

    device: str = option("auto", metavar="auto|cpu|cuda[:i]|mps", complete=("auto", "cpu", "cuda", "mps"))
    threads: int | None = option(None, metavar="N", low=1, high=MOST_THREADS)


@dataclass(frozen=True, kw_only=True)
class MemoryOptions(DeviceOptions):
    """What a command may use of its machine.

    max_memory: The memory that the command may take. Large arrays lie on the disk, beside the output; what cannot be
        done so is refused. Default: 6G.
    """

    max_memory: Text = option("6G", metavar="6G")


@dataclass(frozen=True, kw_only=True)
class MachineOptions(MemoryOptions):
    """What a command may use of its machine, and whether it runs.

    dry_run: Say what would be done, and the memory and time it needs; write nothing.
    """

    dry_run: bool = option(False)


@dataclass(frozen=True, kw_only=True)
class MessageOptions(Part):
    """What a command says.

    json: Print one JSON object on stdout in place of paths.
    progress: How progress is shown on stderr. Default: auto.
    quiet: Say nothing but errors and downloads.
    verbose: Also say what was found and chosen.
    debug: Show a traceback with an error.
    """

    PANEL = "Messages"

    json: bool = option(False)
    progress: str = option("auto", choices=PROGRESS)
    quiet: bool = option(False, flags="-q --quiet", group="loudness")
    verbose: bool = option(False, flags="-v --verbose", group="loudness")
    debug: bool = option(False)


@dataclass(frozen=True, kw_only=True)
class PictureOptions(
    InputOptions,
    MaterialOptions,
    PathOptions,
    VariationOptions,
    BatchOptions,
    ResumeOptions,
    TextureOptions,
    CopyOptions,
    PresetOptions,
    MachineOptions,
    MessageOptions,
):
    """The options of every verb that makes pictures out of exemplars."""

    exemplars: list[Source] | None = None

    def inputs(self) -> list[Source]:
        """The exemplars, as they were given."""
        return list(self.exemplars or ())

    def of(self, exemplars: Sequence[Source]) -> Self:
        """The request for one run out of several: that with these exemplars."""
        return replace(self, exemplars=list(exemplars))

    def partners(self, name: str, exemplars: Sequence[Source]) -> Sequence[Source]:
        """The pictures whose files an option called `name` holds, one for each, in a run with these exemplars."""
        del name
        return exemplars
