"""What every verb does with its runs: check, build, run, save, tell. A verb only says how to build a job."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from texsynth.cli import existing, failure, messages, plan, replay
from texsynth.cli.command import Build, Command, Extras, picked
from texsynth.cli.options import Common
from texsynth.cli.plan import Item
from texsynth.errors import BatchError, UsageError
from texsynth.image import picture as image
from texsynth.job import Job
from texsynth.report import guides
from texsynth.runs import check, machine, record, run, save
from texsynth.runs.run import Result

PLAIN = Extras()
Entry = dict[str, Any]  # one run, as --json tells it


def execute(verb: str, arguments: list[str], common: Common, build: Build, extras: Extras = PLAIN) -> int:
    """Run a verb to its exit code; raises TexsynthError."""
    machine.use_threads(common.threads)
    machine.reuse_memory()
    given = replay.given(verb, arguments, common, extras.preset)
    extras.fits(given.preset)
    common = given.common
    todo = plan.plan(given.arguments, common.output, verb)
    if todo.batch and common.repeat is not None:
        raise UsageError("--from repeats one run, so -o must be a file, not a folder")
    inputs = existing.read_by(todo, common, extras.reads)
    existing.check_pictures(todo, inputs, common)
    if todo.batch and not common.dry_run:
        plan.make_folder(todo)
    command = Command(verb, common, given.preset, build, messages.talk(common), todo, inputs, extras)
    for notice in todo.notices:
        command.talk.note(notice)
    done: list[Entry] = []
    failed: list[Entry] = []
    interrupted = _work(command, done, failed)
    if common.json:
        print(json.dumps({"verb": verb, "runs": done, "failed": failed, "interrupted": interrupted}, indent=2))
    if interrupted:
        unfinished = [entry["image"] for entry in done if entry.get("interrupted")]
        raise failure.InterruptError(f"the picture so far is {unfinished[0]}" if unfinished else failure.NOTHING)
    if failed:
        raise BatchError(f"{len(failed)} of {len(todo.items)} inputs failed")
    return 0


def request(item: Item, common: Common) -> dict[str, Any]:
    """The shared options as arguments of a verb's Request; what was not given is left to its defaults."""
    named = _named(common.maps or [])
    given = {
        "maps": {name: plan.paired(files, item.sources, f"--map {name}") for name, files in named.items()},
        "source_mask": plan.paired(common.source_mask or [], item.sources, "--source-mask"),
        **{key: getattr(common, key) for key in ("size", "tile", "crop", "init", "flatten")},
        "device": common.device,
        "max_memory": common.max_memory,
    }
    return {name: value for name, value in given.items() if value is not None}


def _work(command: Command, done: list[Entry], failed: list[Entry]) -> bool:
    """All runs of a plan; with --keep-going a failure is told and noted. Was it ended by Ctrl-C?"""
    common = command.common
    for item in command.plan.items:
        try:
            for entry in _item(command, item):
                done.append(entry)
                if not common.json and entry["status"] != "kept":
                    print(_told(entry), flush=True)
                if entry.get("interrupted"):
                    return True
        except KeyboardInterrupt:
            return True
        except Exception as error:
            if not (common.keep_going and command.plan.batch):
                raise
            if common.debug:
                traceback.print_exception(error)
            text, _ = failure.explain(error)
            command.talk.fail(text)
            failed.append({"input": str(item.sources[0]), "error": text.removeprefix("error: ")})
    return False


def _item(command: Command, item: Item) -> Iterator[Entry]:
    """The runs of one item, as they finish."""
    common, talk = command.common, command.talk
    outs = plan.targets(item.out, common.variations, common.pick)
    if common.skip_existing and all(out.exists() for out in outs):
        yield from (_kept(command, out) for out in outs)
        return
    job = run.fit(command.build(item, common), command.preset, common.weights, talk.note, common.model)
    if (stored := replay.recorded(command.verb, common)) is not None:
        record.verify_weights(stored, job.inputs)
    for notice in job.notices:
        talk.note(notice)
    cost = run.check_memory(job, command.preset)
    talk.say(f"preset {command.preset.name} on {job.task.device}, about {_cost(cost.memory, cost.seconds)}")
    for number, out in enumerate(outs):
        drawings = list(command.drawings(job, out).values())
        existing.check_shown(out, command.extras.attention, command.extras.warp, common)
        files = existing.files_of(job, out, common, command.extras.preview)
        if (common.skip_existing and out.exists()) or (
            common.update and existing.unchanged([*files, *drawings], out, command.records(job, number))
        ):
            yield _kept(command, out)
            continue
        existing.check_files(job, out, files, command.page(out), drawings, command.inputs, common)
        if common.dry_run:
            yield _planned(command, job, out, number)
            continue
        if drawings:
            existing.make_folder(drawings[0].parent, "--save-guides")
            for path in drawings:
                image.check_writable(path)
        if command.extras.attention is not None:
            existing.make_folder(command.extras.attention, "--save-attention")
        if common.pick is not None:
            yield _finish(command, job, out, _best(command, job, out))
        else:
            yield _finish(command, job, out, _run(command, job, out.name, command.seeds[number]))


def _run(command: Command, job: Job, label: str, seed: int) -> Result:
    with command.talk.watch(label) as watch:
        return run.run(job, command.preset, seed, lambda event: watch(messages.of_synthesis(event)), command.talk.say)


def _best(command: Command, job: Job, out: Path) -> Result:
    """The best of all variations; Ctrl-C ends the search with the best so far."""
    best: Result | None = None
    stopped = False
    with suppress(KeyboardInterrupt):
        for seed in command.seeds:
            stopped = True  # until this seed is through
            result = _run(command, job, f"{out.name} seed {seed}", seed)
            command.talk.say(f"seed {seed} scores {run.score(result):.4f}")
            if best is None or (not result.interrupted and run.score(result) < run.score(best)):
                best = result
            if stopped := result.interrupted:
                break
    if best is None:
        raise KeyboardInterrupt
    unfinished = {"interrupted": True} if stopped else {}
    return replace(best, record=picked(best.record, len(command.seeds)) | unfinished, interrupted=stopped)


def _finish(command: Command, job: Job, out: Path, result: Result) -> Entry:
    """Save one result and describe it."""
    common, page = command.common, command.page(out)
    where = command.drawings(job, out)
    drawn = guides.drawings(job, result.field) if where else {}
    pictures = {where[name]: picture for name, picture in drawn.items()} | command.shown(result, out)
    preview = command.extras.preview
    files, notices = save.save(result, out, not common.no_metadata, common.save_field, pictures, preview)
    files |= {f"guide:{name}": where[name] for name in drawn}
    files |= {path.stem: path for path in command.shown(result, out)}
    if page is not None:
        from texsynth.report import html

        html.write(page, result, job)
    for notice in notices:
        command.talk.note(notice)
    command.talk.say(f"{out.name}: {result.seconds:.1f} s")
    checked = check.check(result, job) if command.extras.check else None
    for line in messages.checked(out.name, checked or {}):
        command.talk.note(line)
    return {
        "status": "done",
        "image": str(out),
        "files": {name: str(path) for name, path in files.items()},
        "report": None if page is None else str(page),
        "seed": result.record["seed"],
        "loss": result.losses[-1][3] if result.losses else None,
        "score": run.score(result),
        "check": checked,
        "seconds": round(result.seconds, 3),
        "interrupted": result.interrupted,
        "record": dict(result.record),
    }


def _planned(command: Command, job: Job, out: Path, number: int) -> Entry:
    cost = run.estimate(job, command.preset)
    return {
        "status": "planned",
        "image": str(out),
        "size": "{1}x{0}".format(*job.task.size),
        "memory_bytes": cost.memory,
        "seconds": round(cost.seconds * (len(command.seeds) if command.common.pick else 1), 2),
        "record": command.records(job, number)[0],
    }


def _kept(command: Command, out: Path) -> Entry:
    command.talk.note(f"{out} is kept")
    return {"status": "kept", "image": str(out)}


def _told(entry: Entry) -> str:
    """What stdout says about a run: its path, or its plan."""
    if entry["status"] == "done":
        return str(entry["image"])
    stored = entry["record"]
    run_words = f"preset {stored['preset']['name']}, seed {stored['seed']}, device {stored['device']}"
    cost = _cost(entry["memory_bytes"], entry["seconds"])
    return f"{entry['image']}: {entry['size']}, {run_words}, about {cost}"


def _cost(memory: int, seconds: float) -> str:
    return f"{run.gigabytes(memory)} and {seconds:.1f} s"


def _named(texts: list[str]) -> dict[str, list[str]]:
    """ "height=a.png" -> {"height": ["a.png"]}, in order."""
    out: dict[str, list[str]] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (equals and file and name.replace("-", "").replace("_", "").isalnum()):
            raise UsageError(f"--map {text!r} is not NAME=FILE, for example normal=brick_normal.png")
        out.setdefault(name, []).append(file)
    return out
