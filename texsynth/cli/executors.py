"""Who does the items of a command: this process, one after the other, or others side by side."""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from texsynth.batch import cluster, results, share, workers
from texsynth.batch.order import Order, Report, Step, in_order
from texsynth.batch.share import Share
from texsynth.cli import actions, orders, streams
from texsynth.cli.actions import Command
from texsynth.cli.existing import Guard, flag
from texsynth.cli.messages import Talk, Tick, Watch
from texsynth.errors import UsageError, shown
from texsynth.runs import machine, stop

MOST_JOBS = 256


def check(command: Command) -> Share | None:
    """Refuse options of batches that mean nothing here, with UsageError; gives the share that is asked for."""
    request = command.request
    jobs, word, where = (getattr(request, name, None) for name in ("jobs", "shard", "cluster"))
    listing = flag(request, "list_jobs")
    if jobs not in (None, "auto") and not (str(jobs).isdecimal() and 1 <= int(str(jobs)) <= MOST_JOBS):
        raise UsageError(f"--jobs {shown(jobs)} is neither a number from 1 to {MOST_JOBS} nor auto")
    asked = {"--cluster": where, "--jobs": jobs, "--shard": word, "--list-jobs": listing}
    names = [name for name, value in asked.items() if value]
    if names and not command.plan.batch:
        raise UsageError(f"{names[0]} is for the pictures of a folder, so -o must name a folder, such as -o made/")
    if where and len(names) > 1:
        raise UsageError(f"--cluster and {names[1]} exclude each other; give one of them")
    if where:
        cluster.place(where)
        cluster.check_installed()
    if jobs and listing:
        raise UsageError("--list-jobs runs nothing; leave --jobs out")
    return None if word is None else share.parse(word, os.environ)


def chosen(verb: str, command: Command, talk: Talk, guard: Guard, part: Share | None) -> Generator[Report]:
    """Reports on all items of a command, in their order: on each as it is finished, or on each of its outputs. After a
    failure no other item is begun unless --keep-going says so, and none after Ctrl-C."""
    goes_on = command.plan.batch and flag(command.request, "keep_going")
    jobs, where = (getattr(command.request, name, None) for name in ("jobs", "cluster"))
    if flag(command.request, "dry_run") or not command.plan.batch:
        return _here(command, talk, guard, goes_on)
    log = results.Results(verb, results.path(Path(command.request.output), part))
    if jobs is None and where is None:
        return log.kept(_here(command, talk, guard, goes_on))
    kept, todo = ordered(verb, command, guard)
    if where is not None:
        return in_order(log.kept(_after(kept, _on_cluster(where, todo, talk, goes_on))), command.plan.items)
    watched = Watched(talk)
    reports = workers.run(todo, orders.perform, count(str(jobs), command), goes_on, watched)
    return in_order(log.kept(_after(kept, watched.through(reports))), command.plan.items)


def ordered(verb: str, command: Command, guard: Guard) -> tuple[list[Report], list[Order]]:
    """Reports on the items that --skip-existing leaves alone, and an order for each other one."""
    kept: list[Report] = []
    todo: list[Order] = []
    run = uuid.uuid4().hex
    for item in command.plan.items:
        if actions.is_kept(command, item, guard):
            kept.append(actions.kept(command, item))
        else:
            absent = tuple(path for path in command.files(item) if not path.exists())
            todo.append(Order(verb, command.request, item, command.plan.count, absent, run=run))
    return kept, todo


def _after(kept: Sequence[Report], reports: Iterator[Report]) -> Generator[Report]:
    yield from kept
    yield from reports


def count(jobs: str, command: Command) -> int:
    """How many workers --jobs asks for: `auto` is one for each `--threads` cores."""
    return max(1, machine.cores() // (command.request.threads or 1)) if jobs == "auto" else int(jobs)


def _here(command: Command, talk: Talk, guard: Guard, goes_on: bool) -> Generator[Report]:
    """Do all items in this process; a report on each output."""
    for item in command.plan.items:
        try:
            for entry in actions.entries(command, item, talk, guard):
                ended = bool(entry.get("interrupted")) or stop.asked()
                yield Report(item, (entry,), stopped=ended)
                if ended or stop.asked():
                    return
        except KeyboardInterrupt:
            if stop.twice():
                raise
            yield Report(item, stopped=True)
            return
        except Exception as error:
            if isinstance(error, streams.OutputError):
                raise
            yield Report(item, error=error)
            if not goes_on or stop.asked():
                return


def _on_cluster(where: str, todo: Sequence[Order], talk: Talk, goes_on: bool) -> Iterator[Report]:
    """Have a cluster do orders, and show how many are finished."""
    voice = cluster.Voice(talk.note, talk.say)
    with talk.watch(f"--cluster {where}") as watch:
        reports = cluster.run(todo, orders.perform, cluster.place(where), goes_on, voice, orders.memory)
        for number, report in enumerate(reports, 1):
            yield report
            if report.stopped:  # by Ctrl-C
                continue
            words = f"{number} of {len(todo)}"
            watch(Tick(number / len(todo), {"stage": "batch", "items": number, "of": len(todo)}, words, words))


class Watched:
    """Shows the steps of runs in other processes, by the outputs that they make."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._shown: dict[str, tuple[ExitStack, Watch]] = {}

    def __call__(self, step: Step) -> None:
        if step.tick is not None:
            self._shown[step.label][1](step.tick)
            return
        if step.label in self._shown:  # ended, or left by a process that died
            self._shown.pop(step.label)[0].close()
        if not step.ended:
            stack = ExitStack()
            self._shown[step.label] = stack, stack.enter_context(self._talk.watch(step.label))

    def through(self, reports: Iterator[Report]) -> Iterator[Report]:
        """The reports; when they end nothing is shown any more."""
        try:
            yield from reports
        finally:
            for stack, _ in self._shown.values():
                stack.close()
