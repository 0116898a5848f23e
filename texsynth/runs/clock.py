"""How long a run still takes: by the seconds that its parts are estimated to take, and by its pace so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from texsynth.methods import method
from texsynth.task import Level, Stage, Task

WHOLE_RUN = 0.03  # of a run's estimate, that its pace must be measured over to count as much as the estimate
ONE_PART = 0.05  # of a part's estimate, for its own pace beside that of the run
LEAST = 1e-3  # seconds that a part takes in any case


class Clock:
    """Goes through the parts of a run, of which each is estimated to take so many seconds on two idle cores.

    The pace is measured: that of the part at work for what is left of it, and that of all parts so far for the others.
    """

    def __init__(self, parts: Sequence[float]) -> None:
        self.heard: Callable[[Clock], None] = lambda _: None  # is called when a part begins
        self._parts = [max(LEAST, part) for part in parts]
        self._number = -1
        self._skipped = self._first = self._done = 0.0
        self._begun = self._entered = time.perf_counter()

    def skip(self, count: int) -> None:
        """Leave out parts that an earlier process has done."""
        self._skipped += sum(self._parts[self._number + 1 : self._number + 1 + count])
        self._number += count

    def next(self, done: float = 0.0, seconds: float | None = None) -> None:
        """The next part begins, of which an earlier process has done a share; its estimate may be known better now."""
        self._number = min(self._number + 1, len(self._parts) - 1)
        if seconds is not None:
            self._parts[self._number] = max(LEAST, seconds)
        self._skipped += done * self._parts[self._number]
        self._entered, self._first = time.perf_counter(), done
        self.heard(self)

    def tell(self, share: float | None = None) -> tuple[float, float]:
        """The share of the run that is done, and the seconds that are left, with `share` of the part at work done;
        without it, as much as was done when it began."""
        share = self._first if share is None else share
        now, whole = time.perf_counter(), sum(self._parts)
        at_work = self._parts[self._number] if self._number >= 0 else 0.0
        before = sum(self._parts[: max(0, self._number)])
        spent = before + share * at_work
        pace = _pace(now - self._begun, spent - self._skipped, 1.0, WHOLE_RUN * whole)
        of_part = pace
        if share > self._first:
            of_part = _pace(now - self._entered, (share - self._first) * at_work, pace, ONE_PART * at_work)
        left = (1 - share) * at_work * of_part + (whole - before - at_work) * pace
        self._done = max(self._done, spent / whole)  # an estimate that has grown takes nothing back
        return self._done, left


def _pace(taken: float, estimated: float, before: float, weight: float) -> float:
    """Seconds taken for each that was estimated; `before` counts as if it had been measured over `weight` of these."""
    return (taken + before * weight) / (max(0.0, estimated) + weight)


def of_levels(task: Task, stages: Sequence[Stage]) -> list[float]:
    """The seconds that each level of a run takes to begin, and then for its steps, one after the other."""
    return [seconds for stage in stages for both in _of_stage(task, stage) for seconds in both]


def _of_stage(task: Task, stage: Stage) -> list[tuple[float, float]]:
    module: Any = method(stage.method)
    if hasattr(module, "seconds"):
        return list(module.seconds(task, stage.settings))
    levels: list[Level] = module.schedule(task, stage.settings)
    whole = module.estimate(task, stage.settings).seconds
    work = [0.25**level.scale * (level.steps + 1) for level in levels]
    shares = [whole * each / sum(work) / (level.steps + 1) for each, level in zip(work, levels, strict=True)]
    return [(share, share * level.steps) for share, level in zip(shares, levels, strict=True)]
