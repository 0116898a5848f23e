"""What passes between the command that runs a batch and the processes that do its items: orders, and reports on them.

An executor takes the orders of a command and yields a report on each as it is finished, in any order. What does an
order is a function that a module names, so that a process of any machine which sees the same files can import it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Entry = dict[str, Any]  # one output, as --json tells it
Line = tuple[str, str]  # "note", "say" or "fail", as in messages.Talk, and the text


@dataclass(frozen=True)
class Item:
    """One run: its exemplars, the picture it writes, and its place among all items of the command.

    maps: those that were found by name, one file for each exemplar and each further source. stems: what masks of the
    exemplars may be called too, one for each exemplar.
    """

    sources: tuple[Path, ...]
    out: Path
    number: int = 0
    maps: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    stems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """One item of a command, for another process; all of it can be pickled.

    request: that of the verb, with what standard input held.
    whole: the number of items of the command, whatever share of them is done.
    absent: the files of the item that did not exist when the command began.
    again: may an earlier process that did the order, and died, have left some of these?
    run: a word of this run of the command, which no other run has: files that its options name may have changed since.
    """

    verb: str
    request: Any
    item: Item
    whole: int
    absent: tuple[Path, ...] = ()
    again: bool = False
    run: str = ""


@dataclass(frozen=True)
class Report:
    """What came of an item, or of one of its outputs.

    lines: what was said meanwhile and has not been told.
    error: why it failed; what was finished before is among the entries.
    stopped: has Ctrl-C, or a signal like it, ended it?
    """

    item: Item
    entries: tuple[Entry, ...] = ()
    lines: tuple[Line, ...] = ()
    error: Exception | None = None
    stopped: bool = False


@dataclass(frozen=True)
class Step:
    """A step of a run that another process does, to be told at once.

    label: the output. tick: a messages.Tick; None where the run begins, and where it has ended.
    """

    label: str
    tick: Any = None
    ended: bool = False


Hear = Callable[[Step], None]
Perform = Callable[[Order, Hear], Report]  # raises nothing but what ends a process


def in_order(reports: Iterable[Report], items: Sequence[Item]) -> Generator[Report]:
    """One report for each item, as soon as those on all items before it have come; at the end, where some are missing,
    those that there are."""
    early: dict[int, Report] = {}
    numbers = [item.number for item in items]
    due = 0
    for report in reports:
        early[report.item.number] = report
        while due < len(numbers) and numbers[due] in early:
            yield early.pop(numbers[due])
            due += 1
    yield from (early[number] for number in sorted(early))
