"""texsynth evaluate."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from texsynth import registry
from texsynth.cli import messages
from texsynth.cli.control import ORIENTATION, _pair
from texsynth.cli.options import INPUT, MACHINE, MESSAGES, OUTPUT, Common
from texsynth.errors import UsageError, one_line

if TYPE_CHECKING:
    from rich.table import Table

    from texsynth.cli.steering import Steering
    from texsynth.metrics import Pair
    from texsynth.report.evaluation import Shot
    from texsynth.report.scores import Evaluation
    from texsynth.verbs.evaluate import Request
    from texsynth.verbs.pairing import Group

EXAMPLES = """Examples:

texsynth evaluate samples/brick.png wall-1.png wall-2.png --report wall.html

texsynth evaluate photos/ results/ --csv scores.csv

texsynth evaluate samples/rust.png rusty.png --progression samples/rust_progression.png spots.png

texsynth evaluate samples/brick.png wall.png --metric all --weights vgg19.safetensors --json"""

METRICS = registry.METRICS.names()


def _complete(incomplete: str) -> list[str]:
    return [name for name in (*METRICS, "all") if name.startswith(incomplete)]


def _option(panel: str, names: str, text: str, metavar: str | None = None, **rest: Any) -> Any:
    return typer.Option(*names.split(), help=text, metavar=metavar, rich_help_panel=panel, show_default=False, **rest)


METRIC = (
    f"Repeatable: {', '.join(METRICS)}, or all whose weights are here. Default: all that need no weights. Weights "
    "are fetched only for a metric that is named."
)
TILE = "Where outputs repeat without a seam. Default: as the record of their run says, else none."


def evaluate(
    exemplar: Annotated[
        str,
        typer.Argument(
            metavar="EXEMPLAR",
            help="The picture that outputs were made from; or a folder, to whose pictures outputs belong by their "
            "names: brick.png and brick-2.png to brick.jpg.",
            show_default=False,
        ),
    ],
    outputs: Annotated[
        list[str],
        typer.Argument(
            metavar="OUTPUT",
            help="Pictures, folders or globs. Those of one folder count as variations of each other.",
            show_default=False,
        ),
    ],
    *,
    metric: Annotated[list[str] | None, _option(INPUT, "--metric", METRIC, "NAME", autocompletion=_complete)] = None,
    tile: Annotated[str | None, _option(INPUT, "--tile", TILE, "none|x|y|xy")] = None,
    progression: Annotated[
        tuple[str, str] | None,
        _option(INPUT, "--progression", "The maps that outputs were to follow, as in control.", "SRC TGT"),
    ] = None,
    orientation: Annotated[str | None, _option(INPUT, "--orientation", ORIENTATION, "TGT")] = None,
    source_orientation: Annotated[
        str | None,
        _option(INPUT, "--source-orientation", "The exemplar's own directions. Default: extracted.", "SRC"),
    ] = None,
    labels: Annotated[
        tuple[str, str] | None,
        _option(INPUT, "--labels", "The label maps that outputs were to follow, as in control.", "SRC TGT"),
    ] = None,
    weights: Annotated[
        Path | None, _option(INPUT, "--weights", "Pretrained weights, for metrics that use them.", "FILE")
    ] = None,
    csv: Annotated[Path | None, _option(OUTPUT, "--csv", "Write the table.", "FILE.csv")] = None,
    report: Annotated[
        Path | None, _option(OUTPUT, "--report", "Write a page with pictures and scores.", "FILE.html")
    ] = None,
    details: Annotated[
        bool, _option(OUTPUT, "--details", "The parts of scores too, in --json and --report: by layer, crop and so on.")
    ] = False,
    force: Annotated[bool, _option(OUTPUT, "--force", "Overwrite what exists.")] = False,
    seed: Annotated[
        int,
        _option(MACHINE, "--seed", "Of samples: same seed, same numbers. Default: 0.", "N", min=0),
    ] = 0,
    device: Annotated[
        str, _option(MACHINE, "--device", "Where to compute. Default: auto, the fastest.", "auto|cpu|cuda[:i]|mps")
    ] = "auto",
    threads: Annotated[
        int | None, _option(MACHINE, "--threads", "CPU threads. Default: torch's choice.", "N", min=1)
    ] = None,
    json: Annotated[bool, _option(MESSAGES, "--json", "One JSON object on stdout in place of a table.")] = False,
    quiet: Annotated[bool, _option(MESSAGES, "-q --quiet", "Errors only.")] = False,
    verbose: Annotated[bool, _option(MESSAGES, "-v --verbose", "Say what was left out in full.")] = False,
    debug: Annotated[bool, _option(MESSAGES, "--debug", "Show a traceback with an error.")] = False,
) -> int:
    """Score outputs against the exemplar that they were made from, by the metrics of the field."""
    from texsynth.cli import steering
    from texsynth.runs import machine  # brings torch, which --help and completion do without
    from texsynth.verbs import evaluate as verb
    from texsynth.verbs import pairing

    talk = messages.talk(Common(seed=seed, threads=threads, json=json, quiet=quiet, verbose=verbose, debug=debug))
    given = steering.Steering(
        progression=_pair(progression, "--progression"),
        orientation=orientation,
        source_orientation=None if source_orientation is None else [source_orientation],
        labels=_pair(labels, "--labels"),
    )
    machine.use_threads(threads)
    machine.reuse_memory()
    groups, notices = pairing.arrange(exemplar, outputs)
    groups = tuple(_steered(group, given) for group in groups)
    _check_files({"--csv": csv, "--report": report}, _read_by(groups, given.reads, weights), force)
    for notice in notices:
        talk.note(notice)
    request = verb.Request(groups, metric or (), tile, weights, device, seed, details)
    found, shots = _run(request, talk, report is not None)
    for notice in found.notices:
        talk.note(notice)
    _say_left_out(found, talk, verbose)
    _write(found, shots, csv, report)
    _print(found, json)
    return 0


def _run(request: Request, talk: messages.Talk, pictured: bool) -> tuple[Evaluation, list[Shot]]:
    """The scores, and the pictures of a page if there is to be one."""
    from texsynth.report import evaluation as pages
    from texsynth.verbs import evaluate as verb

    shots: list[Shot] = []
    exemplars = len({str(group.exemplar) for group in request.groups})
    side = pages.longest(sum(len(group.outputs) for group in request.groups), exemplars)

    def show(pair: Pair) -> None:
        if pictured and len(shots) < pages.PICTURED:
            shots.append(pages.shot(pair, side, request.seed))

    return verb.evaluate(request, talk.note, show), shots


def _steered(group: Group, given: Steering) -> Group:
    """The group with the maps of its exemplar."""
    from texsynth.cli.plan import Item

    path = Path(str(group.exemplar))
    return replace(group, guides=given.request(Item((path,), path), 0))


def _read_by(groups: Sequence[Group], maps: Sequence[str], weights: Path | None) -> set[Path]:
    """Every file that this command may read."""
    named = [source for group in groups for source in (group.exemplar, *group.outputs)]
    return {Path(str(name)).resolve() for name in (*named, *maps, *([] if weights is None else [weights]))}


def _check_files(files: dict[str, Path | None], read: set[Path], force: bool) -> None:
    """Refuse, before work starts, what could not be written or would overwrite; UsageError."""
    given = {flag: path for flag, path in files.items() if path is not None}
    if len({path.resolve() for path in given.values()}) < len(given):
        raise UsageError(f"{' and '.join(given)} name one file; give each its own")
    for flag, path in given.items():
        if path.is_dir():
            raise UsageError(f"{flag} {path}: is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise UsageError(f"{flag} {path}: there is no folder {path.parent} to write to; create it first")
        if path.resolve() in read:
            raise UsageError(f"{path} is an input of this command; write to another name or folder")
        if path.exists() and not force:
            raise UsageError(f"{path} exists; --force overwrites it")


def _say_left_out(found: Evaluation, talk: messages.Talk, verbose: bool) -> None:
    """Metrics without a score, those of one reason together; in full with -v."""
    if verbose:
        for name, reason in found.left_out.items():
            talk.say(f"left out: {name}: {reason}")
        return
    reasons: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        reasons.setdefault(reason.partition(";")[0], []).append(name)
    if reasons:
        texts = [f"{', '.join(names)} ({reason})" for reason, names in reasons.items()]
        talk.note(f"left out: {'; '.join(texts)}")


def _write(found: Evaluation, shots: Sequence[Shot], csv: Path | None, report: Path | None) -> None:
    from texsynth.report import evaluation as pages

    if csv is not None:
        pages.write(csv, pages.csv_text(found))
    if report is not None:
        pages.write(report, pages.page(found, shots))


def _print(found: Evaluation, json: bool) -> None:
    """The results on stdout: JSON, a table on a terminal, or lines with tabs."""
    from texsynth.report import scores
    from texsynth.report.evaluation import number

    if json:
        print(json_text.dumps(scores.as_json(found), indent=2))
    elif sys.stdout.isatty():
        _show(found)
    else:
        print("\t".join(["exemplar", "output", *found.names]))
        for line in scores.lines(found):
            print("\t".join([one_line(line.exemplar), one_line(line.output), *map(number, line.values)]))


def _show(found: Evaluation) -> None:
    """Tables as wide as the terminal, one below the other where one cannot hold all metrics."""
    from rich.console import Console

    console = Console(highlight=False)
    for table in _tables(found, console.width, console.encoding.startswith("utf")):
        console.print(table)


def _tables(found: Evaluation, width: int, arrows: bool) -> Iterator[Table]:
    """The table, cut into parts that are at most `width` characters wide; names break at underscores."""
    from rich.table import Table
    from rich.text import Text

    from texsynth.report.evaluation import number, title
    from texsynth.report.scores import lines

    rows = lines(found)
    several = len({line.exemplar for line in rows}) > 1
    labels = [[one_line(text) for text in (line.exemplar, line.output)[not several :]] for line in rows]
    left = sum(min(24, max(map(len, texts))) + 3 for texts in zip(*labels, strict=True))
    heads = [title(name).replace("_", "_\n") for name in found.names]
    if not arrows:
        heads = [head.replace("↓", "v").replace("↑", "^") for head in heads]
    start = 0
    while start < len(heads):
        stop, room = start, width - left
        while stop < len(heads) and (stop == start or room >= _breadth(heads[stop])):
            room -= _breadth(heads[stop])
            stop += 1
        table = Table(*(("exemplar", "output")[not several :]))
        for column in table.columns:
            column.overflow, column.max_width = "fold", 24
        for head in heads[start:stop]:
            table.add_column(Text(head), justify="right", no_wrap=True)
        for texts, line in zip(labels, rows, strict=True):
            cells = zip(line.values[start:stop], line.best[start:stop], strict=True)
            table.add_row(*map(Text, texts), *(Text(number(v), "bold" if b else "") for v, b in cells))
        yield table
        start = stop


def _breadth(head: str) -> int:
    """The characters that a column of scores takes, with its frame."""
    return max(10, *map(len, head.split("\n"))) + 3
