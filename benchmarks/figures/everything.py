"""All figures, one after the other, and a summary: python everything.py [--budget quick|paper|smallest] [--help]

A figure that fails does not stop the others; the exit code is then 1. What is skipped is told, and is no failure.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import figure
from figure import Outcome

from texsynth.errors import TexsynthError

FIGURES = (
    *("uncontrolled", "progression", "orientation", "both", "labels", "contextual", "grid", "occurrence"),
    *("stability", "patches", "multiscale", "inpainting", "barycenters", "editing"),
    *("trained", "matching", "stages", "controlled_networks", "propagating"),
)
ABSENT = ("scores by LPIPS, Inception and ResNet features: their weights are not used by any metric here",)


@dataclass(frozen=True)
class Done:
    """One figure: what it made, or why it failed, and its seconds."""

    name: str
    outcome: Outcome | None
    error: str
    seconds: float


def run(name: str, arguments: Sequence[str]) -> Done:
    """Run one figure by its name."""
    start = time.perf_counter()
    try:
        outcome: Outcome | None = importlib.import_module(name).main(arguments)
        error = ""
    except TexsynthError as failure:
        outcome, error = None, str(failure)
    return Done(name, outcome, error, time.perf_counter() - start)


def summary(done: Sequence[Done]) -> str:
    """What was made, what was skipped and why, what failed, and what there is no script for."""
    made = [each for each in done if each.outcome is not None and each.outcome.files]
    lines = [f"{len(made)} of {len(done)} figures made in {sum(each.seconds for each in done):.0f} s:"]
    lines += [f"  {each.name}: {each.outcome.files[0]} ({each.seconds:.0f} s)" for each in made if each.outcome]
    skipped: dict[str, list[str]] = {}
    for each in done:
        for line in each.outcome.skipped if each.outcome else ():
            skipped.setdefault(line, []).append(each.name)
    lines += ["Skipped:"] if skipped else []
    lines += [f"  {line} ({', '.join(names)})" for line, names in skipped.items()]
    failed = [each for each in done if each.outcome is None]
    lines += ["Failed:"] if failed else []
    lines += [f"  {each.name}: {each.error}" for each in failed]
    return "\n".join([*lines, "No figure for:", *(f"  {line}" for line in ABSENT)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all of them; 0, or 1 where one failed."""
    given = sys.argv[1:] if arguments is None else arguments
    figure.options("everything", __doc__, given)  # a wrong command line is told once
    done = [run(name, given) for name in FIGURES]
    print(summary(done))
    return int(any(each.outcome is None for each in done))


if __name__ == "__main__":
    try:
        code = main()
    except TexsynthError as wrong:
        print(f"figures: error: {wrong}", file=sys.stderr)
        code = wrong.exit_code
    sys.exit(code)
