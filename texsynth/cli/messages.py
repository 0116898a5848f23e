"""What a run says on stderr: a progress bar on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from texsynth.errors import one_line
from texsynth.foreign import json_text
from texsynth.requests.shared import MessageOptions
from texsynth.weights.download import amount

if TYPE_CHECKING:
    from texsynth.runs.clock import Clock
    from texsynth.task import Event
    from texsynth.training.loop import Progress


@dataclass(frozen=True)
class Tick:
    """A step of a run. done: share of the work in [0, 1]. values: what a program wants to know. words: what a bar says,
    and line a plain line, "" for none. begun: the share that was done when the run began, for one that goes on. left:
    the seconds that it still takes, None where the share says. event: what a program calls it."""

    done: float
    values: Mapping[str, Any]
    words: str
    line: str = ""
    begun: float = 0.0
    left: float | None = None
    event: str = "step"


FINISHED = Tick(1.0, {}, "", left=0.0, event="part")
Watch = Callable[[Tick], None]


@dataclass(frozen=True)
class Talk:
    """note: lines unless -q; say: with -v; fail: always. watch: the observer of one run, by its name."""

    note: Callable[[str], None]
    say: Callable[[str], None]
    fail: Callable[[str], None]
    watch: Callable[[str], AbstractContextManager[Watch]]


def talk(options: MessageOptions) -> Talk:
    """How to speak, by the flags and by what stderr is."""
    line: Callable[[str], None]
    watch: Callable[[str], AbstractContextManager[Watch]]
    if options.progress == "jsonl":
        line, watch = lambda text: _json({"event": "note", "text": text}), _json_lines
    elif options.quiet or options.progress == "none":
        line, watch = note, lambda _: nullcontext(_mute)
    elif sys.stderr.isatty():
        line, watch = _bars()
    else:
        line, watch = note, _plain
    return Talk(_mute if options.quiet else line, line if options.verbose else _mute, line, watch)


def checked(name: str, values: Mapping[str, Any]) -> list[str]:
    """What `--check` found about the picture `name`, one line each; what does not apply is left out."""
    told = {key: f"{v:.4g}" if isinstance(v, float) else str(v).lower() for key, v in values.items() if v is not None}
    return [f"{name}: {key.replace('_', ' ')} {value}" for key, value in told.items()]


def fetches(entry: Mapping[str, Any]) -> str:
    """What a planned run would fetch first, as the end of the line that tells its plan."""
    parts = [f"{each['name']} weights ({amount(each['size'])}) from {each['url']}" for each in entry["fetches"]]
    return f"; it first fetches {' and '.join(parts)}" if parts else ""


def of_synthesis(event: Event) -> Tick:
    """A step of a synthesis; one line for each level."""
    keys = ("stage", "level", "levels", "step", "steps", "loss")
    words = f"level {event.level} step {event.step}/{event.steps} loss {event.loss:.4f}"
    line = f"level {event.level}, loss {event.loss:.4f}" if event.step == event.steps else ""
    return Tick(event.done, {key: getattr(event, key) for key in keys}, words, line, left=event.left)


def of_clock(clock: Clock) -> Tick:
    """Where a run is that begins a part of its own, such as a level or its end."""
    done, left = clock.tell()
    return Tick(done, {}, "", left=left, event="part")


def of_training(progress: Progress, metric: str, begun: int) -> Tick:
    """A step of a training that began at the step `begun`; one line for each check."""
    losses = ", ".join(f"{name} {value:.4g}" for name, value in progress.losses.items())
    words = f"step {progress.step}/{progress.steps} {losses} best {metric} {progress.best:.4g}"
    line = "" if progress.metric is None else f"step {progress.step}, {losses}, {metric} {progress.metric:.4g}"
    values = {"stage": "train", **{key: getattr(progress, key) for key in ("step", "steps", "losses")}}
    if progress.metric is not None:
        values |= {metric: progress.metric}
    return Tick(progress.step / progress.steps, values, words, line, begun / progress.steps)


def remaining(tick: Tick, start: float) -> float:
    """Seconds left, by what the run says, or else by the share of work done since `start` (time.perf_counter)."""
    if tick.left is not None:
        return tick.left
    return (time.perf_counter() - start) * (1 - tick.done) / max(tick.done - tick.begun, 1e-6)


def _mute(_: object) -> None:
    pass


def note(text: str) -> None:
    """One line on stderr, which says who speaks."""
    print(f"texsynth: {one_line(text)}", file=sys.stderr, flush=True)


def _json(values: dict[str, Any]) -> None:
    print(json_text.text(values), file=sys.stderr, flush=True)


@contextmanager
def _json_lines(label: str) -> Iterator[Watch]:
    start = time.perf_counter()

    def report(tick: Tick) -> None:
        left = round(remaining(tick, start), 2)
        _json({"event": tick.event, "output": label, **tick.values, "done": tick.done, "seconds_left": left})

    yield report


@contextmanager
def _plain(label: str) -> Iterator[Watch]:
    """The lines of a run, with how far it is."""
    start = time.perf_counter()

    def report(tick: Tick) -> None:
        if tick.line:
            note(f"{label}: {tick.done:.0%}, {tick.line}, {remaining(tick, start):.0f} s left")

    yield report


def _bars() -> tuple[Callable[[str], None], Callable[[str], AbstractContextManager[Watch]]]:
    """Lines and progress bars that share one terminal. Rich honours NO_COLOR and TERM=dumb."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.progress import Task as Bar
    from rich.text import Text

    console = Console(stderr=True)
    shown: list[Progress] = []  # one for all bars of now, since a terminal has room for one

    class TimeLeft(ProgressColumn):
        """What the run said last, less the time since."""

        def render(self, task: Bar) -> Text:
            until = task.fields["until"]
            left = "-:--:--" if until is None else str(timedelta(seconds=round(max(0.0, until - time.perf_counter()))))
            return Text(left, style="progress.remaining")

    @contextmanager
    def watch(label: str) -> Iterator[Watch]:
        start, words = time.perf_counter(), ""
        if not shown:
            text = TextColumn("{task.description}", markup=False)
            numbers = TextColumn("{task.fields[words]}", markup=False)
            shown.append(Progress(text, BarColumn(), numbers, TimeLeft(), console=console, transient=True))
            shown[0].start()
        progress = shown[0]
        bar = progress.add_task(one_line(label), total=1.0, words="", until=None)

        def report(tick: Tick) -> None:
            nonlocal words
            words = tick.words or words
            until = time.perf_counter() + remaining(tick, start)
            progress.update(bar, completed=tick.done, words=words, until=until)

        try:
            yield report
        finally:
            if len(progress.tasks) > 1:
                progress.remove_task(bar)
            else:
                shown.clear()
                progress.stop()

    def line(text: str) -> None:
        console.print(f"texsynth: {one_line(text)}", markup=False, highlight=False, soft_wrap=True)

    return line, watch
