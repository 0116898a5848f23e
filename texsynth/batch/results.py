"""What a batch keeps of its work in the folder of its outputs: a line of JSON for each picture, as it is finished.

Nothing reads the file again. Several processes may add to it, where the file system appends whole: each line is one
write. Over a network it does not, so that processes of several machines have a file each.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from texsynth.batch.order import Item, Report
from texsynth.batch.share import Share
from texsynth.errors import ResourceError
from texsynth.foreign import json_text
from texsynth.image import files
from texsynth.runs.record import MEASURED


def path(folder: Path, share: Share | None) -> Path:
    """The file of a batch, or of a share of one."""
    return folder / ("results.jsonl" if share is None else f"results-{share.number}-of-{share.count}.jsonl")


@dataclass(frozen=True)
class Results:
    """The file of the results of a verb, which exists from the first line on; UsageError where it is no file."""

    verb: str
    path: Path

    def __post_init__(self) -> None:
        files.destination(self.path)

    def kept(self, reports: Generator[Report]) -> Generator[Report]:
        """The reports, each when its lines are written; raises ResourceError and UsageError, when those at work on
        others have ended."""
        with closing(reports):
            for report in reports:
                for line in _lines(self.verb, report):
                    self._append(line)
                yield report

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            with self.path.open("ab+", buffering=0) as file:
                # A line that a full disk cut off stays alone.
                if size := file.seek(0, os.SEEK_END):
                    file.seek(size - 1)
                cut = size > 0 and file.read(1) != b"\n"
                content = ("\n" * cut + json_text.text(line) + "\n").encode()
                if file.write(content) < len(content):
                    raise ResourceError(f"{self.path}: cannot be written ({os.strerror(errno.ENOSPC)}); make room")
        except OSError as error:
            raise files.unwritable(self.path.name, error) from None


def _lines(verb: str, report: Report) -> Iterator[dict[str, Any]]:
    common = {"time": datetime.now(timezone.utc).isoformat(timespec="seconds"), "verb": verb}
    for entry in report.entries:
        status = "stopped" if entry.get("interrupted") else entry["status"]
        yield {**common, "status": status, "input": str(report.item.sources[0]), **_of(entry)}
    if report.error is not None:
        yield {**common, "status": "failed", **_nothing(report.item), "error": str(report.error)}


def _of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an output: where it is, and what it was made with. Equal digests of records mean equal runs."""
    record = {key: value for key, value in entry.get("record", {}).items() if key not in MEASURED}
    digest = hashlib.sha256(json_text.text(record).encode()).hexdigest() if record else None
    return {
        "image": entry["image"],
        "files": entry.get("files", {}),
        "seed": entry.get("seed"),
        "seconds": entry.get("seconds"),
        "record": digest,
        "error": None,
    }


def _nothing(item: Item) -> dict[str, Any]:
    return {"input": str(item.sources[0]), **_of({"image": str(item.out)})}
