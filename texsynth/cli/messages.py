"""What a run says on stderr: a progress bar on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from texsynth.cli.failure import one_line
from texsynth.cli.options import Common

if TYPE_CHECKING:
    from texsynth.task import Event, Report


@dataclass(frozen=True)
class Talk:
    """note: lines unless -q; say: with -v; fail: always. watch: the observer of one run, by its name."""

    note: Callable[[str], None]
    say: Callable[[str], None]
    fail: Callable[[str], None]
    watch: Callable[[str], AbstractContextManager[Report]]


def talk(common: Common) -> Talk:
    """How to speak, by the flags and by what stderr is."""
    line: Callable[[str], None]
    watch: Callable[[str], AbstractContextManager[Report]]
    if common.progress == "jsonl":
        line, watch = _json_note, _json_lines
    elif common.quiet or common.progress == "none":
        line, watch = _line, _nothing
    elif sys.stderr.isatty():
        line, watch = _bars()
    else:
        line, watch = _line, _plain
    return Talk(_mute if common.quiet else line, line if common.verbose else _mute, line, watch)


def checked(name: str, values: Mapping[str, Any]) -> list[str]:
    """What `--check` found about the picture `name`, one line each; what does not apply is left out."""
    told = {key: f"{v:.4g}" if isinstance(v, float) else str(v).lower() for key, v in values.items() if v is not None}
    return [f"{name}: {key.replace('_', ' ')} {value}" for key, value in told.items()]


def remaining(event: Event, start: float) -> float:
    """Seconds left, by the share of work done since `start` (time.perf_counter)."""
    return (time.perf_counter() - start) * (1 - event.done) / max(event.done, 1e-6)


def _mute(_: str) -> None:
    pass


def _line(text: str) -> None:
    print(f"texsynth: {one_line(text)}", file=sys.stderr, flush=True)


def _json_note(text: str) -> None:
    _json({"event": "note", "text": text})


def _json(values: dict[str, Any]) -> None:
    print(json.dumps(values), file=sys.stderr, flush=True)


@contextmanager
def _nothing(_: str) -> Iterator[Report]:
    yield lambda _: None


@contextmanager
def _json_lines(label: str) -> Iterator[Report]:
    start = time.perf_counter()
    keys = ("stage", "level", "levels", "step", "steps", "loss", "done")

    def report(event: Event) -> None:
        values = {key: getattr(event, key) for key in keys}
        _json({"event": "step", "output": label, **values, "seconds_left": round(remaining(event, start), 2)})

    yield report


@contextmanager
def _plain(label: str) -> Iterator[Report]:
    """One line for each level."""
    start = time.perf_counter()

    def report(event: Event) -> None:
        if event.step == event.steps:
            left = remaining(event, start)
            _line(f"{label}: {event.done:.0%}, level {event.level}, loss {event.loss:.4f}, {left:.0f} s left")

    yield report


def _bars() -> tuple[Callable[[str], None], Callable[[str], AbstractContextManager[Report]]]:
    """Lines and progress bars that share one terminal. Rich honours NO_COLOR and TERM=dumb."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)

    @contextmanager
    def watch(label: str) -> Iterator[Report]:
        text = TextColumn("{task.description}", markup=False)
        numbers = TextColumn("level {task.fields[level]} step {task.fields[step]} loss {task.fields[loss]}")
        columns = (text, BarColumn(), numbers, TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task(label, total=1.0, level="-", step="-", loss="-")

            def report(event: Event) -> None:
                step = f"{event.step}/{event.steps}"
                loss = f"{event.loss:.4f}"
                progress.update(bar, completed=event.done, level=event.level, step=step, loss=loss)

            yield report

    def line(text: str) -> None:
        console.print(f"texsynth: {one_line(text)}", markup=False, highlight=False, soft_wrap=True)

    return line, watch
