"""The Python API: the verbs as functions, in the words of the command line. Nothing heavy is imported before a call.

Signatures are repeated here for editors and type checkers; what an option means, and what it may be, is written once,
in the request of its verb (`texsynth.requests`), from which the documentation of the keywords is added below.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from texsynth.requests.option import Option, check, is_given, made, options

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from texsynth.image.load import Source
    from texsynth.report.scores import Evaluation
    from texsynth.requests.shared import PictureOptions
    from texsynth.runs.run import Result
    from texsynth.task import Report
    from texsynth.training.loop import Progress
    from texsynth.verbs.capture import Captured
    from texsynth.verbs.maps import Converted
    from texsynth.verbs.propagate import Propagated
    from texsynth.verbs.train import Trained
    from texsynth.weights.pretrained import Fetching

    Maps = tuple[Source | Sequence[Source], Source]

logger = logging.getLogger("texsynth")
# Keywords that are called otherwise in the request of their verb.
RENAMED = {
    "inpaint": {"image": "exemplars", "exemplars": "others"},
    "edit": {"image": "exemplars"},
    "propagate": {"target": "targets"},
    "maps_normal": {"heights": "sources"},
    "maps_height": {"normal": "sources"},
    "maps_occlusion": {"heights": "sources"},
    "capture": {"photo": "photos"},
}
Function = TypeVar("Function", bound=Callable[..., Any])


class Copied(TypedDict, total=False):
    """What every function takes by keyword that copies a texture, with the defaults of the command line.

    maps and source_mask hold one file, or one for each exemplar. find_maps: maps of files are found where it is "auto";
    the default finds none here. weights: without it they are found, or fetched, which the logger "texsynth" tells.
    progress is called with a `texsynth.task.Event` after every step.
    """

    preset: str | None
    method: str | None
    quality: str | None
    settings: Mapping[str, Any] | None
    seed: int
    maps: Mapping[str, Source | Sequence[Source]] | None
    source_mask: Source | Sequence[Source] | None
    exact_copies: bool
    crop: str | Sequence[int] | None
    alpha: str | None
    find_maps: str | None
    normals: str | None
    map_weight: Mapping[str, float] | None
    pack: str | None
    flatten: bool
    weights: str | Path | None
    device: str
    threads: int | None
    max_memory: str | int
    progress: Report | None


class Shared(Copied, total=False):
    """What every verb that makes pictures takes besides. model: without a preset or method it brings its own."""

    tile: str
    texel: str | None
    init: Source | None
    model: str | Path | None


def documented(function: Function, shared: type | None = None) -> Function:
    """Add what the request of a verb says of each keyword to the docstring of its function, and of those that it shares
    with others, by default with all verbs that make pictures."""
    verb = function.__name__
    by_name = {o.name: o for o in options(_request(verb))}
    alone = verb in ("propagate", "capture", "train", "evaluate") or verb.startswith("maps_")
    more = {} if alone else (shared or Shared).__annotations__
    keywords = {name: RENAMED.get(verb, {}).get(name, name) for name in (*function.__annotations__, *more)}
    del keywords["return"]
    lines = [_line(name, by_name[o]) for name, o in keywords.items() if o in by_name and name != "progress"]
    function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nKeywords:\n\n" + "\n".join(lines)
    return function


def _line(name: str, o: Option) -> str:
    choices = f" One of {', '.join(o.choices)}." if o.choices else ""
    return textwrap.fill(f"{name}: {o.help}{choices}", 116, subsequent_indent="    ")


def _request(verb: str) -> Any:
    return importlib.import_module(f"texsynth.requests.{verb.replace('_', '.')}").Request  # maps_normal: maps.normal


@documented
def synthesize(exemplars: Source | Sequence[Source], size: str | int = "2x", **shared: Unpack[Shared]) -> Result:
    """Make more of one exemplar, or a remix of several.

    Pictures are paths, arrays (H, W) or (H, W, C) of uint8, uint16 or float, or `texsynth.image.Picture`s. Ctrl-C gives
    the picture so far, with `interrupted` set. Raises `texsynth.errors.TexsynthError`s, each with a one-line message.
    """
    return _run("synthesize", locals())


@documented
def control(
    exemplars: Source | Sequence[Source] = (),
    size: str | int | None = None,
    *,
    progression: Maps | None = None,
    progression_weight: float | None = None,
    reverse: bool = False,
    distance_transform: bool = False,
    refine: bool = False,
    match_histogram: bool = False,
    match_range: bool = False,
    orientation: Source | None = None,
    source_orientation: Source | Sequence[Source] | None = None,
    orientation_extractor: str | None = None,
    orientation_weight: float | None = None,
    labels: Maps | None = None,
    label_exemplars: Mapping[str, Source | Sequence[Source]] | None = None,
    label_map: Source | None = None,
    labels_weight: float | None = None,
    guide_weight_map: Source | None = None,
    blend: str | Sequence[float] | None = None,
    blend_map: Source | Sequence[Source] | None = None,
    **shared: Unpack[Shared],
) -> Result:
    """Make more of a texture, steered by maps; at least one guide is needed, and they combine.

    progression and labels are (source, target), the source being one map for each exemplar. A field of directions may
    be an array (2, H, W) of x and y. label_exemplars takes the place of exemplars: those of each colour.
    """
    return _run("control", locals())


@documented
def inpaint(
    image: Source,
    mask: Source | None = None,
    *,
    mask_invert: bool = False,
    exemplars: Source | Sequence[Source] = (),
    make_tileable: str | None = None,
    band: int | None = None,
    extend: str | Sequence[int] | None = None,
    grow: int = 0,
    **shared: Unpack[Shared],
) -> Result:
    """Repair a picture: its hole is filled, and all other pixels stay exactly as they are.

    exemplars are pictures to copy from in place of the image; maps then hold one for the image and one for each of
    these, source_mask one for each of these.
    """
    return _run("inpaint", locals())


@documented
def barycenter(
    exemplars: Sequence[Source],
    size: str | int | None = None,
    *,
    blend: str | Sequence[float] | None = None,
    blend_map: Source | Sequence[Source] | None = None,
    steps: int | None = None,
    mode: str = "transport",
    **shared: Unpack[Shared],
) -> Result:
    """Make a texture between two exemplars or more, or one that turns from one into another."""
    return _run("barycenter", locals())


@documented
def edit(
    image: Source,
    mask: Source | None = None,
    target_mask: Source | None = None,
    *,
    mask_invert: bool = False,
    warp: str | None = None,
    labels_weight: float | None = None,
    keep_background: bool = False,
    margin: int | None = None,
    retarget: str | int | None = None,
    reshuffle: bool = False,
    remove: Source | None = None,
    grow: int | None = None,
    copies: str | None = None,
    class_: str | int | None = None,
    **shared: Unpack[Shared],
) -> Result:
    """Give one picture another layout, in one way: mask and target_mask, retarget, reshuffle or remove."""
    return _run("edit", locals())


@documented
def propagate(
    source: Source,
    layer: Source,
    target: Source,
    *,
    blend: str = "normal",
    strength: float = 1.0,
    features: str | None = None,
    coherence: float = 1.0,
    light: str = "auto",
    warp: bool = False,
    weights: str | Path | None = None,
    model: str | Path | None = None,
    labels: tuple[Source, Source] | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
) -> Propagated:
    """Carry what was painted over a source to a target: `image`, and `layer`, the warped edit alone.

    labels: the label maps of source and target. warp: also give the source in the target's layout, as `warp`.
    """
    arguments = arguments_of("propagate", locals())
    del arguments["warp"]
    request = request_of("propagate", arguments)
    from texsynth.verbs import propagate as verb

    first, second = (None, None) if labels is None else labels
    edit = verb.prepare(request, first, fetching())
    work = verb.aim(edit, target, second)
    for notice in (*edit.notices, *work.notices):
        logger.warning("%s", notice)
    return verb.execute(work, warp=warp)


@documented
def capture(
    photo: Source,
    *,
    quad: str | Sequence[float] | None = None,
    straighten: str | None = None,
    size: str | int | None = None,
    aspect: str | None = None,
    maps: Mapping[str, Source] | None = None,
    normals: str | None = None,
    flatten: bool = False,
    delight: bool = False,
    crop: str | Sequence[int] | None = None,
    texel: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
) -> Captured:
    """Make a usable exemplar from a photograph of a surface: `image`, and `layers`, its maps by name.

    maps holds one file a name. Raises `texsynth.errors.TexsynthError`s.
    """
    request = request_of("capture", arguments_of("capture", locals()))
    from texsynth.image import scratch
    from texsynth.verbs import capture as verb
    from texsynth.verbs import parse

    verb.check(request)
    with scratch.beside(None, parse.memory(request.max_memory)):
        work = verb.aim(request, photo, maps or {})
        for notice in work.notices:
            logger.warning("%s", notice)
        captured = verb.execute(work)
    for remark in captured.remarks:
        logger.info(remark)
    return captured


@documented
def train(
    recipe: str,
    exemplars: Source | Sequence[Source],
    output: str | Path,
    *,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
    resume: bool = False,
    force: bool = False,
    labels: Sequence[Source] = (),
    progression: Sequence[Source] = (),
    orientation: Sequence[Source] = (),
    seed: int | None = None,
    crop: str | Sequence[int] | None = None,
    alpha: str | None = None,
    flatten: bool | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a network on exemplars and write it to `output`, a .safetensors file that `model=` of the verbs takes.

    progress is called after every step; when `stop` then says so the training ends with a checkpoint, from which
    `resume` goes on as if it had never ended. Raises `texsynth.errors.TexsynthError`s.
    """
    arguments = arguments_of("train", locals())
    del arguments["progress"], arguments["stop"]
    request = request_of("train", arguments)
    from texsynth.verbs import train as verb

    lesson = verb.build(request, fetching())
    for notice in lesson.notices:
        logger.info(notice)
    return verb.execute(lesson, progress, stop)


@documented
def evaluate(
    exemplar: Source,
    outputs: Source | Sequence[Source],
    metrics: str | Sequence[str] = (),
    *,
    tile: str | None = None,
    progression: tuple[Source, Source] | None = None,
    orientation: Source | None = None,
    source_orientation: Source | None = None,
    labels: tuple[Source, Source] | None = None,
    weights: str | Path | None = None,
    details: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    max_memory: str | int = "6G",
) -> Evaluation:
    """Score outputs against the exemplar that they were made from: `rows` with `scores` by metric, `mean`.

    progression and labels are the (source, target) maps that outputs were to follow. Raises
    `texsynth.errors.TexsynthError`s.
    """
    request = request_of("evaluate", arguments_of("evaluate", locals()))
    from texsynth.verbs import evaluate as verb

    groups, notices = verb.arranged(request)
    evaluation = verb.evaluate(request, groups, fetching(), logger.info)
    return replace(evaluation, notices=(*notices, *evaluation.notices))


def fetching() -> Fetching:
    """Weights that are missing are fetched, which programs see without further ado."""
    from texsynth.weights.pretrained import Fetching

    return Fetching(logger.warning)


def arguments_of(verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by the names of their options."""
    own = {RENAMED.get(verb, {}).get(name, name): value for name, value in arguments.items() if name != "shared"}
    return {**own, **arguments.get("shared", {})}


def request_of(verb: str, values: Mapping[str, Any]) -> Any:
    """A verb's checked request, with its threads in use; TypeError for an unknown keyword, UsageError for a value."""
    kind = _request(verb)
    by_name = {o.name: o for o in options(kind)}
    if unknown := sorted(values.keys() - by_name.keys()):
        raise TypeError(f"{unknown[0]!r} is not an argument; the shared ones are {', '.join(Shared.__annotations__)}")
    converted = {name: _value(by_name[name], value) for name, value in values.items() if is_given(value)}
    request = made(kind, converted)
    check(request)
    from texsynth.runs import machine

    machine.use_threads(request.threads)
    return request


@documented
def maps_normal(
    heights: Source,
    *,
    strength: float | None = None,
    normals: str = "gl",
    tile: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Converted:
    """Make a normal map out of a height map: `image`. Raises `texsynth.errors.TexsynthError`s."""
    return _converted("maps_normal", locals())


@documented
def maps_height(
    normal: Source,
    *,
    normals: str | None = None,
    tile: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Converted:
    """Make a height map out of a normal map: `image`, and the strength in pixels, `measured["strength"]`."""
    return _converted("maps_height", locals())


@documented
def maps_occlusion(
    heights: Source,
    *,
    strength: float | None = None,
    radius: float | None = None,
    tile: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Converted:
    """Make ambient occlusion out of a height map: `image`. Raises `texsynth.errors.TexsynthError`s."""
    return _converted("maps_occlusion", locals())


def _converted(verb: str, arguments: Mapping[str, Any]) -> Converted:
    """Make one map out of another with the arguments of a function."""
    request = request_of(verb, arguments_of(verb, arguments))
    from texsynth.verbs import maps

    conversion = maps.prepare(verb.replace("_", " "), request, request.sources[0])
    for notice in conversion.notices:
        logger.warning("%s", notice)
    return maps.execute(conversion)


def _run(verb: str, arguments: Mapping[str, Any]) -> Result:
    """Run a verb that makes pictures with the arguments of its function."""
    values = arguments_of(verb, arguments)
    progress = values.pop("progress", None)
    request: PictureOptions = request_of(verb, values)
    from texsynth.image import scratch
    from texsynth.runs import run
    from texsynth.verbs import parse, single

    with scratch.beside(None, parse.memory(request.max_memory)):
        job, preset = single.prepared(verb, request, logger.warning, logger.info, fetching())
        return run.run(job, preset, request.seed or 0, progress or run.silent)


def _value(o: Option, value: Any) -> Any:
    """The value of an option as a request holds it: one file may stand for a list, a str for a Path."""
    if o.metavar == "SRC TGT":
        return _several(value[0]), value[1]
    if o.name == "label_exemplars":
        return [(colour, file) for colour, files in value.items() for file in _several(files)]
    if o.role.endswith(":"):
        return {name: _several(files) for name, files in value.items()}
    if o.is_list and not isinstance(value, Mapping):
        return _several(value)
    return Path(value) if o.stored is Path else value


def _several(sources: Any) -> list[Any]:
    """One source or a sequence of them."""
    return list(sources) if isinstance(sources, Sequence) and not isinstance(sources, str) else [sources]
