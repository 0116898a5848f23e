"""The command of `texsynth evaluate`: pictures are scored together, and told as a table, as lines or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from texsynth.batch.order import Entry, Item
from texsynth.cli import existing, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Plan
from texsynth.errors import UsageError, one_line
from texsynth.image.files import together
from texsynth.metrics import Pair
from texsynth.report import evaluation as pages
from texsynth.report import scores
from texsynth.report.evaluation import Shot, number, title
from texsynth.report.scores import Evaluation
from texsynth.requests.evaluate import Request
from texsynth.runs import stop
from texsynth.verbs import evaluate as verb
from texsynth.verbs.pairing import Group
from texsynth.weights.pretrained import Fetching


def prepare(_: str, request: Request, talk: Talk) -> Command:
    """See runner.execute. The one item is the whole evaluation; raises UsageError and InputError."""
    if request.details and not request.json and request.report is None:
        raise UsageError("--details adds to --json and to --report; give one of these, or leave it out")
    groups, notices = verb.arranged(request)
    groups = tuple(  # a folder may stand for the maps, which pair by the exemplar's stem
        replace(g, guides=g.guides and plan.aligned(g.guides, [Path(str(g.exemplar))])) for g in groups
    )
    pictures = [Path(str(source)) for group in groups for source in (group.exemplar, *group.outputs)]
    written = [path for path in (request.csv, request.report) if path is not None]
    existing.check_pages({"--csv": request.csv, "--report": request.report})
    item = Item(tuple(pictures), written[0] if written else Path())

    def actions(_: Item) -> Iterable[Action]:
        yield Action(item.out, written, planned=dict, run=partial(_run, request, groups, talk))

    return Command(
        request,
        Plan((item,), batch=False, notices=notices),
        outs=lambda _: written,
        files=lambda _: written,
        actions=actions,
        tell=lambda entry: _print(entry["evaluation"]),
        document=_document,
        stopped=lambda done: "all is scored" if done else "nothing was scored",
    )


def _run(request: Request, groups: Sequence[Group], talk: Talk, replaceable: Collection[Path] | None) -> Entry:
    """The scores, with their page and table if there is to be one."""
    shots: list[Shot] = []
    side = pages.longest(sum(len(g.outputs) for g in groups), len({str(g.exemplar) for g in groups}))

    def show(pair: Pair) -> None:
        if request.report is not None and len(shots) < pages.PICTURED:
            shots.append(pages.shot(pair, side, request.seed or 0))

    evaluation = verb.evaluate(request, groups, Fetching(talk.fail), talk.note, show)
    for notice in evaluation.notices:
        talk.note(notice)
    _say_left_out(evaluation, talk, request.verbose)
    if written := [path for path in (request.csv, request.report) if path is not None]:
        with stop.later(), together(written[0], replaceable) as put:
            if request.csv is not None:
                put(request.csv, pages.csv_text(evaluation))
            if request.report is not None:
                put(request.report, pages.page(evaluation, shots))
    return {"evaluation": evaluation}


def _say_left_out(evaluation: Evaluation, talk: Talk, verbose: bool) -> None:
    """Metrics without a score, those of one reason together; in full with -v."""
    if verbose:
        for name, reason in evaluation.left_out.items():
            talk.say(f"left out: {name}: {reason}")
        return
    reasons: dict[str, list[str]] = {}
    for name, reason in evaluation.left_out.items():
        reasons.setdefault(reason.partition(";")[0], []).append(name)
    if reasons:
        texts = [f"{', '.join(names)} ({reason})" for reason, names in reasons.items()]
        talk.note(f"left out: {'; '.join(texts)}")


def _document(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The scores; where there are none yet, what the runner says."""
    runs, interrupted = document["runs"], {"interrupted": True} if document["interrupted"] else {}
    return {**scores.as_json(runs[0]["evaluation"]), **interrupted} if runs else document


def _print(evaluation: Evaluation) -> None:
    """The results on standard output: a table on a terminal, otherwise lines with tabs."""
    if sys.stdout.isatty():
        console = Console(highlight=False)
        for table in _tables(evaluation, console.width, console.encoding.startswith("utf")):
            console.print(table)
        return
    print("\t".join(["exemplar", "output", *evaluation.names]))
    for line in scores.lines(evaluation):
        print("\t".join([one_line(line.exemplar), one_line(line.output), *map(number, line.values)]))


def _tables(evaluation: Evaluation, width: int, arrows: bool) -> Iterator[Table]:
    """The table, cut into parts that are at most `width` characters wide; names break at underscores."""
    rows = scores.lines(evaluation)
    several = len({line.exemplar for line in rows}) > 1
    labels = [[one_line(text) for text in (line.exemplar, line.output)[not several :]] for line in rows]
    left = sum(min(24, max(map(len, texts))) + 3 for texts in zip(*labels, strict=True))
    heads = [title(name).replace("_", "_\n") for name in evaluation.names]
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
    return max(10, *map(len, head.split("\n"))) + 3
