"""texsynth beside other programs: python benchmarks/peers.py "PROGRAM {exemplar} ... {width} {height} ... {output}"

Every template is a command of one program. It is split into words as a shell would, no shell runs it, and the four
names in braces are filled in; {output} is the name of a PNG that must have the asked size afterwards. All programs run
in turn, each as a process of its own, so that a machine that gets slower does so for all of them; the figures are
medians. "of it start" is a dry run of the same texsynth command: loading Python, PyTorch and the exemplar, with nothing
made. Ratios are texsynth's seconds over the other program's: below 1 texsynth is the faster one.
"""

from __future__ import annotations

import argparse
import re
import shlex
import statistics
import struct
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from field import SAMPLES, Measured, machine, taken_by, taken_by_process

from texsynth.errors import TexsynthError, UsageError

NAMES = ("exemplar", "output", "width", "height")
NEEDED = ("exemplar", "output")
NAME = re.compile(r"\{(\w+)\}")
COLUMNS = ("size", "texsynth s", "of it start s", "program", "its s", "ratio", "without start", "processor s")


@dataclass(frozen=True)
class Peer:
    """Another program: the words of its command, with names in braces."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(self.words[0]).name

    def command(self, values: Mapping[str, object]) -> list[str]:
        """The words with the names filled in."""
        return [NAME.sub(lambda match: str(values[match[1]]), word) for word in self.words]


def peer(template: str) -> Peer:
    """The program of a template; raises UsageError for one that cannot be filled in."""
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise UsageError(f"{template!r} is no command ({error}); close what is quoted") from None
    names = NAME.findall(template)
    if unknown := [name for name in names if name not in NAMES]:
        allowed = " ".join(f"{{{name}}}" for name in NAMES)
        raise UsageError(f"{template!r} holds {{{unknown[0]}}}; allowed are {allowed}")
    if missing := [name for name in NEEDED if name not in names]:
        raise UsageError(f"{template!r} lacks {{{missing[0]}}}; say where it goes")
    return Peer(tuple(words))


def size(text: str) -> tuple[int, int]:
    """Width and height of N or WxH; raises UsageError."""
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if match is None:
        raise UsageError(f"--sizes {text}: give pixels, such as 512 or 512x256")
    return int(match[1]), int(match[2] or match[1])


def timed(program: Peer, exemplar: Path, wanted: tuple[int, int], folder: Path) -> Measured:
    """Run another program once; ends this one with a line where it fails, or makes something else than was asked."""
    output = folder / "peer.png"
    output.unlink(missing_ok=True)
    values = {"exemplar": exemplar, "output": output, "width": wanted[0], "height": wanted[1]}
    taken, _ = taken_by_process(program.command(values), folder, program.name)
    if (made := png_size(output)) != wanted:
        what = "no PNG" if made is None else f"{made[0]}x{made[1]}"
        sys.exit(f"{program.name}: made {what}, {wanted[0]}x{wanted[1]} was asked; its template must say both")
    return taken


def png_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a PNG; None where there is none. Reading it by texsynth would load PyTorch, and the kernel
    counts what this process holds as memory of those that it starts."""
    head = path.read_bytes()[:24] if path.exists() else b""
    if len(head) < 24 or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:])
    return width, height


def lines(peers: Sequence[Peer], exemplar: Path, wanted: tuple[int, int], folder: Path, repeats: int) -> list[str]:
    """The lines of the table for one size, after all programs have run in turn."""
    arguments = ["synthesize", str(exemplar), "--size", f"{wanted[0]}x{wanted[1]}", "--max-memory", "16G"]
    ours: list[Measured] = []
    starts: list[Measured] = []
    theirs: list[list[Measured]] = [[] for _ in peers]
    for number in range(repeats):
        ours.append(taken_by([*arguments, "--seed", str(number)], folder)[0])
        starts.append(taken_by([*arguments, "--dry-run"], folder)[0])
        for program, runs in zip(peers, theirs, strict=True):
            runs.append(timed(program, exemplar, wanted, folder))
    whole, start = seconds(ours), seconds(starts)
    return [
        "| " + " | ".join(
            [
                f"{wanted[0]}x{wanted[1]}",
                f"{whole:.2f}",
                f"{start:.2f}",
                program.name,
                f"{seconds(runs):.2f}",
                f"{whole / seconds(runs):.2f}",
                f"{(whole - start) / seconds(runs):.2f}",
                f"{processor(ours):.2f} and {processor(runs):.2f}",
            ]
        ) + " |"
        for program, runs in zip(peers, theirs, strict=True)
    ]  # fmt: skip


def seconds(runs: Sequence[Measured]) -> float:
    return statistics.median(run.seconds for run in runs)


def processor(runs: Sequence[Measured]) -> float:
    return statistics.median(run.processor for run in runs)


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("templates", nargs="+", metavar="TEMPLATE", help="the command of another program")
    out.add_argument("--exemplar", type=Path, default=SAMPLES / "brick.png", help="default: %(default)s")
    out.add_argument("--sizes", nargs="+", default=["512", "1024"], metavar="N|WxH", help="default: 512 1024")
    out.add_argument("--repeats", type=int, default=5, help="runs of each program and size (default %(default)s)")
    return out


def main(words: Sequence[str] | None = None) -> None:
    """The command; ends with one line for what is wrong."""
    args = parser().parse_args(words)
    try:
        peers, sizes = [peer(template) for template in args.templates], [size(text) for text in args.sizes]
        if args.repeats < 1:
            raise UsageError(f"--repeats {args.repeats}: at least 1 is needed")
        if not args.exemplar.is_file():
            raise UsageError(f"--exemplar {args.exemplar}: there is no such file")
    except TexsynthError as error:
        print(f"peers: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{args.exemplar.name}; median of {args.repeats}; {machine()}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for wanted in sizes:
            print(*lines(peers, args.exemplar.resolve(), wanted, Path(name), args.repeats), sep="\n", flush=True)


if __name__ == "__main__":
    main()
