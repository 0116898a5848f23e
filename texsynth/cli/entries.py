"""What commands that make pictures of pictures say of an item: in a plan, at its end, and when they are stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from texsynth.batch.order import Entry
from texsynth.cli import failure
from texsynth.image import scratch
from texsynth.runs import run
from texsynth.task import Estimate
from texsynth.verbs import parse


class Prepared(Protocol):
    """An item that is read and checked: what it costs, and the record of its run."""

    @property
    def cost(self) -> Estimate: ...

    @property
    def record(self) -> Mapping[str, Any]: ...


def planned(work: Prepared, out: Path) -> Entry:
    """What a dry run says of an item."""
    return {
        "image": str(out),
        "size": work.record["size"],
        "memory_bytes": work.cost.memory,
        "seconds": round(work.cost.seconds, 1),
        "record": dict(work.record),
    }


def cost(entry: Entry) -> str:
    """What a planned item needs, in words."""
    return f"about {run.gigabytes(entry['memory_bytes'])} and {entry['seconds']:.0f} s on two cores"


def line(entry: Entry) -> str:
    """What standard output says of an item: the path of its picture, or its plan."""
    return str(entry["image"]) if entry["status"] == "done" else f"{entry['image']}: {entry['size']}, {cost(entry)}"


def stopped(items: int, what: str, done: Sequence[Entry]) -> str:
    """What is said of the outputs when Ctrl-C has ended the command: "2 of 5 maps are written"."""
    finished = [entry["status"] for entry in done].count("done")
    return f"{finished} of {items} {what} are written" if finished else failure.NOTHING


def large_arrays(folder: Path, request: Any) -> Any:
    """Inside, large arrays lie in the folder of the output, or in the one in which that will be made."""
    place = folder if folder.is_dir() else folder.parent
    return scratch.beside(place if place.is_dir() else None, parse.memory(request.max_memory))
