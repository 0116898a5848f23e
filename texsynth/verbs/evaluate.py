"""evaluate: how good outputs are, by the metrics of `texsynth.metrics`. Pictures are read, metrics chosen and run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from texsynth import metrics, settings
from texsynth.errors import InputError, UsageError
from texsynth.features import Extract, features
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input
from texsynth.metrics import Pair
from texsynth.report.scores import Evaluation, Row, networks_of
from texsynth.requests import control as control_request
from texsynth.requests import guides
from texsynth.requests.evaluate import ALL, Request
from texsynth.task import Guide
from texsynth.verbs import control, pairing, parse
from texsynth.verbs.pairing import Group, folder
from texsynth.weights import pretrained

NAMES = {wraps: name for name, wraps in parse.TILES.items()}

Show = Callable[[Pair], None]


@dataclass(frozen=True)
class Choice:
    """The metrics to run, those of them that were named, and why others are left out."""

    names: tuple[str, ...]
    asked: frozenset[str]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class Tools:
    """What metrics look through: extractors by the name of the features; and the files of their weights, by network."""

    extracts: Mapping[str, Extract] = field(default_factory=dict)
    files: Mapping[str, Input] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """A picture as it was read: by its name, in its folder, with the record that it carries."""

    source: Source
    name: str
    picture: Picture
    record: Mapping[str, Any] | None


def _nobody(*_: Any) -> None:
    """An observer that looks away."""


def evaluate(request: Request, groups: Sequence[Group], note: Note = _nobody, show: Show = _nobody) -> Evaluation:
    """Score all outputs. note: told of downloads and of each output that is done; show: given the
    pictures of each.

    Raises UsageError, InputError where a picture cannot be read or a metric that was named scores no output,
    WeightsError and ResourceError.
    """
    device = parse.device(request.device)
    if request.tile is not None:
        parse.tile(request.tile)
    choice = choose(request)
    if request.orientation.sources and not request.orientation.present:
        raise UsageError("--source-orientation needs --orientation; leave it out or give a guide")
    for group in groups:
        _there(group)
    notices: list[str] = []
    tools = _tools(choice.names, request, device, note)
    rows, failures = [], []
    total = sum(len(group.outputs) for group in groups)
    for group in groups:
        for row, pair in _pairs(group, request, device, notices.append):
            scored, failed = _scored(row, pair, choice, tools, request)
            rows.append(scored)
            failures += failed
            show(pair)
            if total > 1:
                note(f"{len(rows)} of {total}: {row.output}")
    reasons = _reasons(choice, failures, total, notices.append)
    names = tuple(name for name in choice.names if any(name in row.scores for row in rows))
    said = tuple(dict.fromkeys(notices))
    return Evaluation(names, tuple(rows), reasons, tools.files, request.seed or 0, str(device), said)


def arranged(request: Request) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """The groups of outputs with the maps that they were to follow, and what there is to say about the files."""
    groups, notices = pairing.arrange(request.exemplar, request.outputs)
    if not any(part.present for part in (request.progression, request.orientation, request.labels)):
        return groups, notices
    steering = control_request.Request(
        progression=guides.Progression(maps=request.progression.maps),
        orientation=guides.Orientation(target=request.orientation.target, sources=request.orientation.sources),
        labels=guides.Labels(maps=request.labels.maps),
    )
    return tuple(replace(group, guides=steering.of([group.exemplar])) for group in groups), notices


def choose(request: Request) -> Choice:
    """Which metrics to run; raises UsageError for one that is not known, or weights that none needs."""
    known = metrics.names()
    for name in request.metrics or ():
        if name != ALL and name not in known:
            raise UsageError(f"--metric: there is no metric {name!r}{settings.suggestion(name, [*known, ALL])}")
    asked = list(dict.fromkeys(name for name in request.metrics or () if name != ALL))
    names, left_out = list(asked), {}
    if not asked or ALL in (request.metrics or ()):
        names = []
        for name in known:
            reason = None if name in asked else _kept_back(name, request)
            if reason is None:
                names.append(name)
            else:
                left_out[name] = reason
    if (
        request.weights is not None
        and not any(networks_of(name) for name in names)
        and ALL not in (request.metrics or ())
    ):
        raise UsageError("--weights: none of these metrics needs any; name one that does, or give --metric all")
    return Choice(tuple(names), frozenset(asked), left_out)


def _kept_back(name: str, request: Request) -> str | None:
    """Why a metric that was not named is not run, if so."""
    networks = networks_of(name)
    if networks and ALL not in (request.metrics or ()):
        return f"needs {' and '.join(networks)} weights, and runs with --metric all or by its name"
    for network in networks:
        path = pretrained.find(network, request.weights)
        if path is None:
            return f"{network} weights are not here; `texsynth weights fetch {network}` gets them"
        entry, held = pretrained.entry(network), pretrained.held(path, network)
        needed = [entry.layer_of(key) for key in _shapes(name, network)]
        if lacking := [layer for layer in needed if layer not in held]:
            return f"{path.name} lacks {lacking[0]}; give a whole file with --weights"
    return None


def _shapes(name: str, network: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of a network that a metric needs, by their keys."""
    modules = [(features(feature), layers) for feature, layers in metrics.metric(name).about.needs.items()]
    wanted = (module.keys(layers) for module, layers in modules if network == module.WEIGHTS)
    return {key: shape for shapes in wanted for key, shape in shapes.items()}


def _tools(names: Sequence[str], request: Request, device: torch.device, say: Note) -> Tools:
    """Everything that these metrics need, the weights found or else fetched."""
    wanted: dict[str, dict[str, tuple[int, ...]]] = {}
    for name in names:
        for network in networks_of(name):
            wanted.setdefault(network, {}).update(_shapes(name, network))
    loaded = pretrained.load(wanted, request.weights, say) if wanted else {}
    ready = {n: replace(w, tensors={k: t.to(device) for k, t in w.tensors.items()}) for n, w in loaded.items()}
    extracts = {}
    for feature in dict.fromkeys(feature for name in names for feature in metrics.metric(name).about.needs):
        module = features(feature)
        given = None if module.WEIGHTS is None else ready[module.WEIGHTS]
        extracts[feature] = module.build(module.Settings(), (False, False), given)
    return Tools(extracts, {n: Input(f"weights:{n}", read.name, read.sha256) for n, read in loaded.items()})


def _there(group: Group) -> None:
    """Refuse names of no file before anything is fetched or computed; InputError."""
    for source in (group.exemplar, *group.outputs):
        if isinstance(source, (str, Path)) and not Path(source).is_file():
            image.read(source)  # says what is wrong with it


def _pairs(group: Group, request: Request, device: torch.device, note: Note) -> Iterator[tuple[Row, Pair]]:
    """Every output of a group, without scores, and what is compared."""
    exemplar, entry = inputs.load(group.exemplar, "exemplar")
    made = [_output(source) for source in group.outputs]
    pictures = tuple(output.picture for output in made)
    source, *images = (picture.to(device) for picture in inputs.matching((exemplar, *pictures)))
    steering: dict[tuple[int, int], tuple[Guide, ...]] = {}
    for number, (output, picture) in enumerate(zip(made, images, strict=True)):
        size = picture.shape[2], picture.shape[3]
        if size not in steering:
            steering[size] = _guides(group, size, device, note)
        others = tuple(images[:number] + images[number + 1 :])
        wraps = _tile(output, request.tile)
        pair = Pair(source, picture, others, wraps, steering[size])
        name = str(group.exemplar) if isinstance(group.exemplar, (str, Path)) else entry.name
        yield Row(name, output.name, folder(output.source), NAMES[wraps], {}, {}, output.record), pair


def _output(source: Source) -> Output:
    picture, entry = inputs.load(source, "output")
    if not isinstance(source, (str, Path)):
        return Output(source, entry.name, picture, None)
    return Output(source, str(source), picture, image.read_metadata(source))


def _tile(output: Output, given: str | None) -> tuple[bool, bool]:
    """Does an output wrap in (y, x)? As it is told, else as its record says."""
    if given is not None:
        return parse.tile(given)
    record = output.record or {}
    inpaint = record.get("inpaint")
    told = (record.get("tile"), inpaint.get("make_tileable") if isinstance(inpaint, dict) else None)
    wraps = [parse.TILES[name] for name in told if isinstance(name, str) and name in parse.TILES]
    return any(y for y, _ in wraps), any(x for _, x in wraps)


def _guides(group: Group, size: tuple[int, int], device: torch.device, note: Note) -> tuple[Guide, ...]:
    """What outputs of a size (height, width) were steered by, laid out as control does it."""
    if group.guides is None or min(size) < parse.SMALLEST:  # which no metric of guides takes
        return ()
    job = control.build(replace(group.guides, size=f"{size[1]}x{size[0]}", device="cpu"))
    for notice in job.notices:
        note(notice)
    return tuple(
        replace(guide, sources=tuple(source.to(device) for source in guide.sources), target=guide.target.to(device))
        for guide in job.task.guides
    )


def _scored(
    row: Row, pair: Pair, choice: Choice, tools: Tools, request: Request
) -> tuple[Row, list[tuple[str, str, str]]]:
    """The row with its scores; and (metric, output, reason) where there is none."""
    found, parts, failed = {}, {}, []
    for name in choice.names:
        module = metrics.metric(name)
        extract = next((tools.extracts[feature] for feature in module.about.needs), None)
        try:
            # a generator for each: what a metric finds hangs on no other
            found[name] = module.measure(pair, extract, torch.Generator().manual_seed(request.seed or 0))
        except InputError as error:
            failed.append((name, row.output, str(error)))
            continue
        if request.details:
            told = module.details(pair, extract, torch.Generator().manual_seed(request.seed or 0))
            parts.update({name: told} if told else {})
    return replace(row, scores=found, details=parts), failed


def _reasons(choice: Choice, failures: Sequence[tuple[str, str, str]], total: int, note: Note) -> dict[str, str]:
    """Why metrics scored no output; those that scored some are told of. Raises InputError where one was named."""
    reasons = dict(choice.left_out)
    for name in choice.names:
        mine = [(output, reason) for metric, output, reason in failures if metric == name]
        if not mine:
            continue
        output, reason = mine[0]
        if len(mine) < total:
            why = reason.removeprefix(f"{name}: ")
            note(f"{name}: no score for {len(mine)} of {total} outputs, first {output}: {why}")
        elif name in choice.asked:
            raise InputError(f"{output}: {reason}")
        else:
            reasons[name] = reason.removeprefix(f"{name}: ")
    return reasons
