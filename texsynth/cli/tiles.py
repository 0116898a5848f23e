"""The commands of `texsynth tiles`: all exemplars are one item, and what is made of them goes to one folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from texsynth.batch.order import Entry, Item
from texsynth.cli import entries, existing, failure, messages, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Sought
from texsynth.errors import UsageError
from texsynth.foreign.piped import STANDARD
from texsynth.image import picture as image
from texsynth.image.files import together
from texsynth.material import export
from texsynth.requests.shared import NONE
from texsynth.requests.tiles.common import AtlasOptions
from texsynth.runs import stop
from texsynth.verbs import tile_checks, tile_files
from texsynth.verbs import tiles as verb
from texsynth.verbs.tiles import TileWork
from texsynth.weights.pretrained import Fetching


@dataclass(frozen=True)
class TileSetting:
    """A set of tiles to be made. files: all that is written, by what it is; the image of the atlas is the main one."""

    work: TileWork
    request: AtlasOptions
    files: Mapping[str, Path]
    talk: Talk

    @property
    def main(self) -> Path:
        return self.files[tile_files.IMAGE]


def prepare(name: str, request: AtlasOptions, talk: Talk) -> Command:
    """See runner.execute. Raises UsageError and InputError."""
    kind = name.rpartition(" ")[2]
    _check_folder(request.output)
    arguments = list(cast("list[str | Path]", request.exemplars))
    todo = plan.joined(arguments, request.output, kind, Sought(_find(request), request.normals, request.names))
    (item,) = todo.items
    tile_checks.check(kind, request, len(item.sources))
    asked = plan.aligned(plan.with_set(request, item), item.sources, item.stems)
    depths = dict.fromkeys(export.layers_of(asked.maps or (), asked.pack), "uint8")

    def actions(item: Item) -> Iterable[Action]:
        with entries.large_arrays(item.out.parent, request):
            work = verb.prepare(name, asked, asked.exemplars, talk.note, Fetching(talk.fail, request.dry_run))
        for notice in work.notices:
            talk.note(notice)
        for remark in work.remarks:
            talk.say(remark)
        files = tile_files.paths(item.out, asked, {n: d for n, d in work.depths.items() if n != tile_files.IMAGE})
        making = TileSetting(work, asked, files, talk)
        yield Action(
            item.out,
            list(files.values()),
            planned=partial(_planned, making),
            run=partial(_run, making),
            check=partial(_check, making),
        )

    return Command(
        request,
        todo,
        outs=lambda item: [item.out],
        files=lambda item: list(tile_files.paths(item.out, asked, depths).values()),
        actions=actions,
        tell=_tell,
        document=lambda document: document,
        stopped=lambda _: failure.NOTHING,
    )


def _check_folder(output: str | None) -> None:
    """Refuse anything but a folder; UsageError."""
    if output is None:
        return
    if output == STANDARD:
        raise UsageError(
            "-o -: tiles are several files, and standard output holds one; name a folder, such as -o tiles/"
        )
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {output}: is a file; name a folder")
    if not folder.is_dir() and image.looks_like_picture(folder):
        raise UsageError(f"-o {output}: tiles are several files; name a folder, such as -o {folder.with_suffix('')}/")


def _find(request: AtlasOptions) -> str | None:
    """Are maps looked for by name? Where they are named they are not."""
    return NONE if request.maps else request.find_maps


def _check(making: TileSetting) -> None:
    """Refuse a folder that cannot be written to, and pictures that are too large for their format; UsageError."""
    if making.main.parent.is_dir():
        image.check_writable(making.main, tile_files.size(making.work))


def _planned(making: TileSetting) -> Entry:
    """What a dry run says."""
    files = {name: str(path) for name, path in making.files.items()}
    return {**entries.planned(making.work, making.main), "files": files}


def _run(making: TileSetting, replaceable: Collection[Path] | None) -> Entry:
    """Make the tiles, and write all that belongs to them or nothing."""
    main, request, talk = making.main, making.request, making.talk
    with _folder(main.parent), entries.large_arrays(main.parent, request), talk.watch(main.name) as watch:
        laid = verb.execute(making.work, lambda event: watch(messages.of_synthesis(event)), talk.say)
        with stop.later(), together(main, replaceable) as put:
            notices = tile_files.write(making.work, laid, making.files, put)
        watch(messages.FINISHED)
    for notice in (*laid.notices, *notices):
        talk.note(notice)
    talk.say(f"{main.name}: {laid.seconds:.1f} s")
    return {
        "image": str(main),
        "files": {name: str(path) for name, path in making.files.items()},
        "tiles": len(laid.drawn.tiles.tiles),
        "size": "{1}x{0}".format(*laid.drawn.size),
        "border": laid.drawn.border,
        "padding": making.work.padding,
        "seconds": round(laid.seconds, 3),
        "record": dict(making.work.record),
    }


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Inside, the folder of the tiles is there; one that was made for them goes again where they are not finished."""
    is_new = not folder.exists()
    existing.make_folder(folder, f"-o {folder}/")
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise


def _tell(entry: Entry) -> None:
    """Print the files, or the plan."""
    lines = [entries.line(entry)] if entry["status"] == "planned" else entry["files"].values()
    for each in lines:
        print(each, flush=True)
