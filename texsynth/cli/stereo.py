"""The command of `texsynth maps stereo`: all photographs are one item, and its maps go to one folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import cast

from texsynth.batch.order import Entry, Item
from texsynth.cli import entries, existing, failure, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk, Tick
from texsynth.cli.plan import Plan
from texsynth.errors import UsageError
from texsynth.foreign.piped import STANDARD
from texsynth.image import picture as image
from texsynth.image.files import together
from texsynth.material.roles import BASE_COLOUR, HEIGHT, NORMAL
from texsynth.requests.maps.stereo import Request
from texsynth.runs import stop
from texsynth.verbs import stereo as verb
from texsynth.verbs.stereo import Shots

WORDS = {BASE_COLOUR: "BaseColor", NORMAL: "Normal", HEIGHT: "Height"}


def prepare(_: str, request: Request, talk: Talk) -> Command:
    """See runner.execute. Raises UsageError and InputError."""
    if request.output in (None, STANDARD):
        raise UsageError("`texsynth maps stereo` makes several maps and needs a folder for them, such as -o wall/")
    folder = Path(str(request.output))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder}: is a file; name a folder")
    sources, left, notices = plan.expand(cast("list[str | Path]", list(request.photographs)))
    suffix = image.format_named(request.file_format).suffixes[0]
    stem = verb.names(sources, folder)
    outs = {role: folder / f"{stem}_{WORDS[role]}{suffix}" for role in verb.roles(request)}
    beside = [path for out in outs.values() for path in image.sidecar(out, not request.no_metadata)]
    main = outs[BASE_COLOUR]

    def actions(item: Item) -> Iterable[Action]:
        with entries.large_arrays(folder, request):
            session = verb.prepare(request, item.sources)
        for notice in session.notices:
            talk.note(notice)
        check = partial(verb.check_writable, main, session)
        planned, carry = partial(_planned, session, outs), partial(_run, session, outs, talk)
        yield Action(main, list(outs.values()), planned, carry, check=check, beside=beside)

    return Command(
        request,
        Plan((Item(tuple(sources), main),), False, notices, left),
        outs=lambda _: list(outs.values()),
        files=lambda _: [*outs.values(), *beside],
        actions=actions,
        tell=_tell,
        document=lambda document: document,
        stopped=lambda done: "all files are written" if done else failure.NOTHING,
    )


def _run(session: Shots, outs: dict[str, Path], talk: Talk, replaceable: Collection[Path] | None) -> Entry:
    """Make the maps and write them, the base colour last: where it stands all stand."""
    request, main = session.request, outs[BASE_COLOUR]
    existing.make_folder(main.parent, f"-o {main.parent}/")

    with entries.large_arrays(main.parent, request), talk.watch(main.name) as watch:
        result = verb.execute(session, lambda done: watch(Tick(done, {"stage": "stereo"}, "")))
        with stop.later(), together(main, replaceable) as put:
            notices = list(result.notices)
            for role in [*(role for role in outs if role != BASE_COLOUR), BASE_COLOUR]:
                stored = None if request.no_metadata else dict(result.record)
                notices += image.write(outs[role], result.maps[role], metadata=stored, put=put)
    for notice in notices:
        talk.note(notice)
    for number, lamp in enumerate(result.measured["lamps"]):
        talk.say(f"lamp of {result.record['inputs'][number]['name']}: {' '.join(f'{part:.3f}' for part in lamp)}")
    talk.say(f"{main.name}: {result.seconds:.1f} s")
    return {
        "image": str(main),
        "files": {role: str(path) for role, path in outs.items()},
        **result.measured,
        "seconds": round(result.seconds, 3),
        "record": dict(result.record),
    }


def _planned(session: Shots, outs: dict[str, Path]) -> Entry:
    """What a dry run says."""
    files = {role: str(path) for role, path in outs.items()}
    return {**entries.planned(session, outs[BASE_COLOUR]), "files": files}


def _tell(entry: Entry) -> None:
    """Print the files, or the plan."""
    lines = [entries.line(entry)] if entry["status"] == "planned" else entry.get("files", {"": entry["image"]}).values()
    for each in lines:
        print(each, flush=True)
