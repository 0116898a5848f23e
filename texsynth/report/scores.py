"""What `evaluate` found: scores by output and metric, which of them is best, and means; as numbers, lines and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from texsynth import metrics
from texsynth.features import features
from texsynth.job import Input

Scores = Mapping[str, float]  # by metric


@dataclass(frozen=True)
class Row:
    """One output. folder: where it lies, "" for an array. tile: "none", "x", "y" or "xy", as it was scored.

    scores: of the metrics that apply. details: the parts of their values, where asked for. record: of the run that made
    it, if it carries one.
    """

    exemplar: str
    output: str
    folder: str
    tile: str
    scores: Scores
    details: Mapping[str, Scores] = field(default_factory=dict)
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Evaluation:
    """All that was scored.

    names: the metrics that scored at least one output. left_out: why others did not, by metric. weights: the files that
    were looked through, by network. notices: what the user should know, one line each.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    weights: Mapping[str, Input]
    seed: int
    device: str
    notices: tuple[str, ...] = ()

    @property
    def mean(self) -> Scores:
        """Over all outputs that a metric scored."""
        return means(self.rows, self.names)


@dataclass(frozen=True)
class Line:
    """A line of the table: an output or a mean, with a value for each of the evaluation's names, None where there is
    none. best: is no other output of the exemplar better, and some worse?"""

    exemplar: str
    output: str
    values: tuple[float | None, ...]
    best: tuple[bool, ...]


def means(rows: Sequence[Row], names: Sequence[str]) -> dict[str, float]:
    """The mean of each metric over the rows that have it."""
    found = {name: [row.scores[name] for row in rows if name in row.scores] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items() if values}


def by_folder(evaluation: Evaluation) -> dict[str, Scores]:
    """The means of the outputs of each folder."""
    folders = dict.fromkeys(row.folder for row in evaluation.rows)
    return {f: means([row for row in evaluation.rows if row.folder == f], evaluation.names) for f in folders}


def lines(evaluation: Evaluation) -> list[Line]:
    """One for each output, and where there are several exemplars one for the mean of each folder of outputs."""
    rows, names = evaluation.rows, evaluation.names
    exemplars = list(dict.fromkeys(row.exemplar for row in rows))
    out = []
    for exemplar in exemplars:
        same = [row for row in rows if row.exemplar == exemplar]
        marks = _best([row.scores for row in same], names)
        out += [_line(exemplar, r.output, r.scores, names, m) for r, m in zip(same, marks, strict=True)]
    if len(exemplars) > 1:
        folders = by_folder(evaluation)
        marks = _best(list(folders.values()), names)
        out += [
            _line("mean", folder if len(folders) > 1 else "", scores, names, mark)
            for (folder, scores), mark in zip(folders.items(), marks, strict=True)
        ]
    return out


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values for --json."""
    modules = {name: metrics.metric(name) for name in evaluation.names}
    files = {network: {"name": e.name, "sha256": e.sha256} for network, e in evaluation.weights.items()}
    used = {name: [files[network] for network in networks_of(name) if network in files] for name in modules}
    return {
        "verb": "evaluate",
        "seed": evaluation.seed,
        "device": evaluation.device,
        "metrics": {
            name: {
                "lower_is_better": module.about.lower_is_better,
                "range": list(module.about.range),
                "description": module.about.description,
                "weights": used[name],
            }
            for name, module in modules.items()
        },
        "results": [
            {
                "exemplar": row.exemplar,
                "output": row.output,
                "tile": row.tile,
                "scores": {name: row.scores.get(name) for name in evaluation.names},
                **({"details": dict(row.details)} if row.details else {}),
                "weights": files,
            }
            for row in evaluation.rows
        ],
        "mean": dict(evaluation.mean),
        "means": {folder: dict(scores) for folder, scores in by_folder(evaluation).items()},
        "left_out": dict(evaluation.left_out),
    }


def networks_of(name: str) -> list[str]:
    """The networks whose pretrained weights a metric needs."""
    needed = (features(feature).WEIGHTS for feature in metrics.metric(name).about.needs)
    return list(dict.fromkeys(network for network in needed if network is not None))


def _best(scores: Sequence[Scores], names: Sequence[str]) -> list[tuple[bool, ...]]:
    """Which values are the best of their metric; none where no direction is better, or all are equal."""
    ends = {}
    for name in names:
        values = {one[name] for one in scores if name in one}
        lower = metrics.metric(name).about.lower_is_better
        if len(values) > 1 and lower is not None:
            ends[name] = min(values) if lower else max(values)
    return [tuple(name in ends and one.get(name) == ends[name] for name in names) for one in scores]


def _line(exemplar: str, output: str, scores: Scores, names: Sequence[str], best: tuple[bool, ...]) -> Line:
    return Line(exemplar, output, tuple(scores.get(name) for name in names), best)
