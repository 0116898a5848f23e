"""evaluate: how good outputs are, by the metrics of `texsynth.metrics`. Pictures are read, metrics chosen and run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from texsynth import metrics, settings
from texsynth.errors import InputError, UsageError
from texsynth.features import Extract, features
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Note, Source
from texsynth.job import Input
from texsynth.metrics import Pair
from texsynth.report.scores import Evaluation, Row, networks_of
from texsynth.requests import control as control_request
from texsynth.requests import guides
from texsynth.requests.evaluate import ALL, Request
from texsynth.runs.run import pretrained_weights, silent
from texsynth.task import Guide
from texsynth.verbs import control, pairing, parse, tile_planes
from texsynth.verbs.pairing import Group, folder
from texsynth.weights import pretrained
from texsynth.weights.pretrained import Fetching

NAMES = {wraps: name for name, wraps in parse.TILES.items()}

Show = Callable[[Pair], None]
Failure = tuple[str, str, str]  # metric, output and reason
Extracts = Mapping[str, Extract]  # by the name of the features


@dataclass(frozen=True)
class Choice:
    """Which metrics are run.

    names: The metrics to run.
    asked: Those of them that the user named.
    left_out: Why each of the others is not run.
    """

    names: tuple[str, ...]
    asked: frozenset[str]
    left_out: Mapping[str, str]


def evaluate(
    request: Request, groups: Sequence[Group], fetching: Fetching, note: Note = silent, show: Show = silent
) -> Evaluation:
    """Score all outputs.

    `note` is called with a line for each finished output, `show` with the pictures of each. Raises
    UsageError, InputError where a picture cannot be read or a metric that was named scores no output, WeightsError and
    ResourceError.
    """
    device, memory = parse.device(request.device), parse.memory(request.max_memory)
    if request.tile is not None:
        parse.tile(request.tile)
    choice = choose(request)
    if request.orientation.sources and not request.orientation.present:
        raise UsageError("--source-orientation needs --orientation; leave it out or give a guide")
    # Refuse names of no file before anything is fetched or computed.
    for source in (source for group in groups for source in (group.exemplar, *group.outputs)):
        if isinstance(source, (str, Path)) and not Path(source).is_file():
            image.read(source)  # says what is wrong with it
    extracts, files = _extracts(choice.names, request, device, fetching)
    # Score output by output.
    notices: list[str] = []
    rows: list[Row] = []
    failures: list[Failure] = []
    total = sum(len(group.outputs) for group in groups)
    for group in groups:
        for row, pair in _pairs(group, request, device, memory, notices.append):
            scored, failed = _scored(row, pair, choice, extracts, request)
            rows.append(scored)
            failures += failed
            show(pair)
            if total > 1:
                note(f"{len(rows)} of {total}: {row.output}")
    reasons = _reasons(choice, failures, total, notices.append)
    names = tuple(name for name in choice.names if any(name in row.scores for row in rows))
    lines = tuple(dict.fromkeys(notices))
    return Evaluation(names, tuple(rows), reasons, files, request.seed or 0, str(device), lines)


def arranged(request: Request) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """The groups of outputs with the maps that they were to follow, and notices about the files."""
    groups, notices = pairing.arrange(request.exemplar, request.outputs)
    if not any(part.present for part in (request.progression, request.orientation, request.labels)):
        return groups, notices
    steering = control_request.Request(
        progression=guides.Progression(maps=request.progression.maps),
        orientation=guides.Orientation(target=request.orientation.target, sources=request.orientation.sources),
        labels=guides.Labels(maps=request.labels.maps),
        max_memory=request.max_memory,
    )
    return tuple(replace(group, guides=steering.of([group.exemplar])) for group in groups), notices


def choose(request: Request) -> Choice:
    """Which metrics to run; raises UsageError for one that does not exist, or weights that none needs."""
    every, words = metrics.names(), request.metrics or ()
    asked = tuple(dict.fromkeys(name for name in words if name != ALL))
    for name in asked:
        if name not in every:
            raise UsageError(f"--metric: there is no metric {name!r}{settings.suggestion(name, [*every, ALL])}")
    names, left_out = asked, {}
    if not asked or ALL in words:
        reasons = {name: None if name in asked else _kept_back(name, request) for name in every}
        names = tuple(name for name, reason in reasons.items() if reason is None)
        left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    if request.weights is not None and ALL not in words and not any(map(networks_of, names)):
        raise UsageError("--weights: none of these metrics needs any; name one that does, or give --metric all")
    for part in (request.progression, request.orientation, request.labels):
        if part.present and part.NAME not in names:
            raise UsageError(f"--{part.NAME}: none of these metrics looks at it; add --metric {part.NAME}")
    return Choice(names, frozenset(asked), left_out)


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
        needs = [(features(feature), layers) for feature, layers in metrics.metric(name).about.needs.items()]
        keys = [key for module, layers in needs if network == module.WEIGHTS for key in module.keys(layers)]
        if lacking := [layer for layer in map(entry.layer_of, keys) if layer not in held]:
            return f"{path.name} lacks {lacking[0]}; give a whole file with --weights"
    return None


def _extracts(
    names: Sequence[str], request: Request, device: torch.device, fetching: Fetching
) -> tuple[Extracts, dict[str, Input]]:
    """The extractors that metrics look through, and the files of their weights by the name of the network."""
    needs = [metrics.metric(name).about.needs for name in names]
    weights, entries, _ = pretrained_weights(needs, device, request.weights, fetching)
    extracts = {}
    for feature in dict.fromkeys(feature for each in needs for feature in each):
        module = features(feature)
        extracts[feature] = module.build(module.Settings(), (False, False), weights.get(feature))
    return extracts, {entry.role.removeprefix("weights:"): entry for entry in entries}


def _pairs(group: Group, request: Request, device: torch.device, memory: int, note: Note) -> Iterator[tuple[Row, Pair]]:
    """Every output of a group as a row without scores, and the pictures that are compared."""
    planes = [tile_planes.read(Path(str(o)), memory) if tile_planes.is_described(o) else None for o in group.outputs]
    drawn = [output if plane is None else plane.picture for output, plane in zip(group.outputs, planes, strict=True)]
    (exemplar, entry), *outputs = inputs.load_all((group.exemplar, *drawn), "picture", memory)
    pictures = [picture for picture, _ in outputs]
    if not inputs.solid(exemplar).all():
        note(f"{entry.name}: metrics see middle grey where it is transparent; crop it to opaque parts for true scores")
    rows = [_row(source, entry.name, request.tile) for source, (_, entry) in zip(group.outputs, outputs, strict=True)]
    source, *images = (picture.to(device) for picture in inputs.matching((exemplar, *pictures)))
    steering: dict[tuple[int, int], tuple[Guide, ...]] = {}  # laid out once for each size of outputs
    for number, (row, picture) in enumerate(zip(rows, images, strict=True)):
        size = picture.shape[2], picture.shape[3]
        if size not in steering:
            steering[size] = _guides(group, size, device, note)
        others = tuple(images[:number] + images[number + 1 :])
        name = str(group.exemplar) if isinstance(group.exemplar, (str, Path)) else entry.name
        pair = Pair(source, picture, others, parse.TILES[row.tile], steering[size])
        if (plane := planes[number]) is not None:
            pair = replace(pair, tiles=plane.tiles, offsets=plane.offsets)
        yield replace(row, exemplar=name), pair


def _row(source: Source, name: str, tile: str | None) -> Row:
    """The row of an output called `name`. It wraps as `tile` says, or else as its record does."""
    record = None
    if isinstance(source, (str, Path)):
        name, record = str(source), None if tile_planes.is_described(source) else image.read_metadata(source)
    if tile is None:
        inpainting = (record or {}).get("inpaint")
        words = ((record or {}).get("tile"), inpainting.get("make_tileable") if isinstance(inpainting, dict) else None)
        wraps = [parse.TILES[word] for word in words if isinstance(word, str) and word in parse.TILES]
        tile = NAMES[any(y for y, _ in wraps), any(x for _, x in wraps)]
    return Row("", name, folder(source), tile, {}, {}, record)


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


def _scored(row: Row, pair: Pair, choice: Choice, extracts: Extracts, request: Request) -> tuple[Row, list[Failure]]:
    """The row with its scores, and why there is none of other metrics."""

    def rng() -> torch.Generator:  # one for each value, so that no metric depends on another
        return torch.Generator().manual_seed(request.seed or 0)

    scores, details, failed = {}, {}, []
    for name in choice.names:
        module = metrics.metric(name)
        extract = next((extracts[feature] for feature in module.about.needs), None)
        try:
            scores[name] = module.measure(pair, extract, rng())
        except InputError as error:
            failed.append((name, row.output, str(error)))
            continue
        if request.details and (parts := module.details(pair, extract, rng())):
            details[name] = parts
    return replace(row, scores=scores, details=details), failed


def _reasons(choice: Choice, failures: Sequence[Failure], total: int, note: Note) -> dict[str, str]:
    """Why metrics scored no output; a note says which scored only some. Raises InputError where one was named."""
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
