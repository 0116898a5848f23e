"""What the process that computes does for each order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from texsynth.errors import InputError
from texsynth.field.atlas import Field, enlarge
from texsynth.guidance import kept
from texsynth.image import picture as image
from texsynth.image import scratch
from texsynth.image.files import together
from texsynth.image.load import NORMAL_DX
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.job import Job
from texsynth.material import roles
from texsynth.material.names import Set
from texsynth.methods import method
from texsynth.report import html, view
from texsynth.requests.shared import AUTO
from texsynth.runs import machine, run, save
from texsynth.runs.magnify import STAGE
from texsynth.runs.run import Result
from texsynth.studio import definitions, places
from texsynth.studio.orders import (
    DRAFT,
    Define,
    Defined,
    Display,
    Done,
    Drafted,
    Look,
    Looked,
    Order,
    Placed,
    Ready,
    Run,
    Said,
    Save,
    Saved,
    Straighten,
    Where,
)
from texsynth.task import Event, Task
from texsynth.verbs import capture, layers, parse, single
from texsynth.verbs.sets import Pictures, arranged
from texsynth.weights.pretrained import Fetching

Tell = Callable[[Said], None]
LONGEST_SHOWN = 2048  # pixels of the longer side of a picture as the page shows it
MOST_KEPT = 3  # results of finished runs
SHARE_KEPT = 4  # the part of the limit of memory that several of them may take; the last one is kept at any size
SHARE_READ = 32  # and the part that what guides read out of exemplars may take
PAUSE = 0.1  # seconds, at the least, between two pictures of a run
REST = 4.0  # times as long as a picture takes to show, until the next one is
FETCHING = Fetching(print, refusal="the studio fetches none")
GONE = "the result of this run is no longer there"


@dataclass(frozen=True)
class Remembered:
    """A finished run that is kept."""

    request: Any
    job: Job
    result: Result

    @property
    def size(self) -> int:
        """The bytes that it takes, about."""
        parts = (self.result.picture, *self.result.layers.values(), *self.job.image.pictures)
        parts += tuple(p for layer in self.job.maps.values() for p in layer.pictures)
        field = self.result.field
        pointers = 0 if field is None else 8 * field.size[0] * field.size[1] + places.size_of(field.atlas)
        return pointers + sum(image.size_in_memory(each) for each in parts if isinstance(each, Picture))


class Bench:
    """All that is kept between orders: the machine's settings, and the results of the last finished runs."""

    def __init__(self, max_memory: str | int, threads: int | None) -> None:
        machine.use_threads(threads)
        self.memory = parse.memory(max_memory)
        self.threads = torch.get_num_threads()
        self.kept: dict[int, Remembered] = {}
        self.readings = kept.Readings(self.memory // SHARE_READ)

    @property
    def ready(self) -> Ready:
        return Ready(str(parse.device(AUTO)), self.threads)

    def do(self, order: Order, tell: Tell, whole: Callable[[], AbstractContextManager[None]]) -> Said:
        """Do one order; raises TexsynthErrors. tell: says something of it meanwhile; whole: inside, it is not left."""
        machine.use_threads(self.threads)  # an order that was left may have changed them
        with scratch.beside(_folder(), self.memory), kept.within(self.readings):
            match order:
                case Look():
                    return self._look(order)
                case Define():
                    return Defined(order.number, definitions.document())
                case Run():
                    return self._run(order, tell)
                case Straighten():
                    return _straightened(order)
                case Save():
                    with whole():
                        return _saved(order, self._of(order.run))
        raise AssertionError(order)

    def where(self, order: Where) -> Said:
        """Where a pixel comes from, from any thread; raises InputError."""
        finished = self._of(order.run)
        place = places.origin(finished.request, finished.job, finished.result, order.x, order.y)
        return Placed(order.number, *place)

    def rest(self) -> None:
        """Give back what the last order took."""
        machine.give_memory_back()

    def _of(self, number: int) -> Remembered:
        finished = self.kept.get(number)
        if finished is None:
            raise InputError(GONE)
        return finished

    def _look(self, order: Look) -> Looked:
        room = parse.left(self.memory)
        files, colour, notices = _belonging(order)
        picture = image.read(colour, room)
        shown = shown_of(picture)
        maps = {name: (path, _shown_map(name, path, room)) for name, path in files.items()}
        kind = picture.channels, picture.depth, picture.alpha is not None
        notices += [f"{colour.name}: {picture.remark}"] if picture.remark else []
        there = colour if colour != order.path else None
        return Looked(order.number, shown, *kind, maps, tuple(notices), colour=there)

    def _run(self, order: Run, tell: Tell) -> Done:
        begun = time.perf_counter()
        request = drafted(order.request) if order.kind == DRAFT else order.request
        final = request is order.request
        notices: list[str] = []
        job, preset = single.prepared(order.verb, request, notices.append, notices.append, FETCHING)
        self._make_room(run.estimate(job, preset).memory)
        result = run.run(job, preset, request.seed or 0, _Watcher(order, job, tell))
        if final:
            self._keep(order.number, Remembered(request, job, result))
        maps = {name: _shown_layer(name, layer, job) for name, layer in result.layers.items()}
        relief = view.depth(html.lit(result, job)) if final else 0.0
        shown, has_field = shown_of(result.picture), final and result.field is not None
        seconds = time.perf_counter() - begun
        return Done(order.number, shown, seconds, maps, tuple(notices), final, has_field, relief)

    def _make_room(self, need: int) -> None:
        """Let go of results, the oldest first, beside which a run does not fit."""
        while self.kept and need + sum(each.size for each in self.kept.values()) > self.memory:
            del self.kept[next(iter(self.kept))]

    def _keep(self, number: int, finished: Remembered) -> None:
        self.kept[number] = finished
        sizes = [each.size for each in self.kept.values()]
        while len(sizes) > MOST_KEPT or (len(sizes) > 1 and sum(sizes) > self.memory // SHARE_KEPT):
            del self.kept[next(iter(self.kept))]
            del sizes[0]


class _Watcher:
    """Shows how far a run has come: not more often than is worth while, but each level at its end."""

    def __init__(self, order: Run, job: Job, tell: Tell) -> None:
        self.order, self.tell = order, tell
        self.size = job.task.size
        self.task, factor = (job.task, 1) if job.reduced is None else (job.reduced.task, job.reduced.factor)
        self.halvings = math.log2(factor)  # of what is solved, which is magnified at the end
        self.due = 0.0

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        if event.step < event.steps and now < self.due:
            return
        is_shown = self.order.kind == DRAFT or event.level == 0
        shown = replace(shown_of(so_far(event, self.task)), size=self.size) if is_shown else None
        level = self.halvings + (0 if event.stage == STAGE else event.level)  # nothing finer is seen while it magnifies
        self.tell(Drafted(self.order.number, shown, level, event.done, event.left))
        after = time.perf_counter()
        self.due = after + max(PAUSE, REST * (after - now))


def _folder() -> Path:
    """The folder that the studio was started in; raises InputError once that is gone."""
    try:
        return Path.cwd()
    except OSError:
        raise InputError("the folder that the studio was started in is gone; start it again in another one") from None


def drafted(request: Any) -> Any:
    """The request of a draft: with the quick variant of the preset, where the usual one is asked for; else the same."""
    if request.preset or request.method or request.quality not in (None, "normal"):
        return request
    return replace(request, quality="draft")


def so_far(event: Event, task: Task) -> Picture:
    """A run as a picture: where it copies, that has pixels of the size of its task, whatever its level."""
    field, pixels = event.canvas.field, event.canvas.image
    if isinstance(field, Field) and field.size != task.size and method(event.stage).COPIES:
        pixels = enlarge(field, task).image()
    return Picture(pixels.cpu().clamp(0, 1))


def shown_of(picture: Picture | Strips, role: str = "", down: bool = False) -> Display:
    """A picture as the page shows it."""
    is_colour = not role or roles.ROLES[role].is_colour
    png = html.png(html.manageable(picture), is_colour, LONGEST_SHOWN)
    return Display(png, (picture.height, picture.width), role, down)


def _shown_layer(name: str, layer: Picture | Strips, job: Job) -> Display:
    role = roles.role_of(name)
    return shown_of(layer, role.name if role else "", job.maps[name].role == NORMAL_DX)


def _shown_map(name: str, path: Path, room: int) -> Display:
    role = roles.role_of(name)
    down = layers.kind(name, None, [path.name]) == NORMAL_DX
    return shown_of(image.read(path, room), role.name if role else "", down)


def _belonging(order: Look) -> tuple[Mapping[str, Path], Path, list[str]]:
    """The maps of a picture by name, its own file, and notices. Of a folder it is that of its first set."""
    if order.path.is_dir():
        done = arranged([Pictures(image.list_pictures(order.path), is_file=False)], None, None)
    elif order.find_maps:
        done = arranged([Pictures([order.path])], AUTO, None)
    else:
        return {}, order.path, []
    first = next((item for item in done.items if isinstance(item, Set)), None)
    if first is None:
        return {}, next(item for item in done.items if isinstance(item, Path)), []
    return first.maps, first.colour, [*done.notices]


def _straightened(order: Straighten) -> Looked:
    request = order.request
    capture.check(request)
    work = capture.aim(request, request.photos[0], {})
    captured = capture.execute(work)
    picture = captured.image
    content, notices = image.encoded(
        picture, image.format_named(None), Path(request.output).name, dict(captured.record)
    )
    if callable(content):
        file = BytesIO()
        content(file)
        content = file.getvalue()
    kind = picture.channels, picture.depth, picture.alpha is not None
    lines = (*work.notices, *captured.remarks, *notices)
    return Looked(order.number, shown_of(picture), *kind, {}, lines, content)


def _saved(order: Save, finished: Remembered) -> Saved:
    """Write a result as the command does, with the names that its inputs have by now."""
    request, job, result = finished.request, finished.job, finished.result
    entries = [{**entry, "name": order.names.get(entry["sha256"], entry["name"])} for entry in result.record["inputs"]]
    result = replace(result, record={**result.record, "inputs": entries})
    request = replace(request, maps=_renamed(request.maps, entries))
    preview = bool(getattr(request, "preview", False))
    with together(order.out, frozenset()) as put:
        asked = save.asked(request, job.maps)
        files, notices = save.save(result, order.out, not request.no_metadata, request.save_field, preview, put, asked)
    return Saved(order.number, tuple(files.values()), tuple(notices))


def _renamed(
    maps: Mapping[str, Sequence[Any]] | None, entries: Sequence[Mapping[str, str]]
) -> dict[str, list[Path]] | None:
    """The files of maps by the names that the record has for them."""
    if maps is None:
        return None
    return {name: [Path(e["name"]) for e in entries if e["role"] == f"map:{name}"] for name in maps}
