"""The commands of the verbs that make pictures out of exemplars: synthesize, control, inpaint, barycenter and edit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from texsynth.batch.order import Entry, Item
from texsynth.cli import existing, failure, messages, pipes, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk, Watch
from texsynth.cli.plan import Plan, Sought
from texsynth.cli.repeat import repeated, steers
from texsynth.errors import InputError, UsageError, listed, one_line
from texsynth.foreign.piped import Piped, path_of
from texsynth.image import picture as image
from texsynth.image import scratch
from texsynth.image.files import together
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.job import Job, Layer
from texsynth.material import export
from texsynth.material.export import Asked
from texsynth.methods import method
from texsynth.report import guides
from texsynth.requests import option
from texsynth.requests.option import Option, options
from texsynth.requests.shared import AUTO, NONE, PictureOptions
from texsynth.runs import checkpoint, record, run, save, stop
from texsynth.runs.checkpoint import Keeper
from texsynth.runs.clock import Clock
from texsynth.runs.run import Result
from texsynth.task import Event, Preset
from texsynth.verbs import parse, single
from texsynth.verbs.verb import Verb, preset_of, ready
from texsynth.weights import pretrained
from texsynth.weights.pretrained import Fetching


@dataclass(frozen=True)
class Session:
    """What all runs of one command share. stored: the record that they repeat; alone: without any change; chosen: the
    options that were given beside it."""

    verb: Verb
    request: Any
    preset: Preset
    plan: Plan
    talk: Talk
    stored: Mapping[str, Any] | None
    alone: bool
    chosen: Sequence[Option]

    @property
    def seeds(self) -> range:
        first = self.request.seed or 0
        return range(first, first + self.request.variations)

    @property
    def several(self) -> bool:
        """Will there be more than one output?"""
        return self.plan.count > 1 or (self.request.variations > 1 and self.request.pick is None)


def prepare(verb: str, request: PictureOptions, talk: Talk, part: Plan | None = None) -> Command:
    """See runner.execute. part: a share of the plan that is made without it. Raises UsageError and InputError."""
    if request.seed is not None and request.seed + request.variations > 2**63:
        raise UsageError(f"--seed {request.seed} is too large; seeds go up to 2^63 - 1")
    if request.pick is not None and request.variations == 1:
        raise UsageError(f"--pick {request.pick} chooses among variations; say with -n how many")
    if request.resume and (request.pick is not None or pipes.to_stdout(request)):
        which = "-o -" if pipes.to_stdout(request) else f"--pick {request.pick}"
        raise UsageError(f"--resume goes on with one picture in a file, and {which} makes none; leave one of them out")
    chosen = option.given(request)
    alone = request.repeat is not None and not any(steers(o, o.of(request)) for o in options(type(request)))
    module = single.called(verb)
    arguments, stored = list(cast("list[str | Path]", request.inputs())), None
    if request.repeat is not None:
        again = repeated(verb, request, arguments)
        request, arguments, stored = again.request, [*again.arguments], again.stored
        pipes.check_alone(request)
    with _blamed(request, alone):
        option.check(request)
        preset = preset_of(module, request, stored)
    todo = _planned_runs(module, arguments, request) if part is None else part
    todo = _colours_alone(todo, preset) if request.find_maps is None else todo
    session = Session(module, request, preset, todo, talk, stored, alone, chosen)
    return Command(
        request,
        todo,
        outs=lambda item: plan.targets(item.out, request.variations, request.pick),
        files=lambda item: _written(session, item),
        actions=lambda item: _actions(session, item),
        tell=lambda entry: None if pipes.to_stdout(request) else print(_words(entry), flush=True),
        document=lambda document: document,
        stopped=_stopped,
        alone=lambda item: _alone(session, item),
    )


@contextmanager
def _blamed(request: Any, alone: bool) -> Iterator[None]:
    """Blame the record for what cannot be used, where a run is repeated as it was; but not for
    an option of the machine, which the error then names."""
    try:
        yield
    except UsageError as error:
        machine = (o.flag for o in options(type(request)) if o.panel == "Machine")
        if not alone or any(flag in str(error) for flag in machine):
            raise
        raise InputError(f"--from {request.repeat}: its record is damaged ({error})") from None


def _fetching(session: Session) -> Fetching:
    """Weights that are missing are fetched aloud, by no dry run, and not because a record says so."""
    request = session.request
    asked = session.stored is None or request.preset or request.method or request.quality
    return Fetching(session.talk.fail, request.dry_run, "" if asked else f"the record of {request.repeat} fetches none")


def _planned_runs(verb: Verb, arguments: Sequence[str | Path], request: PictureOptions) -> Plan:
    if verb.joins:
        if plan.is_folder(request.output):
            several = f"a {verb.name} is one picture of several exemplars"
            raise UsageError(f"-o {request.output}: {several}, so -o must be a file")
        if folders := [name for name in arguments if path_of(name).is_dir()]:
            raise UsageError(f"{folders[0]} is a folder; name the pictures of one {verb.name}, or give a glob")
    if request.repeat is not None and not arguments:
        raise InputError(f"--from {request.repeat}: its record names no exemplar, so it is damaged")
    others = request.partners("maps", [])
    sought = Sought(_find(request, arguments), request.normals, request.names, others)
    todo = plan.plan(arguments, request.output, verb.name, request.file_format, sought)
    if todo.batch and request.repeat is not None:
        raise UsageError("--from repeats one run, so -o must be a file, not a folder")
    return todo


def _find(request: PictureOptions, arguments: Sequence[str | Path]) -> str | None:
    """Are maps looked for by name? Where they are named they are not, nor where there is no place to write them; raises
    UsageError where that was asked for."""
    asked = request.find_maps == AUTO
    if request.repeat is not None:
        if asked:
            raise UsageError("--maps auto: --from takes the maps that the record names; name others by --map NAME=FILE")
        return NONE
    if pipes.to_stdout(request):
        if asked:
            raise UsageError("-o -: standard output holds the picture alone; leave --maps auto out, or name a file")
        return NONE
    if asked and any(isinstance(argument, Piped) for argument in arguments):
        raise UsageError("--maps auto looks at the names of files, and standard input has none; name the maps by --map")
    return NONE if request.maps else request.find_maps


def _colours_alone(todo: Plan, preset: Preset) -> Plan:
    """The plan without the maps that were found by name though nobody asked for them, where a preset copies nothing."""
    if any(method(stage.method).COPIES for stage in preset.stages) or not any(item.maps for item in todo.items):
        return todo
    notice = f"preset {preset.name} copies nothing, so it makes colours alone: the maps that were found are left out"
    return replace(todo, items=tuple(replace(i, maps={}) for i in todo.items), notices=(*todo.notices, notice))


def _written(session: Session, item: Item) -> list[Path]:
    """Everything that an item writes, but drawings of guides, which its inputs tell; maps as if they held integers."""
    request = plan.with_set(session.request, item)
    depths = dict.fromkeys(export.layers_of(request.maps or (), request.pack), "uint8")
    outs = plan.targets(item.out, request.variations, request.pick)
    places = [Places(request, out, session.several) for out in outs]
    return [path for place in places for path in (*place.files(depths), *place.beside)]


def _alone(session: Session, item: Item) -> PictureOptions:
    """The request that makes one item of a batch as the batch would; InputError, and UsageError where names of files
    say that there are others."""
    request: PictureOptions = plan.aligned(plan.with_set(session.request, item), item.sources, item.stems)
    find = NONE if session.request.find_maps == NONE and not request.maps else None
    request = replace(request, output=str(item.out), file_format=None, find_maps=find)
    if not session.several or (request.variations > 1 and request.pick is None):
        return request
    for name in ("save_guides", "save_attention"):
        if existing.flag(request, name):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag}: pictures that are made alone would draw over each other; leave it out")
    return replace(request, report=Places(session.request, item.out, several=True).page)


def _actions(session: Session, item: Item) -> Iterable[Action]:
    """One for each picture of an item, whose job they share; large temporary arrays lie beside the pictures."""
    folder = None if pipes.to_stdout(session.request) else item.out.parent
    with scratch.beside(folder if folder and folder.is_dir() else None, parse.memory(session.request.max_memory)):
        yield from _outputs(session, item)


def _outputs(session: Session, item: Item) -> Iterable[Action]:
    talk, request = session.talk, plan.aligned(plan.with_set(session.request, item), item.sources, item.stems)
    with _blamed(request, session.alone):
        job = ready(session.verb, request, session.preset, talk.note, _fetching(session), session.chosen)
    if session.stored is not None:
        record.verify_weights(session.stored, job.inputs)
    for notice in job.notices:
        talk.note(notice)
    for remark in job.remarks:
        talk.say(remark)
    cost = run.estimate(job, session.preset)
    talk.say(f"preset {session.preset.name} on {job.task.device}, about {_cost(cost.memory, cost.seconds)}")
    outs = plan.targets(item.out, session.request.variations, session.request.pick)
    for number, out in enumerate(outs):
        seeds = session.seeds if request.pick else session.seeds[number : number + 1]
        output = Output(session, request, job, out, cost.seconds, seeds)
        files = [*output.files, *output.drawings.values()]
        yield Action(
            out, files, output.planned, output.run, output.records, output.check, output.places.beside, output.left
        )


@dataclass(frozen=True)
class Places:
    """Where one picture of a command goes, and what is written beside it. several: Is it one of several?"""

    request: Any
    out: Path
    several: bool

    def files(self, depths: Mapping[str, str]) -> list[Path]:
        """Every file that belongs to the picture, but the report and drawings; depths are those of its maps."""
        if pipes.to_stdout(self.request):
            return []
        preview = existing.flag(self.request, "preview")
        return list(save.paths(self.out, depths, self.request.save_field, preview, self.asked()).values())

    def asked(self, maps: Mapping[str, Layer] | None = None) -> Asked:
        """What is asked of the files of maps; of layers that are there also their conventions."""
        return save.asked(self.request, maps)

    @property
    def page(self) -> Path | None:
        """The report; with several outputs each has its own."""
        page: Path | None = self.request.report
        return page.with_name(f"{page.stem}_{self.out.stem}{page.suffix}") if page and self.several else page

    @property
    def prefix(self) -> str:
        """What the names of drawings begin with, where several outputs draw into one folder."""
        return f"{self.out.stem}_" if self.several else ""

    @property
    def warp(self) -> Path:
        return self.out.with_name(f"{self.out.stem}_warp.png")

    @property
    def beside(self) -> list[Path]:
        """The record, the report, and what the method shows."""
        if pipes.to_stdout(self.request):
            return []
        shown = [self.warp] if existing.flag(self.request, "save_warp") else []
        others = [path for path in (self.page, checkpoint.place(self.out)) if path is not None]
        return [*image.sidecar(self.out, not self.request.no_metadata), *others, *shown]


@dataclass(frozen=True)
class Output:
    """One picture of a command, made with the best of some seeds, and all that is written beside it. request: that of
    its item alone. seconds: what the run of a seed is estimated to take."""

    session: Session
    request: PictureOptions
    job: Job
    out: Path
    seconds: float
    seeds: range

    @property
    def places(self) -> Places:
        return Places(self.request, self.out, self.session.several)

    @property
    def files(self) -> list[Path]:
        """Every file that belongs to the picture, but the report and drawings."""
        return self.places.files({name: layer.pictures[0].depth for name, layer in self.job.maps.items()})

    @property
    def drawings(self) -> dict[str, Path]:
        """Where each drawing of the guides goes, by its name."""
        folder: Path | None = getattr(self.session.request, "save_guides", None)
        if folder is None:
            return {}
        copies = any(method(stage.method).COPIES for stage in self.session.preset.stages)
        return {name: folder / f"{self.places.prefix}{name}.png" for name in guides.names(self.job, copies)}

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records that the picture may carry: one for each seed."""
        picked = {"picked_from": len(self.seeds)} if self.session.request.pick else {}
        return [record.describe(self.job, self.session.preset, seed) | picked for seed in self.seeds]

    def drawn(self, result: Result) -> dict[str, tuple[Path, Picture | Strips]]:
        """What was asked for of the guides and of what the method can show, and where it goes."""
        request, where = self.session.request, self.drawings
        pictures = guides.drawings(self.job, result.field) if where else {}
        drawn: dict[str, tuple[Path, Picture | Strips]]
        drawn = {f"guide:{name}": (where[name], picture) for name, picture in pictures.items()}
        if existing.flag(request, "save_warp") and "warp" in result.shown:
            return drawn | {self.places.warp.stem: (self.places.warp, result.shown["warp"])}
        folder: Path | None = getattr(request, "save_attention", None)
        for name, picture in result.shown.items() if folder is not None else ():
            path = cast(Path, folder) / f"{self.places.prefix}{name}.png"
            drawn[path.stem] = path, picture
        return drawn

    def check(self) -> None:
        """Refuse a format that cannot hold the result, and a folder that others draw into; UsageError, and
        ResourceError."""
        request = self.session.request
        attention: Path | None = getattr(request, "save_attention", None)
        there = attention.iterdir() if attention is not None and attention.is_dir() else ()
        if not request.force and any(path.name.startswith(self.places.prefix) for path in there):
            raise UsageError(f"--save-attention {attention}: this folder is not empty; --force writes into it")
        pipes.check_place(request, self.job.task.size, self.out)
        piped = pipes.to_stdout(request)
        form = image.format_named(request.file_format) if piped else image.SUFFIXES_WRITE.get(self.out.suffix.lower())
        if form is not None:
            run.check_encoding(self.job, form, pipes.OUT if piped else one_line(self.out.name))
        existing.check_page("--report", self.places.page)
        if request.resume:
            self.keeper(self.seeds[0])

    def left(self) -> frozenset[Path]:
        """What --resume may replace: the checkpoint, and all that belongs to the unfinished picture of the same run."""
        kept = checkpoint.place(self.out)
        unfinished = existing.is_unfinished(self.out, self.records)
        files = [*self.files, *self.drawings.values(), *self.places.beside] if unfinished else []
        return frozenset([*files, *([] if kept is None else [kept])])

    def keeper(self, seed: int) -> Keeper:
        """What keeps the state of a long run beside the picture, and with --resume has what there is of it; raises
        TexsynthErrors."""
        request, path = self.session.request, checkpoint.place(self.out)
        if path is None or request.pick is not None or pipes.to_stdout(request):
            return Keeper()
        stored = record.describe(self.job, self.session.preset, seed)
        is_long = self.seconds >= checkpoint.LONG_RUN
        kept = checkpoint.load(path, stored) if request.resume else None
        return Keeper(path, stored, self.session.talk.note, is_long, kept)

    def planned(self) -> Entry:
        cost = run.estimate(self.job, self.session.preset)
        return {
            "image": str(self.out),
            "size": "{1}x{0}".format(*self.job.task.size),
            "memory_bytes": cost.memory,
            "seconds": round(cost.seconds * len(self.seeds), 2),
            "fetches": pretrained.plan(self.job.absent),
            "record": self.records[0],
        }

    def run(self, replaceable: Collection[Path] | None) -> Entry:
        """Make the picture, write it with all that belongs to it, and describe it."""
        if folder := getattr(self.session.request, "save_guides", None):
            existing.make_folder(folder, f"--save-guides {folder}")
            for path in self.drawings.values():
                image.check_writable(path)
        if folder := getattr(self.session.request, "save_attention", None):
            existing.make_folder(folder, f"--save-attention {folder}")
        one = self.session.request.pick is None
        with self.session.talk.watch(self.out.name) if one else nullcontext(_unwatched) as watch:
            clock = run.clock_of(self.job, self.session.preset)
            result = self.result(watch, clock, self.seeds[0]) if one else self.best()
            clock.next()
            with stop.later():
                entry = self.saved(result, replaceable)
                if not result.interrupted:
                    checkpoint.remove(checkpoint.place(self.out))
            watch(messages.FINISHED)
            return entry

    def result(self, watch: Watch, clock: Clock, seed: int) -> Result:
        talk, keeper = self.session.talk, self.keeper(seed)
        if self.session.request.resume and keeper.kept is None:
            talk.note(f"{self.out} starts anew: it has no checkpoint")
        clock.heard = lambda clock: watch(messages.of_clock(clock))

        def observe(event: Event) -> None:
            watch(messages.of_synthesis(event))

        return run.run(self.job, self.session.preset, seed, observe, talk.say, keeper, clock)

    def best(self) -> Result:
        """The best of all variations; Ctrl-C ends the search with the best so far."""
        best: Result | None = None
        stopped = False
        with suppress(KeyboardInterrupt):
            for seed in self.seeds:
                stopped = True  # until this seed is through
                with self.session.talk.watch(f"{self.out.name} seed {seed}") as watch:
                    result = self.result(watch, run.clock_of(self.job, self.session.preset, False), seed)
                self.session.talk.say(f"seed {seed} scores {result.score:.4f}")
                if best is None or (not result.interrupted and result.score < best.score):
                    best = result
                if stopped := result.interrupted or stop.asked():
                    break
        if best is None:
            raise KeyboardInterrupt
        picked = {"picked_from": len(self.seeds), **({"interrupted": True} if stopped else {})}
        return replace(best, record={**best.record, **picked}, interrupted=stopped)

    def written(self, result: Result, replaceable: Collection[Path] | None) -> tuple[dict[str, Path], list[str]]:
        """Write the picture and all that belongs to it; gives the files by name, and notices."""
        request, page = self.session.request, self.places.page
        preview = existing.flag(request, "preview")
        with together(self.out, replaceable) as put:
            asked = self.places.asked(self.job.maps)
            files, notices = save.save(
                result, self.out, not request.no_metadata, request.save_field, preview, put, asked
            )
            drawn = self.drawn(result)
            for path, picture in drawn.values():
                notices += image.write(path, picture, put=put)
            if page is not None:
                from texsynth.report import html

                html.write(page, result, self.job, put)
        return files | {name: path for name, (path, _) in drawn.items()}, notices

    def saved(self, result: Result, replaceable: Collection[Path] | None) -> Entry:
        request, talk, page = self.session.request, self.session.talk, self.places.page
        if pipes.to_stdout(request):
            files, notices = {"image": self.out}, pipes.write(result.picture, request, result.record)
        else:
            files, notices = self.written(result, replaceable)
        for notice in notices:
            talk.note(notice)
        talk.say(f"{self.out.name}: {result.seconds:.1f} s")
        measured = None
        if existing.flag(request, "check"):
            from texsynth.runs import check

            measured = check.check(result, self.job)
        for line in messages.checked(self.out.name, measured or {}):
            talk.note(line)
        return {
            "image": str(self.out),
            "files": {name: str(path) for name, path in files.items()},
            "report": None if page is None else str(page),
            "seed": result.record["seed"],
            "loss": result.losses[-1][3] if result.losses else None,
            "score": result.score,
            "check": measured,
            "seconds": round(result.seconds, 3),
            "interrupted": result.interrupted,
            "record": dict(result.record),
        }


def _unwatched(_: object) -> None:
    """Where several runs are watched one by one."""


def _stopped(done: Sequence[Entry]) -> str:
    unfinished = [entry["image"] for entry in done if entry.get("interrupted")]
    if unfinished:
        kept = checkpoint.place(Path(unfinished[0]))
        more = f"; --resume goes on from {kept}" if kept is not None and kept.is_file() else ""
        several = f"pictures so far are {listed(unfinished)}"  # of several processes
        return f"the {several if len(unfinished) > 1 else f'picture so far is {unfinished[0]}'}{more}"
    finished = [entry["image"] for entry in done if entry["status"] == "done"]
    return f"the last picture, which is finished, is {finished[-1]}" if finished else failure.NOTHING


def _words(entry: Entry) -> str:
    """What standard output says about a run: its path, or its plan."""
    if entry["status"] == "done":
        return str(entry["image"])
    stored = entry["record"]
    words = f"preset {one_line(stored['preset']['name'])}, seed {stored['seed']}, device {stored['device']}"
    cost = f"about {_cost(entry['memory_bytes'], entry['seconds'])}{messages.fetches(entry)}"
    return f"{entry['image']}: {entry['size']}, {words}, {cost}"


def _cost(memory: int, seconds: float) -> str:
    return f"{run.gigabytes(memory)} and {seconds:.1f} s"
