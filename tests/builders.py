"""Tasks, stages and runs that several tests start from."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pictures import generator, spots
from texsynth import preset
from texsynth.runs import loop
from texsynth.runs.loop import Outcome
from texsynth.task import Exemplar, Report, Say, Stage, Task

LOSSES: dict[str, dict[str, Any]] = {  # settings with which they are quick, and the same for the same seed
    "semidual": {"patch": 3, "sample": 0, "ascents": 3},
    "sliced": {"patch": 3, "fixed": "level"},
    "correspondence": {"patch": 3, "stride": 1},
    "gram": {"patch": 3},
    "contextual": {"patch": 3},
    "variation": {},
}


def on_windows(name: str, *layers: str, **words: Any) -> dict[str, Any]:
    """An objective on windows of pixels, in its flat form."""
    return {"loss": name, "features": "windows", "layers": list(layers or ("full", "half")), **LOSSES[name], **words}


def ignore(_: object) -> None:
    """An observer of a run that looks at nothing."""


def task(size: tuple[int, int] = (24, 24), exemplar: tuple[int, int] = (24, 24), **values: Any) -> Task:
    """A task of one exemplar of spots."""
    return Task((Exemplar("a", spots(*exemplar)),), size, **values)


def optimising(*objectives: Any, **words: Any) -> Stage:
    """A stage of the optimising method with these objectives, in their flat form."""
    plain = {"method": "optimise", "objectives": list(objectives), **words}
    return preset.build("p", {"description": "", "stages": [plain]}).stages[0]


def run(asked: Task, *stages: Stage, seed: int = 0, report: Report = ignore, say: Say = ignore) -> Outcome:
    """All stages through the loop, which knows no smallest size."""
    return loop.synthesize(asked, stages, generator(seed), report, say)


def image_of(outcome: Outcome) -> Tensor:
    """The picture that a run ended with, (1, 3, h, w)."""
    assert outcome.canvas is not None
    return outcome.canvas.image
