"""The commands of `texsynth tiles`: all exemplars are one item, and what is made of them goes to one folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from texsynth.batch.order import Entry, Item
from texsynth.cli import entries, existing, failure, messages, plan, tile_kinds
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Sought
from texsynth.cli.tile_kinds import TileKind
from texsynth.errors import UsageError
from texsynth.foreign.piped import STANDARD
from texsynth.image import picture as image
from texsynth.image.files import together
from texsynth.requests.shared import NONE
from texsynth.requests.tiles.common import TileOptions
from texsynth.runs import stop
from texsynth.verbs import tile_checks, tile_files
from texsynth.weights.pretrained import Fetching


@dataclass(frozen=True)
class TileSetting:
    """What is to be made. work: as it was prepared. files: all that is written, by what it is; the image is the main
    one."""

    kind: TileKind[Any, Any]
    work: Any
    files: dict[str, Path]
    talk: Talk

    @property
    def main(self) -> Path:
        return self.files[tile_files.IMAGE]


def prepare(name: str, request: TileOptions, talk: Talk) -> Command:
    """See runner.execute. Raises UsageError and InputError."""
    word = name.rpartition(" ")[2]
    kind = tile_kinds.of(word)
    _check_folder(request.output)
    arguments = list(cast("list[str | Path]", request.exemplars))
    todo = plan.joined(arguments, request.output, word, Sought(_find(request), request.normals, plan.names_of(request)))
    (item,) = todo.items
    tile_checks.check(word, request, len(item.sources))
    asked = kind.request(plan.aligned(plan.with_set(request, item), item.sources, item.stems), request)
    out = kind.out(item)

    def actions(_: Item) -> Iterable[Action]:
        with entries.large_arrays(out.parent, request):
            work = kind.prepare(name, asked, asked.exemplars, talk.note, Fetching(talk.fail, request.dry_run))
        for notice in work.notices:
            talk.note(notice)
        for remark in work.remarks:
            talk.say(remark)
        setting = TileSetting(kind, work, kind.files(out, work), talk)
        yield Action(
            out,
            list(setting.files.values()),
            planned=partial(_planned, setting),
            run=partial(_run, setting),
            check=partial(_check, setting),
        )

    return Command(
        request,
        todo,
        outs=lambda _: [out],
        files=lambda _: list(kind.expected(out, asked).values()),
        actions=actions,
        tell=_tell,
        document=lambda document: document,
        stopped=lambda done: "all files are written" if done else failure.NOTHING,
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


def _find(request: TileOptions) -> str | None:
    """Are maps looked for by name? Where they are named they are not."""
    return NONE if request.maps else request.find_maps


def _check(setting: TileSetting) -> None:
    """Refuse a folder that cannot be written to, and pictures that are too large for their format; UsageError."""
    if setting.main.parent.is_dir():
        image.check_writable(setting.main, setting.kind.size(setting.work))


def _planned(setting: TileSetting) -> Entry:
    """What a dry run says."""
    files = {name: str(path) for name, path in setting.files.items()}
    return {**entries.planned(setting.work, setting.main), **setting.kind.planned(setting.work), "files": files}


def _run(setting: TileSetting, replaceable: Collection[Path] | None) -> Entry:
    """Make all, and write all that belongs to it or nothing."""
    kind, work, main, talk = setting.kind, setting.work, setting.main, setting.talk
    with _folder(main.parent), entries.large_arrays(main.parent, work.request), talk.watch(main.name) as watch:
        outcome = kind.execute(work, lambda event: watch(messages.of_synthesis(event)), talk.say)
        with stop.later(), together(main, replaceable) as put:
            notices = kind.write(work, outcome, setting.files, put)
        watch(messages.FINISHED)
    for notice in (*outcome.notices, *notices):
        talk.note(notice)
    talk.say(f"{main.name}: {outcome.seconds:.1f} s")
    return {
        "image": str(main),
        "files": {name: str(path) for name, path in setting.files.items()},
        **kind.told(work, outcome),
        "seconds": round(outcome.seconds, 3),
        "record": dict(work.record),
    }


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Inside, the folder of the tiles is there; folders made for them go again where they are unfinished."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    existing.make_folder(folder, f"-o {folder}/")
    try:
        yield
    except BaseException:
        with suppress(OSError):  # where something else lies in it by now
            for each in new:
                each.rmdir()
        raise


def _tell(entry: Entry) -> None:
    """Print the files, or the plan."""
    if entry["status"] != "planned":
        lines = entry["files"].values()
    elif "tiles" in entry:
        lines = [entries.line({**entry, "size": f"{entry['tiles']} tiles of {entry['size']}"})]
    else:
        lines = [entries.line(entry)]
    for each in lines:
        print(each, flush=True)
