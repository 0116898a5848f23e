"""A command line, resolved: what all of its runs share, and what each of them writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texsynth import preset as presets
from texsynth.cli import messages, plan
from texsynth.cli.options import Common
from texsynth.cli.plan import Item
from texsynth.image.picture import Picture
from texsynth.job import Job
from texsynth.methods import method
from texsynth.report import guides
from texsynth.runs import record
from texsynth.runs.run import Result
from texsynth.task import Preset

Build = Callable[[Item, Common], Job]


@dataclass(frozen=True)
class Extras:
    """What a verb's own options ask for beside a job.

    reads: the files that they name. guides: the folder to draw the guides into. check: measure each result. preview:
    write it repeated. attention: the folder for what the method paid attention to. warp: write the exemplar as it was
    warped, as STEM_warp. preset: the default one. fits: raises UsageError for a preset that cannot serve.
    """

    reads: Sequence[str] = ()
    guides: Path | None = None
    check: bool = False
    preview: bool = False
    attention: Path | None = None
    warp: bool = False
    preset: str = presets.DEFAULT
    fits: Callable[[Preset], None] = lambda _: None


@dataclass(frozen=True)
class Command:
    """A command line, resolved: what all of its runs share."""

    verb: str
    common: Common
    preset: Preset
    build: Build
    talk: messages.Talk
    plan: plan.Plan
    inputs: set[Path]  # never written
    extras: Extras

    @property
    def seeds(self) -> range:
        first = self.common.seed or 0
        return range(first, first + self.common.variations)

    def page(self, out: Path) -> Path | None:
        """The report on `out`; with several outputs each has its own."""
        page = self.common.report
        return page.with_name(f"{page.stem}_{out.stem}{page.suffix}") if page and self.several else page

    def drawings(self, job: Job, out: Path) -> dict[str, Path]:
        """Where each drawing of the guides of `out` goes, by its name; with several outputs each has its own."""
        if self.extras.guides is None:
            return {}
        copies = any(method(stage.method).COPIES for stage in self.preset.stages)
        start = f"{out.stem}_" if self.several else ""
        return {name: self.extras.guides / f"{start}{name}.png" for name in guides.names(job, copies)}

    def shown(self, result: Result, out: Path) -> dict[Path, Picture]:
        """What the method of a result can show and was asked for, by where it goes."""
        if self.extras.warp and "warp" in result.shown:
            return {out.with_name(f"{out.stem}_warp.png"): result.shown["warp"]}
        folder, start = self.extras.attention, f"{out.stem}_" if self.several else ""
        return {folder / f"{start}{name}.png": picture for name, picture in result.shown.items()} if folder else {}

    @property
    def several(self) -> bool:
        """Will there be more than one output?"""
        return len(self.plan.items) > 1 or (self.common.variations > 1 and self.common.pick is None)

    def records(self, job: Job, number: int) -> list[dict[str, Any]]:
        """The records that output `number` may carry: one, or one for each seed that could be picked."""
        if self.common.pick is None:
            return [record.describe(job, self.preset, self.seeds[number])]
        return [picked(record.describe(job, self.preset, seed), len(self.seeds)) for seed in self.seeds]


def picked(stored: Mapping[str, Any], candidates: int) -> dict[str, Any]:
    """The record of the best of some candidates."""
    return {**stored, "picked_from": candidates}
