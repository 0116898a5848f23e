"""What passes between the server and the process that computes: orders, and what it says of them.

All of it can be pickled, and none of it needs torch. An order has a number, by which everything that is said of it, and
what cancels it, refers to it. Orders are done one after the other, but for `Where`, which is answered at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DRAFT, FINAL = "draft", "final"


@dataclass(frozen=True)
class Look:
    """Read a picture, and say what it is. path: a file, or what is held in memory. find_maps: also find its maps, by
    the names of the files beside it, or in it where it is a folder."""

    number: int
    path: Path
    find_maps: bool = False


@dataclass(frozen=True)
class Define:
    """Say what can be asked for: verbs, their options, presets and their settings."""

    number: int


@dataclass(frozen=True)
class Run:
    """Make a picture. request: that of the verb, checked as far as that goes without torch; files that the page holds
    are `foreign.held.Held` in it. kind: DRAFT, soon and roughly, or FINAL, as the command makes it."""

    number: int
    verb: str
    request: Any
    kind: str = FINAL


@dataclass(frozen=True)
class Straighten:
    """Make an exemplar of a photograph, as `texsynth capture` does with this request; the answer is `Looked`, of which
    `content` is the PNG that the command would write under the name of `request.output`."""

    number: int
    request: Any


@dataclass(frozen=True)
class Where:
    """Where was a pixel of a finished run copied from? run: its number."""

    number: int
    run: int
    x: int
    y: int


@dataclass(frozen=True)
class Save:
    """Write the result of a finished run, and all that belongs to it. out: the picture, which must not be there yet.
    names: what its inputs are called by now, by their hashes, for the record."""

    number: int
    run: int
    out: Path
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    """Drop an order, whether it is at work or waits; the answer is `Cancelled`, unless it was finished before."""

    number: int


Order = Look | Define | Run | Straighten | Where | Save


@dataclass(frozen=True)
class Display:
    """A picture for the page: a PNG of 8 bits, reduced where the picture is large.

    size: (height, width) of the picture itself. role: that of a map, see material/roles; "" for none. down: does green
    of this normal map point down?
    """

    png: bytes
    size: tuple[int, int]
    role: str = ""
    down: bool = False


@dataclass(frozen=True)
class Ready:
    """The process has loaded all that it needs. device: what `auto` stands for here; threads: those of the CPU."""

    device: str
    threads: int


@dataclass(frozen=True)
class Started:
    """An order is at work."""

    number: int


@dataclass(frozen=True)
class Defined:
    """What can be asked for, JSON-able, see docs of `studio.definitions`."""

    number: int
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Looked:
    """What a picture is. maps: those that were found, by name, and their files. depth: as of Picture. content: what
    was made of it, where it was made."""

    number: int
    shown: Display
    channels: int
    depth: str
    alpha: bool
    maps: Mapping[str, tuple[Path, Display]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    content: bytes = b""
    colour: Path | None = None  # the base colour, where `Look.path` was the folder of a set


@dataclass(frozen=True)
class Drafted:
    """A run has come so far. shown: the picture so far, where it is worth a look, and the size that it will have; of a
    FINAL run only once that is solved at all levels. level: halvings below full size. done: the share of its work, in
    [0, 1]. left: seconds."""

    number: int
    shown: Display | None
    level: float
    done: float
    left: float


@dataclass(frozen=True)
class Done:
    """A run is finished. maps: the aligned maps of its result. notices: what its user should know. final: is it what
    the command makes? Then it is kept. has_field: is it also known where its pixels were copied from? relief: of its
    height from lowest to highest, in widths; 0 where it is unknown."""

    number: int
    shown: Display
    seconds: float
    maps: Mapping[str, Display] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    final: bool = False
    has_field: bool = False
    relief: float = 0.0


@dataclass(frozen=True)
class Placed:
    """Where a pixel was copied from: pixel (x, y) of the exemplar of this number, as it was read, before a --crop is
    taken off. copy: which of its copies, a name in field/planes.COPIES."""

    number: int
    exemplar: int
    x: int
    y: int
    copy: str


@dataclass(frozen=True)
class Saved:
    """The files that were written, the picture last."""

    number: int
    files: tuple[Path, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cancelled:
    """An order was dropped."""

    number: int


@dataclass(frozen=True)
class Failed:
    """An order has failed: one line for the user, and the exit code that the command line would give."""

    number: int
    message: str
    code: int


Said = Ready | Started | Defined | Looked | Drafted | Done | Placed | Saved | Cancelled | Failed
LAST = (Defined, Looked, Done, Placed, Saved, Cancelled, Failed)  # after which nothing is said of an order
