"""The command of `texsynth train`: one network of all exemplars, which can be stopped and gone on with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from texsynth.batch.order import Entry, Item
from texsynth.cli import failure, messages, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Plan
from texsynth.errors import one_line
from texsynth.requests.option import options, replaced
from texsynth.requests.train import Request
from texsynth.runs import run, stop
from texsynth.verbs import train as verb
from texsynth.verbs.train import Lesson, Trained
from texsynth.weights import pretrained
from texsynth.weights.pretrained import Fetching


def prepare(_: str, request: Request, talk: Talk) -> Command:
    """See runner.execute. What exists is the verb's own matter: --resume goes on from it."""
    sources, left, notices = plan.expand([str(argument) for argument in request.exemplars])
    given_maps = [o for o in options(Request) if o.per and o.of(request) is not None]
    maps = {o: plan.paired(o.of(request), sources, o.flag) for o in given_maps}
    request = replace(replaced(request, maps), exemplars=list(sources))

    def actions(_: Item) -> Iterable[Action]:
        lesson = verb.build(request, Fetching(talk.fail, request.dry_run))
        for notice in lesson.notices:
            talk.note(notice)
        written = verb.written(lesson.output)
        yield Action(lesson.output, written, planned=partial(_planned, lesson), run=lambda _: _run(lesson, talk))

    return Command(
        request,
        Plan((Item(tuple(sources), request.model_path),), False, notices, left),
        outs=lambda _: (),
        files=lambda _: verb.written(request.model_path),
        actions=actions,
        tell=_tell,
        document=_document,
        stopped=lambda done: str(done[-1]["stopped"]) if done else failure.NOTHING,
    )


def _run(lesson: Lesson, talk: Talk) -> Entry:
    begun = 0 if lesson.kept is None else lesson.kept.state.step
    metric = lesson.preset.settings.metric
    talk.note(f"{lesson.folder} keeps the course, samples and the checkpoint; Ctrl-C stops after a step")
    stopping = "stopping after this step; Ctrl-C again stops at once, and leaves the checkpoint before"
    with talk.watch(lesson.output.name) as watch, stop.later(lambda: talk.note(stopping)):
        trained = verb.execute(lesson, lambda p: watch(messages.of_training(p, metric, begun)), stop.asked)
    return _done(lesson, trained)


def _planned(lesson: Lesson) -> Entry:
    return {
        "model": str(lesson.output),
        "folder": str(lesson.folder),
        "recipe": lesson.preset.recipe,
        "preset": lesson.preset.name,
        "steps": lesson.preset.settings.steps,
        "memory_bytes": lesson.cost.memory,
        "seconds": round(lesson.cost.seconds, 1),
        "fetches": pretrained.plan(lesson.absent),
    }


def _done(lesson: Lesson, trained: Trained) -> Entry:
    best = "" if trained.model is None else f"; the best network so far is {trained.model}"
    step = f"step {trained.state.step} of {lesson.preset.settings.steps}"
    return {
        "model": None if trained.model is None else str(trained.model),
        "folder": str(trained.folder),
        "recipe": lesson.preset.recipe,
        "preset": lesson.preset.name,
        "steps": trained.state.step,
        "metric": lesson.preset.settings.metric,
        "best": trained.state.best,
        "best_step": trained.state.best_step,
        "seconds": round(trained.seconds, 3),
        "interrupted": trained.interrupted,
        "stopped": f"{step} is kept, --resume goes on from there{best}",
    }


def _document(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The one training; nothing where it ended before there was a network."""
    runs: Sequence[Entry] = document["runs"]
    if not runs or runs[0]["model"] is None:
        return None
    return {"verb": "train", **{name: value for name, value in runs[0].items() if name != "stopped"}}


def _tell(entry: Entry) -> None:
    """The path of the model, or the plan of the training."""
    if entry["status"] == "done":
        if entry["model"] is not None:
            print(entry["model"])
        return
    cost = f"{run.gigabytes(entry['memory_bytes'])} and {entry['seconds'] / 60:.0f} minutes on two cores"
    preset = one_line(entry["preset"])
    print(f"{entry['model']}: preset {preset}, {entry['steps']} steps, about {cost}{messages.fetches(entry)}")
